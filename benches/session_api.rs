//! Describe and list at 1,000 hosted sessions: requests per second and delays, beside a bare axum handler that answers
//! with as many bytes, on the same listener's settings and by the same client.
//!
//! The session core, its SQLite store and the whole router are the real ones; only the engine is a fake, because a thousand
//! containers would measure the engine. Client and server share the machine. Rounds alternate, medians count, and
//! nothing here asserts anything.

#[path = "../tests/support/fake_driver.rs"]
#[expect(dead_code, reason = "the simulations use the rest")]
mod fake_driver;

use axum::Router;
use axum::routing::get;
use fake_driver::{FakeDriver, Journal};
use hdrhistogram::Histogram;
use playgate::app::{ledger_over, open_store};
use playgate::auth::Auth;
use playgate::config::{Config, SessionsConfig};
use playgate::control::ControlHub;
use playgate::driver::ExternalDriver;
use playgate::http::{Access, Assets, EventStreams, HttpMetrics, HttpParts, Machine, Thumbnails, router};
use playgate::model::nodes::{Announcement, Resources};
use playgate::node::Scheduler;
use playgate::relay::{Relay, RelayConfig};
use playgate::session::hosted::{HostRequest, Hosting, Images};
use playgate::session::{Catalogue, Drivers, SessionDeps, Sessions};
use playgate::store::{DataDir, SaveStore};
use playgate::thumbnail::Thumbnailer;
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

const SESSIONS: usize = 1000;
const CONNECTIONS: usize = 8;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(3);

type Outcome<T> = Result<T, Box<dyn Error>>;

/// One round of one kind of request.
#[derive(Clone, Copy)]
struct Round {
    per_second: f64,
    median_ms: f64,
    p99_ms: f64,
}

fn main() -> Outcome<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(measure())
}

async fn measure() -> Outcome<()> {
    let dir = tempfile::tempdir()?;
    let (app, token) = gateway(dir.path()).await?;
    let base = serve(app).await?;
    let http = reqwest::Client::builder().pool_max_idle_per_host(CONNECTIONS).build()?;
    let mut table = String::new();
    writeln!(
        table,
        "Session API at {SESSIONS} sessions, {CONNECTIONS} connections, medians of {ROUNDS} rounds, one run"
    )?;
    writeln!(
        table,
        "{:>10} {:>10} {:>12} {:>10} {:>10} {:>22}",
        "request", "bytes", "requests/s", "median ms", "p99 ms", "of the bare handler's"
    )?;
    for (name, path) in
        [("describe", "/session/match-500"), ("list", "/session"), ("filtered", "/session?filter[n]=7")]
    {
        let url = format!("{base}{path}");
        let body = http.get(&url).bearer_auth(&token).send().await?.error_for_status()?.bytes().await?;
        let bare = bare(&body).await?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            theirs.push(round(&http, &bare, &token).await?);
            ours.push(round(&http, &url, &token).await?);
        }
        let (ours, theirs) = (medians(&ours), medians(&theirs));
        writeln!(
            table,
            "{name:>10} {:>10} {:>12.0} {:>10.2} {:>10.2} {:>20.0} %",
            body.len(),
            ours.per_second,
            ours.median_ms,
            ours.p99_ms,
            100.0 * ours.per_second / theirs.per_second,
        )?;
        writeln!(
            table,
            "{:>10} {:>10} {:>12.0} {:>10.2} {:>10.2}",
            "bare",
            body.len(),
            theirs.per_second,
            theirs.median_ms,
            theirs.p99_ms
        )?;
    }
    #[expect(clippy::print_stdout, reason = "a measurement tells its result")]
    {
        println!("{table}");
    }
    Ok(())
}

/// A gateway whose sessions all run, and an organisation's token.
async fn gateway(dir: &std::path::Path) -> Outcome<(Router, String)> {
    let mut config: Config = toml::from_str(
        "session_api.starts_per_minute = 100000\n[[images]]\nname = 'arena'\nrepository = 'registry.example/arena'\n\
         organisations = ['studio']\ntags = ['stable']\n",
    )?;
    config.data_dir = dir.join("data");
    let data_dir = Arc::new(DataDir::lock(&config.data_dir)?);
    let store = open_store(&data_dir.database()).await?;
    let total = Resources { milli_cpus: 1 << 40, memory_bytes: 1 << 50, gpus: 0 };
    let node = Announcement { name: "here".to_owned(), capacity: 10_000, total, ..Announcement::default() };
    store.put_node(&node, 0).await?;
    store.set_node_health("here", true, 0).await?;
    let mut registry = Registry::default();
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let relay = Relay::start(
        RelayConfig {
            whole_machine: false,
            media_listen: vec![loopback],
            public_ip: Vec::new(),
            ingest_ip: loopback.ip(),
        },
        &mut registry,
    )?;
    let auth = Auth::open(&config, ledger_over(Arc::clone(&store)))?;
    let token = auth.mint_organisation("studio", None, None).await?.token;
    let driver = FakeDriver::containers(Journal::default());
    let scheduler = Scheduler::new(Arc::clone(&store)).bound_to("here");
    let deps = SessionDeps {
        saves: SaveStore::open(&data_dir, Arc::clone(&store), &config.sessions).await?,
        store: Arc::clone(&store),
        relay: relay.clone(),
        control: ControlHub::new(&mut registry),
        placement: Arc::new(scheduler.clone()),
        content: Some(Arc::new(Here)),
        private: loopback,
        hosting: Hosting {
            images: Images::load(&config)?,
            config: config.session_api.clone(),
            host: "192.0.2.1".to_owned(),
        },
        drivers: Drivers {
            process: Arc::new(driver.clone()),
            external: Arc::new(ExternalDriver),
            docker: Some(Arc::new(driver)),
        },
        catalogue: Catalogue::load(&config)?,
        config: SessionsConfig { capacity: 10_000, ..SessionsConfig::default() },
        data_dir,
        marker: false,
    };
    let sessions = Sessions::start(deps, &mut registry).await?;
    for number in 0..SESSIONS {
        let pair = |key: &str, value: String| BTreeMap::from([(key.to_owned(), value)]);
        let request = HostRequest {
            id: Some(format!("match-{number}")),
            location: "here".to_owned(),
            image: "arena".to_owned(),
            labels: pair("n", (number % 100).to_string()),
            env: pair("MODE", "ranked".to_owned()),
            ..HostRequest::default()
        };
        sessions.host("studio", request).await?;
        let players: Vec<String> = (0..number % 4).map(|player| format!("player-{player}")).collect();
        sessions.join_hosted("studio", &format!("match-{number}"), &players).await?;
    }
    let pictures = Thumbnailer::new(Arc::new(relay), std::env::current_exe()?, &mut registry);
    let metrics = HttpMetrics::new(&mut registry);
    let parts = HttpParts {
        core: Arc::new(sessions.clone()),
        embeds: Arc::new(sessions.clone()),
        hosted: Arc::new(sessions),
        nodes: Arc::new(scheduler),
        events: store,
        webhooks: Vec::new(),
        streams: EventStreams::default(),
        auth,
        access: Access::new(&config, config.listen)?,
        codes: None,
        sign_in_url: None,
        registry: Arc::new(registry),
        metrics,
        machine: Machine::new(config.data_dir.clone()),
        thumbnails: Thumbnails::new(|_| None),
        pictures,
        assets: Assets::Embedded,
    };
    Ok((router(parts, Router::new()), token))
}

/// Every image is on the engine.
struct Here;

#[async_trait::async_trait]
impl playgate::content::ContentSource for Here {
    async fn fetch(
        &self,
        _: &playgate::content::Content,
        _: &tokio::sync::watch::Sender<playgate::content::Progress>,
    ) -> Result<playgate::content::Ready, playgate::content::ContentError> {
        Ok(playgate::content::Ready { image: "sha256:0".to_owned(), package: None })
    }

    async fn is_cached(&self, _: &playgate::content::Content) -> bool {
        true
    }
}

/// A handler that gives the same bytes and knows nothing.
async fn bare(body: &bytes::Bytes) -> Outcome<String> {
    let body = body.clone();
    let app = Router::new()
        .route("/", get(|| async move { ([(axum::http::header::CONTENT_TYPE, "application/json")], body) }));
    Ok(format!("{}/", serve(app).await?))
}

async fn serve(app: Router) -> Outcome<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let base = format!("http://{}", listener.local_addr()?);
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    Ok(base)
}

async fn round(http: &reqwest::Client, url: &str, token: &str) -> Outcome<Round> {
    let (done, begun) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let connections = (0..CONNECTIONS).map(|_| {
        let (http, url, token, done) = (http.clone(), url.to_owned(), token.to_owned(), Arc::clone(&done));
        tokio::spawn(async move {
            let mut times = Vec::new();
            while begun.elapsed() < ROUND {
                let asked = Instant::now();
                let answer = http.get(&url).bearer_auth(&token).send().await?.error_for_status()?;
                answer.bytes().await?;
                times.push(asked.elapsed());
                done.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<_, reqwest::Error>(times)
        })
    });
    let mut delays = Histogram::<u64>::new(3)?;
    for times in futures_util::future::join_all(connections).await {
        for time in times?? {
            delays.record(u64::try_from(time.as_micros())?)?;
        }
    }
    let ms = |micros: u64| Duration::from_micros(micros).as_secs_f64() * 1000.0;
    let count = u32::try_from(done.load(Ordering::Relaxed))?;
    Ok(Round {
        per_second: f64::from(count) / begun.elapsed().as_secs_f64(),
        median_ms: ms(delays.value_at_quantile(0.5)),
        p99_ms: ms(delays.value_at_quantile(0.99)),
    })
}

fn medians(rounds: &[Round]) -> Round {
    let median = |of: fn(&Round) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or_default()
    };
    Round {
        per_second: median(|round| round.per_second),
        median_ms: median(|round| round.median_ms),
        p99_ms: median(|round| round.p99_ms),
    }
}
