//! The composition root: puts a gateway together from its configuration and takes it down in order.

use crate::auth::{Auth, MemoryLedger, TokenLedger};
use crate::config::Config;
use crate::control::ControlHub;
use crate::http::{
    Announce, Assets, Front, FrontDeps, HttpMetrics, Private, PrivateServing, Serving, private_routes,
};
use crate::relay::{Relay, RelayConfig};
use crate::session::Sessions;
use anyhow::{Context, Result};
use prometheus_client::registry::Registry;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

/// A gateway, started.
pub struct RunningApp {
    pub http_addr: SocketAddr,
    pub private_addr: SocketAddr,
    /// What to open in a browser, without a trailing slash.
    pub base_url: String,
    sessions: Sessions,
    public: Serving,
    private: PrivateServing,
}

/// Starts gateways.
pub struct App;

impl App {
    /// A whole gateway in this process; nobody is told anything.
    pub async fn start(config: Config) -> Result<RunningApp> {
        Self::start_with(config, Arc::new(|_| {})).await
    }

    /// The same; `announce` gets the sign-in links of `--lan`, each time they change.
    pub async fn start_with(config: Config, announce: Announce) -> Result<RunningApp> {
        create_data_dir(&config.data_dir)?;
        let mut registry = Registry::default();

        let front = Front::bind(&config)?;
        let private = Private::bind(config.private_listen).context("--private-listen")?;
        let auth = Auth::open(&config, open_ledger(&config).await?)?;
        let relay = start_relay(&config, front.address(), private.address, &mut registry)?;
        let control = ControlHub::default();
        let sessions = start_sessions(&config, &relay, &control, private.address, &mut registry).await?;
        let metrics = HttpMetrics::new(&mut registry);

        let registry = Arc::new(registry);
        let private_addr = private.address;
        let private = private.serve(control.router().merge(private_routes(Arc::clone(&registry))))?;
        let deps = FrontDeps {
            core: Arc::new(sessions.clone()),
            signal: signal_routes(&config, &sessions, &auth, &relay),
            auth,
            registry,
            metrics,
            thumbnails: draw_thumbnail,
            assets: Assets::Embedded,
            announce,
        };
        let public = front.serve(&config, deps)?;
        let (http_addr, base_url) = (public.address, public.base_url.clone());
        Ok(RunningApp { http_addr, private_addr, base_url, sessions, public, private })
    }
}

impl RunningApp {
    /// Ends every session with its save stored, then the listeners. Media ends with the last handle to the relay.
    pub async fn stop(self) {
        self.sessions.shutdown().await;
        self.public.stop().await;
        self.private.stop().await;
    }
}

/// Made for its owner only; one that is there already keeps its mode.
pub fn create_data_dir(path: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot make the data directory {}", path.display()))
}

/// Where minted tokens are remembered.
pub async fn open_ledger(config: &Config) -> Result<Arc<dyn TokenLedger>> {
    // MERGE: the store's tokens, through a `TokenLedger` over `dyn Store`.
    let _ = config;
    Ok(Arc::new(MemoryLedger::default()))
}

fn start_relay(
    config: &Config,
    http: SocketAddr,
    private: SocketAddr,
    registry: &mut Registry,
) -> Result<Relay> {
    let media_listen = if config.media_listen.is_empty() { vec![http] } else { config.media_listen.clone() };
    let relay = RelayConfig { media_listen, public_ip: config.public_ip.clone(), ingest_ip: private.ip() };
    Relay::start(relay, registry).context("media (UDP): choose other addresses with --media-listen")
}

#[expect(clippy::unused_async, reason = "starting sessions asks the store")]
async fn start_sessions(
    config: &Config,
    relay: &Relay,
    control: &ControlHub,
    private: SocketAddr,
    registry: &mut Registry,
) -> Result<Sessions> {
    let control_url_base = format!("ws://{private}");
    // MERGE: Sessions::start(SessionDeps { store, saves, relay, control, control_url_base, drivers, catalogue, config,
    // work_dir, marker }).await
    let _ = (config, relay, control, control_url_base, registry);
    Ok(Sessions {})
}

fn signal_routes(config: &Config, sessions: &Sessions, auth: &Auth, relay: &Relay) -> axum::Router {
    // MERGE: crate::signal::router(...)
    let _ = (config, sessions, auth, relay);
    axum::Router::new()
}

fn draw_thumbnail(slug: &str) -> Option<Vec<u8>> {
    // MERGE: crate::games::thumbnail(slug)
    let _ = slug;
    None
}
