//! The `webrtc` crate as its broadcast example uses it: a peer connection, a track and a task per viewer, default
//! interceptors.

use crate::load::{Outcome, PAYLOAD_TYPE};
use crate::protocol::{Ask, Reply, serve};
use bytes::BytesMut;
use rtc::ice::mdns::MulticastDnsMode;
use rtc::media_stream::MediaStreamTrack;
use rtc::rtp::Packet;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind,
};
use rtc::shared::marshal::Unmarshal;
use std::sync::Arc;
use tokio::sync::{broadcast, watch};
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceGatheringState,
    RTCSessionDescription, Registry, SettingEngineBuilder, SrtpProtectionProfile,
    register_default_interceptors,
};

/// Packets waiting for a viewer's task; it misses what no longer fits.
const QUEUE: usize = 256;

pub(crate) fn run() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let socket = runtime.block_on(tokio::net::UdpSocket::bind("127.0.0.1:0"))?;
    socket2::SockRef::from(&socket).set_recv_buffer_size(4 << 20)?;
    let ingest = socket.local_addr()?;
    let packets = broadcast::Sender::<Packet>::new(QUEUE);
    let sender = packets.clone();
    runtime.spawn(async move {
        let mut buffer = [0; 2000];
        while let Ok(len) = socket.recv(&mut buffer).await {
            if let Ok(packet) = Packet::unmarshal(&mut BytesMut::from(&buffer[..len])) {
                // Nobody may be there yet.
                let _ = sender.send(packet);
            }
        }
    });
    let mut viewers = Vec::new();
    serve(ingest, |ask| match ask {
        Ask::Offer(offer) => {
            let ssrc = u32::try_from(viewers.len())? + 1000;
            let (viewer, answer) = runtime.block_on(add_viewer(offer, ssrc, packets.subscribe()))?;
            viewers.push(viewer);
            Ok(Reply::Answer(answer))
        }
        Ask::Join { .. } | Ask::Metrics | Ask::Ingests | Ask::Burst { .. } | Ask::Allocations => {
            Err("not asked here".into())
        }
    })
}

async fn add_viewer(
    offer: String,
    ssrc: u32,
    mut packets: broadcast::Receiver<Packet>,
) -> Outcome<(Arc<dyn PeerConnection>, String)> {
    let codec = RTCRtpCodec {
        mime_type: "video/H264".to_owned(),
        clock_rate: 90_000,
        sdp_fmtp_line: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f".to_owned(),
        ..Default::default()
    };
    let mut engine = MediaEngine::default();
    let parameters = RTCRtpCodecParameters { rtp_codec: codec.clone(), payload_type: PAYLOAD_TYPE };
    engine.register_codec(parameters, RtpCodecKind::Video)?;
    let registry = register_default_interceptors(Registry::new(), &mut engine)?;
    let (gathered, mut is_gathered) = watch::channel(false);
    let viewer: Arc<dyn PeerConnection> = Arc::new(
        PeerConnectionBuilder::new()
            .with_media_engine(engine)
            .with_interceptor_registry(registry)
            .with_setting_engine(
                SettingEngineBuilder::new()
                    .with_srtp_protection_profiles(vec![SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm])
                    .with_multicast_dns_mode(MulticastDnsMode::Disabled)
                    .build(),
            )
            .with_handler(Arc::new(Handler { gathered }))
            .with_udp_addrs(vec!["127.0.0.1:0"])
            .build()
            .await?,
    );
    let track = Arc::new(TrackLocalStaticRTP::new(MediaStreamTrack::new(
        "bench".to_owned(),
        format!("video-{ssrc}"),
        "video".to_owned(),
        RtpCodecKind::Video,
        vec![RTCRtpEncodingParameters {
            rtp_coding_parameters: RTCRtpCodingParameters { ssrc: Some(ssrc), ..Default::default() },
            codec,
            ..Default::default()
        }],
    )));
    viewer.add_track(Arc::clone(&track) as Arc<dyn TrackLocal>).await?;
    viewer.set_remote_description(RTCSessionDescription::offer(offer)?).await?;
    let answer = viewer.create_answer(None).await?;
    viewer.set_local_description(answer).await?;
    is_gathered.wait_for(|done| *done).await?;
    let answer = viewer.local_description().await.ok_or("no answer")?.sdp;
    tokio::spawn(async move {
        loop {
            match packets.recv().await {
                Ok(mut packet) => {
                    packet.header.ssrc = ssrc;
                    // Not connected yet.
                    let _ = track.write_rtp(packet).await;
                }
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    });
    Ok((viewer, answer))
}

struct Handler {
    gathered: watch::Sender<bool>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.gathered.send_replace(true);
        }
    }
}
