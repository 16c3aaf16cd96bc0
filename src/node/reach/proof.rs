//! The proof from inside: a short container on the node's internal bridge tries to connect.
//!
//! It runs this very program, mounted read-only, as user 1000 with no capability, as a game would; the image only has to
//! bring a C library that fits. UDP is not tried: silence would prove nothing.

use super::sockets::Transport;
use super::{Bridges, Reachable, to_prove};
use anyhow::{Context, Result, bail};
use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptions, ListNetworksOptions, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
    StartContainerOptions, WaitContainerOptions,
};
use futures_util::StreamExt;
use ipnet::Ipv4Net;
use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

/// Where this program is, inside.
const PROGRAM: &str = "/playgate-check";
/// A refusal comes at once; only what a packet filter drops takes longer.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1500);
const RUN_TIMEOUT: Duration = Duration::from_secs(60);
const MEMORY_BYTES: i64 = 128 << 20;
const PIDS: i64 = 64;

/// Fills in what a container of `image` on the network of `subnet` reached.
pub async fn prove(
    engine: &Docker,
    node: &str,
    image: &str,
    subnet: Ipv4Net,
    bridges: Bridges,
    found: &mut [Reachable],
) -> Result<()> {
    let ports = to_prove(found);
    if ports.is_empty() {
        return Ok(());
    }
    let network = network_of(engine, subnet).await?;
    let name = format!("playgate-{node}-check-{}", uuid::Uuid::new_v4().simple());
    let program = std::env::current_exe().context("cannot find this program")?;
    let body = container(node, image, &network, &program, bridges.internal, &ports);
    let options = CreateContainerOptions { name: Some(name.clone()), ..CreateContainerOptions::default() };
    engine.create_container(Some(options), body).await.context("cannot make the container")?;
    let run = tokio::time::timeout(RUN_TIMEOUT, run(engine, &name)).await;
    let force = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    engine.remove_container(&name, Some(force)).await.context("cannot remove the container")?;
    let said = run.context("the container took too long")??;
    let results: BTreeMap<u16, bool> =
        serde_json::from_str(said.trim()).with_context(|| format!("the container said: {}", said.trim()))?;
    for one in found.iter_mut().filter(|one| one.internal && one.listening.transport == Transport::Tcp) {
        one.proved = results.get(&one.listening.address.port()).copied();
    }
    Ok(())
}

/// What runs inside: tries each port and tells `{"22": true, ...}`.
pub fn reach(host: Ipv4Addr, ports: &[u16]) -> BTreeMap<u16, bool> {
    let tries: Vec<_> = ports
        .iter()
        .map(|port| {
            let address = SocketAddr::from((host, *port));
            (*port, std::thread::spawn(move || TcpStream::connect_timeout(&address, CONNECT_TIMEOUT).is_ok()))
        })
        .collect();
    tries.into_iter().map(|(port, attempt)| (port, attempt.join().unwrap_or(false))).collect()
}

/// The node's network by its subnet: made by the gateway at its start.
async fn network_of(engine: &Docker, subnet: Ipv4Net) -> Result<String> {
    let wanted = subnet.trunc().to_string();
    let networks =
        engine.list_networks(None::<ListNetworksOptions>).await.context("cannot ask the engine")?;
    let found = networks.into_iter().find(|network| {
        let configs = network.ipam.iter().filter_map(|ipam| ipam.config.as_ref()).flatten();
        configs.filter_map(|config| config.subnet.as_deref()).any(|subnet| subnet == wanted)
    });
    match found.and_then(|network| network.name) {
        Some(name) => Ok(name),
        None => {
            bail!(
                "there is no network {wanted} (docker.subnet) yet: a gateway with a container game makes it"
            )
        }
    }
}

fn container(
    node: &str,
    image: &str,
    network: &str,
    program: &Path,
    host: Ipv4Addr,
    ports: &[u16],
) -> ContainerCreateBody {
    let words = ["node", "reach", &host.to_string()].map(str::to_owned).into_iter();
    ContainerCreateBody {
        image: Some(image.to_owned()),
        entrypoint: Some(vec![PROGRAM.to_owned()]),
        cmd: Some(words.chain(ports.iter().map(u16::to_string)).collect()),
        user: Some("1000:1000".to_owned()),
        labels: Some(HashMap::from([("playgate.node".to_owned(), node.to_owned())])),
        host_config: Some(HostConfig {
            binds: Some(vec![format!("{}:{PROGRAM}:ro", program.display())]),
            network_mode: Some(network.to_owned()),
            cap_drop: Some(vec!["ALL".to_owned()]),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            readonly_rootfs: Some(true),
            memory: Some(MEMORY_BYTES),
            pids_limit: Some(PIDS),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

/// Runs it to its end; gives what it said on standard output.
async fn run(engine: &Docker, name: &str) -> Result<String> {
    let start = engine.start_container(name, None::<StartContainerOptions>).await;
    start.context("cannot start the container: does the image fit this program's C library?")?;
    let mut end = engine.wait_container(name, None::<WaitContainerOptions>);
    // A code other than 0 is an error here; what was said tells more.
    while end.next().await.is_some_and(|ended| ended.is_ok()) {}
    let options = LogsOptionsBuilder::default().stdout(true).stderr(true).build();
    let mut logs = engine.logs(name, Some(options));
    let mut said = String::new();
    while let Some(output) = logs.next().await {
        said.push_str(&output.context("cannot read what the container said")?.to_string());
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn what_listens_is_reached_and_what_does_not_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap().port();
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let reached = reach(Ipv4Addr::LOCALHOST, &[open, closed]);
        assert_eq!(reached, BTreeMap::from([(open, true), (closed, false)]));
    }
}
