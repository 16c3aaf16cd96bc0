//! The relay's own ICE-lite agent: answers binding requests and keeps `rtc`'s agent out of it.
//!
//! What a proven request does to the path is decided in `paths`. `rtc` sees one constant pair of documentation addresses,
//! nominated by messages made here with its own credentials, so it never loses its pair in an ICE restart.

use super::paths::Check;
use super::{Peer, guard, random};
use crate::relay::socket::Path;
use crate::relay::stun;
use bytes::BytesMut;
use rtc::sansio::Protocol;
use rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

/// The pair shown to `rtc` (RFC 5737 documentation addresses; never on a wire).
pub(super) const OWN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9);
const THEIRS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 9);

/// What to do about a binding request.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::relay) enum Binding {
    /// Answer with this; the sender's address is proven.
    Proven(Vec<u8>),
    /// Answer with this only.
    Conflict(Vec<u8>),
    Forged,
    /// A copy of a request that came from another address.
    Replayed,
}

impl Peer {
    /// A binding request for one of our ufrags.
    pub(in crate::relay) fn binding(
        &mut self,
        now: Instant,
        path: Path,
        request: &stun::Request<'_>,
    ) -> Binding {
        let current = request.local_ufrag == self.local.ufrag;
        let (password, remote_ufrag) = match (&self.previous, current) {
            (_, true) => (&self.local.password, &self.remote.ufrag),
            (Some((local, remote)), false) if local.ufrag == request.local_ufrag => (&local.password, remote),
            (Some(_) | None, false) => return Binding::Forged,
        };
        if request.remote_ufrag != remote_ufrag || !request.verify(password) {
            return Binding::Forged;
        }
        if request.controlled {
            return Binding::Conflict(stun::role_conflict(request.transaction, password));
        }
        if self.paths.is_replayed(request.transaction, path.remote) {
            return Binding::Replayed;
        }
        let response = stun::success(request.transaction, path.remote, password);
        let check = match (current, request.use_candidate) {
            (false, _) if self.paths.is_nominated() => Check::Outdated,
            (true, true) => Check::Nomination,
            (false, true) => Check::Former,
            (_, false) => Check::Plain,
        };
        let first = self.paths.present().is_none();
        self.paths.check(now, path, check);
        if first {
            self.nominate(now);
        }
        Binding::Proven(response)
    }

    /// Makes `rtc`'s agent select its one pair: request, its triggered check answered, request again.
    pub(super) fn nominate(&mut self, now: Instant) {
        let request = stun::nominating_request(random(), &self.agent, &self.remote.ufrag);
        self.feed(now, &request);
        let mut check = None;
        let found = guard(|| {
            while let Some(out) = self.pc.poll_write() {
                check = check.or(stun::request_transaction(&out.message));
            }
        });
        if let (Some(()), Some(transaction)) = (found, check) {
            self.feed(now, &stun::success(transaction, OWN, &self.remote.password));
            self.feed(now, &stun::nominating_request(random(), &self.agent, &self.remote.ufrag));
        }
        // As the client `rtc` makes its ClientHello on the event, but only a timeout moves it out.
        let started = guard(|| {
            self.collect();
            self.pc.handle_timeout(now)
        });
        if started.is_none() {
            self.fault();
        }
    }

    /// Hands a datagram to `rtc`, and tells `paths` when it proved to be the viewer's own.
    pub(super) fn feed_from(&mut self, now: Instant, path: Path, datagram: &[u8]) {
        let before = self.authenticated();
        self.feed(now, datagram);
        if self.authenticated() > before {
            self.paths.authenticated(now, path);
        }
    }

    /// How many records and packets have been authenticated and were no repetitions.
    pub(super) fn authenticated(&self) -> u64 {
        self.keys.opened().saturating_add(self.feedback.received())
    }

    fn feed(&mut self, now: Instant, datagram: &[u8]) {
        let transport = TransportContext {
            local_addr: OWN,
            peer_addr: THEIRS,
            ecn: None,
            transport_protocol: TransportProtocol::UDP,
        };
        let fed = guard(|| {
            self.pc.handle_read(TaggedBytesMut { now, transport, message: BytesMut::from(datagram) })
        });
        if fed.is_none() {
            self.fault();
        }
    }
}
