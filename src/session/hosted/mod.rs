//! Sessions of organisations, as the Session API tells of them (contract 2): plain values, checked when they are made.
//!
//! They are sessions like any other, with the same machine, actor and teardown; what is different is said here. They have
//! no save slot and no idle lease but a time to live (X11), may be started again after a failure, publish ports, and
//! leave their stopped container behind for a while, for its logs and artifacts.

mod access;
mod environment;
mod images;
mod logs;
mod metrics;
mod read;
mod restart;
mod run;
mod tags;

pub(in crate::session) use environment::environment;
pub(crate) use environment::fuzz as environment_fuzz;
pub use environment::may_become_too_long;
pub use images::{HostedImage, ImageError, Images};
pub(in crate::session) use metrics::HostedMetrics;
pub(in crate::session) use restart::Restarts;

use crate::config::SessionApiConfig;
use crate::model::hosted::Hosted;
use crate::model::ids::SessionId;
use crate::model::session::{ContainerStatus, EndReason};
use playgate_signaling::message::Progress;
use std::collections::BTreeMap;
use std::time::Duration;

/// Players on the roster of one session at most: each join answers with the whole roster.
pub(in crate::session) const MAX_PLAYERS: u64 = 10_000;

/// What a Session API caller asks for (contract SessionRun), its fields checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostRequest {
    /// 1-256 bytes. Absent: made up (rule 1).
    pub id: Option<String>,
    /// A location or a region (G13).
    pub location: String,
    pub image: String,
    /// Absent: the tag with the highest priority (rule 2).
    pub version: Option<String>,
    pub env: BTreeMap<String, String>,
    pub args: Vec<String>,
    pub labels: BTreeMap<String, String>,
    pub restart: bool,
    /// Whole minutes, one at least (G17).
    pub ttl: Option<Duration>,
    pub enable_metrics: bool,
}

/// What organisations may start here, and how.
#[derive(Debug, Clone, Default)]
pub struct Hosting {
    pub images: Images,
    pub config: SessionApiConfig,
    /// This machine's address, as told to players.
    pub host: String,
}

/// One hosted session, as its organisation sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct HostedView {
    pub id: SessionId,
    pub external_id: String,
    pub organisation: String,
    /// Unix milliseconds (G10).
    pub created: i64,
    pub status: HostedStatus,
    pub hosted: std::sync::Arc<Hosted>,
    /// How many have joined.
    pub player_count: u64,
    /// Who watches a session with a picture now.
    pub spectators: u32,
    /// How far its start is.
    pub progress: Option<Progress>,
    pub end_reason: Option<EndReason>,
    /// A sentence for people, when something went wrong.
    pub end_detail: Option<String>,
}

/// The Session API's statuses (rule 17).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HostedStatus {
    Container(ContainerStatus),
    /// It runs on a node that prepares to shut down.
    Draining,
    /// Its node does not answer.
    ServerUnreachable,
}

impl HostedStatus {
    /// As the contract spells it (2.3).
    pub fn name(self) -> &'static str {
        match self {
            Self::Container(status) => status.name(),
            Self::Draining => "draining",
            Self::ServerUnreachable => "server_unreachable",
        }
    }
}

/// Rules 8 to 11, all of them ANDed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostedFilter {
    /// Whatever the status; else only those that are exactly `running` (G7).
    pub all: bool,
    /// Place or region (G13).
    pub location: Option<String>,
    pub image: Option<String>,
    pub tag: Option<String>,
    pub host: Option<String>,
    pub fewer_players_than: Option<i64>,
    pub more_players_than: Option<i64>,
    /// The caller's labels; a key the session lacks never matches (G8).
    pub labels: Vec<(String, String)>,
    /// Labels that must not be so (G9).
    pub not_labels: Vec<(String, String)>,
}

/// A place that can serve an image now (rule 19).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocationView {
    pub id: String,
    pub ips: Vec<String>,
}

/// A file or folder of a stopped container, as a gzip-compressed tar (rule 15).
pub struct Artifact {
    /// For the file it is saved as: `NAME.tar.gz`.
    pub name: String,
    pub bytes: crate::driver::ByteStream,
}
