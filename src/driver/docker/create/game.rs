//! The profile `game`: no root, no capability, a read-only root, save and home on volumes (design, decision 11).

use super::{Node, Plan};
use crate::driver::docker::names::SAVE_PATH;
use crate::driver::docker::paths::{GID, HOME, RUN, SaveAt, TMP, UID};
use bollard::models::{ContainerCreateBody, HostConfig, Mount, MountType, MountVolumeOptions};
use playgate_signaling::runner::env;
use std::collections::HashMap;

/// Bounds of what lives in memory; all of it counts into the container's memory too.
const TMP_MIB: i64 = 256;
const RUN_MIB: i64 = 16;
const LOG_MAX: &str = "5m";

impl Plan {
    pub(super) fn game(&self, node: &Node, save_at: &SaveAt) -> ContainerCreateBody {
        let save_path = &self.container.save_path;
        let mut variables = self.spec.env.clone();
        variables.insert("HOME".to_owned(), HOME.to_owned());
        variables.insert(env::SAVE_DIR.to_owned(), save_path.clone());
        let bounds = HostConfig {
            cap_drop: Some(vec!["ALL".to_owned()]),
            readonly_rootfs: Some(true),
            tmpfs: Some(tmpfs()),
            mounts: Some(self.mounts(node, save_at)),
            ..self.bounds(node, LOG_MAX)
        };
        let mut body = ContainerCreateBody {
            user: Some(format!("{UID}:{GID}")),
            hostname: Some("game".to_owned()),
            ..self.body(node, variables, bounds)
        };
        body.labels.get_or_insert_default().insert(SAVE_PATH.to_owned(), save_path.clone());
        body
    }

    /// A container that is never started: the archive API writes into a volume, but its topmost directory keeps its
    /// owner, and with a read-only root there is no way around. Here the volumes are directories of a writable root.
    pub(in crate::driver::docker) fn porter(&self, node: &Node, save_at: &SaveAt) -> ContainerCreateBody {
        let at = |target: &str, volume: String| Mount {
            target: Some(target.to_owned()),
            source: Some(volume),
            typ: Some(MountType::VOLUME),
            volume_options: Some(MountVolumeOptions { no_copy: Some(true), ..MountVolumeOptions::default() }),
            ..Mount::default()
        };
        let mut mounts = vec![at(&format!("{PORTER_DIR}/{PORTER_HOME}"), self.names.home())];
        if *save_at == SaveAt::Own {
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

    fn mounts(&self, node: &Node, save_at: &SaveAt) -> Vec<Mount> {
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
        if *save_at == SaveAt::Own {
            mounts.push(volume(&self.container.save_path, self.names.save()));
        }
        mounts.extend(self.package());
        mounts
    }
}

/// Where the porter has the volumes.
pub(in crate::driver::docker) const PORTER_DIR: &str = "/porter";
pub(in crate::driver::docker) const PORTER_HOME: &str = "home";
pub(in crate::driver::docker) const PORTER_SAVE: &str = "save";

/// The mode of a directory of the image overrules `mode`, so the owner has to be the player. Programs are run from /tmp
/// by more than one game's engine, and could be from the home directory all the same.
fn tmpfs() -> HashMap<String, String> {
    let owned = format!("rw,nosuid,nodev,uid={UID},gid={GID}");
    HashMap::from([
        (TMP.to_owned(), format!("{owned},exec,mode=1777,size={TMP_MIB}m")),
        (RUN.to_owned(), format!("{owned},noexec,mode=0755,size={RUN_MIB}m")),
    ])
}
