//! The game: its environment, its end.

use super::group::Member;
use super::{HouseEvent, HouseSpec};
use playgate_signaling::runner::env;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// Ours begin so; the game gets none but those of [`KEPT`].
const PREFIX: &str = "PLAYGATE_";
const KEPT: [&str; 1] = [env::SAVE_DIR];
/// What would lead the game to another screen or another sound.
const MISLEADING: [&str; 3] = ["WAYLAND_DISPLAY", "PULSE_COOKIE", "DBUS_SESSION_BUS_ADDRESS"];
const SOUND_DRIVER: &str = "SDL_AUDIODRIVER";

/// The game's program in this process's environment, without what is nobody's business in there.
pub(super) fn command(
    spec: &HouseSpec,
    display: &str,
    authority: &Path,
    sound_socket: &Path,
) -> io::Result<Command> {
    let (program, arguments) =
        spec.command.split_first().ok_or_else(|| io::Error::other("there is no command"))?;
    let mut sound = std::ffi::OsString::from("unix:");
    sound.push(sound_socket);
    let mut command = Command::new(program);
    command.args(arguments);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if MISLEADING.contains(&&*text) || (text.starts_with(PREFIX) && !KEPT.contains(&&*text)) {
            command.env_remove(&name);
        }
    }
    if std::env::var_os(SOUND_DRIVER).is_none() {
        // SDL 1.2's name, which every later one knows too.
        command.env(SOUND_DRIVER, "pulse");
    }
    command
        .env("DISPLAY", display)
        .env("XAUTHORITY", authority)
        .env("PULSE_SERVER", sound)
        .env("HOME", &spec.home)
        .env("XDG_RUNTIME_DIR", &spec.runtime_dir)
        .env(env::WIDTH, spec.width.to_string())
        .env(env::HEIGHT, spec.height.to_string())
        .current_dir(&spec.home)
        .stdin(Stdio::null())
        .stdout(Stdio::inherit())
        .stderr(Stdio::inherit())
        .kill_on_drop(true);
    Ok(command)
}

/// A game that was started, whether it still runs or not.
pub(super) struct Game {
    stop: Option<oneshot::Sender<Duration>>,
    /// True when the game and all it started are dead.
    gone: watch::Receiver<bool>,
    keeper: JoinHandle<()>,
}

impl Game {
    /// Watches over it.
    pub(super) fn keep(member: Member, events: mpsc::Sender<HouseEvent>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (dead, gone) = watch::channel(false);
        Self { stop: Some(stop), gone, keeper: tokio::spawn(keep(member, stopped, dead, events)) }
    }

    /// Returns when the game and all it started are dead, also when it had ended before or is being stopped already.
    pub(super) async fn stop(&mut self, grace: Duration) {
        if let Some(stop) = self.stop.take() {
            // It may have ended by itself.
            let _ = stop.send(grace);
        }
        // Not the keeper's own end: it may wait for somebody to hear its event.
        let _ = self.gone.wait_for(|gone| *gone).await;
    }
}

impl Drop for Game {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

async fn keep(
    mut member: Member,
    stop: oneshot::Receiver<Duration>,
    gone: watch::Sender<bool>,
    events: mpsc::Sender<HouseEvent>,
) {
    let status = tokio::select! {
        status = member.ended() => Some(status),
        grace = stop => {
            if let Ok(grace) = grace {
                let _ = member.stop(grace).await;
            }
            None
        }
    };
    gone.send_replace(true);
    let event = match status {
        Some(Ok(status)) => HouseEvent::GameEnded { code: status.code(), signal: status.signal() },
        Some(Err(_)) => HouseEvent::GameEnded { code: None, signal: None },
        // It was stopped, which is no news.
        None => return,
    };
    let _ = events.send(event).await;
}
