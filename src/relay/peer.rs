//! One viewer's WebRTC connection: `rtc` for DTLS, SRTP and data channels; ICE-lite by ourselves.
//!
//! `rtc`'s agent sees one constant pair of documentation addresses, nominated by messages made here. So it never loses
//! its pair in an ICE restart, and packets go to the address that the viewer nominated last. A panic inside `rtc` closes
//! this peer and nothing else. No sockets and no clock here.

use super::feedback::{Feedback, FeedbackQueue};
use super::ring::MediaPacket;
use super::sdp::{self, Offer};
use super::socket::Path;
use super::stun::{self, Credentials};
use super::{Codec, RelayError};
use bytes::{Bytes, BytesMut};
use rtc::crypto::RTCCryptoProvider;
use rtc::dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc::ice::mdns::MulticastDnsMode;
use rtc::interceptor::{Registry, Slot};
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::certificate::RTCCertificate;
use rtc::peer_connection::configuration::RTCConfigurationBuilder;
use rtc::peer_connection::configuration::media_engine::MediaEngine;
use rtc::peer_connection::configuration::setting_engine::SettingEngineBuilder;
use rtc::peer_connection::event::{RTCDataChannelEvent, RTCPeerConnectionEvent};
use rtc::peer_connection::message::{RTCMessage, TaggedRTCMessage};
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::peer_connection::state::RTCPeerConnectionState;
use rtc::peer_connection::transport::{RTCDtlsRole, RTCDtlsTransportState, RTCIceCandidateInit};
use rtc::peer_connection::{RTCPeerConnection, RTCPeerConnectionBuilder};
use rtc::rtcp::sender_report::SenderReport;
use rtc::rtp;
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters,
    RTCRtpHeaderExtensionCapability, RTCRtpRtxParameters, RtpCodecKind,
};
use rtc::rtp_transceiver::{RTCRtpSenderId, RTCRtpTransceiverDirection};
use rtc::sansio::Protocol;
use rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};
use rtc::statistics::StatsSelector;
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The pair shown to `rtc` (RFC 5737 documentation addresses; never on a wire).
const OWN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9);
const THEIRS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 9);
/// Consent (RFC 7675) ends this long after the last proven binding request.
const CONSENT: Duration = Duration::from_secs(20);
/// A viewer that is not connected by then is gone.
const HANDSHAKE: Duration = Duration::from_secs(30);

/// What all peers of a shard share.
pub(super) struct Shared {
    pub(super) certificate: RTCCertificate,
    pub(super) crypto: Arc<dyn RTCCryptoProvider>,
    pub(super) candidates: Vec<SocketAddr>,
}

/// What happened to a peer.
#[derive(Debug, PartialEq)]
pub(super) enum PeerEvent {
    Connected {
        cipher: String,
    },
    /// The DTLS handshake was refused though only GCM was offered.
    NoCommonCipher,
    Gone(&'static str),
    Feedback(Feedback),
    Input {
        label: Label,
        message: Bytes,
    },
}

/// The data channels that carry input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    Reliable,
    Pointer,
}

/// What to do about a binding request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Binding {
    /// Answer with this; the sender's address is proven.
    Proven(Vec<u8>),
    /// Answer with this only.
    Conflict(Vec<u8>),
    Forged,
}

/// One outgoing stream of a peer.
#[derive(Debug)]
struct Stream {
    track: String,
    sender: RTCRtpSenderId,
    ssrc: u32,
    payload_type: u8,
    rtx: Option<Rtx>,
    playout_delay: Option<u8>,
    packets: u32,
    octets: u32,
}

#[derive(Debug)]
struct Rtx {
    ssrc: u32,
    payload_type: u8,
    sequence: u16,
}

/// A viewer's connection.
pub(super) struct Peer {
    pc: RTCPeerConnection,
    feedback: FeedbackQueue,
    local: Credentials,
    remote: Credentials,
    /// Before the last ICE restart: local password and both ufrags, still answered while the demux knows them.
    previous: Option<(Credentials, String)>,
    fingerprint: String,
    path: Option<Path>,
    nominated: bool,
    video: Stream,
    audio: Option<Stream>,
    channels: HashMap<usize, Label>,
    only_gcm: bool,
    connected: bool,
    done: bool,
    consent: Instant,
    created: Instant,
    events: Vec<PeerEvent>,
}

impl Peer {
    /// Answers an offer with a new connection.
    pub(super) fn new(
        now: Instant,
        offer: &Offer,
        codec: Codec,
        shared: &Shared,
        only_gcm: bool,
    ) -> Result<(Self, String), RelayError> {
        catch_unwind(AssertUnwindSafe(|| Self::create(now, offer, codec, shared, only_gcm)))
            .unwrap_or_else(|_| Err(RelayError::InvalidOffer("it cannot be answered".to_owned())))
    }

    fn create(
        now: Instant,
        offer: &Offer,
        codec: Codec,
        shared: &Shared,
        only_gcm: bool,
    ) -> Result<(Self, String), RelayError> {
        let feedback = FeedbackQueue::default();
        let role = if offer.viewer_is_client { RTCDtlsRole::Server } else { RTCDtlsRole::Client };
        let mut settings = SettingEngineBuilder::new()
            .with_crypto_provider(Arc::clone(&shared.crypto))
            .with_lite(true)
            .with_answering_dtls_role(role)
            .with_multicast_dns_mode(MulticastDnsMode::Disabled)
            .with_ice_timeouts(Some(Duration::ZERO), Some(Duration::ZERO), Some(Duration::ZERO));
        if only_gcm {
            // Not AES-256 beside it: Chromium would take that, for more work and no gain.
            settings =
                settings.with_srtp_protection_profiles(vec![SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm]);
        }
        let mut pc = RTCPeerConnectionBuilder::new()
            .with_configuration(
                RTCConfigurationBuilder::new().with_certificates(vec![shared.certificate.clone()]).build(),
            )
            .with_setting_engine(settings.build())
            .with_media_engine(media_engine(offer, codec)?)
            .with_interceptor_registry(Registry::new().with(Slot::NackResponder, feedback.tap()))
            .build(now)
            .map_err(invalid)?;
        let candidate = format!("candidate:1 1 udp 2130706431 {} {} typ host", OWN.ip(), OWN.port());
        pc.add_local_candidate(RTCIceCandidateInit { candidate, ..Default::default() }).map_err(invalid)?;
        pc.set_remote_description(now, RTCSessionDescription::offer(offer.reduced.clone()).map_err(invalid)?)
            .map_err(invalid)?;

        let ids = random::<16>();
        let id = |at: usize| u32::from_be_bytes([ids[at], ids[at + 1], ids[at + 2], ids[at + 3]]) | 1;
        let extension = offer.playout_delay;
        let rtx = offer.video.rtx.as_ref().map(|(payload_type, _)| Rtx {
            // Odd are the streams', even the retransmissions'.
            ssrc: id(4) & !1,
            payload_type: *payload_type,
            sequence: u16::from_be_bytes([ids[12], ids[13]]),
        });
        let video = add_stream(
            &mut pc,
            "video",
            RtpCodecKind::Video,
            id(0),
            rtx,
            &offer.video,
            sdp::mime(codec),
            extension,
        )?;
        let audio = match &offer.audio {
            Some(format) => Some(add_stream(
                &mut pc,
                "audio",
                RtpCodecKind::Audio,
                if id(8) == id(0) { id(8).wrapping_add(2) } else { id(8) },
                None,
                format,
                sdp::mime(Codec::Opus),
                None,
            )?),
            None => None,
        };
        let sending = [Some(&video), audio.as_ref()]
            .into_iter()
            .flatten()
            .map(|stream| stream.sender)
            .collect::<Vec<_>>();
        set_directions(&mut pc, &sending);
        let (answer, local) = answer(&mut pc, now, &shared.candidates)?;
        let peer = Self {
            pc,
            feedback,
            local,
            remote: Credentials { ufrag: offer.ufrag.clone(), password: offer.password.clone() },
            previous: None,
            fingerprint: offer.fingerprint.clone(),
            path: None,
            nominated: false,
            video,
            audio,
            channels: HashMap::new(),
            only_gcm,
            connected: false,
            done: false,
            consent: now,
            created: now,
            events: Vec::new(),
        };
        Ok((peer, answer))
    }

    /// Answers another offer of the same DTLS identity: an ICE restart, or a plain renegotiation.
    pub(super) fn renegotiate(
        &mut self,
        now: Instant,
        offer: &Offer,
        shared: &Shared,
    ) -> Result<String, RelayError> {
        let result = catch_unwind(AssertUnwindSafe(|| {
            let description = RTCSessionDescription::offer(offer.reduced.clone()).map_err(invalid)?;
            self.pc.set_remote_description(now, description).map_err(invalid)?;
            let sending = [Some(&self.video), self.audio.as_ref()]
                .into_iter()
                .flatten()
                .map(|stream| stream.sender)
                .collect::<Vec<_>>();
            set_directions(&mut self.pc, &sending);
            answer(&mut self.pc, now, &shared.candidates)
        }));
        let Ok(result) = result else {
            self.fault();
            return Err(RelayError::InvalidOffer("it cannot be answered".to_owned()));
        };
        let (answer, local) = result?;
        if local != self.local {
            let old = std::mem::replace(&mut self.local, local);
            let old_remote = std::mem::replace(
                &mut self.remote,
                Credentials { ufrag: offer.ufrag.clone(), password: offer.password.clone() },
            );
            self.previous = Some((old, old_remote.ufrag));
            self.nominated = false;
            self.consent = now;
            if self.path.is_some() {
                // The crate's pair is gone with the restart; media goes on to the last address.
                self.nominate(now);
            }
        }
        Ok(answer)
    }

    pub(super) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Our ufrag in the latest answer.
    pub(super) fn ufrag(&self) -> &str {
        &self.local.ufrag
    }

    pub(super) fn path(&self) -> Option<Path> {
        self.path
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connected && !self.done
    }

    pub(super) fn was_connected(&self) -> bool {
        self.connected
    }

    pub(super) fn video_ssrc(&self) -> u32 {
        self.video.ssrc
    }

    pub(super) fn can_retransmit(&self) -> bool {
        self.video.rtx.is_some()
    }

    /// A binding request for one of our ufrags.
    pub(super) fn binding(&mut self, now: Instant, path: Path, request: &stun::Request<'_>) -> Binding {
        let current = request.local_ufrag == self.local.ufrag;
        let (password, remote_ufrag) = match (&self.previous, current) {
            (_, true) => (&self.local.password, &self.remote.ufrag),
            (Some((local, remote)), false) if local.ufrag == request.local_ufrag => (&local.password, remote),
            (Some(_) | None, false) => return Binding::Forged,
        };
        if request.remote_ufrag != remote_ufrag || !request.verify(password) {
            return Binding::Forged;
        }
        if request.controlled {
            return Binding::Conflict(stun::role_conflict(request.transaction, password));
        }
        let response = stun::success(request.transaction, path.remote, password);
        self.consent = now;
        let first = self.path.is_none();
        // Only nominations move the path; after an ICE restart the old generation's do no more.
        if request.use_candidate && (first || current || !self.nominated) {
            self.path = Some(path);
            self.nominated |= current;
            if first {
                self.nominate(now);
            }
        }
        Binding::Proven(response)
    }

    /// A DTLS, SRTP or SRTCP datagram from one of the peer's addresses.
    pub(super) fn datagram(&mut self, now: Instant, datagram: &[u8]) {
        if self.done {
            return;
        }
        if !self.connected && is_fatal_alert(datagram) {
            self.handshake_refused();
            return;
        }
        let alert = datagram.first() == Some(&21);
        self.feed(now, datagram);
        if alert && self.connected {
            let closed = guard(|| {
                let mut sender = self.pc.rtp_sender(self.video.sender);
                let transport = sender.as_mut().and_then(|sender| sender.transport());
                transport.is_some_and(|transport| transport.state() == RTCDtlsTransportState::Closed)
            });
            match closed {
                Some(true) => self.gone("closed by the viewer"),
                Some(false) => {}
                None => self.fault(),
            }
        }
    }

    /// Lets time pass and collects what happened.
    pub(super) fn poll(&mut self, now: Instant) -> Vec<PeerEvent> {
        if !self.done {
            let due = guard(|| {
                self.pc
                    .poll_timeout()
                    .is_some_and(|at| at <= now)
                    .then(|| self.pc.handle_timeout(now))
                    .is_none_or(|done| done.is_ok())
            });
            match due {
                Some(true) => {}
                // A handshake out of retransmissions.
                Some(false) if !self.connected => self.gone("the DTLS handshake failed"),
                Some(false) => {}
                None => self.fault(),
            }
            if guard(|| self.collect(now)).is_none() {
                self.fault();
            }
            if now.saturating_duration_since(self.consent) >= CONSENT && self.path.is_some() {
                self.gone("consent expired");
            } else if !self.connected && now.saturating_duration_since(self.created) >= HANDSHAKE {
                self.gone("no connection within 30 seconds");
            }
        }
        std::mem::take(&mut self.events)
    }

    /// When to call [`Self::poll`] without cause.
    pub(super) fn deadline(&mut self) -> Option<Instant> {
        if self.done {
            return None;
        }
        let expires = if self.path.is_some() { self.consent + CONSENT } else { self.created + HANDSHAKE };
        let own = if self.connected { expires } else { expires.min(self.created + HANDSHAKE) };
        let theirs = guard(|| self.pc.poll_timeout()).flatten();
        Some(theirs.map_or(own, |at| at.min(own)))
    }

    /// Queues a video packet. The one place to replace for a sealing path of our own.
    pub(super) fn write_video(&mut self, now: Instant, sequence: u16, packet: &MediaPacket) {
        let header = header(&self.video, self.video.ssrc, self.video.payload_type, sequence, packet);
        self.video.packets = self.video.packets.wrapping_add(1);
        self.video.octets = self.video.octets.wrapping_add(u32::try_from(packet.payload.len()).unwrap_or(0));
        write(&mut self.pc, now, &self.video.track, header, packet.payload.clone());
    }

    /// Queues a video packet again, in the retransmission stream (RFC 4588).
    pub(super) fn write_rtx(&mut self, now: Instant, original: u16, packet: &MediaPacket) {
        let Some(rtx) = &mut self.video.rtx else { return };
        rtx.sequence = rtx.sequence.wrapping_add(1);
        let (ssrc, payload_type, sequence) = (rtx.ssrc, rtx.payload_type, rtx.sequence);
        let mut payload = BytesMut::with_capacity(2 + packet.payload.len());
        payload.extend_from_slice(&original.to_be_bytes());
        payload.extend_from_slice(&packet.payload);
        let header = header(&self.video, ssrc, payload_type, sequence, packet);
        write(&mut self.pc, now, &self.video.track, header, payload.freeze());
    }

    pub(super) fn write_audio(&mut self, now: Instant, sequence: u16, packet: &MediaPacket) {
        let Some(audio) = &mut self.audio else { return };
        let header = header(audio, audio.ssrc, audio.payload_type, sequence, packet);
        audio.packets = audio.packets.wrapping_add(1);
        audio.octets = audio.octets.wrapping_add(u32::try_from(packet.payload.len()).unwrap_or(0));
        write(&mut self.pc, now, &audio.track, header, packet.payload.clone());
    }

    /// Queues sender reports: clock pairs (NTP, RTP) of both streams.
    pub(super) fn report(&mut self, now: Instant, video: Option<(u64, u32)>, audio: Option<(u64, u32)>) {
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

    /// Moves out what is to be sent to [`Self::path`].
    pub(super) fn drain(&mut self, datagrams: &mut Vec<BytesMut>) {
        let done = guard(|| {
            while let Some(out) = self.pc.poll_write() {
                // Answers to the messages of `nominate` go nowhere.
                if out.message.first().is_some_and(|first| *first > 3) {
                    datagrams.push(out.message);
                }
            }
        });
        if done.is_none() {
            self.fault();
        }
        if !self.connected && !self.done && datagrams.iter().any(|datagram| is_fatal_alert(datagram)) {
            self.handshake_refused();
        }
    }

    /// Ends DTLS politely: drain once more afterwards.
    pub(super) fn close(&mut self) {
        self.done = true;
        let _ = guard(|| self.pc.close());
    }

    fn collect(&mut self, now: Instant) {
        while let Some(event) = self.pc.poll_event() {
            #[expect(
                clippy::wildcard_enum_match_arm,
                reason = "a foreign non-exhaustive enum; nothing else of it is used"
            )]
            match event {
                RTCPeerConnectionEvent::OnConnectionStateChangeEvent(RTCPeerConnectionState::Connected)
                    if !self.connected =>
                {
                    self.connected = true;
                    let report = self.pc.get_stats(now, StatsSelector::None);
                    let cipher = report
                        .transport()
                        .map(|transport| transport.srtp_cipher.trim_start_matches("SRTP_").to_owned());
                    self.events.push(PeerEvent::Connected { cipher: cipher.unwrap_or_default() });
                }
                RTCPeerConnectionEvent::OnConnectionStateChangeEvent(RTCPeerConnectionState::Failed) => {
                    self.gone("the connection failed")
                }
                RTCPeerConnectionEvent::OnDataChannel(RTCDataChannelEvent::OnOpen(id)) => {
                    use playgate_signaling::input::{POINTER_LABEL, RELIABLE_LABEL};
                    let label = self.pc.data_channel(id).and_then(|channel| match channel.label() {
                        RELIABLE_LABEL => Some(Label::Reliable),
                        POINTER_LABEL => Some(Label::Pointer),
                        _ => None,
                    });
                    if let Some(label) = label {
                        self.channels.insert(id, label);
                    }
                }
                RTCPeerConnectionEvent::OnDataChannel(RTCDataChannelEvent::OnClose(id)) => {
                    self.channels.remove(&id);
                }
                _ => {}
            }
        }
        while let Some(message) = self.pc.poll_read() {
            if let RTCMessage::DataChannelMessage(id, message) = message.message
                && let Some(label) = self.channels.get(&id)
            {
                self.events.push(PeerEvent::Input { label: *label, message: message.data.freeze() });
            }
        }
        self.events.extend(self.feedback.take().into_iter().map(PeerEvent::Feedback));
    }

    /// Makes `rtc`'s agent select its one pair: request, its triggered check answered, request again.
    fn nominate(&mut self, now: Instant) {
        let request = stun::nominating_request(random(), &self.local, &self.remote.ufrag);
        self.feed(now, &request);
        let mut check = None;
        let found = guard(|| {
            while let Some(out) = self.pc.poll_write() {
                check = check.or(stun::request_transaction(&out.message));
            }
        });
        if let (Some(()), Some(transaction)) = (found, check) {
            self.feed(now, &stun::success(transaction, OWN, &self.remote.password));
            self.feed(now, &stun::nominating_request(random(), &self.local, &self.remote.ufrag));
        }
        // `rtc` makes its ClientHello on the event, but only a timeout moves it out.
        let started = guard(|| {
            self.collect(now);
            self.pc.handle_timeout(now)
        });
        if started.is_none() {
            self.fault();
        }
    }

    fn feed(&mut self, now: Instant, datagram: &[u8]) {
        let transport = TransportContext {
            local_addr: OWN,
            peer_addr: THEIRS,
            ecn: None,
            transport_protocol: TransportProtocol::UDP,
        };
        let fed = guard(|| {
            self.pc.handle_read(TaggedBytesMut { now, transport, message: BytesMut::from(datagram) })
        });
        if fed.is_none() {
            self.fault();
        }
    }

    fn handshake_refused(&mut self) {
        if self.only_gcm && !self.done {
            self.done = true;
            self.events.push(PeerEvent::NoCommonCipher);
        } else {
            self.gone("the DTLS handshake was refused");
        }
    }

    fn fault(&mut self) {
        self.gone("internal error");
    }

    fn gone(&mut self, reason: &'static str) {
        if !self.done {
            self.done = true;
            self.events.push(PeerEvent::Gone(reason));
        }
    }
}

/// A self-signed certificate for DTLS, valid for the life of a process.
pub(super) fn certificate(crypto: &dyn RTCCryptoProvider) -> Option<RTCCertificate> {
    let params = rcgen::CertificateParams::new(vec!["playgate".to_owned()]).ok()?;
    RTCCertificate::generate(crypto.crypto(), rtc::crypto::SignatureScheme::EcdsaP256Sha256, params).ok()
}

/// Random bytes.
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Fails only when the system has no entropy source, which the process would not have survived until here.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    bytes
}

/// A panic in `rtc` ends one peer, not the shard.
fn guard<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

fn invalid(error: impl std::fmt::Display) -> RelayError {
    RelayError::InvalidOffer(error.to_string())
}

/// A DTLS record of epoch 0 with a fatal alert (RFC 6347 section 4.1, RFC 5246 section 7.2).
fn is_fatal_alert(datagram: &[u8]) -> bool {
    matches!(datagram, [21, 0xfe, _, 0, 0, _, _, _, _, _, _, _, _, 2, ..])
}

fn media_engine(offer: &Offer, codec: Codec) -> Result<MediaEngine, RelayError> {
    let mut engine = MediaEngine::default();
    let feedback =
        |typ: &str, parameter: &str| RTCPFeedback { typ: typ.to_owned(), parameter: parameter.to_owned() };
    let video = RTCRtpCodec {
        mime_type: sdp::mime(codec).to_owned(),
        clock_rate: 90_000,
        channels: 0,
        sdp_fmtp_line: offer.video.parameters.clone(),
        rtcp_feedback: vec![feedback("nack", ""), feedback("nack", "pli"), feedback("ccm", "fir")],
    };
    engine
        .register_codec(
            RTCRtpCodecParameters { rtp_codec: video, payload_type: offer.video.payload_type },
            RtpCodecKind::Video,
        )
        .map_err(invalid)?;
    if let Some((payload_type, parameters)) = &offer.video.rtx {
        let rtx = RTCRtpCodec {
            mime_type: "video/rtx".to_owned(),
            clock_rate: 90_000,
            sdp_fmtp_line: parameters.clone(),
            ..Default::default()
        };
        engine
            .register_codec(
                RTCRtpCodecParameters { rtp_codec: rtx, payload_type: *payload_type },
                RtpCodecKind::Video,
            )
            .map_err(invalid)?;
    }
    if let Some(audio) = &offer.audio {
        engine
            .register_codec(
                RTCRtpCodecParameters { rtp_codec: opus(audio), payload_type: audio.payload_type },
                RtpCodecKind::Audio,
            )
            .map_err(invalid)?;
    }
    engine
        .register_header_extension(
            RTCRtpHeaderExtensionCapability { uri: sdp::PLAYOUT_DELAY.to_owned() },
            RtpCodecKind::Video,
            None,
        )
        .map_err(invalid)?;
    Ok(engine)
}

fn opus(format: &sdp::Format) -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: sdp::mime(Codec::Opus).to_owned(),
        clock_rate: 48_000,
        channels: format.channels,
        sdp_fmtp_line: format.parameters.clone(),
        rtcp_feedback: Vec::new(),
    }
}

#[expect(clippy::too_many_arguments, reason = "one call each for video and audio")]
fn add_stream(
    pc: &mut RTCPeerConnection,
    name: &str,
    kind: RtpCodecKind,
    ssrc: u32,
    rtx: Option<Rtx>,
    format: &sdp::Format,
    mime: &str,
    playout_delay: Option<u8>,
) -> Result<Stream, RelayError> {
    let codec = RTCRtpCodec {
        mime_type: mime.to_owned(),
        clock_rate: if kind == RtpCodecKind::Audio { 48_000 } else { 90_000 },
        channels: format.channels,
        sdp_fmtp_line: format.parameters.clone(),
        rtcp_feedback: Vec::new(),
    };
    let coding = RTCRtpCodingParameters {
        ssrc: Some(ssrc),
        rtx: rtx.as_ref().map(|rtx| RTCRtpRtxParameters { ssrc: rtx.ssrc }),
        ..Default::default()
    };
    let encoding = RTCRtpEncodingParameters { rtp_coding_parameters: coding, codec, ..Default::default() };
    // A stream (msid) of its own for each, so that lip-sync does not hold video back.
    let track = MediaStreamTrack::new(
        format!("playgate-{name}"),
        name.to_owned(),
        name.to_owned(),
        kind,
        vec![encoding],
    );
    let sender = pc.add_track(track).map_err(invalid)?;
    Ok(Stream {
        track: name.to_owned(),
        sender,
        ssrc,
        payload_type: format.payload_type,
        rtx,
        playout_delay,
        packets: 0,
        octets: 0,
    })
}

/// Sections with a sender only send; all others are switched off.
fn set_directions(pc: &mut RTCPeerConnection, sending: &[RTCRtpSenderId]) {
    let ids: Vec<_> = pc.get_transceivers().collect();
    for id in ids {
        if let Some(mut transceiver) = pc.rtp_transceiver(id) {
            let sends = transceiver.sender().is_some_and(|sender| sending.contains(&sender));
            let direction = if sends {
                RTCRtpTransceiverDirection::Sendonly
            } else {
                RTCRtpTransceiverDirection::Inactive
            };
            transceiver.set_direction(direction);
        }
    }
}

fn answer(
    pc: &mut RTCPeerConnection,
    now: Instant,
    candidates: &[SocketAddr],
) -> Result<(String, Credentials), RelayError> {
    let answer = pc.create_answer(None).map_err(invalid)?;
    let finished = sdp::finish_answer(&answer.sdp, candidates);
    pc.set_local_description(now, answer).map_err(invalid)?;
    let (text, ufrag, password) = finished.ok_or_else(|| invalid("nothing of it can be accepted"))?;
    Ok((text, Credentials { ufrag, password }))
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

#[cfg(test)]
#[path = "peer_tests.rs"]
mod tests;
