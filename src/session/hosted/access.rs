//! What an organisation does with its hosted sessions.

use super::Artifact;
use crate::driver::ByteStream;
use crate::session::view::GrantView;
use crate::session::{ServiceError, Sessions};
use playgate_signaling::message::Role;
use std::time::Duration;

impl Sessions {
    pub async fn terminate_hosted(&self, _organisation: &str, _id: &str) -> Result<(), ServiceError> {
        Err(ServiceError::NoServers)
    }

    pub async fn join_hosted(
        &self,
        _organisation: &str,
        _id: &str,
        _players: &[String],
    ) -> Result<Vec<String>, ServiceError> {
        Err(ServiceError::NoServers)
    }

    pub async fn leave_hosted(
        &self,
        _organisation: &str,
        _id: Option<&str>,
        _players: &[String],
    ) -> Result<u64, ServiceError> {
        Err(ServiceError::NoServers)
    }

    pub async fn hosted_artifact(
        &self,
        _organisation: &str,
        _id: &str,
        _path: &str,
    ) -> Result<Artifact, ServiceError> {
        Err(ServiceError::NoServers)
    }

    pub async fn hosted_logs(
        &self,
        _organisation: &str,
        _id: &str,
        _follow: bool,
    ) -> Result<ByteStream, ServiceError> {
        Err(ServiceError::NoServers)
    }

    pub async fn grant_hosted(
        &self,
        _organisation: &str,
        _id: &str,
        _role: Role,
        _origins: Vec<String>,
        _expires_in: Duration,
    ) -> Result<GrantView, ServiceError> {
        Err(ServiceError::NoServers)
    }
}
