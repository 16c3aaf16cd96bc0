//! Runs an image as a gateway would and judges it by the runner contract.
//!
//! `stand` and `script` collect facts with ports of their own, `judge` is pure: facts in, verdicts out. Nothing of a
//! running gateway is touched: the node's name and its networks are the check's own and are gone afterwards.

pub mod facts;
pub mod judge;
pub mod media;
mod pictures;
pub mod report;
mod script;
pub mod stand;
mod tape;

use super::engine::{self, EngineError};
use crate::config::{DockerConfig, SessionApiConfig};
use crate::driver::docker::Hosting;
use crate::driver::{ContainerSpec, DockerDriver, Driver, DriverError};
use crate::model::instance::Profile;
use bollard::Docker;
use bollard::query_parameters::ListNetworksOptions;
use facts::Asked;
use ipnet::Ipv4Net;
use report::CheckReport;
use rustix::fs::FlockOperation;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

/// What is to be checked and how.
#[derive(Debug, Clone)]
pub struct CheckPlan {
    /// On the engine.
    pub image: String,
    /// In place of the image's own arguments.
    pub command: Vec<String>,
    /// Variables besides the contract's.
    pub env: BTreeMap<String, String>,
    pub asked: Asked,
    /// Networks of the check's own.
    pub subnet: Ipv4Net,
    pub open_subnet: Ipv4Net,
    /// Cores.
    pub cpus: f64,
    pub memory_mb: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("the image could not be run: {0}")]
    Driver(#[from] DriverError),
    #[error("{what}")]
    Io {
        what: &'static str,
        #[source]
        source: std::io::Error,
    },
    #[error("another check uses {0}: give this one its own --subnet and --open-subnet")]
    Busy(Ipv4Net),
    #[error("interrupted")]
    Cancelled,
}

/// Runs the image and judges it. `host` as in the configuration's `docker.host`; when `cancel` is done first, everything is
/// taken down and [`CheckError::Cancelled`] given.
pub async fn run(
    plan: &CheckPlan,
    host: Option<&str>,
    cancel: impl Future<Output = ()>,
) -> Result<CheckReport, CheckError> {
    let docker = engine::connect(host).await?;
    let Ok(image) = docker.inspect_image(&plan.image).await else {
        return Err(EngineError::NoImage(plan.image.clone()).into());
    };
    let _lock = lock(plan.subnet)?;
    // One name a subnet: what an interrupted check left is adopted by the next one and removed.
    let node = format!("check-{}", plan.subnet.addr().to_string().replace('.', "-"));
    let config = DockerConfig {
        host: host.map(str::to_owned),
        subnet: plan.subnet,
        open_subnet: plan.open_subnet,
        ..DockerConfig::default()
    };
    let hosting = Hosting::new(&SessionApiConfig::default(), &std::env::temp_dir());
    let driver = DockerDriver::connect(&config, &node, &hosting).await?;
    driver.remove_strays(&HashSet::new()).await?;
    let container = ContainerSpec {
        profile: Profile::Game,
        image: image.id.unwrap_or_else(|| plan.image.clone()),
        command: plan.command.clone(),
        package: None,
        save_path: plan.asked.save_path.clone(),
        cpus: plan.cpus,
        memory_bytes: plan.memory_mb << 20,
        pids: 256,
        egress: false,
        devices: Vec::new(),
        gpus: 0,
    };
    let subject = stand::Subject {
        container: Some(container),
        env: plan.env.clone(),
        game: plan.image.clone(),
        engine: Some(docker.clone()),
    };
    let facts = stand::observe(&driver, &subject, &plan.asked, cancel).await;
    drop(driver);
    remove_networks(&docker, &node).await;
    let facts = facts?;
    let mut report = CheckReport::new(plan.image.clone(), judge::judge(&facts));
    report.last_words = facts.last_words;
    Ok(report)
}

/// Held while the check runs; the kernel gives it back however the check ends.
fn lock(subnet: Ipv4Net) -> Result<std::fs::File, CheckError> {
    let name = format!("playgate-check-{}.lock", subnet.addr());
    let opened = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(std::env::temp_dir().join(name))
        .map_err(|source| CheckError::Io { what: "cannot open the check's lock file", source })?;
    match rustix::fs::flock(&opened, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(opened),
        Err(_) => Err(CheckError::Busy(subnet)),
    }
}

/// The driver keeps its bridges for the next start of its gateway; a check has none.
async fn remove_networks(docker: &Docker, node: &str) {
    let filters = HashMap::from([("label".to_owned(), vec![format!("playgate.node={node}")])]);
    let options = ListNetworksOptions { filters: Some(filters) };
    let networks = match docker.list_networks(Some(options)).await {
        Ok(networks) => networks,
        Err(error) => {
            tracing::warn!(%error, "the check's networks could not be removed");
            return;
        }
    };
    for id in networks.into_iter().filter_map(|network| network.id) {
        if let Err(error) = docker.remove_network(&id).await {
            tracing::warn!(%error, "a network of the check's could not be removed");
        }
    }
}

/// What a game is asked for when nobody says otherwise.
impl Default for Asked {
    fn default() -> Self {
        Self {
            width: 1280,
            height: 720,
            fps: 30,
            kbps: 6000,
            encoder: None,
            save_path: "/save".to_owned(),
            save_expected: false,
            start_timeout: Duration::from_secs(60),
            grace: Duration::from_secs(5),
            baseline: Duration::from_secs(4),
            key_answer: Duration::from_millis(500),
        }
    }
}
