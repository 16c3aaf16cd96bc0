//! The thread of a link: sockets, and packets sent on when they are due.
//!
//! It waits by `ppoll`, whose timer is finer than a tenth of a millisecond; timers of whole milliseconds would be seen as
//! jitter. Every round sends what is due first, then takes a bounded number of packets from each socket.

use super::endpoint::{Buffers, Endpoint};
use super::random::derive;
use super::shape::Shape;
use super::shaper::{Fate, Shaper};
use super::{Counters, Direction, LinkConfig, LinkError};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use std::cmp::{Ordering as Order, Reverse};
use std::collections::{BinaryHeap, HashMap};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Players at once; packets of further ones are dropped and counted. Each has a socket.
const MAX_CLIENTS: usize = 256;
/// Packets and bytes under way; what comes above is dropped and counted.
const MAX_FLIGHTS: usize = 65_536;
const MAX_FLIGHT_BYTES: usize = 64 << 20;
/// Batches from one socket before what is due has its turn again.
const BATCHES: usize = 4;
/// How often idle clients are looked for.
const SWEEP: Duration = Duration::from_secs(1);

/// What the thread and its handle both see. Locked for a batch at most.
#[derive(Debug)]
pub(super) struct Shared {
    /// Up, then down.
    shapes: Mutex<[Shape; 2]>,
    counters: Mutex<[Counters; 2]>,
    clients: AtomicUsize,
    refused: AtomicU64,
    /// Written to: the thread ends.
    ended: OwnedFd,
}

impl Shared {
    pub(super) fn set(&self, direction: Direction, shape: Shape) {
        lock(&self.shapes)[index(direction)] = shape;
    }

    pub(super) fn shape(&self, direction: Direction) -> Shape {
        lock(&self.shapes)[index(direction)]
    }

    pub(super) fn counters(&self, direction: Direction) -> Counters {
        lock(&self.counters)[index(direction)]
    }

    pub(super) fn clients(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    pub(super) fn stop(&self) {
        // Only a counter at its end could refuse, and then the thread has been told.
        let _ = rustix::io::write(&self.ended, &1_u64.to_ne_bytes());
    }

    fn count(&self, direction: Direction, change: impl FnOnce(&mut Counters)) {
        change(&mut lock(&self.counters)[index(direction)]);
    }
}

fn index(direction: Direction) -> usize {
    match direction {
        Direction::Up => 0,
        Direction::Down => 1,
    }
}

/// Values are whole at any time: a holder that panicked leaves nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn start(config: LinkConfig) -> Result<(SocketAddr, Arc<Shared>, JoinHandle<()>), LinkError> {
    let address = config.listen;
    let listen = |source| LinkError::Listen { address, source };
    let listener = Endpoint::bind(address).map_err(listen)?;
    let address = listener.io.local_addr().map_err(listen)?;
    let shared = Arc::new(Shared {
        shapes: Mutex::new([config.up, config.down]),
        counters: Mutex::default(),
        clients: AtomicUsize::new(0),
        refused: AtomicU64::new(0),
        ended: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(io::Error::from)?,
    });
    let driver = Driver {
        listener,
        config,
        shared: Arc::clone(&shared),
        clients: HashMap::new(),
        by_address: HashMap::new(),
        flights: BinaryHeap::new(),
        flight_bytes: 0,
        next: 0,
        born: 0,
        swept: Instant::now(),
    };
    let thread = std::thread::Builder::new().name("link".to_owned()).spawn(move || driver.run())?;
    Ok((address, shared, thread))
}

#[derive(Debug)]
struct Client {
    address: SocketAddr,
    upstream: Endpoint,
    up: Shaper,
    down: Shaper,
    last_sent: Instant,
}

/// A packet under way.
#[derive(Debug)]
struct Flight {
    due: Instant,
    /// Those due at the same time go in the order they came.
    order: u64,
    direction: Direction,
    client: u64,
    bytes: Arc<[u8]>,
}

impl PartialEq for Flight {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Order::Equal
    }
}

impl Eq for Flight {}

impl PartialOrd for Flight {
    fn partial_cmp(&self, other: &Self) -> Option<Order> {
        Some(self.cmp(other))
    }
}

impl Ord for Flight {
    fn cmp(&self, other: &Self) -> Order {
        (self.due, self.order).cmp(&(other.due, other.order))
    }
}

struct Driver {
    listener: Endpoint,
    config: LinkConfig,
    shared: Arc<Shared>,
    clients: HashMap<u64, Client>,
    by_address: HashMap<SocketAddr, u64>,
    flights: BinaryHeap<Reverse<Flight>>,
    flight_bytes: usize,
    /// Number of the next client or flight.
    next: u64,
    /// Clients so far.
    born: u64,
    swept: Instant,
}

impl Driver {
    fn run(mut self) {
        let mut buffers = Buffers::new();
        loop {
            self.deliver();
            let Some(ready) = self.wait() else { return };
            for source in ready {
                self.take(source, &mut buffers);
            }
            self.sweep();
        }
    }

    /// Waits for packets or for the next one that is due. Gives the sockets that have some: the clients' side, and clients'
    /// upstream ones. `None`: it is over.
    fn wait(&self) -> Option<Vec<Option<u64>>> {
        let now = Instant::now();
        let next = self.flights.peek().map_or(now + SWEEP, |Reverse(flight)| flight.due.min(now + SWEEP));
        let timeout = next.saturating_duration_since(now);
        let timeout = Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(1),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        let mut fds = vec![
            PollFd::new(&self.shared.ended, PollFlags::IN),
            PollFd::new(&self.listener.io, PollFlags::IN),
        ];
        let keys: Vec<u64> = self.clients.keys().copied().collect();
        fds.extend(self.clients.values().map(|client| PollFd::new(&client.upstream.io, PollFlags::IN)));
        // An interrupt is a short wait.
        let _ = poll(&mut fds, Some(&timeout));
        let is_ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
        if fds.first().is_some_and(is_ready) {
            return None;
        }
        let sources = std::iter::once(None).chain(keys.into_iter().map(Some));
        Some(
            fds.iter()
                .skip(1)
                .zip(sources)
                .filter(|(fd, _)| is_ready(fd))
                .map(|(_, source)| source)
                .collect(),
        )
    }

    /// Takes what a socket has.
    fn take(&mut self, source: Option<u64>, buffers: &mut Buffers) {
        for _ in 0..BATCHES {
            let endpoint = match source {
                None => &self.listener,
                Some(client) => match self.clients.get(&client) {
                    Some(client) => &client.upstream,
                    None => return,
                },
            };
            let more = endpoint.receive(buffers);
            let now = Instant::now();
            let direction = if source.is_none() { Direction::Up } else { Direction::Down };
            let shape = self.shared.shape(direction);
            for (meta, datagram) in buffers.datagrams() {
                let client = source.or_else(|| self.client(now, meta.addr));
                if let Some(client) = client {
                    self.offer(now, direction, &shape, client, datagram);
                }
            }
            self.deliver();
            if !more {
                return;
            }
        }
    }

    /// The client at an address, known or new.
    fn client(&mut self, now: Instant, address: SocketAddr) -> Option<u64> {
        if let Some(key) = self.by_address.get(&address) {
            if let Some(client) = self.clients.get_mut(key) {
                client.last_sent = now;
            }
            return Some(*key);
        }
        if self.clients.len() >= MAX_CLIENTS {
            self.shared.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let upstream = match Endpoint::connected(self.config.to) {
            Ok(upstream) => upstream,
            Err(error) => {
                tracing::warn!(%error, "no socket for another client of a link");
                self.shared.refused.fetch_add(1, Ordering::Relaxed);
                return None;
            }
        };
        let key = self.number();
        self.born += 1;
        // By order of appearance, so that a run can be repeated although ports differ.
        let seed = derive(self.config.seed, self.born);
        let (up, down) = (Shaper::new(derive(seed, 1)), Shaper::new(derive(seed, 2)));
        self.clients.insert(key, Client { address, upstream, up, down, last_sent: now });
        self.by_address.insert(address, key);
        self.shared.clients.store(self.clients.len(), Ordering::Relaxed);
        Some(key)
    }

    fn offer(&mut self, now: Instant, direction: Direction, shape: &Shape, key: u64, datagram: &[u8]) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        let shaper = match direction {
            Direction::Up => &mut client.up,
            Direction::Down => &mut client.down,
        };
        let fate = shaper.offer(shape, now, datagram.len());
        let times = match fate {
            Fate::Lost | Fate::Overflow => [None, None],
            Fate::Delivered { at, again, .. } => [Some(at), again],
        };
        let (mut queued, mut dropped) = (0, 0);
        let bytes = times[0].map(|_| Arc::<[u8]>::from(datagram));
        for due in times.into_iter().flatten() {
            let Some(bytes) = bytes.clone() else { continue };
            if self.flights.len() >= MAX_FLIGHTS || self.flight_bytes + bytes.len() > MAX_FLIGHT_BYTES {
                dropped += 1;
                continue;
            }
            queued += 1;
            self.flight_bytes += bytes.len();
            let order = self.number();
            self.flights.push(Reverse(Flight { due, order, direction, client: key, bytes }));
        }
        self.shared.count(direction, |counters| {
            counters.record(datagram.len(), fate);
            counters.queued += queued;
            counters.dropped += dropped;
        });
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Sends what is due.
    fn deliver(&mut self) {
        let mut now = Instant::now();
        while let Some(Reverse(flight)) = self.flights.peek() {
            if flight.due > now {
                now = Instant::now();
                if flight.due > now {
                    return;
                }
            }
            let Some(Reverse(flight)) = self.flights.pop() else { return };
            self.flight_bytes -= flight.bytes.len();
            let sent = match (self.clients.get(&flight.client), flight.direction) {
                (None, Direction::Up | Direction::Down) => false,
                (Some(client), Direction::Up) => client.upstream.send(&flight.bytes, None),
                (Some(client), Direction::Down) => self.listener.send(&flight.bytes, Some(client.address)),
            };
            self.shared.count(flight.direction, |counters| {
                counters.queued -= 1;
                if sent {
                    counters.delivered += 1;
                    counters.delivered_bytes += flight.bytes.len() as u64;
                } else {
                    counters.dropped += 1;
                }
            });
        }
    }

    fn sweep(&mut self) {
        let now = Instant::now();
        if now.saturating_duration_since(self.swept) < SWEEP.min(self.config.idle) {
            return;
        }
        self.swept = now;
        let idle = self.config.idle;
        self.clients.retain(|_, client| now.saturating_duration_since(client.last_sent) < idle);
        self.by_address.retain(|_, key| self.clients.contains_key(key));
        self.shared.clients.store(self.clients.len(), Ordering::Relaxed);
    }
}
