//! A viewer against a sender of the same crate, over real sockets on loopback.

use super::card::{Card, Kind, Mode};
use super::light::{self, LightViewer};
use super::media;
use super::viewer::{Link, Srtp, Viewer, ViewerOptions};
use bytes::Bytes;
use openh264::OpenH264API;
use openh264::encoder::{Encoder, EncoderConfig};
use openh264::formats::YUVBuffer;
use rtc::media_stream::MediaStreamTrack;
use rtc::rtp::{Packet, header::Header};
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind,
};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use webrtc::data_channel::{DataChannel, DataChannelEvent};
use webrtc::media_stream::track_local::{TrackLocal, static_rtp::TrackLocalStaticRTP};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceGatheringState,
    RTCPeerConnectionState, RTCSessionDescription,
};

const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const SSRC: u32 = 0x1234_5678;
const SIZE: usize = 128;
/// Everything here is local; a test that takes this long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Default)]
struct SenderState {
    gathered: watch::Sender<bool>,
    connected: watch::Sender<bool>,
    received: watch::Sender<Vec<u8>>,
}

struct SenderHandler(Arc<SenderState>);

#[async_trait::async_trait]
impl PeerConnectionEventHandler for SenderHandler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        self.0.gathered.send_replace(state == RTCIceGatheringState::Complete);
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        self.0.connected.send_replace(state == RTCPeerConnectionState::Connected);
    }

    async fn on_data_channel(&self, channel: Arc<dyn DataChannel>) {
        let state = Arc::clone(&self.0);
        tokio::spawn(async move {
            while let Some(event) = channel.poll().await {
                if let DataChannelEvent::OnMessage(message) = event {
                    state.received.send_replace(message.data.to_vec());
                }
            }
        });
    }
}

/// Answers an offer and, once connected, sends pictures until it is dropped.
async fn answer(offer: String, srtp: Srtp, state: Arc<SenderState>) -> Result<String, webrtc::error::Error> {
    let engine = media::engine()?;
    let codec = RTCRtpCodec {
        mime_type: "video/H264".to_owned(),
        clock_rate: 90_000,
        sdp_fmtp_line: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f".to_owned(),
        ..Default::default()
    };
    let coding = RTCRtpEncodingParameters {
        rtp_coding_parameters: RTCRtpCodingParameters { ssrc: Some(SSRC), ..Default::default() },
        codec,
        ..Default::default()
    };
    let track = MediaStreamTrack::new("s".into(), "t".into(), "l".into(), RtpCodecKind::Video, vec![coding]);
    let track = Arc::new(TrackLocalStaticRTP::new(track));
    let peer = PeerConnectionBuilder::new()
        .with_media_engine(engine)
        .with_setting_engine(media::settings(srtp))
        .with_handler(Arc::new(SenderHandler(Arc::clone(&state))))
        .with_udp_addrs(vec!["127.0.0.1:0"])
        .build()
        .await?;
    peer.add_track(Arc::clone(&track) as Arc<dyn TrackLocal>).await?;
    peer.set_remote_description(RTCSessionDescription::offer(offer)?).await?;
    let answer = peer.create_answer(None).await?;
    peer.set_local_description(answer).await?;
    let _ = state.gathered.subscribe().wait_for(|done| *done).await;
    let sdp = peer.local_description().await.map(|local| local.sdp).unwrap_or_default();
    tokio::spawn(async move {
        let _ = state.connected.subscribe().wait_for(|connected| *connected).await;
        send_pictures(&track).await;
        drop(peer);
    });
    Ok(sdp)
}

async fn send_pictures(track: &TrackLocalStaticRTP) {
    let mut encoder = Encoder::with_api_config(OpenH264API::from_source(), EncoderConfig::new()).unwrap();
    let mut sequence = 65_530u16;
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    for picture in 0u32.. {
        ticks.tick().await;
        if picture.is_multiple_of(20) {
            encoder.force_intra_frame();
        }
        let luma = vec![u8::try_from(picture % 200).unwrap(); SIZE * SIZE];
        let yuv = YUVBuffer::from_vec([luma, vec![128; SIZE * SIZE / 2]].concat(), SIZE, SIZE);
        let coded = encoder.encode(&yuv).unwrap().to_vec();
        let nals: Vec<&[u8]> = openh264::nal_units(&coded).collect();
        for (n, nal) in nals.iter().enumerate() {
            let bare = &nal[nal.iter().position(|byte| *byte == 1).unwrap() + 1..];
            let header = Header {
                version: 2,
                marker: n + 1 == nals.len(),
                payload_type: 102,
                sequence_number: sequence,
                timestamp: picture * 900,
                ssrc: SSRC,
                ..Default::default()
            };
            sequence = sequence.wrapping_add(1);
            if track.write_rtp(Packet { header, payload: Bytes::copy_from_slice(bare) }).await.is_err() {
                return;
            }
        }
    }
}

async fn plays_over(srtp: Srtp) -> String {
    let options = ViewerOptions { local: vec![LOOPBACK], srtp, input: true, keep_picture: true };
    let state = Arc::new(SenderState::default());
    let mut received = state.received.subscribe();
    let viewer = Viewer::connect(&options, |offer| answer(offer, srtp, state)).await.unwrap();
    let stats = viewer.wait_for("thirty frames", PATIENCE, |stats| stats.frames >= 30).await.unwrap();
    assert_eq!((stats.width as usize, stats.height as usize, stats.lost), (SIZE, SIZE, 0), "{stats:?}");
    assert!(stats.key_frames >= 1 && stats.first_frame >= stats.connected, "{stats:?}");
    assert_eq!(viewer.picture().unwrap().luma.len(), SIZE * SIZE);
    viewer.input_open().await.unwrap();
    viewer.send_input(&[1, 0, 0x4f, 1]).await.unwrap();
    let got = tokio::time::timeout(PATIENCE, received.wait_for(|data| !data.is_empty())).await.unwrap();
    assert_eq!(*got.unwrap(), [1, 0, 0x4f, 1]);
    let cipher = viewer.cipher().await;
    viewer.close().await;
    cipher
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_decodes_h264_sealed_with_gcm_and_sends_input() {
    let cipher = plays_over(Srtp::Gcm).await;
    assert!(cipher.to_uppercase().contains("GCM"), "{cipher}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_without_gcm_decodes_too() {
    let cipher = plays_over(Srtp::AesCm).await;
    assert!(cipher.to_uppercase().contains("CM_HMAC_SHA1"), "{cipher}");
}

/// As [`plays_over`], with a viewer that judges by headers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_light_viewer_counts_frames_opens_one_packet_in_64_and_sends_input() {
    let options = ViewerOptions { local: vec![LOOPBACK], srtp: Srtp::Gcm, input: true, keep_picture: false };
    let state = Arc::new(SenderState::default());
    let mut received = state.received.subscribe();
    let now = std::time::Instant::now();
    let card = Arc::new(Card::new(0, 0, Kind::Player, Mode::Light, now));
    let viewer = LightViewer::connect(&options, Arc::clone(&card), |offer| answer(offer, Srtp::Gcm, state))
        .await
        .unwrap();
    let mut link = viewer.link();
    let connected = link.wait_for(|link| *link == Link::Connected);
    tokio::time::timeout(PATIENCE, connected).await.expect("connected").expect("the task runs");
    let begun = std::time::Instant::now();
    while card.with(|facts| facts.meter.totals.packets < 200) {
        assert!(begun.elapsed() < PATIENCE, "{:?}", card.with(|facts| facts.meter.totals.clone()));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (totals, opened, sealed, cipher) =
        card.with(|facts| (facts.meter.totals.clone(), facts.opened, facts.sealed, facts.cipher.clone()));
    assert!(totals.whole >= 90 && totals.lost == 0 && totals.missing == 0, "{totals:?}");
    assert!(
        (3..=1 + totals.packets / light::OPEN_ONE_IN).contains(&opened) && sealed == 0,
        "{opened} {sealed}"
    );
    assert!(cipher.to_uppercase().contains("GCM"), "{cipher}");
    let sent = async {
        // The channel opens some time after the connection.
        loop {
            viewer.send_input(vec![1, 0, 0x4f, 1], false).unwrap();
            let got =
                tokio::time::timeout(Duration::from_millis(100), received.wait_for(|data| !data.is_empty()));
            if let Ok(Ok(data)) = got.await {
                return data.clone();
            }
        }
    };
    assert_eq!(tokio::time::timeout(PATIENCE, sent).await.unwrap(), [1, 0, 0x4f, 1]);
    viewer.close().await;
}
