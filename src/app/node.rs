//! This gateway's own node: its name, its scheduler and its heart.

use super::engine::Engine;
use crate::config::Config;
use crate::content::Content;
use crate::model::Clock;
use crate::node::health::HealthRules;
use crate::node::heart::{AlwaysThere, DockerProbe, EngineProbe, HeartParts, HeartTask, NodeHeart};
use crate::node::{Scheduler, machine};
use crate::session::Catalogue;
use crate::session::catalogue::{Game, Source};
use crate::session::hosted::Hosting;
use crate::store::{DataDir, Store};
use crate::telemetry::Machine;
use anyhow::Result;
use std::sync::Arc;

/// Announces the node and knows how it is before the first launch; from then on its heart beats.
pub(super) async fn start(
    name: &str,
    config: &Config,
    data_dir: &DataDir,
    store: &Arc<dyn Store>,
    games: Vec<(String, Option<Content>)>,
    engine: Option<&Engine>,
) -> Result<(Scheduler, HeartTask)> {
    // Without an engine there is nothing that could fail to answer.
    let probe: Arc<dyn EngineProbe> = match engine {
        Some(engine) => Arc::new(DockerProbe(engine.docker())),
        None => Arc::new(AlwaysThere),
    };
    let parts = HeartParts {
        store: Arc::clone(store),
        node: machine::announcement(config, name),
        probe,
        content: engine.map(Engine::content),
        games,
        machine: Arc::new(Machine::new(data_dir.root().to_owned())),
        rules: HealthRules::default(),
    };
    let clock = Clock::system();
    let mut heart = NodeHeart::announce(parts, clock.now_ms()).await?;
    heart.tick(clock.now_ms()).await?;
    Ok((Scheduler::new(Arc::clone(store)).bound_to(name), heart.run(clock)))
}

/// Every game and every image of organisations, with what has to be here for it.
pub(super) fn games(catalogue: &Catalogue, hosting: &Hosting) -> Vec<(String, Option<Content>)> {
    let views = catalogue.views();
    let games = views.iter().filter_map(|view| catalogue.get(&view.slug).map(|game| Game::clone(game)));
    let content = games.chain(hosting.images.games()).map(|game| {
        let content = match game.source {
            Source::BuiltIn | Source::External { .. } => None,
            Source::Container(container) => Some(container.content),
        };
        (game.view.slug, content)
    });
    content.collect()
}
