//! What the session core needs of the relay, the control channel and the scheduler, as narrow interfaces: a simulation
//! puts its own behind them.

use crate::control::{ControlEvent, ControlHub, ControlLink, ControlSender, WelcomeSpec};
use crate::model::ids::{SessionId, ViewerId};
use crate::node::{PlaceError, Placed, Scheduler};
use crate::relay::{AddViewer, Codec, OpenSession, OpenedSession, Relay, RelayError};
use crate::schedule::{NodeState, Request};
use bytes::Bytes;
use playgate_signaling::runner::GatewayMessage;
use std::sync::Arc;
use std::task::{Context, Poll};

/// See the methods of [`Relay`].
#[async_trait::async_trait]
pub trait MediaPlane: Send + Sync {
    async fn open(&self, spec: OpenSession) -> Result<OpenedSession, RelayError>;
    async fn set_source(
        &self,
        session: SessionId,
        video: Option<(Codec, u8)>,
        audio: Option<(Codec, u8)>,
    ) -> Result<(), RelayError>;
    /// Closing what is not open does nothing.
    async fn close(&self, session: SessionId);
    async fn add_viewer(&self, spec: AddViewer) -> Result<String, RelayError>;
    async fn renegotiate(
        &self,
        session: SessionId,
        viewer: ViewerId,
        offer: String,
    ) -> Result<String, RelayError>;
    async fn set_slot(
        &self,
        session: SessionId,
        viewer: ViewerId,
        slot: Option<u8>,
    ) -> Result<(), RelayError>;
    async fn remove_viewer(&self, session: SessionId, viewer: ViewerId);
    /// Parts that do not work as they should, by name.
    fn degraded(&self) -> Vec<String> {
        Vec::new()
    }
}

/// See [`ControlHub`].
pub trait ControlPlane: Send + Sync {
    fn register(&self, session: SessionId, welcome: WelcomeSpec) -> Box<dyn RunnerLink>;
    /// Expects a runner that was given its token by an earlier gateway.
    fn adopt(&self, session: SessionId, token_sha256: [u8; 32], welcome: WelcomeSpec) -> Box<dyn RunnerLink>;
}

/// See [`Scheduler`].
#[async_trait::async_trait]
pub trait Placement: Send + Sync {
    /// The reservation ends with [`Placement::release`], or when the session's row becomes final.
    async fn reserve(&self, session: SessionId, request: &Request) -> Result<Placed, PlaceError>;
    async fn release(&self, session: SessionId) -> Result<(), PlaceError>;
    /// Every node a session could be placed on, if it had room.
    async fn nodes(&self) -> Result<Vec<NodeState>, PlaceError>;
}

/// One session's control channel; dropping it closes it.
pub trait RunnerLink: Send {
    /// Empty for a link that was adopted: only the hash is known then.
    fn token(&self) -> &str;
    fn token_sha256(&self) -> [u8; 32];
    fn path(&self) -> &str;
    fn sender(&self) -> Arc<dyn RunnerSender>;
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<ControlEvent>>;
}

/// Sends to whatever runner is connected now. False when it did not go.
pub trait RunnerSender: Send + Sync {
    fn send(&self, message: GatewayMessage) -> bool;
    fn input(&self, slot: u8, frame: Bytes) -> bool;
}

#[async_trait::async_trait]
impl MediaPlane for Relay {
    async fn open(&self, spec: OpenSession) -> Result<OpenedSession, RelayError> {
        Self::open(self, spec).await
    }

    async fn set_source(
        &self,
        session: SessionId,
        video: Option<(Codec, u8)>,
        audio: Option<(Codec, u8)>,
    ) -> Result<(), RelayError> {
        Self::set_source(self, session, video, audio).await
    }

    async fn close(&self, session: SessionId) {
        Self::close(self, session).await;
    }

    async fn add_viewer(&self, spec: AddViewer) -> Result<String, RelayError> {
        Self::add_viewer(self, spec).await
    }

    async fn renegotiate(
        &self,
        session: SessionId,
        viewer: ViewerId,
        offer: String,
    ) -> Result<String, RelayError> {
        Self::renegotiate(self, session, viewer, offer).await
    }

    async fn set_slot(
        &self,
        session: SessionId,
        viewer: ViewerId,
        slot: Option<u8>,
    ) -> Result<(), RelayError> {
        Self::set_slot(self, session, viewer, slot).await
    }

    async fn remove_viewer(&self, session: SessionId, viewer: ViewerId) {
        Self::remove_viewer(self, session, viewer).await;
    }

    fn degraded(&self) -> Vec<String> {
        Self::degraded(self)
    }
}

impl ControlPlane for ControlHub {
    fn register(&self, session: SessionId, welcome: WelcomeSpec) -> Box<dyn RunnerLink> {
        Box::new(Self::register(self, session, welcome))
    }

    fn adopt(&self, session: SessionId, token_sha256: [u8; 32], welcome: WelcomeSpec) -> Box<dyn RunnerLink> {
        Box::new(Self::adopt(self, session, token_sha256, welcome))
    }
}

#[async_trait::async_trait]
impl Placement for Scheduler {
    async fn reserve(&self, session: SessionId, request: &Request) -> Result<Placed, PlaceError> {
        Self::reserve(self, session, request).await
    }

    async fn release(&self, session: SessionId) -> Result<(), PlaceError> {
        Self::release(self, session).await
    }

    async fn nodes(&self) -> Result<Vec<NodeState>, PlaceError> {
        Self::states(self).await
    }
}

impl RunnerLink for ControlLink {
    fn token(&self) -> &str {
        &self.token
    }

    fn token_sha256(&self) -> [u8; 32] {
        self.token_sha256
    }

    fn path(&self) -> &str {
        &self.path
    }

    fn sender(&self) -> Arc<dyn RunnerSender> {
        Arc::new(self.sender.clone())
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<ControlEvent>> {
        self.events.poll_recv(context)
    }
}

impl RunnerSender for ControlSender {
    fn send(&self, message: GatewayMessage) -> bool {
        Self::send(self, message)
    }

    fn input(&self, slot: u8, frame: Bytes) -> bool {
        Self::input(self, slot, frame)
    }
}
