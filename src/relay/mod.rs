//! The media relay: shards that take RTP in and give SRTP out.
//!
//! The control plane reaches a shard only through [`Relay`], by bounded channels of values; a shard never waits for it. What
//! joiners need before they are connected is done by threads of its own (`peer`). A shard
//! that panics loses its sessions, whose events end then, and is started again (`supervisor`).

mod addresses;
mod budget;
mod command;
mod control;
mod demux;
mod down_track;
mod dtls;
mod faults;
mod feedback;
pub(crate) mod fuzz;
mod group;
mod key_requests;
mod keyframe;
mod outbox;
mod parameter_sets;
mod payload_type;
mod peer;
mod quality;
mod rate;
#[cfg(test)]
mod repair_tests;
mod ring;
mod rtp;
mod sdp;
mod seal;
mod session;
mod shard;
mod socket;
mod source;
mod split;
mod stats;
mod still;
mod stun;
mod supervisor;
mod timers;
mod viewer;
mod widths;

pub use faults::SourceFault;
pub use still::MAX_KEY_FRAME_BYTES;

use crate::ids::{SessionId, ViewerId};
use bytes::Bytes;
use command::{Command, Reply};
use dashmap::DashMap;
use rtc::crypto::RTCCryptoProvider;
use rtc::crypto::providers::AwsLcRsProvider;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use supervisor::Supervisor;
use tokio::sync::{mpsc, oneshot, watch};

/// Commands waiting for a shard. When full, callers wait, for [`PATIENCE`] at most.
const COMMANDS: usize = 256;
/// What handshake workers have to tell a shard. When full, they keep it and try again.
const NEWS: usize = 1024;
/// After this a shard counts as overloaded.
const PATIENCE: Duration = Duration::from_secs(5);

/// A handle to all shards; cheap to clone. The shards stop with the last one.
#[derive(Debug, Clone)]
pub struct Relay {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shards: Vec<Handle>,
    /// Which shard a session lives on. The control plane's own; shards know nothing of it.
    placement: DashMap<SessionId, usize>,
}

/// The control plane's end of one shard.
#[derive(Debug)]
struct Handle {
    commands: mpsc::Sender<Command>,
    waker: Arc<mio::Waker>,
    candidates: Vec<SocketAddr>,
    sessions: AtomicUsize,
    supervisor: Supervisor,
}

/// How the shards listen.
#[derive(Debug, Clone)]
pub struct RelayConfig {
    /// One shard each. The first may share the number of the HTTP listener.
    pub media_listen: Vec<SocketAddr>,
    /// Loopback listeners serve everybody on this machine, and nobody else: also browsers that send from the address of
    /// an interface only, as Firefox does. So their sockets are bound to every address, and what another machine sends
    /// is dropped. False: they are bound as written.
    pub whole_machine: bool,
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

impl Codec {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::H264 => "H.264",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::Av1 => "AV1",
            Self::Opus => "Opus",
        }
    }
}

/// What came of opening.
#[derive(Debug)]
pub struct OpenedSession {
    pub rtp_video: SocketAddr,
    pub rtp_audio: Option<SocketAddr>,
    /// Bounded; when the control plane does not drain it, events are dropped and counted, media is not delayed. Ends when
    /// the session is closed, and when its shard has lost it.
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
    /// All that is wrong with the source, whenever that changes.
    SourceFaults(Vec<SourceFault>),
    /// What the players' links carry of video, in kbit/s: the narrowest of them. `None`: no player's link is measured.
    LinkRate(Option<u32>),
}

/// What there is to make a still picture of.
#[derive(Debug, Clone)]
pub enum KeyFrame {
    /// The newest key frame with its parameter sets, in Annex B form: at most [`MAX_KEY_FRAME_BYTES`], and nothing is
    /// known of what is in it. `ended` fails when the session's media ends.
    Here { annex_b: Bytes, ended: watch::Receiver<()> },
    /// The source has sent none.
    NotYet,
    /// Key frames of this codec are not put together.
    Unshown(Codec),
}

/// One viewer to add.
#[derive(Debug, Clone)]
pub struct AddViewer {
    pub session: SessionId,
    pub viewer: ViewerId,
    /// Input is passed on only when there is one.
    pub slot: Option<u8>,
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
    ///
    /// # Errors
    /// [`RelayError::Bind`] with the address that is taken or not ours; [`RelayError::Unavailable`] when the system gives
    /// no thread or poll, or without any address.
    pub fn start(
        config: RelayConfig,
        registry: &mut prometheus_client::registry::Registry,
    ) -> Result<Self, RelayError> {
        let metrics = stats::Metrics::register(registry);
        let crypto: Arc<dyn RTCCryptoProvider> = Arc::new(AwsLcRsProvider::default());
        let prepared = config.media_listen.iter().enumerate();
        let prepared = prepared
            .map(|(number, address)| Prepared::bind(number, *address, &config, &crypto))
            .collect::<Result<Vec<_>, _>>()?;
        let Some(first) = prepared.first() else { return Err(RelayError::Unavailable) };
        let no_threads = |address| move |source| RelayError::Bind { address, source };
        let links = || prepared.iter().map(|shard| shard.link(&metrics)).collect();
        let workers =
            peer::Workers::start(handshake_threads(), links).map_err(no_threads(first.socket.address()))?;
        let shards = prepared.into_iter().map(|shard| {
            let address = shard.socket.address();
            shard.start(&config, &workers, &metrics).map_err(no_threads(address))
        });
        let shards = shards.collect::<Result<Vec<_>, _>>()?;
        Ok(Self { inner: Arc::new(Inner { shards, placement: DashMap::new() }) })
    }

    /// `host:port` of every candidate, for messages to people.
    pub fn candidates(&self) -> Vec<SocketAddr> {
        self.inner.shards.iter().flat_map(|shard| shard.candidates.iter().copied()).collect()
    }

    /// Shards that panicked within the last minute, or are gone, by name.
    pub fn degraded(&self) -> Vec<String> {
        let shards = self.inner.shards.iter().enumerate();
        shards
            .filter(|(_, shard)| shard.supervisor.is_degraded())
            .map(|(number, _)| format!("relay-{number}"))
            .collect()
    }

    /// Opens a session on the least loaded shard; on one that panicked lately only where there is no other.
    ///
    /// # Errors
    /// [`RelayError::Bind`] when an ingest address cannot be had, [`RelayError::Unavailable`] when the shard has too many.
    pub async fn open(&self, spec: OpenSession) -> Result<OpenedSession, RelayError> {
        let session = spec.session;
        self.close(session).await;
        let shards = self.inner.shards.iter().enumerate();
        let (number, shard) = shards
            .filter(|(_, shard)| shard.supervisor.is_up())
            .min_by_key(|(_, shard)| (shard.supervisor.is_degraded(), shard.sessions.load(Ordering::Relaxed)))
            .ok_or(RelayError::Unavailable)?;
        shard.sessions.fetch_add(1, Ordering::Relaxed);
        let opened = shard.ask(|reply| Command::Open { spec, reply }).await;
        if opened.is_ok() {
            self.inner.placement.insert(session, number);
        } else {
            shard.sessions.fetch_sub(1, Ordering::Relaxed);
        }
        opened
    }

    /// Changes what the runner said in its `hello`. Viewers of another codec are closed with a reason.
    pub async fn set_source(
        &self,
        session: SessionId,
        video: Option<(Codec, u8)>,
        audio: Option<(Codec, u8)>,
    ) -> Result<(), RelayError> {
        self.shard(session)?.ask(|reply| Command::SetSource { session, video, audio, reply }).await
    }

    /// Ends the session's media: viewers are closed, sockets freed.
    pub async fn close(&self, session: SessionId) {
        if let Some((_, number)) = self.inner.placement.remove(&session)
            && let Some(shard) = self.inner.shards.get(number)
        {
            shard.sessions.fetch_sub(1, Ordering::Relaxed);
            let _ = shard.ask(|reply| Command::Close { session, reply }).await;
        }
    }

    /// Adds a viewer by its offer (at most 64 KiB); gives the SDP answer with all candidates.
    ///
    /// # Errors
    /// [`RelayError::UnsupportedCodec`] names what the offer lacks; [`RelayError::InvalidOffer`] says what is wrong with it.
    pub async fn add_viewer(&self, spec: AddViewer) -> Result<String, RelayError> {
        self.shard(spec.session)?.ask(|reply| Command::AddViewer { spec, reply }).await
    }

    /// Another offer of a known viewer: an ICE restart when the DTLS fingerprint is the same, else a new peer in its
    /// place. Gives the answer.
    pub async fn renegotiate(
        &self,
        session: SessionId,
        viewer: ViewerId,
        offer: String,
    ) -> Result<String, RelayError> {
        self.shard(session)?.ask(|reply| Command::Renegotiate { session, viewer, offer, reply }).await
    }

    /// The newest key frame. With `fresh`, one that has grown old while somebody watches is not given: the source is
    /// asked for another, and that is waited for, [`PATIENCE`] at most.
    pub async fn key_frame(&self, session: SessionId, fresh: bool) -> Result<KeyFrame, RelayError> {
        self.shard(session)?.ask(|reply| Command::KeyFrame { session, fresh, reply }).await
    }

    /// Gives or takes a viewer's control slot.
    pub async fn set_slot(
        &self,
        session: SessionId,
        viewer: ViewerId,
        slot: Option<u8>,
    ) -> Result<(), RelayError> {
        self.shard(session)?.ask(|reply| Command::SetSlot { session, viewer, slot, reply }).await
    }

    /// Closes a viewer's connection politely.
    pub async fn remove_viewer(&self, session: SessionId, viewer: ViewerId) {
        if let Ok(shard) = self.shard(session) {
            let _ = shard.ask(|reply| Command::RemoveViewer { session, viewer, reply }).await;
        }
    }

    /// Makes the session's shard panic, for tests of what comes after it.
    #[doc(hidden)]
    pub fn panic_shard_of(&self, session: SessionId) -> Result<(), RelayError> {
        let shard = self.shard(session)?;
        shard.commands.try_send(Command::Panic).map_err(|_| RelayError::Unavailable)?;
        shard.waker.wake().map_err(|_| RelayError::Unavailable)
    }

    fn shard(&self, session: SessionId) -> Result<&Handle, RelayError> {
        let number = *self.inner.placement.get(&session).ok_or(RelayError::NotFound)?;
        self.inner.shards.get(number).ok_or(RelayError::NotFound)
    }
}

/// A shard that is bound, before its thread runs.
struct Prepared {
    number: usize,
    socket: socket::Socket,
    candidates: Vec<SocketAddr>,
    poll: mio::Poll,
    waker: Arc<mio::Waker>,
    shared: Arc<peer::Shared>,
    news: (mpsc::Sender<peer::News>, mpsc::Receiver<peer::News>),
    passing: (mpsc::Sender<peer::Passing>, mpsc::Receiver<peer::Passing>),
}

impl Prepared {
    fn bind(
        number: usize,
        address: SocketAddr,
        config: &RelayConfig,
        crypto: &Arc<dyn RTCCryptoProvider>,
    ) -> Result<Self, RelayError> {
        let bind = |source| RelayError::Bind { address, source };
        let (socket, candidates) = listen(address, config).map_err(bind)?;
        let poll = mio::Poll::new().map_err(bind)?;
        let waker = Arc::new(mio::Waker::new(poll.registry(), shard::WAKER).map_err(bind)?);
        let shared = Arc::new(peer::Shared {
            certificate: peer::certificate(crypto.as_ref()).ok_or(RelayError::Unavailable)?,
            crypto: Arc::clone(crypto),
            candidates: candidates.clone(),
        });
        let (news, passing) = (mpsc::channel(NEWS), mpsc::channel(NEWS));
        Ok(Self { number, socket, candidates, poll, waker, shared, news, passing })
    }

    /// A handshake worker's end of it.
    fn link(&self, metrics: &stats::Metrics) -> std::io::Result<peer::Link> {
        Ok(peer::Link {
            shared: Arc::clone(&self.shared),
            socket: self.socket.for_another_thread()?,
            news: self.news.0.clone(),
            passing: self.passing.0.clone(),
            waker: Arc::clone(&self.waker),
            stats: metrics.shard(self.number),
        })
    }

    fn start(
        self,
        config: &RelayConfig,
        workers: &Arc<peer::Workers>,
        metrics: &stats::Metrics,
    ) -> std::io::Result<Handle> {
        let Self { number, socket, candidates, poll, waker, news, passing, .. } = self;
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let inlets = shard::Inlets { commands: receiver, news: news.1, passing: passing.1 };
        let shard = shard::Shard::new(
            number,
            poll,
            socket,
            config.ingest_ip,
            inlets,
            Arc::clone(workers),
            metrics.shard(number),
        )?;
        let supervisor = Supervisor::start(number, shard, metrics.panics(number))?;
        Ok(Handle { commands, waker, candidates, sessions: AtomicUsize::new(0), supervisor })
    }
}

/// One less than there are processors, which the shards and encoders need too.
fn handshake_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| (processors.get() - 1).max(1))
}

impl Handle {
    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, RelayError> {
        let (reply, answer) = oneshot::channel();
        let asked = async {
            self.commands.send(command(reply)).await.ok()?;
            self.waker.wake().ok()?;
            answer.await.ok()
        };
        tokio::time::timeout(PATIENCE, asked).await.ok().flatten().unwrap_or(Err(RelayError::Unavailable))
    }
}

/// The media socket of a shard and the addresses it is reached at.
fn listen(address: SocketAddr, config: &RelayConfig) -> std::io::Result<(socket::Socket, Vec<SocketAddr>)> {
    if !config.whole_machine || !address.ip().is_loopback() || !config.public_ip.is_empty() {
        let socket = socket::Socket::bind(address)?;
        let candidates = addresses::candidates(socket.address(), &config.public_ip);
        return Ok((socket, candidates));
    }
    let everywhere = [IpAddr::from(Ipv6Addr::UNSPECIFIED), IpAddr::from(Ipv4Addr::UNSPECIFIED)]
        .map(|ip| SocketAddr::new(ip, address.port()));
    for wildcard in everywhere.into_iter().filter(|wildcard| wildcard.is_ipv6() || address.is_ipv4()) {
        let Ok(mut socket) = socket::Socket::bind(wildcard) else { continue };
        let candidates = addresses::of_everybody_here(address.ip(), socket.address());
        socket.accept_only_from(candidates.iter().map(SocketAddr::ip).collect());
        return Ok((socket, candidates));
    }
    tracing::warn!(
        %address,
        "the media port is taken at another address of this machine: Firefox, which sends from no loopback address, cannot play"
    );
    let socket = socket::Socket::bind(address)?;
    let candidates = addresses::candidates(socket.address(), &[]);
    Ok((socket, candidates))
}

impl std::ops::Drop for Handle {
    fn drop(&mut self) {
        // A full queue does not matter: the shard sees its other end gone.
        let _ = self.commands.try_send(Command::Stop);
        let _ = self.waker.wake();
    }
}
