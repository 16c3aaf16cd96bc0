//! A bot's media connection, of either mode.

use super::card::{Card, Mode};
use super::light::LightViewer;
use super::viewer::{Link, Viewer, ViewerError, ViewerOptions};
use playgate_signaling::input::InputFrame;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// For the input channel, once the connection is up.
const CHANNEL_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) enum Peer {
    Full { viewer: Box<Viewer>, input_open: bool },
    Light(LightViewer),
}

impl Peer {
    pub(super) async fn connect<N, F, E>(
        options: &ViewerOptions,
        card: &Arc<Card>,
        negotiate: N,
    ) -> Result<Self, ViewerError>
    where
        N: FnOnce(String) -> F,
        F: Future<Output = Result<String, E>>,
        E: std::fmt::Display,
    {
        Ok(match card.mode {
            Mode::Full => {
                let viewer = Viewer::connect_for(options, Arc::clone(card), negotiate).await?;
                Self::Full { viewer: Box::new(viewer), input_open: false }
            }
            Mode::Light => Self::Light(LightViewer::connect(options, Arc::clone(card), negotiate).await?),
        })
    }

    pub(super) async fn restart_ice<N, F, E>(&self, negotiate: N) -> Result<(), ViewerError>
    where
        N: FnOnce(String) -> F,
        F: Future<Output = Result<String, E>>,
        E: std::fmt::Display,
    {
        match self {
            Self::Full { viewer, .. } => viewer.restart_ice(negotiate).await,
            Self::Light(viewer) => viewer.restart_ice(negotiate).await,
        }
    }

    pub(super) fn link(&self) -> watch::Receiver<Link> {
        match self {
            Self::Full { viewer, .. } => viewer.link(),
            Self::Light(viewer) => viewer.link(),
        }
    }

    /// Waits, once, until input has a way.
    pub(super) async fn open_input(&mut self) {
        if let Self::Full { viewer, input_open } = self
            && !*input_open
        {
            let opened = tokio::time::timeout(CHANNEL_TIMEOUT, viewer.input_open()).await;
            *input_open = matches!(opened, Ok(Ok(())));
        }
    }

    /// Sends an input where it belongs. An error: it was not sent.
    pub(super) async fn send(&self, frame: &InputFrame) -> Result<(), ViewerError> {
        let bytes = frame.to_bytes();
        match self {
            Self::Full { input_open: false, .. } => Err(ViewerError::NoInput),
            Self::Full { viewer, .. } if frame.is_snapshot() => viewer.send_snapshot(&bytes).await,
            Self::Full { viewer, .. } => viewer.send_input(&bytes).await,
            Self::Light(viewer) => viewer.send_input(bytes, frame.is_snapshot()),
        }
    }

    pub(super) async fn close(self, card: &Card) {
        match self {
            Self::Full { viewer, .. } => {
                let cipher = viewer.cipher().await;
                card.with(|facts| {
                    facts.add_decoded(&viewer.stats());
                    if !cipher.is_empty() {
                        facts.cipher = cipher;
                    }
                });
                viewer.close().await;
            }
            Self::Light(viewer) => viewer.close().await,
        }
    }
}
