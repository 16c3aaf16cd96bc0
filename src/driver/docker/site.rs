//! Where a container lives: its address on one of the node's bridges, and its ports on this machine.

use super::error::DockerError;
use super::names::{PROFILE, profile_name};
use super::networks::Kind;
use super::{Bridge, Node, addresses, ports};
use crate::driver::{Site, SiteRequest};
use crate::model::instance::Profile;
use bollard::models::ContainerInspectResponse;
use std::net::{IpAddr, Ipv4Addr};

/// Keeps address and ports taken. Cheap to clone; they are free when every clone is gone.
#[derive(Debug, Clone, Default)]
pub(super) struct Leases {
    address: Option<addresses::Lease>,
    ports: Option<ports::Lease>,
}

impl Leases {
    /// Those of a site; none when it was not made here.
    pub(super) fn of(site: &mut Site) -> Self {
        let lease = site.lease.take().and_then(|lease| lease.downcast::<Self>().ok());
        lease.map(|lease| *lease).unwrap_or_default()
    }
}

pub(super) async fn choose(node: &Node, request: &SiteRequest) -> Result<Site, DockerError> {
    let bridge = node.bridge(request.egress);
    let ports = if request.ports.is_empty() {
        None
    } else if bridge.kind == Kind::Internal {
        return Err(DockerError::PortsInside);
    } else {
        let taken = ports::published(&node.engine).await?;
        Some(node.ports.lend(&request.ports, &taken)?)
    };
    let address = bridge.lend(&node.engine).await?;
    Ok(Site {
        address: Some(IpAddr::V4(address.address())),
        gateway: Some(IpAddr::V4(bridge.gateway)),
        ports: ports.as_ref().map(|ports| ports.ports().to_vec()).unwrap_or_default(),
        lease: Some(Box::new(Leases { address: Some(address), ports })),
    })
}

/// The site of a container that an earlier gateway has made, taken back. One that has ended needs none, unless it may be
/// started again.
pub(super) fn found(node: &Node, container: &ContainerInspectResponse, running: bool) -> (Site, Leases) {
    if !running && profile(container) != Some(Profile::Server) {
        return (Site::default(), Leases::default());
    }
    let ports = ports::bound(container);
    let mut leases = Leases::default();
    if !ports.is_empty() {
        leases.ports = Some(node.ports.take_back(&ports));
    }
    let mut site = Site { ports, ..Site::default() };
    if let Some((bridge, address)) = place(node, container) {
        leases.address = bridge.pool.take_back(address);
        site.address = Some(IpAddr::V4(address));
        site.gateway = Some(IpAddr::V4(bridge.gateway));
    }
    site.lease = Some(Box::new(leases.clone()));
    (site, leases)
}

fn place<'a>(node: &'a Node, container: &ContainerInspectResponse) -> Option<(&'a Bridge, Ipv4Addr)> {
    let networks = container.network_settings.as_ref()?.networks.as_ref()?;
    let on = |bridge: &Bridge| {
        let endpoint = networks.get(&bridge.name)?;
        let fixed = endpoint.ipam_config.as_ref().and_then(|ipam| ipam.ipv4_address.as_ref());
        fixed.or(endpoint.ip_address.as_ref())?.parse::<Ipv4Addr>().ok()
    };
    [&node.internal, &node.open].into_iter().find_map(|bridge| Some((bridge, on(bridge)?)))
}

/// As labelled.
fn profile(container: &ContainerInspectResponse) -> Option<Profile> {
    let label = container.config.as_ref()?.labels.as_ref()?.get(PROFILE)?;
    [Profile::Game, Profile::Server].into_iter().find(|profile| profile_name(*profile) == label)
}
