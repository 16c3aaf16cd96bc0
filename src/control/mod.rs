//! The gateway's end of the runner contract: the private listener's WebSocket, one live connection a session.
//!
//! Knows tokens of running sessions (as hashes) and passes messages; decides nothing about a session.

use crate::ids::SessionId;
use bytes::Bytes;
use playgate_signaling::runner::{GatewayMessage, RunnerMessage, Stream};
use tokio::sync::mpsc;

/// All control connections; cheap to clone. Its router is served on the private listener.
#[derive(Debug, Clone, Default)]
pub struct ControlHub {}

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

/// One session's control channel. Dropping it forgets the session and closes the connection.
#[derive(Debug)]
pub struct ControlLink {
    /// The secret for `PLAYGATE_TOKEN`; only its hash stays in the hub.
    pub token: String,
    /// `/runner/{session}` on the private listener.
    pub path: String,
    pub events: mpsc::Receiver<ControlEvent>,
    pub sender: ControlSender,
}

/// Sends to whatever runner is connected now; cheap to clone.
#[derive(Debug, Clone)]
pub struct ControlSender {}

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
    Disconnected,
}

impl ControlHub {
    /// Expects a runner for the session.
    pub fn register(&self, session: SessionId, welcome: WelcomeSpec) -> ControlLink {
        let _ = (session, welcome);
        unimplemented!("control")
    }

    /// `GET /runner/{session}` (WebSocket).
    pub fn router(&self) -> axum::Router {
        unimplemented!("control")
    }
}

impl ControlSender {
    /// False when no runner is connected or its queue is full (counted).
    pub fn send(&self, message: GatewayMessage) -> bool {
        let _ = message;
        unimplemented!("control")
    }

    /// An input frame for a slot; same result.
    pub fn input(&self, slot: u8, frame: Bytes) -> bool {
        let _ = (slot, frame);
        unimplemented!("control")
    }
}
