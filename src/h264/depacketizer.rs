//! RTP to H.264 access units (RFC 6184): single NAL unit packets, STAP-A and FU-A.
//!
//! Takes packets in order of their sequence numbers (see [`super::Reorder`]) and gives Annex B access units. Nothing
//! from the network can make it panic or keep more than [`MAX_UNIT_BYTES`]; a unit with a hole is never given out.

use super::{NAL_FU_A, NAL_IDR, NAL_SLICE, NAL_STAP_A};

/// Largest access unit kept, in bytes; a larger one is dropped and counted as damaged.
pub const MAX_UNIT_BYTES: usize = 4 * 1024 * 1024;

const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// One coded picture with its parameter sets, in Annex B form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessUnit {
    pub data: Vec<u8>,
    /// RTP timestamp, 90 kHz.
    pub timestamp: u32,
    /// Holds an IDR picture: decoding can start here.
    pub key: bool,
}

/// What one packet brought.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pushed {
    /// Complete units, oldest first: two when a unit without a marker bit is ended by one of a single packet.
    pub units: Vec<AccessUnit>,
    /// A unit was dropped because a packet of it is missing or malformed: what follows cannot be decoded rightly
    /// before the next key frame.
    pub damaged: bool,
}

/// Puts packets together. One per RTP stream.
#[derive(Debug, Default)]
pub struct Depacketizer {
    next_sequence: Option<u16>,
    timestamp: u32,
    unit: Vec<u8>,
    /// Where the NAL unit being put together from fragments starts in `unit`.
    fragment: Option<usize>,
    key: bool,
    picture: bool,
    damaged: bool,
    malformed: u64,
}

impl Depacketizer {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Packets that were no valid payload of RFC 6184.
    #[must_use]
    pub fn malformed(&self) -> u64 {
        self.malformed
    }

    /// The next packet, in order; a gap in `sequence` is a loss.
    pub fn push(&mut self, sequence: u16, timestamp: u32, marker: bool, payload: &[u8]) -> Pushed {
        let mut pushed = Pushed::default();
        let first = self.next_sequence.is_none();
        let gap = self.next_sequence.is_some_and(|next| next != sequence);
        self.next_sequence = Some(sequence.wrapping_add(1));
        if gap {
            // The lost packets may have ended this unit or begun the next one: neither can be trusted.
            self.damaged = true;
        }
        if !first && timestamp != self.timestamp {
            self.finish(&mut pushed);
            self.damaged = gap;
        }
        self.timestamp = timestamp;
        // An empty payload is padding (RFC 3550 5.1): it says nothing about the picture.
        if !payload.is_empty() && !self.accept(payload) {
            self.malformed += 1;
            self.damaged = true;
        }
        if marker {
            self.finish(&mut pushed);
        }
        pushed
    }

    fn finish(&mut self, pushed: &mut Pushed) {
        let data = std::mem::take(&mut self.unit);
        let whole = self.fragment.is_none() && !self.damaged;
        if whole && self.picture {
            pushed.units.push(AccessUnit { data, timestamp: self.timestamp, key: self.key });
        } else if !whole {
            pushed.damaged = true;
        }
        self.fragment = None;
        self.key = false;
        self.picture = false;
        self.damaged = false;
    }

    /// False when the payload is malformed or the unit too large.
    fn accept(&mut self, payload: &[u8]) -> bool {
        match payload[0] & 0x1f {
            1..=23 => self.fragment.is_none() && self.append(payload),
            NAL_STAP_A => self.fragment.is_none() && self.append_aggregate(&payload[1..]),
            NAL_FU_A => self.append_fragment(payload),
            _ => false,
        }
    }

    fn append(&mut self, nal: &[u8]) -> bool {
        if nal.is_empty() || self.unit.len() + START_CODE.len() + nal.len() > MAX_UNIT_BYTES {
            return false;
        }
        self.note(nal[0] & 0x1f);
        self.unit.extend_from_slice(&START_CODE);
        self.unit.extend_from_slice(nal);
        true
    }

    fn append_aggregate(&mut self, mut rest: &[u8]) -> bool {
        while let [high, low, tail @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            if length > tail.len() || !self.append(&tail[..length]) {
                return false;
            }
            rest = &tail[length..];
        }
        rest.is_empty()
    }

    fn append_fragment(&mut self, payload: &[u8]) -> bool {
        let &[indicator, header, ref body @ ..] = payload else { return false };
        let (start, end) = (header & 0x80 != 0, header & 0x40 != 0);
        if start == self.fragment.is_some() || self.unit.len() + body.len() + 5 > MAX_UNIT_BYTES {
            return false;
        }
        if start {
            self.fragment = Some(self.unit.len());
            self.note(header & 0x1f);
            self.unit.extend_from_slice(&START_CODE);
            self.unit.push((indicator & 0xe0) | (header & 0x1f));
        }
        self.unit.extend_from_slice(body);
        if end {
            self.fragment = None;
        }
        true
    }

    fn note(&mut self, nal_type: u8) {
        self.key |= nal_type == NAL_IDR;
        self.picture |= (NAL_SLICE..=NAL_IDR).contains(&nal_type);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn annex_b(nals: &[&[u8]]) -> Vec<u8> {
        nals.iter().flat_map(|nal| START_CODE.iter().chain(nal.iter()).copied()).collect()
    }

    #[test]
    fn a_single_nal_unit_packet_with_the_marker_is_a_picture() {
        let pushed = Depacketizer::new().push(7, 3000, true, &[0x41, 1, 2, 3]);
        let unit = AccessUnit { data: annex_b(&[&[0x41, 1, 2, 3]]), timestamp: 3000, key: false };
        assert_eq!(pushed, Pushed { units: vec![unit], damaged: false });
    }

    #[test]
    fn parameter_sets_in_an_aggregate_belong_to_the_key_frame_that_follows() {
        let mut depacketizer = Depacketizer::new();
        let aggregate = [0x78, 0, 3, 0x67, 0xaa, 0xbb, 0, 2, 0x68, 0xcc];
        assert_eq!(depacketizer.push(1, 0, false, &aggregate), Pushed::default());
        let pushed = depacketizer.push(2, 0, true, &[0x65, 9, 9]);
        let data = annex_b(&[&[0x67, 0xaa, 0xbb], &[0x68, 0xcc], &[0x65, 9, 9]]);
        assert_eq!(pushed.units, vec![AccessUnit { data, timestamp: 0, key: true }]);
    }

    #[test]
    fn fragments_become_the_nal_unit_they_were_cut_from() {
        let mut depacketizer = Depacketizer::new();
        depacketizer.push(65535, 90, false, &[0x7c, 0x85, 1, 2]);
        depacketizer.push(0, 90, false, &[0x7c, 0x05, 3]);
        let pushed = depacketizer.push(1, 90, true, &[0x7c, 0x45, 4]);
        assert_eq!(
            pushed.units,
            vec![AccessUnit { data: annex_b(&[&[0x65, 1, 2, 3, 4]]), timestamp: 90, key: true }]
        );
    }

    #[test]
    fn a_new_timestamp_ends_a_picture_without_a_marker() {
        let mut depacketizer = Depacketizer::new();
        assert!(depacketizer.push(1, 10, false, &[0x41, 1]).units.is_empty());
        let pushed = depacketizer.push(2, 20, true, &[0x41, 2]);
        assert_eq!(pushed.units.iter().map(|unit| unit.data[5]).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(pushed.units.iter().map(|unit| unit.timestamp).collect::<Vec<_>>(), [10, 20]);
    }

    #[test]
    fn a_picture_with_a_hole_is_never_given_out() {
        let mut depacketizer = Depacketizer::new();
        depacketizer.push(1, 10, false, &[0x7c, 0x81, 1]);
        let pushed = depacketizer.push(3, 10, true, &[0x7c, 0x41, 3]);
        assert_eq!(pushed, Pushed { units: vec![], damaged: true });
        assert_eq!(depacketizer.push(4, 20, true, &[0x41, 4]).units.len(), 1, "the next one is whole again");
    }

    #[test]
    fn losing_the_end_of_one_picture_and_the_start_of_the_next_damages_both() {
        let mut depacketizer = Depacketizer::new();
        depacketizer.push(1, 10, false, &[0x41, 1]);
        let pushed = depacketizer.push(4, 20, true, &[0x41, 2]);
        assert_eq!(pushed, Pushed { units: vec![], damaged: true });
    }

    #[test]
    fn padding_changes_nothing() {
        let mut depacketizer = Depacketizer::new();
        depacketizer.push(1, 10, true, &[0x41, 1]);
        assert_eq!(depacketizer.push(2, 10, false, &[]), Pushed::default());
        assert_eq!(depacketizer.push(3, 20, true, &[0x41, 2]).units.len(), 1);
        assert_eq!(depacketizer.malformed(), 0);
    }

    #[test]
    fn an_aggregate_that_lies_about_its_lengths_is_refused() {
        let mut depacketizer = Depacketizer::new();
        let pushed = depacketizer.push(1, 10, true, &[0x78, 0xff, 0xff, 0x67]);
        assert!(pushed.units.is_empty() && pushed.damaged);
        assert_eq!(depacketizer.malformed(), 1);
    }

    #[test]
    fn a_unit_larger_than_the_limit_is_dropped() {
        let mut depacketizer = Depacketizer::new();
        let body = vec![0x41; 60_000];
        let packets = u16::try_from(MAX_UNIT_BYTES / body.len() + 2).unwrap();
        for sequence in 0..packets {
            depacketizer.push(sequence, 10, false, &body);
        }
        assert!(depacketizer.unit.len() <= MAX_UNIT_BYTES);
        let pushed = depacketizer.push(packets, 10, true, &[0x41]);
        assert!(pushed.units.is_empty() && pushed.damaged);
    }

    /// Cuts a NAL unit as RFC 6184 5.8 says.
    fn fragment(nal: &[u8], size: usize) -> Vec<Vec<u8>> {
        if nal.len() <= size {
            return vec![nal.to_vec()];
        }
        let chunks: Vec<&[u8]> = nal[1..].chunks(size.max(1)).collect();
        if chunks.len() < 2 {
            return vec![nal.to_vec()];
        }
        let last = chunks.len() - 1;
        let header =
            |i: usize| (nal[0] & 0x1f) | if i == 0 { 0x80 } else { 0 } | if i == last { 0x40 } else { 0 };
        chunks
            .iter()
            .enumerate()
            .map(|(i, body)| [&[(nal[0] & 0xe0) | NAL_FU_A, header(i)], *body].concat())
            .collect()
    }

    proptest! {
        #[test]
        fn whatever_was_packetised_comes_back(
            nals in prop::collection::vec((prop::sample::select(vec![0x67u8, 0x68, 0x65, 0x41]), prop::collection::vec(any::<u8>(), 1..400)), 1..6),
            size in 2usize..120,
            first in any::<u16>(),
        ) {
            let mut nals: Vec<Vec<u8>> = nals.into_iter().map(|(head, body)| [vec![head], body].concat()).collect();
            nals.push(vec![0x41, 1]);
            let packets: Vec<Vec<u8>> = nals.iter().flat_map(|nal| fragment(nal, size)).collect();
            let mut depacketizer = Depacketizer::new();
            let mut units = Vec::new();
            for (i, packet) in packets.iter().enumerate() {
                let sequence = first.wrapping_add(u16::try_from(i).unwrap());
                units.extend(depacketizer.push(sequence, 5, i + 1 == packets.len(), packet).units);
            }
            let refs: Vec<&[u8]> = nals.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(units.len(), 1);
            prop_assert_eq!(&units[0].data, &annex_b(&refs));
        }

        #[test]
        fn nothing_from_the_network_makes_it_panic(
            packets in prop::collection::vec((any::<u16>(), any::<u32>(), any::<bool>(), prop::collection::vec(any::<u8>(), 0..40)), 0..60),
        ) {
            let mut depacketizer = Depacketizer::new();
            for (sequence, timestamp, marker, payload) in packets {
                depacketizer.push(sequence, timestamp, marker, &payload);
            }
        }
    }
}
