//! What a container is: what its profile says, and the bounds that hold for every profile.
//!
//! Nothing here asks the engine for anything; every bound is set in one place.

mod game;
mod server;

use super::Node;
use super::error::DockerError;
use super::names::{Names, labels};
use super::networks::{Bridge, Kind as Network};
use super::paths::SaveAt;
use super::{PACKAGE_DIR, ports};
use crate::driver::{ContainerSpec, StartSpec};
use crate::model::instance::{Port, Profile};
use bollard::models::{
    ContainerCreateBody, DeviceMapping, DeviceRequest, EndpointIpamConfig, EndpointSettings, HealthConfig,
    HostConfig, HostConfigLogConfig, Mount, MountType, NetworkingConfig, ResourcesUlimits, RestartPolicy,
    RestartPolicyNameEnum,
};
use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt;

pub(super) use game::{PORTER_DIR, PORTER_HOME, PORTER_SAVE};

const MIB: i64 = 1024 * 1024;
/// Lives in memory; counts into the container's memory too.
const SHM_MIB: i64 = 256;
const LOG_FILES: &str = "2";

/// Everything that one start needs, thought through before anything is made.
pub(super) struct Plan {
    pub(super) names: Names,
    pub(super) spec: StartSpec,
    pub(super) kind: Kind,
    container: ContainerSpec,
    place: Place,
}

/// What only one profile has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Game { save_at: SaveAt },
    Server,
}

/// Where it will live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) address: Ipv4Addr,
    /// To be published.
    pub(super) ports: Vec<Port>,
}

impl Plan {
    pub(super) fn new(node: &Node, mut spec: StartSpec, place: Place) -> Result<Self, DockerError> {
        let container = spec.container.take().ok_or(DockerError::NoContainer)?;
        if !place.ports.is_empty() && !container.egress {
            return Err(DockerError::PortsInside);
        }
        let kind = match container.profile {
            Profile::Game => Kind::Game { save_at: SaveAt::of(&container.save_path)? },
            Profile::Server => Kind::Server,
        };
        let names = Names::new(&node.name, spec.session, spec.generation);
        Ok(Self { names, spec, kind, container, place })
    }

    pub(super) fn container(&self, node: &Node) -> ContainerCreateBody {
        match &self.kind {
            Kind::Game { save_at } => self.game(node, save_at),
            Kind::Server => self.server(node),
        }
    }

    /// Where the save is, inside.
    pub(super) fn save_path(&self) -> Option<String> {
        match self.kind {
            Kind::Game { .. } => Some(self.container.save_path.clone()),
            Kind::Server => None,
        }
    }

    fn labels(&self, node: &Node) -> HashMap<String, String> {
        labels(&node.name, self.spec.session, self.spec.generation, self.container.profile)
    }

    /// What every container is, whatever its profile.
    fn body(&self, node: &Node, env: BTreeMap<String, String>, bounds: HostConfig) -> ContainerCreateBody {
        let bridge = node.bridge(self.container.egress);
        let command = &self.container.command;
        let ports = self.place.ports.iter();
        ContainerCreateBody {
            image: Some(self.container.image.clone()),
            cmd: (!command.is_empty()).then(|| command.clone()),
            env: Some(env.into_iter().map(|(name, value)| format!("{name}={value}")).collect()),
            labels: Some(self.labels(node)),
            // Else the engine does not publish what the image does not expose.
            exposed_ports: Some(ports.map(|port| ports::spelled(port.protocol, port.container)).collect()),
            // An image's own check would run beside the game, on the game's account.
            healthcheck: Some(HealthConfig {
                test: Some(vec!["NONE".to_owned()]),
                ..HealthConfig::default()
            }),
            host_config: Some(bounds),
            networking_config: Some(endpoint(&bridge.name, self.place.address)),
            ..ContainerCreateBody::default()
        }
    }

    /// The bounds of every profile. `log_max` is what a container's log may have on disk, twice.
    fn bounds(&self, node: &Node, log_max: &str) -> HostConfig {
        let bridge: &Bridge = node.bridge(self.container.egress);
        let memory = i64::try_from(self.container.memory_bytes).unwrap_or(i64::MAX);
        let gpus = (self.container.gpus > 0).then(|| vec![gpus(self.container.gpus)]);
        HostConfig {
            privileged: Some(false),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            pids_limit: Some(i64::from(self.container.pids)),
            memory: Some(memory),
            memory_swap: Some(memory),
            nano_cpus: Some(nano_cpus(self.container.cpus)),
            shm_size: Some(SHM_MIB * MIB),
            // A core dump would fill the home volume, or the writable layer.
            ulimits: Some(vec![ResourcesUlimits {
                name: Some("core".to_owned()),
                soft: Some(0),
                hard: Some(0),
            }]),
            devices: Some(self.container.devices.iter().map(|path| device(path)).collect()),
            group_add: Some(groups(&self.container.devices)),
            device_requests: gpus,
            init: Some(false),
            restart_policy: Some(RestartPolicy {
                name: Some(RestartPolicyNameEnum::NO),
                maximum_retry_count: None,
            }),
            log_config: Some(log_config(log_max)),
            network_mode: Some(bridge.name.clone()),
            port_bindings: Some(ports::bindings(&self.place.ports, node.ports.address())),
            publish_all_ports: Some(false),
            // Else an engine may ask this machine's own resolvers for a game that has no way out.
            dns: (bridge.kind == Network::Internal).then(|| vec![bridge.gateway.to_string()]),
            ..HostConfig::default()
        }
    }

    fn package(&self) -> Option<Mount> {
        let package = self.container.package.as_ref()?;
        Some(Mount {
            target: Some(PACKAGE_DIR.to_owned()),
            source: Some(package.display().to_string()),
            typ: Some(MountType::BIND),
            read_only: Some(true),
            ..Mount::default()
        })
    }
}

fn endpoint(network: &str, address: Ipv4Addr) -> NetworkingConfig {
    let endpoint = EndpointSettings {
        ipam_config: Some(EndpointIpamConfig {
            ipv4_address: Some(address.to_string()),
            ..EndpointIpamConfig::default()
        }),
        ..EndpointSettings::default()
    };
    NetworkingConfig { endpoints_config: Some(HashMap::from([(network.to_owned(), endpoint)])) }
}

fn log_config(max: &str) -> HostConfigLogConfig {
    let options = [("max-size", max), ("max-file", LOG_FILES)];
    HostConfigLogConfig {
        typ: Some("json-file".to_owned()),
        config: Some(options.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
    }
}

/// Read and written, never made anew.
fn device(path: &str) -> DeviceMapping {
    DeviceMapping {
        path_on_host: Some(path.to_owned()),
        path_in_container: Some(path.to_owned()),
        cgroup_permissions: Some("rw".to_owned()),
    }
}

/// Groups that may use the devices (like `render`), but never root's.
fn groups(devices: &[String]) -> Vec<String> {
    let mut groups: Vec<String> = devices
        .iter()
        .filter_map(|path| std::fs::metadata(path).ok())
        .map(|metadata| metadata.gid())
        .filter(|gid| *gid != 0)
        .map(|gid| gid.to_string())
        .collect();
    groups.sort();
    groups.dedup();
    groups
}

fn gpus(count: u32) -> DeviceRequest {
    DeviceRequest {
        count: Some(i64::from(count)),
        capabilities: Some(vec![vec!["gpu".to_owned()]]),
        ..DeviceRequest::default()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "bounded: at most 10^4 cores")]
fn nano_cpus(cpus: f64) -> i64 {
    (cpus.clamp(0.01, 10_000.0) * 1e9) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_billionths_and_bounded() {
        assert_eq!(nano_cpus(2.0), 2_000_000_000);
        assert_eq!(nano_cpus(0.5), 500_000_000);
        assert_eq!(nano_cpus(0.0), 10_000_000);
        assert_eq!(nano_cpus(f64::INFINITY), 10_000_000_000_000);
    }

    #[test]
    fn the_groups_of_devices_never_hold_roots() {
        assert!(groups(&["/dev/null".to_owned(), "/nowhere".to_owned()]).is_empty());
    }
}
