//! A gateway whose media goes over an emulated link: players are told 127.0.0.2, where the link listens at the relay's port
//! number, and the link sends on to 127.0.0.1. HTTP and signaling take the short way.

use super::gateway::{Gateway, Options};
use playgate::link::{Link, LinkConfig};
use std::net::{Ipv4Addr, SocketAddr};

const LINK: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A gateway and the link before it.
pub(crate) struct Linked {
    pub(crate) gateway: Gateway,
    pub(crate) link: Link,
    /// An operator's.
    token: String,
}

impl Linked {
    /// A clear link; `toml` as for [`Gateway::with_toml`].
    pub(crate) async fn with_toml(toml: &str) -> Self {
        // With an address for others guests are not at home unless told so.
        let toml = format!("public_ip = ['{LINK}']\nauth.guest = true\n{toml}");
        let gateway = Gateway::with(Options { toml, ..Default::default() }).await;
        let [listen, to] = [LINK, Ipv4Addr::LOCALHOST].map(|ip| SocketAddr::from((ip, gateway.port())));
        let link = Link::start(LinkConfig::new(listen, to)).expect("127.0.0.2 is this machine's too");
        let token = gateway.mint(&["--operator"]).await;
        Self { gateway, link, token }
    }

    /// A counter or gauge of the gateway: the sum over all lines that start with `name` and hold `label`.
    pub(crate) async fn metric(&self, name: &str, label: &str) -> f64 {
        let request = self.gateway.client().http().get(format!("{}/metrics", self.gateway.url));
        let text = request.bearer_auth(&self.token).send().await.unwrap().text().await.unwrap();
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    pub(crate) async fn finish(self) {
        drop(self.link);
        self.gateway.finish().await;
    }
}
