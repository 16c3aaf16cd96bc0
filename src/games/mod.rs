//! The two built-in games: drawn in software, deterministic from seed and inputs.
//!
//! A game never sees a clock: time is the count of its ticks. It never encodes and never touches a file; its save is a
//! value of bytes.

use playgate_signaling::input::InputFrame;
use playgate_signaling::message::{PointerMode, TouchControl};

/// Samples per audio block: 10 ms, 48 kHz, stereo interleaved.
pub const AUDIO_BLOCK: usize = 960;

/// What is known of a built-in game without running it.
#[derive(Debug, Clone)]
pub struct BuiltIn {
    pub slug: &'static str,
    pub title: &'static str,
    pub developer: &'static str,
    pub description: &'static str,
    pub tags: &'static [&'static str],
    /// ISO 8601 date.
    pub released: &'static str,
    pub pointer: PointerMode,
    pub touch: Vec<TouchControl>,
    pub pads: u8,
    pub width: u32,
    pub height: u32,
    pub fps: u32,
    pub kbps: u32,
}

/// The catalogue of built-in games.
pub fn built_in() -> Vec<BuiltIn> {
    unimplemented!("games")
}

/// Starts a built-in game; `save` is what [`Game::save`] gave. A save that cannot be read is an error, not a new game.
pub fn create(slug: &str, seed: u64, save: Option<&[u8]>) -> Result<Box<dyn Game>, GameError> {
    let _ = (slug, seed, save);
    unimplemented!("games")
}

#[derive(Debug, thiserror::Error)]
pub enum GameError {
    #[error("there is no built-in game {0}")]
    Unknown(String),
    #[error("the save cannot be read: {0}")]
    BadSave(String),
}

/// A running built-in game.
pub trait Game: Send {
    /// One input event of a control slot. Cheap; what it changes shows at the next tick.
    fn input(&mut self, slot: u8, event: &InputFrame);

    /// Advances time by 1/fps.
    fn tick(&mut self);

    /// True when, without input, no tick would change picture or sound: the runner may sleep until the next input.
    fn idle(&self) -> bool;

    /// Draws what changed since the last call; gives the rectangle that changed, or `None` when nothing did.
    fn draw(&mut self, picture: &mut tiny_skia::Pixmap) -> Option<Rect>;

    /// Fills one block of sound; false (and zeros) when it is silent.
    fn sound(&mut self, block: &mut [i16; AUDIO_BLOCK]) -> bool;

    /// The save as bytes.
    fn save(&self) -> Vec<u8>;

    /// True once after the save would have changed.
    fn take_dirty(&mut self) -> bool;
}

/// A rectangle in pixels, inside the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rect {
    pub x: u32,
    pub y: u32,
    pub width: u32,
    pub height: u32,
}
