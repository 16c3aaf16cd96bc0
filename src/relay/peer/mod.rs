//! One viewer's WebRTC connection: `rtc` for DTLS, SRTP and data channels; ICE-lite by ourselves (`ice`).
//!
//! A connection is two things, one after the other. [`Handshaking`] has the certificate, answers the first offer, and does
//! DTLS; nothing outside this module can name it, and here only the handshake workers (`workers`) hold any. [`Peer`] is what
//! comes out of it once the viewer can open what it is sent: the worker hands it to its shard whole. So no shard can make a
//! connection, or do any of a handshake.
//!
//! `paths` decides where packets go, `handshake` which SRTP cipher is used, `negotiation` answers offers, `media` sends,
//! and `life` carries datagrams and events. A panic inside `rtc` closes this peer and nothing else. No sockets and no clock
//! in connections, and nothing that is bound to a thread.

mod copies;
mod handshake;
mod ice;
mod life;
mod media;
mod negotiation;
mod paths;
mod sealing;
mod tracks;
mod worker;
mod workers;

pub(super) use ice::Binding;
pub(super) use workers::{Job, Known, Link, News, Passing, Place, Workers};

use super::dtls::Inflow;
use super::feedback::{Feedback, FeedbackQueue};
use super::rate::Estimator;
use super::seal::Sealer;
use super::seal::keys::KeyTap;
use super::socket::Path;
use super::stun::Credentials;
use bytes::{Bytes, BytesMut};
use handshake::{Established, Handshake};
use media::Stream;
use negotiation::StreamIds;
use paths::Paths;
use rtc::crypto::RTCCryptoProvider;
use rtc::peer_connection::RTCPeerConnection;
use rtc::peer_connection::certificate::RTCCertificate;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

/// What all peers of a shard share.
pub(super) struct Shared {
    pub(super) certificate: RTCCertificate,
    pub(super) crypto: Arc<dyn RTCCryptoProvider>,
    pub(super) candidates: Vec<SocketAddr>,
}

/// What happened to a peer.
#[derive(Debug, PartialEq)]
pub(super) enum PeerEvent {
    Connected {
        cipher: String,
        /// False: the crate seals its media.
        sealed_here: bool,
    },
    Gone(&'static str),
    Feedback(Feedback),
    Input {
        label: Label,
        message: Bytes,
    },
}

/// The data channels that carry input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    Reliable,
    Pointer,
}

/// A viewer's connection, once there is one.
pub(super) struct Peer {
    pc: RTCPeerConnection,
    shared: Arc<Shared>,
    feedback: FeedbackQueue,
    /// As the last answer told the viewer.
    local: Credentials,
    remote: Credentials,
    /// What `rtc`'s own agent takes for its own; see `ice`.
    agent: Credentials,
    /// Before the last ICE restart: local password and both ufrags, still answered while the demux knows them.
    previous: Option<(Credentials, String)>,
    fingerprint: String,
    paths: Paths,
    inflow: Inflow,
    video: Stream,
    audio: Option<Stream>,
    keys: Arc<KeyTap>,
    /// Set once, at the connection; without it the crate seals.
    sealer: Option<Sealer>,
    /// Id of the transport-wide sequence number's extension, where it was agreed on.
    transport: Option<u8>,
    /// Of a viewer that plays or played; see [`Peer::measure`].
    rate: Option<Estimator>,
    /// Datagrams that are to be sent with the next ones.
    held: Vec<BytesMut>,
    /// Room for a retransmission's payload.
    again: Vec<u8>,
    /// By id; without a label it is none of ours, and nothing on it is heard.
    channels: HashMap<usize, Option<Label>>,
    /// SSRCs of RTCP that was handed to the crate; see `life`.
    rtcp_senders: HashSet<u32>,
    /// `rtc` is through with the handshake.
    is_secured: bool,
    done: bool,
    events: Vec<PeerEvent>,
}

/// A viewer's connection before it is one: offered and answered, and not yet connected.
struct Handshaking {
    peer: Peer,
    /// What its answer stands on.
    ids: StreamIds,
    handshake: Handshake,
    /// The handshake is done on our side; the viewer is connected when it can open what it is sent (`handshake`).
    established: Option<Established>,
    created: Instant,
}

impl Peer {
    pub(super) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Our ufrag in the latest answer.
    pub(super) fn ufrag(&self) -> &str {
        &self.local.ufrag
    }

    pub(super) fn path(&self) -> Option<Path> {
        self.paths.present()
    }

    pub(super) fn is_connected(&self) -> bool {
        !self.done
    }

    pub(super) fn video_ssrc(&self) -> u32 {
        self.video.outgoing.ssrc()
    }

    pub(super) fn audio_ssrc(&self) -> Option<u32> {
        self.audio.as_ref().map(|audio| audio.outgoing.ssrc())
    }

    /// True: media waits in the crate until it is drained.
    pub(super) fn sends_through_the_crate(&self) -> bool {
        self.sealer.is_none()
    }

    /// What the link carries, while it is measured.
    pub(super) fn rate(&mut self) -> Option<&mut Estimator> {
        self.rate.as_mut().filter(|_| self.video.extensions.transport.is_some())
    }

    /// Begins or ends the measuring of the link. Whatever was agreed on stays: no new offer is needed. What was measured
    /// stays too, and the transport-wide numbering goes on where it stopped: to the viewer it is one numbering, and one
    /// that began again would make it report on packets of long ago.
    pub(super) fn measure(&mut self, wanted: bool) {
        let measured = self.video.extensions.transport.is_some();
        self.video.extensions.transport = self.transport.filter(|_| wanted);
        if self.video.extensions.transport.is_some() && !measured {
            self.rate.get_or_insert_with(Estimator::new).resume();
        }
    }
}

/// A self-signed certificate for DTLS, valid for the life of a process.
pub(super) fn certificate(crypto: &dyn RTCCryptoProvider) -> Option<RTCCertificate> {
    let params = rcgen::CertificateParams::new(vec!["playgate".to_owned()]).ok()?;
    RTCCertificate::generate(crypto.crypto(), rtc::crypto::SignatureScheme::EcdsaP256Sha256, params).ok()
}

/// Random bytes.
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Fails only when the system has no entropy source, which the process would not have survived until here.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    bytes
}

/// A panic in `rtc` ends one peer, not the shard.
fn guard<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

#[cfg(test)]
pub(in crate::relay) mod tests;
