//! One incoming stream: who may send it, and one unbroken numbering over all its restarts.
//!
//! The port and SSRC of the first valid packet are latched. A new SSRC from there, or a jump of the sequence, is a restart
//! of the source once two packets in a row show it (RFC 3550 appendix A.1): numbering and timestamps go on rising. The
//! first of the two is kept until then, so that a restart loses nothing. Another port is taken only after silence.
//! Timestamps are never re-stamped, only shifted by a constant at a restart.

use super::rtp::Rtp;
use super::stats::Drop;
use super::widths::Widths;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// How long the latched address must be silent before another is taken.
const SILENCE: Duration = Duration::from_secs(2);
/// The largest step of sequence numbers that is loss (forward) or reordering (backward) and not a restart (RFC 3550 A.1).
const MAX_FORWARD: u16 = 3000;
pub(super) const MAX_BACKWARD: u16 = 512;
/// Frame times that are believed.
const FRAME_TIME: (Duration, Duration) = (Duration::from_millis(4), Duration::from_millis(50));
/// Where numbering starts: packets older than the first still have a place below it.
const FIRST_INDEX: u64 = 1 << 16;

/// A packet's place in the unbroken numbering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) index: u64,
    /// As viewers get it.
    pub(super) timestamp: u32,
    /// The first packet after a restart of the source.
    pub(super) restarted: bool,
    /// No newer packet has come.
    pub(super) newest: bool,
}

/// A packet that may be the first one after a restart: believed when the next in its sequence comes.
#[derive(Debug)]
pub(super) struct Held {
    marker: bool,
    payload_type: u8,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    payload: Vec<u8>,
}

impl Held {
    fn new(rtp: &Rtp<'_>) -> Self {
        let Rtp { marker, payload_type, sequence, timestamp, ssrc, payload } = *rtp;
        Self { marker, payload_type, sequence, timestamp, ssrc, payload: payload.to_vec() }
    }

    pub(super) fn rtp(&self) -> Rtp<'_> {
        let Self { marker, payload_type, sequence, timestamp, ssrc, .. } = *self;
        Rtp { marker, payload_type, sequence, timestamp, ssrc, payload: &self.payload }
    }

    fn is_followed_by(&self, rtp: &Rtp<'_>) -> bool {
        (self.ssrc, self.sequence.wrapping_add(1)) == (rtp.ssrc, rtp.sequence)
    }
}

/// What decides over one incoming stream.
#[derive(Debug)]
pub(super) struct Source {
    allow: Vec<IpAddr>,
    payload_type: u8,
    /// Ticks a second.
    clock_rate: u32,
    latched: Option<Latched>,
}

#[derive(Debug)]
struct Latched {
    from: SocketAddr,
    last_packet: Instant,
    ssrc: u32,
    /// Source sequence number and position of the newest packet.
    sequence: u16,
    position: u64,
    widths: Widths,
    /// Lowest position that belongs to the running source.
    floor: u64,
    /// Added to the source's timestamps.
    shift: u32,
    /// Newest timestamp as viewers get it, and when it came.
    timestamp: u32,
    timestamp_at: Instant,
    /// Ticks between the newest two timestamps; 0: not known.
    step: u32,
    probation: Option<Held>,
}

impl Source {
    pub(super) fn new(allow: Vec<IpAddr>, payload_type: u8, clock_rate: u32) -> Self {
        Self {
            allow: allow.into_iter().map(|ip| ip.to_canonical()).collect(),
            payload_type,
            clock_rate,
            latched: None,
        }
    }

    /// The same source, of which nothing has come yet.
    pub(super) fn restarted(&self) -> Self {
        Self { allow: self.allow.clone(), latched: None, ..*self }
    }

    /// What the source said in its `hello`.
    pub(super) fn set_payload_type(&mut self, payload_type: u8) {
        self.payload_type = payload_type;
    }

    pub(super) fn takes(&self, payload_type: u8) -> bool {
        self.payload_type == payload_type
    }

    /// Nothing of it came for some time.
    pub(super) fn is_silent(&self, now: Instant) -> bool {
        self.latched
            .as_ref()
            .is_none_or(|latched| now.saturating_duration_since(latched.last_packet) >= SILENCE)
    }

    pub(super) fn allows(&self, from: SocketAddr) -> bool {
        self.allow.contains(&from.ip())
    }

    /// Where the source sends from, and its SSRC.
    pub(super) fn latched(&self) -> Option<(SocketAddr, u32)> {
        self.latched.as_ref().map(|latched| (latched.from, latched.ssrc))
    }

    /// The index after the newest packet.
    pub(super) fn next_index(&self) -> u64 {
        self.latched.as_ref().map_or(FIRST_INDEX, |latched| latched.position + latched.widths.total() + 1)
    }

    /// The newest packet takes so many places of the numbering more than the one it was given.
    pub(super) fn widen(&mut self, by: u64) {
        if let Some(latched) = self.latched.as_mut().filter(|_| by > 0) {
            latched.widths.widen(latched.position, by);
        }
    }

    /// A source timestamp as viewers get it.
    pub(super) fn shifted(&self, ssrc: u32, timestamp: u32) -> Option<u32> {
        let latched = self.latched.as_ref()?;
        (latched.ssrc == ssrc).then(|| timestamp.wrapping_add(latched.shift))
    }

    /// The timestamp that belongs to `now`, by the arrival of the newest packet.
    pub(super) fn timestamp_at(&self, now: Instant) -> Option<u32> {
        let latched = self.latched.as_ref()?;
        Some(
            latched
                .timestamp
                .wrapping_add(ticks(now.saturating_duration_since(latched.timestamp_at), self.clock_rate)),
        )
    }

    /// From one frame to the next, as the newest two have it: 4 to 50 ms.
    pub(super) fn frame_time(&self) -> Duration {
        let step = self.latched.as_ref().map_or(0, |latched| latched.step);
        Duration::from_secs_f64(f64::from(step) / f64::from(self.clock_rate.max(1)))
            .clamp(FRAME_TIME.0, FRAME_TIME.1)
    }

    /// Before a packet is accepted: the one before it, if both together show that the source began anew. That one has its
    /// place then, and goes first.
    pub(super) fn restart(&mut self, now: Instant, from: SocketAddr, rtp: &Rtp<'_>) -> Option<(Place, Held)> {
        let agreed = rtp.payload_type == self.payload_type;
        let latched = self.latched.as_mut().filter(|latched| agreed && latched.from == from)?;
        let held = latched.probation.take_if(|held| held.is_followed_by(rtp))?;
        let place = latched.restart(now, &held.rtp(), self.clock_rate);
        Some((place, held))
    }

    /// Accepts a packet or says why not.
    pub(super) fn accept(&mut self, now: Instant, from: SocketAddr, rtp: &Rtp<'_>) -> Result<Place, Drop> {
        if !self.allows(from) {
            return Err(Drop::ForeignSource);
        }
        if rtp.payload_type != self.payload_type {
            return Err(Drop::PayloadType);
        }
        let Some(latched) = &mut self.latched else {
            self.latched = Some(Latched::first(now, from, rtp));
            let timestamp = rtp.timestamp;
            return Ok(Place { index: FIRST_INDEX, timestamp, restarted: false, newest: true });
        };
        if latched.from != from {
            if now.saturating_duration_since(latched.last_packet) < SILENCE {
                return Err(Drop::UnlatchedPort);
            }
            latched.from = from;
        }
        latched.last_packet = now;
        if latched.ssrc != rtp.ssrc {
            latched.probation = Some(Held::new(rtp));
            return Err(Drop::NewSsrc);
        }
        latched.follow(now, rtp, self.clock_rate)
    }
}

impl Latched {
    fn first(now: Instant, from: SocketAddr, rtp: &Rtp<'_>) -> Self {
        Self {
            from,
            last_packet: now,
            ssrc: rtp.ssrc,
            sequence: rtp.sequence,
            position: FIRST_INDEX,
            widths: Widths::default(),
            floor: 0,
            shift: 0,
            timestamp: rtp.timestamp,
            timestamp_at: now,
            step: 0,
            probation: None,
        }
    }

    /// A packet of the running source.
    fn follow(&mut self, now: Instant, rtp: &Rtp<'_>, clock_rate: u32) -> Result<Place, Drop> {
        let forward = rtp.sequence.wrapping_sub(self.sequence);
        let backward = self.sequence.wrapping_sub(rtp.sequence);
        let timestamp = rtp.timestamp.wrapping_add(self.shift);
        if forward != 0 && forward <= MAX_FORWARD {
            self.probation = None;
            self.sequence = rtp.sequence;
            self.position += u64::from(forward);
            self.tick(now, timestamp, clock_rate);
            let index = self.widths.index(self.position);
            return Ok(Place { index, timestamp, restarted: false, newest: true });
        }
        if backward <= MAX_BACKWARD {
            let position = self.position - u64::from(backward);
            if position < self.floor {
                return Err(Drop::BeforeRestart);
            }
            let index = self.widths.index(position);
            return Ok(Place { index, timestamp, restarted: false, newest: false });
        }
        self.probation = Some(Held::new(rtp));
        Err(Drop::SequenceJump)
    }

    /// Frames that are sent before others they are shown after (B-frames) do not turn the clock back.
    fn tick(&mut self, now: Instant, timestamp: u32, clock_rate: u32) {
        let ahead = timestamp.wrapping_sub(self.timestamp).cast_signed();
        if ahead > 0 || ahead.unsigned_abs() > clock_rate {
            self.step = ahead.unsigned_abs();
            (self.timestamp, self.timestamp_at) = (timestamp, now);
        }
    }

    fn restart(&mut self, now: Instant, rtp: &Rtp<'_>, clock_rate: u32) -> Place {
        let passed = ticks(now.saturating_duration_since(self.timestamp_at), clock_rate).max(1);
        let timestamp = self.timestamp.wrapping_add(passed);
        self.ssrc = rtp.ssrc;
        self.sequence = rtp.sequence;
        self.position += 1;
        self.floor = self.position;
        self.shift = timestamp.wrapping_sub(rtp.timestamp);
        self.timestamp = timestamp;
        self.timestamp_at = now;
        self.probation = None;
        Place { index: self.widths.index(self.position), timestamp, restarted: true, newest: true }
    }
}

fn ticks(passed: Duration, clock_rate: u32) -> u32 {
    let ticks = passed.as_micros().saturating_mul(u128::from(clock_rate)) / 1_000_000;
    // Timestamps wrap; so may this.
    #[expect(clippy::cast_possible_truncation, reason = "timestamps are modulo 2^32")]
    let wrapped = ticks as u32;
    wrapped
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FROM: ([u8; 4], u16) = ([10, 0, 0, 1], 5000);

    fn source() -> Source {
        Source::new(vec![IpAddr::from(FROM.0)], 96, 90_000)
    }

    fn packet(sequence: u16, timestamp: u32, ssrc: u32) -> Rtp<'static> {
        Rtp { marker: false, payload_type: 96, sequence, timestamp, ssrc, payload: &[1] }
    }

    #[test]
    fn only_the_allowed_address_and_payload_type_are_accepted() {
        let (mut source, now) = (source(), Instant::now());
        let forged = SocketAddr::from(([10, 0, 0, 2], 5000));
        assert_eq!(source.accept(now, forged, &packet(1, 0, 1)), Err(Drop::ForeignSource));
        let wrong = Rtp { payload_type: 97, ..packet(1, 0, 1) };
        assert_eq!(source.accept(now, FROM.into(), &wrong), Err(Drop::PayloadType));
        assert!(source.latched().is_none());
    }

    #[test]
    fn another_port_waits_for_two_seconds_of_silence() {
        let (mut source, now) = (source(), Instant::now());
        let other = SocketAddr::from((FROM.0, 6000));
        source.accept(now, FROM.into(), &packet(1, 0, 1)).expect("first");
        assert_eq!(
            source.accept(now + Duration::from_secs(1), other, &packet(2, 0, 1)),
            Err(Drop::UnlatchedPort)
        );
        let place = source.accept(now + Duration::from_secs(3), other, &packet(2, 0, 1)).expect("taken over");
        assert_eq!(place.index, FIRST_INDEX + 1);
        assert_eq!(source.latched(), Some((other, 1)));
    }

    /// As the session does it: the packet that goes first, and this one.
    fn arrives(source: &mut Source, now: Instant, rtp: &Rtp<'_>) -> (Option<Place>, Result<Place, Drop>) {
        let first = source.restart(now, FROM.into(), rtp).map(|(place, _)| place);
        (first, source.accept(now, FROM.into(), rtp))
    }

    #[test]
    fn a_new_ssrc_goes_on_in_numbering_and_time_from_its_first_packet() {
        let (mut source, start) = (source(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        source.accept(start, FROM.into(), &packet(65_535, 1_000_000, 1)).expect("first");
        let kept = Rtp { payload: &[0x67, 1], ..packet(7, 3, 2) };
        assert_eq!(arrives(&mut source, at(100), &kept), (None, Err(Drop::NewSsrc)));
        let next = packet(8, 903, 2);
        let (place, held) = source.restart(at(100), FROM.into(), &next).expect("two in a row");
        assert_eq!(held.rtp(), kept);
        let first = FIRST_INDEX + 1;
        assert_eq!(place, Place { index: first, timestamp: 1_009_000, restarted: true, newest: true });
        let place = source.accept(at(110), FROM.into(), &next).expect("next");
        let timestamp = 1_009_900;
        assert_eq!(place, Place { index: first + 1, timestamp, restarted: false, newest: true });
        assert_eq!(arrives(&mut source, at(111), &packet(6, 0, 2)), (None, Err(Drop::BeforeRestart)));
    }

    #[test]
    fn single_packets_of_another_ssrc_are_no_restart() {
        let (mut source, now) = (source(), Instant::now());
        for sequence in 0..50 {
            let (restarted, place) = arrives(&mut source, now, &packet(sequence, 0, 1));
            assert!(restarted.is_none());
            assert_eq!(place.expect("goes on").index, FIRST_INDEX + u64::from(sequence));
            // Strays, each in a sequence of its own.
            assert_eq!(arrives(&mut source, now, &packet(sequence * 7, 0, 2)), (None, Err(Drop::NewSsrc)));
        }
    }

    #[test]
    fn late_packets_find_their_place_between_wide_ones() {
        let (mut source, now) = (source(), Instant::now());
        let place = |source: &mut Source, sequence: u16, more: u64| {
            let place = source.accept(now, FROM.into(), &packet(sequence, 0, 1)).expect("accepted");
            if place.newest {
                source.widen(more);
            }
            place.index - FIRST_INDEX
        };
        assert_eq!(place(&mut source, 10, 1), 0);
        assert_eq!(place(&mut source, 12, 2), 3, "2 is for the missing one");
        assert_eq!(place(&mut source, 14, 0), 7, "6 is for the missing one");
        assert_eq!((place(&mut source, 11, 0), place(&mut source, 13, 0)), (2, 6));
        assert_eq!(source.next_index(), FIRST_INDEX + 8);
    }

    #[test]
    fn frames_out_of_order_do_not_turn_the_clock_back() {
        let (mut source, now) = (source(), Instant::now());
        for (sequence, timestamp) in [(1, 0), (2, 9000), (3, 3000), (4, 6000)] {
            source.accept(now, FROM.into(), &packet(sequence, timestamp, 1)).expect("accepted");
        }
        assert_eq!(source.timestamp_at(now), Some(9000));
        source.accept(now, FROM.into(), &packet(5, 12_000, 1)).expect("accepted");
        assert_eq!(source.frame_time(), Duration::from_nanos(33_333_333));
    }

    #[test]
    fn a_jump_is_a_restart_only_when_it_goes_on() {
        let (mut source, now) = (source(), Instant::now());
        source.accept(now, FROM.into(), &packet(100, 0, 1)).expect("first");
        assert_eq!(source.accept(now, FROM.into(), &packet(30_000, 0, 1)), Err(Drop::SequenceJump));
        assert_eq!(
            source.accept(now, FROM.into(), &packet(101, 0, 1)).expect("goes on").index,
            FIRST_INDEX + 1
        );
        assert_eq!(arrives(&mut source, now, &packet(40_000, 0, 1)), (None, Err(Drop::SequenceJump)));
        let (first, second) = arrives(&mut source, now, &packet(40_001, 0, 1));
        assert!(first.expect("restart").restarted);
        assert_eq!(second.expect("the next").index, FIRST_INDEX + 3);
    }

    proptest! {
        #[test]
        fn indices_follow_the_sequence_over_wraps(start in any::<u16>(), steps in proptest::collection::vec(1u16..50, 1..300)) {
            let (mut source, now) = (source(), Instant::now());
            let mut sequence = start;
            let mut index = source.accept(now, FROM.into(), &packet(start, 0, 1)).expect("first").index;
            for step in steps {
                sequence = sequence.wrapping_add(step);
                let place = source.accept(now, FROM.into(), &packet(sequence, 0, 1)).expect("follows");
                prop_assert_eq!(place.index, index + u64::from(step));
                index = place.index;
            }
        }

        #[test]
        fn numbering_never_repeats_whatever_comes(packets in proptest::collection::vec((any::<u16>(), 1u32..4), 1..200)) {
            let (mut source, now) = (source(), Instant::now());
            let mut floor = 0;
            for (sequence, ssrc) in packets {
                let before = source.next_index();
                let (first, second) = arrives(&mut source, now, &packet(sequence, 0, ssrc));
                if let Some(place) = first {
                    prop_assert!(place.restarted && place.index == before);
                    floor = place.index;
                }
                if let Ok(place) = second {
                    prop_assert!(place.index >= floor && !place.restarted);
                    if place.newest {
                        source.widen(u64::from(sequence % 3));
                    }
                    prop_assert!(source.next_index() > place.index);
                }
            }
        }
    }
}
