//! What a game's container is: the profile `game`.
//!
//! Nothing here asks the engine for anything; every bound of the profile is set in one place.

use super::error::DockerError;
use super::names::{Names, SAVE_PATH, labels};
use super::networks::{Bridge, Kind};
use super::paths::{GID, HOME, RUN, SaveAt, TMP, UID};
use super::{Node, PACKAGE_DIR};
use crate::driver::{ContainerSpec, StartSpec};
use bollard::models::{
    ContainerCreateBody, DeviceMapping, DeviceRequest, EndpointIpamConfig, EndpointSettings, HealthConfig,
    HostConfig, HostConfigLogConfig, Mount, MountType, MountVolumeOptions, NetworkingConfig,
    ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum,
};
use playgate_signaling::runner::env;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt;

const MIB: i64 = 1024 * 1024;
/// Bounds of what lives in memory; all of it counts into the container's memory too.
const TMP_MIB: i64 = 256;
const RUN_MIB: i64 = 16;
const SHM_MIB: i64 = 256;
/// A container's log on disk: this much, twice.
const LOG_MAX: &str = "5m";
const LOG_FILES: &str = "2";

/// Everything that one start needs, thought through before anything is made.
pub(super) struct Plan {
    pub(super) names: Names,
    pub(super) spec: StartSpec,
    pub(super) container: ContainerSpec,
    pub(super) save_at: SaveAt,
    pub(super) address: Ipv4Addr,
}

impl Plan {
    pub(super) fn new(node: &Node, mut spec: StartSpec, address: Ipv4Addr) -> Result<Self, DockerError> {
        let container = spec.container.take().ok_or(DockerError::NoContainer)?;
        let save_at = SaveAt::of(&container.save_path)?;
        let names = Names::new(&node.name, spec.session, spec.generation);
        Ok(Self { names, spec, container, save_at, address })
    }

    /// The game's container.
    pub(super) fn game(&self, node: &Node) -> ContainerCreateBody {
        let bridge = node.bridge(self.container.egress);
        let mut labels = self.labels(node);
        labels.insert(SAVE_PATH.to_owned(), self.container.save_path.clone());
        let command = &self.container.command;
        ContainerCreateBody {
            image: Some(self.container.image.clone()),
            cmd: (!command.is_empty()).then(|| command.clone()),
            user: Some(format!("{UID}:{GID}")),
            hostname: Some("game".to_owned()),
            env: Some(self.environment()),
            labels: Some(labels),
            // An image's own check would run beside the game, on the game's account.
            healthcheck: Some(HealthConfig {
                test: Some(vec!["NONE".to_owned()]),
                ..HealthConfig::default()
            }),
            host_config: Some(self.bounds(node, bridge)),
            networking_config: Some(endpoint(&bridge.name, self.address)),
            ..ContainerCreateBody::default()
        }
    }

    /// A container that is never started: the archive API writes into a volume, but its topmost directory keeps its
    /// owner, and with a read-only root there is no way around. Here the volumes are directories of a writable root.
    pub(super) fn porter(&self, node: &Node) -> ContainerCreateBody {
        let at = |target: &str, volume: String| Mount {
            target: Some(target.to_owned()),
            source: Some(volume),
            typ: Some(MountType::VOLUME),
            volume_options: Some(MountVolumeOptions { no_copy: Some(true), ..MountVolumeOptions::default() }),
            ..Mount::default()
        };
        let mut mounts = vec![at(&format!("{PORTER_DIR}/{PORTER_HOME}"), self.names.home())];
        if self.save_at == SaveAt::Own {
            mounts.push(at(&format!("{PORTER_DIR}/{PORTER_SAVE}"), self.names.save()));
        }
        ContainerCreateBody {
            image: Some(self.container.image.clone()),
            entrypoint: Some(vec!["never-started".to_owned()]),
            labels: Some(self.labels(node)),
            host_config: Some(HostConfig {
                network_mode: Some("none".to_owned()),
                mounts: Some(mounts),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        }
    }

    fn labels(&self, node: &Node) -> HashMap<String, String> {
        labels(&node.name, self.spec.session, self.spec.generation)
    }

    fn environment(&self) -> Vec<String> {
        let mut variables = self.spec.env.clone();
        variables.insert("HOME".to_owned(), HOME.to_owned());
        variables.insert(env::SAVE_DIR.to_owned(), self.container.save_path.clone());
        variables.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    fn bounds(&self, node: &Node, bridge: &Bridge) -> HostConfig {
        let memory = i64::try_from(self.container.memory_bytes).unwrap_or(i64::MAX);
        let gpus = (self.container.gpus > 0).then(|| vec![gpus(self.container.gpus)]);
        HostConfig {
            privileged: Some(false),
            cap_drop: Some(vec!["ALL".to_owned()]),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            readonly_rootfs: Some(true),
            tmpfs: Some(tmpfs()),
            mounts: Some(self.mounts(node)),
            pids_limit: Some(i64::from(self.container.pids)),
            memory: Some(memory),
            memory_swap: Some(memory),
            nano_cpus: Some(nano_cpus(self.container.cpus)),
            shm_size: Some(SHM_MIB * MIB),
            // A core dump would fill the home volume.
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
            log_config: Some(log_config()),
            network_mode: Some(bridge.name.clone()),
            // Else an engine may ask this machine's own resolvers for a game that has no way out.
            dns: (bridge.kind == Kind::Internal).then(|| vec![bridge.gateway.to_string()]),
            ..HostConfig::default()
        }
    }

    fn mounts(&self, node: &Node) -> Vec<Mount> {
        let volume = |target: &str, name: String| Mount {
            target: Some(target.to_owned()),
            source: Some(name),
            typ: Some(MountType::VOLUME),
            volume_options: Some(MountVolumeOptions {
                labels: Some(self.labels(node)),
                ..MountVolumeOptions::default()
            }),
            ..Mount::default()
        };
        let mut mounts = vec![volume(HOME, self.names.home())];
        if self.save_at == SaveAt::Own {
            mounts.push(volume(&self.container.save_path, self.names.save()));
        }
        if let Some(package) = &self.container.package {
            mounts.push(Mount {
                target: Some(PACKAGE_DIR.to_owned()),
                source: Some(package.display().to_string()),
                typ: Some(MountType::BIND),
                read_only: Some(true),
                ..Mount::default()
            });
        }
        mounts
    }
}

/// Where the porter has the volumes.
pub(super) const PORTER_DIR: &str = "/porter";
pub(super) const PORTER_HOME: &str = "home";
pub(super) const PORTER_SAVE: &str = "save";

/// The mode of a directory of the image overrules `mode`, so the owner has to be the player. Programs are run from /tmp
/// by more than one game's engine, and could be from the home directory all the same.
fn tmpfs() -> HashMap<String, String> {
    let owned = format!("rw,nosuid,nodev,uid={UID},gid={GID}");
    HashMap::from([
        (TMP.to_owned(), format!("{owned},exec,mode=1777,size={TMP_MIB}m")),
        (RUN.to_owned(), format!("{owned},noexec,mode=0755,size={RUN_MIB}m")),
    ])
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

fn log_config() -> HostConfigLogConfig {
    let options = [("max-size", LOG_MAX), ("max-file", LOG_FILES)];
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
