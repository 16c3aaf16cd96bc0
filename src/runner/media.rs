//! One outgoing RTP stream's socket: RTP goes out from a thread, RTCP comes in on the runtime, on the same port.
//!
//! The packets of a frame leave with one system call where the kernel cuts them (`UDP_SEGMENT`), else one by one.
//! Never blocks: what the kernel does not take is dropped and counted, as any network would.

use super::burst::Burst;
use super::rtcp::{self, Report};
use super::rtp::{Clock, HEADER};
use quinn_udp::{Transmit, UdpSockRef, UdpSocketState};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime};

/// Asked of the kernel, which gives what it may: a key frame of a painted scene must fit.
const SEND_BUFFER: usize = 4 << 20;
/// The most that one send may carry.
const MOST_BYTES: usize = 65_000;

/// Socket, clock and counters of one stream.
#[derive(Debug)]
pub(super) struct MediaStream {
    socket: UdpSocket,
    state: UdpSocketState,
    /// Where the socket is connected to.
    target: Mutex<SocketAddr>,
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
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        Ok(Self {
            socket,
            state,
            target: Mutex::new(address),
            ssrc,
            clock,
            packets: AtomicU32::new(0),
            octets: AtomicU32::new(0),
            dropped: AtomicU64::new(0),
        })
    }

    /// Sends to another address of the same family from now on (a new gateway's welcome).
    pub(super) fn retarget(&self, target: &str) -> io::Result<()> {
        let address = resolve(target)?;
        self.socket.connect(address)?;
        *self.target.lock().unwrap_or_else(PoisonError::into_inner) = address;
        Ok(())
    }

    /// The same socket for receiving RTCP on the runtime.
    pub(super) fn receiver(&self) -> io::Result<tokio::net::UdpSocket> {
        tokio::net::UdpSocket::from_std(self.socket.try_clone()?)
    }

    pub(super) fn send(&self, packet: &[u8]) {
        self.count(packet);
        if self.socket.send(packet).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Sends the packets of a frame.
    pub(super) fn send_all(&self, burst: &Burst) {
        let target = *self.target.lock().unwrap_or_else(PoisonError::into_inner);
        for (run, size) in burst.runs(self.state.max_gso_segments(), MOST_BYTES) {
            let segment_size = (run.len() > size).then_some(size);
            let transmit =
                Transmit { destination: target, ecn: None, contents: run, segment_size, src_ip: None };
            match self.state.try_send(UdpSockRef::from(&self.socket), &transmit) {
                Ok(()) => run.chunks(size).for_each(|packet| self.count(packet)),
                // No room for a part would be none for the rest of a frame.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    run.chunks(size).for_each(|packet| self.count(packet));
                    let packets = run.len().div_ceil(size);
                    self.dropped.fetch_add(u64::try_from(packets).unwrap_or(0), Ordering::Relaxed);
                }
                // A route that cannot cut, or the refusal of an earlier packet.
                Err(_) => run.chunks(size).for_each(|packet| self.send(packet)),
            }
        }
    }

    /// Also what is dropped: sequence numbers have moved on, and the receiver sees the loss.
    fn count(&self, packet: &[u8]) {
        self.packets.fetch_add(1, Ordering::Relaxed);
        let payload = packet.len().saturating_sub(HEADER);
        self.octets.fetch_add(u32::try_from(payload).unwrap_or(0), Ordering::Relaxed);
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

#[cfg(test)]
mod tests {
    use super::super::rtp::Packets;
    use super::*;
    use std::time::Duration;

    fn stream(target: &str) -> MediaStream {
        MediaStream::connect(target, 7, Clock::new(Instant::now(), 0, 90_000)).expect("connects")
    }

    fn receiver() -> (UdpSocket, String) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("binds");
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("timeout");
        let address = socket.local_addr().expect("address").to_string();
        (socket, address)
    }

    fn key_frame() -> (Vec<Vec<u8>>, Burst) {
        let units = [vec![0x67, 1, 2, 3], vec![0x68, 4, 5], vec![0x65; 40_000]];
        let annex_b: Vec<u8> =
            units.iter().flat_map(|unit| [&[0, 0, 0, 1], unit.as_slice()].concat()).collect();
        let (mut packets, mut burst) = (Vec::new(), Burst::default());
        Packets::new(96, 7, 1).h264(&annex_b, 99, |packet| {
            packets.push(packet.to_vec());
            burst.push(packet);
        });
        (packets, burst)
    }

    #[test]
    fn a_frame_arrives_as_its_packets_also_after_a_change_of_the_target() {
        let (first, address) = receiver();
        let stream = stream(&address);
        let (packets, burst) = key_frame();
        let mut buffer = [0; 2048];
        let (second, address) = receiver();
        for receiver in [first, second] {
            stream.send_all(&burst);
            for packet in &packets {
                let length = receiver.recv(&mut buffer).expect("arrives");
                assert_eq!(&buffer[..length], packet);
            }
            stream.retarget(&address).expect("retargets");
        }
        let octets: usize = packets.iter().map(|packet| packet.len() - HEADER).sum();
        assert_eq!(stream.packets.load(Ordering::Relaxed) as usize, 2 * packets.len());
        assert_eq!(stream.octets.load(Ordering::Relaxed) as usize, 2 * octets);
        assert_eq!(stream.dropped(), 0);
    }

    #[test]
    fn packets_to_nobody_are_counted_as_sent_and_those_refused_as_dropped_too() {
        let (nobody, address) = receiver();
        drop(nobody);
        let stream = stream(&address);
        let (packets, burst) = key_frame();
        for _ in 0..3 {
            stream.send_all(&burst);
        }
        assert_eq!(stream.packets.load(Ordering::Relaxed) as usize, 3 * packets.len());
        assert!(stream.dropped() <= 3 * packets.len() as u64);
    }
}
