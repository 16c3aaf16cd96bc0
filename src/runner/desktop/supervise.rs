//! The processes of a desktop: X server, audio server, game. Started in order, watched over, ended in order.

use crate::runner::RunnerError;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;

/// What is to run.
#[derive(Debug, Clone)]
pub struct HouseSpec {
    pub command: Vec<OsString>,
    pub width: u32,
    pub height: u32,
    /// A private directory for sockets and configuration; tmpfs in a container.
    pub runtime_dir: PathBuf,
    /// The game's working directory and `HOME`.
    pub home: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HouseEvent {
    /// The game ended by itself.
    GameEnded { code: Option<i32>, signal: Option<i32> },
    /// A helper died and is up again.
    Restarted(&'static str),
    /// A helper died and cannot be brought back, or the game cannot go on without it (the X server).
    Lost { part: &'static str, message: String },
}

/// The processes, while they run. Dropping it kills what is left.
pub struct House {
    /// As in `DISPLAY`.
    pub display: String,
    /// The audio server's socket.
    pub sound_socket: PathBuf,
    /// Bounded; a house that is not listened to waits.
    pub events: mpsc::Receiver<HouseEvent>,
}

impl House {
    /// Starts the X server and the audio server and waits until both answer. The game is not started yet.
    pub async fn open(_spec: HouseSpec) -> Result<Self, RunnerError> {
        unimplemented!()
    }

    /// Starts the game.
    pub async fn start_game(&mut self) -> Result<(), RunnerError> {
        unimplemented!()
    }

    /// SIGTERM to the game's process group, `grace`, SIGKILL. The helpers still run. Idempotent.
    pub async fn stop_game(&mut self, _grace: Duration) {
        unimplemented!()
    }

    /// Ends the helpers.
    pub async fn close(self) {
        unimplemented!()
    }
}
