//! A line between two network devices that give and take IP packets (TUN): UDP, TCP and everything else alike.
//!
//! Both directions have one queue each, shared by all connections, as a real line has. Multicast is not carried: the
//! kernel's own announcements would take the place of a test's packets in the sequence of draws.

use super::course::Course;
use super::flights::Flights;
use super::random::derive;
use super::running::Running;
use super::shape::Shape;
use super::shaper::Shaper;
use super::{Counters, Direction, LinkError};
use rustix::event::{PollFd, PollFlags};
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The largest IP packet.
const PACKET: usize = 65_535;
/// Packets from one device before what is due has its turn again.
const BATCH: usize = 64;
/// The longest wait; nothing depends on it.
const IDLE: Duration = Duration::from_secs(10);

/// How a bridge is started.
#[derive(Debug, Clone)]
pub struct BridgeConfig {
    pub up: Course,
    pub down: Course,
    pub seed: u64,
}

/// A running line between two devices; ends when dropped, with all that is under way.
#[derive(Debug)]
pub struct Bridge {
    running: Arc<Running>,
    thread: Option<JoinHandle<()>>,
}

impl Bridge {
    /// Starts the thread that carries packets of the `far` device up to the `near` one, and of the `near` one down. Each
    /// read of a device gives one IP packet, each write takes one.
    ///
    /// # Errors
    /// [`LinkError::System`]: a device cannot be made non-blocking, or there is no thread.
    pub fn start<D>(far: D, near: D, config: BridgeConfig) -> Result<Self, LinkError>
    where
        D: AsFd + Send + 'static,
    {
        for device in [&far, &near] {
            rustix::io::ioctl_fionbio(device, true).map_err(io::Error::from)?;
        }
        let running = Arc::new(Running::new(config.up, config.down)?);
        let worker = Worker {
            devices: [far, near],
            shapers: [1, 2].map(|part| Shaper::new(derive(config.seed, part))),
            flights: Flights::new(),
            running: Arc::clone(&running),
        };
        let thread = std::thread::Builder::new().name("bridge".to_owned()).spawn(move || worker.run())?;
        Ok(Self { running, thread: Some(thread) })
    }

    /// Changes a direction. Packets under way keep the times they have been given.
    pub fn set(&self, direction: Direction, course: impl Into<Course>) {
        self.running.set(direction, course.into());
    }

    /// Both directions lose everything for so long.
    pub fn outage(&self, lasts: Duration) {
        for direction in Direction::BOTH {
            self.running.outage(direction, lasts);
        }
    }

    /// The shape at this moment.
    pub fn shape(&self, direction: Direction) -> Shape {
        self.running.shape(direction)
    }

    /// In IP packets and their bytes.
    pub fn counters(&self, direction: Direction) -> Counters {
        self.running.counters(direction)
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.running.stop();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing left to end.
            let _ = thread.join();
        }
    }
}

struct Worker<D> {
    /// By the direction of the packets that are read from it: the far one, the near one.
    devices: [D; 2],
    shapers: [Shaper; 2],
    flights: Flights<Direction>,
    running: Arc<Running>,
}

impl<D: AsFd> Worker<D> {
    fn run(mut self) {
        let mut buffer = vec![0; PACKET];
        loop {
            self.deliver();
            let now = Instant::now();
            let until = self.flights.next_due().unwrap_or(now + IDLE).min(now + IDLE);
            let sources = self.devices.iter().map(|device| PollFd::new(device, PollFlags::IN)).collect();
            let Some(ready) = self.running.wait(sources, until) else { return };
            for direction in Direction::BOTH {
                if ready.contains(&(direction as usize)) {
                    self.take(direction, &mut buffer);
                }
            }
        }
    }

    /// Takes what a device has.
    fn take(&mut self, direction: Direction, buffer: &mut [u8]) {
        for _ in 0..BATCH {
            // An error is an empty device, or one that is not up yet.
            let Ok(len) = rustix::io::read(&self.devices[direction as usize], &mut *buffer) else { return };
            let packet = &buffer[..len];
            if !is_unicast(packet) {
                continue;
            }
            let now = Instant::now();
            let conditions = self.running.conditions(direction, now);
            let fate = self.shapers[direction as usize].offer_packet(&conditions, now, len as u64);
            let taken = self.flights.take(fate, direction, packet);
            self.running.came(direction, len, fate, taken);
        }
    }

    /// Writes what is due.
    fn deliver(&mut self) {
        while let Some(flight) = self.flights.due(Instant::now()) {
            let device = &self.devices[flight.to.opposite() as usize];
            let sent = rustix::io::write(device, &flight.bytes).is_ok();
            self.running.left(flight.to, flight.bytes.len(), sent);
        }
    }
}

/// Whether it is an IP packet to one host.
fn is_unicast(packet: &[u8]) -> bool {
    match packet.first().map(|first| first >> 4) {
        Some(4) => packet.get(16).is_some_and(|first| !(224..=239).contains(first)),
        Some(6) => packet.get(24).is_some_and(|first| *first != 0xff),
        Some(_) | None => false,
    }
}
