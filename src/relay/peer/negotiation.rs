//! Offers and answers: a new connection, an ICE restart, or a plain renegotiation.
//!
//! The answer sends and never receives. A panic of `rtc` over an offer makes the offer invalid, nothing more.

use super::handshake::{EXPECTED, Handshake};
use super::ice::OWN;
use super::media::{Extensions, Rtx, Stream};
use super::paths::Paths;
use super::tracks::{add_stream, media_engine};
use super::{Handshaking, Peer, Shared, guard, random};
use crate::relay::dtls::Inflow;
use crate::relay::feedback::FeedbackQueue;
use crate::relay::sdp::{self, Offer};
use crate::relay::seal::Outgoing;
use crate::relay::seal::keys::KeyTap;
use crate::relay::stun::Credentials;
use crate::relay::{Codec, RelayError};
use rtc::crypto::RTCCryptoProvider;
use rtc::dtls::cipher_suite::CipherSuiteId;
use rtc::dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc::ice::mdns::MulticastDnsMode;
use rtc::interceptor::{Registry, Slot};
use rtc::peer_connection::configuration::RTCConfigurationBuilder;
use rtc::peer_connection::configuration::setting_engine::SettingEngineBuilder;
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::peer_connection::transport::{RTCDtlsRole, RTCIceCandidateInit};
use rtc::peer_connection::{RTCPeerConnection, RTCPeerConnectionBuilder};
use rtc::rtp_transceiver::rtp_sender::RtpCodecKind;
use rtc::rtp_transceiver::{RTCRtpSenderId, RTCRtpTransceiverDirection};
use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What our certificate (ECDSA) can be used with, authenticated encryption alone; the first is every WebRTC client's (RFC 8827
/// section 6.5). As the server `rtc` would take a suite of RSA, too, and get no further.
const CIPHER_SUITES: [CipherSuiteId; 2] = [
    CipherSuiteId::Tls_Ecdhe_Ecdsa_With_Aes_128_Gcm_Sha256,
    CipherSuiteId::Tls_Ecdhe_Ecdsa_With_ChaCha20_Poly1305_Sha256,
];
/// Offered as the DTLS client.
const CLIENT_PROFILES: &[SrtpProtectionProfile] =
    &[SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm, SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80];

/// SSRCs of a peer's streams, and where its retransmissions are numbered from. They stand in the answer, so they outlive
/// the connection they were first made for.
#[derive(Debug, Clone, Copy)]
pub(super) struct StreamIds {
    video: u32,
    rtx: u32,
    audio: u32,
    /// Below 2^15, so that the rollover counter is in no doubt (RFC 3711 section 3.3.1).
    rtx_index: u64,
}

impl StreamIds {
    fn new() -> Self {
        let [v0, v1, v2, v3, r0, r1, r2, r3, a0, a1, a2, a3, i0, i1] = random();
        // Odd are the streams', even the retransmissions'.
        let video = u32::from_be_bytes([v0, v1, v2, v3]) | 1;
        let audio = u32::from_be_bytes([a0, a1, a2, a3]) | 1;
        Self {
            video,
            rtx: u32::from_be_bytes([r0, r1, r2, r3]) & !1,
            audio: if audio == video { audio.wrapping_add(2) } else { audio },
            rtx_index: u64::from(u16::from_be_bytes([i0, i1]) >> 1),
        }
    }
}

/// A connection of `rtc` with everything that belongs to it alone.
struct Built {
    pc: RTCPeerConnection,
    feedback: FeedbackQueue,
    keys: Arc<KeyTap>,
    video: Stream,
    audio: Option<Stream>,
    /// `rtc`'s answer, and the credentials in it.
    answer: String,
    agent: Credentials,
}

impl Handshaking {
    /// Answers an offer with a new connection.
    pub(super) fn new(
        now: Instant,
        offer: &Offer,
        codec: Codec,
        shared: &Arc<Shared>,
    ) -> Result<(Self, String), RelayError> {
        catch_unwind(AssertUnwindSafe(|| Self::create(now, offer, codec, shared)))
            .unwrap_or_else(|_| Err(RelayError::InvalidOffer("it cannot be answered".to_owned())))
    }

    fn create(
        now: Instant,
        offer: &Offer,
        codec: Codec,
        shared: &Arc<Shared>,
    ) -> Result<(Self, String), RelayError> {
        let ids = StreamIds::new();
        // A viewer that insists on being the server chooses the cipher, so it is offered all there is.
        let profiles = if offer.viewer_is_server { CLIENT_PROFILES } else { &[EXPECTED] };
        let built = build(now, offer, codec, shared, ids, profiles)?;
        let local = credentials();
        let answer = finish(&built.answer, shared, &local)?;
        let undecided = (!offer.viewer_is_server).then(|| (offer.clone(), codec));
        let peer = Peer {
            pc: built.pc,
            shared: Arc::clone(shared),
            feedback: built.feedback,
            local,
            remote: Credentials { ufrag: offer.ufrag.clone(), password: offer.password.clone() },
            agent: built.agent,
            previous: None,
            fingerprint: offer.fingerprint.clone(),
            paths: Paths::default(),
            inflow: Inflow::default(),
            video: built.video,
            audio: built.audio,
            keys: built.keys,
            sealer: None,
            transport: offer.transport,
            rate: None,
            held: Vec::new(),
            again: Vec::new(),
            channels: HashMap::new(),
            rtcp_senders: HashSet::new(),
            is_secured: false,
            done: false,
            events: Vec::new(),
        };
        let handshake = Handshake::new(undecided);
        Ok((Self { peer, ids, handshake, established: None, created: now }, answer))
    }

    /// Replaces the connection by one for another SRTP profile. Nothing has been sent or received by the old one.
    pub(super) fn rebuild(
        &mut self,
        now: Instant,
        offer: &Offer,
        codec: Codec,
        profile: SrtpProtectionProfile,
    ) {
        let peer = &mut self.peer;
        let shared = Arc::clone(&peer.shared);
        let Some(Ok(built)) = guard(|| build(now, offer, codec, &shared, self.ids, &[profile])) else {
            return peer.fault();
        };
        peer.pc = built.pc;
        peer.feedback = built.feedback;
        peer.keys = built.keys;
        peer.agent = built.agent;
        peer.video.sender = built.video.sender;
        if let (Some(audio), Some(built)) = (&mut peer.audio, built.audio) {
            audio.sender = built.sender;
        }
        peer.nominate(now);
    }

    /// Answers another offer of the same DTLS identity. What is built from now on is built from this one.
    pub(super) fn renegotiate(&mut self, now: Instant, offer: &Offer) -> Result<String, RelayError> {
        let answer = self.peer.renegotiate(now, offer)?;
        self.handshake.renew(offer);
        Ok(answer)
    }
}

impl Peer {
    /// Answers another offer of the same DTLS identity: an ICE restart, or a plain renegotiation.
    pub(in crate::relay) fn renegotiate(
        &mut self,
        now: Instant,
        offer: &Offer,
    ) -> Result<String, RelayError> {
        let remote = Credentials { ufrag: offer.ufrag.clone(), password: offer.password.clone() };
        let restarts = remote != self.remote;
        let local = if restarts { credentials() } else { self.local.clone() };
        let result = catch_unwind(AssertUnwindSafe(|| {
            let description = RTCSessionDescription::offer(offer.reduced.clone()).map_err(invalid)?;
            self.pc.set_remote_description(now, description).map_err(invalid)?;
            set_directions(&mut self.pc, &senders(&self.video, self.audio.as_ref()));
            let (answer, agent) = answer(&mut self.pc, now)?;
            Ok((finish(&answer, &self.shared, &local)?, agent))
        }));
        let Ok(result) = result else {
            self.fault();
            return Err(RelayError::InvalidOffer("it cannot be answered".to_owned()));
        };
        let (answer, agent) = result?;
        self.agent = agent;
        if restarts {
            let old = std::mem::replace(&mut self.local, local);
            let old_remote = std::mem::replace(&mut self.remote, remote);
            self.previous = Some((old, old_remote.ufrag));
            self.paths.restart(now);
            if self.paths.present().is_some() {
                // The crate's pair is gone with the restart; media goes on to the present address.
                self.nominate(now);
            }
        }
        Ok(answer)
    }
}

/// A connection for an offer that takes one of these SRTP profiles, with its answer set.
fn build(
    now: Instant,
    offer: &Offer,
    codec: Codec,
    shared: &Shared,
    ids: StreamIds,
    profiles: &[SrtpProtectionProfile],
) -> Result<Built, RelayError> {
    let feedback = FeedbackQueue::default();
    let role = if offer.viewer_is_server { RTCDtlsRole::Client } else { RTCDtlsRole::Server };
    let keys = KeyTap::new(&shared.crypto);
    let tapped: Arc<dyn RTCCryptoProvider> = Arc::<KeyTap>::clone(&keys);
    let settings = SettingEngineBuilder::new()
        .with_crypto_provider(tapped)
        .with_lite(true)
        .with_answering_dtls_role(role)
        .with_dtls_cipher_suites(CIPHER_SUITES.to_vec())
        .with_srtp_protection_profiles(profiles.to_vec())
        .with_multicast_dns_mode(MulticastDnsMode::Disabled)
        .with_ice_timeouts(Some(Duration::ZERO), Some(Duration::ZERO), Some(Duration::ZERO));
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
    let extensions = Extensions { playout_delay: offer.playout_delay, transport: None };
    let rtx = offer.video.rtx.as_ref().map(|(payload_type, _)| Rtx {
        outgoing: Outgoing::new(ids.rtx),
        payload_type: *payload_type,
        index: ids.rtx_index,
    });
    let video = add_stream(
        &mut pc,
        "video",
        RtpCodecKind::Video,
        ids.video,
        rtx,
        &offer.video,
        sdp::mime(codec),
        extensions,
    )?;
    let audio = match &offer.audio {
        Some(format) => Some(add_stream(
            &mut pc,
            "audio",
            RtpCodecKind::Audio,
            ids.audio,
            None,
            format,
            sdp::mime(Codec::Opus),
            Extensions::default(),
        )?),
        None => None,
    };
    set_directions(&mut pc, &senders(&video, audio.as_ref()));
    let (answer, agent) = answer(&mut pc, now)?;
    Ok(Built { pc, feedback, keys, video, audio, answer, agent })
}

/// `rtc`'s answer to the last offer, and its own credentials in it.
fn answer(pc: &mut RTCPeerConnection, now: Instant) -> Result<(String, Credentials), RelayError> {
    let answer = pc.create_answer(None).map_err(invalid)?;
    let text = answer.sdp.clone();
    let agent = sdp::credentials(&text).ok_or_else(nothing_accepted)?;
    pc.set_local_description(now, answer).map_err(invalid)?;
    Ok((text, agent))
}

/// The answer for the viewer.
fn finish(answer: &str, shared: &Shared, local: &Credentials) -> Result<String, RelayError> {
    sdp::finish_answer(answer, &shared.candidates, local).ok_or_else(nothing_accepted)
}

fn nothing_accepted() -> RelayError {
    invalid("nothing of it can be accepted")
}

/// New ICE credentials: 64 and 128 bits (RFC 8839 section 5.4 wants 24 and 128 at least).
fn credentials() -> Credentials {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Credentials { ufrag: hex(&random::<8>()), password: hex(&random::<16>()) }
}

fn senders(video: &Stream, audio: Option<&Stream>) -> Vec<RTCRtpSenderId> {
    [Some(video), audio].into_iter().flatten().map(|stream| stream.sender).collect()
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

pub(super) fn invalid(error: impl std::fmt::Display) -> RelayError {
    RelayError::InvalidOffer(error.to_string())
}
