//! Packets under way, by the time they are due. Bounded in number and bytes: what comes above is dropped, and the caller
//! counts it.

use super::shaper::Fate;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Instant;

const MAX_FLIGHTS: usize = 65_536;
const MAX_BYTES: usize = 64 << 20;

/// A packet under way, and where to.
#[derive(Debug)]
pub(super) struct Flight<T> {
    due: Instant,
    /// Those due at the same time go in the order they came.
    order: u64,
    pub(super) to: T,
    pub(super) bytes: Arc<[u8]>,
}

impl<T> PartialEq for Flight<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Flight<T> {}

impl<T> PartialOrd for Flight<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Flight<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.due, self.order).cmp(&(other.due, other.order))
    }
}

#[derive(Debug)]
pub(super) struct Flights<T> {
    heap: BinaryHeap<Reverse<Flight<T>>>,
    bytes: usize,
    number: u64,
}

/// What became of a packet and its copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Taken {
    pub(super) queued: u64,
    pub(super) dropped: u64,
}

impl<T: Copy> Flights<T> {
    pub(super) fn new() -> Self {
        Self { heap: BinaryHeap::new(), bytes: 0, number: 0 }
    }

    /// Takes what a fate lets through.
    pub(super) fn take(&mut self, fate: Fate, to: T, packet: &[u8]) -> Taken {
        let Fate::Delivered { at, again, .. } = fate else { return Taken::default() };
        let bytes = Arc::<[u8]>::from(packet);
        let mut taken = Taken::default();
        for due in [Some(at), again].into_iter().flatten() {
            if self.heap.len() >= MAX_FLIGHTS || self.bytes + bytes.len() > MAX_BYTES {
                taken.dropped += 1;
                continue;
            }
            taken.queued += 1;
            self.bytes += bytes.len();
            self.number += 1;
            self.heap.push(Reverse(Flight { due, order: self.number, to, bytes: Arc::clone(&bytes) }));
        }
        taken
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(flight)| flight.due)
    }

    /// The next packet that is due.
    pub(super) fn due(&mut self, now: Instant) -> Option<Flight<T>> {
        self.next_due().filter(|due| *due <= now)?;
        let Reverse(flight) = self.heap.pop()?;
        self.bytes -= flight.bytes.len();
        Some(flight)
    }
}
