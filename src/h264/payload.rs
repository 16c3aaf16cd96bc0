//! The NAL units that an RTP payload carries (RFC 6184), without putting packets together. Pure; any bytes are read.

use super::{NAL_FU_A, NAL_STAP_A, nal_type};

/// A NAL unit, or the beginning of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit<'a> {
    /// Begins with a byte whose low five bits are the kind: the unit's header, or its fragments' one.
    pub bytes: &'a [u8],
    /// All of the unit is here.
    pub whole: bool,
}

impl Unit<'_> {
    pub fn kind(&self) -> u8 {
        nal_type(self.bytes)
    }
}

/// The NAL units that begin in a payload: of a single one, of a STAP-A each, of an FU-A the one whose first fragment it is.
pub fn units(payload: &[u8]) -> impl Iterator<Item = Unit<'_>> {
    let (mut one, mut rest) = (None, &[][..]);
    match (nal_type(payload), payload) {
        (NAL_STAP_A, [_, units @ ..]) => rest = units,
        (NAL_FU_A, [_, fragment @ ..]) => {
            let starts = fragment.first().is_some_and(|header| header & 0x80 != 0);
            one = starts.then_some(Unit { bytes: fragment, whole: false });
        }
        (1..=23, _) => one = Some(Unit { bytes: payload, whole: true }),
        _ => {}
    }
    std::iter::from_fn(move || {
        if let Some(unit) = one.take() {
            return Some(unit);
        }
        loop {
            let [high, low, bytes @ ..] = rest else { return None };
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let whole = length <= bytes.len();
            let (unit, next) = bytes.split_at(length.min(bytes.len()));
            rest = next;
            if !unit.is_empty() {
                return Some(Unit { bytes: unit, whole });
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_are_read_in_every_packetization() {
        let read = |payload: &[u8]| -> Vec<(u8, bool, usize)> {
            units(payload).map(|unit| (unit.kind(), unit.whole, unit.bytes.len())).collect()
        };
        assert_eq!(read(&[0x65, 1, 2]), [(5, true, 3)]);
        assert_eq!(read(&[0x78, 0, 2, 0x67, 1, 0, 0, 0, 1, 0x68]), [(7, true, 2), (8, true, 1)]);
        assert_eq!(read(&[0x78, 0, 9, 0x67, 1]), [(7, false, 2)], "cut short");
        assert_eq!(read(&[0x7c, 0x85, 1]), [(5, false, 2)], "first fragment");
        assert_eq!((read(&[0x7c, 0x45, 1]), read(&[0x7c]), read(&[])), (vec![], vec![], vec![]));
        assert_eq!(read(&[0x79, 0, 1, 0, 2, 0x67, 1]), [], "STAP-B");
    }

    proptest! {
        #[test]
        fn any_payload_is_read(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let total: usize = units(&bytes).map(|unit| unit.bytes.len()).sum();
            prop_assert!(total <= bytes.len());
        }
    }
}
