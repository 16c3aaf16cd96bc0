//! Drivers start and stop what plays a game: `process` (a child on this machine), `docker` (a container of the engine's),
//! `external` (nothing at all).
//!
//! A driver knows processes, containers and files; it knows no rule of a session.

pub mod docker;
pub mod external;
pub mod process;

pub use docker::DockerDriver;
pub use external::ExternalDriver;
pub use process::ProcessDriver;

use crate::model::ids::{Generation, SessionId};
use crate::model::instance::{ExposedPort, InstanceRef, Port, Profile};
use crate::save_tree::{LeftOut, SaveLimits, SaveRefused};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use std::collections::{BTreeMap, HashSet};
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;

/// What is to be started.
#[derive(Debug, Clone)]
pub struct StartSpec {
    pub session: SessionId,
    pub generation: Generation,
    /// The built-in game to run, or the external game's slug.
    pub game: String,
    /// The runner contract's variables.
    pub env: BTreeMap<String, String>,
    /// A directory of this session's own on this machine, holding the restored save. The process driver's game works in
    /// it; the docker driver copies it into the container.
    pub save_dir: PathBuf,
    /// Seed of the game's chance. Absent: the runner's choice.
    pub seed: Option<u64>,
    /// Draw the measuring marker into the picture.
    pub marker: bool,
    /// How the container is made; the docker driver's alone.
    pub container: Option<ContainerSpec>,
}

/// What an image says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageFacts {
    /// In order.
    pub ports: Vec<ExposedPort>,
    pub labels: BTreeMap<String, String>,
}

/// What is asked of an instance's site.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SiteRequest {
    /// On the open network instead of the internal one.
    pub egress: bool,
    /// To be published.
    pub ports: Vec<ExposedPort>,
}

/// Bytes as they come; an error ends them.
pub type ByteStream = BoxStream<'static, io::Result<Bytes>>;

/// A container to make.
#[derive(Debug, Clone, PartialEq)]
pub struct ContainerSpec {
    pub profile: Profile,
    /// Present on the engine: an image id, `sha256:...`, or a reference.
    pub image: String,
    /// In place of the image's own arguments. Empty: the image's.
    pub command: Vec<String>,
    /// A directory of this machine, mounted read-only at [`docker::PACKAGE_DIR`].
    pub package: Option<PathBuf>,
    /// Where the game keeps its save, inside: an absolute path.
    pub save_path: String,
    /// Cores.
    pub cpus: f64,
    pub memory_bytes: u64,
    pub pids: u32,
    /// On the open network instead of the internal one.
    pub egress: bool,
    /// Device files of this machine.
    pub devices: Vec<String>,
    pub gpus: u32,
}

/// What must be known of an instance before it starts: where it will live. Given back when dropped, if no instance took it.
#[derive(Debug, Default)]
pub struct Site {
    /// The address its media will come from. Absent: this machine's own.
    pub address: Option<IpAddr>,
    /// The gateway's address on its network, where control and media are received. Absent: the private listener's.
    pub gateway: Option<IpAddr>,
    /// Where the ports asked for are published.
    pub ports: Vec<Port>,
    /// Keeps address and ports taken; dropped with the instance.
    pub lease: Option<Box<dyn std::any::Any + Send + Sync>>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum DriverEvent {
    /// It ended without being asked to.
    Exited { code: Option<i32>, signal: Option<i32>, out_of_memory: bool },
}

/// What an instance used, over all its processes.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Usage {
    pub cpu_seconds: f64,
    /// At the last look.
    pub memory_bytes: u64,
    pub peak_memory_bytes: u64,
    pub network_rx_bytes: u64,
    pub network_tx_bytes: u64,
}

/// The end of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Ended {
    /// Final.
    pub usage: Usage,
    /// Absent when a signal ended it, or when nobody knows.
    pub exit_code: Option<i32>,
    pub out_of_memory: bool,
}

/// An instance of an earlier gateway, found again.
pub struct Adopted {
    pub instance: Box<dyn Instance>,
    pub site: Site,
    /// It still plays. False: it has ended; only its save and its figures are left to collect.
    pub running: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    #[error("cannot start the game: {0}")]
    Start(#[source] std::io::Error),
    /// A port of the site was free when it was chosen and is not any more: another site may do. A sentence for people.
    #[error("{0}")]
    PortTaken(String),
    /// A sentence for people, without its full stop.
    #[error("{0}")]
    Other(String),
}

/// Why a save did not come out of an instance.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// May pass: worth another try.
    #[error(transparent)]
    Failed(#[from] DriverError),
    /// Never passes.
    #[error(transparent)]
    Refused(#[from] SaveRefused),
}

/// Why there is no artifact.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The container, or the path in it. A sentence for people, without its full stop.
    #[error("{0}")]
    NotFound(String),
    #[error("what is there is larger than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error(transparent)]
    Driver(#[from] DriverError),
}

/// Starts instances.
#[async_trait::async_trait]
pub trait Driver: Send + Sync {
    /// What an image that is here says of itself; by id or reference.
    async fn image_facts(&self, _image: &str) -> Result<ImageFacts, DriverError> {
        Ok(ImageFacts::default())
    }

    /// Chooses where an instance will live, before anything of it exists.
    async fn site(&self, _session: SessionId, _request: &SiteRequest) -> Result<Site, DriverError> {
        Ok(Site::default())
    }

    /// Starts an instance; events come until it has ended. Dropping the future before it is done leaves nothing running.
    async fn start(
        &self,
        spec: StartSpec,
        site: Site,
        events: mpsc::Sender<DriverEvent>,
    ) -> Result<Box<dyn Instance>, DriverError>;

    /// Finds an earlier gateway's instance again, playing or ended. A driver whose games do not outlive their gateway
    /// ends what is left of it here and gives `None`.
    async fn adopt(
        &self,
        session: SessionId,
        instance: &InstanceRef,
        events: mpsc::Sender<DriverEvent>,
    ) -> Result<Option<Adopted>, DriverError>;

    /// Looks for an instance of a session that the store knows no instance of: it was started, and the gateway died before
    /// that was written. One that was made and never started is not found.
    async fn find(&self, _session: SessionId) -> Result<Option<InstanceRef>, DriverError> {
        Ok(None)
    }

    /// What an instance has written to its standard output and error so far, both in one, as they came; with `follow`,
    /// further lines until it has ended. Read no faster than it is taken. `None` when the instance is gone.
    async fn logs(&self, _instance: &InstanceRef, _follow: bool) -> Result<Option<ByteStream>, DriverError> {
        Ok(None)
    }

    /// A file or folder of an instance that has ended, as a gzip-compressed tar. `path` is absolute; `limit` bounds the
    /// sum of the sizes, and is held against what is there before the first byte is given out.
    async fn artifact(
        &self,
        _instance: &InstanceRef,
        _path: &str,
        _limit: u64,
    ) -> Result<ByteStream, ArtifactError> {
        Err(ArtifactError::NotFound("this session keeps no files".to_owned()))
    }

    /// Removes everything of this node's that belongs to no session of `keep`; gives how many sessions' it was.
    async fn remove_strays(&self, _keep: &HashSet<SessionId>) -> Result<usize, DriverError> {
        Ok(0)
    }
}

/// A running instance.
#[async_trait::async_trait]
pub trait Instance: Send + Sync {
    /// Absent when there is nothing to find again (external).
    fn reference(&self) -> Option<InstanceRef>;

    /// Usage up to now; after the end, the final figures.
    async fn usage(&self) -> Usage;

    /// SIGTERM, `grace`, SIGKILL; returns when every process is gone. Idempotent, also after it ended by itself.
    async fn stop(&self, grace: Duration) -> Ended;

    /// After it ended by itself: starts the same one again, with its files and ports as they are. Events come again until it
    /// has ended; usage goes on from what it was.
    async fn restart(&self, _events: mpsc::Sender<DriverEvent>) -> Result<(), DriverError> {
        Err(DriverError::Other("a game of this kind is not started again".to_owned()))
    }

    /// After the end: brings the save that the instance left to `target`, in place of what is there, and tells what of it is
    /// not kept; on failure `target` stays as it was. A driver whose games work in `StartSpec::save_dir` does nothing.
    async fn collect_save(&self, _target: &Path, _limits: SaveLimits) -> Result<LeftOut, CollectError> {
        Ok(LeftOut::default())
    }

    /// After the end: leaves nothing behind. Idempotent.
    async fn remove(&self) -> Result<(), DriverError> {
        Ok(())
    }
}
