//! The pure half of a light viewer: datagrams and time in, datagrams out.
//!
//! What is media is counted by its header and left sealed, all but one packet in [`OPEN_ONE_IN`] and, as long as there are
//! not too many, the retransmissions: these tell by their inside which packet they bring.

use super::OPEN_ONE_IN;
use crate::bots::card::{Card, Step};
use crate::bots::header::{Datagram, Header, read};
use crate::bots::media::{self, AUDIO, RTX, VIDEO};
use crate::bots::receive::{KEY_REQUEST_INTERVAL, REPAIR_INTERVAL};
use crate::bots::viewer::{Link, Srtp};
use playgate_signaling::input::{POINTER_LABEL, RELIABLE_LABEL};
use rtc::data_channel::RTCDataChannelInit;
use rtc::peer_connection::configuration::RTCOfferOptions;
use rtc::peer_connection::configuration::interceptor_registry::Registry;
use rtc::peer_connection::event::{RTCDataChannelEvent, RTCPeerConnectionEvent};
use rtc::peer_connection::message::RTCMessage;
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::peer_connection::transport::RTCIceCandidateInit;
use rtc::peer_connection::{RTCPeerConnection, RTCPeerConnectionBuilder};
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtcp::receiver_report::ReceiverReport;
use rtc::rtcp::reception_report::ReceptionReport;
use rtc::rtcp::transport_feedbacks::transport_layer_nack::{
    TransportLayerNack, nack_pairs_from_sequence_numbers,
};
use rtc::rtp_transceiver::rtp_sender::RtpCodecKind;
use rtc::rtp_transceiver::{RTCRtpReceiverId, RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use rtc::sansio::Protocol;
use rtc::shared::error::Error;
use rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between two receiver reports.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Retransmissions opened in a second; of more it is presumed that they answer the oldest requests.
const OPEN_RETRANSMISSIONS: u32 = 200;
/// `rtc` looks after its timers at least this often.
const LONGEST_SLEEP: Duration = Duration::from_millis(500);
/// A timer that is due for good must not keep the core.
const SHORTEST_SLEEP: Duration = Duration::from_millis(1);

pub(super) struct Engine {
    pc: RTCPeerConnection,
    local: Vec<SocketAddr>,
    card: Arc<Card>,
    link: Link,
    video_receiver: Option<RTCRtpReceiverId>,
    /// Video packets seen, for the one in so many.
    seen: u64,
    audio_seen: u64,
    /// Handed to `rtc` and not come out yet.
    handed: u32,
    retransmissions: u32,
    open: [Option<usize>; 2],
    next_report: Instant,
    next_repair: Option<Instant>,
    lost_reported: (u64, u64),
    /// Frames missing when a key frame was last asked for.
    missing_known: u64,
    next_key_request: Instant,
}

impl Engine {
    pub(super) fn new(
        local: Vec<SocketAddr>,
        srtp: Srtp,
        input: bool,
        card: Arc<Card>,
        now: Instant,
    ) -> Result<Self, Error> {
        let mut pc = RTCPeerConnectionBuilder::new()
            .with_media_engine(media::engine()?)
            .with_interceptor_registry(Registry::new())
            .with_setting_engine(media::settings(srtp))
            .build(now)?;
        for kind in [RtpCodecKind::Video, RtpCodecKind::Audio] {
            let direction = RTCRtpTransceiverDirection::Recvonly;
            pc.add_transceiver_from_kind(
                kind,
                Some(RTCRtpTransceiverInit { direction, ..Default::default() }),
            )?;
        }
        // In the order in which they were added.
        let video_receiver = pc.get_receivers().next();
        if input {
            pc.create_data_channel(RELIABLE_LABEL, None)?;
            let unreliable =
                RTCDataChannelInit { ordered: false, max_retransmits: Some(0), ..Default::default() };
            pc.create_data_channel(POINTER_LABEL, Some(unreliable))?;
        }
        Ok(Self {
            pc,
            local,
            card,
            link: Link::Connecting,
            video_receiver,
            seen: 0,
            audio_seen: 0,
            handed: 0,
            retransmissions: 0,
            open: [None; 2],
            next_report: now + REPORT_INTERVAL,
            next_repair: None,
            lost_reported: (0, 0),
            missing_known: 0,
            next_key_request: now,
        })
    }

    pub(super) fn offer(&mut self, restart: bool, now: Instant) -> Result<String, Error> {
        for (at, address) in self.local.iter().enumerate() {
            let priority = 2_130_706_431 - u32::try_from(at).unwrap_or_default();
            let (ip, port) = (address.ip(), address.port());
            let candidate = format!("candidate:{} 1 udp {priority} {ip} {port} typ host", at + 1);
            let candidate = RTCIceCandidateInit { candidate, ..Default::default() };
            // After a restart they may be known already.
            if let Err(error) = self.pc.add_local_candidate(candidate)
                && !restart
            {
                return Err(error);
            }
        }
        let offer = self.pc.create_offer(restart.then_some(RTCOfferOptions { ice_restart: true }))?;
        let sdp = offer.sdp.clone();
        self.pc.set_local_description(now, offer)?;
        Ok(sdp)
    }

    pub(super) fn answer(&mut self, sdp: String, now: Instant) -> Result<(), Error> {
        self.pc.set_remote_description(now, RTCSessionDescription::answer(sdp)?)
    }

    pub(super) fn link(&self) -> Link {
        self.link
    }

    /// A datagram came to one of our sockets.
    pub(super) fn receive(&mut self, datagram: &[u8], local: SocketAddr, remote: SocketAddr, now: Instant) {
        let open = match read(datagram) {
            Datagram::Other => true,
            Datagram::Rtp(header) if header.payload_type == VIDEO => self.video(header, datagram.len(), now),
            Datagram::Rtp(header) if header.payload_type == RTX => {
                self.retransmissions += 1;
                let open = self.retransmissions <= OPEN_RETRANSMISSIONS;
                self.card.with(|facts| facts.meter.retransmission(datagram.len(), open, now));
                open
            }
            Datagram::Rtp(header) if header.payload_type == AUDIO => {
                self.audio_seen += 1;
                self.card.with(|facts| facts.meter.audio());
                self.audio_seen % OPEN_ONE_IN == 1
            }
            Datagram::Rtp(_) => false,
        };
        if !open {
            return;
        }
        let transport = TransportContext {
            local_addr: local,
            peer_addr: remote,
            ecn: None,
            transport_protocol: TransportProtocol::UDP,
        };
        // What it cannot read is no fault of ours, and counted where it is media.
        let _ = self.pc.handle_read(TaggedBytesMut { now, transport, message: datagram.into() });
        self.collect(now);
    }

    /// True when the packet is to be opened.
    fn video(&mut self, header: Header, bytes: usize, now: Instant) -> bool {
        self.seen += 1;
        let waits = self.card.with(|facts| {
            facts.step(Step::FirstPacket, now);
            facts.meter.packet(header, bytes, now);
            if facts.meter.first_frame.is_some() {
                facts.step(Step::FirstFrame, now);
            }
            facts.meter.waits()
        });
        if waits {
            self.next_repair.get_or_insert(now + REPAIR_INTERVAL / 2);
        }
        let open = self.seen % OPEN_ONE_IN == 1;
        self.handed += u32::from(open);
        open
    }

    fn collect(&mut self, now: Instant) {
        while let Some(event) = self.pc.poll_event() {
            #[expect(
                clippy::wildcard_enum_match_arm,
                reason = "a foreign non-exhaustive enum; nothing else of it is used"
            )]
            match event {
                RTCPeerConnectionEvent::OnConnectionStateChangeEvent(state) => {
                    self.link = Link::of(state);
                    if self.link == Link::Connected {
                        self.card.step(Step::Connected);
                        self.note_cipher(now);
                    }
                }
                RTCPeerConnectionEvent::OnDataChannel(RTCDataChannelEvent::OnOpen(id)) => {
                    let snapshot = self.pc.data_channel(id).map(|channel| channel.label() == POINTER_LABEL);
                    if let Some(slot) = snapshot.and_then(|snapshot| self.open.get_mut(usize::from(snapshot)))
                    {
                        *slot = Some(id);
                    }
                }
                RTCPeerConnectionEvent::OnDataChannel(RTCDataChannelEvent::OnClose(id)) => {
                    self.open.iter_mut().filter(|open| **open == Some(id)).for_each(|open| *open = None);
                }
                _ => {}
            }
        }
        while let Some(message) = self.pc.poll_read() {
            let RTCMessage::RtpPacket(_, packet) = message.message else { continue };
            let header = &packet.header;
            if header.payload_type != VIDEO {
                continue;
            }
            let came = Header {
                marker: header.marker,
                payload_type: VIDEO,
                sequence: header.sequence_number,
                timestamp: header.timestamp,
                ssrc: header.ssrc,
            };
            if self.handed > 0 {
                self.handed -= 1;
                self.card.with(|facts| facts.opened += 1);
            } else {
                // It came as a retransmission: `rtc` gives the packet that it brought.
                self.card.with(|facts| facts.meter.packet(came, 0, now));
            }
        }
        if self.handed > 0 {
            let sealed = u64::from(std::mem::take(&mut self.handed));
            self.card.with(|facts| facts.sealed += sealed);
        }
    }

    fn note_cipher(&mut self, now: Instant) {
        let report = self.pc.get_stats(now, webrtc::peer_connection::StatsSelector::None);
        let cipher = report.transport().map(|transport| transport.srtp_cipher.clone()).unwrap_or_default();
        self.card.with(|facts| facts.cipher = cipher);
    }

    /// When [`Self::tick`] is due.
    pub(super) fn due(&mut self, now: Instant) -> Instant {
        let own = self.next_repair.map_or(self.next_report, |repair| repair.min(self.next_report));
        let due = self.pc.poll_timeout().map_or(own, |at| at.min(own));
        due.clamp(now + SHORTEST_SLEEP, now + LONGEST_SLEEP)
    }

    /// Time passed.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.pc.poll_timeout().is_some_and(|at| at <= now) {
            let _ = self.pc.handle_timeout(now);
            self.collect(now);
        }
        if self.next_repair.is_some_and(|at| at <= now) {
            let (wanted, waits) = self.card.with(|facts| (facts.meter.wanted(now), facts.meter.waits()));
            self.next_repair = waits.then_some(now + REPAIR_INTERVAL);
            if let Some((media_ssrc, lost)) = wanted {
                let nacks = nack_pairs_from_sequence_numbers(&lost);
                self.feedback(now, Box::new(TransportLayerNack { sender_ssrc: 0, media_ssrc, nacks }));
            }
        }
        let missing = self.card.with(|facts| facts.meter.totals.missing);
        if missing != self.missing_known && self.next_key_request <= now {
            // A decoder would be stuck now.
            self.missing_known = missing;
            self.next_key_request = now + KEY_REQUEST_INTERVAL;
            if let Some((media_ssrc, ..)) = self.card.with(|facts| facts.meter.reception()) {
                self.feedback(now, Box::new(PictureLossIndication { sender_ssrc: 0, media_ssrc }));
            }
        }
        if self.next_report <= now {
            self.next_report = now + REPORT_INTERVAL;
            self.retransmissions = 0;
            self.report(now);
        }
    }

    fn report(&mut self, now: Instant) {
        let Some((ssrc, highest, lost, packets)) = self.card.with(|facts| {
            let (ssrc, highest, lost) = facts.meter.reception()?;
            Some((ssrc, highest, lost, facts.meter.totals.packets))
        }) else {
            return;
        };
        let (lost_before, packets_before) = std::mem::replace(&mut self.lost_reported, (lost, packets));
        let lost_now = lost.saturating_sub(lost_before);
        let all = (packets.saturating_sub(packets_before) + lost_now).max(1);
        let report = ReceptionReport {
            ssrc,
            fraction_lost: u8::try_from(lost_now * 256 / all).unwrap_or(u8::MAX),
            // 24 bits (RFC 3550 section 6.4.1).
            total_lost: u32::try_from(lost.min(0x7f_ffff)).unwrap_or_default(),
            last_sequence_number: highest,
            jitter: 0,
            last_sender_report: 0,
            delay: 0,
        };
        self.feedback(now, Box::new(ReceiverReport { ssrc: 0, reports: vec![report], ..Default::default() }));
    }

    fn feedback(&mut self, now: Instant, packet: Box<dyn rtc::rtcp::Packet>) {
        if self.link == Link::Connected
            && let Some(mut receiver) = self.video_receiver.and_then(|id| self.pc.rtp_receiver(id))
        {
            // Feedback that cannot be sent is repeated when it matters.
            let _ = receiver.write_rtcp(now, vec![packet]);
        }
    }

    /// False when the channel is not open.
    pub(super) fn input(&mut self, snapshot: bool, bytes: &[u8], now: Instant) -> bool {
        let id = self.open.get(usize::from(snapshot)).copied().flatten();
        let channel = id.and_then(|id| self.pc.data_channel(id));
        channel.is_some_and(|mut channel| channel.send(now, bytes.into()).is_ok())
    }

    pub(super) fn close(&mut self) {
        let _ = self.pc.close();
    }

    /// The next datagram to send: from one of our addresses, to there.
    pub(super) fn transmit(&mut self) -> Option<(SocketAddr, SocketAddr, bytes::BytesMut)> {
        let out = self.pc.poll_write()?;
        Some((out.transport.local_addr, out.transport.peer_addr, out.message))
    }
}
