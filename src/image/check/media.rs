//! RTP as it comes, measured. Pure: datagrams and their times in, figures and access units out; whatever comes is counted
//! and never believed.

pub use crate::h264::SpsFacts;

use super::facts::{AudioFacts, VideoFacts};
use crate::h264::{AccessUnit, Depacketizer, Reorder, is_b_slice, nal_units};
use crate::runner::rtcp::is_rtcp;
use crate::runner::rtp::{HEADER, MAX_PACKET};
use std::time::Duration;

const SENDER_REPORT: u8 = 200;
/// Kinds of NAL unit (RFC 6184 table 1 and ITU-T H.264 table 7-1).
const SLICE: u8 = 1;
const SPS: u8 = 7;
const PPS: u8 = 8;
const STAP_B: u8 = 25;
const MTAP_24: u8 = 27;
const FU_A: u8 = 28;
const FU_B: u8 = 29;
/// Entries of the log of sizes: some minutes at a high rate. When it is full, later rates are not known.
const LOG: usize = 400_000;
/// Different streams remembered; a runner has one.
const STREAMS: usize = 16;

/// The fixed header of RFC 3550 section 5.1, and what is behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Packet<'a> {
    marker: bool,
    payload_type: u8,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    payload: &'a [u8],
}

impl<'a> Packet<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let [b0, b1, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3] = *bytes.first_chunk::<HEADER>()?;
        if b0 >> 6 != 2 {
            return None;
        }
        let mut start = HEADER + 4 * usize::from(b0 & 0x0f);
        if b0 & 0x10 != 0 {
            let words = bytes.get(start + 2..start + 4)?;
            start += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
        }
        let padding = if b0 & 0x20 == 0 { 0 } else { usize::from(*bytes.last()?) };
        let payload = bytes.get(start..bytes.len().checked_sub(padding)?)?;
        Some(Self {
            marker: b1 & 0x80 != 0,
            payload_type: b1 & 0x7f,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([c0, c1, c2, c3]),
            payload,
        })
    }
}

/// The video port's tape.
#[derive(Debug, Default)]
pub struct VideoTape {
    facts: VideoFacts,
    /// The payload is something else than H.264: only packets are looked at.
    opaque: bool,
    reorder: Reorder<(u16, u32, bool, Vec<u8>)>,
    depacketizer: Depacketizer,
    timestamp: Option<u32>,
    /// Size of the fragments of the NAL unit that is being received, and whether one differed.
    fragments: Option<(usize, bool)>,
    clock: Clock,
    log: Vec<(Duration, usize)>,
    ssrc: Option<u32>,
}

impl VideoTape {
    /// Another codec than H.264 was announced.
    pub fn set_opaque(&mut self) {
        self.opaque = true;
    }

    pub fn facts(&self) -> VideoFacts {
        let mut facts = self.facts.clone();
        facts.lost = self.reorder.lost();
        facts.malformed += self.depacketizer.malformed();
        facts.clock_hz = self.clock.hz();
        facts
    }

    pub fn keys(&self) -> &[Duration] {
        &self.facts.keys
    }

    /// The stream that feedback is about.
    pub fn ssrc(&self) -> Option<u32> {
        self.ssrc
    }

    /// Kilobits a second between two times.
    pub fn kbps(&self, from: Duration, to: Duration) -> u64 {
        let bytes: usize =
            self.log.iter().filter(|(at, _)| (from..to).contains(at)).map(|(_, bytes)| bytes).sum();
        let milliseconds = to.saturating_sub(from).as_millis().max(1);
        u64::try_from(bytes as u128 * 8 / milliseconds).unwrap_or(u64::MAX)
    }

    /// A datagram; gives the pictures it completes.
    pub fn push(&mut self, at: Duration, datagram: &[u8]) -> Vec<AccessUnit> {
        if is_rtcp(datagram) {
            self.facts.sender_reports += u64::from(datagram[1] == SENDER_REPORT);
            return Vec::new();
        }
        let Some(packet) = Packet::parse(datagram) else {
            self.facts.malformed += 1;
            return Vec::new();
        };
        let facts = &mut self.facts;
        facts.packets += 1;
        facts.bytes += datagram.len() as u64;
        facts.first_packet.get_or_insert(at);
        facts.largest_packet = facts.largest_packet.max(datagram.len());
        facts.oversized_packets += u64::from(datagram.len() > MAX_PACKET);
        if facts.streams.len() < STREAMS {
            facts.streams.insert((packet.payload_type, packet.ssrc));
        }
        self.ssrc = Some(packet.ssrc);
        if self.log.len() < LOG {
            self.log.push((at, datagram.len()));
        }
        let Packet { sequence, timestamp, marker, payload, .. } = packet;
        let mut units = Vec::new();
        for (sequence, timestamp, marker, payload) in
            self.reorder.push(sequence, (sequence, timestamp, marker, payload.to_vec()))
        {
            self.in_order(at, timestamp, &payload);
            if self.opaque {
                self.facts.frames += u64::from(marker);
                continue;
            }
            let pushed = self.depacketizer.push(sequence, timestamp, marker, &payload);
            for unit in pushed.units {
                self.unit(at, &unit);
                units.push(unit);
            }
        }
        units
    }

    /// A packet in its place: the clock, and how NAL units are cut.
    fn in_order(&mut self, at: Duration, timestamp: u32, payload: &[u8]) {
        if let Some(last) = self.timestamp.replace(timestamp)
            && last != timestamp
        {
            self.facts.backward_timestamps += u64::from(timestamp.wrapping_sub(last).cast_signed() < 0);
        }
        self.clock.tick(at, timestamp);
        let Some(kind) = payload.first().map(|byte| byte & 0x1f).filter(|_| !self.opaque) else { return };
        self.facts.interleaved += u64::from((STAP_B..=MTAP_24).contains(&kind) || kind == FU_B);
        let &[_, header, ..] = payload else { return };
        if kind != FU_A {
            return;
        }
        let size = payload.len();
        let (start, end) = (header & 0x80 != 0, header & 0x40 != 0);
        match (start, self.fragments) {
            (true, _) | (false, None) => self.fragments = Some((size, false)),
            (false, Some((first, unequal))) => {
                let differs = if end { size > first } else { size != first };
                self.fragments = Some((first, unequal || differs));
            }
        }
        if end && let Some((_, unequal)) = self.fragments.take() {
            self.facts.fragmented += 1;
            self.facts.unequal += u64::from(unequal);
        }
    }

    fn unit(&mut self, at: Duration, unit: &AccessUnit) {
        let (mut sps, mut pps) = (false, false);
        for nal in nal_units(&unit.data) {
            match nal[0] & 0x1f {
                SPS => {
                    sps = true;
                    self.facts.sps = SpsFacts::parse(nal).or(self.facts.sps);
                }
                PPS => pps = true,
                SLICE => self.facts.b_slices += u64::from(is_b_slice(nal)),
                _ => {}
            }
        }
        self.facts.frames += 1;
        if unit.key {
            self.facts.keys.push(at);
            self.facts.idr_without_sets += u64::from(!(sps && pps));
        }
    }
}

/// The audio port's tape.
#[derive(Debug, Default)]
pub struct AudioTape {
    facts: AudioFacts,
    reorder: Reorder<()>,
}

impl AudioTape {
    pub fn facts(&self) -> AudioFacts {
        AudioFacts { lost: self.reorder.lost(), ..self.facts.clone() }
    }

    pub fn push(&mut self, datagram: &[u8]) {
        if is_rtcp(datagram) {
            self.facts.sender_reports += u64::from(datagram[1] == SENDER_REPORT);
            return;
        }
        let Some(packet) = Packet::parse(datagram) else { return };
        let facts = &mut self.facts;
        facts.packets += 1;
        facts.largest_packet = facts.largest_packet.max(datagram.len());
        if facts.streams.len() < STREAMS {
            facts.streams.insert((packet.payload_type, packet.ssrc));
        }
        facts.stereo += u64::from(packet.payload.first().is_some_and(|toc| toc & 0x04 != 0));
        self.reorder.push(packet.sequence, ());
    }
}

/// How fast the RTP timestamps run against the time of arrival.
#[derive(Debug, Default)]
struct Clock {
    first: Option<(Duration, u32)>,
    last: Option<(Duration, u64)>,
}

impl Clock {
    fn tick(&mut self, at: Duration, timestamp: u32) {
        let (_, base) = *self.first.get_or_insert((at, timestamp));
        let before = self.last.map_or(0, |(_, units)| units);
        // Extends the 32 bits: what is less than half a turn behind the last one is behind it.
        let low = timestamp.wrapping_sub(base);
        let step = low.wrapping_sub((before & u64::from(u32::MAX)) as u32).cast_signed();
        if step >= 0 {
            self.last = Some((at, before + u64::from(step.unsigned_abs())));
        }
    }

    fn hz(&self) -> Option<f64> {
        let ((first, _), (last, units)) = (self.first?, self.last?);
        let seconds = last.saturating_sub(first).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        (seconds >= 1.0).then(|| units as f64 / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::encoder::open_h264::OpenH264;
    use crate::runner::encoder::{Format, VideoEncoder};
    use crate::runner::i420::I420;
    use crate::runner::rtp::Packets;
    use proptest::prelude::*;
    use std::time::Instant;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn nal(header: u8, length: usize) -> Vec<u8> {
        let mut bytes = vec![0, 0, 0, 1, header];
        bytes.resize(5 + length, 0xf5);
        bytes
    }

    #[test]
    fn our_own_streams_figures_are_clean() {
        let format = Format { width: 320, height: 180, fps: 30 };
        let (mut tape, mut encoder) = (VideoTape::default(), OpenH264::new(format, 50_000).unwrap());
        let whole = crate::games::Rect { x: 0, y: 0, width: 320, height: 180 };
        let mut packets = Packets::new(96, 7, 65_530);
        let start = Instant::now();
        let mut units = 0;
        for n in 0_u32..60 {
            let time = at(u64::from(n) * 33);
            let mut picture = I420::new(320, 180);
            let rgba: Vec<u8> = (0..320 * 180 * 4_u32).map(|i| (i.wrapping_mul(n + 77) >> 3) as u8).collect();
            picture.update(&rgba, 320 * 4, whole);
            let frame = encoder.encode(&picture, &[whole], start + time).unwrap().unwrap().bytes.to_vec();
            packets.h264(&frame, (u32::MAX - 100_000).wrapping_add(n * 33 * 90), |packet| {
                units += tape.push(time, packet).len();
            });
        }
        let facts = tape.facts();
        assert_eq!((facts.frames, units, facts.keys.len()), (60, 60, 1));
        assert!(facts.largest_packet <= MAX_PACKET && facts.oversized_packets == 0);
        assert!(facts.fragmented > 0 && facts.unequal == 0, "{facts:?}");
        assert_eq!((facts.b_slices, facts.idr_without_sets, facts.interleaved), (0, 0, 0));
        assert_eq!((facts.lost, facts.malformed, facts.backward_timestamps), (0, 0, 0));
        assert_eq!(facts.streams.iter().copied().collect::<Vec<_>>(), [(96, 7)]);
        let hz = facts.clock_hz.unwrap();
        assert!((hz - 90_000.0).abs() < 1.0, "{hz}");
        assert!(facts.sps.unwrap().constrained_baseline());
        let kbps = tape.kbps(at(0), at(2000));
        assert_eq!(kbps, facts.bytes * 8 / 2000);
    }

    #[test]
    fn a_key_frame_without_parameter_sets_is_counted() {
        let (mut tape, mut packets) = (VideoTape::default(), Packets::new(96, 7, 0));
        packets.h264(&nal(0x65, 30), 0, |packet| drop(tape.push(at(0), packet)));
        assert_eq!((tape.facts().keys.len(), tape.facts().idr_without_sets), (1, 1));
    }

    #[test]
    fn order_is_judged_by_timestamps_and_slices() {
        let (mut tape, mut packets) = (VideoTape::default(), Packets::new(96, 7, 0));
        let mut b_slice = nal(0x01, 30);
        b_slice[5] = 0b1010_0000;
        for (unit, timestamp) in [(nal(0x41, 30), 9000), (b_slice, 3000), (nal(0x41, 30), 12_000)] {
            packets.h264(&unit, timestamp, |packet| drop(tape.push(at(0), packet)));
        }
        assert_eq!((tape.facts().b_slices, tape.facts().backward_timestamps), (1, 1));
    }

    #[test]
    fn fragments_are_compared_by_size() {
        let mut tape = VideoTape::default();
        let mut sequence = 0;
        let mut send = |tape: &mut VideoTape, header: u8, length: usize| {
            let mut packet = vec![0x80, 96, 0, sequence, 0, 0, 0, 0, 0, 0, 0, 7, 0x7c, header];
            packet.resize(14 + length, 1);
            sequence += 1;
            tape.push(at(0), &packet);
        };
        for (header, length) in [(0x85, 1000), (0x05, 1000), (0x45, 900)] {
            send(&mut tape, header, length);
        }
        assert_eq!((tape.facts().fragmented, tape.facts().unequal), (1, 0));
        for (header, length) in [(0x85, 1000), (0x05, 800), (0x45, 900)] {
            send(&mut tape, header, length);
        }
        send(&mut tape, 0x85, 1400);
        assert_eq!((tape.facts().fragmented, tape.facts().unequal), (2, 1));
        assert_eq!((tape.facts().largest_packet, tape.facts().oversized_packets), (1414, 1));
    }

    #[test]
    fn reports_and_stereo_are_told_apart() {
        let mut tape = AudioTape::default();
        tape.push(&[0x80, 200, 0, 1, 0, 0, 0, 1]);
        for (sequence, toc) in [(0, 0xfc), (1, 0xf8)] {
            tape.push(&[0x80, 111, 0, sequence, 0, 0, 0, 0, 0, 0, 0, 9, toc, 1]);
        }
        tape.push(b"no packet");
        let facts = tape.facts();
        assert_eq!((facts.packets, facts.stereo, facts.sender_reports), (2, 1, 1));
        assert_eq!(facts.streams.iter().copied().collect::<Vec<_>>(), [(111, 9)]);
    }

    proptest! {
        #[test]
        fn nothing_from_a_container_makes_it_panic(datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..40)) {
            let (mut video, mut audio) = (VideoTape::default(), AudioTape::default());
            for mut datagram in datagrams {
                if let Some(first) = datagram.first_mut() {
                    *first = *first & 0x3f | 0x80;
                }
                video.push(at(1), &datagram);
                audio.push(&datagram);
            }
            let _ = video.facts();
        }
    }
}
