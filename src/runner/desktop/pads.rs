//! Gamepads for games that know none: controls as keys and mouse.

use std::collections::BTreeMap;

/// Names a control or a key that is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("pad_map: {0}")]
pub struct PadMapError(pub String);

/// What each control does.
#[derive(Debug, Clone, Default)]
pub struct PadMap {}

impl PadMap {
    /// From the game's configuration, as names to names.
    pub fn new(_names: &BTreeMap<String, String>) -> Result<Self, PadMapError> {
        unimplemented!()
    }
}
