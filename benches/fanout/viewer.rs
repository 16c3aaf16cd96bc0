//! One viewer: a real handshake by `rtc`, then a socket that is only emptied. Media is told from the rest by its header
//! and never decrypted; what is left of a connection's life (STUN, DTLS) goes to `rtc`, so that servers keep it.

use crate::feedback::Feedback;
use crate::load::{Outcome, PAYLOAD, PAYLOAD_TYPE};
use nix::sys::socket::{setsockopt, sockopt::UdpGroSegment};
use quinn_udp::{RecvMeta, UdpSockRef, UdpSocketState};
use rtc::dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc::ice::mdns::MulticastDnsMode;
use rtc::peer_connection::configuration::media_engine::MediaEngine;
use rtc::peer_connection::configuration::setting_engine::SettingEngineBuilder;
use rtc::peer_connection::event::RTCPeerConnectionEvent;
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::peer_connection::state::RTCPeerConnectionState;
use rtc::peer_connection::transport::RTCIceCandidateInit;
use rtc::peer_connection::{RTCPeerConnection, RTCPeerConnectionBuilder};
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpHeaderExtensionCapability, RtpCodecKind,
};
use rtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use rtc::sansio::Protocol;
use rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};
use rtc::statistics::StatsSelector;
use socket2::SockRef;
use std::io::IoSliceMut;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Instant;

/// Datagrams of one receive call.
const BATCH: usize = 32;
const DATAGRAM: usize = 2048;
/// As browsers offer them.
const EXTENSIONS: [&str; 3] = [
    "urn:ietf:params:rtp-hdrext:sdes:mid",
    "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
];
/// Asked for by viewers that say what they received.
const NUMBERED: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
pub(crate) const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A socket and, but for the floor's viewers, its peer connection.
pub(crate) struct Viewer {
    socket: UdpSocket,
    state: UdpSocketState,
    own: SocketAddr,
    peer: Option<RTCPeerConnection>,
    pub(crate) connected: bool,
    /// RTP timestamp of the newest media packet.
    pub(crate) newest: Option<u32>,
    /// What the server adds to the source's timestamps.
    pub(crate) offset: u32,
    /// Absent: it only receives.
    pub(crate) feedback: Option<Feedback>,
}

/// A media packet, as it lay in the receive queue.
pub(crate) struct Arrival {
    pub(crate) timestamp: u32,
    /// When the kernel got it, in nanoseconds since 1970.
    pub(crate) at_ns: u64,
    pub(crate) bytes: usize,
}

impl Viewer {
    /// Without a peer connection: connected from the start.
    pub(crate) fn plain(ip: IpAddr) -> Outcome<Self> {
        let socket = UdpSocket::bind((ip, 0))?;
        socket.set_nonblocking(true)?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        // Receivers of the field see single datagrams: joined ones would save the senders that use GSO work of the kernel.
        setsockopt(&socket, UdpGroSegment, &false)?;
        // The kernel's limit decides.
        SockRef::from(&socket).set_recv_buffer_size(4 << 20)?;
        let own = socket.local_addr()?;
        Ok(Self { socket, state, own, peer: None, connected: true, newest: None, offset: 0, feedback: None })
    }

    /// Makes the offer. `speaks`: it will tell the server what browsers tell.
    pub(crate) fn offering(speaks: bool) -> Outcome<(Self, String)> {
        let mut viewer = Self::plain(LOCAL)?;
        let mut peer = peer(viewer.own, speaks)?;
        let direction = RTCRtpTransceiverDirection::Recvonly;
        let init = RTCRtpTransceiverInit { direction, ..Default::default() };
        peer.add_transceiver_from_kind(RtpCodecKind::Video, Some(init))?;
        let offer = peer.create_offer(None)?;
        let text = with_candidate(&offer.sdp, viewer.own);
        peer.set_local_description(Instant::now(), offer)?;
        (viewer.peer, viewer.connected) = (Some(peer), false);
        Ok((viewer, text))
    }

    /// With the server's answer. `speaks`: it tells the server what browsers tell.
    pub(crate) fn answered(&mut self, answer: String, speaks: bool) -> Outcome<()> {
        self.feedback = speaks.then(|| Feedback::new(&answer, self.own.port()));
        let peer = self.peer.as_mut().ok_or("a viewer without a peer connection")?;
        Ok(peer.set_remote_description(Instant::now(), RTCSessionDescription::answer(answer)?)?)
    }

    /// Answers an offer, at the address of its first IPv4 candidate: Janus has none on loopback, and its ICE library pairs
    /// none with loopback.
    pub(crate) fn answering(offer: String) -> Outcome<(Self, String)> {
        let candidates = offer.lines().filter(|line| line.starts_with("a=candidate:"));
        let ips = candidates.filter_map(|line| line.split(' ').nth(4)?.parse::<Ipv4Addr>().ok());
        let ip = ips.map(IpAddr::V4).next().ok_or("an offer without an IPv4 candidate")?;
        let mut viewer = Self::plain(ip)?;
        let mut peer = peer(viewer.own, false)?;
        peer.set_remote_description(Instant::now(), RTCSessionDescription::offer(offer)?)?;
        let answer = peer.create_answer(None)?;
        let text = with_candidate(&answer.sdp, viewer.own);
        peer.set_local_description(Instant::now(), answer)?;
        (viewer.peer, viewer.connected) = (Some(peer), false);
        Ok((viewer, text))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.own
    }

    /// The SRTP cipher, once connected.
    pub(crate) fn cipher(&mut self) -> Option<String> {
        let report = self.peer.as_mut()?.get_stats(Instant::now(), StatsSelector::None);
        report.transport().map(|transport| transport.srtp_cipher.trim_start_matches("SRTP_").to_owned())
    }

    /// Empties the socket.
    pub(crate) fn receive(
        &mut self,
        buffers: &mut [u8],
        mut arrived: impl FnMut(&Self, Arrival),
    ) -> Outcome<()> {
        loop {
            let mut meta = [RecvMeta::default(); BATCH];
            let mut chunks = buffers.chunks_mut(DATAGRAM);
            let mut slices: [IoSliceMut<'_>; BATCH] =
                std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
            let Ok(count) = self.state.recv(UdpSockRef::from(&self.socket), &mut slices, &mut meta) else {
                return Ok(());
            };
            for (slice, meta) in slices.iter().zip(&meta).take(count) {
                let datagram = slice.get(..meta.len).unwrap_or_default();
                match *datagram {
                    [first, kind, _, _, t0, t1, t2, t3, ..]
                        if first >> 6 == 2 && !(192..=223).contains(&kind) =>
                    {
                        if kind & 0x7f == PAYLOAD_TYPE && datagram.len() > PAYLOAD {
                            let timestamp = u32::from_be_bytes([t0, t1, t2, t3]);
                            let at = meta.timestamp.ok_or("the kernel gives no receive times")?;
                            self.newest = Some(timestamp);
                            let at_ns = u64::try_from(at.as_nanos())?;
                            if let Some(feedback) = &mut self.feedback {
                                feedback.arrived(datagram, at_ns);
                            }
                            arrived(self, Arrival { timestamp, at_ns, bytes: datagram.len() });
                        }
                    }
                    // RTCP: a server's own reports ask for nothing.
                    [first, ..] if first >> 6 == 2 => {}
                    _ => self.feed(meta.addr, datagram)?,
                }
            }
            if count < BATCH {
                return Ok(());
            }
        }
    }

    fn feed(&mut self, peer_addr: SocketAddr, datagram: &[u8]) -> Outcome<()> {
        let Some(peer) = &mut self.peer else { return Ok(()) };
        let transport = TransportContext {
            local_addr: self.own,
            peer_addr,
            ecn: None,
            transport_protocol: TransportProtocol::UDP,
        };
        let _ = peer.handle_read(TaggedBytesMut { now: Instant::now(), transport, message: datagram.into() });
        self.live()
    }

    /// Sends packets of RTCP, as one compound.
    pub(crate) fn say(&mut self, packets: Vec<Box<dyn rtc::rtcp::packet::Packet>>) -> Outcome<()> {
        let Some(peer) = &mut self.peer else { return Ok(()) };
        let Some(receiver) = peer.get_receivers().next() else { return Err("nothing is received".into()) };
        peer.rtp_receiver(receiver).ok_or("no receiver")?.write_rtcp(Instant::now(), packets)?;
        self.live()
    }

    /// Lets time pass and sends what the connection has to send.
    pub(crate) fn live(&mut self) -> Outcome<()> {
        let Some(peer) = &mut self.peer else { return Ok(()) };
        if peer.poll_timeout().is_some_and(|at| at <= Instant::now()) {
            let _ = peer.handle_timeout(Instant::now());
        }
        while let Some(event) = peer.poll_event() {
            let RTCPeerConnectionEvent::OnConnectionStateChangeEvent(state) = event else { continue };
            self.connected |= state == RTCPeerConnectionState::Connected;
            if state == RTCPeerConnectionState::Failed {
                return Err("a viewer's connection failed".into());
            }
        }
        while let Some(out) = peer.poll_write() {
            self.socket.send_to(&out.message, out.transport.peer_addr)?;
        }
        while peer.poll_read().is_some() {}
        Ok(())
    }
}

/// Memory for [`Viewer::receive`].
pub(crate) fn buffers() -> Vec<u8> {
    vec![0; BATCH * DATAGRAM]
}

fn peer(own: SocketAddr, speaks: bool) -> Outcome<RTCPeerConnection> {
    let settings = SettingEngineBuilder::new()
        .with_srtp_protection_profiles(vec![SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm])
        .with_multicast_dns_mode(MulticastDnsMode::Disabled)
        .build();
    let mut peer = RTCPeerConnectionBuilder::new()
        .with_media_engine(engine(speaks)?)
        .with_setting_engine(settings)
        .build(Instant::now())?;
    let candidate = candidate(own);
    peer.add_local_candidate(RTCIceCandidateInit { candidate, ..Default::default() })?;
    Ok(peer)
}

fn candidate(own: SocketAddr) -> String {
    format!("candidate:1 1 udp 2130706431 {} {} typ host", own.ip(), own.port())
}

/// The description of one media section with its only candidate.
fn with_candidate(sdp: &str, own: SocketAddr) -> String {
    if sdp.contains("a=candidate:") {
        return sdp.to_owned();
    }
    format!("{}\r\na={}\r\na=end-of-candidates\r\n", sdp.trim_end(), candidate(own))
}

/// What a browser asks for, so that servers keep the history that retransmission takes.
fn engine(speaks: bool) -> Outcome<MediaEngine> {
    let mut engine = MediaEngine::default();
    let codec = |mime: &str, fmtp: &str, feedback: &[RTCPFeedback], payload_type| RTCRtpCodecParameters {
        rtp_codec: RTCRtpCodec {
            mime_type: mime.to_owned(),
            clock_rate: 90_000,
            sdp_fmtp_line: fmtp.to_owned(),
            rtcp_feedback: feedback.to_vec(),
            ..Default::default()
        },
        payload_type,
    };
    let asked = [("nack", ""), ("nack", "pli"), ("ccm", "fir"), ("transport-cc", "")];
    let asked = if speaks { &asked[..] } else { &asked[..3] };
    let feedback: Vec<RTCPFeedback> = asked
        .iter()
        .map(|(typ, parameter)| RTCPFeedback { typ: (*typ).to_owned(), parameter: (*parameter).to_owned() })
        .collect();
    let h264 = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
    engine.register_codec(codec("video/H264", h264, &feedback, PAYLOAD_TYPE), RtpCodecKind::Video)?;
    let apt = format!("apt={PAYLOAD_TYPE}");
    engine.register_codec(codec("video/rtx", &apt, &[], PAYLOAD_TYPE + 1), RtpCodecKind::Video)?;
    for uri in EXTENSIONS.iter().chain(speaks.then_some(&NUMBERED)) {
        let extension = RTCRtpHeaderExtensionCapability { uri: (*uri).to_owned() };
        engine.register_header_extension(extension, RtpCodecKind::Video, None)?;
    }
    Ok(engine)
}
