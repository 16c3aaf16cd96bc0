//! Why there is no picture of a session, and when to ask again.

use super::metrics::Outcome;
use crate::relay::Codec;
use std::time::Duration;

/// A picture, and a refusal of one, is good for this long.
pub const LIFE: Duration = Duration::from_secs(10);
/// But this long when the source had sent no key frame yet.
pub(super) const RETRY_NOT_YET: Duration = Duration::from_secs(1);

/// Why there is no picture, in words for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("The game has shown no picture yet.")]
    NotYet,
    #[error("The game's pictures are sent as {}, and none can be made of that.", .0.name())]
    Codec(Codec),
    #[error("The game's picture cannot be read.")]
    Unreadable,
    #[error("The game's picture took too long to read.")]
    Slow,
    #[error("Too many pictures are being made at the moment.")]
    Busy,
}

impl Refusal {
    /// When asking again may help.
    pub fn retry_after(self) -> Duration {
        match self {
            Self::NotYet => RETRY_NOT_YET,
            Self::Busy => Duration::from_secs(2),
            Self::Unreadable | Self::Slow => LIFE,
            // Not before the game is another one.
            Self::Codec(_) => Duration::from_secs(60),
        }
    }

    pub(super) fn outcome(self) -> Outcome {
        match self {
            Self::NotYet => Outcome::NotYet,
            Self::Codec(_) => Outcome::Codec,
            Self::Unreadable => Outcome::Unreadable,
            Self::Slow => Outcome::Slow,
            Self::Busy => Outcome::Busy,
        }
    }
}
