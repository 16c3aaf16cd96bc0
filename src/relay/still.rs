//! The newest key frame of a session, for whoever wants a still picture of it.
//!
//! It lies in the ring, as all packets do, and is put together only when it is asked for, or when the ring is about to
//! overwrite it: one copy of it then, and one for each asking before. A source's bytes are put together, never believed:
//! what is no H.264 in them is for a decoder to find out.

use super::command::Reply;
use super::ring::{Ring, VIDEO};
use super::{Codec, KeyFrame};
use crate::h264::Depacketizer;
use bytes::Bytes;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// A key frame that began this many packets ago is taken out of the ring, while all of it is still there: a frame of as
/// many packets is larger than what is wanted.
const RESCUE: u64 = VIDEO as u64 - 512;
/// Largest key frame that is given, in bytes.
pub const MAX_KEY_FRAME_BYTES: usize = 2 << 20;
/// A session somebody watches has moved on after this: another key frame is asked of its source. Each costs the players
/// some bits, so that it is not less.
const STALE: Duration = Duration::from_secs(30);

/// What a session keeps for still pictures.
#[derive(Debug)]
pub(super) struct Still {
    /// Where the newest key frame begins in the ring, until it is rescued, and when it came.
    start: Option<u64>,
    at: Option<Instant>,
    rescued: Option<Bytes>,
    /// Counts key frames.
    number: u64,
    /// Waits for a key frame of this number or a later one. One at a time: a newer asking takes its place.
    waiting: Option<(u64, Reply<KeyFrame>)>,
    /// Dropped with the session, by which its pictures end too.
    alive: watch::Sender<()>,
}

/// What the ring holds of a key frame.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Whole(Bytes),
    /// More of it is to come.
    Begun,
    /// A packet is missing, or it is no whole NAL units, or too large.
    Broken,
}

impl Default for Still {
    fn default() -> Self {
        let alive = watch::Sender::new(());
        Self { start: None, at: None, rescued: None, number: 0, waiting: None, alive }
    }
}

impl Still {
    /// A key frame begins at this index.
    pub(super) fn begins(&mut self, now: Instant, start: u64) {
        (self.start, self.at) = (Some(start), Some(now));
        self.number += 1;
    }

    /// Another codec or another source: nothing of before is shown any more.
    pub(super) fn clear(&mut self) {
        (self.start, self.at, self.rescued) = (None, None, None);
    }

    /// Before the packet of this index overwrites another.
    pub(super) fn rescue(&mut self, ring: &Ring, index: u64) {
        let Some(start) = self.start.filter(|start| index >= start + RESCUE) else { return };
        self.start = None;
        match find(ring, start, index) {
            Found::Whole(frame) => self.rescued = Some(frame),
            Found::Begun | Found::Broken => {}
        }
    }

    /// Whether the next key frame should be waited for: somebody watches, and what there is has grown old.
    pub(super) fn is_stale(&self, now: Instant, watched: bool) -> bool {
        watched && self.at.is_some_and(|at| now.saturating_duration_since(at) >= STALE)
    }

    /// Answers with the next key frame.
    pub(super) fn wait(&mut self, reply: Reply<KeyFrame>) {
        self.waiting = Some((self.number + 1, reply));
    }

    /// Answers with what there is. A key frame that is arriving is waited for. `newest` is the newest packet's index.
    pub(super) fn answer(&mut self, codec: Codec, ring: &Ring, newest: u64, reply: Reply<KeyFrame>) {
        let answer = match (codec, self.start.map(|start| find(ring, start, newest))) {
            (Codec::Vp8 | Codec::Vp9 | Codec::Av1 | Codec::Opus, _) => KeyFrame::Unshown(codec),
            (Codec::H264, Some(Found::Begun)) => {
                self.waiting = Some((self.number, reply));
                return;
            }
            (Codec::H264, Some(Found::Whole(annex_b))) => self.here(annex_b),
            (Codec::H264, Some(Found::Broken) | None) => {
                self.rescued.clone().map_or(KeyFrame::NotYet, |annex_b| self.here(annex_b))
            }
        };
        let _ = reply.send(Ok(answer));
    }

    /// A packet came: answers who waits, if it was the last of a key frame.
    pub(super) fn came(&mut self, ring: &Ring, timestamp: u32, marker: bool, newest: u64) {
        let Some((wanted, _)) = &self.waiting else { return };
        let Some(start) = self.start.filter(|_| self.number >= *wanted) else { return };
        let ends = marker || ring.get(start).is_none_or(|first| first.timestamp != timestamp);
        if !ends {
            return;
        }
        match find(ring, start, newest) {
            Found::Whole(annex_b) => {
                let answer = self.here(annex_b);
                if let Some((_, reply)) = self.waiting.take() {
                    let _ = reply.send(Ok(answer));
                }
            }
            Found::Begun => {}
            Found::Broken => {
                if let Some((wanted, _)) = &mut self.waiting {
                    *wanted = self.number + 1;
                }
            }
        }
    }

    fn here(&self, annex_b: Bytes) -> KeyFrame {
        KeyFrame::Here { annex_b, ended: self.alive.subscribe() }
    }
}

/// Puts the frame together that begins at `start`; `newest` is the newest packet's index.
fn find(ring: &Ring, start: u64, newest: u64) -> Found {
    let Some(first) = ring.get(start) else { return Found::Broken };
    let mut depacketizer = Depacketizer::new();
    for index in start..start + VIDEO as u64 {
        let Some(packet) = ring.get(index) else {
            return if index > newest { Found::Begun } else { Found::Broken };
        };
        // A frame whose end is not marked ends where the next one begins.
        let ended = packet.timestamp != first.timestamp;
        #[expect(clippy::cast_possible_truncation, reason = "sequence numbers are modulo 2^16")]
        let pushed = depacketizer.push(index as u16, packet.timestamp, packet.marker, &packet.payload);
        if ended || packet.marker {
            let unit = pushed.units.into_iter().next().filter(|unit| unit.timestamp == first.timestamp);
            let fits = unit.filter(|unit| unit.data.len() <= MAX_KEY_FRAME_BYTES);
            return fits.map_or(Found::Broken, |unit| Found::Whole(unit.data.into()));
        }
    }
    Found::Broken
}

/// For fuzzing: whatever packets lie in a ring, what is found begins as Annex B does.
pub(super) fn find_any(ring: &Ring, start: u64, newest: u64) {
    match find(ring, start, newest) {
        Found::Whole(annex_b) => assert!(annex_b.starts_with(&[0, 0, 0, 1])),
        Found::Begun | Found::Broken => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::RelayError;
    use tokio::sync::oneshot;

    /// SPS and PPS in a STAP-A, an IDR slice in two FU-A.
    const FRAME: [&[u8]; 3] =
        [&[0x78, 0, 2, 0x67, 0xaa, 0, 2, 0x68, 0xbb], &[0x7c, 0x85, 1, 2], &[0x7c, 0x45, 3]];
    const ANNEX_B: &[u8] = &[0, 0, 0, 1, 0x67, 0xaa, 0, 0, 0, 1, 0x68, 0xbb, 0, 0, 0, 1, 0x65, 1, 2, 3];

    fn ring_with(packets: &[&[u8]], start: u64) -> Ring {
        let mut ring = Ring::new(VIDEO);
        for (index, packet) in (start..).zip(packets) {
            ring.insert(index, 90, index == start + 2, packet);
        }
        ring
    }

    fn asked(still: &mut Still, ring: &Ring, newest: u64) -> oneshot::Receiver<Result<KeyFrame, RelayError>> {
        let (reply, answer) = oneshot::channel();
        still.answer(Codec::H264, ring, newest, reply);
        answer
    }

    fn shown(answer: Result<Result<KeyFrame, RelayError>, oneshot::error::TryRecvError>) -> Option<Bytes> {
        match answer.expect("answered").expect("no error") {
            KeyFrame::Here { annex_b, .. } => Some(annex_b),
            KeyFrame::NotYet | KeyFrame::Unshown(_) => None,
        }
    }

    #[test]
    fn a_key_frame_comes_out_of_aggregates_and_fragments() {
        let mut still = Still::default();
        let ring = ring_with(&FRAME, 7);
        assert_eq!(shown(asked(&mut still, &ring, 9).try_recv()), None, "no key frame yet");
        still.begins(Instant::now(), 7);
        assert_eq!(shown(asked(&mut still, &ring, 9).try_recv()).expect("a frame"), ANNEX_B);
    }

    #[test]
    fn one_that_is_arriving_is_waited_for() {
        let mut still = Still::default();
        still.begins(Instant::now(), 7);
        let mut ring = ring_with(&FRAME[..2], 7);
        let mut answer = asked(&mut still, &ring, 8);
        still.came(&ring, 90, false, 8);
        assert!(answer.try_recv().is_err());
        ring.insert(9, 90, true, FRAME[2]);
        still.came(&ring, 90, true, 9);
        assert_eq!(shown(answer.try_recv()).expect("a frame"), ANNEX_B);
    }

    #[test]
    fn a_frame_without_a_marker_ends_where_the_next_begins() {
        let mut ring = Ring::new(VIDEO);
        for (index, packet) in (1..).zip(FRAME) {
            ring.insert(index, 90, false, packet);
        }
        assert_eq!(find(&ring, 1, 3), Found::Begun);
        ring.insert(4, 3090, true, &[0x41, 1]);
        assert_eq!(find(&ring, 1, 4), Found::Whole(ANNEX_B.into()));
    }

    #[test]
    fn it_outlives_the_ring_and_ends_with_the_session() {
        let mut still = Still::default();
        let mut ring = ring_with(&FRAME, 7);
        still.begins(Instant::now(), 7);
        for index in 10..10 + 3 * VIDEO as u64 {
            still.rescue(&ring, index);
            ring.insert(index, 180, true, &[0x41, 9]);
        }
        let (reply, mut answer) = oneshot::channel();
        still.answer(Codec::H264, &ring, 10 + 3 * VIDEO as u64 - 1, reply);
        let KeyFrame::Here { annex_b, ended } = answer.try_recv().expect("answered").expect("no error")
        else {
            panic!("no frame");
        };
        assert_eq!(annex_b, ANNEX_B);
        assert!(ended.has_changed().is_ok());
        drop(still);
        assert!(ended.has_changed().is_err());
    }

    #[test]
    fn garbage_and_other_codecs_are_told_from_frames() {
        let mut still = Still::default();
        let ring = ring_with(&[&[0x65, 1], &[0x7c, 0x45, 3], &[0xff]], 7);
        still.begins(Instant::now(), 7);
        assert_eq!(shown(asked(&mut still, &ring, 9).try_recv()), None);
        let (reply, mut answer) = oneshot::channel();
        still.answer(Codec::Vp9, &ring, 9, reply);
        let answer = answer.try_recv().expect("answered").expect("no error");
        assert!(matches!(answer, KeyFrame::Unshown(Codec::Vp9)));
    }

    #[test]
    fn who_waits_for_another_is_not_given_the_old_one_nor_a_broken_one() {
        let mut still = Still::default();
        let mut ring = ring_with(&FRAME, 7);
        still.begins(Instant::now(), 7);
        let (reply, mut answer) = oneshot::channel();
        still.wait(reply);
        ring.insert(10, 180, true, &[0x41, 9]);
        still.came(&ring, 180, true, 10);
        // The next one has a hole.
        ring.insert(11, 270, false, FRAME[0]);
        still.begins(Instant::now(), 11);
        ring.insert(13, 270, true, FRAME[2]);
        still.came(&ring, 270, true, 13);
        assert!(answer.try_recv().is_err());
        for (index, packet) in (14..).zip(FRAME) {
            ring.insert(index, 360, index == 16, packet);
        }
        still.begins(Instant::now(), 14);
        still.came(&ring, 360, true, 16);
        assert_eq!(shown(answer.try_recv()).expect("a frame"), ANNEX_B);
    }

    #[test]
    fn an_old_one_is_stale_only_where_somebody_watches() {
        let (mut still, now) = (Still::default(), Instant::now());
        assert!(!still.is_stale(now, true), "there is none yet: the first is on its way");
        still.begins(now, 1);
        assert!(!still.is_stale(now + STALE / 2, true));
        assert!(still.is_stale(now + STALE, true) && !still.is_stale(now + STALE, false));
    }
}
