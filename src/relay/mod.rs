//! The media relay: shards that take RTP in and give SRTP out.
//!
//! The control plane reaches a shard only through [`Relay`], by bounded channels of values; a shard never waits for it. What
//! joiners need before they are connected is done by threads of their own (`peer`). Spectators of a session are spread over
//! the shards (`placement`, `stripes`). A shard that panics is started again with its sessions, and its viewers are told to
//! come again (`supervisor`).

mod addresses;
mod budget;
mod command;
mod control;
mod demux;
mod down_track;
mod dtls;
mod faults;
mod feedback;
mod fresh;
pub(crate) mod fuzz;
mod group;
mod key_requests;
mod keyframe;
#[cfg(test)]
mod line_tests;
mod outbox;
mod pacer;
mod parameter_sets;
mod payload_type;
mod peer;
mod placement;
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
mod start;
mod stats;
mod still;
mod stripes;
mod stun;
mod supervisor;
mod timers;
mod viewer;
#[cfg(test)]
mod virtual_time;
mod widths;

pub use faults::SourceFault;
pub use still::MAX_KEY_FRAME_BYTES;

use crate::model::ids::{SessionId, ViewerId};
use bytes::Bytes;
use command::{Command, Reply};
use dashmap::DashMap;
use placement::Placed;
use prometheus_client::metrics::gauge::Gauge;
use rtc::crypto::RTCCryptoProvider;
use rtc::crypto::providers::AwsLcRsProvider;
use start::{Prepared, handshake_threads};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use supervisor::Supervisor;
use tokio::sync::{mpsc, oneshot, watch};

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
    /// Which shards a session lives on. The control plane's own; shards know nothing of it.
    placement: DashMap<SessionId, Placed>,
    /// Held while a replica is made: a shard has one of a session.
    replicating: tokio::sync::Mutex<()>,
}

/// The control plane's end of one shard.
#[derive(Debug)]
struct Handle {
    commands: mpsc::Sender<Command>,
    waker: Arc<mio::Waker>,
    candidates: Vec<SocketAddr>,
    sessions: AtomicUsize,
    /// On their way in, or connected.
    viewers: Gauge,
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
    /// The merged, rate-limited key frame request, for encoders that ignore RTCP; its number is in the RTCP too.
    KeyFrameRequested {
        /// Rises from one request to the next.
        number: u64,
    },
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
        Ok(Self {
            inner: Arc::new(Inner {
                shards,
                placement: DashMap::new(),
                replicating: tokio::sync::Mutex::default(),
            }),
        })
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
            self.inner.placement.insert(session, Placed { home: number, replicas: Vec::new() });
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
        self.home(session)?.ask(|reply| Command::SetSource { session, video, audio, reply }).await?;
        for shard in self.shards(session).into_iter().skip(1) {
            // One that was lost comes again with what its home knows.
            let _ = shard.ask(|reply| Command::SetSource { session, video, audio, reply }).await;
        }
        Ok(())
    }

    /// Ends the session's media: viewers are closed, sockets freed.
    pub async fn close(&self, session: SessionId) {
        let Some((_, Placed { home, replicas })) = self.inner.placement.remove(&session) else { return };
        if let Some(shard) = self.inner.shards.get(home) {
            shard.sessions.fetch_sub(1, Ordering::Relaxed);
        }
        for number in std::iter::once(home).chain(replicas) {
            if let Some(shard) = self.inner.shards.get(number) {
                let _ = shard.ask(|reply| Command::Close { session, reply }).await;
            }
        }
    }

    /// Adds a viewer by its offer (at most 64 KiB); gives the SDP answer with all candidates. Players are added where the
    /// source is, spectators on the shard that has least to do; who becomes a player later stays there.
    ///
    /// # Errors
    /// [`RelayError::UnsupportedCodec`] names what the offer lacks; [`RelayError::InvalidOffer`] says what is wrong with it.
    pub async fn add_viewer(&self, spec: AddViewer) -> Result<String, RelayError> {
        self.place_viewer(spec).await
    }

    /// Another offer of a known viewer: an ICE restart when the DTLS fingerprint is the same, else a new peer in its
    /// place. Gives the answer.
    pub async fn renegotiate(
        &self,
        session: SessionId,
        viewer: ViewerId,
        offer: String,
    ) -> Result<String, RelayError> {
        let renegotiate = |reply| Command::Renegotiate { session, viewer, offer: offer.clone(), reply };
        self.ask_in_turn(session, renegotiate).await
    }

    /// The newest key frame. With `fresh`, one that has grown old while somebody watches is not given: the source is
    /// asked for another, and that is waited for, [`PATIENCE`] at most.
    pub async fn key_frame(&self, session: SessionId, fresh: bool) -> Result<KeyFrame, RelayError> {
        self.home(session)?.ask(|reply| Command::KeyFrame { session, fresh, reply }).await
    }

    /// Gives or takes a viewer's control slot.
    pub async fn set_slot(
        &self,
        session: SessionId,
        viewer: ViewerId,
        slot: Option<u8>,
    ) -> Result<(), RelayError> {
        self.ask_in_turn(session, |reply| Command::SetSlot { session, viewer, slot, reply }).await
    }

    /// Closes a viewer's connection politely.
    pub async fn remove_viewer(&self, session: SessionId, viewer: ViewerId) {
        for shard in self.shards(session) {
            let _ = shard.ask(|reply| Command::RemoveViewer { session, viewer, reply }).await;
        }
    }

    /// Makes a shard panic, for tests of what comes after it.
    #[doc(hidden)]
    pub fn panic_shard(&self, number: usize) -> Result<(), RelayError> {
        let shard = self.inner.shards.get(number).ok_or(RelayError::NotFound)?;
        shard.commands.try_send(Command::Panic).map_err(|_| RelayError::Unavailable)?;
        shard.waker.wake().map_err(|_| RelayError::Unavailable)
    }
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

impl std::ops::Drop for Handle {
    fn drop(&mut self) {
        // A full queue does not matter: the shard sees its other end gone.
        let _ = self.commands.try_send(Command::Stop);
        let _ = self.waker.wake();
    }
}
