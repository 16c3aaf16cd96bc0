//! The placement policy: rules first, then preferences; every answer with its reasons.
//!
//! Rules: the node answers, is open, is where it was asked for, and has room for all of the session. Preferences, in this
//! order: the game's content is there already; how loaded the node would be with the session on it; and chance among
//! those alike. Pure: no clock, no chance of its own, no I/O.

use super::needs::{Needs, real};
use crate::model::nodes::Resources;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// A node as the policy sees it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NodeState {
    pub name: String,
    pub location: Option<String>,
    pub region: Option<String>,
    pub labels: BTreeMap<String, String>,
    pub healthy: bool,
    pub cordoned: bool,
    pub draining: bool,
    /// Sessions it runs at once, and runs now.
    pub capacity: u32,
    pub sessions: u32,
    /// What sessions may use together, and what is reserved of it.
    pub total: Needs,
    pub reserved: Needs,
    /// How busy its machine was found to be, 0 to 100: more than what is reserved when others work there too.
    pub busy_cpu_percent: f64,
    pub busy_memory_percent: f64,
    /// Slugs of the games whose content is there.
    pub cached: BTreeSet<String>,
}

impl NodeState {
    /// Its location; a node that says none is a place of its own.
    pub fn place(&self) -> &str {
        self.location.as_deref().unwrap_or(&self.name)
    }

    /// What the place lies in.
    pub fn region_or_place(&self) -> &str {
        self.region.as_deref().unwrap_or_else(|| self.place())
    }

    /// It is in this place or region, in any case of letters.
    pub fn is_at(&self, wanted: &str) -> bool {
        [self.place(), self.region_or_place()].iter().any(|place| place.eq_ignore_ascii_case(wanted))
    }
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Request {
    pub game: String,
    pub needs: Needs,
    /// A location or a region, in any case of letters. Absent: anywhere.
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
    #[error("is draining")]
    Draining,
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

/// A node that may be taken, by what it is preferred for.
struct Candidate<'n> {
    node: &'n NodeState,
    cached: bool,
    /// Whole per cents after placement: finer differences are none.
    loaded: u64,
    /// The request's chance, different for each node.
    drawn: u64,
}

/// Ranks all nodes for a request.
pub fn rank(nodes: &[NodeState], request: &Request) -> Ranking {
    let mut refused = Vec::new();
    let mut candidates = Vec::new();
    for node in nodes {
        match refusal(node, request) {
            Some(refusal) => refused.push((node.name.clone(), refusal)),
            None => candidates.push(Candidate {
                node,
                cached: node.cached.contains(&request.game),
                loaded: loaded_after(node, &request.needs),
                drawn: draw(request.spread, &node.name),
            }),
        }
    }
    // The name only makes the order whole; two nodes hardly ever draw the same number.
    candidates
        .sort_by(|a, b| a.preference().cmp(&b.preference()).then_with(|| a.node.name.cmp(&b.node.name)));
    let reasons = candidates.iter().map(|one| (one.node.name.clone(), reasons(one, &candidates))).collect();
    Ranking { candidates: reasons, refused }
}

impl Candidate<'_> {
    /// Less is better.
    fn preference(&self) -> (Reverse<bool>, u64, u64) {
        (Reverse(self.cached), self.loaded, self.drawn)
    }

    fn is_like(&self, other: &Self) -> bool {
        (self.cached, self.loaded) == (other.cached, other.loaded)
    }
}

/// The first rule that a node breaks.
fn refusal(node: &NodeState, request: &Request) -> Option<Refusal> {
    let total = Resources::from(node.total);
    let reserved = Resources::from(node.reserved);
    let needs = Resources::from(request.needs);
    let checks = [
        (node.healthy, Refusal::Unhealthy),
        (!node.draining, Refusal::Draining),
        (!node.cordoned, Refusal::Cordoned),
        (is_there(node, request.location.as_deref()), Refusal::Elsewhere),
        (node.sessions < node.capacity, Refusal::Full),
        (needs.milli_cpus <= total.milli_cpus.saturating_sub(reserved.milli_cpus), Refusal::Cpus),
        (needs.memory_bytes <= total.memory_bytes.saturating_sub(reserved.memory_bytes), Refusal::Memory),
        (needs.gpus <= total.gpus.saturating_sub(reserved.gpus), Refusal::Gpus),
    ];
    checks.into_iter().find(|(passed, _)| !passed).map(|(_, refusal)| refusal)
}

fn is_there(node: &NodeState, wanted: Option<&str>) -> bool {
    wanted.is_none_or(|wanted| node.is_at(wanted))
}

/// How loaded the node would be with the session, in per cent of the scarcer of cores and memory. What is reserved counts
/// when it is not used yet, and what is used when nobody reserved it.
fn loaded_after(node: &NodeState, needs: &Needs) -> u64 {
    let cpu = after(needs.cpus, node.reserved.cpus, node.total.cpus, node.busy_cpu_percent);
    let memory = after(
        real(needs.memory_bytes),
        real(node.reserved.memory_bytes),
        real(node.total.memory_bytes),
        node.busy_memory_percent,
    );
    whole_percent(cpu.max(memory))
}

fn after(needs: f64, reserved: f64, total: f64, busy_percent: f64) -> f64 {
    if total <= 0.0 {
        return 0.0;
    }
    let taken = (100.0 * reserved / total).max(busy_percent);
    taken + 100.0 * needs / total
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, and never is negative"
)]
fn whole_percent(percent: f64) -> u64 {
    percent.round().max(0.0) as u64
}

/// Sentences without subject and full stop, the deciding one first.
fn reasons(of: &Candidate<'_>, all: &[Candidate<'_>]) -> Vec<String> {
    let node = of.node;
    let content = if of.cached { "has the game cached" } else { "has to fetch the game first" };
    let content = content.to_owned();
    let load = format!("would be {} % loaded", of.loaded);
    let sessions = format!("runs {} of {} sessions", node.sessions, node.capacity);
    let alike = all.iter().filter(|other| of.is_like(other)).count();
    let decided_by_content = of.cached && all.iter().any(|other| !other.cached);
    let mut reasons = match (all.len(), alike) {
        (1, _) => vec!["is the only one with room".to_owned(), content, load],
        (_, alike) if decided_by_content && alike == 1 => vec![content, load],
        (_, 1) => vec![load, content],
        (_, alike) => vec![format!("was drawn among {alike} alike"), content, load],
    };
    reasons.push(sessions);
    reasons
}

/// A number that depends on every bit of the chance and of the name (FNV-1a, then the finalizer of SplitMix64).
fn draw(chance: u64, name: &str) -> u64 {
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    mix(hash ^ mix(chance))
}

/// Bits that look like chance (SplitMix64).
pub(crate) fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
