//! The node's two bridges: made when they are not there, adopted when they are ours.
//!
//! Games on them do not reach each other. They are never removed here: the next gateway adopts them.

use super::addresses::{Lease, Pool, gateway_of};
use super::error::{DockerError, status_of};
use super::names::NODE;
use bollard::Docker;
use bollard::models::{Ipam, IpamConfig, Network, NetworkCreateRequest};
use bollard::query_parameters::{InspectNetworkOptions, ListNetworksOptionsBuilder};
use ipnet::Ipv4Net;
use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;

/// Containers of one bridge reaching each other.
const ICC: &str = "com.docker.network.bridge.enable_icc";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// No way out.
    Internal,
    /// With egress.
    Open,
}

impl Kind {
    fn name(self, node: &str) -> String {
        match self {
            Self::Internal => format!("playgate-{node}-game"),
            Self::Open => format!("playgate-{node}-open"),
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::Internal => "docker.subnet",
            Self::Open => "docker.open_subnet",
        }
    }
}

/// One of the node's bridges.
#[derive(Debug)]
pub(super) struct Bridge {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) gateway: Ipv4Addr,
    pub(super) pool: Pool,
    subnet: Ipv4Net,
}

impl Bridge {
    /// Lends an address that no container of this bridge has.
    pub(super) async fn lend(&self, engine: &Docker) -> Result<Lease, DockerError> {
        let taken = self.taken(engine).await?;
        self.pool.lend(&taken).ok_or(DockerError::NoAddress { key: self.kind.key(), subnet: self.subnet })
    }

    /// Addresses of running containers, ours or not.
    async fn taken(&self, engine: &Docker) -> Result<HashSet<Ipv4Addr>, DockerError> {
        let network = engine
            .inspect_network(&self.name, None::<InspectNetworkOptions>)
            .await
            .map_err(DockerError::engine("tell who is on the node's network"))?;
        let endpoints = network.containers.unwrap_or_default().into_values();
        Ok(endpoints
            .filter_map(|endpoint| endpoint.ipv4_address)
            .filter_map(|address| address.split('/').next()?.parse().ok())
            .collect())
    }
}

pub(super) async fn ensure(
    engine: &Docker,
    node: &str,
    kind: Kind,
    subnet: Ipv4Net,
) -> Result<Bridge, DockerError> {
    let subnet = subnet.trunc();
    let name = kind.name(node);
    match find(engine, &name).await? {
        Some(found) => check(&found, node, kind, subnet)?,
        None => create(engine, node, kind, subnet).await?,
    }
    Ok(Bridge { kind, name, gateway: gateway_of(subnet), pool: Pool::new(subnet), subnet })
}

async fn find(engine: &Docker, name: &str) -> Result<Option<Network>, DockerError> {
    // The engine's filter also finds names that only contain this one.
    let filters = HashMap::from([("name", vec![name])]);
    let options = ListNetworksOptionsBuilder::default().filters(&filters).build();
    let found =
        engine.list_networks(Some(options)).await.map_err(DockerError::engine("list its networks"))?;
    Ok(found.into_iter().find(|network| network.name.as_deref() == Some(name)))
}

fn check(found: &Network, node: &str, kind: Kind, subnet: Ipv4Net) -> Result<(), DockerError> {
    let network = kind.name(node);
    let label = found.labels.as_ref().and_then(|labels| labels.get(NODE));
    let icc = found.options.as_ref().and_then(|options| options.get(ICC));
    let ours = label.is_some_and(|label| label == node)
        && found.internal.unwrap_or(false) == (kind == Kind::Internal)
        && icc.is_some_and(|icc| icc == "false");
    if !ours {
        return Err(DockerError::ForeignNetwork(network));
    }
    let ipam = found.ipam.as_ref().and_then(|ipam| ipam.config.as_ref()?.first());
    let same_subnet = ipam.is_some_and(|ipam| ipam.subnet.as_deref() == Some(&subnet.to_string()));
    let gateway = gateway_of(subnet).to_string();
    let same_gateway = ipam.is_some_and(|ipam| ipam.gateway.as_deref() == Some(&gateway));
    if same_subnet && same_gateway {
        return Ok(());
    }
    let found = ipam.and_then(|ipam| ipam.subnet.clone()).unwrap_or_else(|| "none".to_owned());
    Err(DockerError::OtherSubnet { network, found, key: kind.key(), wanted: subnet })
}

async fn create(engine: &Docker, node: &str, kind: Kind, subnet: Ipv4Net) -> Result<(), DockerError> {
    let ipam = IpamConfig {
        subnet: Some(subnet.to_string()),
        gateway: Some(gateway_of(subnet).to_string()),
        ..IpamConfig::default()
    };
    let request = NetworkCreateRequest {
        name: kind.name(node),
        driver: Some("bridge".to_owned()),
        internal: Some(kind == Kind::Internal),
        ipam: Some(Ipam { config: Some(vec![ipam]), ..Ipam::default() }),
        // The bridge's own name on this machine is the engine's choice: 15 characters do not hold a node's name.
        options: Some(HashMap::from([(ICC.to_owned(), "false".to_owned())])),
        labels: Some(HashMap::from([(NODE.to_owned(), node.to_owned())])),
        ..NetworkCreateRequest::default()
    };
    match engine.create_network(request).await {
        Ok(_) => Ok(()),
        Err(error) if status_of(&error).is_some() && error.to_string().contains("overlap") => {
            Err(DockerError::Overlap { key: kind.key(), wanted: subnet })
        }
        Err(error) => Err(DockerError::Engine { what: "make the node's network", error }),
    }
}
