//! What plays a session: how it is found again, what it may, and where it is reached.

/// A started instance, as remembered in the store for the next gateway.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum InstanceRef {
    Process {
        /// Process id of the group's leader.
        pid: u32,
        /// Its start time in clock ticks since boot (`/proc/PID/stat`, field 22): a pid alone may be reused.
        start_ticks: u64,
    },
    Container {
        /// The engine's id of it.
        container: String,
    },
}

/// How much a container may (design, decision 11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Player and gateway are the only ones it deals with: no root, no capability, a read-only root, the internal bridge.
    #[default]
    Game,
    /// As it was made for a server of its own: the image's user, a writable layer, the engine's default capabilities
    /// without NET_RAW, the open bridge, published ports.
    Server,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    /// As the Session API and the engine spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// A port that an image exposes, 1-65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExposedPort {
    pub protocol: Protocol,
    pub container: u16,
}

/// A port of a container, published at a port of this machine (contract Port).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Port {
    #[serde(rename = "type")]
    pub protocol: Protocol,
    pub container: u16,
    pub host: u16,
}
