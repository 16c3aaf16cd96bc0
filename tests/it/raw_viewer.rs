//! A viewer after its handshake: a socket of its own, read or not, and what came on it as it was on the wire.

use crate::relay_viewer::Stage;
use playgate::ids::{SessionId, ViewerId};
use playgate::relay::AddViewer;
use rtc::peer_connection::configuration::media_engine::MediaEngine;
use rtc::peer_connection::event::RTCPeerConnectionEvent;
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::peer_connection::state::RTCPeerConnectionState;
use rtc::peer_connection::transport::RTCIceCandidateInit;
use rtc::peer_connection::{RTCPeerConnection, RTCPeerConnectionBuilder};
use rtc::rtp_transceiver::rtp_sender::{RTCRtpCodec, RTCRtpCodecParameters, RtpCodecKind};
use rtc::sansio::Protocol;
use rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};
use std::collections::HashSet;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// SSRC and sequence number of a packet.
type Place = (u32, u16);

pub(crate) struct RawViewer {
    socket: UdpSocket,
    seen: HashSet<Place>,
}

impl RawViewer {
    /// Shakes hands with the relay; nothing is read afterwards unless asked for.
    pub(crate) async fn connect(stage: &Stage, session: SessionId) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(Duration::from_millis(5))).expect("a timeout");
        let own = socket.local_addr().expect("an address");
        let mut pc = RTCPeerConnectionBuilder::new()
            .with_media_engine(engine())
            .build(Instant::now())
            .expect("a connection");
        let candidate = format!("candidate:1 1 udp 2130706431 {} {} typ host", own.ip(), own.port());
        pc.add_local_candidate(RTCIceCandidateInit { candidate, ..Default::default() }).expect("a candidate");
        pc.add_transceiver_from_kind(RtpCodecKind::Video, None).expect("a transceiver");
        let offer = pc.create_offer(None).expect("an offer");
        pc.set_local_description(Instant::now(), offer.clone()).expect("described");
        let spec = AddViewer { session, viewer: ViewerId::new(), slot: None, offer: offer.sdp };
        let answer = stage.relay.add_viewer(spec).await.expect("answered");
        let answer = RTCSessionDescription::answer(answer).expect("an answer");
        pc.set_remote_description(Instant::now(), answer).expect("accepted");
        let start = Instant::now();
        while !step(&mut pc, &socket, own) {
            assert!(start.elapsed() < Duration::from_secs(20), "no connection");
        }
        socket.set_nonblocking(true).expect("non-blocking");
        Self { socket, seen: HashSet::new() }
    }

    /// Reads what is there; gives how many distinct media packets have come until now.
    pub(crate) fn read(&mut self) -> usize {
        let mut buffer = [0; 2000];
        while let Ok(len) = self.socket.recv(&mut buffer) {
            // SRTP by its first byte (RFC 7983), and not SRTCP (RFC 5761 section 4).
            if let [128..=191, kind, s0, s1, _, _, _, _, c0, c1, c2, c3, ..] = buffer[..len]
                && !(192..=223).contains(&kind)
            {
                self.seen.insert((u32::from_be_bytes([c0, c1, c2, c3]), u16::from_be_bytes([s0, s1])));
            }
        }
        self.seen.len()
    }
}

/// Sends, receives, lets time pass; true when connected and nothing is left to send.
fn step(pc: &mut RTCPeerConnection, socket: &UdpSocket, own: SocketAddr) -> bool {
    let flush = |pc: &mut RTCPeerConnection| {
        while let Some(out) = pc.poll_write() {
            socket.send_to(&out.message, out.transport.peer_addr).expect("sent");
        }
    };
    flush(pc);
    let mut connected = false;
    while let Some(event) = pc.poll_event() {
        connected |= matches!(
            event,
            RTCPeerConnectionEvent::OnConnectionStateChangeEvent(RTCPeerConnectionState::Connected)
        );
    }
    if connected {
        flush(pc);
        return true;
    }
    let mut buffer = [0; 2000];
    if let Ok((len, peer_addr)) = socket.recv_from(&mut buffer) {
        let transport = TransportContext {
            local_addr: own,
            peer_addr,
            ecn: None,
            transport_protocol: TransportProtocol::UDP,
        };
        let message = TaggedBytesMut { now: Instant::now(), transport, message: buffer[..len].into() };
        pc.handle_read(message).expect("read");
    }
    if pc.poll_timeout().is_some_and(|at| at <= Instant::now()) {
        pc.handle_timeout(Instant::now()).expect("time passes");
    }
    false
}

fn engine() -> MediaEngine {
    let mut engine = MediaEngine::default();
    for (mime, fmtp, payload_type) in [
        ("video/H264", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f", 102),
        ("video/rtx", "apt=102", 103),
    ] {
        let rtp_codec = RTCRtpCodec {
            mime_type: mime.to_owned(),
            clock_rate: 90_000,
            sdp_fmtp_line: fmtp.to_owned(),
            ..Default::default()
        };
        engine
            .register_codec(RTCRtpCodecParameters { rtp_codec, payload_type }, RtpCodecKind::Video)
            .expect("registered");
    }
    engine
}
