//! CPU time of a relay shard per forwarded packet, in multiples of the floor.
//!
//! The floor: seal each packet by AES-128-GCM in place and hand each viewer's frame to the kernel with one GSO send,
//! nothing else. Both run at 60 frames/s of 14 packets of 1192 bytes, in turn and several times, in one process; medians
//! count. Viewers do a real handshake and then only empty their sockets. Nothing here asserts anything.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use playgate::ids::{SessionId, ViewerId};
use playgate::relay::{AddViewer, Codec, IngestSpec, OpenSession, Relay, RelayConfig};
use prometheus_client::registry::Registry;
use quinn_udp::{Transmit, UdpSockRef, UdpSocketState};
use rtc::peer_connection::configuration::media_engine::MediaEngine;
use rtc::peer_connection::event::RTCPeerConnectionEvent;
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::peer_connection::state::RTCPeerConnectionState;
use rtc::peer_connection::transport::RTCIceCandidateInit;
use rtc::peer_connection::{RTCPeerConnection, RTCPeerConnectionBuilder};
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpHeaderExtensionCapability, RtpCodecKind,
};
use rtc::sansio::Protocol;
use rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};
use std::error::Error;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const PACKETS: usize = 14;
const PAYLOAD: usize = 1192;
/// Fixed header and the playout-delay extension.
const HEADER: usize = 20;
const TAG: usize = 16;
const FRAMES: u32 = 180;
const ROUNDS: usize = 5;
const FRAME: Duration = Duration::from_micros(16_667);

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let mut table = String::new();
    writeln!(table, "CPU time per forwarded packet, shard and floor (medians of {ROUNDS} rounds, one run)")?;
    writeln!(table, "{}", machine())?;
    writeln!(
        table,
        "{PACKETS} packets of {PAYLOAD} bytes a frame, 60 frames/s, {FRAMES} frames a round, AES-128-GCM"
    )?;
    writeln!(
        table,
        "{:>8} {:>12} {:>12} {:>9} {:>10}",
        "viewers", "floor us", "shard us", "x floor", "delivered"
    )?;
    for viewers in [30, 60] {
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            let floor = floor(viewers)?;
            let (shard, delivered) = shard(viewers)?;
            rounds.push((floor, shard, shard / floor, delivered));
        }
        let median = |pick: fn(&(f64, f64, f64, f64)) -> f64| {
            let mut values: Vec<f64> = rounds.iter().map(pick).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        let (floor, shard, ratio, delivered) =
            (median(|r| r.0), median(|r| r.1), median(|r| r.2), median(|r| r.3));
        writeln!(table, "{viewers:>8} {floor:>12.2} {shard:>12.2} {ratio:>9.2} {:>9.1}%", delivered * 100.0)?;
    }
    std::io::Write::write_all(&mut std::io::stdout(), table.as_bytes())?;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/results/relay_cost.txt");
    std::fs::write(path, table)?;
    Ok(())
}

/// Microseconds of CPU per packet of the least work.
fn floor(viewers: usize) -> Outcome<f64> {
    let sink = Sink::new((0..viewers).map(|_| UdpSocket::bind("127.0.0.1:0")).collect::<Result<_, _>>()?)?;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &[7; 16])?);
    let mut buffer = vec![0u8; PACKETS * (HEADER + PAYLOAD + TAG)];
    let (before, start) = (cpu_of("self")?, Instant::now());
    for frame in 0..FRAMES {
        for address in &sink.addresses {
            for packet in buffer.chunks_mut(HEADER + PAYLOAD + TAG) {
                let (header, rest) = packet.split_at_mut(HEADER);
                let (payload, tag) = rest.split_at_mut(PAYLOAD);
                let nonce = Nonce::assume_unique_for_key([3; 12]);
                let sealed = key.seal_in_place_separate_tag(nonce, Aad::from(&*header), payload)?;
                tag.copy_from_slice(sealed.as_ref());
            }
            let size = Some(HEADER + PAYLOAD + TAG);
            let transmit = Transmit {
                destination: *address,
                ecn: None,
                contents: &buffer,
                segment_size: size,
                src_ip: None,
            };
            state.try_send(UdpSockRef::from(&socket), &transmit)?;
        }
        wait_until(start + FRAME * (frame + 1));
    }
    Ok((cpu_of("self")? - before) / f64::from(FRAMES) / (PACKETS * viewers) as f64)
}

/// Microseconds of CPU per packet sent of a real shard, and the part of packets that arrived.
fn shard(viewers: usize) -> Outcome<(f64, f64)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let config = RelayConfig {
        media_listen: vec![SocketAddr::new(local, 0)],
        whole_machine: false,
        public_ip: Vec::new(),
        ingest_ip: local,
    };
    let relay = Relay::start(config, &mut Registry::default())?;
    let session = SessionId::new();
    let video = IngestSpec { listen: None, codec: Codec::H264, payload_type: 96, rtcp: None };
    let opened =
        runtime.block_on(relay.open(OpenSession { session, video, audio: None, allow: vec![local] }))?;
    let sockets = (0..viewers).map(|_| connect(&relay, &runtime, session)).collect::<Outcome<Vec<_>>>()?;
    let sink = Sink::new(sockets)?;
    let source = UdpSocket::bind("127.0.0.1:0")?;
    let mut datagram = vec![0u8; 12 + PAYLOAD];
    let mut sequence = 0u16;
    let mut send = |frame: u32, kind: u8| -> Outcome<()> {
        for packet in 0..PACKETS {
            let last = packet + 1 == PACKETS;
            datagram[..2].copy_from_slice(&[0x80, u8::from(last) << 7 | 96]);
            datagram[2..4].copy_from_slice(&sequence.to_be_bytes());
            datagram[4..8].copy_from_slice(&(frame * 1500).to_be_bytes());
            datagram[12..14].copy_from_slice(&[0x7c, u8::from(packet == 0) << 7 | kind]);
            source.send_to(&datagram, opened.rtp_video)?;
            sequence = sequence.wrapping_add(1);
        }
        Ok(())
    };
    // The key frame that everybody waits for.
    send(0, 5)?;
    std::thread::sleep(Duration::from_millis(300));
    let (before, arrived, start) = (cpu_of_shard()?, sink.received.load(Ordering::Relaxed), Instant::now());
    for frame in 1..=FRAMES {
        send(frame, 1)?;
        wait_until(start + FRAME * frame);
    }
    std::thread::sleep(Duration::from_millis(100));
    let packets = f64::from(FRAMES) * (PACKETS * viewers) as f64;
    let delivered = (sink.received.load(Ordering::Relaxed) - arrived) as f64 / packets;
    let cost = (cpu_of_shard()? - before) / packets / delivered;
    drop(relay);
    std::thread::sleep(Duration::from_millis(100));
    Ok((cost, delivered))
}

/// A viewer after its handshake: only its socket is left.
fn connect(relay: &Relay, runtime: &tokio::runtime::Runtime, session: SessionId) -> Outcome<UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(Duration::from_millis(5)))?;
    let own = socket.local_addr()?;
    let mut pc = RTCPeerConnectionBuilder::new().with_media_engine(engine()?).build(Instant::now())?;
    let candidate = format!("candidate:1 1 udp 2130706431 {} {} typ host", own.ip(), own.port());
    pc.add_local_candidate(RTCIceCandidateInit { candidate, ..Default::default() })?;
    pc.add_transceiver_from_kind(RtpCodecKind::Video, None)?;
    let offer = pc.create_offer(None)?;
    pc.set_local_description(Instant::now(), offer.clone())?;
    let spec = AddViewer {
        session,
        viewer: ViewerId::new(),
        slot: None,
        principal: "bench".to_owned(),
        offer: offer.sdp,
    };
    let answer = runtime.block_on(relay.add_viewer(spec))?;
    pc.set_remote_description(Instant::now(), RTCSessionDescription::answer(answer)?)?;
    let start = Instant::now();
    while !step(&mut pc, &socket, own)? {
        if start.elapsed() > Duration::from_secs(10) {
            return Err("a viewer did not connect".into());
        }
    }
    Ok(socket)
}

/// Sends, receives, lets time pass; true when connected and nothing is left to send.
fn step(pc: &mut RTCPeerConnection, socket: &UdpSocket, own: SocketAddr) -> Outcome<bool> {
    while let Some(out) = pc.poll_write() {
        socket.send_to(&out.message, out.transport.peer_addr)?;
    }
    let mut connected = false;
    while let Some(event) = pc.poll_event() {
        connected |= matches!(
            event,
            RTCPeerConnectionEvent::OnConnectionStateChangeEvent(RTCPeerConnectionState::Connected)
        );
    }
    if connected {
        while let Some(out) = pc.poll_write() {
            socket.send_to(&out.message, out.transport.peer_addr)?;
        }
        return Ok(true);
    }
    let mut buffer = [0; 2000];
    if let Ok((len, peer_addr)) = socket.recv_from(&mut buffer) {
        let transport = TransportContext {
            local_addr: own,
            peer_addr,
            ecn: None,
            transport_protocol: TransportProtocol::UDP,
        };
        pc.handle_read(TaggedBytesMut { now: Instant::now(), transport, message: buffer[..len].into() })?;
    }
    if pc.poll_timeout().is_some_and(|at| at <= Instant::now()) {
        pc.handle_timeout(Instant::now())?;
    }
    Ok(false)
}

fn engine() -> Outcome<MediaEngine> {
    let mut engine = MediaEngine::default();
    let codec = |mime: &str, fmtp: &str, payload_type| RTCRtpCodecParameters {
        rtp_codec: RTCRtpCodec {
            mime_type: mime.to_owned(),
            clock_rate: 90_000,
            sdp_fmtp_line: fmtp.to_owned(),
            ..Default::default()
        },
        payload_type,
    };
    let h264 = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
    engine.register_codec(codec("video/H264", h264, 102), RtpCodecKind::Video)?;
    engine.register_codec(codec("video/rtx", "apt=102", 103), RtpCodecKind::Video)?;
    let uri = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay".to_owned();
    engine.register_header_extension(RTCRtpHeaderExtensionCapability { uri }, RtpCodecKind::Video, None)?;
    Ok(engine)
}

/// Sockets that are emptied by a thread of their own.
struct Sink {
    addresses: Vec<SocketAddr>,
    received: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Sink {
    fn new(sockets: Vec<UdpSocket>) -> Outcome<Self> {
        let addresses = sockets.iter().map(UdpSocket::local_addr).collect::<Result<_, _>>()?;
        for socket in &sockets {
            socket.set_nonblocking(true)?;
        }
        let (received, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, stopped) = (Arc::clone(&received), Arc::clone(&stop));
        std::thread::spawn(move || {
            let mut buffer = [0; 2000];
            while !stopped.load(Ordering::Relaxed) {
                for socket in &sockets {
                    while let Ok(len) = socket.recv(&mut buffer) {
                        count.fetch_add(u64::from(len > 1000), Ordering::Relaxed);
                    }
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        Ok(Self { addresses, received, stop })
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Microseconds on a CPU until now, of a thread of this process.
fn cpu_of(thread: &str) -> Outcome<f64> {
    let path = if thread == "self" {
        "/proc/thread-self/schedstat".to_owned()
    } else {
        format!("{thread}/schedstat")
    };
    let text = std::fs::read_to_string(path)?;
    let nanoseconds: f64 = text.split(' ').next().ok_or("schedstat")?.parse()?;
    Ok(nanoseconds / 1000.0)
}

fn cpu_of_shard() -> Outcome<f64> {
    for task in std::fs::read_dir("/proc/self/task")? {
        let path = task?.path();
        if std::fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == "relay-0") {
            return cpu_of(&path.display().to_string());
        }
    }
    Err("no shard is running".into())
}

fn wait_until(at: Instant) {
    std::thread::sleep(at.saturating_duration_since(Instant::now()));
}

fn machine() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = read("/proc/loadavg");
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    let kernel = read("/proc/sys/kernel/osrelease");
    format!(
        "{model}, {cores} cores, Linux {}, load {} at start, profile {profile}",
        kernel.trim(),
        load.split(' ').next().unwrap_or("?")
    )
}
