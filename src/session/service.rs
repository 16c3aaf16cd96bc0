//! The service both APIs and signaling call. Cheap to clone.

use super::error::ServiceError;
use super::view::{Admission, GameView, GrantView, Push, SessionView, SlotView, StopReport};
use crate::auth::Principal;
use crate::ids::{GrantId, SessionId, SlotId, UserId, ViewerId};
use playgate_signaling::message::Role;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::broadcast;

/// The session core.
#[derive(Clone)]
pub struct Sessions {}

/// Contract B-1.
#[derive(Debug, Clone)]
pub struct LaunchRequest {
    pub game_slug: String,
    pub save_slot: Option<SlotId>,
    pub fresh: bool,
}

impl Sessions {
    /// B-1: checks, gates, places, writes `starting` and returns; the rest happens behind it.
    pub async fn launch(&self, user: &UserId, request: LaunchRequest) -> Result<SessionView, ServiceError> {
        let _ = (user, request);
        unimplemented!("session")
    }

    /// B-2. An owner, or a grant of that session.
    pub async fn status(&self, who: &Principal, id: SessionId) -> Result<SessionView, ServiceError> {
        let _ = (who, id);
        unimplemented!("session")
    }

    /// B-3: the new end of the idle lease. Ended sessions are not found (B8). Owner or a player's grant.
    pub async fn keepalive(&self, who: &Principal, id: SessionId) -> Result<OffsetDateTime, ServiceError> {
        let _ = (who, id);
        unimplemented!("session")
    }

    /// B-4: runs the stop to its end, or returns the stored figures of an ended session. Owner only.
    pub async fn stop(&self, who: &Principal, id: SessionId) -> Result<StopReport, ServiceError> {
        let _ = (who, id);
        unimplemented!("session")
    }

    /// B-5: the user's active sessions.
    pub async fn active(&self, user: &UserId) -> Result<Vec<SessionView>, ServiceError> {
        let _ = user;
        unimplemented!("session")
    }

    /// The whole catalogue, in the order of the configuration.
    pub fn games(&self) -> Vec<GameView> {
        unimplemented!("session")
    }

    /// Always three.
    pub async fn save_slots(&self, user: &UserId, slug: &str) -> Result<Vec<SlotView>, ServiceError> {
        let _ = (user, slug);
        unimplemented!("session")
    }

    /// Empties a slot; `SlotInUse` while a session runs on it.
    pub async fn delete_slot(&self, user: &UserId, slot: SlotId) -> Result<(), ServiceError> {
        let _ = (user, slot);
        unimplemented!("session")
    }

    /// Mints a grant. Owner only.
    pub async fn share(
        &self,
        who: &Principal,
        id: SessionId,
        role: Role,
        expires_in: Duration,
    ) -> Result<GrantView, ServiceError> {
        let _ = (who, id, role, expires_in);
        unimplemented!("session")
    }

    pub async fn grants(&self, who: &Principal, id: SessionId) -> Result<Vec<GrantView>, ServiceError> {
        let _ = (who, id);
        unimplemented!("session")
    }

    /// Ends running views of the grant too.
    pub async fn revoke(&self, who: &Principal, grant: GrantId) -> Result<(), ServiceError> {
        let _ = (who, grant);
        unimplemented!("session")
    }

    /// Lets a viewer in (a session still starting included), with the role it may have.
    pub async fn admit(
        &self,
        who: &Principal,
        id: SessionId,
        viewer: ViewerId,
        wanted: Option<Role>,
    ) -> Result<Admission, ServiceError> {
        let _ = (who, id, viewer, wanted);
        unimplemented!("session")
    }

    /// The admitted viewer's offer, first or later; gives the answer.
    pub async fn offer(&self, id: SessionId, viewer: ViewerId, sdp: String) -> Result<String, ServiceError> {
        let _ = (id, viewer, sdp);
        unimplemented!("session")
    }

    /// The viewer left: media closed, held keys released.
    pub async fn leave(&self, id: SessionId, viewer: ViewerId) {
        let _ = (id, viewer);
        unimplemented!("session")
    }

    /// Signaling of the viewer broke; its media stays and it may come back with `admit` under the same viewer id.
    pub fn subscribe(&self, id: SessionId) -> Option<broadcast::Receiver<Push>> {
        let _ = id;
        unimplemented!("session")
    }

    /// Sessions running here now.
    pub fn running(&self) -> usize {
        unimplemented!("session")
    }

    /// Ends every session in order (SIGTERM of the gateway).
    pub async fn shutdown(&self) {
        unimplemented!("session")
    }
}
