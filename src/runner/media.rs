//! One outgoing RTP stream's socket: RTP goes out from a thread, RTCP comes in on the runtime, on the same port.
//!
//! Never blocks: what the kernel does not take is dropped and counted, as any network would.

use super::rtcp::{self, Report};
use super::rtp::{Clock, HEADER};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Instant, SystemTime};

/// Asked of the kernel, which gives what it may: a key frame of a painted scene must fit.
const SEND_BUFFER: usize = 4 << 20;

/// Socket, clock and counters of one stream.
#[derive(Debug)]
pub(super) struct MediaStream {
    socket: UdpSocket,
    pub(super) ssrc: u32,
    pub(super) clock: Clock,
    packets: AtomicU32,
    octets: AtomicU32,
    dropped: AtomicU64,
}

impl MediaStream {
    /// Connects a new socket to `host:port`.
    pub(super) fn connect(target: &str, ssrc: u32, clock: Clock) -> io::Result<Self> {
        let address = resolve(target)?;
        let any: SocketAddr = match address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any)?;
        socket.connect(address)?;
        socket.set_nonblocking(true)?;
        socket2::SockRef::from(&socket).set_send_buffer_size(SEND_BUFFER)?;
        Ok(Self {
            socket,
            ssrc,
            clock,
            packets: AtomicU32::new(0),
            octets: AtomicU32::new(0),
            dropped: AtomicU64::new(0),
        })
    }

    /// Sends to another address of the same family from now on (a new gateway's welcome).
    pub(super) fn retarget(&self, target: &str) -> io::Result<()> {
        self.socket.connect(resolve(target)?)
    }

    /// The same socket for receiving RTCP on the runtime.
    pub(super) fn receiver(&self) -> io::Result<tokio::net::UdpSocket> {
        tokio::net::UdpSocket::from_std(self.socket.try_clone()?)
    }

    pub(super) fn send(&self, packet: &[u8]) {
        // Counted also when dropped: sequence numbers have moved on, and the receiver sees the loss.
        self.packets.fetch_add(1, Ordering::Relaxed);
        self.octets
            .fetch_add(u32::try_from(packet.len().saturating_sub(HEADER)).unwrap_or(0), Ordering::Relaxed);
        if self.socket.send(packet).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Packets the kernel did not take.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// A sender report, once something has been sent (RFC 3550 section 6.4: only senders report).
    pub(super) fn report(&self, cname: &str) {
        let packets = self.packets.load(Ordering::Relaxed);
        if packets == 0 {
            return;
        }
        let report = Report {
            ssrc: self.ssrc,
            at: SystemTime::now(),
            timestamp: self.clock.timestamp(Instant::now()),
            packets,
            octets: self.octets.load(Ordering::Relaxed),
        };
        // A lost report is followed by the next one in a second.
        let _ = self.socket.send(&rtcp::sender_report(&report, cname));
    }
}

fn resolve(target: &str) -> io::Result<SocketAddr> {
    target.to_socket_addrs()?.next().ok_or_else(|| io::Error::other("the name has no address"))
}
