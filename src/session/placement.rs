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

/// A game in a container asks for what it is believed to use; any other is counted by the node's capacity alone.
pub(super) async fn request(context: &Context, game: &Game) -> crate::store::Result<Request> {
    let slug = &game.view.slug;
    let needs = match &game.source {
        Source::External { .. } | Source::BuiltIn => Needs::default(),
        Source::Container(container) => {
            Needs::of(context.store.profile(slug).await?, Needs::limits(&container.config))
        }
    };
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
