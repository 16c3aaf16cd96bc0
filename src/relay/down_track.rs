//! What one viewer is sent of a session's video, and under which numbers.
//!
//! The session's *index* counts what the source sent; the viewer's *packet index* (RFC 3711 section 3.3.1: rollover
//! counter and sequence number) is that index plus an offset. What the viewer is not sent after a skip is taken out of the
//! offset, so that its receiver sees no hole, reports no loss and asks for nothing. What the source's network lost keeps
//! its number: it may still come.
//!
//! Invariants:
//! - The first packet sent, and the first one after a skip, belongs to a key frame.
//! - The offset changes only at the start of a key frame (a boundary). The numbers behind it are all greater than those used before.
//! - A packet index stands for one index for good, and what lies before the newest boundary is never sealed again in this
//!   stream: neither retransmitted under another number nor sent for the first time because it came late.
//! - A sequence number in a NACK finds the index it was used for, or nothing.

use super::budget::Budget;
use super::ring::{self, Kept, Ring};
use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

/// A joiner's group of pictures is sent within this.
const CATCH_UP: Pace = Pace { within: Duration::from_millis(100), step: Duration::from_millis(5), least: 48 };
/// Retransmissions whose time is remembered: one is not repeated before it can have arrived.
const RESENT: usize = 256;
/// One NACK that misses more packets than this is an outage: a key frame is less than all of that.
pub(super) const OUTAGE: usize = 160;
/// Retransmissions in one go, and a second at most: the rest is asked for again.
const BURST: f64 = 256.0;
pub(super) const REPAIRS: f64 = 1500.0;
/// Missing packets directly before a key frame that are taken to be late and keep their numbers: they may be the key
/// frame's own. More than these are taken to be lost, and left out of the numbering.
const REORDERED: u64 = 16;
/// Boundaries since the last skip that NACKs are answered across. The oldest is forgotten.
const BOUNDARIES: usize = 8;
/// A missing packet that is asked for again after this is taken to be lost before the gateway, not late.
const LATE: Duration = Duration::from_millis(100);

/// How a piece of the stream is spread over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    pub(super) within: Duration,
    pub(super) step: Duration,
    /// Packets of a step at least.
    pub(super) least: u64,
}

/// Where a key frame begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyFrame {
    /// Index of its first packet, as far as it has come.
    pub(super) start: u64,
    /// Packets directly before that have not come.
    pub(super) missing: u64,
}

/// A packet that was given a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numbered {
    /// In the session.
    pub(super) index: u64,
    /// In this viewer's stream.
    pub(super) packet: u64,
}

/// Whether a lost packet may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repair {
    Send,
    /// It was sent again less than a round trip ago.
    UnderWay,
    /// More than this viewer's share.
    Limited,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing is sent before a key frame.
    Waiting,
    /// What is there from `next` on is being sent, piece by piece.
    Catching {
        next: u64,
        until: Instant,
        step: Instant,
        pace: Pace,
    },
    Live,
}

/// A hole in the source that the viewer has asked for.
#[derive(Debug, Clone, Copy)]
struct Hole {
    /// Newest packet index sent when it was first asked for: later holes are other ones.
    until: u64,
    since: Instant,
    key_frame_requested: bool,
}

/// One viewer's video.
#[derive(Debug)]
pub(super) struct DownTrack {
    phase: Phase,
    /// From this index and packet index on, both count alike.
    current: Numbered,
    /// The boundaries before it since the last skip, oldest first.
    earlier: VecDeque<Numbered>,
    /// The packet index after the greatest one used.
    next_packet: u64,
    /// Newest index sent; 0: none.
    highest: u64,
    /// Where the newest key frame begins.
    key_frame: u64,
    hole: Option<Hole>,
    /// The newest packet index that the viewer has reported on.
    reported: u64,
    repairs: Budget,
    /// Index and time of the last retransmissions, by index; no memory before the first one.
    resent: Vec<(u64, Instant)>,
}

impl DownTrack {
    /// `base`: below 2^15, random.
    pub(super) fn new(now: Instant, base: u16) -> Self {
        let base = u64::from(base);
        Self {
            phase: Phase::Waiting,
            current: Numbered { index: 0, packet: base },
            earlier: VecDeque::new(),
            next_packet: base,
            highest: 0,
            key_frame: 0,
            hole: None,
            reported: base,
            repairs: Budget::new(now, BURST),
            resent: Vec::new(),
        }
    }

    /// The viewer is connected. False: there is no group to start from, a key frame is needed.
    pub(super) fn join(&mut self, now: Instant, group: Option<KeyFrame>) -> bool {
        let Some(key_frame) = group else { return false };
        self.resume(key_frame);
        let next = self.current.index;
        self.phase = Phase::Catching { next, until: now + CATCH_UP.within, step: now, pace: CATCH_UP };
        true
    }

    /// Everything from `start` on, which was not sent yet, is spread by `pace`. Only while nothing else is.
    pub(super) fn spread(&mut self, now: Instant, start: u64, pace: Pace) {
        if self.phase == Phase::Live {
            self.phase = Phase::Catching { next: start, until: now + pace.within, step: now, pace };
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.phase == Phase::Waiting
    }

    /// A key frame begins. `Some`: the viewer waited for it, and is to be sent everything from this index on. One whose
    /// first packet came late, after packets behind it were sent, ends no waiting: it could not be sent whole.
    pub(super) fn key_frame(&mut self, key_frame: KeyFrame) -> Option<u64> {
        self.key_frame = key_frame.start;
        if self.phase != Phase::Waiting || key_frame.start <= self.highest {
            return None;
        }
        self.phase = Phase::Live;
        self.resume(key_frame);
        Some(self.current.index)
    }

    /// Whether the packets missing before this key frame are to be left out of the numbering: by [`Self::close`], when all
    /// that came before it was sent.
    pub(super) fn closes(&self, key_frame: KeyFrame) -> bool {
        self.phase == Phase::Live && key_frame.missing > REORDERED && key_frame.start > self.highest
    }

    /// Makes the start of this key frame a boundary, without a skip.
    pub(super) fn close(&mut self, key_frame: KeyFrame) {
        if self.next_packet > self.current.packet {
            if self.earlier.len() >= BOUNDARIES {
                self.earlier.pop_front();
            }
            self.earlier.push_back(self.current);
        }
        self.renumber(key_frame);
    }

    /// Goes on at a key frame after a skip. Nothing from before it is repaired any more.
    fn resume(&mut self, key_frame: KeyFrame) {
        self.earlier.clear();
        self.key_frame = key_frame.start;
        self.renumber(key_frame);
    }

    fn renumber(&mut self, key_frame: KeyFrame) {
        let late = if key_frame.missing <= REORDERED { key_frame.missing } else { 0 };
        let index = key_frame.start.saturating_sub(late).max(self.highest + 1);
        self.current = Numbered { index, packet: self.next_packet };
    }

    /// Whether a packet that has just arrived is to be sent at once.
    pub(super) fn wants(&self, index: u64) -> bool {
        index >= self.current.index
            && match self.phase {
                Phase::Waiting => false,
                Phase::Live => true,
                Phase::Catching { next, .. } => index < next,
            }
    }

    /// The next piece of the cached group, when it is time for it. `newest`: the newest index there is.
    pub(super) fn catch_up(&mut self, now: Instant, newest: u64) -> Range<u64> {
        let Phase::Catching { next, until, step, pace } = self.phase else { return 0..0 };
        if now < step {
            return 0..0;
        }
        let left = (newest + 1).saturating_sub(next);
        let steps = until.saturating_duration_since(now).as_micros() / pace.step.as_micros().max(1);
        let share = left.div_ceil(u64::try_from(steps).unwrap_or(0) + 1).max(pace.least).min(left);
        let piece = next..next + share;
        self.phase = if share == left {
            Phase::Live
        } else {
            Phase::Catching { next: piece.end, until, step: now + pace.step, pace }
        };
        piece
    }

    /// When to call [`Self::catch_up`].
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Catching { step, .. } => Some(step),
            Phase::Waiting | Phase::Live => None,
        }
    }

    /// The packet index of an index behind the newest boundary.
    pub(super) fn packet_index(&self, index: u64) -> u64 {
        self.current.packet + index.saturating_sub(self.current.index)
    }

    /// A packet was sealed under [`Self::packet_index`].
    pub(super) fn sent(&mut self, index: u64) {
        self.highest = self.highest.max(index);
        self.next_packet = self.next_packet.max(self.packet_index(index) + 1);
    }

    /// Nothing from here on was ever sent.
    pub(super) fn next_unsent(&self) -> u64 {
        self.highest + 1
    }

    /// Nothing more is sent before the next key frame.
    pub(super) fn skip(&mut self) {
        self.phase = Phase::Waiting;
    }

    /// What a sequence number of the viewer stands for; `None` for what was never sent, was sent too long ago, or lies
    /// before a skip.
    pub(super) fn find(&self, sequence: u16) -> Option<Numbered> {
        let newest = self.next_packet.checked_sub(1)?;
        #[expect(clippy::cast_possible_truncation, reason = "sequence numbers are modulo 2^16")]
        let back = (newest as u16).wrapping_sub(sequence);
        if back >= 1 << 15 {
            return None;
        }
        let packet = newest.checked_sub(u64::from(back))?;
        let mut boundaries = std::iter::once(&self.current).chain(self.earlier.iter().rev());
        let boundary = boundaries.find(|boundary| packet >= boundary.packet)?;
        Some(Numbered { index: boundary.index + (packet - boundary.packet), packet })
    }

    /// Whether one NACK shows an outage: of what was sent since the newest key frame, too much is missed. What was lost
    /// before it, or before the gateway, does not count.
    pub(super) fn is_outage(&self, ring: &Ring, sequences: &[u16]) -> bool {
        let lost = |sequence: &&u16| {
            self.find(**sequence).is_some_and(|numbered| {
                self.is_needed(numbered.index) && !matches!(ring.find(numbered.index), Kept::Missing)
            })
        };
        sequences.len() > OUTAGE && sequences.iter().filter(lost).count() > OUTAGE
    }

    /// Whether a packet is part of the newest group of pictures.
    pub(super) fn is_needed(&self, index: u64) -> bool {
        index >= self.key_frame
    }

    /// The viewer asks for a packet that never came from the source. True: it is lost rather than late, and a key frame
    /// should be requested; once for each hole.
    pub(super) fn asks_for_missing(&mut self, now: Instant, missing: Numbered) -> bool {
        if !self.is_needed(missing.index) {
            return false;
        }
        match &mut self.hole {
            Some(hole) if missing.packet <= hole.until => {
                let lost = now.saturating_duration_since(hole.since) >= LATE;
                lost && !std::mem::replace(&mut hole.key_frame_requested, true)
            }
            Some(_) | None => {
                self.hole = Some(Hole { until: self.next_packet, since: now, key_frame_requested: false });
                false
            }
        }
    }

    /// Whether a lost packet may be sent again now. `trip`: the round trip; what was sent again within it is on its way.
    /// `repairs`: how many retransmissions a second the viewer's link has room for.
    pub(super) fn repair(&mut self, now: Instant, index: u64, trip: Duration, repairs: f64) -> Repair {
        if self.is_under_way(now, index, trip) {
            return Repair::UnderWay;
        }
        if !self.repairs.take(now, repairs, BURST.min(repairs)) {
            return Repair::Limited;
        }
        self.note_resent(now, index);
        Repair::Send
    }

    /// The viewer has reported on everything up to this sequence number. Gives the packet indices that it reports on for
    /// the first time; of a long silence, no more than the ring can tell of.
    pub(super) fn reported(&mut self, sequence: u16) -> Range<u64> {
        let Some(newest) = self.find(sequence).map(|numbered| numbered.packet) else { return 0..0 };
        let since = self.reported.max(newest.saturating_sub(ring::VIDEO as u64));
        self.reported = self.reported.max(newest);
        since + 1..newest + 1
    }

    /// How many of these packet indices stand for packets that never came from the source.
    pub(super) fn missing(&self, ring: &Ring, packets: Range<u64>) -> u64 {
        let missing = |packet: &u64| {
            #[expect(clippy::cast_possible_truncation, reason = "sequence numbers are modulo 2^16")]
            let numbered = self.find(*packet as u16);
            numbered.is_some_and(|numbered| matches!(ring.find(numbered.index), Kept::Missing))
        };
        packets.filter(missing).count() as u64
    }

    fn is_under_way(&self, now: Instant, index: u64, trip: Duration) -> bool {
        let slot = usize::try_from(index % RESENT as u64).unwrap_or(0);
        let resent = self.resent.get(slot).filter(|(resent, _)| *resent == index);
        resent.is_some_and(|(_, at)| now.saturating_duration_since(*at) < trip)
    }

    fn note_resent(&mut self, now: Instant, index: u64) {
        if self.resent.is_empty() {
            self.resent = vec![(u64::MAX, now); RESENT];
        }
        let slot = usize::try_from(index % RESENT as u64).unwrap_or(0);
        if let Some(place) = self.resent.get_mut(slot) {
            *place = (index, now);
        }
    }
}

#[cfg(test)]
#[path = "down_track_tests.rs"]
mod tests;
