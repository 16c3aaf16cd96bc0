//! The machine's own addresses and name, as Linux tells them under `/proc`.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Every address of every interface, loopback first; IPv6 link-local ones left out, for nobody can type their zone.
pub fn machine_addresses() -> Vec<IpAddr> {
    let mut found: BTreeSet<IpAddr> = BTreeSet::new();
    found.extend(fs::read_to_string("/proc/net/fib_trie").map(|text| ipv4(&text)).unwrap_or_default());
    found.extend(fs::read_to_string("/proc/net/if_inet6").map(|text| ipv6(&text)).unwrap_or_default());
    found.insert(Ipv4Addr::LOCALHOST.into());
    let (mut loopback, others): (Vec<_>, Vec<_>) = found.into_iter().partition(IpAddr::is_loopback);
    loopback.extend(others);
    loopback
}

/// The machine's host name, when it has one that fits a certificate.
pub fn host_name() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?.trim().to_ascii_lowercase();
    let fits = !name.is_empty()
        && name.len() <= 253
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    fits.then_some(name)
}

/// Leaves of the routing trie that are addresses of this host: a line with the address, then `/32 host LOCAL`.
fn ipv4(text: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    let mut leaf: Option<Ipv4Addr> = None;
    for line in text.lines() {
        let line = line.trim_start();
        if let Some(rest) = line.strip_prefix("|-- ") {
            leaf = rest.trim().parse().ok();
        } else if line.starts_with("/32 host LOCAL") {
            found.extend(leaf.map(IpAddr::V4));
        }
    }
    found
}

/// `ADDRESS INDEX PREFIX SCOPE FLAGS NAME`, all but the name in hex; scope 0x20 is link-local.
fn ipv6(text: &str) -> Vec<IpAddr> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            let address = u128::from_str_radix(fields.next()?, 16).ok()?;
            let scope = fields.nth(2)?;
            (scope != "20").then(|| IpAddr::V6(Ipv6Addr::from_bits(address)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_leaves_of_the_trie_are_the_addresses() {
        let text = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     |-- 192.0.2.7\n        /32 host LOCAL\n     |-- 192.0.2.255\n        /32 link BROADCAST\n";
        assert_eq!(ipv4(text), [IpAddr::from([192, 0, 2, 7])]);
    }

    #[test]
    fn link_local_addresses_are_left_out() {
        let text = "00000000000000000000000000000001 01 80 10 80       lo\n\
                    fe800000000000000042acfffe110002 07 40 20 80     eth0\n\
                    20010db8000000000000000000000005 07 40 00 80     eth0\n";
        let expected: [IpAddr; 2] = ["::1".parse().unwrap(), "2001:db8::5".parse().unwrap()];
        assert_eq!(ipv6(text), expected);
    }

    #[test]
    fn this_machine_has_a_loopback_address() {
        assert!(machine_addresses()[0].is_loopback());
    }
}
