//! One viewer of a session: its connection, what it is sent, and how much input it may send.
//!
//! What is sent when is decided by its [`Pacer`]; here it is sealed and handed to the socket.
//!
//! Invariants:
//! - A packet that was sealed is sent, unless more waits than [`UNSENT_BYTES`]: what finds the socket full waits in front of
//!   what follows, so that the receiver sees no hole. While it waits no video is sealed.
//! - A skip (full socket, outage, shed, too much for the link) lasts until the next key frame. Losses reported meanwhile, or
//!   from before it, neither repeat it nor ask for another key frame.

use super::budget::Budget;
use super::down_track::Numbered;
use super::feedback::Reception;
pub(super) use super::fresh::{Fresh, Given};
use super::outbox::Outbox;
use super::pacer::{Arrived, Due, Heard, Pacer, Repair, Video, Why};
use super::peer::{Peer, random};
use super::quality::Quality;
use super::ring::{Kept, Ring};
use super::session::Session;
use super::socket::Socket;
use super::stats::{Cause, Count, Drop, Stats};
use crate::model::ids::ViewerId;
use std::time::{Duration, Instant};

/// Sender reports for both streams this often.
const REPORTS: Duration = Duration::from_secs(1);
/// Reports and the crate's timers wait this long for the session's next frame, which wakes the shard anyway.
const PATIENCE: Duration = Duration::from_millis(20);
const MIN_PAUSE: Duration = Duration::from_millis(1);
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
    pub(super) pacer: Pacer,
    pub(super) quality: Quality,
    audio: AudioTrack,
    report_at: Instant,
    /// Since when a report or the crate's timers are to be looked after.
    due: Option<Instant>,
    input: Budget,
    /// Sealed packets that found the socket full.
    unsent: Outbox,
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
            pacer: Pacer::new(now, base(v0, v1)),
            quality: Quality::new(now),
            audio: AudioTrack { base: base(a0, a1), origin: None, reported: None },
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
        stats: &mut Stats,
    ) -> bool {
        if !self.peer.is_connected() {
            return false;
        }
        let new = session.fresh.after(given);
        let doubled = self.quality.doubles_sound(now);
        for packet in new.audio.iter().filter_map(|index| session.audio_ring.get(*index)) {
            let before = session.audio_ring.get(packet.index - 1).filter(|_| doubled);
            self.peer.write_audio(now, self.audio.packet_index(packet.index), packet, before, out);
        }
        if new.video.is_empty() || self.quality.is_shed() {
            return false;
        }
        if new.key_frame.is_some() {
            self.quality.key_frame_began();
        }
        if self.has_unsent() {
            if !self.pacer.is_waiting() || new.key_frame.is_some() {
                self.skip(Cause::Loss);
            }
            return false;
        }
        if self.pacer.tries_again(now) {
            self.quality.request_key_frame(Cause::Loss);
        }
        let mut sent = false;
        if let Some(key_frame) = new.key_frame.filter(|key_frame| self.pacer.closes(*key_frame)) {
            let before = new.video.iter().copied().filter(|index| *index < key_frame.start);
            sent |= self.send_wanted(now, &session.ring, before, out);
            self.pacer.track_mut().close(key_frame);
        }
        let arrived = Arrived { indices: new.video, bytes: new.bytes, key_frame: new.key_frame };
        self.pacer.arrived(now, arrived, video(session));
        if new.key_frame.is_some() && self.pacer.is_waiting() && !self.pacer.is_held() {
            // It is of no use to this viewer.
            self.quality.request_key_frame(Cause::Loss);
        }
        sent |= self.send_wanted(now, &session.ring, new.video.iter().copied(), out);
        // What came before a key frame that is spread has gone ahead of it.
        sent | self.catch_up(now, session, out, stats)
    }

    /// Puts the next piece of what has gathered for this viewer into the outbox, if it is time. True: there was one.
    pub(super) fn catch_up(
        &mut self,
        now: Instant,
        session: &Session,
        out: &mut Outbox,
        stats: &mut Stats,
    ) -> bool {
        if self.has_unsent() {
            return false;
        }
        match self.pacer.due(now, video(session)) {
            Due::Send(piece) => self.send(now, &session.ring, piece, out),
            Due::GaveUp => {
                stats.drop(Drop::Behind);
                self.quality.request_key_frame(Cause::Loss);
                false
            }
        }
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
            if self.pacer.wants(index) {
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
            let number = self.pacer.track().packet_index(packet.index);
            if !self.peer.write_video(now, number, packet, out) {
                self.skip(Cause::Loss);
                break;
            }
            self.pacer.sent(packet.index);
            sent = true;
        }
        if sent && self.quality.duplicates(now) {
            self.pacer.repeat_last(now);
        }
        sent
    }

    /// Sends no more video before the next key frame, and requests that.
    fn skip(&mut self, cause: Cause) {
        self.pacer.skip();
        self.quality.request_key_frame(cause);
    }

    pub(super) fn is_player(&self) -> bool {
        self.slot.is_some()
    }

    /// Whether pieces of the stream's past wait to be sent.
    pub(super) fn is_catching_up(&self) -> bool {
        self.pacer.is_behind()
    }

    /// The viewer is connected: it starts with the session's group of pictures. False: there is none that its link carries
    /// soon, a key frame is needed.
    pub(super) fn join(&mut self, now: Instant, session: &Session) -> bool {
        self.pacer.join(now, session.group_start(), video(session))
    }

    /// A report block on one of our streams. False: the viewer's receiver cannot follow this connection any more.
    pub(super) fn received(
        &mut self,
        now: Instant,
        ntp: u32,
        ring: &Ring,
        report: Reception,
        stats: &mut Stats,
    ) -> bool {
        if Some(report.ssrc) == self.peer.audio_ssrc() {
            self.quality.audio(now, report);
            if self.audio.is_progress(report.highest) {
                let heard = self.pacer.reached();
                return self.follow(heard);
            }
        } else if report.ssrc == self.peer.video_ssrc() {
            let packets = self.pacer.track_mut().reported(report.highest);
            let of_the_link =
                if report.lost == 0 { 0 } else { self.lost_on_the_link(ring, report.lost, packets) };
            let report = Reception { lost: of_the_link, ..report };
            if self.quality.video(now, ntp, report, self.is_player()) {
                stats.drop(Drop::Shed);
                self.pacer.skip();
            }
            let heard = self.pacer.heard(now, report);
            return self.follow(heard);
        }
        true
    }

    fn follow(&mut self, heard: Heard) -> bool {
        if heard == Heard::Again {
            self.quality.request_key_frame(Cause::Loss);
        }
        heard != Heard::Lost
    }

    /// The part of a reported loss, in 1/256, that is this viewer's link's and not the source's.
    fn lost_on_the_link(&self, ring: &Ring, lost: u8, packets: std::ops::Range<u64>) -> u8 {
        let all = packets.end.saturating_sub(packets.start);
        let missing = self.pacer.track().missing(ring, packets);
        if missing == 0 {
            return lost;
        }
        let lost = (u64::from(lost) * all / 256).saturating_sub(missing);
        u8::try_from(lost * 256 / all.max(1)).unwrap_or(u8::MAX)
    }

    /// Takes in reported losses; [`Self::send_again`] answers them. What was never sent or is not to be repaired is ignored;
    /// what only a key frame can help becomes a request for one.
    pub(super) fn lost(
        &mut self,
        now: Instant,
        ring: &Ring,
        ssrc: u32,
        sequences: &[u16],
        stats: &mut Stats,
    ) {
        if ssrc != self.peer.video_ssrc() || self.quality.is_shed() || self.pacer.is_waiting() {
            return;
        }
        if self.pacer.is_outage(ring, sequences) {
            return self.skip(Cause::Loss);
        }
        let trip = self.quality.trip();
        for (at, sequence) in sequences.iter().enumerate() {
            let Some(numbered) = self.pacer.track().find(*sequence) else { continue };
            match ring.find(numbered.index) {
                Kept::Here => {}
                Kept::Missing => {
                    stats.drop(Drop::RetransmitMissing);
                    if self.pacer.track_mut().asks_for_missing(now, numbered) {
                        self.quality.request_key_frame(Cause::Loss);
                    }
                    continue;
                }
                Kept::Overwritten => {
                    self.gone(numbered.index, stats);
                    continue;
                }
            }
            match self.pacer.ask(now, numbered, trip) {
                Repair::Due | Repair::UnderWay => {}
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
        if self.pacer.track().is_needed(index) {
            self.quality.request_key_frame(Cause::Loss);
        }
    }

    /// Puts retransmissions and their copies into the outbox, as far as it is time for them.
    pub(super) fn send_again(&mut self, now: Instant, ring: &Ring, out: &mut Outbox, stats: &mut Stats) {
        if self.has_unsent() {
            return;
        }
        let twice = self.quality.duplicates(now);
        while let Some((Numbered { index, packet }, why)) = self.pacer.again(now, ring, twice) {
            let sent = ring.get(index).is_some_and(|kept| self.peer.retransmit(now, packet, kept, out));
            match (why, sent) {
                (Why::Lost, true) => stats.count(Count::Retransmits, 1),
                (Why::Lost, false) => self.gone(index, stats),
                (Why::Copy, true) => stats.count(Count::DuplicateRetransmits, 1),
                (Why::Copy, false) => {}
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

    /// Sends what waits for the socket, as far as that takes it.
    pub(super) fn retry(&mut self, socket: &mut Socket, stats: &mut Stats) {
        if let Some(path) = self.peer.path().filter(|_| self.has_unsent()) {
            self.retry_with(stats, |packets, stats| socket.send_all(path, packets, stats));
        }
    }

    /// Sends the outbox. `video`: there is some of it.
    pub(super) fn flush(&mut self, socket: &mut Socket, out: &mut Outbox, video: bool, stats: &mut Stats) {
        stats.drops(Drop::Unsealed, out.refused());
        let Some(path) = self.peer.path() else { return };
        self.hand_over(out, video, stats, |packets, stats| socket.send_all(path, packets, stats));
    }

    /// Hands what waits to `send`, which gives how many packets, the last ones, found the socket full.
    pub(super) fn retry_with(
        &mut self,
        stats: &mut Stats,
        mut send: impl FnMut(&Outbox, &mut Stats) -> usize,
    ) {
        if self.has_unsent() {
            let left = send(&self.unsent, stats);
            self.unsent.keep_last(left);
            if left == 0 {
                // Its memory is not needed any more.
                self.unsent = Outbox::default();
            }
        }
    }

    /// Hands packets to `send`. Those that find the socket full wait; where more of them wait than may, video has ended
    /// until the next key frame.
    pub(super) fn hand_over(
        &mut self,
        out: &Outbox,
        video: bool,
        stats: &mut Stats,
        mut send: impl FnMut(&Outbox, &mut Stats) -> usize,
    ) {
        self.retry_with(stats, &mut send);
        let left = if self.has_unsent() { out.len() } else { send(out, stats) };
        let taken = self.unsent.append_last(out, left, UNSENT_BYTES);
        stats.count(Count::HeldBack, taken as u64);
        stats.drops(Drop::WouldBlock, (left - taken) as u64);
        if video && taken < left {
            self.skip(Cause::Loss);
        }
    }

    /// Whether packets wait for a full socket.
    pub(super) fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// The key frame request that may be passed on now.
    pub(super) fn take_request(&mut self, now: Instant) -> Option<Cause> {
        self.quality.take_request(now, self.is_player())
    }

    /// Whether there is something to be done before the viewer's next report or event.
    pub(super) fn is_busy(&self) -> bool {
        self.pacer.deadline().is_some() || self.has_unsent() || self.quality.has_request()
    }

    /// When to look after this viewer again; never at once, so that no overdue timer of `rtc` can spin the loop.
    pub(super) fn deadline(&mut self, now: Instant) -> Option<Instant> {
        let connected = self.peer.is_connected();
        let report = connected.then_some(self.report_at);
        let request = self.quality.deadline(self.is_player());
        let sending = if self.has_unsent() { Some(now + RETRY) } else { self.pacer.deadline() };
        self.due = [self.peer.deadline(), report].into_iter().flatten().min();
        let patience = if connected { PATIENCE } else { Duration::ZERO };
        let due = self.due.map(|at| at + patience);
        let next = [due, sending, request].into_iter().flatten().min();
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
    /// The greatest sequence number in the viewer's last report.
    reported: Option<u16>,
}

impl AudioTrack {
    /// The packet index (RFC 3711 section 3.3.1) of an index of the session.
    fn packet_index(&mut self, index: u64) -> u64 {
        let origin = *self.origin.get_or_insert(index);
        u64::from(self.base) + index.saturating_sub(origin)
    }

    /// Whether a report shows that more has reached the viewer.
    fn is_progress(&mut self, highest: u16) -> bool {
        self.reported.replace(highest).is_some_and(|before| before != highest)
    }
}

fn video(session: &Session) -> Video<'_> {
    Video { ring: &session.ring, newest: session.newest(), frame_time: session.frame_time() }
}
