//! What the HTTP surface needs of the session core, as a trait: the real one is [`Sessions`], tests put a fake here.

use crate::auth::Principal;
use crate::model::ids::{GrantId, SessionId, SlotId, UserId, VersionId};
use crate::session::ServiceError;
use crate::session::Sessions;
use crate::session::service::LaunchRequest;
use crate::session::view::{
    GameView, GrantView, SaveDownload, SessionView, SlotView, StopReport, VersionView,
};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use playgate_signaling::message::Role;
use std::io;
use std::time::Duration;
use time::OffsetDateTime;

/// See the methods of the same names on [`Sessions`].
#[async_trait::async_trait]
pub trait SessionCore: Send + Sync + 'static {
    async fn launch(&self, user: &UserId, request: LaunchRequest) -> Result<SessionView, ServiceError>;
    async fn status(&self, who: &Principal, id: SessionId) -> Result<SessionView, ServiceError>;
    async fn keepalive(&self, who: &Principal, id: SessionId) -> Result<OffsetDateTime, ServiceError>;
    async fn stop(&self, who: &Principal, id: SessionId) -> Result<StopReport, ServiceError>;
    async fn active(&self, user: &UserId) -> Result<Vec<SessionView>, ServiceError>;
    async fn first_decoded_frame(&self, who: &Principal, id: SessionId) -> Result<(), ServiceError>;
    fn games(&self) -> Vec<GameView>;
    async fn save_slots(&self, user: &UserId, slug: &str) -> Result<Vec<SlotView>, ServiceError>;
    async fn delete_slot(&self, user: &UserId, slot: SlotId) -> Result<(), ServiceError>;
    async fn save_versions(&self, user: &UserId, slot: SlotId) -> Result<Vec<VersionView>, ServiceError>;
    async fn restore_version(
        &self,
        user: &UserId,
        slot: SlotId,
        version: VersionId,
    ) -> Result<VersionView, ServiceError>;
    async fn download_version(
        &self,
        user: &UserId,
        slot: SlotId,
        version: VersionId,
    ) -> Result<SaveDownload, ServiceError>;
    async fn upload_version(
        &self,
        user: &UserId,
        slot: SlotId,
        body: BoxStream<'static, io::Result<Bytes>>,
    ) -> Result<VersionView, ServiceError>;
    async fn share(
        &self,
        who: &Principal,
        id: SessionId,
        role: Role,
        origins: Vec<String>,
        expires_in: Duration,
    ) -> Result<GrantView, ServiceError>;
    async fn grants(&self, who: &Principal, id: SessionId) -> Result<Vec<GrantView>, ServiceError>;
    async fn revoke(&self, who: &Principal, grant: GrantId) -> Result<(), ServiceError>;
    fn running(&self) -> usize;
    fn degraded(&self) -> Vec<String>;
}

#[async_trait::async_trait]
impl SessionCore for Sessions {
    async fn launch(&self, user: &UserId, request: LaunchRequest) -> Result<SessionView, ServiceError> {
        Self::launch(self, user, request).await
    }

    async fn status(&self, who: &Principal, id: SessionId) -> Result<SessionView, ServiceError> {
        Self::status(self, who, id).await
    }

    async fn keepalive(&self, who: &Principal, id: SessionId) -> Result<OffsetDateTime, ServiceError> {
        Self::keepalive(self, who, id).await
    }

    async fn stop(&self, who: &Principal, id: SessionId) -> Result<StopReport, ServiceError> {
        Self::stop(self, who, id).await
    }

    async fn active(&self, user: &UserId) -> Result<Vec<SessionView>, ServiceError> {
        Self::active(self, user).await
    }

    async fn first_decoded_frame(&self, who: &Principal, id: SessionId) -> Result<(), ServiceError> {
        Self::first_decoded_frame(self, who, id).await
    }

    fn games(&self) -> Vec<GameView> {
        Self::games(self)
    }

    async fn save_slots(&self, user: &UserId, slug: &str) -> Result<Vec<SlotView>, ServiceError> {
        Self::save_slots(self, user, slug).await
    }

    async fn delete_slot(&self, user: &UserId, slot: SlotId) -> Result<(), ServiceError> {
        Self::delete_slot(self, user, slot).await
    }

    async fn save_versions(&self, user: &UserId, slot: SlotId) -> Result<Vec<VersionView>, ServiceError> {
        Self::save_versions(self, user, slot).await
    }

    async fn restore_version(
        &self,
        user: &UserId,
        slot: SlotId,
        version: VersionId,
    ) -> Result<VersionView, ServiceError> {
        Self::restore_version(self, user, slot, version).await
    }

    async fn download_version(
        &self,
        user: &UserId,
        slot: SlotId,
        version: VersionId,
    ) -> Result<SaveDownload, ServiceError> {
        Self::download_version(self, user, slot, version).await
    }

    async fn upload_version(
        &self,
        user: &UserId,
        slot: SlotId,
        body: BoxStream<'static, io::Result<Bytes>>,
    ) -> Result<VersionView, ServiceError> {
        Self::upload_version(self, user, slot, body).await
    }

    async fn share(
        &self,
        who: &Principal,
        id: SessionId,
        role: Role,
        origins: Vec<String>,
        expires_in: Duration,
    ) -> Result<GrantView, ServiceError> {
        Self::share(self, who, id, role, origins, expires_in).await
    }

    async fn grants(&self, who: &Principal, id: SessionId) -> Result<Vec<GrantView>, ServiceError> {
        Self::grants(self, who, id).await
    }

    async fn revoke(&self, who: &Principal, grant: GrantId) -> Result<(), ServiceError> {
        Self::revoke(self, who, grant).await
    }

    fn running(&self) -> usize {
        Self::running(self)
    }

    fn degraded(&self) -> Vec<String> {
        Self::degraded(self)
    }
}
