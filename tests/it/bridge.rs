//! Lines that carry IP packets: between pipes for exact figures, and between two network namespaces through TUN devices for
//! real UDP and TCP. The latter need root; elsewhere they say so and pass.

use crate::line::{self, Far, Line};
use playgate::netem::{Bridge, BridgeConfig, Course, Direction, Loss, Queue, Rate, Shape, Trace};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

const MS: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(20);
/// Of an IPv4 and a UDP header.
const HEADERS: usize = 28;

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "waited for {what}");
        std::thread::sleep(2 * MS);
    }
}

// --- between pipes

/// A test's end and a bridge's end of what stands for a device: each read gives one packet.
fn pipe() -> (OwnedFd, OwnedFd) {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).expect("a pair")
}

/// A packet to one host, or to a group.
fn packet(number: u16, to: u8) -> Vec<u8> {
    let mut packet = vec![0; 100];
    packet[0] = 0x45;
    packet[16] = to;
    packet[20..22].copy_from_slice(&number.to_be_bytes());
    packet
}

fn numbers(device: &OwnedFd, count: usize) -> Vec<u16> {
    let mut buffer = [0; 200];
    let mut next = || {
        let len = rustix::io::read(device, &mut buffer).expect("a packet");
        assert_eq!(len, 100);
        u16::from_be_bytes([buffer[20], buffer[21]])
    };
    (0..count).map(|_| next()).collect()
}

struct Pipes {
    far: OwnedFd,
    near: OwnedFd,
    bridge: Bridge,
}

fn pipes(up: Course, seed: u64) -> Pipes {
    let ((far, far_end), (near, near_end)) = (pipe(), pipe());
    let config = BridgeConfig { up, down: Shape::CLEAR.into(), seed };
    Pipes { far, near, bridge: Bridge::start(far_end, near_end, config).expect("a bridge") }
}

#[test]
fn a_bridge_carries_unicast_both_ways_and_ends_with_its_handle() {
    let Pipes { far, near, bridge } = pipes(Shape::CLEAR.into(), 1);
    for (number, to) in [(1, 10), (2, 224), (3, 239), (4, 240)] {
        rustix::io::write(&far, &packet(number, to)).expect("sent");
    }
    assert_eq!(numbers(&near, 2), [1, 4], "no multicast");
    rustix::io::write(&near, &packet(5, 10)).expect("sent");
    assert_eq!(numbers(&far, 1), [5]);
    let counters = bridge.counters(Direction::Up);
    assert_eq!((counters.packets, counters.bytes, counters.lost), (2, 200, 0));
    drop(bridge);
    assert_eq!(rustix::io::read(&near, &mut [0; 200]), Ok(0), "its ends are closed");
}

#[test]
fn which_packets_a_bridge_loses_depends_on_the_seed_alone() {
    let bursts = Shape { loss: Loss::bursts(0.2, 4.0), ..Shape::CLEAR };
    let arrived = |seed: u64| {
        let Pipes { far, near, bridge } = pipes(bursts.into(), seed);
        for number in 0..300 {
            rustix::io::write(&far, &packet(number, 10)).expect("sent");
        }
        wait_until("all packets", || bridge.counters(Direction::Up).packets == 300);
        let counters = bridge.counters(Direction::Up);
        let numbers = numbers(&near, 300 - usize::try_from(counters.lost).expect("few"));
        assert!(numbers.is_sorted() && counters.overflow == 0);
        numbers
    };
    let first = arrived(7);
    assert_eq!(first, arrived(7));
    assert_ne!(first, arrived(8));
    let lost = (0..300).filter(|number| !first.contains(number)).collect::<Vec<u16>>();
    let bursts = lost.chunk_by(|a, b| a + 1 == *b).count();
    println!("{} lost in {bursts} bursts", lost.len());
    assert!((20..120).contains(&lost.len()) && bursts * 2 < lost.len());
}

#[test]
fn a_bridge_follows_its_course_while_it_runs() {
    let course = Course::steady(Shape::CLEAR).then(200 * MS, Shape::CUT);
    let Pipes { far, near, bridge } = pipes(course, 1);
    rustix::io::write(&far, &packet(1, 10)).expect("sent");
    assert_eq!(numbers(&near, 1), [1]);
    wait_until("the second step", || bridge.shape(Direction::Up) == Shape::CUT);
    rustix::io::write(&far, &packet(2, 10)).expect("sent");
    wait_until("a loss", || bridge.counters(Direction::Up).lost == 1);
    bridge.set(Direction::Up, Shape::CLEAR);
    rustix::io::write(&far, &packet(3, 10)).expect("sent");
    assert_eq!(numbers(&near, 1), [3]);
}

// --- between namespaces

/// A line, or why there is none.
fn line(seed: u64) -> Option<Line> {
    if !line::available() {
        eprintln!("skipped: lines between namespaces need root and /dev/net/tun");
        return None;
    }
    Some(Line::to_new_namespace(seed))
}

fn udp(address: IpAddr) -> UdpSocket {
    let socket = UdpSocket::bind(SocketAddr::new(address, 0)).expect("an address of this side");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket
}

/// Sockets on both sides of the line, each with the other's address: near ones and far ones, IPv4 and IPv6.
fn pairs(line: &Line) -> [(UdpSocket, UdpSocket); 2] {
    let pair = |near: IpAddr, far: IpAddr| {
        let (near, far) = (udp(near), line.far().enter(|| udp(far)));
        near.connect(far.local_addr().expect("bound")).expect("a route");
        let to = near.local_addr().expect("bound");
        line.far().enter(|| far.connect(to)).expect("a route");
        (near, far)
    };
    let ([near4, near6], [far4, far6]) = (line.near().both(), line.far().addresses().both());
    [pair(near4, far4), pair(near6, far6)]
}

/// Connects from the far side to a listener of the near one.
fn tcp(line: &Line, near: IpAddr) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(SocketAddr::new(near, 0)).expect("an address of this side");
    let to = listener.local_addr().expect("bound");
    let far = line.far().enter(|| TcpStream::connect_timeout(&to, PATIENCE)).expect("connected");
    let (near, from) = listener.accept().expect("connected");
    assert!(line.far().addresses().both().contains(&from.ip()), "not over the line but from {from}");
    for stream in [&near, &far] {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("an option");
    }
    (near, far)
}

fn receive(socket: &UdpSocket) -> u16 {
    let mut buffer = [0; 2000];
    let len = socket.recv(&mut buffer).expect("a packet");
    assert!(len >= 2);
    u16::from_be_bytes([buffer[0], buffer[1]])
}

fn send(socket: &UdpSocket, number: u16, bytes: usize) {
    let mut datagram = vec![0; bytes];
    datagram[..2].copy_from_slice(&number.to_be_bytes());
    socket.send(&datagram).expect("sent");
}

#[test]
fn udp_and_tcp_cross_the_line_by_both_families_and_no_sooner_than_its_delay() {
    let Some(line) = line(1) else { return };
    let delays = [(Direction::Up, 30 * MS), (Direction::Down, 10 * MS)];
    for (direction, delay) in delays {
        line.set(direction, Shape { delay, ..Shape::CLEAR });
    }
    let round_trip = delays[0].1 + delays[1].1;
    for (near, far) in pairs(&line) {
        for number in 0..5 {
            let begun = Instant::now();
            send(&near, number, 1000);
            assert_eq!(receive(&far), number);
            assert!(begun.elapsed() >= delays[1].1);
            let begun = Instant::now();
            send(&far, number, 1000);
            assert_eq!(receive(&near), number);
            assert!(begun.elapsed() >= delays[0].1);
        }
    }
    for address in line.near().both() {
        let begun = Instant::now();
        let (mut near, mut far) = tcp(&line, address);
        assert!(begun.elapsed() >= round_trip, "the handshake is a round trip");
        let begun = Instant::now();
        far.write_all(b"there").expect("sent");
        near.read_exact(&mut [0; 5]).expect("received");
        near.write_all(b"and back").expect("sent");
        far.read_exact(&mut [0; 8]).expect("received");
        assert!(begun.elapsed() >= round_trip);
    }
    assert_eq!(line.kernel_drops(), 0);
    for direction in Direction::BOTH {
        let counters = line.counters(direction);
        assert!(counters.packets > 10 && counters.lost + counters.overflow + counters.dropped == 0);
    }
}

#[test]
fn the_line_loses_the_same_datagrams_for_the_same_seed() {
    let lossy = |loss| Shape { loss, ..Shape::CLEAR };
    for loss in [Loss::Independent(0.1), Loss::bursts(0.1, 5.0)] {
        let arrived = [3, 3, 4].map(|seed| {
            let line = line(seed)?;
            line.set(Direction::Down, lossy(loss));
            let [(near, far), _] = pairs(&line);
            // So many fit into a socket's buffer.
            for number in 0..200 {
                send(&near, number, 100);
                wait_until("the packet", || line.counters(Direction::Down).packets > u64::from(number));
            }
            let counters = line.counters(Direction::Down);
            let arrived = (0..200 - counters.lost).map(|_| receive(&far)).collect::<Vec<u16>>();
            Some(arrived)
        });
        let [Some(first), Some(again), Some(other)] = arrived else { return };
        assert_eq!(first, again, "{loss:?}");
        assert_ne!(first, other, "{loss:?}");
        assert!((140..200).contains(&first.len()), "{loss:?}: {} of 200", first.len());
    }
}

#[test]
fn a_slow_line_carries_tcp_and_udp_no_faster_than_its_rate_and_drops_what_its_queue_does_not_hold() {
    let Some(line) = line(1) else { return };
    let rate = 4_000_000;
    let slow = |queue| Shape { rate: Some(Rate { bits_per_second: rate, queue }), ..Shape::CLEAR };
    line.set(Direction::Down, slow(Queue::Time(50 * MS)));
    for address in line.near().both() {
        let (mut near, mut far) = tcp(&line, address);
        let payload = vec![7; 300_000];
        let begun = Instant::now();
        let writer = std::thread::spawn(move || near.write_all(&payload).map(|()| near));
        far.read_exact(&mut vec![0; 300_000]).expect("all of it");
        let seconds = begun.elapsed().as_secs_f64();
        assert!(seconds >= 300_000.0 * 8.0 / rate as f64, "{seconds} s");
        drop(writer.join().expect("no panic").expect("sent"));
    }
    // A queue of ten packets. They take 2 ms each: sending all of them takes less than that.
    let size = 1000;
    let queue = Queue::Bytes(10 * (size + HEADERS) as u64);
    wait_until("an empty line", || line.counters(Direction::Down).queued == 0);
    line.set(Direction::Down, slow(queue));
    let before = line.counters(Direction::Down);
    let [(near, far), _] = pairs(&line);
    for number in 0..100 {
        send(&near, number, size);
    }
    wait_until("all packets", || line.counters(Direction::Down).packets - before.packets >= 100);
    let overflow = line.counters(Direction::Down).overflow - before.overflow;
    assert!((1..=90).contains(&overflow), "{overflow} of 100 found the queue full");
    let arrived = (0..100 - overflow).map(|_| receive(&far)).collect::<Vec<u16>>();
    assert!(arrived.is_sorted() && arrived.starts_with(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]), "{arrived:?}");
    assert_eq!(line.kernel_drops(), 0);
}

#[test]
fn a_trace_carries_packets_at_its_opportunities() {
    let Some(line) = line(1) else { return };
    let [(near, far), (near6, far6)] = pairs(&line);
    let trace = Trace::parse("100\n").expect("a trace");
    let begun = Instant::now();
    line.set(Direction::Up, Course::steady(Shape::CLEAR).with_trace(trace, Queue::Bytes(6000)));
    for number in 0..3 {
        send(&far, number, 1400);
    }
    send(&far6, 3, 1400);
    for number in 0..3 {
        assert_eq!(receive(&near), number);
        assert!(begun.elapsed() >= 100 * MS * (u32::from(number) + 1), "{:?}", begun.elapsed());
    }
    assert_eq!(receive(&near6), 3);
    assert!(begun.elapsed() >= 400 * MS);
}

#[test]
fn an_outage_loses_datagrams_and_only_delays_tcp() {
    let Some(line) = line(1) else { return };
    let [(near, far), _] = pairs(&line);
    let (mut near_stream, mut far_stream) = tcp(&line, line.near().v4.into());
    send(&near, 0, 100);
    assert_eq!(receive(&far), 0);
    let begun = Instant::now();
    line.outage(300 * MS);
    near_stream.write_all(b"late").expect("queued");
    send(&near, 1, 100);
    wait_until("the losses", || line.counters(Direction::Down).lost >= 2);
    far_stream.read_exact(&mut [0; 4]).expect("sent again after the outage");
    assert!(begun.elapsed() >= 300 * MS, "{:?}", begun.elapsed());
    send(&near, 2, 100);
    assert_eq!(receive(&far), 2, "what was sent in the outage stays lost");
}

#[test]
fn the_far_side_has_the_line_and_its_loopback_only() {
    let Some(line) = line(1) else { return };
    let far: &Far = line.far();
    let output = far.command("ip").args(["-o", "link"]).output().expect("iproute2 is there");
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 2);
    let here = TcpListener::bind("127.0.0.1:0").expect("a port");
    let to = here.local_addr().expect("bound");
    assert!(far.enter(|| TcpStream::connect(to)).is_err(), "its loopback is its own");
}
