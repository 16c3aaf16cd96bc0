//! VP8 (RFC 7741) and VP9 (RFC 9628) in packets: a descriptor before equal parts of the frame.
//!
//! Every frame has a picture id and refers to the one before, which holds for all that the runner sends: no layers, no frame
//! left out. VP9 is in its flexible mode, which says that without the layer indices of the other.

use super::super::rtp::{HEADER, MAX_PACKET, Packets};
use super::pieces;

/// RFC 7741 section 4.2: descriptor and 15 bits of picture id.
const VP8_DESCRIPTOR: usize = 4;
/// RFC 9628 section 4.2: the same, and the distance to the frame that this one refers to.
const VP9_DESCRIPTOR: usize = 4;

/// Picture ids are of 15 bits.
#[derive(Debug, Clone, Copy)]
pub(super) struct PictureId(u16);

impl PictureId {
    pub(super) fn new(first: u16) -> Self {
        Self(first & 0x7FFF)
    }

    /// This frame's, in the long form.
    fn next(&mut self) -> [u8; 2] {
        let bytes = (self.0 | 0x8000).to_be_bytes();
        self.0 = self.0.wrapping_add(1) & 0x7FFF;
        bytes
    }
}

pub(super) fn vp8(
    packets: &mut Packets,
    id: &mut PictureId,
    frame: &[u8],
    timestamp: u32,
    mut emit: impl FnMut(&[u8]),
) {
    let [high, low] = id.next();
    for piece in pieces(frame, MAX_PACKET - HEADER - VP8_DESCRIPTOR) {
        // X, and S where the frame begins; then I.
        let start = 0x80 | if piece.first { 0x10 } else { 0 };
        packets.packet(timestamp, piece.last, &[&[start, 0x80, high, low], piece.bytes], &mut emit);
    }
}

pub(super) fn vp9(
    packets: &mut Packets,
    id: &mut PictureId,
    key: bool,
    frame: &[u8],
    timestamp: u32,
    mut emit: impl FnMut(&[u8]),
) {
    let [high, low] = id.next();
    for piece in pieces(frame, MAX_PACKET - HEADER - VP9_DESCRIPTOR) {
        // I and F, then P (predicted from another frame), B (begins) and E (ends).
        let flags = 0x90
            | if key { 0 } else { 0x40 }
            | if piece.first { 0x08 } else { 0 }
            | if piece.last { 0x04 } else { 0 };
        // The frame before, and no other.
        let descriptor = [flags, high, low, 1 << 1];
        let descriptor = if key { &descriptor[..3] } else { &descriptor[..] };
        packets.packet(timestamp, piece.last, &[descriptor, piece.bytes], &mut emit);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{packets_of, payload};
    use super::*;
    use proptest::prelude::*;
    use rtc::rtp::codec::vp8::Vp8Packet;
    use rtc::rtp::codec::vp9::Vp9Packet;
    use rtc::rtp::packetizer::Depacketizer;

    proptest! {
        #[test]
        fn vp8_comes_out_again_in_packets_of_equal_size(frame in prop::collection::vec(any::<u8>(), 1..9000), first: u16) {
            let mut id = PictureId::new(first);
            let sent = packets_of(|packets, emit| vp8(packets, &mut id, &frame, 5, emit));
            let mut all = Vec::new();
            for (index, packet) in sent.iter().enumerate() {
                let mut descriptor = Vp8Packet::default();
                all.extend_from_slice(&descriptor.depacketize(&payload(packet)).expect("a descriptor"));
                prop_assert_eq!((descriptor.s == 1, descriptor.pid), (index == 0, 0));
                prop_assert_eq!(descriptor.picture_id, first & 0x7FFF);
            }
            prop_assert_eq!(all, frame);
        }

        #[test]
        fn vp9_comes_out_again_in_packets_of_equal_size(frame in prop::collection::vec(any::<u8>(), 1..9000), key: bool) {
            let mut id = PictureId::new(7);
            let sent = packets_of(|packets, emit| vp9(packets, &mut id, key, &frame, 5, emit));
            let mut all = Vec::new();
            for (index, packet) in sent.iter().enumerate() {
                let mut descriptor = Vp9Packet::default();
                all.extend_from_slice(&descriptor.depacketize(&payload(packet)).expect("a descriptor"));
                prop_assert!(descriptor.i && descriptor.f && !descriptor.l && !descriptor.v);
                prop_assert_eq!(descriptor.p, !key);
                prop_assert_eq!((descriptor.b, descriptor.e), (index == 0, index + 1 == sent.len()));
                prop_assert_eq!(&descriptor.pdiff[..], if key { &[][..] } else { &[1][..] });
                prop_assert_eq!(descriptor.picture_id, 7);
            }
            prop_assert_eq!(all, frame);
        }
    }

    #[test]
    fn picture_ids_follow_each_other_and_wrap() {
        let mut id = PictureId::new(0x7FFF);
        assert_eq!((id.next(), id.next()), ([0xFF, 0xFF], [0x80, 0x00]));
    }
}
