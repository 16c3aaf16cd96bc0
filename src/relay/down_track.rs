//! What one viewer is sent of a session's video, and under which sequence numbers.
//!
//! Always: the first packet sent begins a key frame; a sequence number stands for one index for good (holes stay holes,
//! nothing is renumbered); after a loss of the relay's own making nothing is sent before the next key frame.

use super::budget::Budget;
use std::ops::Range;
use std::time::{Duration, Instant};

/// A joiner's group of pictures is sent within this.
const CATCH_UP: Pace = Pace { within: Duration::from_millis(100), step: Duration::from_millis(5), least: 48 };
/// Retransmissions whose time is remembered: one is not repeated before it can have arrived.
const RESENT: usize = 256;
/// One report that misses more than this is an outage: a key frame is less than all of that.
pub(super) const OUTAGE: usize = 160;
/// Retransmissions in one go, and a second at most: the rest is asked for again.
const BURST: f64 = 256.0;
pub(super) const REPAIRS: f64 = 1500.0;

/// How a piece of the stream is spread over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    pub(super) within: Duration,
    pub(super) step: Duration,
    /// Packets of a step at least.
    pub(super) least: u64,
}

/// The answer to one reported loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nack {
    Resend(u64),
    /// Was never sent, or is not to be repaired: a key frame is coming.
    Ignore,
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

/// One viewer's video.
#[derive(Debug)]
pub(super) struct DownTrack {
    base: u64,
    phase: Phase,
    /// Session index of the packet index `base`.
    origin: Option<u64>,
    /// Newest index sent.
    highest: u64,
    /// Never to be repaired: everything before the key frame that ended the last skip.
    skipped: Range<u64>,
    started: bool,
    repairs: Budget,
    /// Index and time of the last retransmissions, by index; no memory before the first one.
    resent: Vec<(u64, Instant)>,
}

impl DownTrack {
    /// `base`: below 2^15, random.
    pub(super) fn new(now: Instant, base: u16) -> Self {
        Self {
            base: u64::from(base),
            phase: Phase::Waiting,
            origin: None,
            highest: 0,
            skipped: 0..0,
            started: false,
            repairs: Budget::new(now, BURST),
            resent: Vec::new(),
        }
    }

    /// The viewer is connected. False: there is no group to start from, a key frame is needed.
    pub(super) fn join(&mut self, now: Instant, group: Option<u64>) -> bool {
        let Some(start) = group else { return false };
        self.phase = Phase::Catching { next: start, until: now + CATCH_UP.within, step: now, pace: CATCH_UP };
        self.resume_at(start);
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

    /// A key frame begins at `start`. True: the viewer waited for it and is now sent everything from there.
    pub(super) fn key_frame(&mut self, start: u64) -> bool {
        let waited = self.phase == Phase::Waiting;
        if waited {
            self.phase = Phase::Live;
            self.resume_at(start);
        }
        waited
    }

    /// Whether a packet that has just arrived is to be sent at once.
    pub(super) fn wants(&self, index: u64) -> bool {
        let old = self.origin.is_none_or(|origin| index < origin) || self.skipped.contains(&index);
        match self.phase {
            Phase::Waiting => false,
            Phase::Live => !old,
            Phase::Catching { next, .. } => !old && index < next,
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

    /// The packet index (RFC 3711 section 3.3.1) for a session index that is being sent: rollover counter and sequence
    /// number in its low 48 bits.
    pub(super) fn send(&mut self, index: u64) -> u64 {
        self.highest = self.highest.max(index);
        self.started = true;
        self.packet_index(index)
    }

    /// The packet index that stands for a session index.
    pub(super) fn packet_index(&self, index: u64) -> u64 {
        self.base + index.saturating_sub(self.origin.unwrap_or(index))
    }

    #[expect(clippy::cast_possible_truncation, reason = "sequence numbers are modulo 2^16")]
    fn sequence(&self, index: u64) -> u16 {
        self.packet_index(index) as u16
    }

    /// Nothing from here on was ever sent.
    pub(super) fn next_unsent(&self) -> u64 {
        if self.started { self.highest + 1 } else { 0 }
    }

    /// The relay could not send or repair a packet: nothing more before the next key frame.
    pub(super) fn skip(&mut self) {
        self.phase = Phase::Waiting;
    }

    /// The viewer reports a loss. `trip`: the round trip; what was sent again within it is on its way. `repairs`: how many
    /// retransmissions a second its link has room for.
    pub(super) fn nack(&mut self, now: Instant, sequence: u16, trip: Duration, repairs: f64) -> Nack {
        let back = self.sequence(self.highest).wrapping_sub(sequence);
        let (Some(origin), true) = (self.origin, back < 1 << 15) else { return Nack::Ignore };
        let Some(index) = self.highest.checked_sub(u64::from(back)) else { return Nack::Ignore };
        if index < origin || self.skipped.contains(&index) || self.phase == Phase::Waiting {
            return Nack::Ignore;
        }
        if self.is_under_way(now, index, trip) {
            return Nack::Ignore;
        }
        if !self.repairs.take(now, repairs, BURST.min(repairs)) {
            return Nack::Limited;
        }
        self.note_resent(now, index);
        Nack::Resend(index)
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

    fn resume_at(&mut self, start: u64) {
        match self.origin {
            None => {
                self.origin = Some(start);
                self.highest = start;
            }
            // Nothing was sent yet: the numbering may begin anew.
            Some(_) if !self.started => {
                self.origin = Some(start);
                self.highest = start;
            }
            Some(_) => self.skipped = 0..start.max(self.highest + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TRIP: Duration = Duration::from_millis(5);

    #[test]
    fn a_joiner_without_a_group_waits_for_a_key_frame() {
        let now = Instant::now();
        let mut track = DownTrack::new(now, 100);
        assert!(!track.join(now, None));
        assert!(!track.wants(50));
        assert!(track.key_frame(60));
        assert!(track.wants(60) && !track.wants(59));
        assert_eq!(track.send(60), 100);
        assert_eq!(track.send(62), 102, "holes stay holes");
        assert_eq!(track.nack(now, 101, TRIP, REPAIRS), Nack::Resend(61));
        assert_eq!(track.nack(now, 99, TRIP, REPAIRS), Nack::Ignore, "before the first");
        assert_eq!(track.nack(now, 103, TRIP, REPAIRS), Nack::Ignore, "after the last");
    }

    #[test]
    fn the_group_is_sent_in_pieces_within_100_ms() {
        let start = Instant::now();
        let mut track = DownTrack::new(start, 0);
        assert!(track.join(start, Some(1000)));
        let (mut next, mut now) = (1000, start);
        while let Some(at) = track.deadline() {
            now = now.max(at);
            let piece = track.catch_up(now, 2000);
            assert_eq!(piece.start, next);
            assert!(piece.end - piece.start < 200, "paced");
            next = piece.end;
        }
        assert_eq!(next, 2001);
        assert!(now <= start + CATCH_UP.within);
        assert!(track.wants(2001));
    }

    #[test]
    fn after_a_skip_the_hole_is_never_repaired() {
        let now = Instant::now();
        let mut track = DownTrack::new(now, 0);
        track.key_frame(10);
        track.send(10);
        track.skip();
        assert!(!track.wants(11));
        assert!(track.key_frame(20));
        assert_eq!(track.send(20), 10);
        assert_eq!(track.nack(now, 5, TRIP, REPAIRS), Nack::Ignore);
        assert_eq!(track.nack(now, 0, TRIP, REPAIRS), Nack::Ignore, "what came before is of no use any more");
        assert_eq!(track.nack(now, 10, TRIP, REPAIRS), Nack::Resend(20));
    }

    #[test]
    fn a_storm_of_nacks_is_limited() {
        let now = Instant::now();
        let mut track = DownTrack::new(now, 0);
        track.key_frame(0);
        for index in 0..10_000 {
            track.send(index);
        }
        let resent = (0..10_000)
            .filter(|sequence| matches!(track.nack(now, *sequence, TRIP, REPAIRS), Nack::Resend(_)))
            .count();
        assert_eq!(resent, 256);
        assert_eq!(track.nack(now, 9000, TRIP, REPAIRS), Nack::Limited);
        assert_eq!(track.nack(now + Duration::from_millis(10), 5, TRIP, REPAIRS), Nack::Resend(5));
    }

    #[test]
    fn a_retransmission_is_not_repeated_while_it_is_under_way() {
        let now = Instant::now();
        let mut track = DownTrack::new(now, 0);
        track.key_frame(0);
        track.send(9);
        let trip = Duration::from_millis(40);
        assert_eq!(track.nack(now, 4, trip, REPAIRS), Nack::Resend(4));
        assert_eq!(track.nack(now + Duration::from_millis(39), 4, trip, REPAIRS), Nack::Ignore);
        assert_eq!(track.nack(now + Duration::from_millis(39), 5, trip, REPAIRS), Nack::Resend(5));
        assert_eq!(track.nack(now + trip, 4, trip, REPAIRS), Nack::Resend(4));
    }

    #[test]
    fn a_key_frame_is_spread_over_its_time() {
        let start = Instant::now();
        let mut track = DownTrack::new(start, 0);
        track.key_frame(1);
        track.send(1);
        let pace = Pace { within: Duration::from_millis(4), step: Duration::from_millis(1), least: 4 };
        track.spread(start, 2, pace);
        assert!(!track.wants(2) && !track.wants(101));
        let (mut next, mut now, mut pieces) = (2, start, 0);
        while let Some(at) = track.deadline() {
            now = now.max(at);
            let piece = track.catch_up(now, 101);
            assert_eq!(piece.start, next);
            next = piece.end;
            pieces += 1;
        }
        assert_eq!((next, pieces), (102, 5));
        assert!(now <= start + pace.within);
    }

    #[test]
    fn the_end_of_the_frame_before_a_spread_key_frame_goes_out_at_once() {
        let now = Instant::now();
        let mut track = DownTrack::new(now, 0);
        track.key_frame(1);
        track.send(1);
        let pace = Pace { within: Duration::from_millis(4), step: Duration::from_millis(1), least: 4 };
        track.spread(now, 4, pace);
        assert!(track.wants(2) && track.wants(3) && !track.wants(4));
    }

    proptest! {
        #[test]
        fn a_sequence_number_finds_its_index_again(base in 0u16..1 << 15, start in 1u64..1 << 40, ahead in 0u64..200_000, back in 0u64..2000) {
            let now = Instant::now();
            let mut track = DownTrack::new(now, base);
            track.key_frame(start);
            let newest = start + ahead;
            track.send(newest);
            let index = newest.saturating_sub(back).max(start);
            let sequence = track.sequence(index);
            prop_assert_eq!(track.nack(now, sequence, TRIP, REPAIRS), Nack::Resend(index));
        }

        #[test]
        fn nothing_is_sent_between_a_skip_and_a_key_frame(events in proptest::collection::vec(0u8..10, 1..300)) {
            let now = Instant::now();
            let mut track = DownTrack::new(now, 0);
            let (mut waiting, mut sent) = (true, None::<u64>);
            for (index, event) in events.into_iter().enumerate() {
                let index = index as u64;
                if event == 0 { track.skip(); waiting = true; }
                if event == 1 && track.key_frame(index) { waiting = false; }
                prop_assert_eq!(track.wants(index), !waiting);
                if !waiting {
                    let sequence = track.send(index);
                    prop_assert!(sent.is_none_or(|last| last < index));
                    prop_assert_eq!(track.packet_index(index), sequence);
                    sent = Some(index);
                }
            }
        }
    }
}
