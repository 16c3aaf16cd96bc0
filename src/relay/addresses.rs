//! The addresses a media socket can be reached at, for candidates.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// One candidate for each public address, or for every address the bound socket covers.
pub(super) fn candidates(bound: SocketAddr, public: &[IpAddr]) -> Vec<SocketAddr> {
    let mut ips: Vec<IpAddr> = if !public.is_empty() {
        public.to_vec()
    } else if !bound.ip().is_unspecified() {
        vec![bound.ip()]
    } else {
        let mut own = of_this_machine();
        own.retain(|ip| ip.is_ipv4() || bound.is_ipv6());
        own
    };
    // A browser on this machine reaches every address; on others loopback is of no use, so it comes last.
    ips.sort_by_key(IpAddr::is_loopback);
    let mut seen = Vec::new();
    ips.retain(|ip| {
        !seen.contains(ip) && {
            seen.push(*ip);
            true
        }
    });
    ips.into_iter().map(|ip| SocketAddr::new(ip.to_canonical(), bound.port())).collect()
}

/// For a wildcard socket that serves this machine only: the loopback address it stands for, then all others. Chromium
/// takes the first; Firefox has no loopback candidates and pairs none with them, so it needs the others.
pub(super) fn of_everybody_here(loopback: IpAddr, bound: SocketAddr) -> Vec<SocketAddr> {
    let mut found = candidates(bound, &[]);
    let first = SocketAddr::new(loopback, bound.port());
    found.retain(|address| *address != first);
    found.insert(0, first);
    found
}

/// IPv4 and IPv6 addresses of all interfaces, without link-local ones. Linux: read from `/proc`.
fn of_this_machine() -> Vec<IpAddr> {
    let mut found: Vec<IpAddr> = Vec::new();
    if let Ok(trie) = std::fs::read_to_string("/proc/net/fib_trie") {
        found.extend(local_ipv4(&trie).into_iter().map(IpAddr::V4));
    }
    if let Ok(table) = std::fs::read_to_string("/proc/net/if_inet6") {
        found.extend(local_ipv6(&table).into_iter().map(IpAddr::V6));
    }
    if found.is_empty() {
        found.push(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    found
}

/// The leaves of the routing trie marked `/32 host LOCAL`.
fn local_ipv4(trie: &str) -> Vec<Ipv4Addr> {
    let mut found = Vec::new();
    let mut leaf: Option<Ipv4Addr> = None;
    for line in trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse().ok();
        } else if line.starts_with("/32 host LOCAL")
            && let Some(ip) = leaf
            && !ip.is_link_local()
            && !found.contains(&ip)
        {
            found.push(ip);
        }
    }
    found
}

/// Lines of address, interface, prefix length, scope, flags and name; scope 0x20 is link-local.
fn local_ipv6(table: &str) -> Vec<Ipv6Addr> {
    table
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let address = u128::from_str_radix(words.next()?, 16).ok()?;
            let scope = words.nth(2)?;
            let flags = u8::from_str_radix(words.next()?, 16).ok()?;
            let tentative_or_failed = flags & 0x48 != 0;
            (scope != "20" && !tentative_or_failed).then(|| Ipv6Addr::from(address))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_address_is_the_only_candidate() {
        let bound = "127.0.0.1:8080".parse().expect("address");
        assert_eq!(candidates(bound, &[]), [bound]);
        let public = "198.51.100.7".parse().expect("address");
        assert_eq!(candidates(bound, &[public]), [SocketAddr::new(public, 8080)]);
    }

    #[test]
    fn a_wildcard_socket_is_reached_at_this_machines_addresses() {
        let found = candidates("0.0.0.0:9".parse().expect("address"), &[]);
        assert!(found.contains(&"127.0.0.1:9".parse().expect("address")), "{found:?}");
        assert!(found.iter().all(SocketAddr::is_ipv4));
    }

    #[test]
    fn everybody_on_this_machine_finds_the_loopback_address_first() {
        let loopback: SocketAddr = "127.0.0.1:9".parse().expect("address");
        let found = of_everybody_here(loopback.ip(), "[::]:9".parse().expect("address"));
        assert_eq!(found.iter().position(|address| *address == loopback), Some(0));
        assert_eq!(found.iter().filter(|address| **address == loopback).count(), 1);
    }

    #[test]
    fn local_leaves_of_the_trie_are_addresses() {
        let trie = "Main:\n  |-- 127.0.0.1\n     /32 host LOCAL\n  |-- 10.0.0.0\n     /24 link UNICAST\n  |-- 10.0.0.5\n     /32 host LOCAL\n\
                    |-- 10.0.0.255\n /32 link BROADCAST\n |-- 169.254.1.1\n /32 host LOCAL\nLocal:\n  |-- 10.0.0.5\n     /32 host LOCAL\n";
        assert_eq!(local_ipv4(trie), [Ipv4Addr::LOCALHOST, Ipv4Addr::new(10, 0, 0, 5)]);
    }

    #[test]
    fn link_local_ipv6_is_left_out() {
        let table = "00000000000000000000000000000001 01 80 10 80 lo\nfe800000000000000000000000000001 02 40 20 80 eth0\n\
                     20010db8000000000000000000000007 02 40 00 80 eth0\n";
        assert_eq!(
            local_ipv6(table),
            [Ipv6Addr::LOCALHOST, "2001:db8::7".parse::<Ipv6Addr>().expect("address")]
        );
    }
}
