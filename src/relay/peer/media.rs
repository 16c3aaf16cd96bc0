//! What a viewer is sent: RTP of both streams, video again on RTX (RFC 4588), and sender reports.

use super::{Peer, guard};
use crate::relay::ring::MediaPacket;
use bytes::{Bytes, BytesMut};
use rtc::peer_connection::RTCPeerConnection;
use rtc::peer_connection::message::{RTCMessage, TaggedRTCMessage};
use rtc::rtcp::sender_report::SenderReport;
use rtc::rtp;
use rtc::rtp_transceiver::RTCRtpSenderId;
use rtc::sansio::Protocol;
use std::time::Instant;

/// One outgoing stream of a peer.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) track: String,
    pub(super) sender: RTCRtpSenderId,
    pub(super) ssrc: u32,
    pub(super) payload_type: u8,
    pub(super) rtx: Option<Rtx>,
    pub(super) playout_delay: Option<u8>,
    pub(super) packets: u32,
    pub(super) octets: u32,
}

#[derive(Debug)]
pub(super) struct Rtx {
    pub(super) ssrc: u32,
    pub(super) payload_type: u8,
    pub(super) sequence: u16,
}

impl Peer {
    /// Queues a video packet. The one place to replace for a sealing path of our own.
    pub(in crate::relay) fn write_video(&mut self, now: Instant, sequence: u16, packet: &MediaPacket) {
        let header = header(&self.video, self.video.ssrc, self.video.payload_type, sequence, packet);
        self.video.packets = self.video.packets.wrapping_add(1);
        self.video.octets = self.video.octets.wrapping_add(u32::try_from(packet.payload.len()).unwrap_or(0));
        write(&mut self.pc, now, &self.video.track, header, packet.payload.clone());
    }

    /// Queues a video packet again, in the retransmission stream (RFC 4588).
    pub(in crate::relay) fn write_rtx(&mut self, now: Instant, original: u16, packet: &MediaPacket) {
        let Some(rtx) = &mut self.video.rtx else { return };
        rtx.sequence = rtx.sequence.wrapping_add(1);
        let (ssrc, payload_type, sequence) = (rtx.ssrc, rtx.payload_type, rtx.sequence);
        let mut payload = BytesMut::with_capacity(2 + packet.payload.len());
        payload.extend_from_slice(&original.to_be_bytes());
        payload.extend_from_slice(&packet.payload);
        let header = header(&self.video, ssrc, payload_type, sequence, packet);
        write(&mut self.pc, now, &self.video.track, header, payload.freeze());
    }

    pub(in crate::relay) fn write_audio(&mut self, now: Instant, sequence: u16, packet: &MediaPacket) {
        let Some(audio) = &mut self.audio else { return };
        let header = header(audio, audio.ssrc, audio.payload_type, sequence, packet);
        audio.packets = audio.packets.wrapping_add(1);
        audio.octets = audio.octets.wrapping_add(u32::try_from(packet.payload.len()).unwrap_or(0));
        write(&mut self.pc, now, &audio.track, header, packet.payload.clone());
    }

    /// Queues sender reports: clock pairs (NTP, RTP) of both streams.
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
                ssrc: stream.ssrc,
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
}

fn header(stream: &Stream, ssrc: u32, payload_type: u8, sequence: u16, packet: &MediaPacket) -> rtp::Header {
    let mut header = rtp::Header {
        version: 2,
        marker: packet.marker,
        payload_type,
        sequence_number: sequence,
        timestamp: packet.timestamp,
        ssrc,
        ..Default::default()
    };
    if let Some(id) = stream.playout_delay {
        header.extension = true;
        header.extension_profile = rtp::header::EXTENSION_PROFILE_ONE_BYTE;
        // Minimum and maximum delay 0: render at once.
        header.extensions.push(rtp::header::Extension { id, payload: Bytes::from_static(&[0, 0, 0]) });
    }
    header
}

fn write(pc: &mut RTCPeerConnection, now: Instant, track: &str, header: rtp::Header, payload: Bytes) {
    let message = RTCMessage::RtpPacket(track.to_owned(), rtp::Packet { header, payload });
    let _ = guard(|| pc.handle_write(TaggedRTCMessage { now, message }));
}
