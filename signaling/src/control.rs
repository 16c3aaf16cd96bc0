//! Who has the controls, on the wire: what viewers may wish, and what everybody in a session is told.
//!
//! Slots are 0-based. Nothing here says whose account somebody has: names are for showing, ids are those of viewers.

use crate::message::{MAX_RESUME_BYTES, MessageError, Role, check_field};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// Control slots a session has at most.
pub const MAX_SLOTS: u8 = 4;
/// How long a hand-over with an end may last, in seconds.
pub const HOT_SEAT_SECONDS: RangeInclusive<u32> = 5..=3600;
/// Requests that may be open in a session; one a viewer.
pub const MAX_REQUESTS: usize = 32;

/// What a viewer wants of the controls. `Id` is how a viewer is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish<Id> {
    /// To have a slot; without one, any.
    Request { slot: Option<u8> },
    /// To give back what it has, or to ask no longer.
    Release,
    /// To give a slot to another viewer, asked for or not; for so many seconds, or for good.
    Pass { to: Id, slot: Option<u8>, seconds: Option<u32> },
    /// To turn a request down.
    Deny { of: Id },
    /// The host's: to have a slot back.
    Take { slot: Option<u8> },
}

/// Who plays, who asks, who watches: as one viewer is told it, at its admission and at every change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ControlState {
    /// The viewer that is told.
    pub you: You,
    /// Slots of the game, 1-4.
    pub slots: u8,
    /// By slot. Several may share slot 0 until control is first handed over.
    pub holders: Vec<Holding>,
    /// In the order they came.
    pub requests: Vec<Request>,
    /// Viewers without a slot whose picture is up.
    pub spectators: u32,
}

/// What the viewer that is told may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct You {
    pub role: Role,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u8>,
    /// May take any slot, give it to anybody, and turn requests down.
    pub host: bool,
}

/// A slot and who has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Holding {
    pub slot: u8,
    pub viewer_id: String,
    pub name: String,
    /// When a hot-seat ends, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
}

/// Somebody who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    pub viewer_id: String,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u8>,
}

impl Wish<String> {
    /// Sizes and ranges.
    pub(crate) fn check(&self) -> Result<(), MessageError> {
        let (viewer, slot, seconds) = match self {
            Self::Request { slot } | Self::Take { slot } => (None, *slot, None),
            Self::Release => (None, None, None),
            Self::Pass { to, slot, seconds } => (Some(to), *slot, *seconds),
            Self::Deny { of } => (Some(of), None, None),
        };
        check_field("viewerId", viewer.map(String::as_str), MAX_RESUME_BYTES)?;
        if slot.is_some_and(|slot| slot >= MAX_SLOTS) {
            return Err(MessageError::OutOfRange { field: "slot" });
        }
        if seconds.is_some_and(|seconds| !HOT_SEAT_SECONDS.contains(&seconds)) {
            return Err(MessageError::OutOfRange { field: "seconds" });
        }
        Ok(())
    }
}
