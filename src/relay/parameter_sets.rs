//! The parameter sets of an H.264 source. Every key frame is made one that a joiner can begin with: where it comes without
//! its sets, as from encoders that send them once, the newest ones are put in front of it.
//!
//! Invariants:
//! - What is kept fits into one packet ([`MAX_PAYLOAD`]). A set of the same kind and number takes the older one's place.
//! - Nothing is put in front of a key frame that brings its sets itself.

use super::split::MAX_PAYLOAD;
use crate::h264::{
    NAL_IDR, NAL_PPS, NAL_SLICE, NAL_SPS, NAL_STAP_A, is_b_slice, nal_type, parameter_set_id, units,
};

/// Sets that are kept; encoders have two.
const SETS: usize = 8;

/// Its `profile_idc` (ITU-T H.264 section A.2.1), with which no slice is bidirectional.
const BASELINE: u8 = 66;

/// What a payload means for those who begin with its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    Nothing,
    /// A key frame with its sets begins.
    Complete,
    /// A key frame without its sets begins: [`ParameterSets::packet`] goes before it.
    Insert,
    /// The same, and there are none: nobody can show it.
    Missing,
    /// A slice of a frame that others are shown before (B-frame).
    BFrame,
}

/// A source's newest sets.
#[derive(Debug, Clone, Default)]
pub(super) struct ParameterSets {
    /// Sequence parameter sets before picture parameter sets, as slices refer to them in this order.
    sets: Vec<Vec<u8>>,
    /// All of them as one STAP-A.
    packet: Vec<u8>,
    /// The frame that came last, and what it has brought.
    frame: Frame,
    /// There is a sequence parameter set, and all are of the baseline profile.
    is_baseline: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Frame {
    timestamp: Option<u32>,
    has_sps: bool,
    has_pps: bool,
    /// Its sets came, or were put in front of it, or are known to be missing.
    is_settled: bool,
}

impl ParameterSets {
    /// Another codec.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// All sets, as the payload of one packet.
    pub(super) fn packet(&self) -> &[u8] {
        &self.packet
    }

    /// The next payload, in the order that the source sent them.
    pub(super) fn payload(&mut self, timestamp: u32, payload: &[u8]) -> Finding {
        if self.frame.timestamp != Some(timestamp) {
            self.frame = Frame { timestamp: Some(timestamp), ..Frame::default() };
        }
        let mut finding = Finding::Nothing;
        for unit in units(payload) {
            match unit.kind() {
                NAL_SPS => {
                    self.frame.has_sps = true;
                    self.keep(unit.bytes, unit.whole);
                }
                NAL_PPS => {
                    self.frame.has_pps = true;
                    self.keep(unit.bytes, unit.whole);
                }
                NAL_IDR if !self.frame.is_settled => {
                    self.frame.is_settled = true;
                    finding = match (self.frame.has_sps && self.frame.has_pps, self.is_complete()) {
                        (true, _) => Finding::Complete,
                        (false, true) => Finding::Insert,
                        (false, false) => Finding::Missing,
                    };
                }
                NAL_SLICE if finding == Finding::Nothing && !self.is_baseline && is_b_slice(unit.bytes) => {
                    finding = Finding::BFrame;
                }
                _ => {}
            }
        }
        finding
    }

    fn is_complete(&self) -> bool {
        let has = |kind| self.sets.iter().any(|set| nal_type(set) == kind);
        has(NAL_SPS) && has(NAL_PPS)
    }

    /// One that is cut into fragments or cannot be read is not kept: its source sends it again with the next key frame, or
    /// is said to send none.
    fn keep(&mut self, set: &[u8], whole: bool) {
        let Some(id) = parameter_set_id(set).filter(|_| whole) else { return };
        if let Some(known) = self.sets.iter_mut().find(|known| parameter_set_id(known) == Some(id)) {
            if known == set {
                return;
            }
            known.clear();
            known.extend_from_slice(set);
        } else if self.sets.len() < SETS {
            self.sets.push(set.to_vec());
        } else {
            return;
        }
        self.sets.sort_by_key(|set| parameter_set_id(set));
        let mut profiles =
            self.sets.iter().filter(|set| nal_type(set) == NAL_SPS).filter_map(|set| set.get(1));
        self.is_baseline = profiles.all(|profile| *profile == BASELINE);
        self.aggregate();
    }

    /// Gives up all sets when they no longer fit.
    fn aggregate(&mut self) {
        self.packet.clear();
        self.packet.push(0x60 | NAL_STAP_A);
        for set in &self.sets {
            self.packet.extend(u16::try_from(set.len()).unwrap_or(u16::MAX).to_be_bytes());
            self.packet.extend_from_slice(set);
        }
        if self.packet.len() > MAX_PAYLOAD {
            self.sets.clear();
            self.packet.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SPS: [u8; 5] = [0x67, 77, 0, 31, 0x80];
    const PPS: [u8; 2] = [0x68, 0x80];
    const IDR: [u8; 3] = [0x65, 0x88, 1];
    const STAP: [u8; 12] = [0x78, 0, 5, 0x67, 77, 0, 31, 0x80, 0, 2, 0x68, 0x80];

    #[test]
    fn a_key_frame_without_sets_is_given_the_newest_once() {
        let mut sets = ParameterSets::default();
        for payload in [&SPS[..], &PPS] {
            assert_eq!(sets.payload(0, payload), Finding::Nothing);
        }
        assert_eq!(sets.payload(0, &IDR), Finding::Complete);
        assert_eq!(sets.payload(0, &IDR), Finding::Nothing, "its second slice");
        assert_eq!(sets.payload(1, &[0x41, 0xe0]), Finding::Nothing);
        assert_eq!(sets.payload(2, &[0x09, 0x10]), Finding::Nothing, "access unit delimiter");
        assert_eq!(sets.payload(2, &[0x7c, 0x85, 0x88]), Finding::Insert);
        assert_eq!(sets.packet(), STAP);
        assert_eq!(sets.payload(2, &IDR), Finding::Nothing, "its second slice");
        assert_eq!(sets.payload(3, &STAP), Finding::Nothing);
        assert_eq!(sets.payload(3, &IDR), Finding::Complete, "brings its own");
        let newer = [0x67, 77, 0, 32, 0x80];
        assert_eq!(sets.payload(4, &newer), Finding::Nothing);
        assert_eq!(sets.payload(5, &IDR), Finding::Insert);
        assert_eq!(sets.packet()[3..8], newer, "in place of the older one");
    }

    #[test]
    fn a_source_that_sends_none_is_found_out() {
        let mut sets = ParameterSets::default();
        assert_eq!(sets.payload(0, &IDR), Finding::Missing);
        assert_eq!(sets.payload(0, &IDR), Finding::Nothing, "once for each key frame");
        assert_eq!(sets.payload(1, &SPS), Finding::Nothing);
        assert_eq!(sets.payload(1, &IDR), Finding::Missing, "half of them");
    }

    #[test]
    fn b_frames_are_found_where_the_profile_has_them() {
        let b_slice = [0x01, 0b1010_0000];
        let mut sets = ParameterSets::default();
        sets.payload(0, &STAP);
        assert_eq!(sets.payload(1, &b_slice), Finding::BFrame);
        assert_eq!(sets.payload(2, &[0x41, 0b1110_0000]), Finding::Nothing, "P slice");
    }

    proptest! {
        #[test]
        fn what_is_kept_fits_one_packet(payloads in prop::collection::vec((any::<u32>(), prop::collection::vec(any::<u8>(), 0..700)), 0..40)) {
            let mut sets = ParameterSets::default();
            for (n, mut payload) in payloads {
                if let Some(first) = payload.first_mut() {
                    *first = [0x67, 0x68, 0x65][n as usize % 3];
                }
                sets.payload(n, &payload);
                prop_assert!(sets.packet().len() <= MAX_PAYLOAD && sets.sets.len() <= SETS);
            }
        }
    }
}
