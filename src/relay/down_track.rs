//! What one viewer is sent of a session's video, and under which sequence numbers.
//!
//! Always: the first packet sent begins a key frame; a sequence number stands for one index for good (holes stay holes,
//! nothing is renumbered); after a loss of the relay's own making nothing is sent before the next key frame.

use std::ops::Range;
use std::time::{Duration, Instant};

/// A joiner's group of pictures is sent within this.
const CATCH_UP: Duration = Duration::from_millis(100);
const CATCH_UP_STEP: Duration = Duration::from_millis(5);
/// Packets of the first step: the key frame, mostly.
const FIRST_STEP: u64 = 48;
/// Retransmissions in one go, and a second: the rest is asked for again.
const BURST: f64 = 256.0;
const RATE: f64 = 1500.0;

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
    /// The cached group is being sent; `next` is the next index.
    Catching {
        next: u64,
        until: Instant,
        step: Instant,
    },
    Live,
}

/// One viewer's video.
#[derive(Debug)]
pub(super) struct DownTrack {
    base: u16,
    phase: Phase,
    /// Index of sequence number `base`.
    origin: Option<u64>,
    /// Newest index sent.
    highest: u64,
    /// Never to be repaired: everything before the key frame that ended the last skip.
    skipped: Range<u64>,
    started: bool,
    share: f64,
    refilled: Instant,
}

impl DownTrack {
    /// `base`: below 2^15, random.
    pub(super) fn new(now: Instant, base: u16) -> Self {
        Self {
            base,
            phase: Phase::Waiting,
            origin: None,
            highest: 0,
            skipped: 0..0,
            started: false,
            share: BURST,
            refilled: now,
        }
    }

    /// The viewer is connected. False: there is no group to start from, a key frame is needed.
    pub(super) fn join(&mut self, now: Instant, group: Option<u64>) -> bool {
        let Some(start) = group else { return false };
        self.phase = Phase::Catching { next: start, until: now + CATCH_UP, step: now };
        self.resume_at(start);
        true
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
        let Phase::Catching { next, until, step } = self.phase else { return 0..0 };
        if now < step {
            return 0..0;
        }
        let left = (newest + 1).saturating_sub(next);
        let steps = until.saturating_duration_since(now).as_millis() / CATCH_UP_STEP.as_millis();
        let share = left.div_ceil(u64::try_from(steps).unwrap_or(0) + 1).max(FIRST_STEP).min(left);
        let piece = next..next + share;
        self.phase = if share == left {
            Phase::Live
        } else {
            Phase::Catching { next: piece.end, until, step: now + CATCH_UP_STEP }
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

    /// The sequence number for an index that is being sent.
    pub(super) fn send(&mut self, index: u64) -> u16 {
        self.highest = self.highest.max(index);
        self.started = true;
        self.sequence(index)
    }

    /// The sequence number that stands for an index.
    pub(super) fn sequence(&self, index: u64) -> u16 {
        let offset = index.wrapping_sub(self.origin.unwrap_or(index));
        #[expect(clippy::cast_possible_truncation, reason = "sequence numbers are modulo 2^16")]
        let low = offset as u16;
        self.base.wrapping_add(low)
    }

    /// Nothing from here on was ever sent.
    pub(super) fn next_unsent(&self) -> u64 {
        if self.started { self.highest + 1 } else { 0 }
    }

    /// The relay could not send or repair a packet: nothing more before the next key frame.
    pub(super) fn skip(&mut self) {
        self.phase = Phase::Waiting;
    }

    /// The viewer reports a loss.
    pub(super) fn nack(&mut self, now: Instant, sequence: u16) -> Nack {
        let back = self.sequence(self.highest).wrapping_sub(sequence);
        let (Some(origin), true) = (self.origin, back < 1 << 15) else { return Nack::Ignore };
        let Some(index) = self.highest.checked_sub(u64::from(back)) else { return Nack::Ignore };
        if index < origin || self.skipped.contains(&index) || self.phase == Phase::Waiting {
            return Nack::Ignore;
        }
        self.share =
            (self.share + now.saturating_duration_since(self.refilled).as_secs_f64() * RATE).min(BURST);
        self.refilled = now;
        if self.share < 1.0 {
            return Nack::Limited;
        }
        self.share -= 1.0;
        Nack::Resend(index)
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
        assert_eq!(track.nack(now, 101), Nack::Resend(61));
        assert_eq!(track.nack(now, 99), Nack::Ignore, "before the first");
        assert_eq!(track.nack(now, 103), Nack::Ignore, "after the last");
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
        assert!(now <= start + CATCH_UP);
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
        assert_eq!(track.nack(now, 5), Nack::Ignore);
        assert_eq!(track.nack(now, 0), Nack::Ignore, "what came before is of no use any more");
        assert_eq!(track.nack(now, 10), Nack::Resend(20));
    }

    #[test]
    fn a_storm_of_nacks_is_limited() {
        let now = Instant::now();
        let mut track = DownTrack::new(now, 0);
        track.key_frame(0);
        for index in 0..10_000 {
            track.send(index);
        }
        let resent =
            (0..10_000).filter(|sequence| matches!(track.nack(now, *sequence), Nack::Resend(_))).count();
        assert_eq!(resent, 256);
        assert_eq!(track.nack(now, 5), Nack::Limited);
        assert_eq!(track.nack(now + Duration::from_millis(10), 5), Nack::Resend(5));
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
            prop_assert_eq!(track.nack(now, sequence), Nack::Resend(index));
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
                    prop_assert_eq!(track.sequence(index), sequence);
                    sent = Some(index);
                }
            }
        }
    }
}
