//! Emulated lines between players and a gateway, for tests and load runs, never in production: random and burst loss,
//! delay, jitter, a rate or a delivery trace with a bounded queue, reordering, duplication, timed steps and outages. Each
//! direction is its own and can be changed while it runs.
//!
//! There are two drivers over one pure model. A [`Proxy`] is a UDP proxy and needs no privilege: it listens where players
//! are told that the relay is, and gives each an upstream socket and a line of its own. A [`Bridge`] carries the IP packets
//! of two TUN devices, TCP included; all connections share its line. `shape`, `trace` and `course` say what a line is
//! like; `shaper` decides a packet's fate without a clock, a socket or any randomness but a seed; `flights` holds the
//! packets under way.
//!
//! Invariants: the same seed gives the nth packet the same draws, whatever the clock says; packets under way are bounded
//! in number and bytes; order is kept unless reordering was asked for.

mod bridge;
mod course;
mod driver;
mod endpoint;
mod flights;
mod random;
mod running;
mod shape;
mod shaper;
mod trace;

pub use bridge::{Bridge, BridgeConfig};
pub use course::{Conditions, Course, Lane};
pub use shape::{Jitter, Loss, Queue, Rate, Reorder, Shape};
pub use shaper::{Fate, OVERHEAD_BYTES, Shaper};
pub use trace::{OPPORTUNITY_BYTES, Trace, TraceError};

use driver::Shared;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Which way a packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the player to the relay.
    Up = 0,
    /// From the relay to the player.
    Down = 1,
}

impl Direction {
    pub const BOTH: [Self; 2] = [Self::Up, Self::Down];

    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            Self::Up => Self::Down,
            Self::Down => Self::Up,
        }
    }
}

/// How a proxy is started.
#[derive(Debug, Clone)]
pub struct ProxyConfig {
    /// Where players send. On one machine with the relay this is another loopback address with the relay's port:
    /// `127.0.0.2:PORT` before `127.0.0.1:PORT`, since a candidate has the relay's port number.
    pub listen: SocketAddr,
    /// The relay.
    pub to: SocketAddr,
    pub up: Shape,
    pub down: Shape,
    pub seed: u64,
    /// A client that has sent nothing for so long is forgotten; the next packet makes it a new one.
    pub idle: Duration,
}

impl ProxyConfig {
    /// A clear line between two addresses.
    pub fn new(listen: SocketAddr, to: SocketAddr) -> Self {
        Self { listen, to, up: Shape::CLEAR, down: Shape::CLEAR, seed: 1, idle: Duration::from_secs(60) }
    }
}

/// What has happened to the packets of one direction, over all clients. Bytes are UDP payload of a [`Proxy`], IP packets of a
/// [`Bridge`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Packets that came in, and their bytes.
    pub packets: u64,
    pub bytes: u64,
    /// Sent on, copies included, and their bytes.
    pub delivered: u64,
    pub delivered_bytes: u64,
    /// Lost on the line.
    pub lost: u64,
    /// Found the queue before the line full.
    pub overflow: u64,
    /// Copies made.
    pub duplicated: u64,
    /// Given a time out of order: held back, or let past one before it.
    pub reordered: u64,
    /// Under way now.
    pub queued: u64,
    /// Dropped by the emulator itself and by no shape: too much under way, or a socket was full. A test whose line has
    /// any of these has measured the emulator.
    pub dropped: u64,
}

impl Counters {
    /// Counts what became of a packet that came in.
    pub fn record(&mut self, bytes: usize, fate: Fate) {
        self.packets += 1;
        self.bytes += bytes as u64;
        match fate {
            Fate::Lost => self.lost += 1,
            Fate::Overflow => self.overflow += 1,
            Fate::Delivered { again, reordered, .. } => {
                self.duplicated += u64::from(again.is_some());
                self.reordered += u64::from(reordered);
            }
        }
    }
}

/// Why there is no proxy.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error("cannot listen at {address}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("the system gives the proxy no thread or event")]
    System(#[from] io::Error),
}

/// A running UDP proxy; ends when dropped, with all that is under way.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Binds the players' side and starts the thread.
    ///
    /// # Errors
    /// [`LinkError::Listen`] when the address is taken or not this machine's; [`LinkError::System`].
    pub fn start(config: ProxyConfig) -> Result<Self, LinkError> {
        let (address, shared, thread) = driver::start(config)?;
        Ok(Self { address, shared, thread: Some(thread) })
    }

    /// Where players send.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes a direction. Packets under way keep the times they have been given.
    pub fn set(&self, direction: Direction, course: impl Into<Course>) {
        self.shared.running.set(direction, course.into());
    }

    /// Both directions lose everything for so long.
    pub fn outage(&self, lasts: Duration) {
        for direction in Direction::BOTH {
            self.shared.running.outage(direction, lasts);
        }
    }

    /// The shape at this moment.
    pub fn shape(&self, direction: Direction) -> Shape {
        self.shared.running.shape(direction)
    }

    pub fn counters(&self, direction: Direction) -> Counters {
        self.shared.running.counters(direction)
    }

    /// Clients known now.
    pub fn clients(&self) -> usize {
        self.shared.clients()
    }

    /// Packets of clients that were one too many.
    pub fn refused(&self) -> u64 {
        self.shared.refused()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.running.stop();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing left to end.
            let _ = thread.join();
        }
    }
}
