//! Input into the X server by XTEST: keys, buttons, wheel, pointer, text, touch, gamepads by their map.

use super::pads::PadMap;
use playgate_signaling::input::InputFrame;

#[derive(Debug, thiserror::Error)]
pub enum InjectError {
    #[error("the X server is gone: {0}")]
    Gone(String),
}

/// One connection that types, points and clicks.
pub struct Injector {}

impl Injector {
    /// `display` as in `DISPLAY`; width and height are the screen's, in pixels.
    pub fn connect(_display: &str, _width: u32, _height: u32, _pads: PadMap) -> Result<Self, InjectError> {
        unimplemented!()
    }

    /// Does what the frame says; what a game cannot have (a pad without a map) does nothing. Flushes.
    pub fn apply(&mut self, _slot: u8, _frame: &InputFrame) -> Result<(), InjectError> {
        unimplemented!()
    }
}
