//! The two built-in games: drawn in software, deterministic from seed and inputs.
//!
//! A game never sees a clock: time is the count of its ticks. It never encodes and never touches a file; its save is a
//! value of bytes.

mod ember;
mod garden;
mod kit;

use kit::presses::key;
use playgate_signaling::input::InputFrame;
use playgate_signaling::message::{PointerMode, TouchControl, TouchPlace};

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

const GARDEN: &str = "garden-of-forking-paths";
const EMBER: &str = "ember";

/// The catalogue of built-in games.
pub fn built_in() -> Vec<BuiltIn> {
    let control =
        |label: &str, key: u16, place: TouchPlace| TouchControl { label: label.to_owned(), key, place };
    let (width, height) = (kit::WIDTH, kit::HEIGHT);
    vec![
        BuiltIn {
            slug: GARDEN,
            title: "The Garden of Forking Paths",
            developer: "Playgate",
            description: "A garden opens for a single evening. You may carry one thing through its gate: a lantern, or \
                          a letter you have not dared to read for eleven winters. A short story with real forks and \
                          seven ways to the morning.",
            tags: &["story", "calm", "choices"],
            released: "2026-01-15",
            pointer: PointerMode::Absolute,
            touch: vec![
                control("Back", key::BACKSPACE, TouchPlace::Secondary),
                control("Next", key::ENTER, TouchPlace::Primary),
            ],
            pads: 1,
            width,
            height,
            fps: 30,
            kbps: 4_000,
        },
        BuiltIn {
            slug: EMBER,
            title: "Ember",
            developer: "Playgate",
            description: "You are the last ember on a dark lake. Light every lantern before the moths put you out, \
                          and dash through them when you must: each one you burn gives the next dash back.",
            tags: &["arcade", "action", "score"],
            released: "2026-01-15",
            pointer: PointerMode::Absolute,
            touch: vec![
                control("Up", key::UP, TouchPlace::Up),
                control("Down", key::DOWN, TouchPlace::Down),
                control("Left", key::LEFT, TouchPlace::Left),
                control("Right", key::RIGHT, TouchPlace::Right),
                control("Dash", key::SPACE, TouchPlace::Primary),
            ],
            pads: 1,
            width,
            height,
            fps: 60,
            kbps: 8_000,
        },
    ]
}

/// A picture of a telling moment of the game, drawn by the game itself: PNG, 640x360. Takes some 100 ms; the caller
/// keeps it. `None` for a game that is not built in.
pub fn thumbnail(slug: &str) -> Option<Vec<u8>> {
    let full = match slug {
        GARDEN => garden::still(),
        EMBER => ember::still(),
        _ => None,
    }?;
    kit::paint::halved(&full)?.encode_png().ok()
}

/// Starts a built-in game; `save` is what [`Game::save`] gave. A save that cannot be read is an error, not a new game.
pub fn create(slug: &str, seed: u64, save: Option<&[u8]>) -> Result<Box<dyn Game>, GameError> {
    match slug {
        GARDEN => Ok(Box::new(garden::Garden::new(seed, save)?)),
        EMBER => Ok(Box::new(ember::Ember::new(seed, save)?)),
        _ => Err(GameError::Unknown(slug.to_owned())),
    }
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
