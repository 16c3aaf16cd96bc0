//! One viewer of a session: its connection, what it is sent, and how much input it may send.

use super::down_track::{DownTrack, Nack};
use super::peer::{Peer, random};
use super::ring::{MediaPacket, Ring};
use super::socket::{Sent, Socket};
use super::stats::{Cause, Count, Drop, Stats};
use crate::ids::ViewerId;
use bytes::BytesMut;
use std::time::{Duration, Instant};

/// Sender reports for both streams this often.
const REPORTS: Duration = Duration::from_secs(1);
const MIN_PAUSE: Duration = Duration::from_millis(1);
/// Data-channel messages a second, and in one burst.
const INPUT_RATE: f64 = 2000.0;

/// A viewer, as its shard holds it.
pub(super) struct Viewer {
    pub(super) id: ViewerId,
    pub(super) session: u64,
    pub(super) slot: Option<u8>,
    pub(super) principal: String,
    pub(super) peer: Peer,
    pub(super) track: DownTrack,
    audio: AudioTrack,
    report_at: Instant,
    input_share: f64,
    input_refilled: Instant,
}

/// New packets of a session, for its viewers.
#[derive(Debug, Default)]
pub(super) struct Fresh {
    /// Indices of video packets, now in the ring.
    pub(super) video: Vec<u64>,
    /// Where the newest key frame among them begins.
    pub(super) key_frame: Option<u64>,
    pub(super) audio: Vec<MediaPacket>,
}

impl Fresh {
    pub(super) fn is_empty(&self) -> bool {
        self.video.is_empty() && self.audio.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.video.clear();
        self.audio.clear();
        self.key_frame = None;
    }
}

impl Viewer {
    pub(super) fn new(
        now: Instant,
        id: ViewerId,
        session: u64,
        slot: Option<u8>,
        principal: String,
        peer: Peer,
    ) -> Self {
        let [v0, v1, a0, a1] = random();
        // Bases below 2^15 leave the rollover counter in no doubt (RFC 3711 section 3.3.1).
        let base = |high, low| u16::from_be_bytes([high, low]) >> 1;
        Self {
            id,
            session,
            slot,
            principal,
            peer,
            track: DownTrack::new(now, base(v0, v1)),
            audio: AudioTrack { base: base(a0, a1), origin: None },
            report_at: now + REPORTS,
            input_share: INPUT_RATE,
            input_refilled: now,
        }
    }

    /// Queues what is new. True: some of it is video.
    pub(super) fn forward(&mut self, now: Instant, ring: &Ring, fresh: &Fresh, newest: u64) -> bool {
        if !self.peer.is_connected() {
            return false;
        }
        for packet in &fresh.audio {
            self.peer.write_audio(now, self.audio.sequence(packet.index), packet);
        }
        let joined = fresh.key_frame.is_some_and(|start| self.track.key_frame(start));
        if joined {
            // Never a packet twice: what was sent before the skip stays sent.
            let start = fresh.key_frame.unwrap_or(newest).max(self.track.next_unsent());
            return self.send_range(now, ring, start..newest + 1);
        }
        let mut sent = false;
        for index in &fresh.video {
            if self.track.wants(*index)
                && let Some(packet) = ring.get(*index)
            {
                self.peer.write_video(now, self.track.send(*index), packet);
                sent = true;
            }
        }
        sent
    }

    /// Queues the next piece of the cached group, if it is time. True: there was one.
    pub(super) fn catch_up(&mut self, now: Instant, ring: &Ring, newest: u64) -> bool {
        let piece = self.track.catch_up(now, newest);
        self.send_range(now, ring, piece)
    }

    fn send_range(&mut self, now: Instant, ring: &Ring, range: std::ops::Range<u64>) -> bool {
        let mut sent = false;
        for packet in range.filter_map(|index| ring.get(index)) {
            self.peer.write_video(now, self.track.send(packet.index), packet);
            sent = true;
        }
        sent
    }

    /// Answers reported losses; true when only a key frame can help.
    pub(super) fn lost(
        &mut self,
        now: Instant,
        ring: &Ring,
        ssrc: u32,
        sequences: &[u16],
        stats: &mut Stats,
    ) -> bool {
        if ssrc != self.peer.video_ssrc() {
            return false;
        }
        for (at, sequence) in sequences.iter().enumerate() {
            match self.track.nack(now, *sequence) {
                Nack::Resend(index) => match ring.get(index) {
                    Some(packet) if self.peer.can_retransmit() => {
                        self.peer.write_rtx(now, *sequence, packet);
                        stats.count(Count::Retransmits, 1);
                    }
                    Some(_) | None => {
                        stats.drop(Drop::RetransmitGone);
                        self.track.skip();
                        return true;
                    }
                },
                Nack::Ignore => {}
                Nack::Limited => {
                    stats.drops(Drop::RetransmitLimit, (sequences.len() - at) as u64);
                    break;
                }
            }
        }
        self.track.is_waiting()
    }

    /// Whether a message may pass, by size and rate.
    pub(super) fn admits(&mut self, now: Instant, len: usize) -> Result<(), Drop> {
        self.input_share = (self.input_share
            + now.saturating_duration_since(self.input_refilled).as_secs_f64() * INPUT_RATE)
            .min(INPUT_RATE);
        self.input_refilled = now;
        if self.input_share < 1.0 {
            return Err(Drop::InputRate);
        }
        self.input_share -= 1.0;
        if len > playgate_signaling::input::MAX_FRAME_BYTES {
            return Err(Drop::InputOversized);
        }
        Ok(())
    }

    /// Whether sender reports are due.
    pub(super) fn report_due(&mut self, now: Instant) -> bool {
        let due = self.peer.is_connected() && now >= self.report_at;
        if due {
            self.report_at = now + REPORTS;
        }
        due
    }

    /// Sends everything queued. `video`: what to do without when the socket is full.
    pub(super) fn flush(
        &mut self,
        socket: &mut Socket,
        scratch: &mut Vec<BytesMut>,
        video: bool,
        stats: &mut Stats,
    ) -> bool {
        scratch.clear();
        self.peer.drain(scratch);
        let Some(path) = self.peer.path() else { return false };
        let blocked = socket.send_all(path, scratch, stats) == Sent::Blocked;
        if blocked && video {
            self.track.skip();
            stats.key_frame(Cause::Loss);
            return true;
        }
        false
    }

    /// When to look after this viewer again; never at once, so that no overdue timer of `rtc` can spin the loop.
    pub(super) fn deadline(&mut self, now: Instant) -> Option<Instant> {
        let report = self.peer.is_connected().then_some(self.report_at);
        let next = [self.peer.deadline(), self.track.deadline(), report].into_iter().flatten().min();
        next.map(|at| at.max(now + MIN_PAUSE))
    }
}

/// Numbering of one viewer's audio.
#[derive(Debug)]
struct AudioTrack {
    base: u16,
    origin: Option<u64>,
}

impl AudioTrack {
    fn sequence(&mut self, index: u64) -> u16 {
        let origin = *self.origin.get_or_insert(index);
        #[expect(clippy::cast_possible_truncation, reason = "sequence numbers are modulo 2^16")]
        let offset = index.wrapping_sub(origin) as u16;
        self.base.wrapping_add(offset)
    }
}
