//! A node of a test's own on the Docker engine, and the games that `tests/games/build` made.
//!
//! Everything of the node is found by its label and removed when the fixture is dropped, also by a panic. What a test that was
//! killed has left is removed by the next one.

use super::gateway::{Gateway, Options};
use super::processes;
use super::wait::{PATIENT, SOON, eventually};
use bollard::Docker;
use bollard::query_parameters::{
    InspectContainerOptions, ListContainersOptionsBuilder, ListNetworksOptionsBuilder,
    ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder, RemoveVolumeOptions,
};
use serde::Deserialize;
use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const NODE: &str = "playgate.node";
const SESSION: &str = "playgate.session";
/// How the names of these nodes begin; the process id follows.
const PREFIX: &str = "e2e-";
/// Where a probe has its shell.
const SHELL_PORT: u16 = 7777;

/// What `games.json` says.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Games {
    pub(crate) the_question: String,
    pub(crate) freedoom: String,
    pub(crate) runner: String,
    pub(crate) built_in: String,
    pub(crate) probe: String,
    pub(crate) clicks: String,
    pub(crate) nginx: String,
    pub(crate) package: PackageFile,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct PackageFile {
    pub(crate) path: PathBuf,
    pub(crate) launcher: String,
}

/// The games that were made for this build.
pub(crate) fn games() -> Games {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../games/games.json");
    let text = std::fs::read_to_string(&file);
    let text =
        text.unwrap_or_else(|error| panic!("{}: {error}: bash tests/games/build makes it", file.display()));
    serde_json::from_str(&text).unwrap()
}

/// A game's entry in the configuration; `more` are further lines of it.
pub(crate) fn image_game(slug: &str, image: &str, more: &str) -> String {
    format!("[[games]]\nslug = \"{slug}\"\ntitle = \"{slug}\"\nimage = \"{image}\"\n{more}\n")
}

/// A built-in game in a container. Whichever it is, its save is where the contract says.
pub(crate) fn built_in_game(slug: &str, game: &str, more: &str) -> String {
    image_game(slug, &games().built_in, &format!("container.command = [\"{game}\"]\n{more}"))
}

/// An engine, and a node's name and networks on it.
pub(crate) struct Engine {
    pub(crate) docker: Docker,
    pub(crate) node: String,
    host: Option<String>,
    third: u8,
}

impl Engine {
    /// The engine of this machine.
    pub(crate) async fn connect() -> Self {
        Self::at(None).await
    }

    /// Another one, `unix:///path`.
    pub(crate) async fn at(host: Option<String>) -> Self {
        let docker = connect(host.as_deref()).await;
        sweep(&docker).await;
        let pid = std::process::id();
        let third = free_third(&docker, pid).await;
        Self { docker, node: format!("{PREFIX}{pid}"), host, third }
    }

    /// Configuration of a gateway of this node; `toml` follows, dotted keys first.
    pub(crate) fn toml(&self, toml: &str) -> String {
        let host = self.host.as_ref().map(|host| format!("docker.host = \"{host}\"\n")).unwrap_or_default();
        format!(
            "node.name = \"{}\"\n{host}docker.subnet = \"10.214.{third}.0/24\"\n\
             docker.open_subnet = \"10.215.{third}.0/24\"\ndocker.runner_image = \"{}\"\n{toml}",
            self.node,
            games().runner,
            third = self.third,
        )
    }

    /// A gateway of this node.
    pub(crate) async fn gateway(&self, toml: &str) -> Gateway {
        Gateway::with(Options { toml: self.toml(toml), ..Options::default() }).await
    }

    /// The container of a session, as soon as there is one.
    pub(crate) async fn container(&self, session: &str) -> String {
        eventually("the session has a container", PATIENT, async || {
            self.find_container(session).await.ok_or_else(|| "it has none".to_owned())
        })
        .await
    }

    /// The container of a session, running or not.
    pub(crate) async fn find_container(&self, session: &str) -> Option<String> {
        let filter = labelled(&format!("{SESSION}={session}"));
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filter).build();
        let found = self.docker.list_containers(Some(options)).await.unwrap();
        // The driver has helpers that never run beside some containers.
        let is_helper = |name: &String| name.ends_with("-porter");
        found
            .into_iter()
            .find(|container| !container.names.iter().flatten().any(is_helper))
            .and_then(|container| container.id)
    }

    pub(crate) async fn until_no_container(&self, session: &str) {
        eventually("the session's container is gone", PATIENT, async || {
            self.find_container(session).await.map_or(Ok(()), Err)
        })
        .await;
    }

    /// SIGKILL to everything in a container.
    pub(crate) async fn kill(&self, container: &str) {
        self.docker.kill_container(container, None).await.expect("a running container can be killed");
    }

    /// The container's first process, as this machine counts it.
    pub(crate) async fn pid(&self, container: &str) -> u32 {
        eventually("the container runs", PATIENT, async || {
            let inspected = self.inspect(container).await;
            let pid = inspected.state.and_then(|state| state.pid).unwrap_or_default();
            u32::try_from(pid).ok().filter(|pid| *pid > 0).ok_or_else(|| "it has no process".to_owned())
        })
        .await
    }

    /// The container's environment.
    pub(crate) async fn environment(&self, container: &str) -> HashMap<String, String> {
        let entries = self.inspect(container).await.config.and_then(|config| config.env).unwrap_or_default();
        let pairs = entries.iter().filter_map(|entry| entry.split_once('='));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    /// The container's address on its node's network.
    pub(crate) async fn address(&self, container: &str) -> Ipv4Addr {
        eventually("the container has an address", PATIENT, async || {
            let networks = self.inspect(container).await.network_settings.and_then(|net| net.networks);
            let addresses = networks.unwrap_or_default();
            let mut addresses = addresses.values().filter_map(|network| network.ip_address.as_deref());
            addresses.find_map(|address| address.parse().ok()).ok_or_else(|| "it has none".to_owned())
        })
        .await
    }

    async fn inspect(&self, container: &str) -> bollard::models::ContainerInspectResponse {
        self.docker.inspect_container(container, None::<InspectContainerOptions>).await.unwrap()
    }

    /// Runs a command of bash's in a probe; gives what it wrote.
    pub(crate) async fn ask(&self, probe: &str, command: &str) -> String {
        let address = self.address(probe).await;
        let mut shell = eventually("the probe's shell answers", PATIENT, async || {
            let connected = TcpStream::connect((address, SHELL_PORT)).await;
            connected.map_err(|error| error.to_string())
        })
        .await;
        shell.write_all(format!("exec 2>&1\n{command}\nexit\n").as_bytes()).await.unwrap();
        let mut said = String::new();
        let read = tokio::time::timeout(PATIENT, shell.read_to_string(&mut said)).await;
        read.expect("the command ends").unwrap();
        said
    }

    /// CPU seconds of a container by its cgroup, of either version.
    pub(crate) async fn cgroup_cpu_seconds(&self, container: &str) -> f64 {
        let group = self.cgroup(container).await;
        // Version 1 has a file of nanoseconds.
        if let Ok(nanoseconds) = std::fs::read_to_string(group.join("cpuacct.usage")) {
            return nanoseconds.trim().parse::<f64>().expect("a number") / 1e9;
        }
        let stat = std::fs::read_to_string(group.join("cpu.stat")).unwrap();
        let usage = stat.lines().find_map(|line| line.strip_prefix("usage_usec "));
        usage.and_then(|usage| usage.trim().parse::<f64>().ok()).expect("usage_usec") / 1e6
    }

    /// Every process of a container, as this machine counts them.
    pub(crate) async fn processes(&self, container: &str) -> Vec<u32> {
        let pids = std::fs::read_to_string(self.cgroup(container).await.join("cgroup.procs")).unwrap();
        pids.lines().filter_map(|pid| pid.trim().parse().ok()).collect()
    }

    /// The folder of the container's cgroup that counts CPU time.
    async fn cgroup(&self, container: &str) -> PathBuf {
        let pid = self.pid(container).await;
        let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
        let path = |controller: &str| {
            let mut lines = groups.lines().filter_map(|line| {
                let mut parts = line.splitn(3, ':').skip(1);
                Some((parts.next()?, parts.next()?))
            });
            lines.find(|(names, _)| names.split(',').any(|name| name == controller)).map(|(_, path)| path)
        };
        match path("cpuacct") {
            Some(path) => PathBuf::from(format!("/sys/fs/cgroup/cpuacct{path}")),
            None => PathBuf::from(format!("/sys/fs/cgroup{}", path("").expect("a cgroup"))),
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let (host, node) = (self.host.clone(), self.node.clone());
        // A failed test's runtime does not wait for anything: this has its own.
        let cleaning = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let cleaned = async {
                    let docker = connect(host.as_deref()).await;
                    remove_node(&docker, &node).await;
                };
                let _ = tokio::time::timeout(PATIENT, cleaned).await;
            });
        });
        let _ = cleaning.join();
    }
}

async fn connect(host: Option<&str>) -> Docker {
    let docker = match host {
        Some(host) => Docker::connect_with_host(host),
        None => Docker::connect_with_defaults(),
    };
    let docker = docker.expect("an address of an engine");
    eventually("a Docker engine answers (bash tests/run starts one)", SOON, async || {
        docker.clone().negotiate_version().await.map_err(|error| error.to_string())
    })
    .await
}

fn labelled(label: &str) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![label.to_owned()])])
}

/// A third byte whose two networks nobody has, from the process id on.
async fn free_third(docker: &Docker, pid: u32) -> u8 {
    let networks = docker.list_networks(None).await.unwrap();
    let pools = networks.into_iter().filter_map(|network| network.ipam?.config).flatten();
    let taken: HashSet<String> = pools.filter_map(|pool| pool.subnet).collect();
    let wanted = (0..250).map(|step| u8::try_from((pid + step) % 250).unwrap());
    let mut free = wanted.filter(|third| {
        !["10.214", "10.215"].iter().any(|net| taken.contains(&format!("{net}.{third}.0/24")))
    });
    free.next().expect("a subnet is free")
}

/// Removes what tests that were killed have left.
async fn sweep(docker: &Docker) {
    let options = ListContainersOptionsBuilder::default().all(true).filters(&labelled(NODE)).build();
    let containers = docker.list_containers(Some(options)).await.unwrap();
    let options = ListNetworksOptionsBuilder::default().filters(&labelled(NODE)).build();
    let networks = docker.list_networks(Some(options)).await.unwrap();
    let labels = containers.into_iter().filter_map(|container| container.labels);
    let labels = labels.chain(networks.into_iter().filter_map(|network| network.labels));
    let nodes: HashSet<String> = labels.filter_map(|mut labels| labels.remove(NODE)).collect();
    for node in nodes {
        let pid = node.strip_prefix(PREFIX).and_then(|pid| pid.parse::<u32>().ok());
        if pid.is_some_and(|pid| !processes::is_alive(pid)) {
            remove_node(docker, &node).await;
        }
    }
}

/// Best effort: what is gone is gone.
async fn remove_node(docker: &Docker, node: &str) {
    let filter = labelled(&format!("{NODE}={node}"));
    let options = ListContainersOptionsBuilder::default().all(true).filters(&filter).build();
    for container in docker.list_containers(Some(options)).await.unwrap_or_default() {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        let _ = docker.remove_container(&container.id.unwrap_or_default(), Some(options)).await;
    }
    let options = ListVolumesOptionsBuilder::default().filters(&filter).build();
    let volumes = docker.list_volumes(Some(options)).await.ok().and_then(|list| list.volumes);
    for volume in volumes.unwrap_or_default() {
        let _ = docker.remove_volume(&volume.name, None::<RemoveVolumeOptions>).await;
    }
    let options = ListNetworksOptionsBuilder::default().filters(&filter).build();
    for network in docker.list_networks(Some(options)).await.unwrap_or_default() {
        let _ = docker.remove_network(&network.id.unwrap_or_default()).await;
    }
}

/// For a download that a test lets through: longer than any of its own waits.
pub(crate) const LONG: Duration = Duration::from_secs(120);
