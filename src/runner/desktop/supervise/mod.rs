//! The processes of a desktop: X server, audio server, game. Started in order, watched over, ended in order.
//!
//! Each is the leader of a process group of its own, and a group never outlives its leader, nor any of them the house. The
//! helpers get an environment with nothing of ours in it; the game gets ours without the session's secrets.

mod audio;
mod display;
mod game;
mod group;
mod helper;

use crate::runner::RunnerError;
use game::Game;
use group::Groups;
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Events that wait for the host; a keeper that finds no room waits too.
const EVENTS: usize = 16;

/// What is to run.
#[derive(Debug, Clone)]
pub struct HouseSpec {
    pub command: Vec<OsString>,
    pub width: u32,
    pub height: u32,
    /// A private directory for sockets and configuration; tmpfs in a container. Made if it is not there. At most 80 bytes
    /// long, or the sockets in it have no address.
    pub runtime_dir: PathBuf,
    /// The game's working directory and `HOME`.
    pub home: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HouseEvent {
    /// The game ended by itself; whatever it had started is dead.
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
    /// As in `XAUTHORITY`: without its cookie nobody gets in.
    pub authority: PathBuf,
    /// The audio server's socket.
    pub sound_socket: PathBuf,
    /// Bounded; a house that is not listened to waits.
    pub events: mpsc::Receiver<HouseEvent>,
    display_pid: i32,
    sender: mpsc::Sender<HouseEvent>,
    spec: HouseSpec,
    groups: Arc<Groups>,
    closing: watch::Sender<bool>,
    helpers: Vec<JoinHandle<()>>,
    game: Option<Game>,
}

impl House {
    /// Starts the X server and the audio server and waits until both answer. The game is not started yet.
    pub async fn open(spec: HouseSpec) -> Result<Self, RunnerError> {
        prepare(&spec.runtime_dir).map_err(|error| failed("runtime directory", &error))?;
        let groups = Arc::new(Groups::default());
        let (display, sound) = tokio::try_join!(
            async {
                display::Display::start(&spec, &groups).await.map_err(|error| failed(display::PART, &error))
            },
            async { audio::Sound::start(&spec, &groups).await.map_err(|error| failed(audio::PART, &error)) },
        )?;
        let (sender, events) = mpsc::channel(EVENTS);
        let (closing, closed) = watch::channel(false);
        let display_pid = display.pid();
        let (name, authority) = (display.name.clone(), display.authority.clone());
        let sound_socket = sound.socket.clone();
        let helpers = vec![
            tokio::spawn(display.keep(sender.clone(), closed.clone())),
            tokio::spawn(sound.keep(sender.clone(), closed)),
        ];
        Ok(Self {
            display: name,
            display_pid,
            authority,
            sound_socket,
            events,
            sender,
            spec,
            groups,
            closing,
            helpers,
            game: None,
        })
    }

    /// Starts the game. Once.
    pub async fn start_game(&mut self) -> Result<(), RunnerError> {
        if self.game.is_some() {
            return Err(failed("game", &"it was started already"));
        }
        let command = game::command(&self.spec, &self.display, &self.authority, &self.sound_socket);
        let member = command.and_then(|mut command| self.groups.spawn(&mut command));
        let member = member.map_err(|error| failed("game", &error))?;
        self.game = Some(Game::keep(member, self.sender.clone()));
        Ok(())
    }

    /// SIGTERM to the game's process group, `grace` for all of it, SIGKILL. The helpers still run. Idempotent.
    pub async fn stop_game(&mut self, grace: Duration) {
        if let Some(game) = &mut self.game {
            game.stop(grace).await;
        }
    }

    /// Ends the helpers, and the game if it still runs.
    pub async fn close(mut self) {
        self.stop_game(Duration::ZERO).await;
        self.closing.send_replace(true);
        // A keeper that waits for somebody to hear its event would wait for ever.
        self.events.close();
        for helper in std::mem::take(&mut self.helpers) {
            let _ = helper.await;
        }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let screen_was_there = self.groups.is_running(self.display_pid);
        self.groups.kill_all();
        for helper in &self.helpers {
            helper.abort();
        }
        if screen_was_there {
            display::clean_up(&self.display);
        }
        let _ = std::fs::remove_file(&self.authority);
        let _ = std::fs::remove_dir_all(audio::directory(&self.spec.runtime_dir));
    }
}

/// The runtime directory, for nobody else.
fn prepare(directory: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

fn failed(part: &'static str, why: &dyn std::fmt::Display) -> RunnerError {
    RunnerError::Crashed { part, message: why.to_string() }
}
