//! What a session's sources send, packet by packet, into its rings.
//!
//! Invariants:
//! - Nothing larger than [`MAX_PAYLOAD`] goes to viewers as video: it is split, or dropped and named.
//! - A key frame of H.264 stands behind its parameter sets.

use super::Session;
use super::ingest::Arrival;
use crate::relay::keyframe::starts_key_frame;
use crate::relay::parameter_sets::Finding;
use crate::relay::rtp::Rtp;
use crate::relay::source::Place;
use crate::relay::split::{MAX_PAYLOAD, split};
use crate::relay::stats::{Cause, Count, Drop, Stats};
use crate::relay::{Codec, RelayEvent, SourceFault};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A source without a key frame is named after this: longer than foreign encoders' usual groups of pictures.
const FIRST_KEY_FRAME: Duration = Duration::from_secs(12);

impl Session {
    /// A datagram on the video port.
    pub(in crate::relay) fn video_datagram(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &[u8],
        stats: &mut Stats,
    ) {
        let was_latched = self.video.source.latched().is_some();
        match self.video.receive(now, from, self.codec, datagram, stats) {
            Arrival::Packet { before, settled, rtp } => {
                if settled {
                    self.settled(rtp.payload_type);
                }
                if let Some((place, held)) = before {
                    self.video_packet(now, place, &held.rtp(), false, stats);
                }
                if let Some(place) = self.video.place(now, from, &rtp, datagram.len(), stats) {
                    self.video_packet(now, place, &rtp, !was_latched, stats);
                }
            }
            Arrival::OtherType(fault) => self.faults.found(fault),
            Arrival::Nothing => {}
        }
        self.tell_faults(now, stats);
    }

    /// A datagram on the audio port.
    pub(in crate::relay) fn audio_datagram(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &[u8],
        stats: &mut Stats,
    ) {
        let Some(audio) = &mut self.audio else { return };
        match audio.receive(now, from, Codec::Opus, datagram, stats) {
            Arrival::Packet { before, settled, rtp } => {
                let place = audio.place(now, from, &rtp, datagram.len(), stats);
                if settled {
                    self.settled(rtp.payload_type);
                }
                if let Some((place, held)) = before {
                    self.audio_packet(place, &held.rtp(), stats);
                }
                if let Some(place) = place {
                    self.audio_packet(place, &rtp, stats);
                }
            }
            Arrival::OtherType(fault) => self.faults.found(fault),
            Arrival::Nothing => {}
        }
        self.tell_faults(now, stats);
    }

    fn audio_packet(&mut self, place: Place, rtp: &Rtp<'_>, stats: &mut Stats) {
        // In order only: no sequence number may be sealed twice.
        if place.index < self.audio_next {
            stats.drop(Drop::Duplicate);
            return;
        }
        self.audio_next = place.index + 1;
        if self.audio_ring.insert(place.index, place.timestamp, rtp.marker, rtp.payload) {
            self.fresh.audio(place.index);
        }
    }

    /// `opens`: it is the first one of the source.
    fn video_packet(&mut self, now: Instant, place: Place, rtp: &Rtp<'_>, opens: bool, stats: &mut Stats) {
        self.began.get_or_insert(now);
        if place.restarted {
            stats.count(Count::SourceRestarts, 1);
            self.group.clear();
            self.still.clear();
            self.faults.mended(|_| true);
        }
        let is_large = rtp.payload.len() > MAX_PAYLOAD;
        if is_large && !self.cut(place, rtp.payload, stats) {
            return;
        }
        let inserts =
            place.newest && self.codec == Codec::H264 && self.lacks_sets(place.timestamp, rtp.payload);
        let count = if is_large { self.pieces.len() } else { 1 };
        self.video.source.widen(count as u64 - 1 + u64::from(inserts));
        let Place { mut index, timestamp, .. } = place;
        let mut key = false;
        if inserts {
            stats.count(Count::SetsInserted, 1);
            let sets = self.sets.packet().to_vec();
            key |= self.store(now, index, timestamp, false, &sets, stats);
            index += 1;
        }
        if is_large {
            let pieces = std::mem::take(&mut self.pieces);
            for (piece, (index, left)) in pieces.iter().zip((index..).zip((0..count).rev())) {
                key |= self.store(now, index, timestamp, rtp.marker && left == 0, piece, stats);
            }
            self.pieces = pieces;
        } else {
            key |= self.store(now, index, timestamp, rtp.marker, rtp.payload, stats);
        }
        if place.newest {
            self.in_frame = !rtp.marker;
        }
        if !key && (place.restarted || opens) {
            // Came in the middle of a group: nobody can start from that.
            self.request_key_frame(Cause::Loss, stats);
        }
        self.still.came(&self.ring, timestamp, rtp.marker, self.newest());
    }

    /// Splits a payload into `pieces`. One that comes late has a single place in the numbering, which is too few.
    fn cut(&mut self, place: Place, payload: &[u8], stats: &mut Stats) -> bool {
        let split =
            split(self.codec, payload, MAX_PAYLOAD, &mut self.pieces).filter(|()| !self.pieces.is_empty());
        if split.is_none() {
            self.faults.found(SourceFault::LargePackets { bytes: payload.len() });
        }
        let cut = split.is_some() && place.newest;
        if cut {
            stats.count(Count::Split, 1);
        } else {
            stats.drop(Drop::Oversized);
        }
        cut
    }

    /// Whether a key frame begins that needs its parameter sets before it.
    fn lacks_sets(&mut self, timestamp: u32, payload: &[u8]) -> bool {
        match self.sets.payload(timestamp, payload) {
            Finding::Nothing => false,
            Finding::Insert => true,
            Finding::Complete => {
                self.faults.mended(|fault| *fault == SourceFault::NoParameterSets);
                false
            }
            Finding::Missing => {
                self.faults.found(SourceFault::NoParameterSets);
                false
            }
            Finding::BFrame => {
                self.faults.found(SourceFault::BFrames);
                false
            }
        }
    }

    /// Keeps a packet as viewers get it. True: its frame is a key frame.
    fn store(
        &mut self,
        now: Instant,
        index: u64,
        timestamp: u32,
        marker: bool,
        payload: &[u8],
        stats: &mut Stats,
    ) -> bool {
        self.still.rescue(&self.ring, index);
        if !self.ring.insert(index, timestamp, marker, payload) {
            stats.drop(Drop::Duplicate);
            return false;
        }
        let key = starts_key_frame(self.codec, payload);
        let begins = self.group.packet(&self.ring, index, key);
        self.fresh.video(index, payload.len());
        if let Some(start) = begins {
            self.fresh.key_frame(self.key_frame_at(start));
            self.still.begins(now, start);
            self.keys.answered();
            if !std::mem::replace(&mut self.pictured, true) {
                tracing::info!(session = %self.id, "the first key frame is here");
                self.faults.mended(|fault| *fault == SourceFault::NoKeyFrame);
                self.emit(RelayEvent::FirstKeyFrame, stats);
            }
        }
        key
    }

    /// There is no doubt any more which payload type the source's is.
    fn settled(&mut self, payload_type: u8) {
        tracing::info!(session = %self.id, payload_type, "the source sent another RTP payload type; this one is taken for it");
        self.faults.mended(|fault| matches!(fault, SourceFault::PayloadType { .. }));
    }

    /// A replica sees what its home sees, which tells of it.
    fn tell_faults(&mut self, now: Instant, stats: &mut Stats) {
        if self.is_replica() {
            return;
        }
        if !self.pictured && self.began.is_some_and(|began| now >= began + FIRST_KEY_FRAME) {
            self.faults.found(SourceFault::NoKeyFrame);
        }
        if let Some(faults) = self.faults.news(now)
            && !self.emit(RelayEvent::SourceFaults(faults), stats)
        {
            self.faults.tell_again();
        }
    }
}
