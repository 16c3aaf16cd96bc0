//! Where a joiner may start: at the newest key frame, while the packets since then are few enough to catch up.
//!
//! The packets themselves lie in the ring; this holds only where the group begins. Past its limits the group is given
//! up, and the key frame that the next joiner asks for starts another.
//!
//! Packets may come late. One that shows a key frame to be one starts the group where that frame begins, even when later
//! frames are already here; one that belongs before the key frame's first packet moves the start back.

use super::ring::{Ring, VIDEO};

const MAX_FRAMES: u32 = 120;
const MAX_BYTES: usize = 1 << 20;
/// So that the ring still holds a group while it is sent.
const MAX_PACKETS: u64 = VIDEO as u64 - 512;

/// The running group of pictures.
#[derive(Debug, Default)]
pub(super) struct Group {
    start: Option<u64>,
    frames: u32,
    bytes: usize,
    /// The newest key frame, whether its group was given up or not.
    key_frame: Option<KeyFrame>,
    /// Index and timestamp of the newest packet.
    newest: Option<(u64, u32)>,
}

#[derive(Debug, Clone, Copy)]
struct KeyFrame {
    timestamp: u32,
    first: u64,
}

impl Group {
    /// Takes in a packet that has just been put into the ring; `key`: it shows its frame to be a key frame. Gives the
    /// index at which that frame begins, once for each key frame.
    ///
    /// That may be before this packet: an access unit delimiter or SEI goes ahead of the SPS.
    pub(super) fn packet(&mut self, ring: &Ring, index: u64, key: bool) -> Option<u64> {
        let packet = ring.get(index)?;
        let timestamp = packet.timestamp;
        if let Some(known) = &mut self.key_frame
            && known.timestamp == timestamp
            && index < known.first
        {
            known.first = index;
            self.start = self.start.map(|_| index);
        }
        let begins =
            key && self.key_frame.is_none_or(|known| known.timestamp != timestamp && index > known.first);
        let is_newest = self.newest.is_none_or(|(newest, _)| index > newest);
        if is_newest {
            self.frames += u32::from(self.newest.is_none_or(|(_, newest)| newest != timestamp));
            self.newest = Some((index, timestamp));
        }
        if begins {
            let first = ring.frame_start(index);
            let newest = self.newest.map_or(index, |(newest, _)| newest);
            let since = (first..=newest).filter_map(|index| ring.get(index));
            self.bytes = since.map(|packet| packet.payload.len()).sum();
            self.frames = 1;
            self.start = Some(first);
            self.key_frame = Some(KeyFrame { timestamp, first });
            return Some(first);
        }
        self.bytes += packet.payload.len();
        let long = self.start.is_some_and(|start| index.saturating_sub(start) >= MAX_PACKETS);
        if self.frames > MAX_FRAMES || self.bytes > MAX_BYTES || long {
            self.start = None;
        }
        None
    }

    /// The index of the key frame a joiner starts with.
    pub(super) fn start(&self) -> Option<u64> {
        self.start
    }

    /// The source began anew, or its codec changed: what went before decodes with nothing that follows.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Source {
        ring: Ring,
        group: Group,
    }

    impl Source {
        fn new() -> Self {
            Self { ring: Ring::new(VIDEO), group: Group::default() }
        }

        fn packet(&mut self, index: u64, timestamp: u32, len: usize, key: bool) -> Option<u64> {
            self.ring.insert(index, timestamp, false, &vec![0; len]);
            self.group.packet(&self.ring, index, key)
        }
    }

    #[test]
    fn a_group_starts_with_the_first_packet_of_the_key_frame() {
        let mut source = Source::new();
        assert_eq!(source.packet(9, 1, 10, false), None);
        assert_eq!(source.packet(10, 2, 10, false), None, "access unit delimiter");
        assert_eq!(source.packet(11, 2, 10, true), Some(10), "SPS");
        assert_eq!(source.packet(12, 2, 10, true), None, "IDR of the same frame");
        assert_eq!(source.packet(13, 3, 10, false), None);
        assert_eq!(source.group.start(), Some(10));
        assert_eq!(source.packet(14, 4, 10, true), Some(14));
    }

    #[test]
    fn a_late_first_packet_moves_the_start_back() {
        let mut source = Source::new();
        source.packet(9, 1, 10, false);
        assert_eq!(source.packet(12, 2, 10, true), Some(12), "IDR, its SPS and PPS are late");
        assert_eq!(source.packet(13, 3, 10, false), None);
        assert_eq!(source.packet(11, 2, 10, false), None, "PPS");
        assert_eq!(source.packet(10, 2, 10, true), None, "SPS: the key frame is known");
        assert_eq!(source.group.start(), Some(10));
    }

    #[test]
    fn a_key_frame_whose_first_packet_is_late_is_still_one() {
        let mut source = Source::new();
        source.packet(9, 1, 10, false);
        assert_eq!(source.packet(11, 2, 10, false), None, "the rest of a VP8 key frame says nothing");
        assert_eq!(source.packet(12, 3, 10, false), None);
        assert_eq!(source.packet(10, 2, 10, true), Some(10));
        assert_eq!(source.packet(13, 4, 10, true), Some(13));
        assert_eq!(source.packet(8, 0, 10, true), None, "an older one is of no use");
        assert_eq!(source.group.start(), Some(13));
    }

    #[test]
    fn a_group_past_its_limits_is_given_up_until_the_next_key_frame() {
        let mut frames = Source::new();
        frames.packet(1, 0, 10, true);
        for n in 1..=120u32 {
            assert!(frames.group.start().is_some());
            frames.packet(u64::from(n) + 1, n, 10, false);
        }
        assert_eq!(frames.group.start(), None);
        assert_eq!(frames.packet(500, 500, 10, true), Some(500));

        let mut bytes = Source::new();
        bytes.packet(1, 0, 10, true);
        bytes.packet(2, 1, MAX_BYTES, false);
        assert_eq!(bytes.group.start(), None);
    }

    proptest! {
        #[test]
        fn a_group_always_begins_within_reach_of_the_ring(frames in proptest::collection::vec((1u8..40, any::<bool>()), 1..300)) {
            let mut source = Source::new();
            let mut index = 1;
            for (n, (packets, key)) in frames.into_iter().enumerate() {
                for part in 0..packets {
                    source.packet(index, n as u32, 100, key && part == 0);
                    index += 1;
                }
                if let Some(start) = source.group.start() {
                    prop_assert!(index - start <= MAX_PACKETS + 1);
                }
            }
        }
    }
}
