//! How the viewers' peer connections are set up: codecs, ciphers, addresses.

use super::viewer::Srtp;
use rtc::ice::mdns::MulticastDnsMode;
use rtc::rtp_transceiver::rtp_sender::{RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RtpCodecKind};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use webrtc::peer_connection::{MediaEngine, SettingEngine, SettingEngineBuilder, SrtpProtectionProfile};

/// Payload types of a bot's offer.
pub(super) const VIDEO: u8 = 102;
pub(super) const RTX: u8 = 103;
pub(super) const AUDIO: u8 = 111;

/// H.264 constrained baseline in packetization mode 1 with its retransmission, and Opus: what the built-in runner sends.
/// Without transport-wide feedback: a bot is no bandwidth probe.
pub(super) fn engine() -> Result<MediaEngine, webrtc::error::Error> {
    let mut engine = MediaEngine::default();
    let video = RTCRtpCodec {
        mime_type: "video/H264".to_owned(),
        clock_rate: 90_000,
        channels: 0,
        sdp_fmtp_line: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f".to_owned(),
        rtcp_feedback: [("nack", ""), ("nack", "pli"), ("ccm", "fir")]
            .map(|(typ, parameter)| RTCPFeedback { typ: typ.to_owned(), parameter: parameter.to_owned() })
            .to_vec(),
    };
    let rtx = RTCRtpCodec {
        mime_type: "video/rtx".to_owned(),
        clock_rate: 90_000,
        sdp_fmtp_line: format!("apt={VIDEO}"),
        ..Default::default()
    };
    let audio = RTCRtpCodec {
        mime_type: "audio/opus".to_owned(),
        clock_rate: 48_000,
        channels: 2,
        sdp_fmtp_line: "minptime=10;useinbandfec=1".to_owned(),
        rtcp_feedback: Vec::new(),
    };
    for (rtp_codec, payload_type, kind) in [
        (video, VIDEO, RtpCodecKind::Video),
        (rtx, RTX, RtpCodecKind::Video),
        (audio, AUDIO, RtpCodecKind::Audio),
    ] {
        engine.register_codec(RTCRtpCodecParameters { rtp_codec, payload_type }, kind)?;
    }
    Ok(engine)
}

pub(super) fn settings(srtp: Srtp) -> SettingEngine {
    let profiles = match srtp {
        Srtp::Gcm => {
            vec![SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm, SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm]
        }
        Srtp::AesCm => vec![SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80],
    };
    SettingEngineBuilder::new()
        .with_srtp_protection_profiles(profiles)
        // The default mode fails where there is no multicast route, and a bot has nothing to hide.
        .with_multicast_dns_mode(MulticastDnsMode::Disabled)
        .build()
}

/// The offer of a bot that wants to be the DTLS server. As the client `rtc` sends its ClientHello with its next timer only, up
/// to 200 ms late, and that would be counted as the gateway's.
pub(super) fn as_dtls_server(offer: &str) -> String {
    offer.replace("a=setup:actpass", "a=setup:passive")
}

/// The local addresses from which the given remote ones are reached, without repeats: one socket each is all a viewer
/// needs. No packet is sent.
#[must_use]
pub fn local_addresses(remotes: &[SocketAddr]) -> Vec<IpAddr> {
    let mut local = Vec::new();
    for remote in remotes {
        let any: IpAddr = if remote.is_ipv4() { [0u8; 4].into() } else { [0u16; 8].into() };
        let Ok(socket) = UdpSocket::bind((any, 0)) else { continue };
        let port = remote.port().max(1);
        if socket.connect((remote.ip(), port)).is_ok()
            && let Ok(address) = socket.local_addr()
            && !local.contains(&address.ip())
        {
            local.push(address.ip());
        }
    }
    local
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_reached_from_loopback_and_named_once() {
        let remotes = [SocketAddr::from(([127, 0, 0, 1], 80)), SocketAddr::from(([127, 0, 0, 1], 0))];
        assert_eq!(local_addresses(&remotes), [IpAddr::from([127, 0, 0, 1])]);
    }
}
