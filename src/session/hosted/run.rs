//! Starts hosted sessions.

use super::{HostRequest, HostedView};
use crate::session::{ServiceError, Sessions};

impl Sessions {
    /// Contract G-1.
    pub async fn host(&self, organisation: &str, request: HostRequest) -> Result<HostedView, ServiceError> {
        let _ = (organisation, request);
        Err(ServiceError::NoServers)
    }
}
