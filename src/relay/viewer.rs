//! One viewer of a session: its connection, what it is sent, and how much input it may send.
//!
//! Invariants:
//! - A packet that was sealed is sent, unless more waits than [`UNSENT_BYTES`]: what finds the socket full waits in front of
//!   what follows, so that the receiver sees no hole.
//! - A skip (full socket, outage, shed) lasts until the next key frame. Losses reported meanwhile, or from before it,
//!   neither repeat it nor ask for another key frame.

use super::budget::Budget;
use super::down_track::{DownTrack, KeyFrame, Numbered, Pace, REPAIRS, Repair};
use super::feedback::Reception;
use super::outbox::Outbox;
use super::peer::{Peer, random};
use super::quality::{DUPLICATE_AFTER, Quality};
use super::ring::{Kept, Ring};
use super::session::Session;
use super::socket::Socket;
use super::stats::{Cause, Count, Drop, Stats};
use crate::ids::ViewerId;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Sender reports for both streams this often.
const REPORTS: Duration = Duration::from_secs(1);
/// Retransmissions waiting to be sent a second time. More are sent once.
const DUPLICATES: usize = 64;
/// Reports and the crate's timers wait this long for the session's next frame, which wakes the shard anyway.
const PATIENCE: Duration = Duration::from_millis(20);
const MIN_PAUSE: Duration = Duration::from_millis(1);
/// A key frame smaller than this goes out at once.
const PACED_BYTES: usize = 16 * 1024;
/// Data-channel messages a second, and in one burst.
const INPUT_RATE: f64 = 2000.0;
/// What may wait for a full socket: a group of pictures. More is dropped and counted.
const UNSENT_BYTES: usize = 1 << 20;
/// A full socket is tried again after this.
const RETRY: Duration = Duration::from_millis(5);

/// A viewer, as its shard holds it.
pub(super) struct Viewer {
    pub(super) id: ViewerId,
    pub(super) session: u64,
    pub(super) slot: Option<u8>,
    pub(super) peer: Peer,
    pub(super) track: DownTrack,
    pub(super) quality: Quality,
    /// Retransmissions that are sent a second time, and when.
    duplicates: VecDeque<Duplicate>,
    audio: AudioTrack,
    report_at: Instant,
    /// Since when a report or the crate's timers are to be looked after.
    due: Option<Instant>,
    input: Budget,
    /// Sealed packets that found the socket full.
    unsent: Outbox,
}

/// A retransmission that is to be sent again.
#[derive(Debug, Clone, Copy)]
struct Duplicate {
    at: Instant,
    /// In the session.
    index: u64,
    /// In this viewer's stream.
    packet: u64,
}

/// New packets of a session, for its viewers.
#[derive(Debug, Default)]
pub(super) struct Fresh {
    /// Indices of video packets, now in the ring, in the order of their arrival.
    pub(super) video: Vec<u64>,
    /// The newest key frame among them, and how many of them were there when it showed.
    key_frame: Option<(usize, KeyFrame)>,
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

    /// The packet that came last shows this key frame.
    pub(super) fn key_frame(&mut self, key_frame: KeyFrame) {
        self.key_frame = Some((self.video.len(), key_frame));
    }

    /// All there is.
    pub(super) fn given(&self) -> Given {
        Given { video: self.video.len(), audio: self.audio.len() }
    }

    /// Video, its newest key frame, and audio, after what was given.
    fn after(&self, given: Given) -> (&[u64], Option<KeyFrame>, &[u64]) {
        let key_frame = self.key_frame.filter(|(shown, _)| *shown > given.video);
        (
            self.video.get(given.video..).unwrap_or_default(),
            key_frame.map(|(_, key_frame)| key_frame),
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
            duplicates: VecDeque::new(),
            audio: AudioTrack { base: base(a0, a1), origin: None },
            report_at: now + REPORTS,
            due: None,
            input: Budget::new(now, INPUT_RATE),
            unsent: Outbox::default(),
        }
    }

    /// Puts what is new, except what was given already, into the outbox. True: some of it is video.
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
        let (mut sent, mut spread) = (false, false);
        if let Some(key_frame) = key_frame {
            self.quality.key_frame_began();
            if let Some(resumed) = self.track.key_frame(key_frame) {
                return self.send(now, &session.ring, resumed..session.newest() + 1, out);
            }
            if self.track.is_waiting() {
                // It is of no use to this viewer.
                self.quality.request_key_frame(Cause::Loss);
            }
            if self.track.closes(key_frame) {
                let before = video.iter().copied().filter(|index| *index < key_frame.start);
                sent |= self.send_wanted(now, &session.ring, before, out);
                self.track.close(key_frame);
            }
            if let Some(pace) = self.pace(session, key_frame.start) {
                self.track.spread(now, key_frame.start.max(self.track.next_unsent()), pace);
                spread = true;
            }
        }
        sent |= self.send_wanted(now, &session.ring, video.iter().copied(), out);
        // What came before a key frame that is spread has gone ahead of it.
        sent | (spread && self.catch_up(now, session, out))
    }

    /// Puts the next piece of the cached group into the outbox, if it is time. True: there was one.
    pub(super) fn catch_up(&mut self, now: Instant, session: &Session, out: &mut Outbox) -> bool {
        let piece = self.track.catch_up(now, session.newest());
        self.send(now, &session.ring, piece, out)
    }

    fn send_wanted(
        &mut self,
        now: Instant,
        ring: &Ring,
        indices: impl Iterator<Item = u64>,
        out: &mut Outbox,
    ) -> bool {
        let mut sent = false;
        for index in indices {
            if self.track.wants(index) {
                sent |= self.send(now, ring, index..index + 1, out);
            }
        }
        sent
    }

    /// Puts packets into the outbox. A packet that cannot be sealed ends the sending until the next key frame: numbers
    /// behind it would make its absence a hole.
    fn send(&mut self, now: Instant, ring: &Ring, indices: std::ops::Range<u64>, out: &mut Outbox) -> bool {
        let mut sent = false;
        for packet in indices.filter_map(|index| ring.get(index)) {
            if !self.peer.write_video(now, self.track.packet_index(packet.index), packet, out) {
                self.track.skip();
                self.quality.request_key_frame(Cause::Loss);
                break;
            }
            self.track.sent(packet.index);
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

    /// Whether pieces of the stream's past wait to be sent.
    pub(super) fn is_catching_up(&self) -> bool {
        self.track.deadline().is_some()
    }

    /// The viewer is connected: it starts with the session's group of pictures. False: there is none, a key frame is
    /// needed.
    pub(super) fn join(&mut self, now: Instant, session: &Session) -> bool {
        self.track.join(now, session.group_start())
    }

    /// A report block on one of our streams.
    pub(super) fn received(
        &mut self,
        now: Instant,
        ntp: u32,
        ring: &Ring,
        report: Reception,
        stats: &mut Stats,
    ) {
        if Some(report.ssrc) == self.peer.audio_ssrc() {
            self.quality.audio(now, report);
        } else if report.ssrc == self.peer.video_ssrc() {
            let packets = self.track.reported(report.highest);
            let of_the_link =
                if report.lost == 0 { 0 } else { self.lost_on_the_link(ring, report.lost, packets) };
            let report = Reception { lost: of_the_link, ..report };
            if self.quality.video(now, ntp, report, self.is_player()) {
                stats.drop(Drop::Shed);
                self.track.skip();
            }
        }
    }

    /// The part of a reported loss, in 1/256, that is this viewer's link's and not the source's.
    fn lost_on_the_link(&self, ring: &Ring, lost: u8, packets: std::ops::Range<u64>) -> u8 {
        let all = packets.end.saturating_sub(packets.start);
        let missing = self.track.missing(ring, packets);
        if missing == 0 {
            return lost;
        }
        let lost = (u64::from(lost) * all / 256).saturating_sub(missing);
        u8::try_from(lost * 256 / all.max(1)).unwrap_or(u8::MAX)
    }

    /// Answers reported losses. What was never sent or is not to be repaired is ignored; what only a key frame can help
    /// becomes a request for one.
    pub(super) fn lost(
        &mut self,
        now: Instant,
        ring: &Ring,
        ssrc: u32,
        sequences: &[u16],
        out: &mut Outbox,
        stats: &mut Stats,
    ) {
        if ssrc != self.peer.video_ssrc() || self.quality.is_shed() || self.track.is_waiting() {
            return;
        }
        if self.track.is_outage(ring, sequences) {
            self.track.skip();
            return self.quality.request_key_frame(Cause::Loss);
        }
        let trip = self.quality.trip();
        let repairs = self.peer.rate().map_or(REPAIRS, |rate| rate.repairs().min(REPAIRS));
        for (at, sequence) in sequences.iter().enumerate() {
            let Some(numbered) = self.track.find(*sequence) else { continue };
            let packet = match ring.find(numbered.index) {
                Kept::Here(packet) => packet,
                Kept::Missing => {
                    stats.drop(Drop::RetransmitMissing);
                    if self.track.asks_for_missing(now, numbered) {
                        self.quality.request_key_frame(Cause::Loss);
                    }
                    continue;
                }
                Kept::Overwritten => {
                    self.gone(numbered.index, stats);
                    continue;
                }
            };
            match self.track.repair(now, numbered.index, trip, repairs) {
                Repair::Send if self.peer.retransmit(now, numbered.packet, packet, out) => {
                    stats.count(Count::Retransmits, 1);
                    if self.quality.duplicates(now) && self.duplicates.len() < DUPLICATES {
                        let Numbered { index, packet } = numbered;
                        self.duplicates.push_back(Duplicate { at: now + DUPLICATE_AFTER, index, packet });
                    }
                }
                Repair::Send => self.gone(numbered.index, stats),
                Repair::UnderWay => {}
                Repair::Limited => {
                    stats.drops(Drop::RetransmitLimit, (sequences.len() - at) as u64);
                    return;
                }
            }
        }
    }

    /// A lost packet is no longer kept. Of the newest group, only a key frame can help.
    fn gone(&mut self, index: u64, stats: &mut Stats) {
        stats.drop(Drop::RetransmitGone);
        if self.track.is_needed(index) {
            self.quality.request_key_frame(Cause::Loss);
        }
    }

    /// Sends the second copies of retransmissions that are due.
    pub(super) fn send_duplicates(&mut self, now: Instant, ring: &Ring, out: &mut Outbox, stats: &mut Stats) {
        while let Some(Duplicate { index, packet, .. }) = self.duplicates.pop_front_if(|next| next.at <= now)
        {
            if let Some(kept) = ring.get(index).filter(|_| !self.track.is_waiting())
                && self.peer.retransmit(now, packet, kept, out)
            {
                stats.count(Count::DuplicateRetransmits, 1);
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

    /// Sends the outbox. `video`: there is some of it, and what to do without when the socket stays full. True: a key frame
    /// is needed.
    pub(super) fn flush(
        &mut self,
        socket: &mut Socket,
        out: &mut Outbox,
        video: bool,
        stats: &mut Stats,
    ) -> bool {
        stats.drops(Drop::Unsealed, out.refused());
        let Some(path) = self.peer.path() else { return false };
        self.hand_over(out, video, stats, |packets, stats| socket.send_all(path, packets, stats))
    }

    /// Hands packets to `send`, which gives how many of them, the last ones, found the socket full. Those wait. A socket
    /// that is full still when more video follows ends the sending of video until the next key frame.
    pub(super) fn hand_over(
        &mut self,
        out: &Outbox,
        video: bool,
        stats: &mut Stats,
        mut send: impl FnMut(&Outbox, &mut Stats) -> usize,
    ) -> bool {
        let waited = !self.unsent.is_empty();
        if waited {
            let left = send(&self.unsent, stats);
            self.unsent.keep_last(left);
        }
        let full = !self.unsent.is_empty();
        let left = if full { out.len() } else { send(out, stats) };
        let taken = self.unsent.append_last(out, left, UNSENT_BYTES);
        stats.count(Count::HeldBack, taken as u64);
        stats.drops(Drop::WouldBlock, (left - taken) as u64);
        let lost = video && (full || taken < left);
        if waited && self.unsent.is_empty() {
            // Its memory is not needed any more.
            self.unsent = Outbox::default();
        }
        if lost {
            self.track.skip();
        }
        lost || (video && out.overflowed())
    }

    /// Whether packets wait for a full socket.
    pub(super) fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// When to look after this viewer again; never at once, so that no overdue timer of `rtc` can spin the loop.
    pub(super) fn deadline(&mut self, now: Instant) -> Option<Instant> {
        let connected = self.peer.is_connected();
        let report = connected.then_some(self.report_at);
        let request = self.quality.deadline(self.is_player());
        let duplicate = self.duplicates.front().map(|next| next.at);
        let retry = self.has_unsent().then_some(now + RETRY);
        self.due = [self.peer.deadline(), report].into_iter().flatten().min();
        let patience = if connected { PATIENCE } else { Duration::ZERO };
        let due = self.due.map(|at| at + patience);
        let next = [due, self.track.deadline(), request, duplicate, retry].into_iter().flatten().min();
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
        let key_frame = KeyFrame { start: 2, missing: 0 };
        fresh.key_frame(key_frame);
        let second = fresh.given();
        fresh.video.push(4);
        assert_eq!(fresh.after(Given::default()), ([1, 2, 3, 4].as_slice(), Some(key_frame), [7].as_slice()));
        assert_eq!(
            fresh.after(first),
            ([3, 4].as_slice(), Some(key_frame), [].as_slice()),
            "showed after the first two"
        );
        assert_eq!(fresh.after(second), ([4].as_slice(), None, [].as_slice()));
        assert_eq!(fresh.after(fresh.given()), ([].as_slice(), None, [].as_slice()));
    }
}
