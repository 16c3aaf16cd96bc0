//! A proxy's sockets: bound with large buffers, received in batches.

use crate::datagrams::Batch;
use quinn_udp::{UdpSockRef, UdpSocketState};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Asked for; the kernel may give less.
const SOCKET_BYTES: usize = 4 << 20;
const BATCH: usize = 16;

/// Memory to receive into.
pub(super) type Buffers = Batch<BATCH>;

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

    /// Receives one batch. False: nothing is left.
    pub(super) fn receive(&self, buffers: &mut Buffers) -> bool {
        buffers.fill(|slices, meta| self.state.recv(UdpSockRef::from(&self.io), slices, meta))
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
