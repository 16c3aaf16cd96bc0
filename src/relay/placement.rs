//! Which shards a session lives on, as the control plane knows it; shards know nothing of it.
//!
//! A session is at home on one shard, with its source and its players. Spectators go to the shard that has least to do, and
//! the first one there brings a replica of the session (`stripes`). Who becomes a player on a replica is measured there.

use super::command::{Command, Reply};
use super::{AddViewer, Handle, Relay, RelayError};
use crate::model::ids::SessionId;
use std::sync::Arc;

/// The shards of a session.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    /// That of its source and its players.
    pub(super) home: usize,
    /// Others that have spectators of it.
    pub(super) replicas: Vec<usize>,
}

impl Handle {
    async fn add(&self, spec: AddViewer) -> Result<String, RelayError> {
        self.ask(|reply| Command::AddViewer { spec, reply }).await
    }
}

impl Relay {
    pub(super) fn placed(&self, session: SessionId) -> Result<Placed, RelayError> {
        self.inner.placement.get(&session).map(|placed| placed.clone()).ok_or(RelayError::NotFound)
    }

    pub(super) fn home(&self, session: SessionId) -> Result<&Handle, RelayError> {
        self.inner.shards.get(self.placed(session)?.home).ok_or(RelayError::NotFound)
    }

    /// The shards of a session, its home first; none of one that is not open.
    pub(super) fn shards(&self, session: SessionId) -> Vec<&Handle> {
        let Ok(Placed { home, replicas }) = self.placed(session) else { return Vec::new() };
        let numbers = std::iter::once(home).chain(replicas);
        numbers.filter_map(|number| self.inner.shards.get(number)).collect()
    }

    /// Adds a viewer where it belongs, and takes it away from where it was.
    pub(super) async fn place_viewer(&self, spec: AddViewer) -> Result<String, RelayError> {
        let (session, viewer) = (spec.session, spec.viewer);
        let home = self.placed(session)?.home;
        let number = if spec.slot.is_some() { home } else { self.for_spectators(session, home).await };
        let mut shard = self.inner.shards.get(number).ok_or(RelayError::NotFound)?;
        let mut answer = shard.add(spec.clone()).await;
        if number != home && matches!(answer, Err(RelayError::NotFound)) {
            // The replica was lost.
            if let Some(mut placed) = self.inner.placement.get_mut(&session) {
                placed.replicas.retain(|replica| *replica != number);
            }
            shard = self.home(session)?;
            answer = shard.add(spec).await;
        }
        if answer.is_ok() {
            for other in self.shards(session) {
                // Where it was before.
                if !std::ptr::eq(other, shard) {
                    let _ = other.ask(|reply| Command::RemoveViewer { session, viewer, reply }).await;
                }
            }
        }
        answer
    }

    /// Asks the shards of a session, until one knows who is meant.
    pub(super) async fn ask_in_turn<T>(
        &self,
        session: SessionId,
        command: impl Fn(Reply<T>) -> Command,
    ) -> Result<T, RelayError> {
        for shard in self.shards(session) {
            match shard.ask(&command).await {
                Err(RelayError::NotFound) => {}
                answer => return answer,
            }
        }
        Err(RelayError::NotFound)
    }

    /// The shard with the fewest viewers, with a replica of the session if it is not its home.
    pub(super) async fn for_spectators(&self, session: SessionId, home: usize) -> usize {
        let shards = self.inner.shards.iter().enumerate();
        let able = shards.filter(|(number, shard)| *number == home || !shard.supervisor.is_degraded());
        let least = able.min_by_key(|(number, shard)| (shard.viewers.get(), *number != home));
        let Some((number, _)) = least.filter(|(number, _)| *number != home) else { return home };
        let has = || self.placed(session).is_ok_and(|placed| placed.replicas.contains(&number));
        if has() {
            return number;
        }
        let _one = self.inner.replicating.lock().await;
        if !has() && self.replicate(session, home, number).await.is_err() {
            return home;
        }
        number
    }

    async fn replicate(&self, session: SessionId, home: usize, number: usize) -> Result<(), RelayError> {
        let shard = |number| self.inner.shards.get(number).ok_or(RelayError::NotFound);
        let (home, other) = (shard(home)?, shard(number)?);
        let wakers = (Arc::clone(&home.waker), Arc::clone(&other.waker));
        let make = |reply| Command::Replicate { session, home: wakers.0, there: wakers.1, reply };
        let replica = home.ask(make).await?;
        other.ask(|reply| Command::TakeReplica { replica, reply }).await?;
        if let Some(mut placed) = self.inner.placement.get_mut(&session) {
            placed.replicas.push(number);
        }
        Ok(())
    }
}
