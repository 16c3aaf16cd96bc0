//! Binding requests: which of a viewer's addresses media goes to, and the checks that keep `rtc`'s agent content.
//!
//! Only a proven nomination moves the path. `rtc` sees one constant pair of documentation addresses, nominated by
//! messages made here, so it never loses its pair in an ICE restart.

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
        let response = stun::success(request.transaction, path.remote, password);
        self.consent = now;
        let first = self.path.is_none();
        // Only nominations move the path; after an ICE restart the old generation's do no more.
        if request.use_candidate && (first || current || !self.nominated) {
            self.path = Some(path);
            self.nominated |= current;
            if first {
                self.nominate(now);
            }
        }
        Binding::Proven(response)
    }

    /// Makes `rtc`'s agent select its one pair: request, its triggered check answered, request again.
    pub(super) fn nominate(&mut self, now: Instant) {
        let request = stun::nominating_request(random(), &self.local, &self.remote.ufrag);
        self.feed(now, &request);
        let mut check = None;
        let found = guard(|| {
            while let Some(out) = self.pc.poll_write() {
                check = check.or(stun::request_transaction(&out.message));
            }
        });
        if let (Some(()), Some(transaction)) = (found, check) {
            self.feed(now, &stun::success(transaction, OWN, &self.remote.password));
            self.feed(now, &stun::nominating_request(random(), &self.local, &self.remote.ufrag));
        }
        // `rtc` makes its ClientHello on the event, but only a timeout moves it out.
        let started = guard(|| {
            self.collect(now);
            self.pc.handle_timeout(now)
        });
        if started.is_none() {
            self.fault();
        }
    }

    pub(super) fn feed(&mut self, now: Instant, datagram: &[u8]) {
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
