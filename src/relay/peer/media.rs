//! What a viewer is sent: RTP of both streams, retransmissions of video, and sender reports.
//!
//! Packets are sealed into the outbox by our own sealer where the connection's keys were proven (`super::sealing`), and are
//! otherwise queued in the crate, for good: never by both. Retransmissions are packets of the RTX stream (RFC 4588) or,
//! where that was not agreed on, the same datagrams again (`super::copies`).

use super::copies::Copies;
use super::{Peer, guard};
use crate::relay::outbox::Outbox;
use crate::relay::ring::MediaPacket;
use crate::relay::seal::{Outgoing, Sealer, TAG};
use bytes::{Bytes, BytesMut};
use rtc::peer_connection::RTCPeerConnection;
use rtc::peer_connection::message::{RTCMessage, TaggedRTCMessage};
use rtc::rtcp::extended_report::{DLRRReport, DLRRReportBlock, ExtendedReport};
use rtc::rtcp::sender_report::SenderReport;
use rtc::rtp;
use rtc::rtp_transceiver::RTCRtpSenderId;
use rtc::sansio::Protocol;
use std::time::Instant;

/// Fixed header, the extension's own header, and both elements padded to words.
const LONGEST_HEADER: usize = 12 + 4 + 8;

/// One outgoing stream of a peer.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) track: String,
    pub(super) sender: RTCRtpSenderId,
    pub(super) outgoing: Outgoing,
    pub(super) payload_type: u8,
    pub(super) rtx: Option<Rtx>,
    /// Of a video stream without RTX.
    pub(super) copies: Option<Copies>,
    /// Payload type of redundant audio (RFC 2198), where the viewer takes it.
    pub(super) redundant: Option<u8>,
    pub(super) extensions: Extensions,
    pub(super) packets: u32,
    pub(super) octets: u32,
}

#[derive(Debug)]
pub(super) struct Rtx {
    pub(super) outgoing: Outgoing,
    pub(super) payload_type: u8,
    /// Packet index of the last one; it began below 2^15, as the streams' do.
    pub(super) index: u64,
}

/// Ids of the header extensions that every packet of a stream carries (RFC 8285, one-byte form): equal sizes make one
/// GSO send.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Extensions {
    /// Minimum and maximum delay 0: render at once.
    pub(super) playout_delay: Option<u8>,
    /// Transport-wide sequence number.
    pub(super) transport: Option<u8>,
}

/// What of a header differs from packet to packet.
struct Head {
    payload_type: u8,
    marker: bool,
    index: u64,
    timestamp: u32,
    ssrc: u32,
    transport: u16,
}

impl Stream {
    fn count(&mut self, bytes: usize) {
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(u32::try_from(bytes).unwrap_or(0));
    }
}

impl Peer {
    /// A video packet, sealed into the outbox or queued in the crate. `index`: RFC 3711 section 3.3.1. False: it was not
    /// sealed, and its index is not used.
    pub(in crate::relay) fn write_video(
        &mut self,
        now: Instant,
        index: u64,
        packet: &MediaPacket,
        out: &mut Outbox,
    ) -> bool {
        let transport = self.rate().map_or(0, |rate| rate.sent(now, packet.payload.len()));
        let video = &mut self.video;
        let head = Head {
            payload_type: video.payload_type,
            marker: packet.marker,
            index,
            timestamp: packet.timestamp,
            ssrc: video.outgoing.ssrc(),
            transport,
        };
        if let Some(copies) = &mut video.copies {
            copies.announce(index, transport);
        }
        let written = match &self.sealer {
            Some(sealer) => seal(out, sealer, &mut video.outgoing, &head, video.extensions, &packet.payload),
            None => {
                write(&mut self.pc, now, &video.track, &head, video.extensions, packet.payload.as_slice())
            }
        };
        if written {
            video.count(packet.payload.len());
            if let Some(copies) = video.copies.as_mut().filter(|_| self.sealer.is_some()) {
                copies.keep(video.outgoing.ssrc(), out.last());
            }
        }
        written
    }

    /// A video packet again. `original`: the packet index it was sent under. False: its datagram is no longer kept.
    pub(in crate::relay) fn retransmit(
        &mut self,
        now: Instant,
        original: u64,
        packet: &MediaPacket,
        out: &mut Outbox,
    ) -> bool {
        if self.video.rtx.is_some() {
            self.write_rtx(now, original, packet, out);
            return true;
        }
        let Some((datagram, transport)) = self.video.copies.as_ref().and_then(|copies| copies.get(original))
        else {
            return false;
        };
        let written = out.push(datagram.len(), |place| {
            place.copy_from_slice(datagram);
            true
        });
        if written {
            self.video.count(packet.payload.len());
            if let Some(rate) = self.rate() {
                rate.sent_again(transport);
            }
        }
        written
    }

    /// A video packet again, in the retransmission stream (RFC 4588).
    fn write_rtx(&mut self, now: Instant, original: u64, packet: &MediaPacket, out: &mut Outbox) {
        if self.video.rtx.is_none() {
            return;
        }
        let transport = self.rate().map_or(0, |rate| rate.sent(now, packet.payload.len()));
        let video = &mut self.video;
        let Some(rtx) = &mut video.rtx else { return };
        rtx.index += 1;
        let head = Head {
            payload_type: rtx.payload_type,
            marker: packet.marker,
            index: rtx.index,
            timestamp: packet.timestamp,
            ssrc: rtx.outgoing.ssrc(),
            transport,
        };
        self.again.clear();
        self.again.extend_from_slice(&sequence(original).to_be_bytes());
        self.again.extend_from_slice(&packet.payload);
        match &self.sealer {
            Some(sealer) => seal(out, sealer, &mut rtx.outgoing, &head, video.extensions, &self.again),
            None => write(&mut self.pc, now, &video.track, &head, video.extensions, &self.again),
        };
    }

    /// A packet of sound; with the one `before` it once more, where the viewer takes that.
    pub(in crate::relay) fn write_audio(
        &mut self,
        now: Instant,
        index: u64,
        packet: &MediaPacket,
        before: Option<&MediaPacket>,
        out: &mut Outbox,
    ) {
        let Some(audio) = &mut self.audio else { return };
        audio.count(packet.payload.len());
        let before = before.zip(audio.redundant).filter(|_| self.sealer.is_some());
        let redundant =
            before.filter(|(before, _)| redundancy(&mut self.again, audio.payload_type, packet, before));
        let head = Head {
            payload_type: redundant.map_or(audio.payload_type, |(_, payload_type)| payload_type),
            marker: packet.marker,
            index,
            timestamp: packet.timestamp,
            ssrc: audio.outgoing.ssrc(),
            transport: 0,
        };
        let payload = if redundant.is_some() { &self.again } else { &packet.payload };
        match &self.sealer {
            Some(sealer) => seal(out, sealer, &mut audio.outgoing, &head, audio.extensions, payload),
            None => write(&mut self.pc, now, &audio.track, &head, audio.extensions, payload),
        };
    }

    /// Queues sender reports: clock pairs (NTP, RTP) of both streams. The crate's own interceptor for them sees no RTP.
    pub(in crate::relay) fn report(
        &mut self,
        now: Instant,
        video: Option<(u64, u32)>,
        audio: Option<(u64, u32)>,
    ) {
        for (stream, clock) in [(Some(&self.video), video), (self.audio.as_ref(), audio)] {
            let (Some(stream), Some((ntp_time, rtp_time))) = (stream, clock) else { continue };
            if stream.packets == 0 {
                continue;
            }
            let report = SenderReport {
                ssrc: stream.outgoing.ssrc(),
                ntp_time,
                rtp_time,
                packet_count: stream.packets,
                octet_count: stream.octets,
                ..Default::default()
            };
            let message = RTCMessage::RtcpPacket(stream.track.clone(), vec![Box::new(report)]);
            let _ = guard(|| self.pc.handle_write(TaggedRTCMessage { now, message }));
        }
    }

    /// Tells a viewer its own clock back, at once (RFC 3611 section 4.5): that is its round trip.
    pub(in crate::relay) fn answer_clock(&mut self, now: Instant, ssrc: u32, middle: u32) {
        let block = DLRRReportBlock { reports: vec![DLRRReport { ssrc, last_rr: middle, dlrr: 0 }] };
        let report =
            ExtendedReport { sender_ssrc: self.video.outgoing.ssrc(), reports: vec![Box::new(block)] };
        let message = RTCMessage::RtcpPacket(self.video.track.clone(), vec![Box::new(report)]);
        let _ = guard(|| self.pc.handle_write(TaggedRTCMessage { now, message }));
    }
}

impl Extensions {
    fn bytes(self) -> usize {
        match (self.playout_delay, self.transport) {
            (None, None) => 0,
            (Some(_), None) | (None, Some(_)) => 4 + 4,
            (Some(_), Some(_)) => 4 + 8,
        }
    }

    /// Fills exactly [`Self::bytes`].
    fn write(self, out: &mut [u8], transport: u16) {
        let Some((start, elements)) = out.split_first_chunk_mut::<4>() else { return };
        *start = [0xbe, 0xde, 0, if elements.len() > 4 { 2 } else { 1 }];
        elements.fill(0);
        let mut elements = elements.iter_mut();
        let mut put = |bytes: &[u8]| elements.by_ref().zip(bytes).for_each(|(place, byte)| *place = *byte);
        if let Some(id) = self.playout_delay {
            put(&[id << 4 | 2, 0, 0, 0]);
        }
        if let Some(id) = self.transport {
            let [high, low] = transport.to_be_bytes();
            put(&[id << 4 | 1, high, low]);
        }
    }
}

/// Two packets of sound as the payload of one (RFC 2198 section 3); false when the older one does not fit its header.
fn redundancy(payload: &mut Vec<u8>, payload_type: u8, packet: &MediaPacket, before: &MediaPacket) -> bool {
    let offset = packet.timestamp.wrapping_sub(before.timestamp);
    let len = before.payload.len();
    let (Ok(offset), Ok(short)) = (u16::try_from(offset), u16::try_from(len)) else { return false };
    if offset >= 1 << 14 || len >= 1 << 10 {
        return false;
    }
    let [_, high, middle, low] = (u32::from(offset) << 10 | u32::from(short)).to_be_bytes();
    payload.clear();
    payload.extend_from_slice(&[0x80 | payload_type, high, middle, low, payload_type]);
    payload.extend_from_slice(&before.payload);
    payload.extend_from_slice(&packet.payload);
    true
}

#[expect(clippy::cast_possible_truncation, reason = "sequence numbers are modulo 2^16")]
fn sequence(index: u64) -> u16 {
    index as u16
}

impl Head {
    /// The packet's header (RFC 3550 section 5.1); gives its length.
    fn write(&self, out: &mut [u8; LONGEST_HEADER], extensions: Extensions) -> usize {
        let len = 12 + extensions.bytes();
        let [s0, s1] = sequence(self.index).to_be_bytes();
        let [t0, t1, t2, t3] = self.timestamp.to_be_bytes();
        let [c0, c1, c2, c3] = self.ssrc.to_be_bytes();
        let first = if len > 12 { 0x90 } else { 0x80 };
        let second = u8::from(self.marker) << 7 | self.payload_type;
        let (fixed, rest) = out.split_at_mut(12);
        fixed.copy_from_slice(&[first, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3]);
        if let Some(extension) = rest.get_mut(..len - 12) {
            extensions.write(extension, self.transport);
        }
        len
    }
}

/// Seals a packet into the outbox. False: there is no room, or its index was sealed before.
fn seal(
    out: &mut Outbox,
    sealer: &Sealer,
    stream: &mut Outgoing,
    head: &Head,
    extensions: Extensions,
    payload: &[u8],
) -> bool {
    let mut bytes = [0; LONGEST_HEADER];
    let len = head.write(&mut bytes, extensions);
    let header = bytes.get(..len).unwrap_or_default();
    out.push(len + payload.len() + TAG, |packet| {
        let Some((start, rest)) = packet.split_at_mut_checked(len) else { return false };
        start.copy_from_slice(header);
        sealer.seal(stream, head.index, header, payload, rest).is_ok()
    })
}

/// Gives a packet to the crate, which takes every one.
fn write(
    pc: &mut RTCPeerConnection,
    now: Instant,
    track: &str,
    head: &Head,
    extensions: Extensions,
    payload: &[u8],
) -> bool {
    let mut header = rtp::Header {
        version: 2,
        marker: head.marker,
        payload_type: head.payload_type,
        sequence_number: sequence(head.index),
        timestamp: head.timestamp,
        ssrc: head.ssrc,
        ..Default::default()
    };
    let elements = [
        extensions.playout_delay.map(|id| (id, Bytes::from_static(&[0, 0, 0]))),
        extensions.transport.map(|id| (id, Bytes::copy_from_slice(&head.transport.to_be_bytes()))),
    ];
    for (id, payload) in elements.into_iter().flatten() {
        header.extension = true;
        header.extension_profile = rtp::header::EXTENSION_PROFILE_ONE_BYTE;
        header.extensions.push(rtp::header::Extension { id, payload });
    }
    let payload = BytesMut::from(payload).freeze();
    let message = RTCMessage::RtpPacket(track.to_owned(), rtp::Packet { header, payload });
    let _ = guard(|| pc.handle_write(TaggedRTCMessage { now, message }));
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_is_doubled_as_rfc_2198_says() {
        let packet = |index, timestamp, payload: &[u8]| MediaPacket {
            index,
            timestamp,
            marker: false,
            payload: payload.to_vec(),
        };
        let (before, packet) = (packet(1, 1000, &[1, 2, 3]), packet(2, 1960, &[4, 5]));
        let mut payload = Vec::new();
        assert!(redundancy(&mut payload, 111, &packet, &before));
        // F and type, 14 bits of 960, 10 bits of 3; type; older, newer.
        assert_eq!(payload, [0xef, 0x0f, 0x00, 0x03, 111, 1, 2, 3, 4, 5]);
        let far = MediaPacket { timestamp: 1000 + (1 << 14), ..packet.clone() };
        assert!(!redundancy(&mut payload, 111, &far, &before));
    }

    #[test]
    fn our_header_is_the_one_that_the_crate_writes() {
        use rtc::shared::marshal::{MarshalSize, Unmarshal};
        let both = Extensions { playout_delay: Some(5), transport: Some(3) };
        let variants = [
            Extensions::default(),
            Extensions { transport: None, ..both },
            Extensions { playout_delay: None, ..both },
            both,
        ];
        for extensions in variants {
            let head = Head {
                payload_type: 106,
                marker: true,
                index: 0x1_2345,
                timestamp: 0x0102_0304,
                ssrc: 0x0a0b_0c0d,
                transport: 0xfeff,
            };
            let mut bytes = [0; LONGEST_HEADER];
            let len = head.write(&mut bytes, extensions);
            let mut read = &bytes[..len];
            let header = rtp::Header::unmarshal(&mut read).expect("a header");
            assert_eq!((header.payload_type, header.marker, header.sequence_number), (106, true, 0x2345));
            assert_eq!((header.timestamp, header.ssrc), (0x0102_0304, 0x0a0b_0c0d));
            assert_eq!(
                header.get_extension(5).as_deref(),
                extensions.playout_delay.map(|_| [0, 0, 0].as_slice())
            );
            assert_eq!(
                header.get_extension(3).as_deref(),
                extensions.transport.map(|_| [0xfe, 0xff].as_slice())
            );
            assert_eq!(header.marshal_size(), len);
        }
    }
}
