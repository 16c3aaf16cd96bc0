//! A viewer with a socket of its own, read or not, that shows what came as it was on the wire and checks by hand.

use crate::relay_viewer::Stage;
use aws_lc_rs::hmac;
use playgate::model::ids::{SessionId, ViewerId};
use playgate::relay::AddViewer;
use rtc::data_channel::RTCDataChannelId;
use rtc::peer_connection::configuration::media_engine::MediaEngine;
use rtc::peer_connection::event::{RTCDataChannelEvent, RTCPeerConnectionEvent};
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::peer_connection::transport::RTCIceCandidateInit;
use rtc::peer_connection::{RTCPeerConnection, RTCPeerConnectionBuilder};
use rtc::rtp_transceiver::rtp_sender::{RTCRtpCodec, RTCRtpCodecParameters, RtpCodecKind};
use rtc::sansio::Protocol;
use rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};
use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// SSRC and sequence number of a packet.
type Place = (u32, u16);

/// What lies between a viewer and the relay while they shake hands.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Line {
    /// The relay's port as the viewer is told it.
    pub(crate) port: Option<u16>,
    /// Handshake messages arrive in pieces of this size, the last piece first and each of them twice.
    pub(crate) pieces: Option<usize>,
    /// So many of the relay's datagrams with handshake records are lost.
    pub(crate) lost: usize,
}

pub(crate) struct RawViewer {
    pub(crate) socket: UdpSocket,
    relay: SocketAddr,
    pc: RTCPeerConnection,
    /// `relay:viewer`, and the relay's password.
    username: String,
    password: String,
    channel: Option<RTCDataChannelId>,
    seen: HashSet<Place>,
    /// Binding responses that came.
    pub(crate) answers: usize,
    checks: u32,
}

impl RawViewer {
    /// Shakes hands with the relay; nothing is read afterwards unless asked for.
    pub(crate) async fn connect(stage: &Stage, session: SessionId) -> Self {
        Self::connect_over(stage, session, Line::default()).await
    }

    /// As [`Self::connect`]. With a data channel.
    pub(crate) async fn connect_over(stage: &Stage, session: SessionId, line: Line) -> Self {
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
        pc.create_data_channel("input", None).expect("a channel");
        let offer = pc.create_offer(None).expect("an offer");
        pc.set_local_description(Instant::now(), offer.clone()).expect("described");
        let spec = AddViewer { session, viewer: ViewerId::new(), slot: None, offer: offer.sdp.clone() };
        let answer = stage.relay.add_viewer(spec).await.expect("answered");
        let port = stage.relay.candidates()[0].port();
        let relay = SocketAddr::from((Ipv4Addr::LOCALHOST, line.port.unwrap_or(port)));
        let answer = answer.replace(&format!("{port} typ host"), &format!("{} typ host", relay.port()));
        let line_of = |text: &str, key: &str| {
            let found = text.lines().find_map(|line| line.trim_end().strip_prefix(key).map(str::to_owned));
            found.unwrap_or_else(|| panic!("no {key} in {text}"))
        };
        let username =
            format!("{}:{}", line_of(&answer, "a=ice-ufrag:"), line_of(&offer.sdp, "a=ice-ufrag:"));
        let password = line_of(&answer, "a=ice-pwd:");
        let answer = RTCSessionDescription::answer(answer).expect("an answer");
        pc.set_remote_description(Instant::now(), answer).expect("accepted");
        let (seen, channel) = (HashSet::new(), None);
        let mut viewer = Self { socket, relay, pc, username, password, channel, seen, answers: 0, checks: 0 };
        let (start, mut lost) = (Instant::now(), 0);
        while viewer.channel.is_none() {
            viewer.step(own, line, &mut lost);
            assert!(start.elapsed() < Duration::from_secs(20), "no connection");
        }
        viewer.flush(None);
        assert_eq!(lost, line.lost, "datagrams lost");
        viewer.socket.set_nonblocking(true).expect("non-blocking");
        viewer
    }

    /// Reads what is there; gives how many distinct media packets have come until now.
    pub(crate) fn read(&mut self) -> usize {
        let mut buffer = [0; 2000];
        while let Ok(len) = self.socket.recv(&mut buffer) {
            self.answers += usize::from(buffer[..len].starts_with(&[1, 1]));
            self.seen.extend(media(&buffer[..len]));
        }
        self.seen.len()
    }

    /// A check as full agents send it on any pair: without USE-CANDIDATE, from the viewer's socket or another.
    pub(crate) fn check(&mut self, from: Option<&UdpSocket>) {
        self.checks += 1;
        let transaction = [self.checks.to_be_bytes().as_slice(), &[7; 8]].concat();
        let mut attributes = Vec::new();
        let mut add = |kind: u16, value: &[u8]| {
            attributes.extend(kind.to_be_bytes());
            attributes.extend((value.len() as u16).to_be_bytes());
            attributes.extend(value);
            attributes.resize(attributes.len().next_multiple_of(4), 0);
        };
        // USERNAME, ICE-CONTROLLING, PRIORITY.
        add(0x0006, self.username.as_bytes());
        add(0x802a, &[0; 8]);
        add(0x0024, &[0x6e, 0, 1, 0xff]);
        // The length counts MESSAGE-INTEGRITY, which covers it (RFC 8489 section 14.5).
        let mut message = vec![0, 1];
        message.extend((attributes.len() as u16 + 24).to_be_bytes());
        message.extend([0x21, 0x12, 0xa4, 0x42]);
        message.extend(&transaction);
        message.extend(&attributes);
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, self.password.as_bytes());
        let tag = hmac::sign(&key, &message);
        message.extend([0, 0x08, 0, 20]);
        message.extend(tag.as_ref());
        from.unwrap_or(&self.socket).send_to(&message, self.relay).expect("sent");
    }

    /// Sends a message on the data channel.
    pub(crate) fn say(&mut self, message: &[u8]) {
        let now = Instant::now();
        let id = self.channel.expect("an open channel");
        let mut channel = self.pc.data_channel(id).expect("a channel");
        channel.send(now, message.into()).expect("queued");
        self.flush(None);
    }

    fn flush(&mut self, pieces: Option<usize>) {
        while let Some(out) = self.pc.poll_write() {
            let datagrams = match pieces {
                Some(size) if out.message.starts_with(&[22]) && out.message[3..5] == [0, 0] => {
                    in_pieces(&out.message, size)
                }
                Some(_) | None => vec![out.message.to_vec()],
            };
            for datagram in datagrams {
                self.socket.send_to(&datagram, out.transport.peer_addr).expect("sent");
            }
        }
    }

    /// Sends, receives, lets time pass.
    fn step(&mut self, own: SocketAddr, line: Line, lost: &mut usize) {
        self.flush(line.pieces);
        while let Some(event) = self.pc.poll_event() {
            if let RTCPeerConnectionEvent::OnDataChannel(RTCDataChannelEvent::OnOpen(id)) = event {
                self.channel = Some(id);
            }
        }
        let mut buffer = [0; 2000];
        if let Ok((len, peer_addr)) = self.socket.recv_from(&mut buffer) {
            self.seen.extend(media(&buffer[..len]));
            if buffer[0] == 22 && *lost < line.lost {
                *lost += 1;
                return;
            }
            let transport = TransportContext {
                local_addr: own,
                peer_addr,
                ecn: None,
                transport_protocol: TransportProtocol::UDP,
            };
            let message = TaggedBytesMut { now: Instant::now(), transport, message: buffer[..len].into() };
            self.pc.handle_read(message).expect("read");
        }
        if self.pc.poll_timeout().is_some_and(|at| at <= Instant::now()) {
            self.pc.handle_timeout(Instant::now()).expect("time passes");
        }
    }
}

/// SRTP by its first byte (RFC 7983), and not SRTCP (RFC 5761 section 4).
pub(crate) fn media(datagram: &[u8]) -> Option<Place> {
    match *datagram {
        [128..=191, kind, s0, s1, _, _, _, _, c0, c1, c2, c3, ..] if !(192..=223).contains(&kind) => {
            Some((u32::from_be_bytes([c0, c1, c2, c3]), u16::from_be_bytes([s0, s1])))
        }
        _ => None,
    }
}

/// The plaintext handshake messages of a datagram in fragments (RFC 6347 section 4.2.3), one to a datagram, the last piece
/// first and each of them twice. What else is in it follows as it is.
fn in_pieces(datagram: &[u8], size: usize) -> Vec<Vec<u8>> {
    let (mut pieces, mut rest, mut others) = (Vec::new(), datagram, Vec::new());
    while let [kind, v0, v1, e0, e1, s @ ..] = rest {
        let (header, length) = (&rest[..11], usize::from(u16::from_be_bytes([s[6], s[7]])));
        let (record, after) = rest.split_at(13 + length);
        rest = after;
        if (*kind, *e0, *e1) != (22, 0, 0) {
            others.extend_from_slice(record);
            continue;
        }
        let (head, body) = record[13..].split_at(12);
        for (at, piece) in body.chunks(size).enumerate() {
            // Record numbers of our own, so that none is used twice.
            let number = (header[10] as u32 * 256 + at as u32).to_be_bytes();
            let message = [
                &head[..6],
                &((at * size) as u32).to_be_bytes()[1..],
                &(piece.len() as u32).to_be_bytes()[1..],
                piece,
            ]
            .concat();
            let head =
                [&[22, *v0, *v1, 0, 0, 0, 0], number.as_slice(), &(message.len() as u16).to_be_bytes()];
            pieces.push([head.concat(), message].concat());
        }
    }
    pieces.reverse();
    let mut twice: Vec<Vec<u8>> = pieces.into_iter().flat_map(|piece| [piece.clone(), piece]).collect();
    twice.extend((!others.is_empty()).then_some(others));
    twice
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
