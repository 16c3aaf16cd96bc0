//! One incoming stream: who may send it, and one unbroken numbering over all its restarts.
//!
//! The port and SSRC of the first valid packet are latched. A new SSRC from there is a restart of the source: numbering
//! and timestamps go on rising. Another port is taken only after silence. Timestamps are never re-stamped, only shifted
//! by a constant at a restart.

use super::rtp::Rtp;
use super::stats::Drop;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// How long the latched address must be silent before another is taken.
const SILENCE: Duration = Duration::from_secs(2);
/// The largest step of sequence numbers that is loss (forward) or reordering (backward) and not a restart (RFC 3550 A.1).
const MAX_FORWARD: u16 = 3000;
const MAX_BACKWARD: u16 = 512;
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
    /// Source sequence number and index of the newest packet.
    sequence: u16,
    highest: u64,
    /// Lowest index that belongs to the running source.
    floor: u64,
    /// Added to the source's timestamps.
    shift: u32,
    /// Newest timestamp as viewers get it, and when it came.
    timestamp: u32,
    timestamp_at: Instant,
    /// Ticks between the newest two timestamps; 0: not known.
    step: u32,
    /// The sequence number that would prove a jump to be a restart.
    probation: Option<u16>,
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

    /// What the source said in its `hello`.
    pub(super) fn set_payload_type(&mut self, payload_type: u8) {
        self.payload_type = payload_type;
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
        self.latched.as_ref().map_or(FIRST_INDEX, |latched| latched.highest + 1)
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
            return Ok(Place { index: FIRST_INDEX, timestamp: rtp.timestamp, restarted: false });
        };
        if latched.from != from {
            if now.saturating_duration_since(latched.last_packet) < SILENCE {
                return Err(Drop::UnlatchedPort);
            }
            latched.from = from;
        }
        latched.last_packet = now;
        if latched.ssrc != rtp.ssrc {
            return Ok(latched.restart(now, rtp, self.clock_rate));
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
            highest: FIRST_INDEX,
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
            self.highest += u64::from(forward);
            if timestamp != self.timestamp {
                self.step = timestamp.wrapping_sub(self.timestamp);
                (self.timestamp, self.timestamp_at) = (timestamp, now);
            }
            return Ok(Place { index: self.highest, timestamp, restarted: false });
        }
        if backward <= MAX_BACKWARD {
            let index = self.highest - u64::from(backward);
            return if index < self.floor {
                Err(Drop::BeforeRestart)
            } else {
                Ok(Place { index, timestamp, restarted: false })
            };
        }
        if self.probation == Some(rtp.sequence) {
            return Ok(self.restart(now, rtp, clock_rate));
        }
        self.probation = Some(rtp.sequence.wrapping_add(1));
        Err(Drop::SequenceJump)
    }

    fn restart(&mut self, now: Instant, rtp: &Rtp<'_>, clock_rate: u32) -> Place {
        let passed = ticks(now.saturating_duration_since(self.timestamp_at), clock_rate).max(1);
        let timestamp = self.timestamp.wrapping_add(passed);
        self.ssrc = rtp.ssrc;
        self.sequence = rtp.sequence;
        self.highest += 1;
        self.floor = self.highest;
        self.shift = timestamp.wrapping_sub(rtp.timestamp);
        self.timestamp = timestamp;
        self.timestamp_at = now;
        self.probation = None;
        Place { index: self.highest, timestamp, restarted: true }
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

    #[test]
    fn a_new_ssrc_goes_on_in_numbering_and_time() {
        let (mut source, now) = (source(), Instant::now());
        source.accept(now, FROM.into(), &packet(65_535, 1_000_000, 1)).expect("first");
        let place = source
            .accept(now + Duration::from_millis(100), FROM.into(), &packet(7, 3, 2))
            .expect("restarted");
        assert_eq!(place, Place { index: FIRST_INDEX + 1, timestamp: 1_009_000, restarted: true });
        let place =
            source.accept(now + Duration::from_millis(110), FROM.into(), &packet(8, 903, 2)).expect("next");
        assert_eq!(place, Place { index: FIRST_INDEX + 2, timestamp: 1_009_900, restarted: false });
        let late = source.accept(now + Duration::from_millis(111), FROM.into(), &packet(6, 0, 2));
        assert_eq!(late, Err(Drop::BeforeRestart));
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
        assert_eq!(source.accept(now, FROM.into(), &packet(40_000, 0, 1)), Err(Drop::SequenceJump));
        assert!(source.accept(now, FROM.into(), &packet(40_001, 0, 1)).expect("restart").restarted);
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
                if let Ok(place) = source.accept(now, FROM.into(), &packet(sequence, 0, ssrc)) {
                    prop_assert!(place.index >= floor);
                    if place.restarted {
                        prop_assert_eq!(place.index, before);
                        floor = place.index;
                    }
                }
            }
        }
    }
}
