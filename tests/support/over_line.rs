//! A gateway whose media goes over an emulated line. HTTP and signaling take the short way.
//!
//! As root the line is a TUN device between two network namespaces, and browsers run on its far side. Elsewhere it is a
//! UDP proxy: players are told 127.0.0.2, where it listens at the relay's port number, and it sends on to 127.0.0.1.

use super::bypass;
use super::chrome;
use super::gateway::{Gateway, Options};
use super::line::{self, Line};
use playgate::netem::{Counters, Course, Direction, OVERHEAD_BYTES, Proxy, ProxyConfig};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// What carries the media.
pub(crate) enum Media {
    Line(Line),
    Proxy(Proxy),
}

impl Media {
    pub(crate) fn set(&self, direction: Direction, course: impl Into<Course>) {
        match self {
            Self::Line(line) => line.set(direction, course),
            Self::Proxy(proxy) => proxy.set(direction, course),
        }
    }

    /// Loses everything both ways for so long.
    pub(crate) fn outage(&self, lasts: Duration) {
        match self {
            Self::Line(line) => line.outage(lasts),
            Self::Proxy(proxy) => proxy.outage(lasts),
        }
    }

    /// `bytes` are those of IP packets. What the kernel dropped before the line counts as dropped.
    pub(crate) fn counters(&self, direction: Direction) -> Counters {
        match self {
            Self::Line(line) => {
                let counters = line.counters(direction);
                Counters { dropped: counters.dropped + line.kernel_drops(), ..counters }
            }
            Self::Proxy(proxy) => {
                let counters = proxy.counters(direction);
                Counters { bytes: counters.bytes + counters.packets * OVERHEAD_BYTES, ..counters }
            }
        }
    }
}

/// A gateway and the line before it.
pub(crate) struct OverLine {
    pub(crate) gateway: Gateway,
    pub(crate) media: Media,
    /// Where players send media.
    pub(crate) address: IpAddr,
    /// An operator's.
    token: String,
}

impl OverLine {
    /// A clear line; `toml` as for [`Gateway::with_toml`].
    pub(crate) async fn with_toml(toml: &str) -> Self {
        // With an address for others guests are not at home unless told so.
        let toml = format!("auth.guest = true\n{toml}");
        if line::available() { Self::over_tun(&toml).await } else { Self::over_proxy(&toml).await }
    }

    async fn over_tun(toml: &str) -> Self {
        let line = Line::to_new_namespace(1);
        let address = line.near().v4;
        let toml = format!("public_ip = ['{address}']\nmedia_listen = ['{address}:0']\n{toml}");
        let gateway = Gateway::with(Options { toml, ..Default::default() }).await;
        bypass::to_near(line.far(), gateway.port());
        let token = gateway.mint(&["--operator"]).await;
        Self { gateway, media: Media::Line(line), address: address.into(), token }
    }

    async fn over_proxy(toml: &str) -> Self {
        let toml = format!("public_ip = ['{PROXY}']\n{toml}");
        let gateway = Gateway::with(Options { toml, ..Default::default() }).await;
        let [listen, to] = [PROXY, Ipv4Addr::LOCALHOST].map(|ip| SocketAddr::from((ip, gateway.port())));
        let proxy = Proxy::start(ProxyConfig::new(listen, to)).expect("127.0.0.2 is this machine's too");
        let token = gateway.mint(&["--operator"]).await;
        Self { gateway, media: Media::Proxy(proxy), address: PROXY.into(), token }
    }

    /// How a browser is started on the players' side.
    pub(crate) fn browser(&self) -> chrome::Options {
        let far = match &self.media {
            Media::Line(line) => Some(line.far().clone()),
            Media::Proxy(_) => None,
        };
        chrome::Options { far, ..Default::default() }
    }

    /// A counter or gauge of the gateway: the sum over all lines that start with `name` and hold `label`.
    pub(crate) async fn metric(&self, name: &str, label: &str) -> f64 {
        let request = self.gateway.client().http().get(format!("{}/metrics", self.gateway.url));
        let text = request.bearer_auth(&self.token).send().await.unwrap().text().await.unwrap();
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    pub(crate) async fn finish(self) {
        drop(self.media);
        self.gateway.finish().await;
    }
}
