//! The container engine and what is brought to it, when this gateway has to do with one.

use crate::config::{Config, DriverName};
use crate::content::{ContentCache, ContentSource};
use crate::driver::docker::Hosting;
use crate::driver::{DockerDriver, Driver};
use crate::model::instance::InstanceRef;
use crate::store::{DataDir, Store};
use anyhow::{Context, Result};
use prometheus_client::registry::Registry;
use std::net::IpAddr;
use std::sync::Arc;

/// Connected, its networks made.
pub(super) struct Engine {
    driver: DockerDriver,
    content: ContentCache,
}

impl Engine {
    /// When a game or an image of organisations asks for it, or a game of the gateway before this one may still be there. Only the first is reason
    /// enough not to start without it.
    pub(super) async fn if_needed(
        config: &Config,
        node: &str,
        data_dir: &DataDir,
        store: &dyn Store,
        registry: &mut Registry,
    ) -> Result<Option<Self>> {
        let for_games = config.games.iter().any(|game| game.driver() == DriverName::Docker);
        if for_games || !config.images.is_empty() {
            return Self::start(config, node, data_dir, registry).await.map(Some);
        }
        if !leaves_containers(store).await? {
            return Ok(None);
        }
        let started = Self::start(config, node, data_dir, registry).await;
        Ok(started
            .inspect_err(|error| {
                tracing::warn!(%error, "games in containers of the gateway before this one stay as they are");
            })
            .ok())
    }

    async fn start(config: &Config, node: &str, data_dir: &DataDir, registry: &mut Registry) -> Result<Self> {
        let hosting = Hosting::new(&config.session_api, &data_dir.root().join("spool"));
        let driver =
            DockerDriver::connect(&config.docker, node, &hosting).await.context("container engine")?;
        let root = data_dir.root().join("content");
        let content = ContentCache::open(driver.engine().clone(), &config.docker, &root, registry)
            .await
            .context("cache of games")?;
        Ok(Self { driver, content })
    }

    /// Where the private listener has to be, besides its own address.
    pub(super) fn bridges(&self) -> Vec<IpAddr> {
        self.driver.gateways().to_vec()
    }

    pub(super) fn docker(&self) -> bollard::Docker {
        self.driver.engine().clone()
    }

    pub(super) fn driver(&self) -> Arc<dyn Driver> {
        Arc::new(self.driver.clone())
    }

    pub(super) fn content(&self) -> Arc<dyn ContentSource> {
        Arc::new(self.content.clone())
    }
}

async fn leaves_containers(store: &dyn Store) -> Result<bool> {
    let mut rows = store.active_sessions().await?;
    rows.extend(store.unsaved_sessions().await?);
    rows.extend(store.retained_sessions(None).await?);
    rows.extend(store.refused_saves().await?);
    Ok(rows.iter().any(|row| matches!(row.instance, Some(InstanceRef::Container { .. }))))
}
