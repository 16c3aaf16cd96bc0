//! The audio server: PulseAudio with one sink that plays to nobody, recorded from its monitor.
//!
//! It is restarted when it dies, a few times; a game that keeps its connection has lost its sound, one that connects again
//! has it back.

use super::group::{Groups, Member};
use super::helper::{self, LOOK, READY, Words};
use super::{HouseEvent, HouseSpec};
use crate::runner::desktop::sound;
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

pub(super) const PART: &str = "audio server";
/// More deaths than this within [`WINDOW`] and it stays dead.
const MOST: usize = 5;
const WINDOW: Duration = Duration::from_secs(60);
/// Before the first restart; doubled with every further one within the window.
const BACK_OFF: Duration = Duration::from_millis(100);

pub(super) struct Sound {
    pub(super) socket: PathBuf,
    home: PathBuf,
    groups: Arc<Groups>,
    member: Member,
    words: Words,
}

/// Everything of the server's lies here.
pub(super) fn directory(runtime_dir: &Path) -> PathBuf {
    runtime_dir.join("sound")
}

impl Sound {
    /// Starts the server and waits until it answers.
    pub(super) async fn start(spec: &HouseSpec, groups: &Arc<Groups>) -> io::Result<Self> {
        let home = directory(&spec.runtime_dir);
        super::prepare(&home)?;
        let socket = home.join("native");
        let groups = Arc::clone(groups);
        let (member, words) = launch(&home, &socket, &groups).await?;
        Ok(Self { socket, home, groups, member, words })
    }

    /// Watches over it until the house closes.
    pub(super) async fn keep(mut self, events: mpsc::Sender<HouseEvent>, mut closing: watch::Receiver<bool>) {
        let mut deaths = VecDeque::new();
        loop {
            let status = tokio::select! {
                status = self.member.ended() => status,
                () = helper::told(&mut closing) => {
                    helper::end(&mut self.member).await;
                    return;
                }
            };
            let message = helper::obituary(&status, &self.words);
            tracing::warn!("the audio server died: {message}");
            let event = tokio::select! {
                event = self.restart(&mut deaths, message) => event,
                () = helper::told(&mut closing) => return,
            };
            let lost = matches!(event, HouseEvent::Lost { .. });
            if events.send(event).await.is_err() || lost {
                return;
            }
        }
    }

    /// Until it is up again or has died too often.
    async fn restart(&mut self, deaths: &mut VecDeque<Instant>, mut message: String) -> HouseEvent {
        loop {
            let now = Instant::now();
            deaths.push_back(now);
            while deaths.front().is_some_and(|death| now.duration_since(*death) > WINDOW) {
                deaths.pop_front();
            }
            if deaths.len() > MOST {
                return HouseEvent::Lost { part: PART, message };
            }
            let doublings = u32::try_from(deaths.len().saturating_sub(1)).unwrap_or(u32::MAX);
            tokio::time::sleep(BACK_OFF * 2_u32.saturating_pow(doublings)).await;
            match launch(&self.home, &self.socket, &self.groups).await {
                Ok((member, words)) => {
                    (self.member, self.words) = (member, words);
                    return HouseEvent::Restarted(PART);
                }
                Err(error) => message = error.to_string(),
            }
        }
    }
}

/// Starts the program and waits until it has the game's sink.
async fn launch(home: &Path, socket: &Path, groups: &Arc<Groups>) -> io::Result<(Member, Words)> {
    let socket_text = socket.to_str().filter(|text| !text.contains('"') && !text.contains('\\'));
    let socket_text = socket_text.ok_or_else(|| io::Error::other("its socket cannot have such a name"))?;
    let mut command = helper::command("pulseaudio", home);
    command
        .args(["-n", "--daemonize=no", "--use-pid-file=no", "--disable-shm=yes", "--exit-idle-time=-1"])
        .args(["--disallow-exit=yes", "--disallow-module-loading=yes", "--realtime=no", "--high-priority=no"])
        .args(["--log-target=stderr", "--log-level=warn"])
        // Who can reach the socket may play: its directory is private, and the game may be anybody in there.
        .arg("-L")
        .arg(format!(
            "module-native-protocol-unix auth-anonymous=1 auth-cookie-enabled=0 socket=\"{socket_text}\""
        ))
        .arg("-L")
        .arg("module-null-sink sink_name=game rate=48000 channels=2 format=s16le");
    let mut member = groups.spawn(&mut command)?;
    let words = Words::listen(PART, &mut member);
    let deadline = Instant::now() + READY;
    loop {
        if let Some(status) = member.child.try_wait()? {
            let _ = member.ended().await;
            return Err(io::Error::other(helper::obituary(&Ok(status), &words)));
        }
        let asked = socket.to_owned();
        let answer = tokio::task::spawn_blocking(move || sound::answers(&asked)).await;
        match answer {
            Ok(Ok(())) => return Ok((member, words)),
            Ok(Err(error)) if Instant::now() >= deadline => return Err(io::Error::other(error.to_string())),
            Ok(Err(_)) => tokio::time::sleep(LOOK).await,
            Err(error) => return Err(io::Error::other(error.to_string())),
        }
    }
}
