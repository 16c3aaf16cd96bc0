//! The gateway's end of the runner contract: the private listener's WebSocket, one live connection a session.
//!
//! Knows tokens of running sessions (as hashes) and passes messages; decides nothing about a session. A session has at
//! most one live connection: a newer one closes the older. Serve the router with TCP_NODELAY: input frames are small.

mod hub;
mod metrics;
mod socket;

use crate::model::ids::SessionId;
use bytes::Bytes;
use playgate_signaling::runner::{GatewayMessage, RunnerMessage, Stream};
use prometheus_client::registry::Registry;
use std::sync::Arc;
use tokio::sync::mpsc;

/// All control connections; cheap to clone. Its router is served on the private listener.
#[derive(Debug, Clone, Default)]
pub struct ControlHub {
    hub: Arc<hub::Hub>,
}

/// What the gateway tells a runner in `welcome`.
#[derive(Debug, Clone)]
pub struct WelcomeSpec {
    pub rtp_video: String,
    pub rtp_audio: String,
    pub width: u32,
    pub height: u32,
    pub fps: u32,
    pub kbps: u32,
}

/// One session's control channel. Dropping it (or its last part) forgets the session and closes the connection.
#[derive(Debug)]
pub struct ControlLink {
    /// The secret for `PLAYGATE_TOKEN`; only its hash stays in the hub. Empty when it was adopted.
    pub token: String,
    pub token_sha256: [u8; 32],
    /// `/runner/{session}` on the private listener.
    pub path: String,
    /// Holds 256 events. When it is full, `cursor`, `rumble` and `health` are dropped and counted, anything else makes
    /// the runner wait; after five seconds of that its connection is closed.
    pub events: mpsc::Receiver<ControlEvent>,
    pub sender: ControlSender,
    /// Ends the registration; a field of its own, so that the others can be moved out.
    pub guard: LinkGuard,
}

/// Ends a session's registration and its connection when dropped.
#[derive(Debug)]
pub struct LinkGuard {
    hub: Arc<hub::Hub>,
    session: SessionId,
    entry: Arc<hub::Entry>,
}

/// Sends to whatever runner is connected now; cheap to clone.
#[derive(Debug, Clone)]
pub struct ControlSender {
    hub: Arc<hub::Hub>,
    entry: Arc<hub::Entry>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ControlEvent {
    /// A runner said hello (again, after a reconnect).
    Connected {
        video: Option<Stream>,
        audio: Option<Stream>,
        pads: u8,
        pointer: Option<String>,
    },
    Message(RunnerMessage),
    /// The live connection ended. Not sent for one that a newer connection replaced.
    Disconnected,
}

impl ControlHub {
    /// A hub whose counters are in `registry`. (`default()` counts for nobody.)
    pub fn new(registry: &mut Registry) -> Self {
        let hub = hub::Hub::default();
        hub.metrics.register(registry);
        Self { hub: Arc::new(hub) }
    }

    /// Expects a runner for the session. An earlier registration of the same session is replaced and closed.
    pub fn register(&self, session: SessionId, welcome: WelcomeSpec) -> ControlLink {
        let token = hub::new_token();
        let token_sha256 = hub::hash(&token);
        ControlLink { token, ..self.adopt(session, token_sha256, welcome) }
    }

    /// Expects a runner that an earlier gateway gave a token with this SHA-256. An earlier registration of the same
    /// session is replaced and closed.
    pub fn adopt(&self, session: SessionId, token_sha256: [u8; 32], welcome: WelcomeSpec) -> ControlLink {
        let (entry, events) = self.hub.register(session, token_sha256, welcome);
        ControlLink {
            token: String::new(),
            token_sha256,
            path: format!("/runner/{session}"),
            events,
            sender: ControlSender { hub: Arc::clone(&self.hub), entry: Arc::clone(&entry) },
            guard: LinkGuard { hub: Arc::clone(&self.hub), session, entry },
        }
    }

    /// `GET /runner/{session}` (WebSocket). 401 without a bearer token, 404 when session and token do not belong
    /// together, which does not tell which of the two is wrong.
    pub fn router(&self) -> axum::Router {
        axum::Router::new()
            .route("/runner/{session}", axum::routing::get(socket::upgrade))
            .with_state(Arc::clone(&self.hub))
    }
}

impl ControlSender {
    /// False when no runner is connected or its queue (256 messages) is full: the message is dropped and counted.
    pub fn send(&self, message: GatewayMessage) -> bool {
        self.deliver(hub::Outbound::Message(message))
    }

    /// An input frame for a slot; same result. Frames longer than a data channel's are refused.
    pub fn input(&self, slot: u8, frame: Bytes) -> bool {
        frame.len() <= playgate_signaling::input::MAX_FRAME_BYTES
            && self.deliver(hub::Outbound::Input { slot, frame })
    }

    fn deliver(&self, outbound: hub::Outbound) -> bool {
        let delivered = self.entry.deliver(outbound);
        if !delivered {
            self.hub.metrics.undelivered.inc();
        }
        delivered
    }
}

impl Drop for LinkGuard {
    fn drop(&mut self) {
        self.hub.forget(self.session, &self.entry);
    }
}
