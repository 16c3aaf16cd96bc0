//! The game's side when it is one of ours: a stage with the game on it, and the file it is saved in.

use super::client::Welcome;
use super::run::{Picture, Side};
use super::stage::Stage;
use super::threads::{Part, Shared, Threads};
use super::{Event, HostedGame, RunnerError, Settings, save};
use crate::games::{Game, GameError};
use playgate_signaling::message::PointerMode;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc;

pub(super) struct BuiltIn {
    game: Box<dyn Game>,
    width: u32,
    height: u32,
    divisor: u32,
    tick_hz: u32,
    pads: u8,
    pointer: PointerMode,
    marker: bool,
    directory: PathBuf,
}

impl BuiltIn {
    /// The game, from its save if there is one.
    pub(super) fn new(settings: &Settings, game: HostedGame, marker: bool) -> Result<Self, RunnerError> {
        let directory = settings.save_dir.clone();
        let unreadable = |source| RunnerError::SaveUnreadable { directory: directory.clone(), source };
        let saved = save::load(&directory).map_err(unreadable)?;
        let HostedGame { width, height, tick_hz, pads, pointer, create } = game;
        let game = create(saved.as_deref()).map_err(|error| match error {
            GameError::Unknown(slug) => RunnerError::UnknownGame(slug),
            GameError::BadSave(why) => RunnerError::BadSave(why),
        })?;
        Ok(Self { game, width, height, divisor: 1, tick_hz, pads, pointer, marker, directory })
    }
}

impl Side for BuiltIn {
    fn pads(&self) -> u8 {
        self.pads
    }

    fn pointer(&self) -> PointerMode {
        self.pointer
    }

    async fn open(&mut self, welcome: &Welcome) -> Result<Picture, RunnerError> {
        self.divisor = divisor((self.width, self.height), (welcome.width, welcome.height));
        let (width, height) = (self.width / self.divisor, self.height / self.divisor);
        Ok(Picture { width, height, fps: welcome.fps.min(self.tick_hz) })
    }

    fn start(self, shared: &Shared, threads: &mut Threads, events: &mpsc::Sender<Event>) -> io::Result<()> {
        let (directory, inbox, saved) = (self.directory, Arc::clone(&shared.save), events.clone());
        threads.spawn(Part::Save, "save", events, move || {
            save::run(&directory, &inbox, &saved);
            Ok(())
        })?;
        let stage = Stage {
            game: self.game,
            width: self.width,
            height: self.height,
            divisor: self.divisor,
            tick_hz: self.tick_hz,
            marker: self.marker,
            inbox: Arc::clone(&shared.stage),
            video: Arc::clone(&shared.video),
            audio: Arc::clone(&shared.audio),
            save: Arc::clone(&shared.save),
            audio_stream: Arc::clone(&shared.audio_stream),
            events: events.clone(),
        };
        threads.spawn(Part::Game, "game", events, move || {
            stage.run();
            Ok(())
        })
    }
}

/// What the game's own size is divided by for the wanted one: 1, 2 or 4. Any other size is not to be had.
fn divisor(own: (u32, u32), wanted: (u32, u32)) -> u32 {
    [2, 4]
        .into_iter()
        .find(|divisor| own == (wanted.0.saturating_mul(*divisor), wanted.1.saturating_mul(*divisor)))
        .unwrap_or(1)
}
