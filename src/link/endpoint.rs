//! A link's sockets: bound with large buffers, received in batches.

use quinn_udp::{RecvMeta, UdpSockRef, UdpSocketState};
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Asked for; the kernel may give less.
const SOCKET_BYTES: usize = 4 << 20;
/// Room for one datagram, or for what GRO joins to one.
const DATAGRAM_BYTES: usize = 1 << 16;
const BATCH: usize = 16;

#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) io: UdpSocket,
    state: UdpSocketState,
}

impl Endpoint {
    pub(super) fn bind(address: SocketAddr) -> io::Result<Self> {
        let domain = socket2::Domain::for_address(address);
        let socket = socket2::Socket::new(domain, socket2::Type::DGRAM, Some(socket2::Protocol::UDP))?;
        let _ = socket.set_recv_buffer_size(SOCKET_BYTES);
        let _ = socket.set_send_buffer_size(SOCKET_BYTES);
        socket.bind(&address.into())?;
        let io = UdpSocket::from(socket);
        // Non-blocking from here, with GRO.
        let state = UdpSocketState::new(UdpSockRef::from(&io))?;
        Ok(Self { io, state })
    }

    /// A socket that speaks with one address only.
    pub(super) fn connected(to: SocketAddr) -> io::Result<Self> {
        let any = match to {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let endpoint = Self::bind(any)?;
        endpoint.io.connect(to)?;
        Ok(endpoint)
    }

    /// Sends to an address, or to the one the socket is connected with. False: it could not be.
    pub(super) fn send(&self, datagram: &[u8], to: Option<SocketAddr>) -> bool {
        let send = || match to {
            Some(to) => self.io.send_to(datagram, to),
            None => self.io.send(datagram),
        };
        match send() {
            // Told of an earlier packet that found nobody (ICMP); this one was not looked at yet.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => send().is_ok(),
            other => other.is_ok(),
        }
    }
}

/// Memory to receive into.
pub(super) struct Buffers {
    memory: Vec<u8>,
    meta: Vec<RecvMeta>,
    count: usize,
}

impl Buffers {
    pub(super) fn new() -> Self {
        Self { memory: vec![0; DATAGRAM_BYTES * BATCH], meta: vec![RecvMeta::default(); BATCH], count: 0 }
    }

    /// Receives one batch. False: nothing is left.
    pub(super) fn receive(&mut self, endpoint: &Endpoint) -> bool {
        self.count = 0;
        let mut slices: Vec<IoSliceMut<'_>> =
            self.memory.chunks_mut(DATAGRAM_BYTES).map(IoSliceMut::new).collect();
        match endpoint.state.recv(UdpSockRef::from(&endpoint.io), &mut slices, &mut self.meta) {
            Ok(count) => {
                self.count = count;
                true
            }
            // Anything else is an ICMP error of an earlier send, or an interrupt: there may be more.
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        }
    }

    pub(super) fn datagrams(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        self.memory.chunks(DATAGRAM_BYTES).zip(&self.meta).take(self.count).flat_map(|(buffer, meta)| {
            let data = buffer.get(..meta.len).unwrap_or_default();
            data.chunks(meta.stride.max(1)).map(move |datagram| (meta.addr, datagram))
        })
    }
}
