//! The newest packets of a session's stream, in plain text, once for all viewers: joiners start from it and
//! retransmissions are taken from it.
//!
//! Invariants:
//! - An index holds one packet for good: what was inserted is never changed, only overwritten by a newer index.

/// Video packets kept. At 60 frames/s of 14 packets these are 2.4 s. The oldest is overwritten.
pub(super) const VIDEO: usize = 2048;
/// Audio packets kept: what one round of a shard may bring, and what redundancy looks back to.
pub(super) const AUDIO: usize = 128;

/// A media packet as it came, with its place in the session's numbering.
#[derive(Debug, Clone, Default)]
pub(super) struct MediaPacket {
    pub(super) index: u64,
    pub(super) timestamp: u32,
    pub(super) marker: bool,
    pub(super) payload: Vec<u8>,
}

/// What the ring knows of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    Here,
    /// It has not come: the packet was lost before the gateway, or is late.
    Missing,
    /// A newer packet is in its place.
    Overwritten,
}

/// The ring, by index. A slot keeps its memory from packet to packet.
#[derive(Debug)]
pub(super) struct Ring {
    /// Index 0 belongs to no packet (`super::source`), so an untouched slot is an empty one.
    slots: Vec<MediaPacket>,
}

impl Ring {
    /// For the newest `capacity` packets.
    pub(super) fn new(capacity: usize) -> Self {
        Self { slots: vec![MediaPacket::default(); capacity] }
    }

    /// Keeps a packet. False: it was there already, or is too old to be kept.
    pub(super) fn insert(&mut self, index: u64, timestamp: u32, marker: bool, payload: &[u8]) -> bool {
        let slot = self.slot(index);
        let Some(place) = self.slots.get_mut(slot) else { return false };
        if place.index >= index {
            return false;
        }
        (place.index, place.timestamp, place.marker) = (index, timestamp, marker);
        place.payload.clear();
        place.payload.extend_from_slice(payload);
        true
    }

    pub(super) fn get(&self, index: u64) -> Option<&MediaPacket> {
        self.slots.get(self.slot(index)).filter(|packet| packet.index == index)
    }

    pub(super) fn find(&self, index: u64) -> Kept {
        match self.slots.get(self.slot(index)) {
            Some(packet) if packet.index == index => Kept::Here,
            Some(packet) if packet.index < index => Kept::Missing,
            Some(_) | None => Kept::Overwritten,
        }
    }

    /// Where the frame of this packet begins: the first of the packets before it, without a gap, that have its timestamp.
    pub(super) fn frame_start(&self, index: u64) -> u64 {
        let Some(timestamp) = self.get(index).map(|packet| packet.timestamp) else { return index };
        let same = |index: &u64| self.get(*index).is_some_and(|packet| packet.timestamp == timestamp);
        (0..index).rev().take_while(same).last().unwrap_or(index)
    }

    /// How many packets directly before this index are missing.
    pub(super) fn missing_before(&self, index: u64) -> u64 {
        let missing = |index: &u64| matches!(self.find(*index), Kept::Missing);
        (0..index).rev().take(self.slots.len()).take_while(missing).count() as u64
    }

    fn slot(&self, index: u64) -> usize {
        usize::try_from(index % self.slots.len().max(1) as u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn insert(ring: &mut Ring, index: u64) -> bool {
        ring.insert(index, 0, false, &[])
    }

    #[test]
    fn a_repeated_packet_is_not_taken() {
        let mut ring = Ring::new(VIDEO);
        assert!(insert(&mut ring, 5));
        assert!(!insert(&mut ring, 5));
    }

    #[test]
    fn missing_and_overwritten_packets_are_told_apart() {
        let mut ring = Ring::new(64);
        for index in [10, 11, 14, 15] {
            insert(&mut ring, index);
        }
        assert!(matches!(ring.find(14), Kept::Here));
        assert!(matches!(ring.find(13), Kept::Missing));
        assert_eq!((ring.missing_before(14), ring.missing_before(15)), (2, 0));
        assert_eq!(ring.frame_start(11), 10, "all have one timestamp");
        assert_eq!(ring.frame_start(15), 14, "not over the gap");
        insert(&mut ring, 13 + 64);
        assert!(matches!(ring.find(13), Kept::Overwritten));
    }

    proptest! {
        #[test]
        fn holds_exactly_the_newest_packets(start in 1u64..1 << 40, count in 1u64..6000) {
            let mut ring = Ring::new(VIDEO);
            for index in start..start + count {
                prop_assert!(insert(&mut ring, index));
            }
            let kept = count.min(VIDEO as u64);
            prop_assert!(ring.get(start + count - kept).is_some());
            prop_assert!(ring.get(start + count - 1).is_some());
            prop_assert!(ring.get(start + count).is_none());
            if count > kept {
                prop_assert!(ring.get(start + count - kept - 1).is_none());
            }
        }
    }
}
