//! Offers and answers: a new connection, an ICE restart, or a plain renegotiation.
//!
//! The answer sends and never receives. A panic of `rtc` over an offer makes the offer invalid, nothing more.

use super::ice::OWN;
use super::media::{Extensions, Rtx};
use super::tracks::{add_stream, media_engine};
use super::{Peer, Shared, random};
use crate::relay::feedback::FeedbackQueue;
use crate::relay::sdp::{self, Offer};
use crate::relay::seal::Outgoing;
use crate::relay::seal::keys::KeyTap;
use crate::relay::stun::Credentials;
use crate::relay::{Codec, RelayError};
use rtc::crypto::RTCCryptoProvider;
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
use std::collections::HashMap;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

impl Peer {
    /// Answers an offer with a new connection.
    pub(in crate::relay) fn new(
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
        let keys = KeyTap::new(&shared.crypto);
        let tapped: Arc<dyn RTCCryptoProvider> = Arc::<KeyTap>::clone(&keys);
        let mut settings = SettingEngineBuilder::new()
            .with_crypto_provider(tapped)
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
        let extensions = Extensions { playout_delay: offer.playout_delay, transport: None };
        let rtx = offer.video.rtx.as_ref().map(|(payload_type, _)| Rtx {
            // Odd are the streams', even the retransmissions'.
            outgoing: Outgoing::new(id(4) & !1),
            payload_type: *payload_type,
            index: u64::from(u16::from_be_bytes([ids[12], ids[13]]) >> 1),
        });
        let video = add_stream(
            &mut pc,
            "video",
            RtpCodecKind::Video,
            id(0),
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
                if id(8) == id(0) { id(8).wrapping_add(2) } else { id(8) },
                None,
                format,
                sdp::mime(Codec::Opus),
                Extensions::default(),
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
            keys,
            crypto: Arc::clone(&shared.crypto),
            sealer: None,
            transport: offer.transport,
            rate: None,
            held: Vec::new(),
            again: Vec::new(),
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
    pub(in crate::relay) fn renegotiate(
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
