//! Reserves a place for a session over the store, by the policy's ranking.
//!
//! In this release a gateway runs only what is placed on its own node, so each has a scheduler bound to that
//! ([`Scheduler::bound_to`]); one that is bound to none places over all nodes of the store, which simulations do.

use super::chance::Chance;
use crate::model::ids::SessionId;
use crate::model::nodes::NodeRow;
use crate::model::{Clock, Millis};
use crate::schedule::{NodeState, Ranking, Request, rank};
use crate::store::Store;
use std::sync::Arc;
use tokio::sync::RwLock;

/// A node that gave no sign of life for so long is taken for unhealthy: its gateway is gone and cannot say so itself.
pub const SILENT_AFTER_MS: Millis = 60_000;

/// Rankings a reservation tries before it gives up: each but the first means that others took every place there was.
const ROUNDS: usize = 4;

/// Where a session went, and why there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    pub node: String,
    /// Sentences for operators, the deciding one first.
    pub reasons: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// No node fits; why not, node by node.
    #[error("no node has room: {}", .0.join("; "))]
    NoServers(Vec<String>),
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}

/// Ranks and reserves. Cheap to clone; clones close together.
#[derive(Clone)]
pub struct Scheduler {
    pub(super) store: Arc<dyn Store>,
    only: Option<String>,
    pub(super) clock: Clock,
    watches_silence: bool,
    chance: Arc<Chance>,
    /// Held for reading by every reservation on its way.
    closed: Arc<RwLock<bool>>,
}

impl Scheduler {
    /// Places over all nodes of the store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            only: None,
            clock: Clock::system(),
            watches_silence: false,
            chance: Arc::new(Chance::random()),
            closed: Arc::default(),
        }
    }

    /// Places on this node or nowhere.
    #[must_use]
    pub fn bound_to(mut self, node: &str) -> Self {
        self.only = Some(node.to_owned());
        self
    }

    /// Takes nodes that are silent by this clock for unhealthy ([`SILENT_AFTER_MS`]). Without a clock none is silent, as
    /// for a gateway that places on its own node: it is alive, for it asks.
    #[must_use]
    pub fn watching_silence(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self.watches_silence = true;
        self
    }

    /// Repeats its choices among equals from run to run.
    #[must_use]
    pub fn seeded(mut self, seed: u64) -> Self {
        self.chance = Arc::new(Chance::seeded(seed));
        self
    }

    /// Reserves the best node that has room at this very moment. The reservation belongs to the session: it ends with
    /// [`Scheduler::release`], or when the session's row becomes final ([`Store::update_session`]).
    pub async fn reserve(&self, session: SessionId, request: &Request) -> Result<Placed, PlaceError> {
        let closed = self.closed.read().await;
        if *closed {
            return Err(PlaceError::NoServers(vec!["this gateway is stopping".to_owned()]));
        }
        let needs = request.needs.into();
        let mut lost = Vec::new();
        for _ in 0..ROUNDS {
            let spread = request.spread.wrapping_add(self.chance.next());
            let ranking = rank(&self.states().await?, &Request { spread, ..request.clone() });
            if ranking.candidates.is_empty() {
                return Err(PlaceError::NoServers(sentences(&ranking)));
            }
            lost.clear();
            for (node, reasons) in ranking.candidates {
                if self.store.reserve(session, &node, needs, self.clock.now_ms()).await? {
                    return Ok(Placed { node, reasons });
                }
                lost.push(format!("{node} was taken by others meanwhile"));
            }
        }
        Err(PlaceError::NoServers(lost))
    }

    /// Gives a reservation back. Idempotent.
    pub async fn release(&self, session: SessionId) -> Result<(), PlaceError> {
        self.store.release(session).await?;
        Ok(())
    }

    /// From when this returns, nothing more is reserved. Idempotent.
    pub async fn close(&self) {
        *self.closed.write().await = true;
    }

    /// The nodes it places on, as they are now.
    pub async fn states(&self) -> Result<Vec<NodeState>, PlaceError> {
        let now = self.clock.now_ms();
        let mut rows = self.store.nodes().await?;
        if let Some(only) = &self.only {
            rows.retain(|row| row.said.name == *only);
        }
        let state = |row: &NodeRow| {
            let silent = self.watches_silence && is_silent(row, now);
            NodeState { healthy: row.healthy && !silent, ..NodeState::from(row) }
        };
        Ok(rows.iter().map(state).collect())
    }
}

/// No sign of life for [`SILENT_AFTER_MS`].
pub fn is_silent(row: &NodeRow, now: Millis) -> bool {
    now.saturating_sub(row.seen_at) > SILENT_AFTER_MS
}

/// Why nobody fits: at least one sentence.
fn sentences(ranking: &Ranking) -> Vec<String> {
    if ranking.refused.is_empty() {
        return vec!["no node has announced itself".to_owned()];
    }
    ranking.refused.iter().map(|(node, refusal)| format!("{node} {refusal}")).collect()
}
