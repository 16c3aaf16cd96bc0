//! RTP (RFC 3550): headers, the media clock, and H.264 in packets (RFC 6184, packetization mode 1).
//!
//! Pure: bytes in, packets out through a callback. Every packet is at most [`MAX_PACKET`] bytes, and the fragments of one
//! NAL unit are of equal size (the last may be shorter by less than their number), because equal sizes are what lets the
//! relay send a frame with one system call.

pub use crate::h264::nal_units;

use std::time::Instant;

/// Largest packet, RTP header included (runner contract).
pub const MAX_PACKET: usize = 1200;
/// Fixed RTP header.
pub const HEADER: usize = 12;
/// RTP clock of H.264.
pub const VIDEO_CLOCK_HZ: u64 = 90_000;
/// RTP clock of Opus (RFC 7587).
pub const AUDIO_CLOCK_HZ: u64 = 48_000;

const FU_A: u8 = 28;
const STAP_A: u8 = 24;
const NAL_TYPE: u8 = 0x1F;
const NAL_SPS: u8 = 7;
const NAL_PPS: u8 = 8;
const NAL_AUD: u8 = 9;

/// Turns instants into RTP timestamps; monotonic, with a random start (RFC 3550 section 5.1).
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
    offset: u32,
    hz: u64,
}

impl Clock {
    pub fn new(start: Instant, offset: u32, hz: u64) -> Self {
        Self { start, offset, hz }
    }

    pub fn timestamp(&self, at: Instant) -> u32 {
        self.offset
            .wrapping_add(u32::try_from(self.elapsed_units(at) & u64::from(u32::MAX)).unwrap_or_default())
    }

    /// Units from the start to `at`, without offset or wrap.
    pub fn elapsed_units(&self, at: Instant) -> u64 {
        let elapsed = at.saturating_duration_since(self.start);
        u64::try_from(elapsed.as_micros() * u128::from(self.hz) / 1_000_000).unwrap_or(u64::MAX)
    }
}

/// One outgoing RTP stream: numbers packets and writes their headers.
#[derive(Debug)]
pub struct Packets {
    payload_type: u8,
    ssrc: u32,
    sequence: u16,
    buffer: Vec<u8>,
}

impl Packets {
    pub fn new(payload_type: u8, ssrc: u32, first_sequence: u16) -> Self {
        Self { payload_type, ssrc, sequence: first_sequence, buffer: Vec::with_capacity(MAX_PACKET) }
    }

    /// One packet of the given payload pieces.
    pub fn packet(&mut self, timestamp: u32, marker: bool, pieces: &[&[u8]], emit: &mut impl FnMut(&[u8])) {
        self.buffer.clear();
        self.buffer.push(0x80);
        self.buffer.push(self.payload_type | if marker { 0x80 } else { 0 });
        self.buffer.extend_from_slice(&self.sequence.to_be_bytes());
        self.buffer.extend_from_slice(&timestamp.to_be_bytes());
        self.buffer.extend_from_slice(&self.ssrc.to_be_bytes());
        for piece in pieces {
            self.buffer.extend_from_slice(piece);
        }
        self.sequence = self.sequence.wrapping_add(1);
        emit(&self.buffer);
    }

    /// One access unit in Annex B form. The last packet carries the marker bit. Parameter sets travel together in one
    /// STAP-A where they fit, slices as they are or in FU-A fragments; access unit delimiters are left out.
    pub fn h264(&mut self, annex_b: &[u8], timestamp: u32, mut emit: impl FnMut(&[u8])) {
        let mut units: Vec<&[u8]> = nal_units(annex_b).filter(|unit| nal_type(unit) != NAL_AUD).collect();
        let sets = units.iter().take_while(|unit| matches!(nal_type(unit), NAL_SPS | NAL_PPS)).count();
        let together: usize = 1 + units.iter().take(sets).map(|unit| 2 + unit.len()).sum::<usize>();
        if sets > 1 && HEADER + together <= MAX_PACKET {
            let rest = units.split_off(sets);
            self.stap_a(&units, timestamp, rest.is_empty(), &mut emit);
            units = rest;
        }
        let last = units.len().saturating_sub(1);
        for (index, unit) in units.into_iter().enumerate() {
            if HEADER + unit.len() <= MAX_PACKET {
                self.packet(timestamp, index == last, &[unit], &mut emit);
            } else {
                self.fu_a(unit, timestamp, index == last, &mut emit);
            }
        }
    }

    /// RFC 6184 section 5.7.1: the header is the highest importance of the units in it.
    fn stap_a(&mut self, units: &[&[u8]], timestamp: u32, marker: bool, emit: &mut impl FnMut(&[u8])) {
        let importance = units.iter().map(|unit| unit.first().unwrap_or(&0) & 0x60).max().unwrap_or(0);
        let mut payload = vec![importance | STAP_A];
        for unit in units {
            payload.extend_from_slice(&u16::try_from(unit.len()).unwrap_or(u16::MAX).to_be_bytes());
            payload.extend_from_slice(unit);
        }
        self.packet(timestamp, marker, &[&payload], emit);
    }

    /// RFC 6184 section 5.8.
    fn fu_a(&mut self, unit: &[u8], timestamp: u32, marker: bool, emit: &mut impl FnMut(&[u8])) {
        let Some((&header, body)) = unit.split_first() else { return };
        let count = body.len().div_ceil(MAX_PACKET - HEADER - 2);
        let size = body.len().div_ceil(count.max(1)).max(1);
        let indicator = (header & !NAL_TYPE) | FU_A;
        let mut fragments = body.chunks(size).peekable();
        let mut start = 0x80;
        while let Some(fragment) = fragments.next() {
            let last = fragments.peek().is_none();
            let fu = start | if last { 0x40 } else { 0 } | (header & NAL_TYPE);
            self.packet(timestamp, marker && last, &[&[indicator, fu], fragment], emit);
            start = 0;
        }
    }
}

fn nal_type(unit: &[u8]) -> u8 {
    unit.first().map_or(0, |header| header & NAL_TYPE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    struct Reassembled {
        units: Vec<Vec<u8>>,
        fragment_sizes: Vec<Vec<usize>>,
        markers: Vec<bool>,
    }

    fn packets_of(annex_b: &[u8]) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        Packets::new(96, 7, 65_530).h264(annex_b, 1234, |packet| out.push(packet.to_vec()));
        out
    }

    fn reassemble(packets: &[Vec<u8>]) -> Reassembled {
        let mut all = Reassembled { units: Vec::new(), fragment_sizes: Vec::new(), markers: Vec::new() };
        let mut expected = 65_530_u16;
        for packet in packets {
            assert!(packet.len() <= MAX_PACKET);
            assert_eq!(packet[0], 0x80);
            assert_eq!(packet[1] & 0x7F, 96);
            assert_eq!(u16::from_be_bytes([packet[2], packet[3]]), expected);
            assert_eq!(&packet[4..8], &1234_u32.to_be_bytes());
            assert_eq!(&packet[8..12], &7_u32.to_be_bytes());
            expected = expected.wrapping_add(1);
            all.markers.push(packet[1] & 0x80 != 0);
            let payload = &packet[HEADER..];
            match payload[0] & NAL_TYPE {
                STAP_A => {
                    let mut rest = &payload[1..];
                    while !rest.is_empty() {
                        let size = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
                        all.units.push(rest[2..2 + size].to_vec());
                        rest = &rest[2 + size..];
                    }
                }
                FU_A => {
                    if payload[1] & 0x80 != 0 {
                        all.units.push(vec![(payload[0] & !NAL_TYPE) | (payload[1] & NAL_TYPE)]);
                        all.fragment_sizes.push(Vec::new());
                    }
                    all.units.last_mut().expect("a start came first").extend_from_slice(&payload[2..]);
                    all.fragment_sizes.last_mut().expect("a start came first").push(packet.len());
                }
                _ => all.units.push(payload.to_vec()),
            }
        }
        all
    }

    fn stream_of(units: &[Vec<u8>]) -> Vec<u8> {
        let mut stream = Vec::new();
        for (index, unit) in units.iter().enumerate() {
            stream.extend_from_slice(if index % 2 == 0 { &[0, 0, 0, 1] } else { &[0, 0, 1] });
            stream.extend_from_slice(unit);
        }
        stream
    }

    /// Bytes that cannot form a start code and do not end in zero, as the encoder's emulation prevention guarantees.
    fn unit() -> impl Strategy<Value = Vec<u8>> {
        (
            prop_oneof![Just(0x67_u8), Just(0x68), Just(0x65), Just(0x61), Just(0x06)],
            1..9000_usize,
            any::<u8>(),
        )
            .prop_map(|(header, length, seed)| {
                let mut unit = vec![header];
                unit.extend(
                    (0..length)
                        .map(|i| u8::try_from((i * 31 + usize::from(seed)) % 253 + 2).expect("below 256")),
                );
                unit
            })
    }

    proptest! {
        #[test]
        fn what_is_put_in_packets_comes_out_again(units in prop::collection::vec(unit(), 1..6)) {
            let packets = packets_of(&stream_of(&units));
            let all = reassemble(&packets);
            prop_assert_eq!(&all.units, &units);
            prop_assert!(all.markers.iter().rev().skip(1).all(|marker| !marker));
            prop_assert_eq!(all.markers.last(), Some(&true));
            for sizes in all.fragment_sizes {
                let first = sizes[0];
                let last = *sizes.last().expect("two at least");
                prop_assert!(sizes[..sizes.len() - 1].iter().all(|&size| size == first), "fragments of equal size");
                prop_assert!(last <= first && first - last < sizes.len(), "the last differs by less than their number");
            }
        }

        #[test]
        fn any_bytes_are_split_without_panic(bytes in prop::collection::vec(prop_oneof![Just(0_u8), Just(1), any::<u8>()], 0..4000)) {
            for packet in packets_of(&bytes) {
                prop_assert!(packet.len() <= MAX_PACKET);
            }
        }
    }

    #[test]
    fn parameter_sets_share_a_packet_and_delimiters_are_left_out() {
        let units = [vec![9, 0xF0], vec![0x67, 1, 2, 3], vec![0x68, 4, 5], vec![0x65; 100]];
        let packets = packets_of(&stream_of(&units));
        assert_eq!(packets.len(), 2);
        assert_eq!(packets[0][HEADER] & NAL_TYPE, STAP_A);
        assert_eq!(reassemble(&packets).units, units[1..]);
    }

    #[test]
    fn the_clock_runs_at_its_rate_and_wraps() {
        let start = Instant::now();
        let clock = Clock::new(start, u32::MAX, VIDEO_CLOCK_HZ);
        assert_eq!(clock.timestamp(start), u32::MAX);
        assert_eq!(clock.timestamp(start + Duration::from_secs(1)), 89_999);
        assert_eq!(clock.elapsed_units(start + Duration::from_millis(10)), 900);
    }
}
