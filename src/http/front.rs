//! The public side put together: listener, certificate, one-time codes, router.
//!
//! Binding comes first and apart from serving, because the media socket takes the listener's number.

use super::catalogue::{DrawThumbnail, Thumbnails};
use super::connections::Connections;
use super::context::Access;
use super::layers::HttpMetrics;
use super::places::Places;
use super::proxy::UnknownNetwork;
use super::serve::{ListenError, Listening, Rules, bind, serve};
use super::tls::{self, SelfSigned, TlsError, names_of_this_machine};
use super::{Assets, EmbedCore, EventStreams, HostedCore, HttpParts, SessionCore, router};
use crate::auth::Auth;
use crate::auth::code::Codes;
use crate::config::Config;
use crate::events::WebhookView;
use crate::files;
use crate::node::NodeDirectory;
use crate::store::Store;
use crate::telemetry::Machine;
use crate::thumbnail::Thumbnailer;
use axum::Router;
use axum_server::tls_rustls::RustlsConfig;
use prometheus_client::registry::Registry;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use time::OffsetDateTime;
use tokio::task::JoinHandle;

/// Tries for a number that is free for TCP and UDP both, when any will do.
const PORT_TRIES: u32 = 16;

#[derive(Debug, thiserror::Error)]
pub enum FrontError {
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Proxies(#[from] UnknownNetwork),
    #[error("--tls-cert and --tls-key go together")]
    HalfAPair,
    #[error("cannot serve")]
    Serve(#[source] io::Error),
}

/// Tells the person at the terminal a line: the sign-in links of `--lan`.
pub type Announce = Arc<dyn Fn(&str) + Send + Sync>;

/// A bound listener, not served yet.
#[derive(Debug)]
pub struct Front {
    listener: TcpListener,
    address: SocketAddr,
    certificate: Option<Certificate>,
}

#[derive(Debug)]
struct Certificate {
    config: RustlsConfig,
    cert: PathBuf,
    key: PathBuf,
    own: Option<SelfSigned>,
}

/// What the public side needs of the other parts.
pub struct FrontDeps {
    pub core: Arc<dyn SessionCore>,
    pub hosted: Arc<dyn HostedCore>,
    pub embeds: Arc<dyn EmbedCore>,
    pub nodes: Arc<dyn NodeDirectory>,
    pub events: Arc<dyn Store>,
    pub webhooks: Vec<WebhookView>,
    pub auth: Auth,
    /// Signaling's routes.
    pub signal: Router,
    pub registry: Arc<Registry>,
    pub metrics: HttpMetrics,
    pub thumbnails: DrawThumbnail,
    pub pictures: Thumbnailer,
    pub assets: Assets,
    pub announce: Announce,
}

/// The public side at work.
#[derive(Debug)]
pub struct Serving {
    /// Where the listener is bound.
    pub address: SocketAddr,
    /// What to open in a browser, without a trailing slash.
    pub base_url: String,
    listening: Listening,
    streams: EventStreams,
    watching: Option<JoinHandle<()>>,
}

impl Front {
    /// Binds the listener and reads or makes the certificate.
    pub fn bind(config: &Config) -> Result<Self, FrontError> {
        tls::install_provider();
        let certificate = certificate(config)?;
        let listener =
            if config.lan { bind_everywhere(config.listen.port())? } else { bind_pair(config.listen)? };
        let address =
            listener.local_addr().map_err(|source| ListenError::Io { address: config.listen, source })?;
        Ok(Self { listener, address, certificate })
    }

    /// Address and number, for the media socket.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until stopped.
    pub fn serve(self, config: &Config, deps: FrontDeps) -> Result<Serving, FrontError> {
        let access = Access::new(config, self.address)?;
        let base_url = access.base_url();
        let places = Places::new(access.proxies().clone(), deps.metrics.refused_connections());
        let connections = Connections::new(files::for_connections(), deps.metrics.connections());
        let codes = config.lan.then(|| codes(config, self.address, deps.announce));
        let streams = EventStreams::default();
        let parts = HttpParts {
            core: deps.core,
            hosted: deps.hosted,
            embeds: deps.embeds,
            nodes: deps.nodes,
            events: deps.events,
            webhooks: deps.webhooks,
            streams: streams.clone(),
            auth: deps.auth,
            access,
            codes,
            sign_in_url: config.auth.sign_in_url.clone(),
            registry: deps.registry,
            metrics: deps.metrics,
            machine: Machine::new(config.data_dir.clone()),
            thumbnails: Thumbnails::new(deps.thumbnails),
            pictures: deps.pictures,
            assets: deps.assets,
        };
        let (tls, watching) = match self.certificate {
            None => (None, None),
            Some(Certificate { config, cert, key, own }) => {
                let watching = tokio::spawn(tls::watch(config.clone(), cert, key, own));
                (Some(config), Some(watching))
            }
        };
        let rules = Rules { tls, places: Some(places), connections: Some(connections) };
        let listening = serve(self.listener, router(parts, deps.signal), rules).map_err(FrontError::Serve)?;
        Ok(Serving { address: self.address, base_url, listening, streams, watching })
    }
}

impl Serving {
    /// Ends it in order: no new connections, then a moment for the running requests.
    pub async fn stop(self) {
        if let Some(watching) = self.watching {
            watching.abort();
        }
        self.streams.end();
        self.listening.stop().await;
    }
}

/// The private listener: the runners' control channel on every network of games, and metrics without a token on the
/// operator's address alone. One port for all of them.
#[derive(Debug)]
pub struct Private {
    pub address: SocketAddr,
    listener: TcpListener,
    bridges: Vec<TcpListener>,
}

impl Private {
    /// Binds `address`, and its port on the bridges too. With port 0: `remembered` where it is free everywhere, else any.
    pub fn bind(
        address: SocketAddr,
        bridges: &[IpAddr],
        remembered: Option<u16>,
    ) -> Result<Self, FrontError> {
        if address.port() != 0 {
            return Ok(Self::bind_all(address, bridges)?);
        }
        let again = remembered.map(|port| Self::bind_all(SocketAddr::new(address.ip(), port), bridges));
        if let Some(Ok(again)) = again {
            return Ok(again);
        }
        let mut bound = Self::bind_all(address, bridges);
        for _ in 0..PORT_TRIES {
            if !matches!(bound, Err(ListenError::Taken { .. })) {
                break;
            }
            bound = Self::bind_all(address, bridges);
        }
        Ok(bound?)
    }

    fn bind_all(address: SocketAddr, bridges: &[IpAddr]) -> Result<Self, ListenError> {
        let listener = bind(address)?;
        let address = listener.local_addr().map_err(|source| ListenError::Io { address, source })?;
        // An unspecified address takes the bridges' too.
        let apart =
            bridges.iter().filter(|bridge| !address.ip().is_unspecified() && **bridge != address.ip());
        let bridges =
            apart.map(|bridge| bind(SocketAddr::new(*bridge, address.port()))).collect::<Result<_, _>>()?;
        Ok(Self { address, listener, bridges })
    }

    /// Serves until stopped: `control` everywhere, `metrics` on the private address only.
    pub fn serve(self, control: Router, metrics: Router) -> Result<PrivateServing, FrontError> {
        let mut serving = Vec::new();
        for bridge in self.bridges {
            serving.push(serve(bridge, control.clone(), Rules::default()).map_err(FrontError::Serve)?);
        }
        serving
            .push(serve(self.listener, control.merge(metrics), Rules::default()).map_err(FrontError::Serve)?);
        Ok(PrivateServing(serving))
    }
}

/// The private listener at work.
#[derive(Debug)]
pub struct PrivateServing(Vec<Listening>);

impl PrivateServing {
    pub async fn stop(self) {
        futures_util::future::join_all(self.0.into_iter().map(Listening::stop)).await;
    }
}

fn certificate(config: &Config) -> Result<Option<Certificate>, FrontError> {
    match (&config.tls_cert, &config.tls_key) {
        (Some(cert), Some(key)) => {
            let loaded = tls::load(cert, key)?;
            Ok(Some(Certificate { config: loaded, cert: cert.clone(), key: key.clone(), own: None }))
        }
        (Some(_), None) | (None, Some(_)) => Err(FrontError::HalfAPair),
        (None, None) if config.tls_self_signed || config.lan => {
            let own = SelfSigned::in_dir(&config.data_dir);
            own.ensure(&names_of_this_machine(), OffsetDateTime::now_utc()).map_err(TlsError::from)?;
            let loaded = tls::load(&own.pem, &own.pem)?;
            let (cert, key) = (own.pem.clone(), own.pem.clone());
            Ok(Some(Certificate { config: loaded, cert, key, own: Some(own) }))
        }
        (None, None) => Ok(None),
    }
}

/// Every address, IPv6 too where the machine has it.
fn bind_everywhere(port: u16) -> Result<TcpListener, ListenError> {
    match bind_pair(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))) {
        Err(ListenError::Io { .. }) => bind_pair(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))),
        other => other,
    }
}

/// With port 0, a number that UDP has free as well.
fn bind_pair(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let mut listener = bind(address)?;
    if address.port() != 0 {
        return Ok(listener);
    }
    for _ in 0..PORT_TRIES {
        let taken = listener.local_addr().and_then(UdpSocket::bind).is_err();
        if !taken {
            break;
        }
        listener = bind(address)?;
    }
    Ok(listener)
}

/// One-time codes, told as one link for each address people can reach.
fn codes(config: &Config, address: SocketAddr, announce: Announce) -> Codes {
    let bases: Vec<String> = match &config.public_url {
        Some(url) => vec![url.trim_end_matches('/').to_owned()],
        None => tls::machine_addresses()
            .into_iter()
            .filter(|ip| !ip.is_loopback() && (address.is_ipv6() || ip.is_ipv4()))
            .map(|ip| format!("https://{}", SocketAddr::new(ip, address.port())))
            .collect(),
    };
    let tell = move |code: &str| {
        for base in &bases {
            announce(&format!("{base}/signin#code={code}"));
        }
    };
    Codes::new(Instant::now(), Arc::new(tell))
}
