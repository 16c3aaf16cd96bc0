//! A viewer that costs next to nothing: `rtc` for STUN, DTLS, SCTP and RTCP over a socket of its own, and of the media only
//! headers. One video packet in [`OPEN_ONE_IN`] is opened, so that it is known to be what it seems.
//!
//! One task a viewer; what it waits for is its socket, a timer and its owner. Nothing is decoded.

mod engine;
mod task;

use super::card::Card;
use super::media;
use super::viewer::{Link, ViewerError, ViewerOptions};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// Of the media stream.
pub const OPEN_ONE_IN: u64 = 64;
/// Commands waiting for the task; who sends one waits. Inputs are dropped instead, and counted.
const COMMANDS: usize = 64;
/// The task does nothing that takes longer.
const TASK_TIMEOUT: Duration = Duration::from_secs(5);

enum Command {
    Offer { restart: bool, reply: oneshot::Sender<Result<String, rtc::shared::error::Error>> },
    Answer { sdp: String, reply: oneshot::Sender<Result<(), rtc::shared::error::Error>> },
    Input { snapshot: bool, bytes: Vec<u8> },
}

/// A light viewer. It ends when this is dropped.
pub struct LightViewer {
    commands: mpsc::Sender<Command>,
    link: watch::Receiver<Link>,
    done: watch::Receiver<bool>,
}

impl LightViewer {
    /// Offers by `negotiate` (offer in, answer out) and starts receiving, as [`super::viewer::Viewer::connect`] does.
    pub async fn connect<N, F, E>(
        options: &ViewerOptions,
        card: Arc<Card>,
        negotiate: N,
    ) -> Result<Self, ViewerError>
    where
        N: FnOnce(String) -> F,
        F: Future<Output = Result<String, E>>,
        E: std::fmt::Display,
    {
        let (link_sender, link) = watch::channel(Link::Connecting);
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let (done_sender, done) = watch::channel(false);
        let task = task::Task::new(options, card, inbox, link_sender)?;
        tokio::spawn(async move {
            task.run().await;
            done_sender.send_replace(true);
        });
        let viewer = Self { commands, link, done };
        viewer.offer(false, negotiate).await?;
        Ok(viewer)
    }

    /// Restarts ICE: the same keys over a path that is found anew.
    pub async fn restart_ice<N, F, E>(&self, negotiate: N) -> Result<(), ViewerError>
    where
        N: FnOnce(String) -> F,
        F: Future<Output = Result<String, E>>,
        E: std::fmt::Display,
    {
        self.offer(true, negotiate).await
    }

    async fn offer<N, F, E>(&self, restart: bool, negotiate: N) -> Result<(), ViewerError>
    where
        N: FnOnce(String) -> F,
        F: Future<Output = Result<String, E>>,
        E: std::fmt::Display,
    {
        let offer = self.ask(|reply| Command::Offer { restart, reply }).await?;
        let answer = negotiate(media::as_dtls_server(&offer))
            .await
            .map_err(|error| ViewerError::Negotiation(error.to_string()))?;
        self.ask(|reply| Command::Answer { sdp: answer, reply }).await
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, rtc::shared::error::Error>>) -> Command,
    ) -> Result<T, ViewerError> {
        let (reply, answer) = oneshot::channel();
        let asked = async {
            self.commands.send(command(reply)).await.ok()?;
            answer.await.ok()
        };
        let answered = tokio::time::timeout(TASK_TIMEOUT, asked).await.ok().flatten();
        Ok(answered.ok_or(ViewerError::Gone)??)
    }

    /// How the connection stands, now and from now on.
    #[must_use]
    pub fn link(&self) -> watch::Receiver<Link> {
        self.link.clone()
    }

    /// Sends one encoded input frame; `snapshot`: on the unordered channel. Dropped, and counted, when nothing is open.
    pub fn send_input(&self, frame: Vec<u8>, snapshot: bool) -> Result<(), ViewerError> {
        self.commands.try_send(Command::Input { snapshot, bytes: frame }).map_err(|_| ViewerError::NoInput)
    }

    /// Says goodbye and ends.
    pub async fn close(self) {
        let Self { commands, mut done, .. } = self;
        drop(commands);
        let _ = tokio::time::timeout(TASK_TIMEOUT, done.wait_for(|done| *done)).await;
    }
}
