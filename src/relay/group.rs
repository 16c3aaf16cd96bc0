//! Where a joiner may start: the packets since the last key frame, while they are few enough to catch up.
//!
//! The packets themselves lie in the ring; this holds only where the group begins. Past its limits the group is given
//! up, and the next joiner's key frame starts another.

use super::ring::VIDEO;

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
    frame: Option<Frame>,
}

/// The frame that is arriving.
#[derive(Debug, Clone, Copy)]
struct Frame {
    timestamp: u32,
    first: u64,
    key: bool,
}

impl Group {
    /// Takes a packet in; gives the index at which a key frame starts when this packet shows it to be one.
    ///
    /// That may be before this packet: an access unit delimiter or SEI goes ahead of the SPS.
    pub(super) fn packet(&mut self, index: u64, timestamp: u32, len: usize, key: bool) -> Option<u64> {
        let frame = match self.frame {
            Some(frame) if frame.timestamp == timestamp => Frame { first: frame.first.min(index), ..frame },
            Some(frame) if index < frame.first => {
                // A late packet of an older frame.
                self.bytes += len;
                return None;
            }
            Some(_) | None => {
                self.frames += 1;
                Frame { timestamp, first: index, key: false }
            }
        };
        let begins = key && !frame.key;
        self.frame = Some(Frame { key: frame.key || key, ..frame });
        if begins {
            *self = Self { start: Some(frame.first), frames: 1, bytes: len, frame: self.frame };
            return Some(frame.first);
        }
        self.bytes += len;
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

    #[test]
    fn a_group_starts_with_the_first_packet_of_the_key_frame() {
        let mut group = Group::default();
        assert_eq!(group.packet(9, 1, 10, false), None);
        assert_eq!(group.packet(10, 2, 10, false), None, "access unit delimiter");
        assert_eq!(group.packet(11, 2, 10, true), Some(10), "SPS");
        assert_eq!(group.packet(12, 2, 10, true), None, "IDR of the same frame");
        assert_eq!(group.packet(13, 3, 10, false), None);
        assert_eq!(group.start(), Some(10));
        assert_eq!(group.packet(14, 4, 10, true), Some(14));
    }

    #[test]
    fn a_group_past_its_limits_is_given_up_until_the_next_key_frame() {
        let mut frames = Group::default();
        frames.packet(0, 0, 10, true);
        for n in 1..=120u32 {
            assert!(frames.start().is_some());
            frames.packet(u64::from(n), n, 10, false);
        }
        assert_eq!(frames.start(), None);
        assert_eq!(frames.packet(500, 500, 10, true), Some(500));

        let mut bytes = Group::default();
        bytes.packet(0, 0, 10, true);
        bytes.packet(1, 1, MAX_BYTES, false);
        assert_eq!(bytes.start(), None);
    }

    proptest! {
        #[test]
        fn a_group_always_begins_within_reach_of_the_ring(frames in proptest::collection::vec((1u8..40, any::<bool>()), 1..300)) {
            let mut group = Group::default();
            let mut index = 0;
            for (n, (packets, key)) in frames.into_iter().enumerate() {
                for part in 0..packets {
                    group.packet(index, n as u32, 1000, key && part == 0);
                    index += 1;
                }
                if let Some(start) = group.start() {
                    prop_assert!(index - start <= MAX_PACKETS + 1);
                }
            }
        }
    }
}
