//! What a session asks of a node, and a placement that only counts.

use super::catalogue::{Game, Source};
use super::context::Context;
use super::ports::Placement;
use crate::ids::SessionId;
use crate::schedule::{Needs, PlaceError, Placed, Request};
use crate::store::Store;
use std::collections::HashSet;
use std::sync::Arc;
use tokio::sync::Mutex;

/// What a built-in game takes before it was ever played.
const BUILT_IN: Needs = Needs { cpus: 0.5, memory_bytes: 256 * 1024 * 1024, gpus: 0 };

/// As the game's profile has it, else as its limit says. Nothing is reserved here for what runs elsewhere.
pub(super) async fn request(context: &Context, game: &Game) -> crate::store::Result<Request> {
    let (limit, gpus) = match &game.source {
        Source::External { .. } => (Needs::default(), 0),
        Source::BuiltIn => (BUILT_IN, 0),
        Source::Container(container) => {
            let config = &container.config;
            let memory_bytes = config.memory_mb.saturating_mul(1024 * 1024);
            (Needs { cpus: config.cpus, memory_bytes, gpus: config.gpus }, config.gpus)
        }
    };
    let slug = &game.view.slug;
    let profile = match &game.source {
        Source::External { .. } => None,
        Source::BuiltIn | Source::Container(_) => context.store.profile(slug).await?,
    };
    let needs = profile.map_or(limit, |profile| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an average of whole bytes, never negative; the cast saturates"
        )]
        let memory_bytes = profile.peak_memory_bytes as u64;
        Needs { cpus: profile.cpu, memory_bytes, gpus }
    });
    Ok(Request { game: slug.clone(), needs, location: None, spread: spread() })
}

fn spread() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().0
}

/// One node with room for so many sessions, for simulations: counts the active rows, and what is reserved before its row.
#[derive(Clone)]
pub struct CountingPlacement {
    store: Arc<dyn Store>,
    most: usize,
    reserved: Arc<Mutex<HashSet<SessionId>>>,
}

impl CountingPlacement {
    pub fn new(store: Arc<dyn Store>, most: u32) -> Self {
        Self { store, most: usize::try_from(most).unwrap_or(usize::MAX), reserved: Arc::default() }
    }
}

#[async_trait::async_trait]
impl Placement for CountingPlacement {
    async fn reserve(&self, session: SessionId, _request: &Request) -> Result<Placed, PlaceError> {
        let mut reserved = self.reserved.lock().await;
        let mut taken: HashSet<SessionId> =
            self.store.active_sessions().await?.into_iter().map(|row| row.id).collect();
        for id in reserved.clone() {
            match self.store.session(id).await? {
                Some(_) => drop(reserved.remove(&id)),
                None => drop(taken.insert(id)),
            }
        }
        if taken.len() >= self.most {
            return Err(PlaceError::NoServers(vec!["the only node is full".to_owned()]));
        }
        reserved.insert(session);
        Ok(Placed { node: "only".to_owned(), reasons: vec!["it is the only node".to_owned()] })
    }

    async fn release(&self, session: SessionId) -> Result<(), PlaceError> {
        self.reserved.lock().await.remove(&session);
        Ok(())
    }
}
