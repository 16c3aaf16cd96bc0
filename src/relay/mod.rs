//! The media relay: shards that take RTP in and give SRTP out.
//!
//! The control plane reaches a shard only through [`Relay`], by bounded channels of values; a shard never waits for it.

use crate::ids::{SessionId, ViewerId};
use bytes::Bytes;
use std::net::{IpAddr, SocketAddr};
use tokio::sync::mpsc;

/// A handle to all shards; cheap to clone.
#[derive(Debug, Clone)]
pub struct Relay {}

/// How the shards listen.
#[derive(Debug, Clone)]
pub struct RelayConfig {
    /// One shard each. The first may share the number of the HTTP listener.
    pub media_listen: Vec<SocketAddr>,
    /// Candidate addresses. Empty: every address each socket covers (IPv4 and IPv6; link-local left out).
    pub public_ip: Vec<IpAddr>,
    /// Where runners' RTP is received: the private listener's address.
    pub ingest_ip: IpAddr,
}

/// One session's media, as the control plane asks for it.
#[derive(Debug, Clone)]
pub struct OpenSession {
    pub session: SessionId,
    pub video: IngestSpec,
    pub audio: Option<IngestSpec>,
    /// Source addresses accepted (port and SSRC are latched by the first packet).
    pub allow: Vec<IpAddr>,
}

/// One incoming RTP stream.
#[derive(Debug, Clone)]
pub struct IngestSpec {
    /// Absent: a free port on the ingest address.
    pub listen: Option<SocketAddr>,
    pub codec: Codec,
    pub payload_type: u8,
    /// Where RTCP goes. Absent: to where RTP came from.
    pub rtcp: Option<SocketAddr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    H264,
    Vp8,
    Vp9,
    Av1,
    Opus,
}

/// What came of opening.
#[derive(Debug)]
pub struct OpenedSession {
    pub rtp_video: SocketAddr,
    pub rtp_audio: Option<SocketAddr>,
    /// Bounded; when the control plane does not drain it, events are dropped and counted, media is not delayed.
    pub events: mpsc::Receiver<RelayEvent>,
}

/// What a shard tells the control plane.
#[derive(Debug, Clone, PartialEq)]
pub enum RelayEvent {
    /// The first key frame of the source is here: there is a picture.
    FirstKeyFrame,
    /// ICE and DTLS are done.
    ViewerConnected { viewer: ViewerId, cipher: String },
    /// The viewer is gone (consent expired, closed, replaced). Not sent after `remove_viewer`.
    ViewerGone { viewer: ViewerId, reason: String },
    /// A data-channel message of a viewer that has a slot. At most [`playgate_signaling::input::MAX_FRAME_BYTES`].
    Input { viewer: ViewerId, slot: u8, frame: Bytes },
    /// The merged, rate-limited wish for a key frame, for encoders that ignore RTCP.
    KeyFrameWanted,
    /// First viewer came or last one left.
    Watched(bool),
}

/// One viewer to add.
#[derive(Debug, Clone)]
pub struct AddViewer {
    pub session: SessionId,
    pub viewer: ViewerId,
    /// Input is passed on only when there is one.
    pub slot: Option<u8>,
    /// Who this is, for remembering which SRTP profiles fit (`user:...`, `grant:...`).
    pub principal: String,
    pub offer: String,
}

#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    #[error("no such session or viewer")]
    NotFound,
    #[error("the offer cannot be used: {0}")]
    InvalidOffer(String),
    /// The viewer does not decode what the source sends.
    #[error("this browser cannot decode {0}")]
    UnsupportedCodec(&'static str),
    #[error("this session has as many viewers as it may")]
    Full,
    #[error("the relay has stopped or is overloaded")]
    Unavailable,
    #[error("cannot bind {address}")]
    Bind { address: SocketAddr, source: std::io::Error },
}

impl Relay {
    /// Binds the media sockets and starts a thread for each shard.
    pub fn start(
        config: RelayConfig,
        registry: &mut prometheus_client::registry::Registry,
    ) -> Result<Self, RelayError> {
        let _ = (config, registry);
        unimplemented!("relay")
    }

    /// `host:port` of every candidate, for messages to people.
    pub fn candidates(&self) -> Vec<SocketAddr> {
        unimplemented!("relay")
    }

    /// Opens a session on the least loaded shard.
    pub async fn open(&self, spec: OpenSession) -> Result<OpenedSession, RelayError> {
        let _ = spec;
        unimplemented!("relay")
    }

    /// Changes what the runner said in its `hello`.
    pub async fn set_source(
        &self,
        session: SessionId,
        video: Option<(Codec, u8)>,
        audio: Option<(Codec, u8)>,
    ) -> Result<(), RelayError> {
        let _ = (session, video, audio);
        unimplemented!("relay")
    }

    /// Ends the session's media: viewers are closed, sockets freed.
    pub async fn close(&self, session: SessionId) {
        let _ = session;
        unimplemented!("relay")
    }

    /// Adds a viewer by its offer; gives the SDP answer with all candidates.
    pub async fn add_viewer(&self, spec: AddViewer) -> Result<String, RelayError> {
        let _ = spec;
        unimplemented!("relay")
    }

    /// Another offer of a known viewer: an ICE restart when the DTLS fingerprint is the same, else a new peer in its
    /// place. Gives the answer.
    pub async fn renegotiate(
        &self,
        session: SessionId,
        viewer: ViewerId,
        offer: String,
    ) -> Result<String, RelayError> {
        let _ = (session, viewer, offer);
        unimplemented!("relay")
    }

    /// Gives or takes a viewer's control slot.
    pub async fn set_slot(
        &self,
        session: SessionId,
        viewer: ViewerId,
        slot: Option<u8>,
    ) -> Result<(), RelayError> {
        let _ = (session, viewer, slot);
        unimplemented!("relay")
    }

    pub async fn remove_viewer(&self, session: SessionId, viewer: ViewerId) {
        let _ = (session, viewer);
        unimplemented!("relay")
    }
}
