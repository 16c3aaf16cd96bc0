//! One viewer of a session: its connection, what it is sent, and how much input it may send.

use super::budget::Budget;
use super::down_track::{DownTrack, Nack, OUTAGE, Pace, REPAIRS};
use super::feedback::Reception;
use super::outbox::Outbox;
use super::peer::{Peer, random};
use super::quality::{ECHO, Quality};
use super::ring::Ring;
use super::session::Session;
use super::socket::{Sent, Socket};
use super::stats::{Cause, Count, Drop, Stats};
use crate::ids::ViewerId;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Sender reports for both streams this often.
const REPORTS: Duration = Duration::from_secs(1);
const ECHOES: usize = 64;
/// Reports and the crate's timers wait this long for the session's next frame, which wakes the shard anyway.
const PATIENCE: Duration = Duration::from_millis(20);
const MIN_PAUSE: Duration = Duration::from_millis(1);
/// A key frame smaller than this goes out at once.
const PACED_BYTES: usize = 16 * 1024;
/// Data-channel messages a second, and in one burst.
const INPUT_RATE: f64 = 2000.0;

/// A viewer, as its shard holds it.
pub(super) struct Viewer {
    pub(super) id: ViewerId,
    pub(super) session: u64,
    pub(super) slot: Option<u8>,
    pub(super) peer: Peer,
    pub(super) track: DownTrack,
    pub(super) quality: Quality,
    /// Retransmissions that are sent a second time, and when. More than [`ECHOES`] are not.
    echoes: VecDeque<(Instant, u64)>,
    audio: AudioTrack,
    report_at: Instant,
    /// Since when a report or the crate's timers are to be looked after.
    due: Option<Instant>,
    input: Budget,
}

/// New packets of a session, for its viewers.
#[derive(Debug, Default)]
pub(super) struct Fresh {
    /// Indices of video packets, now in the ring.
    pub(super) video: Vec<u64>,
    /// Where the newest key frame among them begins, and how many of them were there when it showed.
    key_frame: Option<(usize, u64)>,
    /// Indices of audio packets, now in their ring.
    pub(super) audio: Vec<u64>,
}

/// How much of what is new a viewer was given already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Given {
    video: usize,
    audio: usize,
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

    /// The newest packet shows that a key frame begins at `start`.
    pub(super) fn key_frame(&mut self, start: u64) {
        self.key_frame = Some((self.video.len(), start));
    }

    /// All there is.
    pub(super) fn given(&self) -> Given {
        Given { video: self.video.len(), audio: self.audio.len() }
    }

    /// Video, where its newest key frame begins, and audio, after what was given.
    fn after(&self, given: Given) -> (&[u64], Option<u64>, &[u64]) {
        let key_frame = self.key_frame.filter(|(shown, _)| *shown > given.video);
        (
            self.video.get(given.video..).unwrap_or_default(),
            key_frame.map(|(_, start)| start),
            self.audio.get(given.audio..).unwrap_or_default(),
        )
    }
}

impl Viewer {
    pub(super) fn new(now: Instant, id: ViewerId, session: u64, slot: Option<u8>, peer: Peer) -> Self {
        let [v0, v1, a0, a1] = random();
        // Bases below 2^15 leave the rollover counter in no doubt (RFC 3711 section 3.3.1).
        let base = |high, low| u16::from_be_bytes([high, low]) >> 1;
        Self {
            id,
            session,
            slot,
            peer,
            track: DownTrack::new(now, base(v0, v1)),
            quality: Quality::new(now),
            echoes: VecDeque::new(),
            audio: AudioTrack { base: base(a0, a1), origin: None },
            report_at: now + REPORTS,
            due: None,
            input: Budget::new(now, INPUT_RATE),
        }
    }

    /// Puts what is new, but for what was given already, into the outbox. True: some of it is video.
    pub(super) fn forward(
        &mut self,
        now: Instant,
        session: &Session,
        given: Given,
        out: &mut Outbox,
    ) -> bool {
        if !self.peer.is_connected() {
            return false;
        }
        let (video, key_frame, audio) = session.fresh.after(given);
        let doubled = self.quality.doubles_sound(now);
        for packet in audio.iter().filter_map(|index| session.audio_ring.get(*index)) {
            let before = session.audio_ring.get(packet.index - 1).filter(|_| doubled);
            self.peer.write_audio(now, self.audio.packet_index(packet.index), packet, before, out);
        }
        if self.quality.is_shed() {
            return false;
        }
        let joined = key_frame.is_some_and(|start| self.track.key_frame(start));
        let mut spread = false;
        if let Some(start) = key_frame {
            self.quality.fulfilled();
            if !joined && let Some(pace) = self.pace(session, start) {
                self.track.spread(now, start.max(self.track.next_unsent()), pace);
                spread = true;
            }
        }
        if joined {
            // Never a packet twice: what was sent before the skip stays sent.
            let newest = session.newest();
            let start = key_frame.unwrap_or(newest).max(self.track.next_unsent());
            return self.send_range(now, &session.ring, start..newest + 1, out);
        }
        let mut sent = false;
        for index in video {
            if self.track.wants(*index)
                && let Some(packet) = session.ring.get(*index)
            {
                self.peer.write_video(now, self.track.send(*index), packet, out);
                sent = true;
            }
        }
        // What came before the key frame has gone ahead of it.
        sent | (spread && self.catch_up(now, session, out))
    }

    /// Puts the next piece of the cached group into the outbox, if it is time. True: there was one.
    pub(super) fn catch_up(&mut self, now: Instant, session: &Session, out: &mut Outbox) -> bool {
        let piece = self.track.catch_up(now, session.newest());
        self.send_range(now, &session.ring, piece, out)
    }

    fn send_range(
        &mut self,
        now: Instant,
        ring: &Ring,
        range: std::ops::Range<u64>,
        out: &mut Outbox,
    ) -> bool {
        let mut sent = false;
        for packet in range.filter_map(|index| ring.get(index)) {
            self.peer.write_video(now, self.track.send(packet.index), packet, out);
            sent = true;
        }
        sent
    }

    /// How a key frame is spread when it is more than this viewer's link takes in at once.
    fn pace(&mut self, session: &Session, start: u64) -> Option<Pace> {
        let rate = self.peer.rate()?.target();
        let within = session.frame_time() / 4;
        let bytes: usize = (start..=session.newest())
            .filter_map(|index| session.ring.get(index))
            .map(|packet| packet.payload.len())
            .sum();
        let fits = rate * within.as_secs_f64() / 8.0;
        // Not for a few packets: a timer costs more than they do.
        (bytes as f64 > fits && bytes > PACED_BYTES).then_some(Pace { within, step: within / 4, least: 8 })
    }

    pub(super) fn is_player(&self) -> bool {
        self.slot.is_some()
    }

    /// A report block on one of our streams.
    pub(super) fn received(&mut self, now: Instant, ntp: u32, report: Reception, stats: &mut Stats) {
        if Some(report.ssrc) == self.peer.audio_ssrc() {
            self.quality.audio(now, report);
        } else if report.ssrc == self.peer.video_ssrc()
            && self.quality.video(now, ntp, report, self.is_player())
        {
            stats.drop(Drop::Shed);
            self.track.skip();
        }
    }

    /// Answers reported losses; what only a key frame can help becomes a wish for one.
    pub(super) fn lost(
        &mut self,
        now: Instant,
        ring: &Ring,
        ssrc: u32,
        sequences: &[u16],
        out: &mut Outbox,
        stats: &mut Stats,
    ) {
        if ssrc != self.peer.video_ssrc() || self.quality.is_shed() {
            return;
        }
        if sequences.len() > OUTAGE || self.track.is_waiting() {
            self.track.skip();
            return self.quality.wish(Cause::Loss);
        }
        let trip = self.quality.trip();
        let repairs = self.peer.rate().map_or(REPAIRS, |rate| rate.repairs().min(REPAIRS));
        for (at, sequence) in sequences.iter().enumerate() {
            match self.track.nack(now, *sequence, trip, repairs) {
                Nack::Resend(index) => match ring.get(index) {
                    Some(packet) if self.peer.can_retransmit() => {
                        self.peer.write_rtx(now, self.track.packet_index(index), packet, out);
                        stats.count(Count::Retransmits, 1);
                        if self.quality.echoes(now) && self.echoes.len() < ECHOES {
                            self.echoes.push_back((now + ECHO, index));
                        }
                    }
                    Some(_) | None => {
                        stats.drop(Drop::RetransmitGone);
                        self.track.skip();
                        return self.quality.wish(Cause::Loss);
                    }
                },
                Nack::Ignore => {}
                Nack::Limited => {
                    stats.drops(Drop::RetransmitLimit, (sequences.len() - at) as u64);
                    return;
                }
            }
        }
    }

    /// Sends the second copies of retransmissions that are due.
    pub(super) fn echo(&mut self, now: Instant, ring: &Ring, out: &mut Outbox, stats: &mut Stats) {
        while let Some((_, index)) = self.echoes.pop_front_if(|(at, _)| *at <= now) {
            if let Some(packet) = ring.get(index).filter(|_| !self.track.is_waiting()) {
                self.peer.write_rtx(now, self.track.packet_index(index), packet, out);
                stats.count(Count::Echoes, 1);
            }
        }
    }

    /// Whether a message may pass, by size and rate.
    pub(super) fn admits(&mut self, now: Instant, len: usize) -> Result<(), Drop> {
        if !self.input.take(now, INPUT_RATE, INPUT_RATE) {
            return Err(Drop::InputRate);
        }
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

    /// Sends the outbox. `video`: there is some of it, and what to do without when the socket is full. True: that happened, a
    /// key frame is needed.
    pub(super) fn flush(
        &mut self,
        socket: &mut Socket,
        out: &mut Outbox,
        video: bool,
        stats: &mut Stats,
    ) -> bool {
        stats.drops(Drop::Unsealed, out.refused());
        let Some(path) = self.peer.path() else { return false };
        let blocked = socket.send_all(path, out, stats) == Sent::Blocked;
        if blocked && video {
            self.track.skip();
            return true;
        }
        false
    }

    /// When to look after this viewer again; never at once, so that no overdue timer of `rtc` can spin the loop.
    pub(super) fn deadline(&mut self, now: Instant) -> Option<Instant> {
        let connected = self.peer.is_connected();
        let report = connected.then_some(self.report_at);
        let wish = self.quality.deadline(self.is_player());
        let echo = self.echoes.front().map(|(at, _)| *at);
        self.due = [self.peer.deadline(), report].into_iter().flatten().min();
        let patience = if connected { PATIENCE } else { Duration::ZERO };
        let due = self.due.map(|at| at + patience);
        let next = [due, self.track.deadline(), wish, echo].into_iter().flatten().min();
        next.map(|at| at.max(now + MIN_PAUSE))
    }

    /// Whether it is time for a report, or for the crate's timers.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|at| at <= now)
    }
}

/// Numbering of one viewer's audio.
#[derive(Debug)]
struct AudioTrack {
    base: u16,
    origin: Option<u64>,
}

impl AudioTrack {
    /// The packet index (RFC 3711 section 3.3.1) of an index of the session.
    fn packet_index(&mut self, index: u64) -> u64 {
        let origin = *self.origin.get_or_insert(index);
        u64::from(self.base) + index.saturating_sub(origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_is_not_given_again() {
        let mut fresh = Fresh::default();
        fresh.audio.push(7);
        fresh.video.extend([1, 2]);
        let first = fresh.given();
        fresh.video.push(3);
        fresh.key_frame(2);
        let second = fresh.given();
        fresh.video.push(4);
        assert_eq!(fresh.after(Given::default()), ([1, 2, 3, 4].as_slice(), Some(2), [7].as_slice()));
        assert_eq!(
            fresh.after(first),
            ([3, 4].as_slice(), Some(2), [].as_slice()),
            "showed after the first two"
        );
        assert_eq!(fresh.after(second), ([4].as_slice(), None, [].as_slice()));
        assert_eq!(fresh.after(fresh.given()), ([].as_slice(), None, [].as_slice()));
    }
}
