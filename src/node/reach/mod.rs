//! What of this machine a game's container can reach: told by `playgate node check`.
//!
//! An internal bridge has no way out, but its gateway address is this machine itself: every service that listens there
//! answers. So the listing is exact for what listens, and knows nothing of packet filters; the proof from inside a
//! container does ([`proof`]).
//!
//! From the internal bridge a container reaches sockets bound to every address or to that bridge's gateway address: it has
//! no route to any other. From the open bridge it reaches every address of this machine but loopback. The bridges speak
//! IPv4 only, so what listens on one IPv6 address is out of reach.

pub mod proof;
pub mod sockets;

use crate::config::DockerConfig;
use ipnet::Ipv4Net;
use sockets::{Listening, Owner, Transport};
use std::net::{IpAddr, Ipv4Addr};

/// The node's two networks, each by its gateway address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bridges {
    pub internal: Ipv4Addr,
    pub open: Ipv4Addr,
}

impl Bridges {
    pub fn of(config: &DockerConfig) -> Self {
        Self { internal: first_host(config.subnet), open: first_host(config.open_subnet) }
    }
}

/// Whose a socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Whose {
    /// The gateway's, on a bridge: runners need it.
    Private,
    /// The gateway's, for everybody who reaches this machine.
    Public,
    Other,
}

/// A socket that containers reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reachable {
    pub listening: Listening,
    pub whose: Whose,
    /// From the internal bridge, and from the open one.
    pub internal: bool,
    pub open: bool,
    /// Whether a container on the internal bridge did reach it; absent when that was not tried.
    pub proved: Option<bool>,
}

impl Reachable {
    /// Somebody else's, and nothing shows that it is out of reach.
    pub fn is_finding(&self) -> bool {
        // The proof is of the internal bridge only.
        let reached = if self.proved == Some(false) { self.open } else { self.internal || self.open };
        self.whose == Whose::Other && reached
    }
}

/// What of these sockets containers reach, by transport and port.
pub fn judge(listening: Vec<Listening>, bridges: Bridges) -> Vec<Reachable> {
    let mut found: Vec<Reachable> = listening
        .into_iter()
        .filter_map(|listening| {
            let (internal, open) = reached(listening.address.ip(), bridges);
            let whose = whose(&listening, bridges);
            (internal || open).then_some(Reachable { listening, whose, internal, open, proved: None })
        })
        .collect();
    found.sort_by_key(|one| (one.listening.transport, one.listening.address.port(), one.listening.address));
    found
}

fn reached(address: IpAddr, bridges: Bridges) -> (bool, bool) {
    match address.to_canonical() {
        IpAddr::V4(ip) if ip.is_loopback() => (false, false),
        IpAddr::V4(ip) => (ip.is_unspecified() || ip == bridges.internal, true),
        // The unspecified address takes IPv4 too, if not told otherwise.
        IpAddr::V6(ip) => (ip.is_unspecified(), ip.is_unspecified()),
    }
}

fn whose(listening: &Listening, bridges: Bridges) -> Whose {
    let on_a_bridge = [bridges.internal, bridges.open].map(IpAddr::V4).contains(&listening.address.ip());
    match &listening.owner {
        Some(Owner { gateway: true, .. }) if on_a_bridge => Whose::Private,
        Some(Owner { gateway: true, .. }) => Whose::Public,
        Some(Owner { gateway: false, .. }) | None => Whose::Other,
    }
}

/// The ports a container on the internal bridge tries, each once.
pub fn to_prove(found: &[Reachable]) -> Vec<u16> {
    let tcp = found.iter().filter(|one| one.internal && one.listening.transport == Transport::Tcp);
    let mut ports: Vec<u16> = tcp.map(|one| one.listening.address.port()).collect();
    ports.dedup();
    ports
}

fn first_host(subnet: Ipv4Net) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(subnet.network()).saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn one(address: &str, gateway: bool) -> Vec<Reachable> {
        let address: SocketAddr = address.parse().unwrap();
        let owner = Some(Owner { pid: 1, program: "x".to_owned(), gateway });
        let bridges = Bridges::of(&DockerConfig::default());
        judge(vec![Listening { transport: Transport::Tcp, address, uid: 0, owner }], bridges)
    }

    #[test]
    fn loopback_is_out_of_reach_and_each_bridge_reaches_what_it_has_a_route_to() {
        for out in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[fe80::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(one(out, false), [], "{out}");
        }
        let cases = [
            ("0.0.0.0:1", true),
            ("[::]:1", true),
            ("10.213.0.1:1", true),
            ("10.213.1.1:1", false),
            ("192.168.1.7:1", false),
        ];
        for (address, internal) in cases {
            let found = &one(address, false)[0];
            assert_eq!((found.internal, found.open), (internal, true), "{address}");
            assert!(found.is_finding());
        }
    }

    #[test]
    fn the_gateways_own_sockets_are_no_finding() {
        assert_eq!(one("10.213.0.1:4000", true)[0].whose, Whose::Private);
        assert_eq!(one("10.213.1.1:4000", true)[0].whose, Whose::Private);
        let public = one("0.0.0.0:8080", true);
        assert_eq!(public[0].whose, Whose::Public);
        assert!(!public[0].is_finding());
    }

    #[test]
    fn a_proof_speaks_for_the_internal_bridge_alone() {
        let mut found = one("0.0.0.0:22", false);
        assert_eq!(to_prove(&found), [22]);
        found[0].proved = Some(false);
        assert!(found[0].is_finding(), "the open bridge may still reach it");
        found[0].open = false;
        assert!(!found[0].is_finding());
    }
}
