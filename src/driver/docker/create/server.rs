//! The profile `server`: as the image was made to run, but for raw sockets and new privileges (design, decision 11).
//!
//! User, entrypoint, capabilities and files are the image's and the engine's own; nothing is added to its environment here.
//! What it writes is in its own layer, and in volumes that the image asks for, and goes with the container.

use super::{Node, Plan};
use bollard::models::{ContainerCreateBody, HostConfig};

/// The Session API serves these logs, so they are kept longer than a game's.
const LOG_MAX: &str = "10m";

impl Plan {
    pub(super) fn server(&self, node: &Node) -> ContainerCreateBody {
        let bounds = HostConfig {
            cap_drop: Some(vec!["NET_RAW".to_owned()]),
            readonly_rootfs: Some(false),
            mounts: self.package().map(|package| vec![package]),
            ..self.bounds(node, LOG_MAX)
        };
        self.body(node, self.spec.env.clone(), bounds)
    }
}
