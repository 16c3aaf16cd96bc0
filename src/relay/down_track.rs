//! Under which numbers one viewer is sent a session's video.
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

use super::ring::{self, Kept, Ring};
use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

/// Missing packets directly before a key frame that are taken to be late and keep their numbers: they may be the key
/// frame's own. More than these are taken to be lost, and left out of the numbering.
const REORDERED: u64 = 16;
/// Boundaries since the last skip that NACKs are answered across. The oldest is forgotten.
const BOUNDARIES: usize = 8;
/// A missing packet that is asked for again after this is taken to be lost before the gateway, not late.
const LATE: Duration = Duration::from_millis(100);

/// Where a key frame begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyFrame {
    /// Index of its first packet, as far as it has come.
    pub(super) start: u64,
    /// Packets directly before that have not come.
    pub(super) missing: u64,
}

impl KeyFrame {
    /// Whether the packets missing before it may be its own and still come; else they are lost.
    pub(super) fn may_be_late(self) -> bool {
        self.missing <= REORDERED
    }
}

/// A packet that was given a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numbered {
    /// In the session.
    pub(super) index: u64,
    /// In this viewer's stream.
    pub(super) packet: u64,
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
    /// The newest packet index that the viewer has reported on; before its first report, the one it begins with.
    reported: u64,
    has_reported: bool,
}

impl DownTrack {
    /// `base`: below 2^15, random.
    pub(super) fn new(base: u16) -> Self {
        let base = u64::from(base);
        Self {
            current: Numbered { index: 0, packet: base },
            earlier: VecDeque::new(),
            next_packet: base,
            highest: 0,
            key_frame: 0,
            hole: None,
            reported: base,
            has_reported: false,
        }
    }

    /// A key frame begins.
    pub(super) fn key_frame(&mut self, key_frame: KeyFrame) {
        self.key_frame = key_frame.start;
    }

    /// Whether a key frame can be sent whole. One whose first packet came late, after packets behind it were sent, cannot.
    pub(super) fn is_whole(&self, key_frame: KeyFrame) -> bool {
        key_frame.start > self.highest
    }

    /// Whether the packets missing before this key frame are to be left out of the numbering.
    pub(super) fn closes(&self, key_frame: KeyFrame) -> bool {
        !key_frame.may_be_late() && self.is_whole(key_frame)
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
    pub(super) fn resume(&mut self, key_frame: KeyFrame) {
        self.earlier.clear();
        self.key_frame = key_frame.start;
        self.renumber(key_frame);
    }

    fn renumber(&mut self, key_frame: KeyFrame) {
        let late = if key_frame.may_be_late() { key_frame.missing } else { 0 };
        let index = key_frame.start.saturating_sub(late).max(self.highest + 1);
        self.current = Numbered { index, packet: self.next_packet };
    }

    /// The index from which on packets have numbers: nothing before the newest boundary is sent any more.
    pub(super) fn start(&self) -> u64 {
        self.current.index
    }

    /// Whether a packet may be sent for the first time.
    pub(super) fn may_send(&self, index: u64) -> bool {
        index >= self.current.index
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

    /// The packet index after the greatest one used.
    pub(super) fn next_packet(&self) -> u64 {
        self.next_packet
    }

    /// How many packet indices were used since the newest one that the viewer has reported on. Of a viewer that never
    /// reports nothing is known: 0.
    pub(super) fn unreported(&self) -> u64 {
        if self.has_reported { self.next_packet.saturating_sub(self.reported + 1) } else { 0 }
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

    /// How many of these sequence numbers were sent since the newest key frame. What was lost before it, or before the
    /// gateway, does not count.
    pub(super) fn lost_of_the_newest_group(&self, ring: &Ring, sequences: &[u16]) -> usize {
        let lost = |sequence: &&u16| {
            self.find(**sequence).is_some_and(|numbered| {
                self.is_needed(numbered.index) && !matches!(ring.find(numbered.index), Kept::Missing)
            })
        };
        sequences.iter().filter(lost).count()
    }

    /// Where the newest group of pictures begins.
    pub(super) fn newest_group(&self) -> u64 {
        self.key_frame
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

    /// The viewer has reported on everything up to this sequence number. Gives the packet indices that it reports on for
    /// the first time; of a long silence, no more than the ring can tell of.
    pub(super) fn reported(&mut self, sequence: u16) -> Range<u64> {
        let Some(newest) = self.find(sequence).map(|numbered| numbered.packet) else { return 0..0 };
        let since = self.reported.max(newest.saturating_sub(ring::VIDEO as u64));
        self.reported = self.reported.max(newest);
        self.has_reported = true;
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
}

#[cfg(test)]
#[path = "down_track_tests.rs"]
mod tests;
