//! How many connections one address may have open at once: nobody alone takes every file descriptor, and every place for
//! WebSockets that have not yet said who they are.
//!
//! A connection over the limit is closed at once and counted. An IPv6 address counts by its /64, which is what one
//! subscriber has. Loopback and trusted proxies are not limited: behind them are many.

use super::proxy::TrustedProxies;
use axum_server::accept::Accept;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use prometheus_client::metrics::counter::Counter;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

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

    fn take(&self, from: IpAddr) -> Option<Place> {
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

/// Takes a place before anything is read of a connection, then accepts as the inner one does.
#[derive(Debug, Clone)]
pub(super) struct Limited<A> {
    /// Absent: no limit.
    pub(super) places: Option<Places>,
    pub(super) inner: A,
}

type Accepting<S> = Pin<Box<dyn Future<Output = io::Result<(Placed, S)>> + Send>>;

impl<A, S> Accept<TcpStream, S> for Limited<A>
where
    A: Accept<TcpStream, S, Stream = TcpStream, Service = S>,
    A::Future: Send + 'static,
    S: Send + 'static,
{
    type Stream = Placed;
    type Service = S;
    type Future = Accepting<S>;

    fn accept(&self, stream: TcpStream, service: S) -> Accepting<S> {
        let place = match &self.places {
            None => Ok(Place(None)),
            Some(places) => stream.peer_addr().and_then(|peer| {
                places.take(peer.ip()).ok_or_else(|| io::ErrorKind::ConnectionRefused.into())
            }),
        };
        let place = match place {
            Ok(place) => place,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        let accepting = self.inner.accept(stream, service);
        Box::pin(async move {
            let (stream, service) = accepting.await?;
            Ok((Placed { stream, _place: place }, service))
        })
    }
}

/// A connection with its place; a WebSocket made of it keeps both.
#[derive(Debug)]
pub(super) struct Placed {
    stream: TcpStream,
    _place: Place,
}

impl AsyncRead for Placed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Placed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
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
        assert!(places.taken.is_empty(), "nobody is remembered");
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
