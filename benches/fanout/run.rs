//! One run: a server started afresh, its viewers, the source, and what came of it.

use crate::load::{GAP, Load, Outcome, TICKS, WARM_UP};
use crate::packages::Tools;
use crate::process::{cpu_ns, drops, machine_ns, rss_kib};
use crate::protocol::Ask;
use crate::receivers::{Counts, Receivers};
use crate::servers::{Kind, Server};
use crate::source::Source;
use crate::viewer::{LOCAL, Viewer};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Between the last frame and the count.
const SETTLE: Duration = Duration::from_millis(100);
/// What comes until then is late, after it lost.
const LATE: Duration = Duration::from_secs(1);

/// What one run showed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// Microseconds of CPU of the server per packet that arrived.
    pub(crate) cpu_us: f64,
    /// CPUs kept busy.
    pub(crate) cpus: f64,
    /// Part of the packets that arrived in time.
    pub(crate) delivered: f64,
    /// Part that arrived within another second: the rest of a queue that fills.
    pub(crate) late: f64,
    /// From a frame's first packet into the server to the last viewer's last packet, in milliseconds.
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// Resident memory that came with each viewer after the first, in KiB; of one viewer all that came.
    pub(crate) rss_kib: f64,
    /// Resident memory without viewers, with one, and at the end, in KiB.
    pub(crate) rss_steps_kib: [u64; 3],
    /// CPUs that others than server, source and receivers kept busy: a quiet machine has nearly none.
    pub(crate) others: f64,
    /// Datagrams that found the server's ingest queue full.
    pub(crate) ingest_drops: u64,
    /// The same of the viewers' sockets: more than none voids the run.
    pub(crate) viewer_drops: u64,
    /// How often the server asked for memory, per packet that arrived; none of foreign servers.
    pub(crate) allocations: Option<f64>,
    pub(crate) cipher: String,
    /// Bytes of a media datagram.
    pub(crate) bytes: usize,
}

pub(crate) fn run(kind: Kind, load: Load, seconds: f64, tools: &Tools) -> Outcome<Measured> {
    let frames = (seconds * 60.0).round() as u32;
    let first = WARM_UP + GAP;
    let mut server = Server::start(kind, tools)?;
    let pid = server.id();
    let mut memory = [rss_kib(pid)?; 3];
    let receivers = Receivers::start()?;
    let mut sender: Box<Sender> = if kind == Kind::Floor {
        let viewers = (0..load.viewers).map(|_| Viewer::plain(LOCAL)).collect::<Outcome<Vec<_>>>()?;
        let addresses: Vec<SocketAddr> = viewers.iter().map(Viewer::address).collect();
        viewers.into_iter().try_for_each(|viewer| receivers.add(viewer))?;
        let ports = addresses.iter().map(SocketAddr::port).collect();
        Box::new(Sender { ports, send: Send::Floor(server, addresses, load.packets) })
    } else {
        // The first alone: what it brings is mostly the server's own start.
        let mut addresses = server.connect(0..1, load.feedback, &receivers)?;
        memory[1] = rss_kib(pid)?;
        addresses.extend(server.connect(1..load.viewers, load.feedback, &receivers)?);
        let ports = addresses.iter().map(SocketAddr::port).collect();
        let source = Source::new(&server.ingests, load.packets)?;
        Box::new(Sender { ports, send: Send::Source(server, source) })
    };
    sender.send(0, WARM_UP)?;
    receivers.quiet(2 * LATE)?;
    receivers.begin((WARM_UP - 1) * TICKS, first, frames, false)?;
    let viewer_drops = drops(&sender.ports)?;
    let ingest: HashSet<u16> = sender.server().ingests.iter().map(SocketAddr::port).collect();
    let ingest_drops = drops(&ingest)?;

    let allocations = sender.server().allocations()?;
    let own = std::process::id();
    let (machine, ours, cpu, began) = (machine_ns()?, cpu_ns(own)?, cpu_ns(pid)?, Instant::now());
    let starts = sender.send(first, frames)?;
    std::thread::sleep(SETTLE);
    let (cpu, lasted) = (cpu_ns(pid)?.saturating_sub(cpu) as f64, began.elapsed().as_nanos() as f64);
    let ours = cpu + cpu_ns(own)?.saturating_sub(ours) as f64;
    let machine = machine_ns()?.saturating_sub(machine) as f64;
    let allocations = sender.server().allocations()?.zip(allocations).map(|(after, before)| after - before);
    let in_time = receivers.counts()?;
    let wanted = u64::from(frames) * (load.packets * load.viewers) as u64;
    let counts = drain(&receivers, wanted)?;
    memory[2] = rss_kib(pid)?;
    let (before, viewers) = if load.viewers > 1 { (memory[1], load.viewers - 1) } else { (memory[0], 1) };
    let (p50_ms, p99_ms) = delays(&starts, &counts);
    Ok(Measured {
        cpu_us: cpu / 1000.0 / (in_time.packets.max(1) as f64),
        cpus: cpu / lasted,
        delivered: in_time.packets as f64 / wanted as f64,
        late: counts.packets.saturating_sub(in_time.packets) as f64 / wanted as f64,
        p50_ms,
        p99_ms,
        rss_kib: memory[2].saturating_sub(before) as f64 / viewers as f64,
        rss_steps_kib: memory,
        others: ((machine - ours) / lasted).max(0.0),
        ingest_drops: drops(&ingest)?.saturating_sub(ingest_drops),
        viewer_drops: drops(&sender.ports)?.saturating_sub(viewer_drops),
        allocations: allocations.map(|count| count as f64 / (in_time.packets.max(1) as f64)),
        cipher: counts.cipher.unwrap_or_else(|| "AEAD_AES_128_GCM".to_owned()),
        bytes: counts.bytes,
    })
}

/// Who sends the frames, and the ports they go to.
struct Sender {
    ports: HashSet<u16>,
    send: Send,
}

enum Send {
    /// The floor itself.
    Floor(Server, Vec<SocketAddr>, usize),
    /// The source, to a server.
    Source(Server, Source),
}

impl Sender {
    /// Sends frames; gives when each began.
    fn send(&mut self, first: u32, frames: u32) -> Outcome<Vec<u64>> {
        match &mut self.send {
            Send::Floor(floor, addresses, packets) => {
                floor.burst(Ask::Burst { addresses: addresses.clone(), packets: *packets, first, frames })
            }
            Send::Source(_, source) => source.send(first, frames),
        }
    }

    fn server(&mut self) -> &mut Server {
        match &mut self.send {
            Send::Floor(server, ..) | Send::Source(server, _) => server,
        }
    }
}

/// Waits for what is late.
fn drain(receivers: &Receivers, wanted: u64) -> Outcome<Counts> {
    let began = Instant::now();
    loop {
        let counts = receivers.counts()?;
        if counts.packets >= wanted || began.elapsed() >= LATE {
            return Ok(counts);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// From each frame's start to its last packet in milliseconds, of the frames of which anything arrived.
pub(crate) fn ages(starts: &[u64], counts: &Counts) -> Vec<f64> {
    starts
        .iter()
        .zip(&counts.frames)
        .filter(|(_, frame)| frame.packets > 0)
        .map(|(start, frame)| frame.last_ns.saturating_sub(*start) as f64 / 1e6)
        .collect()
}

/// Median and 99th percentile in milliseconds, over the frames of which anything arrived.
fn delays(starts: &[u64], counts: &Counts) -> (f64, f64) {
    let mut delays = ages(starts, counts);
    delays.sort_by(f64::total_cmp);
    let at = |part: f64| {
        let rank = (delays.len() as f64 * part).ceil() as usize;
        delays.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    };
    (at(0.5), at(0.99))
}
