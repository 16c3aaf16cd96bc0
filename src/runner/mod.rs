//! `playgate runner`: the half of the contract that lives with the game. Owns picture, sound, input, encoder,
//! packetizer and the save directory; knows nothing of the gateway but the contract.
//!
//! Threads, each the one owner of what it works on: the video encoder, the audio encoder, and the game's side, which is
//! either a built-in game ([`stage`], with its save file) or any program with a window ([`desktop`]). Between them only the
//! latest state or a bounded queue. The control channel, RTCP and the timers live on the runtime. A still page costs a
//! repeated frame and two reports a second, nothing else.

mod audio;
mod built_in;
mod burst;
mod client;
mod damage;
pub mod desktop;
pub mod encoder;
mod error;
pub(crate) mod fit;
mod host;
pub mod i420;
mod key_requests;
mod life;
mod media;
mod packetizer;
mod pictures;
pub mod rtcp;
pub mod rtp;
mod run;
mod save;
mod settings;
mod signal;
mod stage;
mod threads;
mod video;

pub use error::RunnerError;
pub use life::{StopCause, stop_cause};
pub use run::{run, run_program_with, run_with};
pub use settings::{OnGatewayLoss, Settings, SettingsError, Token};

use crate::games::{self, Game, GameError};
use playgate_signaling::message::PointerMode;
use playgate_signaling::runner::RunnerMessage;

/// What whoever runs this build should know of its video encoder: that it was compiled from plain C (see `src/build.rs`).
pub const ENCODER_WARNING: Option<&str> = if cfg!(without_nasm) {
    Some(
        "this build's video encoder is plain C, because nasm was missing: encoding takes almost three times the CPU",
    )
} else {
    None
};
/// Payload type of H.264 (runner contract).
pub const VIDEO_PAYLOAD_TYPE: u8 = 96;
/// Payload type of Opus (runner contract).
pub const AUDIO_PAYLOAD_TYPE: u8 = 111;

/// Makes a game, from a save if there is one.
pub type CreateGame = Box<dyn FnOnce(Option<&[u8]>) -> Result<Box<dyn Game>, GameError> + Send>;

/// A game to host and what must be known of it beforehand.
pub struct HostedGame {
    /// Size of its picture in pixels.
    pub width: u32,
    pub height: u32,
    /// Ticks a second.
    pub tick_hz: u32,
    pub pads: u8,
    pub pointer: PointerMode,
    pub create: CreateGame,
}

impl HostedGame {
    /// A game of the catalogue.
    pub fn built_in(slug: &str, seed: u64) -> Result<Self, RunnerError> {
        let game = games::built_in().into_iter().find(|game| game.slug == slug);
        let game = game.ok_or_else(|| RunnerError::UnknownGame(slug.to_owned()))?;
        Ok(Self {
            width: game.width,
            height: game.height,
            tick_hz: game.fps,
            pads: game.pads,
            pointer: game.pointer,
            create: Box::new(move |save| games::create(game.slug, seed, save)),
        })
    }
}

impl std::fmt::Debug for HostedGame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostedGame")
            .field("width", &self.width)
            .field("height", &self.height)
            .finish_non_exhaustive()
    }
}

/// What the threads tell the runtime.
#[derive(Debug)]
enum Event {
    /// The first key frame is on its way.
    FirstFrame,
    SaveDirty,
    Saved,
    SaveFailed(std::io::Error),
    /// A thread failed or panicked; `Ended` follows.
    Crashed {
        part: &'static str,
        message: String,
    },
    Ended(threads::Part),
    /// A program ended by itself.
    GameEnded {
        code: Option<i32>,
        signal: Option<i32>,
    },
    /// The pointer has another shape: what the gateway is told.
    Cursor(RunnerMessage),
}
