//! Gamepads: as keys and mouse by the game's map ([`mapped`]), or as devices of their own ([`uinput`]).

mod control;
mod map;
mod mapped;
mod uinput;

pub use control::Control;
pub use map::{PadMap, PadMapError};

use playgate_signaling::input::PadState;
use std::time::Instant;

/// What a control does, in the X server's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Key(u8),
    Button(u8),
}

/// A control that went down or came up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Deed {
    pub(super) pad: u8,
    pub(super) control: Control,
    pub(super) action: Action,
    pub(super) down: bool,
}

/// Where the players' gamepads go.
pub(super) trait PadSink: Send {
    /// A pad was connected or taken away.
    fn presence(&mut self, slot: u8, pad: u8, connected: bool) -> Vec<Deed>;

    /// The whole pad as it is now.
    fn state(&mut self, slot: u8, state: &PadState, now: Instant) -> Vec<Deed>;

    /// The player lets go of everything; the caller releases what the pads held.
    fn release(&mut self, slot: u8);

    /// As [`Self::release`], for every player.
    fn release_all(&mut self);

    /// How far the mouse has to go, in pixels, since it was last asked.
    fn moved(&mut self, _now: Instant) -> (i16, i16) {
        (0, 0)
    }

    /// When [`Self::moved`] should be asked again.
    fn deadline(&self) -> Option<Instant> {
        None
    }
}

/// Pads of games that have none.
struct Nowhere;

impl PadSink for Nowhere {
    fn presence(&mut self, _slot: u8, _pad: u8, _connected: bool) -> Vec<Deed> {
        Vec::new()
    }

    fn state(&mut self, _slot: u8, _state: &PadState, _now: Instant) -> Vec<Deed> {
        Vec::new()
    }

    fn release(&mut self, _slot: u8) {}

    fn release_all(&mut self) {}
}

/// The map's pads if there is a map, else devices where this machine can make them, else none. `width` is the screen's.
pub(super) fn sink(map: PadMap, width: u32) -> Box<dyn PadSink> {
    if !map.is_empty() {
        return Box::new(mapped::Mapped::new(map, width));
    }
    if uinput::is_there() {
        return Box::new(uinput::Devices::default());
    }
    Box::new(Nowhere)
}
