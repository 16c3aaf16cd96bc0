//! Puts packets back into the order of their sequence numbers.
//!
//! Waits for a missing packet (a retransmission may bring it) until [`CAPACITY`] later ones are held, then gives it up
//! as lost. Duplicates and packets that come after they were given up are dropped and counted.

use std::collections::BTreeMap;

/// Packets held while waiting for a missing one. At 8 Mbit/s that is about 60 ms of video. When it is full the wait is
/// over: the missing packets count as lost.
pub const CAPACITY: usize = 64;

/// One stream's packets in order. `T` is whatever belongs to a packet.
#[derive(Debug)]
pub struct Reorder<T> {
    next: Option<u64>,
    held: BTreeMap<u64, T>,
    lost: u64,
    late: u64,
}

impl<T> Default for Reorder<T> {
    fn default() -> Self {
        Self { next: None, held: BTreeMap::new(), lost: 0, late: 0 }
    }
}

impl<T> Reorder<T> {
    /// Packets that never came in time.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Duplicates, and packets that came after they had been given up.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.late
    }

    /// A packet came; gives every packet that is now in order, oldest first.
    pub fn push(&mut self, sequence: u16, packet: T) -> Vec<T> {
        // One cycle up, so that packets older than the first one stay above zero.
        let next = *self.next.get_or_insert(u64::from(sequence) + (1 << 16));
        let index = extend(next, sequence);
        if index < next || self.held.contains_key(&index) {
            self.late += 1;
            return Vec::new();
        }
        self.held.insert(index, packet);
        let mut out = Vec::new();
        self.release(&mut out);
        if self.held.len() >= CAPACITY
            && let Some((&first, _)) = self.held.first_key_value()
        {
            self.lost += first - self.next.unwrap_or(first);
            self.next = Some(first);
            self.release(&mut out);
        }
        out
    }

    fn release(&mut self, out: &mut Vec<T>) {
        let Some(mut next) = self.next else { return };
        while let Some(packet) = self.held.remove(&next) {
            out.push(packet);
            next += 1;
        }
        self.next = Some(next);
    }
}

/// The full index nearest to `next` whose low 16 bits are `sequence` (RFC 3711 3.3.1).
fn extend(next: u64, sequence: u16) -> u64 {
    let low = u16::try_from(next & 0xffff).unwrap_or_default();
    let ahead = i64::from(sequence.wrapping_sub(low).cast_signed());
    next.saturating_add_signed(ahead)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(sequences: impl IntoIterator<Item = u16>) -> (Vec<u16>, Reorder<u16>) {
        let mut reorder = Reorder::default();
        let out = sequences.into_iter().flat_map(|s| reorder.push(s, s)).collect();
        (out, reorder)
    }

    #[test]
    fn packets_in_order_pass_at_once_also_over_the_end_of_the_numbers() {
        let (out, reorder) = feed([65534, 65535, 0, 1]);
        assert_eq!(out, [65534, 65535, 0, 1]);
        assert_eq!((reorder.lost(), reorder.late()), (0, 0));
    }

    #[test]
    fn a_late_packet_is_waited_for() {
        let (out, reorder) = feed([1, 3, 4, 2, 5]);
        assert_eq!(out, [1, 2, 3, 4, 5]);
        assert_eq!(reorder.lost(), 0);
    }

    #[test]
    fn a_packet_that_never_comes_is_given_up_when_the_wait_is_full() {
        let (out, reorder) = feed([1].into_iter().chain(4..100));
        assert_eq!(out, [1].into_iter().chain(4..100).collect::<Vec<_>>());
        assert_eq!(reorder.lost(), 2);
    }

    #[test]
    fn duplicates_and_packets_before_the_first_are_dropped() {
        let (out, reorder) = feed([5, 5, 4, 6]);
        assert_eq!(out, [5, 6]);
        assert_eq!(reorder.late(), 2);
    }
}
