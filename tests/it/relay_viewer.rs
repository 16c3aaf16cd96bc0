//! A real viewer, by the `webrtc` crate, and a real relay for it.

use playgate::model::ids::{SessionId, ViewerId};
use playgate::relay::{
    AddViewer, Codec, IngestSpec, OpenSession, OpenedSession, Relay, RelayConfig, RelayError, RelayEvent,
};
use prometheus_client::registry::Registry as Metrics;
use rtc::dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc::peer_connection::configuration::RTCOfferOptions;
use rtc::peer_connection::configuration::interceptor_registry::Registry;
use rtc::peer_connection::configuration::media_engine::MediaEngine;
use rtc::peer_connection::configuration::setting_engine::SettingEngineBuilder;
use rtc::rtp;
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpHeaderExtensionCapability, RtpCodecKind,
};
use std::collections::VecDeque;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use webrtc::data_channel::{DataChannel, RTCDataChannelInit};
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceGatheringState,
    RTCPeerConnectionState, RTCSessionDescription,
};

pub(crate) const PLAYOUT_DELAY: &str = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay";
const PATIENCE: Duration = Duration::from_secs(20);

/// A relay on loopback with its metrics.
pub(crate) struct Stage {
    pub(crate) relay: Relay,
    metrics: Metrics,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::reached_at(Vec::new())
    }

    /// Viewers are told these addresses instead.
    pub(crate) fn reached_at(public_ip: Vec<IpAddr>) -> Self {
        Self::start(1, public_ip)
    }

    pub(crate) fn with_shards(shards: usize) -> Self {
        Self::start(shards, Vec::new())
    }

    fn start(shards: usize, public_ip: Vec<IpAddr>) -> Self {
        let mut metrics = Metrics::default();
        let config = RelayConfig {
            media_listen: vec!["127.0.0.1:0".parse().expect("address"); shards],
            whole_machine: false,
            public_ip,
            ingest_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        Self { relay: Relay::start(config, &mut metrics).expect("a relay"), metrics }
    }

    /// The viewers of each shard.
    pub(crate) fn viewers(&self) -> Vec<usize> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.metrics).expect("encoded");
        let mut shards: Vec<&str> = text.lines().filter(|line| line.starts_with("relay_viewers{")).collect();
        shards.sort_unstable();
        shards
            .iter()
            .map(|line| line.rsplit(' ').next().expect("a value").parse().expect("a number"))
            .collect()
    }

    pub(crate) async fn open(&self) -> (SessionId, OpenedSession) {
        let session = SessionId::new();
        let ingest = |codec, payload_type| IngestSpec { listen: None, codec, payload_type, rtcp: None };
        let spec = OpenSession {
            session,
            video: ingest(Codec::H264, 96),
            audio: Some(ingest(Codec::Opus, 111)),
            allow: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
        };
        (session, self.relay.open(spec).await.expect("open"))
    }

    /// A counter of the relay, by its name without prefix and suffix, or by the value of its reason or cause.
    pub(crate) fn counted(&self, label: &str) -> u64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.metrics).expect("encoded");
        text.lines()
            .find(|line| {
                line.contains(&format!("\"{label}\"")) || line.starts_with(&format!("relay_{label}_total{{"))
            })
            .and_then(|line| line.rsplit(' ').next()?.parse().ok())
            .unwrap_or_else(|| panic!("{label} is not counted in:\n{text}"))
    }
}

/// Waits for a condition.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits for an event; others are passed over.
pub(crate) async fn event(opened: &mut OpenedSession, wanted: impl Fn(&RelayEvent) -> bool) -> RelayEvent {
    let found = async {
        loop {
            let event = opened.events.recv().await.expect("the relay runs");
            if wanted(&event) {
                return event;
            }
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("the event")
}

/// How a viewer differs from the usual one.
#[derive(Clone, Default)]
pub(crate) struct Traits {
    pub(crate) only_aes_cm: bool,
    pub vp8: bool,
    pub(crate) data: bool,
    /// Retransmissions come on the stream's own SSRC.
    pub(crate) no_rtx: bool,
}

/// A viewer and what it received.
pub(crate) struct Watcher {
    pub(crate) id: ViewerId,
    pub(crate) pc: Arc<dyn PeerConnection>,
    pub(crate) seen: Arc<Seen>,
    pub(crate) input: Option<Arc<dyn DataChannel>>,
}

#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) video: Mutex<Vec<rtp::Packet>>,
    pub(crate) audio: Mutex<Vec<rtp::Packet>>,
    track: Mutex<Option<Arc<dyn TrackRemote>>>,
    pub(crate) connected: AtomicBool,
    gathered: AtomicBool,
}

impl Seen {
    /// Payloads of the video, by sequence number and without repetitions.
    pub(crate) fn pictures(&self) -> Vec<Vec<u8>> {
        let mut packets: Vec<(u16, Vec<u8>)> = Vec::new();
        let video = self.video.lock().expect("lock");
        let Some(first) = video.first().map(|packet| packet.header.sequence_number) else {
            return Vec::new();
        };
        for packet in video.iter() {
            packets.push((packet.header.sequence_number.wrapping_sub(first), packet.payload.to_vec()));
        }
        packets.sort();
        packets.dedup();
        packets.into_iter().map(|(_, payload)| payload).collect()
    }

    /// Payloads of the video in the order of their arrival.
    pub(crate) fn payloads(&self) -> Vec<Vec<u8>> {
        self.video.lock().expect("lock").iter().map(|packet| packet.payload.to_vec()).collect()
    }

    pub(crate) fn video_count(&self) -> usize {
        self.video.lock().expect("lock").len()
    }

    pub(crate) fn track(&self) -> Option<Arc<dyn TrackRemote>> {
        self.track.lock().expect("lock").clone()
    }
}

struct Handler(Arc<Seen>);

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.0.gathered.store(true, Ordering::SeqCst);
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        self.0.connected.store(state == RTCPeerConnectionState::Connected, Ordering::SeqCst);
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let seen = Arc::clone(&self.0);
        tokio::spawn(async move {
            let is_video = track.kind().await == RtpCodecKind::Video;
            if is_video {
                *seen.track.lock().expect("lock") = Some(Arc::clone(&track));
            }
            while let Some(event) = track.poll().await {
                #[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum")]
                match event {
                    TrackRemoteEvent::OnRtpPacket(packet) if is_video => {
                        seen.video.lock().expect("lock").push(packet)
                    }
                    TrackRemoteEvent::OnRtpPacket(packet) => seen.audio.lock().expect("lock").push(packet),
                    _ => {}
                }
            }
        });
    }
}

impl Watcher {
    pub(crate) async fn new(traits: Traits) -> Self {
        let seen = Arc::new(Seen::default());
        // A retransmission comes hundreds of packets late.
        let mut settings = SettingEngineBuilder::new().with_srtp_replay_protection_window(1024);
        if traits.only_aes_cm {
            settings = settings
                .with_srtp_protection_profiles(vec![SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80]);
        }
        let pc = PeerConnectionBuilder::new()
            .with_media_engine(engine(&traits))
            .with_setting_engine(settings.build())
            .with_interceptor_registry(Registry::new())
            .with_handler(Arc::new(Handler(Arc::clone(&seen))))
            .with_udp_addrs(vec!["127.0.0.1:0".to_owned()])
            .build()
            .await
            .expect("a peer connection");
        let pc: Arc<dyn PeerConnection> = Arc::new(pc);
        pc.add_transceiver_from_kind(RtpCodecKind::Audio, None).await.expect("audio");
        pc.add_transceiver_from_kind(RtpCodecKind::Video, None).await.expect("video");
        let input = if traits.data {
            Some(
                pc.create_data_channel("input", Some(RTCDataChannelInit::default()))
                    .await
                    .expect("a channel"),
            )
        } else {
            None
        };
        Self { id: ViewerId::new(), pc, seen, input }
    }

    pub(crate) async fn offer(&self, ice_restart: bool) -> String {
        self.seen.gathered.store(false, Ordering::SeqCst);
        let offer = self
            .pc
            .create_offer(ice_restart.then_some(RTCOfferOptions { ice_restart: true }))
            .await
            .expect("an offer");
        self.pc.set_local_description(offer).await.expect("set");
        until("candidates", || self.seen.gathered.load(Ordering::SeqCst)).await;
        self.pc.local_description().await.expect("described").sdp
    }

    pub(crate) async fn accept(&self, answer: String) {
        self.pc
            .set_remote_description(RTCSessionDescription::answer(answer).expect("an answer"))
            .await
            .expect("accepted");
    }

    /// Offers itself to a session.
    pub(crate) async fn watch(
        &self,
        stage: &Stage,
        session: SessionId,
        slot: Option<u8>,
    ) -> Result<(), RelayError> {
        let spec = AddViewer { session, viewer: self.id, slot, offer: self.offer(false).await };
        self.accept(stage.relay.add_viewer(spec).await?).await;
        Ok(())
    }

    pub(crate) async fn connected(&self) {
        until("the connection", || self.seen.connected.load(Ordering::SeqCst)).await;
    }

    /// The extension value of the playout delay on every video packet.
    pub(crate) fn playout_delays(&self) -> VecDeque<Vec<Vec<u8>>> {
        let video = self.seen.video.lock().expect("lock");
        video
            .iter()
            .map(|packet| {
                packet.header.extensions.iter().map(|extension| extension.payload.to_vec()).collect()
            })
            .collect()
    }
}

fn engine(traits: &Traits) -> MediaEngine {
    let feedback =
        |typ: &str, parameter: &str| RTCPFeedback { typ: typ.to_owned(), parameter: parameter.to_owned() };
    let codec = |mime: &str, rate: u32, channels: u16, fmtp: &str, pt: u8| RTCRtpCodecParameters {
        rtp_codec: RTCRtpCodec {
            mime_type: mime.to_owned(),
            clock_rate: rate,
            channels,
            sdp_fmtp_line: fmtp.to_owned(),
            rtcp_feedback: vec![feedback("nack", ""), feedback("nack", "pli")],
        },
        payload_type: pt,
    };
    let mut engine = MediaEngine::default();
    let video = if traits.vp8 {
        codec("video/VP8", 90_000, 0, "", 102)
    } else {
        codec(
            "video/H264",
            90_000,
            0,
            "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
            102,
        )
    };
    engine.register_codec(video, RtpCodecKind::Video).expect("video");
    if !traits.no_rtx {
        let rtx = codec("video/rtx", 90_000, 0, "apt=102", 103);
        engine.register_codec(rtx, RtpCodecKind::Video).expect("rtx");
    }
    engine
        .register_codec(
            codec("audio/opus", 48_000, 2, "minptime=10;useinbandfec=1", 111),
            RtpCodecKind::Audio,
        )
        .expect("audio");
    engine
        .register_header_extension(
            RTCRtpHeaderExtensionCapability { uri: PLAYOUT_DELAY.to_owned() },
            RtpCodecKind::Video,
            None,
        )
        .expect("extension");
    engine
}

/// Runs a test on a runtime of its own.
pub(crate) fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(test);
}
