//! What signaling needs of the rest of the gateway, so that tests can stand in for it.

use crate::auth::{Principal, Validity};
use crate::model::ids::{SessionId, ViewerId};
use crate::session::control::Standing;
use crate::session::view::{Admission, Push, SessionView};
use crate::session::{ServiceError, Sessions};
use axum::http::{Extensions, HeaderMap};
use playgate_signaling::control::Wish;
use playgate_signaling::message::{QualityReport, Role};
use std::sync::Arc;
use tokio::sync::broadcast;

/// The session core, as far as signaling uses it. See [`Sessions`] for each call's meaning.
#[async_trait::async_trait]
pub trait SignalCore: Send + Sync + 'static {
    async fn status(&self, who: &Principal, id: SessionId) -> Result<SessionView, ServiceError>;

    async fn admit(
        &self,
        who: &Principal,
        id: SessionId,
        viewer: ViewerId,
        wanted: Option<Role>,
    ) -> Result<Admission, ServiceError>;

    async fn offer(&self, id: SessionId, viewer: ViewerId, sdp: String) -> Result<String, ServiceError>;

    async fn leave(&self, id: SessionId, viewer: ViewerId);

    fn saw(&self, id: SessionId, viewer: ViewerId, report: QualityReport);

    async fn control(
        &self,
        id: SessionId,
        viewer: ViewerId,
        wish: Wish<ViewerId>,
    ) -> Result<(), ServiceError>;

    fn standing(&self, id: SessionId) -> Option<Arc<Standing>>;

    async fn keepalive(&self, who: &Principal, id: SessionId) -> Result<(), ServiceError>;

    fn subscribe(&self, id: SessionId) -> Option<broadcast::Receiver<Push>>;
}

/// Somebody whose token is valid, and until when.
#[derive(Debug, Clone)]
pub struct Known {
    pub who: Principal,
    pub validity: Validity,
}

/// Who is asking.
#[async_trait::async_trait]
pub trait SignalAuth: Send + Sync + 'static {
    /// By bearer header or cookie; `extensions` are the request's. `None` for a cookie that a foreign page sent (its
    /// `Origin` says so).
    async fn authenticate_headers(&self, headers: &HeaderMap, extensions: &Extensions) -> Option<Known>;

    /// By the token of a `hello`, on a connection whose upgrade came with these: a grant may be for certain web sites.
    async fn authenticate_token(
        &self,
        token: &str,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Option<Known>;
}

#[async_trait::async_trait]
impl SignalCore for Sessions {
    async fn status(&self, who: &Principal, id: SessionId) -> Result<SessionView, ServiceError> {
        Self::status(self, who, id).await
    }

    async fn admit(
        &self,
        who: &Principal,
        id: SessionId,
        viewer: ViewerId,
        wanted: Option<Role>,
    ) -> Result<Admission, ServiceError> {
        Self::admit(self, who, id, viewer, wanted).await
    }

    async fn offer(&self, id: SessionId, viewer: ViewerId, sdp: String) -> Result<String, ServiceError> {
        Self::offer(self, id, viewer, sdp).await
    }

    async fn leave(&self, id: SessionId, viewer: ViewerId) {
        Self::leave(self, id, viewer).await;
    }

    fn saw(&self, id: SessionId, viewer: ViewerId, report: QualityReport) {
        Self::saw(self, id, viewer, report);
    }

    async fn control(
        &self,
        id: SessionId,
        viewer: ViewerId,
        wish: Wish<ViewerId>,
    ) -> Result<(), ServiceError> {
        Self::control(self, id, viewer, wish).await
    }

    fn standing(&self, id: SessionId) -> Option<Arc<Standing>> {
        Self::standing(self, id)
    }

    async fn keepalive(&self, who: &Principal, id: SessionId) -> Result<(), ServiceError> {
        Self::keepalive(self, who, id).await.map(|_| ())
    }

    fn subscribe(&self, id: SessionId) -> Option<broadcast::Receiver<Push>> {
        Self::subscribe(self, id)
    }
}
