//! What the Session API needs of the session core, as a trait: the real one is [`Sessions`], tests put a fake here.
//!
//! `organisation` is the caller's own, already authenticated; `id` is what its caller chose (`external_id`). What belongs to
//! somebody else is not found.

use crate::driver::ByteStream;
use crate::session::hosted::{Artifact, HostRequest, HostedFilter, HostedView, LocationView};
use crate::session::view::GrantView;
use crate::session::{ServiceError, Sessions};
use playgate_signaling::message::Role;
use std::time::Duration;

#[async_trait::async_trait]
pub trait HostedCore: Send + Sync + 'static {
    /// G-1: returns once the container runs and its ports are bound (rule 6). Goes on when the caller goes away.
    async fn run(&self, organisation: &str, request: HostRequest) -> Result<HostedView, ServiceError>;
    /// G-2, the oldest first.
    async fn list(&self, organisation: &str, filter: &HostedFilter) -> Result<Vec<HostedView>, ServiceError>;
    /// G-3, with the players who joined.
    async fn describe(&self, organisation: &str, id: &str)
    -> Result<(HostedView, Vec<String>), ServiceError>;
    /// G-4: returns once the end has begun (G22).
    async fn terminate(&self, organisation: &str, id: &str) -> Result<(), ServiceError>;
    /// G-5: gives the whole roster after it (G20).
    async fn join(
        &self,
        organisation: &str,
        id: &str,
        players: &[String],
    ) -> Result<Vec<String>, ServiceError>;
    /// G-6: gives how many are left (G20). Without an id it is the one session that all the players are in (G1).
    async fn leave(
        &self,
        organisation: &str,
        id: Option<&str>,
        players: &[String],
    ) -> Result<u64, ServiceError>;
    /// G-7: of a stopped session.
    async fn artifact(&self, organisation: &str, id: &str, path: &str) -> Result<Artifact, ServiceError>;
    /// G-8.
    async fn locations(&self, organisation: &str, image: &str) -> Result<Vec<LocationView>, ServiceError>;
    /// G-9. [`ServiceError::InvalidRequest`] for a region that is none (G14).
    async fn tag_exists(
        &self,
        organisation: &str,
        region: &str,
        image: &str,
        tag: &str,
    ) -> Result<bool, ServiceError>;
    /// G-10.
    async fn logs(&self, organisation: &str, id: &str, follow: bool) -> Result<ByteStream, ServiceError>;
    /// A grant for a viewer of a session with a stream; 60 seconds to 7 days.
    async fn grant(
        &self,
        organisation: &str,
        id: &str,
        role: Role,
        origins: Vec<String>,
        expires_in: Duration,
    ) -> Result<GrantView, ServiceError>;
}

#[async_trait::async_trait]
impl HostedCore for Sessions {
    async fn run(&self, organisation: &str, request: HostRequest) -> Result<HostedView, ServiceError> {
        self.host(organisation, request).await
    }

    async fn list(&self, organisation: &str, filter: &HostedFilter) -> Result<Vec<HostedView>, ServiceError> {
        self.hosted(organisation, filter).await
    }

    async fn describe(
        &self,
        organisation: &str,
        id: &str,
    ) -> Result<(HostedView, Vec<String>), ServiceError> {
        self.describe_hosted(organisation, id).await
    }

    async fn terminate(&self, organisation: &str, id: &str) -> Result<(), ServiceError> {
        self.terminate_hosted(organisation, id).await
    }

    async fn join(
        &self,
        organisation: &str,
        id: &str,
        players: &[String],
    ) -> Result<Vec<String>, ServiceError> {
        self.join_hosted(organisation, id, players).await
    }

    async fn leave(
        &self,
        organisation: &str,
        id: Option<&str>,
        players: &[String],
    ) -> Result<u64, ServiceError> {
        self.leave_hosted(organisation, id, players).await
    }

    async fn artifact(&self, organisation: &str, id: &str, path: &str) -> Result<Artifact, ServiceError> {
        self.hosted_artifact(organisation, id, path).await
    }

    async fn locations(&self, organisation: &str, image: &str) -> Result<Vec<LocationView>, ServiceError> {
        self.image_locations(organisation, image).await
    }

    async fn tag_exists(
        &self,
        organisation: &str,
        region: &str,
        image: &str,
        tag: &str,
    ) -> Result<bool, ServiceError> {
        self.image_has_tag(organisation, region, image, tag).await
    }

    async fn logs(&self, organisation: &str, id: &str, follow: bool) -> Result<ByteStream, ServiceError> {
        self.hosted_logs(organisation, id, follow).await
    }

    async fn grant(
        &self,
        organisation: &str,
        id: &str,
        role: Role,
        origins: Vec<String>,
        expires_in: Duration,
    ) -> Result<GrantView, ServiceError> {
        self.grant_hosted(organisation, id, role, origins, expires_in).await
    }
}
