//! UDP sockets: bound with large buffers, received in batches, sent in runs of equal size by GSO.
//!
//! Addresses are IPv4 or IPv6 as the peer has them, never IPv4-mapped; a dual-stack socket maps them on the way out.

use super::outbox::Outbox;
use super::stats::{Drop, Stats};
use crate::datagrams::Batch;
use mio::Interest;
use quinn_udp::{Transmit, UdpSockRef, UdpSocketState};
use socket2::SockRef;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};

/// Asked for in both directions; the kernel may give less.
const BUFFER_BYTES: usize = 4 << 20;
const BATCH: usize = 16;
/// The most a UDP datagram, and so a GSO send, may carry.
const MAX_SEND_BYTES: usize = 65_000;

/// Where a peer's packets come from and go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) remote: SocketAddr,
    /// Our address that the peer uses.
    pub(super) local: Option<IpAddr>,
}

/// What came of sending a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    All,
    /// The socket is full: it was not sent.
    Blocked,
}

/// A non-blocking UDP socket.
#[derive(Debug)]
pub(super) struct Socket {
    io: mio::net::UdpSocket,
    state: UdpSocketState,
    address: SocketAddr,
    /// When set, what comes from elsewhere is not for us.
    only_from: Option<Vec<IpAddr>>,
}

impl Socket {
    pub(super) fn bind(address: SocketAddr) -> io::Result<Self> {
        let domain = socket2::Domain::for_address(address);
        let socket = socket2::Socket::new(domain, socket2::Type::DGRAM, Some(socket2::Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(!address.ip().is_unspecified())?;
        }
        socket.set_nonblocking(true)?;
        // Best effort: the kernel's limits decide.
        let _ = socket.set_recv_buffer_size(BUFFER_BYTES);
        let _ = socket.set_send_buffer_size(BUFFER_BYTES);
        socket.bind(&address.into())?;
        let io = mio::net::UdpSocket::from_std(socket.into());
        let state = UdpSocketState::new(UdpSockRef::from(&io))?;
        let address = io.local_addr()?;
        Ok(Self { io, state, address, only_from: None })
    }

    /// The same socket, for another thread to send with.
    pub(super) fn for_another_thread(&self) -> io::Result<Self> {
        let io = mio::net::UdpSocket::from_std(SockRef::from(&self.io).try_clone()?.into());
        let state = UdpSocketState::new(UdpSockRef::from(&io))?;
        Ok(Self { io, state, address: self.address, only_from: self.only_from.clone() })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes datagrams from these addresses and from loopback only. With this machine's own addresses: the kernel
    /// believes no IPv4 packet from outside that claims to come from one of them (RFC 1812 section 5.3.8), and an answer
    /// to a forged IPv6 one never leaves the machine.
    pub(super) fn accept_only_from(&mut self, addresses: Vec<IpAddr>) {
        self.only_from = Some(addresses);
    }

    /// Whether a datagram from `remote` is to be looked at.
    pub(super) fn accepts(&self, remote: SocketAddr) -> bool {
        let ip = remote.ip();
        ip.is_loopback() || self.only_from.as_ref().is_none_or(|addresses| addresses.contains(&ip))
    }

    pub(super) fn register(&mut self, poll: &mio::Registry, token: mio::Token) -> io::Result<()> {
        poll.register(&mut self.io, token, Interest::READABLE)
    }

    pub(super) fn deregister(&mut self, poll: &mio::Registry) {
        let _ = poll.deregister(&mut self.io);
    }

    /// Receives one batch into the buffers. False: nothing is left, and the next datagram will be an event.
    pub(super) fn receive(&mut self, buffers: &mut Buffers) -> bool {
        buffers.0.fill(|slices, meta| self.state.recv(UdpSockRef::from(&self.io), slices, meta))
    }

    pub(super) fn send(&mut self, path: Path, datagram: &[u8], stats: &mut Stats) -> Sent {
        transmit(&self.io, &self.state, self.address, path, datagram, None, stats)
    }

    /// Sends everything in order, each run of equal sizes with one call. Gives how many packets, the last ones, found the
    /// socket full.
    pub(super) fn send_all(&mut self, path: Path, packets: &Outbox, stats: &mut Stats) -> usize {
        let mut runs = packets.runs(self.state.max_gso_segments(), MAX_SEND_BYTES);
        while let Some((run, size)) = runs.next() {
            let segment = (run.len() > size).then_some(size);
            if transmit(&self.io, &self.state, self.address, path, run, segment, stats) == Sent::Blocked {
                return run.len().div_ceil(size) + runs.left();
            }
        }
        0
    }
}

/// Memory to receive into, shared by a shard's sockets.
#[derive(Debug, Default)]
pub(super) struct Buffers(Batch<BATCH>);

impl Buffers {
    pub(super) fn new() -> Self {
        Self(Batch::new())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The datagrams of the last batch.
    pub(super) fn datagrams(&self) -> impl Iterator<Item = (Path, &[u8])> {
        self.0.datagrams().map(|(meta, datagram)| {
            let local = meta.dst_ip.map(|ip| ip.to_canonical());
            (Path { remote: canonical(meta.addr), local }, datagram)
        })
    }
}

fn transmit(
    io: &mio::net::UdpSocket,
    state: &UdpSocketState,
    own: SocketAddr,
    path: Path,
    contents: &[u8],
    segment_size: Option<usize>,
    stats: &mut Stats,
) -> Sent {
    let destination = match (own, path.remote.ip()) {
        (SocketAddr::V6(_), IpAddr::V4(ip)) => {
            SocketAddr::new(ip.to_ipv6_mapped().into(), path.remote.port())
        }
        (SocketAddr::V4(_) | SocketAddr::V6(_), _) => path.remote,
    };
    let src_ip = path.local.filter(|_| own.ip().is_unspecified());
    let message = Transmit { destination, ecn: None, contents, segment_size, src_ip };
    match state.try_send(UdpSockRef::from(io), &message) {
        Ok(()) => {
            stats.sent(segment_size.map_or(1, |size| contents.len().div_ceil(size)), contents.len());
            Sent::All
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => Sent::Blocked,
        // No segmentation offload on this route: one by one.
        Err(_) if segment_size.is_some() => {
            for datagram in contents.chunks(segment_size.unwrap_or(contents.len()).max(1)) {
                if transmit(io, state, own, path, datagram, None, stats) == Sent::Blocked {
                    return Sent::Blocked;
                }
            }
            Sent::All
        }
        Err(_) => {
            stats.drop(Drop::SendFailed);
            Sent::All
        }
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_arrives_as_the_datagrams_it_was_made_of() {
        let mut stats =
            super::super::stats::Metrics::register(&mut prometheus_client::registry::Registry::default())
                .shard(0);
        let mut sender = Socket::bind("[::]:0".parse().expect("address"))
            .or_else(|_| Socket::bind("0.0.0.0:0".parse().expect("address")))
            .expect("bound");
        let receiver = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
        receiver.set_read_timeout(Some(std::time::Duration::from_secs(5))).expect("timeout");
        let path = Path {
            remote: receiver.local_addr().expect("address"),
            local: Some("127.0.0.1".parse().expect("address")),
        };
        let lengths = [1000, 1000, 400, 1200, 1200];
        let mut out = Outbox::default();
        for len in lengths {
            assert!(out.push(len, |_| true));
        }
        assert_eq!(sender.send_all(path, &out, &mut stats), 0);
        let mut buffer = [0; 2000];
        for len in lengths {
            let (got, from) = receiver.recv_from(&mut buffer).expect("received");
            assert_eq!(got, len);
            assert_eq!(from.ip(), path.remote.ip());
        }
    }

    #[test]
    fn what_the_kernel_joined_to_one_buffer_is_received_as_the_datagrams_it_was_made_of() {
        let mut stats =
            super::super::stats::Metrics::register(&mut prometheus_client::registry::Registry::default())
                .shard(0);
        let mut sender = Socket::bind("127.0.0.1:0".parse().expect("address")).expect("bound");
        let mut receiver = Socket::bind("127.0.0.1:0".parse().expect("address")).expect("bound");
        let path = Path { remote: receiver.address(), local: None };
        let mut out = Outbox::default();
        for (at, len) in (1..).zip([1100; 13].into_iter().chain([900])) {
            assert!(out.push(len, |packet| {
                packet.fill(at);
                true
            }));
        }
        assert_eq!(sender.send_all(path, &out, &mut stats), 0);
        let (mut buffers, mut received) = (Buffers::new(), Vec::new());
        let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while received.len() < 14 && std::time::Instant::now() < until {
            receiver.receive(&mut buffers);
            received.extend(buffers.datagrams().map(|(path, packet)| (path.remote, packet.to_vec())));
        }
        for (at, (from, packet)) in (1..).zip(&received) {
            assert_eq!(*from, sender.address());
            assert!(packet.iter().all(|byte| *byte == at), "packet {at} is one");
            assert_eq!(packet.len(), if at == 14 { 900 } else { 1100 });
        }
        assert_eq!(received.len(), 14);
    }

    #[test]
    fn a_socket_for_some_addresses_takes_nothing_from_others() {
        let mut socket = Socket::bind("127.0.0.1:0".parse().expect("address")).expect("bound");
        let [own, other, loopback] =
            ["192.0.2.7:1", "198.51.100.7:1", "127.0.0.2:1"].map(|text| text.parse().expect("address"));
        assert!(socket.accepts(own) && socket.accepts(other));
        socket.accept_only_from(vec![own.ip()]);
        assert!(socket.accepts(own) && socket.accepts(loopback) && !socket.accepts(other));
    }
}
