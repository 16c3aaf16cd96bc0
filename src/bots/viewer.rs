//! One WebRTC viewer: from an offer/answer function to decoded frames.
//!
//! Receives H.264 and Opus, decodes the video, counts everything and can send input over the two data channels. How
//! the answer comes about (WebSocket, WHEP) is the caller's: see [`super::life`] and [`super::whep`].

use super::card::Card;
use super::decode::{Latest, Outlet, Picture};
use super::media;
use super::receive::Handler;
use crate::marker::Marker;
use bytes::BytesMut;
use playgate_signaling::input::{POINTER_LABEL, RELIABLE_LABEL};
use rtc::data_channel::RTCDataChannelInit;
use rtc::peer_connection::configuration::RTCOfferOptions;
use rtc::rtp_transceiver::rtp_sender::RtpCodecKind;
use rtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use std::future::Future;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};
use webrtc::data_channel::{DataChannel, DataChannelEvent};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, RTCPeerConnectionState, RTCSessionDescription, Registry,
    StatsSelector, configure_rtcp_reports,
};

/// Candidates are local sockets: gathering them takes no network round trip.
const GATHER_TIMEOUT: Duration = Duration::from_secs(5);

/// How a viewer connects.
#[derive(Debug, Clone)]
pub struct ViewerOptions {
    /// Addresses to receive media on; one socket each. See [`media::local_addresses`].
    pub local: Vec<IpAddr>,
    pub srtp: Srtp,
    /// Open the two input channels.
    pub input: bool,
    /// Keep a copy of the newest picture's luma for [`Viewer::picture`].
    pub keep_picture: bool,
}

/// Which ciphers a viewer offers for media.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Srtp {
    /// AES-GCM alone (RFC 7714).
    #[default]
    Gcm,
    /// AES-CM with HMAC-SHA1 alone (RFC 3711), as an old client.
    AesCm,
}

/// How a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Link {
    #[default]
    Connecting,
    Connected,
    /// Nothing comes; it may heal by itself.
    Disconnected,
    /// Only a new offer helps.
    Failed,
    /// DTLS ended it, there or here: a restart of ICE has nothing to restart.
    Closed,
}

impl Link {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a foreign non-exhaustive enum")]
    pub(super) fn of(state: RTCPeerConnectionState) -> Self {
        match state {
            RTCPeerConnectionState::Connected => Self::Connected,
            RTCPeerConnectionState::Disconnected => Self::Disconnected,
            RTCPeerConnectionState::Failed => Self::Failed,
            RTCPeerConnectionState::Closed => Self::Closed,
            _ => Self::Connecting,
        }
    }
}

/// What a viewer has seen so far. Times count from the moment it set out to connect.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ViewerStats {
    /// ICE and DTLS were done.
    pub connected: Option<Duration>,
    pub first_packet: Option<Duration>,
    pub first_frame: Option<Duration>,
    /// Decoded pictures.
    pub frames: u64,
    pub key_frames: u64,
    /// Decoded pictures with a readable marker.
    pub marked: u64,
    /// The newest readable marker.
    pub marker: Option<Marker>,
    pub width: u32,
    pub height: u32,
    pub decode_time: Duration,
    /// Video packets and their payload bytes.
    pub packets: u64,
    pub bytes: u64,
    /// Video packets that never came.
    pub lost: u64,
    pub audio_packets: u64,
    /// Access units with a hole; units left out until a key frame; units the decoder refused.
    pub damaged: u64,
    pub skipped: u64,
    pub undecoded: u64,
    /// The connection failed or was closed by the other side.
    pub ended: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum ViewerError {
    #[error("WebRTC: {0}")]
    WebRtc(#[from] webrtc::error::Error),
    #[error("the answer did not come: {0}")]
    Negotiation(String),
    #[error("no local address for media")]
    NoAddress,
    #[error("gathering candidates took more than {} s", GATHER_TIMEOUT.as_secs())]
    Gathering,
    #[error("cannot start the decoder")]
    Decoder(#[source] std::io::Error),
    /// The wait's deadline passed, or the connection ended before.
    #[error(
        "{what} did not happen within {timeout:?}; so far {} pictures, {} video and {} sound packets came{}",
        stats.frames, stats.packets, stats.audio_packets, if stats.connected.is_some() { "" } else { ", and no connection" }
    )]
    Timeout { what: String, timeout: Duration, stats: Box<ViewerStats> },
    #[error("input was not sent: the viewer has no input channels")]
    NoInput,
    #[error("cannot open a socket for media")]
    Socket(#[source] std::io::Error),
    #[error("the viewer ended")]
    Gone,
}

/// A connected (or connecting) viewer. Dropping it ends the connection without a word; [`Self::close`] says goodbye.
pub struct Viewer {
    peer: Arc<dyn PeerConnection>,
    stats: watch::Receiver<ViewerStats>,
    latest: Option<Latest>,
    input: Option<Arc<dyn DataChannel>>,
    pointer: Option<Arc<dyn DataChannel>>,
    key_frame_requested: Arc<Notify>,
    gathered: Arc<watch::Sender<bool>>,
    link: watch::Receiver<Link>,
}

impl Viewer {
    /// Offers by `negotiate` (offer in, answer out) and starts receiving. Returns when the answer is set; wait for
    /// [`ViewerStats::connected`] or frames by [`Self::wait_for`].
    pub async fn connect<N, F, E>(options: &ViewerOptions, negotiate: N) -> Result<Self, ViewerError>
    where
        N: FnOnce(String) -> F,
        F: Future<Output = Result<String, E>>,
        E: std::fmt::Display,
    {
        Self::connect_for(options, Card::alone(), negotiate).await
    }

    /// As [`Self::connect`], written up on a bot's card.
    pub async fn connect_for<N, F, E>(
        options: &ViewerOptions,
        card: Arc<Card>,
        negotiate: N,
    ) -> Result<Self, ViewerError>
    where
        N: FnOnce(String) -> F,
        F: Future<Output = Result<String, E>>,
        E: std::fmt::Display,
    {
        let (stats_sender, stats) = watch::channel(ViewerStats::default());
        let stats_sender = Arc::new(stats_sender);
        let gathered = Arc::new(watch::Sender::new(false));
        let (link_sender, link) = watch::channel(Link::Connecting);
        let latest = options.keep_picture.then(Latest::default);
        let key_frame_requested = Arc::new(Notify::new());
        let outlet = Outlet {
            stats: Arc::clone(&stats_sender),
            latest: latest.clone(),
            key_frame_requested: Arc::clone(&key_frame_requested),
            started: Instant::now(),
            card,
        };
        let handler = Arc::new(Handler::new(outlet, Arc::clone(&gathered), link_sender));
        let sockets: Vec<String> =
            options.local.iter().map(|ip| std::net::SocketAddr::new(*ip, 0).to_string()).collect();
        if sockets.is_empty() {
            return Err(ViewerError::NoAddress);
        }
        let peer: Arc<dyn PeerConnection> = Arc::new(
            PeerConnectionBuilder::new()
                .with_media_engine(media::engine()?)
                // What is lost is asked for by the meter, at once; the crate's way waits for its next tick.
                .with_interceptor_registry(configure_rtcp_reports(Registry::new()))
                .with_setting_engine(media::settings(options.srtp))
                .with_handler(handler)
                .with_udp_addrs(sockets)
                .build()
                .await?,
        );
        for kind in [RtpCodecKind::Video, RtpCodecKind::Audio] {
            let init = RTCRtpTransceiverInit {
                direction: RTCRtpTransceiverDirection::Recvonly,
                ..Default::default()
            };
            peer.add_transceiver_from_kind(kind, Some(init)).await?;
        }
        let (mut input, mut pointer) = (None, None);
        if options.input {
            input = Some(peer.create_data_channel(RELIABLE_LABEL, None).await?);
            let unreliable =
                RTCDataChannelInit { ordered: false, max_retransmits: Some(0), ..Default::default() };
            pointer = Some(peer.create_data_channel(POINTER_LABEL, Some(unreliable)).await?);
        }
        let viewer = Self { peer, stats, latest, input, pointer, key_frame_requested, gathered, link };
        viewer.offer(None, negotiate).await?;
        Ok(viewer)
    }

    /// Restarts ICE: the same keys over a path that is found anew.
    pub async fn restart_ice<N, F, E>(&self, negotiate: N) -> Result<(), ViewerError>
    where
        N: FnOnce(String) -> F,
        F: Future<Output = Result<String, E>>,
        E: std::fmt::Display,
    {
        self.offer(Some(RTCOfferOptions { ice_restart: true }), negotiate).await
    }

    async fn offer<N, F, E>(&self, options: Option<RTCOfferOptions>, negotiate: N) -> Result<(), ViewerError>
    where
        N: FnOnce(String) -> F,
        F: Future<Output = Result<String, E>>,
        E: std::fmt::Display,
    {
        self.gathered.send_replace(false);
        let offer = self.peer.create_offer(options).await?;
        self.peer.set_local_description(offer).await?;
        let mut gathered = self.gathered.subscribe();
        tokio::time::timeout(GATHER_TIMEOUT, gathered.wait_for(|done| *done))
            .await
            .map_err(|_| ViewerError::Gathering)?
            .map_err(|_| ViewerError::Gathering)?;
        let offer = self.peer.local_description().await.ok_or(ViewerError::Gathering)?;
        let answer = negotiate(media::as_dtls_server(&offer.sdp))
            .await
            .map_err(|error| ViewerError::Negotiation(error.to_string()))?;
        Ok(self.peer.set_remote_description(RTCSessionDescription::answer(answer)?).await?)
    }

    /// How the connection stands, now and from now on.
    #[must_use]
    pub fn link(&self) -> watch::Receiver<Link> {
        self.link.clone()
    }

    /// What was seen so far.
    #[must_use]
    pub fn stats(&self) -> ViewerStats {
        self.stats.borrow().clone()
    }

    /// Waits until `condition` holds. An ended connection ends the wait too.
    pub async fn wait_for(
        &self,
        what: &str,
        timeout: Duration,
        condition: impl Fn(&ViewerStats) -> bool,
    ) -> Result<ViewerStats, ViewerError> {
        let mut stats = self.stats.clone();
        let waited =
            tokio::time::timeout(timeout, stats.wait_for(|stats| condition(stats) || stats.ended)).await;
        if let Ok(Ok(seen)) = waited
            && condition(&seen)
        {
            return Ok(seen.clone());
        }
        Err(ViewerError::Timeout { what: what.to_owned(), timeout, stats: Box::new(self.stats()) })
    }

    /// The newest picture, when the options asked to keep it.
    #[must_use]
    pub fn picture(&self) -> Option<Picture> {
        self.latest.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the other side for a key frame (PLI), at most once in 250 ms.
    pub fn request_key_frame(&self) {
        self.key_frame_requested.notify_one();
    }

    /// Waits until the reliable input channel is open.
    pub async fn input_open(&self) -> Result<(), ViewerError> {
        let channel = self.input.as_ref().ok_or(ViewerError::NoInput)?;
        while let Some(event) = channel.poll().await {
            if matches!(event, DataChannelEvent::OnOpen) {
                return Ok(());
            }
        }
        Err(ViewerError::NoInput)
    }

    /// Sends one encoded input frame on the reliable channel.
    pub async fn send_input(&self, frame: &[u8]) -> Result<(), ViewerError> {
        let channel = self.input.as_ref().ok_or(ViewerError::NoInput)?;
        Ok(channel.send(BytesMut::from(frame)).await?)
    }

    /// Sends one encoded snapshot on the unordered channel.
    pub async fn send_snapshot(&self, frame: &[u8]) -> Result<(), ViewerError> {
        let channel = self.pointer.as_ref().ok_or(ViewerError::NoInput)?;
        Ok(channel.send(BytesMut::from(frame)).await?)
    }

    /// The SRTP cipher in use, as the WebRTC statistics name it; empty before the connection is up.
    pub async fn cipher(&self) -> String {
        let report = self.peer.get_stats(Instant::now(), StatsSelector::None).await;
        report.transport().map(|transport| transport.srtp_cipher.clone()).unwrap_or_default()
    }

    pub async fn close(self) {
        if let Err(error) = self.peer.close().await {
            tracing::debug!(%error, "closing a viewer");
        }
    }
}
