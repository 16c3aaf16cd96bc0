//! What a browser does with a stream of video packets, without sockets and without a clock: it finds gaps, asks for what is
//! missing (NACK) again and again, puts frames together, gives up what lies before a decoded key frame, and reports loss.
//!
//! Modelled on libwebrtc (`nack_requester.cc`, RFC 3550 appendix A.3). Frames are told by [`Mark`], which every test packet
//! ends with, so that completeness is exact.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

/// A missing packet is asked for so many times, and so many missing packets are remembered.
const RETRIES: u32 = 10;
const MISSING: usize = 1000;

/// The end of a test packet's payload: its frame, its part of it, how many parts there are, and whether it is a key frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) frame: u32,
    pub(crate) part: u16,
    pub(crate) parts: u16,
    pub(crate) key: bool,
}

impl Mark {
    const LEN: usize = 9;

    /// An H.264 payload of `len` bytes at least that ends with this mark: SPS, PPS and fragments of an IDR slice for a key
    /// frame of three parts or more, else fragments of a slice.
    pub(crate) fn payload(self, len: usize) -> Vec<u8> {
        let mut payload = match (self.key, self.part) {
            (true, 0) => vec![0x67, 0x42, 0xe0, 0x1f],
            (true, 1) => vec![0x68, 0xce, 0x3c, 0x80],
            (true, part) => vec![0x7c, u8::from(part == 2) << 7 | self.ends() | 5],
            (false, part) => vec![0x7c, u8::from(part == 0) << 7 | self.ends() | 1],
        };
        payload.resize(payload.len().max(len.saturating_sub(Self::LEN)), 0x55);
        payload.extend(self.frame.to_be_bytes());
        payload.extend(self.part.to_be_bytes());
        payload.extend(self.parts.to_be_bytes());
        payload.push(self.key.into());
        payload
    }

    fn ends(self) -> u8 {
        u8::from(self.is_last()) << 6
    }

    pub(crate) fn is_last(self) -> bool {
        self.part + 1 == self.parts
    }

    fn read(payload: &[u8]) -> Option<Self> {
        let [.., f0, f1, f2, f3, p0, p1, n0, n1, key] = payload else { return None };
        Some(Self {
            frame: u32::from_be_bytes([*f0, *f1, *f2, *f3]),
            part: u16::from_be_bytes([*p0, *p1]),
            parts: u16::from_be_bytes([*n0, *n1]),
            key: *key == 1,
        })
    }
}

/// A receiver of one stream. Times are since the start of the test.
#[derive(Debug, Default)]
pub(crate) struct Receiver {
    /// The round trip it believes in: a missing packet is asked for again after it.
    pub(crate) trip: Duration,
    newest: Option<u64>,
    missing: BTreeMap<u64, Asked>,
    frames: HashMap<u32, Frame>,
    pub(crate) complete: BTreeSet<u32>,
    decoded: Option<u32>,
    /// Sequence numbers asked for until now, each time counted.
    pub(crate) asked: usize,
    /// When a packet was missing last.
    pub(crate) missed_at: Option<Duration>,
    /// More is missing than is asked for: only a key frame helps (PLI).
    pub(crate) wants_key_frame: bool,
    first: u64,
    received: u64,
    reported: (u64, u64),
}

#[derive(Debug, Default)]
struct Asked {
    at: Option<Duration>,
    times: u32,
}

#[derive(Debug, Default)]
struct Frame {
    parts: BTreeSet<u16>,
    last: u64,
}

impl Receiver {
    pub(crate) fn new(trip: Duration) -> Self {
        Self { trip, ..Default::default() }
    }

    /// A packet of the stream; of the retransmission stream (`again`) with its original number.
    pub(crate) fn packet(&mut self, sequence: u16, payload: &[u8], again: bool) {
        let place = self.extended(sequence);
        let newest = *self.newest.get_or_insert(place);
        if !again {
            self.first = if self.received == 0 { place } else { self.first };
            self.received += 1;
            for missing in newest + 1..place {
                self.missing.insert(missing, Asked::default());
            }
            if self.missing.len() > MISSING {
                self.missing.clear();
                self.wants_key_frame = true;
            }
            self.newest = Some(newest.max(place));
        }
        self.missing.remove(&place);
        let mark = Mark::read(payload).expect("a test packet");
        let frame = self.frames.entry(mark.frame).or_default();
        frame.parts.insert(mark.part);
        frame.last = frame.last.max(place);
        if frame.parts.len() < mark.parts.into() {
            return;
        }
        let last = frame.last;
        self.complete.insert(mark.frame);
        let follows = self.decoded.is_some_and(|decoded| decoded + 1 == mark.frame);
        if self.decoded.is_none_or(|decoded| mark.frame > decoded) && (mark.key || follows) {
            self.decoded = Some(mark.frame);
            // Nothing before a decoded frame is of use any more.
            self.missing = self.missing.split_off(&last);
            while let Some(next) = self.decoded.map(|decoded| decoded + 1)
                && self.complete.contains(&next)
            {
                self.decoded = Some(next);
            }
        }
    }

    /// What is asked for now.
    pub(crate) fn nack(&mut self, now: Duration) -> Vec<u16> {
        self.missing.retain(|_, asked| asked.times < RETRIES);
        if !self.missing.is_empty() {
            self.missed_at = Some(now);
        }
        let due = self.missing.iter_mut().filter(|(_, asked)| {
            asked.at.is_none_or(|at| now >= at + self.trip.max(Duration::from_millis(20)))
        });
        let mut sequences = Vec::new();
        for (place, asked) in due {
            (asked.at, asked.times) = (Some(now), asked.times + 1);
            sequences.push((place & 0xffff) as u16);
        }
        self.asked += sequences.len();
        sequences
    }

    /// Loss since the last report in 1/256 (RFC 3550 appendix A.3), and the greatest sequence number with its cycles;
    /// `None` when nothing has come since.
    pub(crate) fn report(&mut self) -> Option<(u8, u32)> {
        let newest = self.newest?;
        let expected = newest - self.first + 1;
        let (since_expected, since_received) = (expected - self.reported.0, self.received - self.reported.1);
        if since_expected == 0 {
            return None;
        }
        self.reported = (expected, self.received);
        let lost = since_expected.saturating_sub(since_received);
        let part = u8::try_from(lost * 256 / since_expected).unwrap_or(u8::MAX);
        Some((part, (newest - (1 << 20)) as u32))
    }

    /// The number nearest to the newest one, above 2^20 so that late packets have a place below the first.
    fn extended(&self, sequence: u16) -> u64 {
        let Some(newest) = self.newest else { return (1 << 20) + u64::from(sequence) };
        let ahead = sequence.wrapping_sub((newest & 0xffff) as u16);
        if ahead < 1 << 15 { newest + u64::from(ahead) } else { newest - u64::from(ahead.wrapping_neg()) }
    }
}
