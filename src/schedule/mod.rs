//! Nodes and placement: which node a session goes to, and that none is ever overfilled.
//!
//! [`policy`] ranks and gives its reasons, without clock, chance or I/O; [`Scheduler`] reserves over the store.

pub mod policy;

pub use policy::{Needs, NodeState, Ranking, Refusal, Request, rank};

use crate::ids::SessionId;
use crate::store::Store;
use std::sync::Arc;

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

/// Ranks and reserves. Cheap to clone.
#[derive(Clone)]
pub struct Scheduler {
    store: Arc<dyn Store>,
}

impl Scheduler {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Reserves the best node that has room at this very moment. The reservation belongs to the session: it ends with
    /// [`Scheduler::release`], or when the session's row becomes final ([`Store::update_session`]).
    pub async fn reserve(&self, _session: SessionId, _request: &Request) -> Result<Placed, PlaceError> {
        let _ = &self.store;
        unimplemented!()
    }

    /// Gives a reservation back. Idempotent.
    pub async fn release(&self, _session: SessionId) -> Result<(), PlaceError> {
        unimplemented!()
    }
}
