//! What a session of an organisation is besides a session.

use super::clock::Millis;
use super::instance::Port;
use std::collections::BTreeMap;

/// Kept in the session's row.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Hosted {
    /// By the catalogue's name.
    pub image: String,
    pub tag: String,
    /// What the location lies in.
    pub region: String,
    /// The place of its node (G13).
    pub location: String,
    /// Address of its node, for players.
    pub host: String,
    /// The container's environment once it is made: the caller's, and what this gateway adds but its secrets (rule 12).
    pub env: BTreeMap<String, String>,
    pub args: Vec<String>,
    /// The caller's.
    pub labels: BTreeMap<String, String>,
    pub image_labels: BTreeMap<String, String>,
    /// Published ones; empty until the container is made.
    pub ports: Vec<Port>,
    pub restart: bool,
    /// When it is ended by force, in Unix milliseconds.
    pub ttl_until: Option<Millis>,
    pub enable_metrics: bool,
    /// A picture is awaited.
    pub stream: bool,
}
