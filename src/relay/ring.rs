//! The newest packets of a session's video, in plain text, once for all viewers: what joiners start from and what
//! retransmissions are answered from.

use bytes::Bytes;

/// Packets kept. At 60 frames/s of 14 packets these are 2.4 s. The oldest is overwritten.
pub(super) const CAPACITY: usize = 2048;

/// A media packet as it came, with its place in the session's numbering.
#[derive(Debug, Clone)]
pub(super) struct MediaPacket {
    pub(super) index: u64,
    pub(super) timestamp: u32,
    pub(super) marker: bool,
    pub(super) payload: Bytes,
}

/// The ring, by index.
#[derive(Debug)]
pub(super) struct Ring {
    slots: Vec<Option<MediaPacket>>,
}

impl Ring {
    pub(super) fn new() -> Self {
        Self { slots: vec![None; CAPACITY] }
    }

    /// Keeps a packet. False: it was there already, or is too old to be kept.
    pub(super) fn insert(&mut self, packet: MediaPacket) -> bool {
        let slot = self.slot(packet.index);
        let Some(place) = self.slots.get_mut(slot) else { return false };
        if place.as_ref().is_some_and(|kept| kept.index >= packet.index) {
            return false;
        }
        *place = Some(packet);
        true
    }

    pub(super) fn get(&self, index: u64) -> Option<&MediaPacket> {
        self.slots.get(self.slot(index))?.as_ref().filter(|packet| packet.index == index)
    }

    fn slot(&self, index: u64) -> usize {
        usize::try_from(index % CAPACITY as u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(super) fn packet(index: u64) -> MediaPacket {
        MediaPacket { index, timestamp: 0, marker: false, payload: Bytes::new() }
    }

    #[test]
    fn a_repeated_packet_is_told() {
        let mut ring = Ring::new();
        assert!(ring.insert(packet(5)));
        assert!(!ring.insert(packet(5)));
    }

    proptest! {
        #[test]
        fn holds_exactly_the_newest_packets(start in 0u64..1 << 40, count in 1u64..6000) {
            let mut ring = Ring::new();
            for index in start..start + count {
                prop_assert!(ring.insert(packet(index)));
            }
            let kept = count.min(CAPACITY as u64);
            prop_assert!(ring.get(start + count - kept).is_some());
            prop_assert!(ring.get(start + count - 1).is_some());
            prop_assert!(ring.get(start + count).is_none());
            if count > kept {
                prop_assert!(ring.get(start + count - kept - 1).is_none());
            }
        }
    }
}
