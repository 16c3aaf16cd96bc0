//! The thread of a [`super::Proxy`]: its sockets, and the packets that it sends on when they are due.
//!
//! Every round sends what is due first, then takes a bounded number of packets from each socket.

use super::course::Conditions;
use super::endpoint::{Buffers, Endpoint};
use super::flights::Flights;
use super::random::derive;
use super::running::Running;
use super::shaper::{OVERHEAD_BYTES, Shaper};
use super::{Direction, LinkError, ProxyConfig};
use rustix::event::{PollFd, PollFlags};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Players at once; packets of further ones are dropped and counted. Each has a socket.
const MAX_CLIENTS: usize = 256;
/// Batches from one socket before what is due has its turn again.
const BATCHES: usize = 4;
/// How often idle clients are looked for.
const SWEEP: Duration = Duration::from_secs(1);

/// What the thread and its handle both see.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) running: Running,
    clients: AtomicUsize,
    refused: AtomicU64,
}

impl Shared {
    pub(super) fn clients(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

pub(super) fn start(config: ProxyConfig) -> Result<(SocketAddr, Arc<Shared>, JoinHandle<()>), LinkError> {
    let address = config.listen;
    let listen = |source| LinkError::Listen { address, source };
    let listener = Endpoint::bind(address).map_err(listen)?;
    let address = listener.io.local_addr().map_err(listen)?;
    let shared = Arc::new(Shared {
        running: Running::new(config.up.into(), config.down.into())?,
        clients: AtomicUsize::new(0),
        refused: AtomicU64::new(0),
    });
    let driver = Driver {
        listener,
        config,
        shared: Arc::clone(&shared),
        clients: HashMap::new(),
        by_address: HashMap::new(),
        flights: Flights::new(),
        next: 0,
        born: 0,
        swept: Instant::now(),
    };
    let thread = std::thread::Builder::new().name("netem".to_owned()).spawn(move || driver.run())?;
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

struct Driver {
    listener: Endpoint,
    config: ProxyConfig,
    shared: Arc<Shared>,
    clients: HashMap<u64, Client>,
    by_address: HashMap<SocketAddr, u64>,
    flights: Flights<(Direction, u64)>,
    /// Number of the newest client.
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
        let sweep = Instant::now() + SWEEP;
        let until = self.flights.next_due().unwrap_or(sweep).min(sweep);
        let mut keys = vec![None];
        keys.extend(self.clients.keys().copied().map(Some));
        let mut sources = vec![PollFd::new(&self.listener.io, PollFlags::IN)];
        sources.extend(self.clients.values().map(|client| PollFd::new(&client.upstream.io, PollFlags::IN)));
        let ready = self.shared.running.wait(sources, until)?;
        Some(ready.into_iter().filter_map(|at| keys.get(at).copied()).collect())
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
            let conditions = self.shared.running.conditions(direction, now);
            for (meta, datagram) in buffers.datagrams() {
                let client = source.or_else(|| self.client(now, meta.addr));
                if let Some(client) = client {
                    self.offer(now, direction, &conditions, client, datagram);
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
                tracing::warn!(%error, "no socket for another client of a proxy");
                self.shared.refused.fetch_add(1, Ordering::Relaxed);
                return None;
            }
        };
        self.next += 1;
        let key = self.next;
        self.born += 1;
        // By order of appearance, so that a run can be repeated although ports differ.
        let seed = derive(self.config.seed, self.born);
        let (up, down) = (Shaper::new(derive(seed, 1)), Shaper::new(derive(seed, 2)));
        self.clients.insert(key, Client { address, upstream, up, down, last_sent: now });
        self.by_address.insert(address, key);
        self.shared.clients.store(self.clients.len(), Ordering::Relaxed);
        Some(key)
    }

    fn offer(
        &mut self,
        now: Instant,
        direction: Direction,
        conditions: &Conditions,
        key: u64,
        datagram: &[u8],
    ) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        let shaper = match direction {
            Direction::Up => &mut client.up,
            Direction::Down => &mut client.down,
        };
        let fate = shaper.offer_packet(conditions, now, datagram.len() as u64 + OVERHEAD_BYTES);
        let taken = self.flights.take(fate, (direction, key), datagram);
        self.shared.running.came(direction, datagram.len(), fate, taken);
    }

    /// Sends what is due.
    fn deliver(&mut self) {
        while let Some(flight) = self.flights.due(Instant::now()) {
            let (direction, key) = flight.to;
            let sent = match (self.clients.get(&key), direction) {
                (None, Direction::Up | Direction::Down) => false,
                (Some(client), Direction::Up) => client.upstream.send(&flight.bytes, None),
                (Some(client), Direction::Down) => self.listener.send(&flight.bytes, Some(client.address)),
            };
            self.shared.running.left(direction, flight.bytes.len(), sent);
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
