//! The composition root: puts a gateway together from its configuration and takes it down in order.

mod engine;
mod hosting;
mod ledger;
mod node;
mod private;
mod signaling;

use crate::auth::{Auth, TokenLedger};
use crate::config::Config;
use crate::control::ControlHub;
use crate::driver::{ExternalDriver, ProcessDriver};
use crate::events::Webhooks;
use crate::http::{Announce, Assets, Front, FrontDeps, HttpMetrics, PrivateServing, Serving, private_routes};
use crate::model::Clock;
use crate::node::heart::HeartTask;
use crate::node::node_name;
use crate::relay::{Relay, RelayConfig};
use crate::session::{Catalogue, Drivers, SessionDeps, Sessions};
use crate::signal::{SignalConfig, SignalState};
use crate::store::{DataDir, SaveStore, SqliteStore, Store};
use crate::thumbnail::Thumbnailer;
use crate::{games, signal, telemetry};
use anyhow::{Context, Result};
use engine::Engine;
use prometheus_client::registry::Registry;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

/// A gateway, started.
pub struct RunningApp {
    pub http_addr: SocketAddr,
    pub private_addr: SocketAddr,
    /// What to open in a browser, without a trailing slash.
    pub base_url: String,
    sessions: Sessions,
    webhooks: Webhooks,
    heart: HeartTask,
    public: Serving,
    private: PrivateServing,
}

/// Starts gateways.
pub struct App {
    announce: Announce,
}

impl Default for App {
    fn default() -> Self {
        Self { announce: Arc::new(|_| {}) }
    }
}

impl App {
    /// `announce` gets the sign-in links of `--lan`, each time they change.
    #[must_use]
    pub fn announcing(mut self, announce: Announce) -> Self {
        self.announce = announce;
        self
    }

    /// A whole gateway in this process.
    pub async fn start(self, config: Config) -> Result<RunningApp> {
        let data_dir = Arc::new(DataDir::lock(&config.data_dir)?);
        let mut registry = telemetry::registry();
        telemetry::register_process(&mut registry);

        let store: Arc<dyn Store> = open_store(&data_dir.database()).await?;
        let catalogue = Catalogue::load(&config)?;
        let hosting = hosting::load(&config)?;
        let node = node_name(&config.node, data_dir.root())?;
        // The engine comes first: the private listener binds the addresses of its bridges.
        let engine = Engine::if_needed(&config, &node, &data_dir, store.as_ref(), &mut registry).await?;
        let front = Front::bind(&config)?;
        let bridges = engine.as_ref().map(Engine::bridges).unwrap_or_default();
        let private = private::bind(config.private_listen, &bridges, &data_dir)?;
        let auth = Auth::open(&config, ledger_over(Arc::clone(&store)))?;
        let relay = start_relay(&config, front.address(), private.address, &mut registry)?;
        let control = ControlHub::new(&mut registry);
        let runner = std::env::current_exe().context("cannot find this program")?;
        let (scheduler, heart) = node::start(
            &node,
            &config,
            &data_dir,
            &store,
            node::games(&catalogue, &hosting),
            engine.as_ref(),
        )
        .await?;
        let pictures = Thumbnailer::new(Arc::new(relay.clone()), runner.clone(), &mut registry);
        let events = Arc::clone(&store);
        let deps = SessionDeps {
            saves: SaveStore::open(&data_dir, Arc::clone(&store), &config.sessions).await?,
            store,
            relay: relay.clone(),
            control: control.clone(),
            placement: Arc::new(scheduler.clone()),
            content: engine.as_ref().map(Engine::content),
            private: private.address,
            drivers: Drivers {
                process: Arc::new(ProcessDriver::new(config.runner.program.clone().unwrap_or(runner))),
                external: Arc::new(ExternalDriver),
                docker: engine.as_ref().map(Engine::driver),
            },
            hosting,
            catalogue,
            config: config.sessions.clone(),
            data_dir,
            marker: config.runner.marker,
        };
        let private_addr = private.address;
        let sessions = Sessions::start(deps, &mut registry).await?;
        let webhooks = Webhooks::start(&config.webhooks, &events, &Clock::system(), &mut registry).await?;
        let signal = signal_routes(&config, &sessions, &relay, &mut registry);
        let metrics = HttpMetrics::new(&mut registry);

        let registry = Arc::new(registry);
        let games = vec![config.docker.subnet, config.docker.open_subnet];
        let private = private.serve(control.router(), private_routes(Arc::clone(&registry), games))?;
        let deps = FrontDeps {
            core: Arc::new(sessions.clone()),
            hosted: Arc::new(sessions.clone()),
            embeds: Arc::new(sessions.clone()),
            nodes: Arc::new(scheduler),
            events,
            webhooks: webhooks.views(),
            signal,
            auth,
            registry,
            metrics,
            thumbnails: games::thumbnail,
            pictures,
            assets: Assets::Embedded,
            announce: self.announce,
        };
        let public = front.serve(&config, deps)?;
        let (http_addr, base_url) = (public.address, public.base_url.clone());
        Ok(RunningApp { http_addr, private_addr, base_url, sessions, webhooks, heart, public, private })
    }
}

impl RunningApp {
    /// Ends every session with its save stored, then the listeners. Media ends with the last handle to the relay.
    pub async fn stop(self) {
        self.sessions.shutdown().await;
        drop(self.webhooks);
        drop(self.heart);
        self.public.stop().await;
        self.private.stop().await;
    }
}

/// Opens the database, made when it is not there. More processes than one may have it open.
pub async fn open_store(database: &Path) -> Result<Arc<dyn Store>> {
    Ok(Arc::new(SqliteStore::open(database).await?))
}

/// Minted tokens, remembered in the store.
pub fn ledger_over(store: Arc<dyn Store>) -> Arc<dyn TokenLedger> {
    Arc::new(ledger::StoreLedger(store))
}

fn start_relay(
    config: &Config,
    http: SocketAddr,
    private: SocketAddr,
    registry: &mut Registry,
) -> Result<Relay> {
    let media_listen = if config.media_listen.is_empty() { vec![http] } else { config.media_listen.clone() };
    let relay = RelayConfig {
        whole_machine: config.media_listen.is_empty(),
        media_listen,
        public_ip: config.public_ip.clone(),
        ingest_ip: private.ip(),
    };
    Relay::start(relay, registry).context("media (UDP): choose other addresses with --media-listen")
}

fn signal_routes(
    config: &Config,
    sessions: &Sessions,
    relay: &Relay,
    registry: &mut Registry,
) -> axum::Router {
    let signaling = SignalConfig {
        ice: config.ice.clone(),
        media: relay.candidates().iter().map(ToString::to_string).collect(),
        max_viewers: usize::try_from(config.sessions.max_viewers).unwrap_or(usize::MAX),
        ..SignalConfig::default()
    };
    let callers = Arc::new(signaling::Callers);
    signal::router(SignalState::new(Arc::new(sessions.clone()), callers, signaling, registry))
}
