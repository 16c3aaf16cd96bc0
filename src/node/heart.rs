//! The heartbeat of this gateway's own node: announces it, pings its engine, and notes its health, its load and which
//! games are there.
//!
//! The shell around [`Health`], which judges. Tests step it by [`NodeHeart::tick`]; a gateway lets it [`NodeHeart::run`].
//! Must hold: a tick ends in bounded time whatever the engine does, and a store that fails for a moment ends no heart.

use super::health::{Health, HealthRules};
use super::machine;
use crate::content::{Content, ContentSource};
use crate::model::nodes::Announcement;
use crate::model::{Clock, Millis};
use crate::store::{Store, StoreError};
use crate::telemetry::Machine;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, timeout};

/// The longest that looking for the games' content may take in one tick; what was not seen in time stays as it was.
const LOOK_TIMEOUT: Duration = Duration::from_secs(3);

/// Asks a node's engine for a sign of life.
#[async_trait::async_trait]
pub trait EngineProbe: Send + Sync {
    async fn ping(&self) -> bool;
}

/// Of a node without an engine: what runs there is this process's own children.
#[derive(Debug, Clone, Copy)]
pub struct AlwaysThere;

#[async_trait::async_trait]
impl EngineProbe for AlwaysThere {
    async fn ping(&self) -> bool {
        true
    }
}

/// Pings a Docker engine.
#[derive(Debug, Clone)]
pub struct DockerProbe(pub bollard::Docker);

#[async_trait::async_trait]
impl EngineProbe for DockerProbe {
    async fn ping(&self) -> bool {
        match self.0.ping().await {
            Ok(_) => true,
            Err(error) => {
                tracing::debug!(%error, "the engine did not answer");
                false
            }
        }
    }
}

/// What a heart is made of.
pub struct HeartParts {
    pub store: Arc<dyn Store>,
    pub node: Announcement,
    pub probe: Arc<dyn EngineProbe>,
    /// Absent where no game needs any.
    pub content: Option<Arc<dyn ContentSource>>,
    /// Every game of the catalogue by its slug, with what has to be here for it; built-in and external games need nothing
    /// and count as cached.
    pub games: Vec<(String, Option<Content>)>,
    pub machine: Arc<Machine>,
    pub rules: HealthRules,
}

/// One node's heart.
pub struct NodeHeart {
    parts: HeartParts,
    health: Health,
    cached: BTreeSet<String>,
}

impl NodeHeart {
    /// Announces the node and gives back what is reserved on it for sessions that are no more. Before the first launch:
    /// see [`Store::reconcile_reservations`].
    pub async fn announce(parts: HeartParts, now: Millis) -> Result<Self, StoreError> {
        parts.store.put_node(&parts.node, now).await?;
        let given_back = parts.store.reconcile_reservations(&parts.node.name).await?;
        if given_back > 0 {
            tracing::info!(given_back, "reservations of sessions that are no more were given back");
        }
        let cached = parts.games.iter().filter(|(_, content)| content.is_none());
        let cached = cached.map(|(slug, _)| slug.clone()).collect();
        Ok(Self { parts, health: Health::Unknown, cached })
    }

    /// One beat. On failure of the store, the next beat says it all again.
    pub async fn tick(&mut self, now: Millis) -> Result<(), StoreError> {
        let answered = timeout(self.parts.rules.timeout, self.parts.probe.ping()).await.unwrap_or(false);
        let (before, after) = (self.health, self.health.step(answered, &self.parts.rules));
        let name = &self.parts.node.name;
        if before == Health::Unknown || before.is_healthy() != after.is_healthy() {
            self.parts.store.set_node_health(name, after.is_healthy(), now).await?;
            tell(name, after);
        }
        self.health = after;
        if answered {
            self.look().await;
        }
        let load = machine::load(&self.parts.machine);
        let name = &self.parts.node.name;
        if !self.parts.store.note_node_load(name, load, &self.cached, now).await? {
            // Somebody removed the row; without it nothing is ever placed here.
            self.parts.store.put_node(&self.parts.node, now).await?;
            self.parts.store.set_node_health(name, self.health.is_healthy(), now).await?;
        }
        Ok(())
    }

    /// Beats in the rules' interval until the handle is aborted or dropped.
    pub fn run(mut self, clock: Clock) -> HeartTask {
        HeartTask(tokio::spawn(async move {
            let mut beats = tokio::time::interval(self.parts.rules.interval);
            beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                beats.tick().await;
                if let Err(error) = self.tick(clock.now_ms()).await {
                    tracing::warn!(%error, "the node's heartbeat was not written");
                }
            }
        }))
    }

    /// Which games' content is here now.
    async fn look(&mut self) {
        let Some(source) = &self.parts.content else { return };
        let mut found = BTreeSet::new();
        let looking = async {
            for (slug, content) in &self.parts.games {
                let here = match content {
                    None => true,
                    Some(content) => source.is_cached(content).await,
                };
                if here {
                    found.insert(slug.clone());
                }
            }
        };
        if timeout(LOOK_TIMEOUT, looking).await.is_ok() {
            self.cached = found;
        }
    }
}

/// A heart that beats; it stops when this is dropped.
#[derive(Debug)]
pub struct HeartTask(JoinHandle<()>);

impl Drop for HeartTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn tell(node: &str, health: Health) {
    if health.is_healthy() {
        tracing::info!(node, "the node is healthy");
    } else {
        tracing::warn!(node, "the node's engine does not answer; no session is placed here");
    }
}
