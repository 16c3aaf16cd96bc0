//! What `rtc` is told of the media: the codecs and header extension of an offer, and a track for each stream.

use super::copies::Copies;
use super::media::{Extensions, Rtx, Stream};
use super::negotiation::invalid;
use crate::relay::sdp::{self, Offer};
use crate::relay::seal::Outgoing;
use crate::relay::{Codec, RelayError};
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::RTCPeerConnection;
use rtc::peer_connection::configuration::media_engine::MediaEngine;
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters,
    RTCRtpHeaderExtensionCapability, RTCRtpRtxParameters, RtpCodecKind,
};

pub(super) fn media_engine(offer: &Offer, codec: Codec) -> Result<MediaEngine, RelayError> {
    let mut engine = MediaEngine::default();
    let feedback =
        |typ: &str, parameter: &str| RTCPFeedback { typ: typ.to_owned(), parameter: parameter.to_owned() };
    let video = RTCRtpCodec {
        mime_type: sdp::mime(codec).to_owned(),
        clock_rate: 90_000,
        channels: 0,
        sdp_fmtp_line: offer.video.parameters.clone(),
        rtcp_feedback: [("nack", ""), ("nack", "pli"), ("ccm", "fir")]
            .into_iter()
            .chain(offer.transport.map(|_| ("transport-cc", "")))
            .chain(offer.receiver_clock.then_some(("rrtr", "")))
            .map(|(typ, parameter)| feedback(typ, parameter))
            .collect(),
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
        if let Some((payload_type, parameters)) = &audio.redundant {
            let redundant = RTCRtpCodec {
                mime_type: "audio/red".to_owned(),
                sdp_fmtp_line: parameters.clone(),
                ..opus(audio)
            };
            engine
                .register_codec(
                    RTCRtpCodecParameters { rtp_codec: redundant, payload_type: *payload_type },
                    RtpCodecKind::Audio,
                )
                .map_err(invalid)?;
        }
    }
    let used = [(offer.playout_delay, sdp::PLAYOUT_DELAY), (offer.transport, sdp::TRANSPORT)];
    for (_, uri) in used.into_iter().filter(|(id, _)| id.is_some()) {
        let extension = RTCRtpHeaderExtensionCapability { uri: uri.to_owned() };
        engine.register_header_extension(extension, RtpCodecKind::Video, None).map_err(invalid)?;
    }
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
pub(super) fn add_stream(
    pc: &mut RTCPeerConnection,
    name: &str,
    kind: RtpCodecKind,
    ssrc: u32,
    rtx: Option<Rtx>,
    format: &sdp::Format,
    mime: &str,
    extensions: Extensions,
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
        rtx: rtx.as_ref().map(|rtx| RTCRtpRtxParameters { ssrc: rtx.outgoing.ssrc() }),
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
        outgoing: Outgoing::new(ssrc),
        payload_type: format.payload_type,
        copies: (kind == RtpCodecKind::Video && rtx.is_none()).then(Copies::default),
        rtx,
        redundant: format.redundant.as_ref().map(|(payload_type, _)| *payload_type),
        extensions,
        packets: 0,
        octets: 0,
    })
}
