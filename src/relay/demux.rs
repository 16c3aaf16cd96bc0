//! Finds the peer a datagram belongs to: by local ufrag for STUN, by source address for the rest (RFC 7983).
//!
//! An address belongs to a peer only after a proven binding request came from it.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long the ufrag before an ICE restart still finds its peer.
pub(super) const OLD_UFRAG: Duration = Duration::from_secs(30);
/// Addresses remembered per peer (host, reflexive, relayed; IPv4 and IPv6). The one longest without a check is forgotten.
const ADDRESSES_PER_PEER: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Stun,
    Dtls,
    /// SRTP or SRTCP.
    Media,
    Unknown,
}

/// RFC 7983 section 7.
pub(super) fn classify(datagram: &[u8]) -> Kind {
    match datagram.first() {
        Some(0..=3) => Kind::Stun,
        Some(20..=63) => Kind::Dtls,
        Some(128..=191) => Kind::Media,
        Some(_) | None => Kind::Unknown,
    }
}

/// The two maps from datagrams to peers.
#[derive(Debug)]
pub(super) struct Demux<K> {
    ufrags: HashMap<String, Entry<K>>,
    addresses: HashMap<SocketAddr, K>,
    owned: HashMap<K, Vec<SocketAddr>>,
}

#[derive(Debug)]
struct Entry<K> {
    peer: K,
    expires: Option<Instant>,
}

impl<K: Copy + Eq + Hash> Demux<K> {
    pub(super) fn new() -> Self {
        Self { ufrags: HashMap::new(), addresses: HashMap::new(), owned: HashMap::new() }
    }

    /// Enters the ufrag of an answer; the peer's older ones live on for [`OLD_UFRAG`].
    pub(super) fn enter(&mut self, now: Instant, ufrag: &str, peer: K) {
        self.ufrags.retain(|_, entry| entry.expires.is_none_or(|at| at > now));
        for entry in self.ufrags.values_mut().filter(|entry| entry.peer == peer) {
            entry.expires.get_or_insert(now + OLD_UFRAG);
        }
        self.ufrags.insert(ufrag.to_owned(), Entry { peer, expires: None });
    }

    pub(super) fn by_ufrag(&self, now: Instant, ufrag: &str) -> Option<K> {
        let entry = self.ufrags.get(ufrag)?;
        entry.expires.is_none_or(|at| at > now).then_some(entry.peer)
    }

    pub(super) fn by_address(&self, address: SocketAddr) -> Option<K> {
        self.addresses.get(&address).copied()
    }

    /// A proven binding request of `peer` came from `address`.
    pub(super) fn seen(&mut self, address: SocketAddr, peer: K) {
        if let Some(owner) = self.addresses.insert(address, peer)
            && let Some(theirs) = self.owned.get_mut(&owner)
        {
            theirs.retain(|known| *known != address);
        }
        let owned = self.owned.entry(peer).or_default();
        owned.push(address);
        if owned.len() > ADDRESSES_PER_PEER {
            let oldest = owned.remove(0);
            self.addresses.remove(&oldest);
        }
    }

    pub(super) fn remove(&mut self, peer: K) {
        self.ufrags.retain(|_, entry| entry.peer != peer);
        for address in self.owned.remove(&peer).unwrap_or_default() {
            self.addresses.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_old_ufrag_finds_its_peer_for_thirty_seconds() {
        let now = Instant::now();
        let mut demux = Demux::new();
        demux.enter(now, "one", 1);
        demux.enter(now, "two", 1);
        assert_eq!(demux.by_ufrag(now + Duration::from_secs(29), "one"), Some(1));
        assert_eq!(demux.by_ufrag(now + Duration::from_secs(31), "one"), None);
        assert_eq!(demux.by_ufrag(now + Duration::from_secs(31), "two"), Some(1));
    }

    #[test]
    fn a_removed_peer_leaves_nothing_behind() {
        let mut demux = Demux::new();
        let address = "192.0.2.1:5000".parse().expect("address");
        demux.enter(Instant::now(), "one", 1);
        demux.seen(address, 1);
        demux.remove(1);
        assert_eq!(demux.by_address(address), None);
        assert!(demux.ufrags.is_empty() && demux.owned.is_empty());
    }

    proptest! {
        #[test]
        fn addresses_stay_bounded_and_consistent(steps in proptest::collection::vec((0u16..40, 0u8..4), 1..200)) {
            let mut demux = Demux::new();
            for (port, peer) in steps {
                demux.seen(SocketAddr::from(([192, 0, 2, 1], port)), peer);
            }
            let owned: usize = demux.owned.values().map(Vec::len).sum();
            prop_assert_eq!(owned, demux.addresses.len());
            for (peer, addresses) in &demux.owned {
                prop_assert!(addresses.len() <= ADDRESSES_PER_PEER);
                for address in addresses {
                    prop_assert_eq!(demux.by_address(*address), Some(*peer));
                }
            }
        }
    }
}
