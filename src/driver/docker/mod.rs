//! Games in containers of a Docker engine.
//!
//! What always holds: everything made bears this node's label, so that the next gateway finds it; a container is told
//! over only when the engine itself says so, never because a connection broke; whatever a game leaves is judged before
//! it touches a disk of ours.

mod addresses;
mod adopt;
mod archive;
mod artifact;
mod chunks;
mod connect;
mod create;
mod error;
mod facts;
mod instance;
mod logs;
mod look;
mod names;
mod networks;
mod paths;
mod ports;
mod remove;
mod site;
mod start;
mod stats;
mod upload;
mod watch;

pub use connect::socket;
pub use error::DockerError;

use super::{
    Adopted, ArtifactError, ByteStream, Driver, DriverError, DriverEvent, ImageFacts, Instance, Site,
    SiteRequest, StartSpec,
};
use crate::config::{DockerConfig, SessionApiConfig};
use crate::model::ids::SessionId;
use crate::model::instance::InstanceRef;
use networks::Bridge;
use std::collections::HashSet;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Where a package is mounted.
pub const PACKAGE_DIR: &str = "/game";

/// How long an engine may take to answer a ping.
const PING_WITHIN: Duration = Duration::from_secs(2);

/// Cheap to clone.
#[derive(Clone)]
pub struct DockerDriver {
    node: Arc<Node>,
}

/// What containers of the Session API need of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosting {
    /// That containers' ports are published at.
    pub ports: RangeInclusive<u16>,
    /// The address of this machine they are published at.
    pub address: IpAddr,
    /// A directory on a disk, for artifacts on their way out. Made when it is needed.
    pub spool: PathBuf,
}

impl Hosting {
    pub fn new(config: &SessionApiConfig, spool: &Path) -> Self {
        Self {
            ports: config.first_port..=config.last_port,
            address: config.port_address,
            spool: spool.to_owned(),
        }
    }
}

/// This node on its engine.
struct Node {
    engine: bollard::Docker,
    name: String,
    internal: Bridge,
    open: Bridge,
    ports: ports::Pool,
    spool: artifact::Spool,
}

impl Node {
    fn bridge(&self, egress: bool) -> &Bridge {
        if egress { &self.open } else { &self.internal }
    }
}

impl DockerDriver {
    /// Connects, negotiates the API version, and makes or adopts the two bridges of this node. `node` is its name, used in
    /// labels and names of everything made. Waits some seconds for an engine that does not answer yet.
    pub async fn connect(config: &DockerConfig, node: &str, hosting: &Hosting) -> Result<Self, DriverError> {
        let engine = connect::connect(config.host.as_deref()).await?;
        let internal = networks::ensure(&engine, node, networks::Kind::Internal, config.subnet).await?;
        let open = networks::ensure(&engine, node, networks::Kind::Open, config.open_subnet).await?;
        let ports = ports::Pool::new(&hosting.ports, hosting.address);
        let spool = artifact::Spool::new(hosting.spool.clone());
        let name = node.to_owned();
        Ok(Self { node: Arc::new(Node { engine, name, internal, open, ports, spool }) })
    }

    /// The gateway's addresses on the two bridges: internal, open. The private listener binds them.
    pub fn gateways(&self) -> [IpAddr; 2] {
        [&self.node.internal, &self.node.open].map(|bridge| IpAddr::V4(bridge.gateway))
    }

    /// The engine itself, for what is not a container (images, its health).
    pub fn engine(&self) -> &bollard::Docker {
        &self.node.engine
    }

    /// The engine answers within two seconds.
    pub async fn ping(&self) -> bool {
        matches!(tokio::time::timeout(PING_WITHIN, self.node.engine.ping()).await, Ok(Ok(_)))
    }
}

#[async_trait::async_trait]
impl Driver for DockerDriver {
    async fn image_facts(&self, image: &str) -> Result<ImageFacts, DriverError> {
        Ok(facts::of(&self.node.engine, image).await?)
    }

    async fn site(&self, _session: SessionId, request: &SiteRequest) -> Result<Site, DriverError> {
        Ok(site::choose(&self.node, request).await?)
    }

    async fn start(
        &self,
        spec: StartSpec,
        site: Site,
        events: mpsc::Sender<DriverEvent>,
    ) -> Result<Box<dyn Instance>, DriverError> {
        Ok(Box::new(start::start(Arc::clone(&self.node), spec, site, events).await?))
    }

    async fn adopt(
        &self,
        session: SessionId,
        instance: &InstanceRef,
        events: mpsc::Sender<DriverEvent>,
    ) -> Result<Option<Adopted>, DriverError> {
        match instance {
            InstanceRef::Process { .. } => Ok(None),
            InstanceRef::Container { container } => {
                Ok(adopt::adopt(&self.node, session, container, events).await?)
            }
        }
    }

    async fn find(&self, session: SessionId) -> Result<Option<InstanceRef>, DriverError> {
        Ok(adopt::find(&self.node, session).await?)
    }

    async fn logs(&self, instance: &InstanceRef, follow: bool) -> Result<Option<ByteStream>, DriverError> {
        match instance {
            InstanceRef::Process { .. } => Ok(None),
            InstanceRef::Container { container } => Ok(logs::stream(&self.node, container, follow).await?),
        }
    }

    async fn artifact(
        &self,
        instance: &InstanceRef,
        path: &str,
        limit: u64,
    ) -> Result<ByteStream, ArtifactError> {
        match instance {
            InstanceRef::Process { .. } => {
                Err(ArtifactError::NotFound("this session keeps no files".to_owned()))
            }
            InstanceRef::Container { container } => artifact::fetch(&self.node, container, path, limit).await,
        }
    }

    async fn remove_strays(&self, keep: &HashSet<SessionId>) -> Result<usize, DriverError> {
        Ok(remove::strays(&self.node, keep).await?)
    }
}
