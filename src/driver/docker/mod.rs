//! Games in containers of a Docker engine.

use super::{Adopted, Driver, DriverError, DriverEvent, Instance, InstanceRef, Site, StartSpec};
use crate::config::DockerConfig;
use crate::ids::SessionId;
use std::collections::HashSet;
use std::net::IpAddr;
use tokio::sync::mpsc;

/// Where a package is mounted.
pub const PACKAGE_DIR: &str = "/game";

/// Cheap to clone.
#[derive(Clone)]
pub struct DockerDriver {
    bollard: bollard::Docker,
}

impl DockerDriver {
    /// Connects, negotiates the API version, and makes or adopts the two bridges of this node. `node` is its name, used in
    /// labels and names of everything made. Waits some seconds for an engine that does not answer yet.
    pub async fn connect(_config: &DockerConfig, _node: &str) -> Result<Self, DriverError> {
        unimplemented!()
    }

    /// The gateway's addresses on the two bridges: internal, open. The private listener binds them.
    pub fn gateways(&self) -> [IpAddr; 2] {
        unimplemented!()
    }

    /// The engine itself, for what is not a container (images, its health).
    pub fn engine(&self) -> &bollard::Docker {
        &self.bollard
    }
}

#[async_trait::async_trait]
impl Driver for DockerDriver {
    async fn site(&self, _session: SessionId, _egress: bool) -> Result<Site, DriverError> {
        unimplemented!()
    }

    async fn start(
        &self,
        _spec: StartSpec,
        _site: Site,
        _events: mpsc::Sender<DriverEvent>,
    ) -> Result<Box<dyn Instance>, DriverError> {
        unimplemented!()
    }

    async fn adopt(
        &self,
        _session: SessionId,
        _instance: &InstanceRef,
        _events: mpsc::Sender<DriverEvent>,
    ) -> Result<Option<Adopted>, DriverError> {
        unimplemented!()
    }

    async fn remove_strays(&self, _keep: &HashSet<SessionId>) -> Result<usize, DriverError> {
        unimplemented!()
    }
}
