//! The placement policy: rules first, then preferences; every answer with its reasons.

use std::collections::{BTreeMap, BTreeSet};

/// What a session takes of a node.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Needs {
    /// Cores, as the game's profile has it, else as its limit says.
    pub cpus: f64,
    pub memory_bytes: u64,
    pub gpus: u32,
}

/// A node as the policy sees it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NodeState {
    pub name: String,
    pub location: Option<String>,
    pub region: Option<String>,
    pub labels: BTreeMap<String, String>,
    pub healthy: bool,
    pub cordoned: bool,
    /// Sessions it runs at once, and runs now.
    pub capacity: u32,
    pub sessions: u32,
    /// What sessions may use together, and what is reserved of it.
    pub total: Needs,
    pub reserved: Needs,
    /// Slugs of the games whose content is there.
    pub cached: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Request {
    pub game: String,
    pub needs: Needs,
    /// A location or a region. Absent: anywhere.
    pub location: Option<String>,
    /// Chooses among equals; any number.
    pub spread: u64,
}

/// Why a node is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("does not answer")]
    Unhealthy,
    #[error("is cordoned")]
    Cordoned,
    #[error("is elsewhere")]
    Elsewhere,
    #[error("is full")]
    Full,
    #[error("has too few cores free")]
    Cpus,
    #[error("has too little memory free")]
    Memory,
    #[error("has too few GPUs free")]
    Gpus,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ranking {
    /// Names with reasons, the best first.
    pub candidates: Vec<(String, Vec<String>)>,
    pub refused: Vec<(String, Refusal)>,
}

/// Ranks all nodes for a request.
pub fn rank(_nodes: &[NodeState], _request: &Request) -> Ranking {
    unimplemented!()
}
