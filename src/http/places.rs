//! How many connections one address may have open at once, so that a single client cannot take every file descriptor, nor every
//! place for WebSockets that have not yet said who they are.
//!
//! A connection over the limit is closed at once and counted. An IPv6 address counts by its /64, which is what one
//! subscriber has. Loopback and trusted proxies are not limited: behind them are many.

use super::proxy::TrustedProxies;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use prometheus_client::metrics::counter::Counter;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// Connections of one address. A browser has up to seven; a house, an office or a school shares an address.
const PER_ADDRESS: usize = 512;

/// The places of a listener; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Places {
    most: usize,
    unlimited: Arc<TrustedProxies>,
    taken: Arc<DashMap<IpAddr, usize>>,
    refused: Counter,
}

/// One place, given back when dropped.
#[derive(Debug)]
pub(super) struct Place(Option<(Arc<DashMap<IpAddr, usize>>, IpAddr)>);

impl Places {
    pub(super) fn new(unlimited: TrustedProxies, refused: Counter) -> Self {
        Self { most: PER_ADDRESS, unlimited: Arc::new(unlimited), taken: Arc::default(), refused }
    }

    /// A place for a connection from this address; `None` when it has too many.
    pub(super) fn take(&self, from: IpAddr) -> Option<Place> {
        let from = from.to_canonical();
        if from.is_loopback() || self.unlimited.contains(from) {
            return Some(Place(None));
        }
        let key = subscriber(from);
        let mut taken = self.taken.entry(key).or_default();
        if *taken >= self.most {
            self.refused.inc();
            return None;
        }
        *taken += 1;
        drop(taken);
        Some(Place(Some((Arc::clone(&self.taken), key))))
    }
}

fn subscriber(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((taken, key)) = self.0.take() else { return };
        if let Entry::Occupied(mut entry) = taken.entry(key) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(proxies: &[&str]) -> Places {
        let proxies: Vec<_> = proxies.iter().map(|text| (*text).to_owned()).collect();
        Places { most: 2, ..Places::new(TrustedProxies::parse(&proxies).unwrap(), Counter::default()) }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_its_places_and_gets_them_back() {
        let places = places(&[]);
        let first = places.take(ip("192.0.2.1"));
        let second = places.take(ip("::ffff:192.0.2.1"));
        assert!(first.is_some() && second.is_some());
        assert!(places.take(ip("192.0.2.1")).is_none());
        assert_eq!(places.refused.get(), 1);
        assert!(places.take(ip("192.0.2.2")).is_some(), "the neighbour has its own");
        drop(first);
        let third = places.take(ip("192.0.2.1"));
        assert!(third.is_some());
        drop((second, third));
        assert!(places.taken.is_empty(), "no address is remembered");
    }

    #[test]
    fn the_addresses_of_one_ipv6_subscriber_count_together() {
        let places = places(&[]);
        let taken = [places.take(ip("2001:db8:0:1::1")), places.take(ip("2001:db8:0:1:ffff::2"))];
        assert!(taken.iter().all(Option::is_some));
        assert!(places.take(ip("2001:db8:0:1::3")).is_none());
        assert!(places.take(ip("2001:db8:0:2::1")).is_some());
    }

    #[test]
    fn this_machine_and_trusted_proxies_are_not_limited() {
        let places = places(&["10.0.0.0/8"]);
        for from in ["127.0.0.1", "::1", "10.1.2.3"] {
            let taken: Vec<_> = (0..10).map(|_| places.take(ip(from))).collect();
            assert!(taken.iter().all(Option::is_some), "{from}");
        }
    }
}
