//! Addresses of one subnet, each lent to one container at a time.
//!
//! An address is given back when the last holder of its lease is gone. The next one is looked for behind the last one
//! lent, so that packets of the dead do not reach the living.

use ipnet::Ipv4Net;
use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    subnet: Ipv4Net,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    lent: HashSet<Ipv4Addr>,
    last: Option<u32>,
}

/// Cheap to clone; the address is free when every clone is gone.
#[derive(Debug, Clone)]
pub(super) struct Lease(Arc<Held>);

#[derive(Debug)]
struct Held {
    address: Ipv4Addr,
    shared: Arc<Mutex<Shared>>,
}

impl Pool {
    pub(super) fn new(subnet: Ipv4Net) -> Self {
        Self { subnet, shared: Arc::default() }
    }

    /// An address that is neither lent nor in `taken`: those that the engine knows of.
    pub(super) fn lend(&self, taken: &HashSet<Ipv4Addr>) -> Option<Lease> {
        // The subnet's own address, the gateway's and the broadcast address are nobody's.
        let first = u32::from(gateway_of(self.subnet)) + 1;
        let count = u32::from(self.subnet.broadcast()).checked_sub(first)?;
        let mut shared = lock(&self.shared);
        let begin = shared.last.map_or(0, |last| last.wrapping_sub(first).wrapping_add(1));
        let address = (0..count).map(|step| first + begin.wrapping_add(step) % count).find(|address| {
            let address = Ipv4Addr::from(*address);
            !shared.lent.contains(&address) && !taken.contains(&address)
        })?;
        shared.last = Some(address);
        shared.lent.insert(Ipv4Addr::from(address));
        Some(self.hold(Ipv4Addr::from(address)))
    }

    /// Takes an address back that an earlier gateway has lent. `None` when it is lent already, or not of this subnet.
    pub(super) fn take_back(&self, address: Ipv4Addr) -> Option<Lease> {
        let fresh = self.subnet.contains(&address) && lock(&self.shared).lent.insert(address);
        fresh.then(|| self.hold(address))
    }

    fn hold(&self, address: Ipv4Addr) -> Lease {
        Lease(Arc::new(Held { address, shared: Arc::clone(&self.shared) }))
    }
}

impl Lease {
    pub(super) fn address(&self) -> Ipv4Addr {
        self.0.address
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        lock(&self.shared).lent.remove(&self.address);
    }
}

/// The first host.
pub(super) fn gateway_of(subnet: Ipv4Net) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(subnet.network()).saturating_add(1))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(subnet: &str) -> Pool {
        Pool::new(subnet.parse().unwrap())
    }

    fn at(text: &str) -> Ipv4Addr {
        text.parse().unwrap()
    }

    #[test]
    fn every_host_but_the_gateway_is_lent_once() {
        let pool = pool("10.0.0.0/29");
        let leases: Vec<Lease> = std::iter::from_fn(|| pool.lend(&HashSet::new())).collect();
        let lent: Vec<String> = leases.iter().map(|lease| lease.address().to_string()).collect();
        assert_eq!(lent, ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]);
    }

    #[test]
    fn what_the_engine_knows_of_is_passed_over() {
        let taken = HashSet::from([at("10.0.0.2"), at("10.0.0.4")]);
        let pool = pool("10.0.0.0/29");
        let first = pool.lend(&taken).unwrap();
        let second = pool.lend(&taken).unwrap();
        assert_eq!([first.address(), second.address()], [at("10.0.0.3"), at("10.0.0.5")]);
    }

    #[test]
    fn an_address_comes_back_with_its_last_holder_and_is_not_lent_again_at_once() {
        let pool = pool("10.0.0.0/29");
        let lease = pool.lend(&HashSet::new()).unwrap();
        let address = lease.address();
        let other = lease.clone();
        drop(lease);
        assert!(pool.take_back(address).is_none());
        drop(other);
        assert_ne!(pool.lend(&HashSet::new()).unwrap().address(), address);
        let again: Vec<_> = std::iter::from_fn(|| pool.lend(&HashSet::new())).collect();
        assert!(again.iter().any(|lease| lease.address() == address));
    }

    #[test]
    fn an_earlier_gateways_address_is_taken_back_once() {
        let pool = pool("10.0.0.0/24");
        let lease = pool.take_back(at("10.0.0.2")).unwrap();
        assert!(pool.take_back(at("10.0.0.2")).is_none());
        assert!(pool.take_back(at("10.0.1.2")).is_none());
        assert_ne!(pool.lend(&HashSet::new()).unwrap().address(), lease.address());
    }

    #[test]
    fn racing_borrowers_never_share_an_address() {
        let pool = pool("10.0.0.0/24");
        let lent: Vec<Lease> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| (0..30).filter_map(|_| pool.lend(&HashSet::new())).collect::<Vec<_>>())
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        let different: HashSet<_> = lent.iter().map(Lease::address).collect();
        assert_eq!((lent.len(), different.len()), (240, 240));
    }
}
