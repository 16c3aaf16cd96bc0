//! How far a viewer's packet numbers may run ahead of what it has reported.
//!
//! A receiver guesses the upper bits of a packet's number from the newest one it has (RFC 3711 section 3.3.1). Where 2^15
//! packets in a row were lost it guesses wrong and opens nothing any more, until there is a new connection. So a viewer that
//! reports, and has not for so many packets, is sent nothing until there is a sign that packets reach it again.

use crate::relay::down_track::DownTrack;
use crate::relay::feedback::Reception;
use crate::relay::ring;
use std::time::{Duration, Instant};

/// With what one batch may add this stays below 2^14.
const FAR: u64 = (1 << 14) - ring::VIDEO as u64;
/// A viewer that is tried again is sent so many more before it has to report on one of them; and where that ends.
const MORE: u64 = 1 << 12;
const TOO_FAR: u64 = (1 << 15) - 2 * MORE;
/// A viewer of which nothing is heard at all is tried again after this: one that receives nothing may have nothing to report.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// What a viewer's report changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::relay) enum Heard {
    Nothing,
    /// It was sent nothing, since nothing had been heard of it, and needs a key frame now.
    Again,
    /// Its receiver would lose count: only a new connection helps.
    Lost,
}

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct Reach {
    held: Option<Held>,
    /// The sender report that the viewer last said to have received.
    last_report: u32,
    /// Packet index up to which nothing is held, whatever was reported.
    granted: u64,
}

/// Nothing is sent.
#[derive(Debug, Clone, Copy)]
struct Held {
    since: Instant,
    /// The sender report that the viewer had received.
    last_report: u32,
}

impl Reach {
    /// Whether too much was sent without a report on it.
    pub(super) fn is_exceeded(&self, track: &DownTrack) -> bool {
        track.unreported() > FAR && track.next_packet() > self.granted
    }

    /// Nothing is sent from now on.
    pub(super) fn hold(&mut self, now: Instant) {
        self.held = Some(Held { since: now, last_report: self.last_report });
    }

    pub(super) fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// Whether a viewer of which nothing is heard is tried again now. It needs a key frame then.
    pub(super) fn tries_again(&mut self, now: Instant, track: &DownTrack) -> bool {
        let tries = self.held.is_some_and(|held| now.saturating_duration_since(held.since) >= TRY_AGAIN)
            && track.unreported() <= TOO_FAR;
        if tries {
            self.release(track);
        }
        tries
    }

    /// A report on the video, of which the track knows already. A sender report that has reached the viewer shows that
    /// packets do.
    pub(super) fn heard(&mut self, report: Reception, track: &DownTrack) -> Heard {
        let newer = self.held.is_some_and(|held| report.last_report != held.last_report);
        self.last_report = report.last_report;
        if newer || !self.is_exceeded(track) { self.reached(track) } else { Heard::Nothing }
    }

    /// Packets reach the viewer.
    pub(super) fn reached(&mut self, track: &DownTrack) -> Heard {
        if self.held.is_none() {
            return Heard::Nothing;
        }
        if track.unreported() > TOO_FAR {
            return Heard::Lost;
        }
        self.release(track);
        Heard::Again
    }

    fn release(&mut self, track: &DownTrack) {
        self.held = None;
        self.granted = track.next_packet() + MORE;
    }
}
