//! What a request came as: scheme, host, client address, trace id. Computed once, before any handler.
//!
//! Invariants: `X-Forwarded-*` count only from a trusted proxy. A listener on a loopback address serves loopback host names
//! only, so that no web page can reach the gateway by a name of its own (DNS rebinding); a configured public URL says that
//! a proxy is in front of it.

use super::proxy::{TrustedProxies, UnknownNetwork};
use crate::config::Config;
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri, header};
use playgate_signaling::steps;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use uuid::Uuid;

/// Rules of access, from the configuration.
#[derive(Debug, Clone)]
pub struct Access {
    /// Guests may sign in.
    pub guest: bool,
    /// Only loopback host names are served. Depends on the listener, never on who may sign in.
    pub loopback_only: bool,
    /// The listener itself speaks TLS.
    pub tls: bool,
    public_url: Option<String>,
    /// The listener's own address, for requests without a host.
    fallback_host: String,
    proxies: TrustedProxies,
}

impl Access {
    pub fn new(config: &Config, listening: SocketAddr) -> Result<Self, UnknownNetwork> {
        let tls = config.lan || config.tls_self_signed || config.tls_cert.is_some();
        let local = config.listen.ip().is_loopback()
            && !config.lan
            && config.public_url.is_none()
            && config.public_ip.is_empty();
        Ok(Self {
            guest: config.auth.guest.unwrap_or(local),
            loopback_only: config.listen.ip().is_loopback() && !config.lan && config.public_url.is_none(),
            tls,
            public_url: config.public_url.as_deref().map(|url| url.trim_end_matches('/').to_owned()),
            fallback_host: if listening.ip().is_unspecified() {
                format!("localhost:{}", listening.port())
            } else {
                listening.to_string()
            },
            proxies: TrustedProxies::parse(&config.trusted_proxies)?,
        })
    }

    /// `http://127.0.0.1:8080`: the public URL, or the listener's own.
    pub fn base_url(&self) -> String {
        let scheme = scheme(self.tls);
        self.public_url.clone().unwrap_or_else(|| format!("{scheme}://{}", self.fallback_host))
    }

    pub(super) fn proxies(&self) -> &TrustedProxies {
        &self.proxies
    }

    /// What a request came as; `None` for a host that is no host name.
    pub fn context(&self, peer: Option<IpAddr>, uri: &Uri, headers: &HeaderMap) -> Option<Context> {
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.to_canonical());
        let trusted = self.proxies.contains(peer);
        let forwarded = |name| if trusted { last(headers, name) } else { None };

        let https =
            forwarded("x-forwarded-proto").map_or(self.tls, |proto| proto.eq_ignore_ascii_case("https"));
        let host = forwarded("x-forwarded-host")
            .or_else(|| uri.authority().map(|authority| authority.as_str()))
            .or_else(|| headers.get(header::HOST).and_then(|value| value.to_str().ok()));
        let host = match host {
            Some(host) => host_name(host)?,
            None => self.fallback_host.clone(),
        };
        let served = format!("{}://{host}", scheme(https));
        let base = self.public_url.clone().unwrap_or_else(|| served.clone());
        let origins = [origin(&served), origin(&base)];
        let client = if trusted { self.client(peer, headers) } else { peer };
        let https = https || self.public_url.as_deref().is_some_and(|url| url.starts_with("https://"));
        Some(Context { client, https, host, base, origins, trace: Uuid::new_v4() })
    }

    /// May this host be served?
    pub fn serves(&self, context: &Context) -> bool {
        !self.loopback_only || is_loopback_name(&context.host)
    }

    /// The last address of the chain that is no proxy of ours.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let chain: Vec<&str> = headers
            .get_all("x-forwarded-for")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| steps::split(value, ','))
            .collect();
        let mut client = peer;
        for hop in chain.iter().rev() {
            let Some(address) = forwarded_address(hop.trim()) else {
                break;
            };
            client = address;
            if !self.proxies.contains(address) {
                break;
            }
        }
        client
    }
}

/// One request's circumstances.
#[derive(Debug, Clone)]
pub struct Context {
    /// Whoever asked, behind trusted proxies too.
    pub client: IpAddr,
    /// The browser came by https: cookies are `Secure`.
    pub https: bool,
    /// Host and, where it is not the scheme's own, port.
    pub host: String,
    /// Where players reach this gateway: the public URL, or scheme and host of this request. No trailing slash.
    pub base: String,
    origins: [String; 2],
    /// Names the request in the log.
    pub trace: Uuid,
}

impl Context {
    /// Sent by a page of our own, or typed by a person: by fetch metadata, else by an `Origin` of ours. Neither
    /// header is no proof.
    pub fn from_own_page(&self, headers: &HeaderMap) -> bool {
        self.page(headers) == Some(true)
    }

    /// Certainly sent by somebody else's page. A client that is no browser sends neither header and is none.
    pub fn from_foreign_page(&self, headers: &HeaderMap) -> bool {
        self.page(headers) == Some(false)
    }

    /// No `Origin`, ours, or one of these.
    pub fn from_page_of(&self, sites: &[String], headers: &HeaderMap) -> bool {
        headers
            .get_all(header::ORIGIN)
            .iter()
            .all(|sent| sent.to_str().is_ok_and(|sent| self.is_of(sites, sent)))
    }

    /// The browser names no page that led here (`Referer`), or one of ours or of these sites.
    pub fn referred_by(&self, sites: &[String], headers: &HeaderMap) -> bool {
        headers
            .get_all(header::REFERER)
            .iter()
            .all(|sent| sent.to_str().is_ok_and(|sent| self.is_of(sites, sent)))
    }

    fn is_of(&self, sites: &[String], url: &str) -> bool {
        let sent = origin(url);
        self.origins.contains(&sent) || sites.iter().any(|site| origin(site) == sent)
    }

    fn page(&self, headers: &HeaderMap) -> Option<bool> {
        if let Some(site) = headers.get("sec-fetch-site") {
            return Some(site == "same-origin" || site == "none");
        }
        let mut sent = headers.get_all(header::ORIGIN).iter();
        let first = sent.next()?;
        let own = first.to_str().is_ok_and(|text| self.origins.contains(&origin(text)));
        Some(own && sent.next().is_none())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Context {
    type Rejection = super::error::ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let context = parts.extensions.get::<Self>().cloned();
        context.ok_or_else(|| super::error::ApiError::internal("a route is served without its context"))
    }
}

/// The address a connection came from, where the server noted it.
pub(super) fn peer(extensions: &axum::http::Extensions) -> Option<IpAddr> {
    extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip())
}

fn scheme(https: bool) -> &'static str {
    if https { "https" } else { "http" }
}

/// The last value of a header that proxies append to: the nearest proxy's.
fn last<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    value.rsplit(',').next().map(str::trim).filter(|value| !value.is_empty())
}

/// An address as proxies write it: bare, with a port, in brackets.
fn forwarded_address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

/// A host with an optional port, in lower case; `None` when it holds what no host name does.
fn host_name(text: &str) -> Option<String> {
    let fits = !text.is_empty()
        && text.len() <= 255
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']'));
    fits.then(|| text.to_ascii_lowercase())
}

/// `scheme://host[:port]` in lower case and without the scheme's own port, as browsers write an origin (RFC 6454).
fn origin(url: &str) -> String {
    steps::spend(url.len());
    let lower = url.to_ascii_lowercase();
    let Some((scheme, rest)) = lower.split_once("://") else {
        return lower;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let own_port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => "",
    };
    let authority =
        if own_port.is_empty() { authority } else { authority.strip_suffix(own_port).unwrap_or(authority) };
    format!("{scheme}://{authority}")
}

/// A web site as its browser writes it in `Origin`; `None` for what is none: no http(s) scheme, no host, or more than that.
pub(super) fn web_origin(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let is_web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    let host = host_name(rest.strip_suffix('/').unwrap_or(rest))?;
    (is_web && !host.starts_with(':')).then(|| origin(&format!("{scheme}://{host}")))
}

/// `localhost`, `*.localhost` (RFC 6761) and loopback addresses, with or without a port.
fn is_loopback_name(host: &str) -> bool {
    if let Ok(address) = host.parse::<SocketAddr>() {
        return address.ip().is_loopback();
    }
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Ok(address) = bracketed.unwrap_or(host).parse::<IpAddr>() {
        return address.is_loopback();
    }
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_names_are_told_from_names_that_only_look_so() {
        for host in [
            "localhost",
            "localhost:8080",
            "play.localhost:1",
            "127.0.0.1",
            "127.0.0.1:80",
            "[::1]",
            "[::1]:8080",
        ] {
            assert!(is_loopback_name(host), "{host}");
        }
        for host in [
            "example.org",
            "localhost.example.org",
            "127.0.0.1.example.org",
            "notlocalhost",
            "192.0.2.1:80",
            "[::2]",
        ] {
            assert!(!is_loopback_name(host), "{host}");
        }
    }

    #[test]
    fn origins_compare_as_browsers_write_them() {
        assert_eq!(origin("https://Play.Example:443/x/"), "https://play.example");
        assert_eq!(origin("http://play.example:443"), "http://play.example:443");
        assert_eq!(origin("http://[::1]:80"), "http://[::1]");
        assert_eq!(origin("null"), "null");
    }

    #[test]
    fn a_web_site_is_a_scheme_and_a_host_and_nothing_more() {
        for (text, expected) in [
            ("https://Play.Example", Some("https://play.example")),
            ("https://play.example:443/", Some("https://play.example")),
            ("http://127.0.0.1:3000", Some("http://127.0.0.1:3000")),
            ("https://play.example/path", None),
            ("https://u@play.example", None),
            ("ftp://play.example", None),
            ("play.example", None),
            ("https://", None),
            ("https://:80", None),
            ("null", None),
            ("*", None),
        ] {
            assert_eq!(web_origin(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_host_with_anything_but_a_host_in_it_is_none() {
        for host in ["", "a b", "a/b", "a@b", "a\"b", "<script>"] {
            assert_eq!(host_name(host), None, "{host}");
        }
    }
}
