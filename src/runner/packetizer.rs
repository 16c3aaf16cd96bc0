//! Puts encoded frames into RTP packets as their codec's payload format says: at most [`MAX_PACKET`](super::rtp::MAX_PACKET) bytes
//! each, and of equal size within a frame where its bytes can be cut anywhere.

mod av1;
mod vpx;

use super::encoder::Codec;
use super::rtp::Packets;
use vpx::PictureId;

/// Of one outgoing stream.
#[derive(Debug)]
pub(super) struct Packetizer {
    codec: Codec,
    packets: Packets,
    picture_id: PictureId,
}

impl Packetizer {
    pub(super) fn new(codec: Codec, packets: Packets, first_picture_id: u16) -> Self {
        Self { codec, packets, picture_id: PictureId::new(first_picture_id) }
    }

    /// The packets of one frame, in order; the last carries the marker bit.
    pub(super) fn frame(&mut self, frame: &[u8], key: bool, timestamp: u32, emit: impl FnMut(&[u8])) {
        let Self { codec, packets, picture_id } = self;
        match codec {
            Codec::H264 => packets.h264(frame, timestamp, emit),
            Codec::Vp8 => vpx::vp8(packets, picture_id, frame, timestamp, emit),
            Codec::Vp9 => vpx::vp9(packets, picture_id, key, frame, timestamp, emit),
            Codec::Av1 => av1::av1(packets, frame, timestamp, emit),
        }
    }
}

/// A part of a frame.
struct Piece<'a> {
    bytes: &'a [u8],
    first: bool,
    last: bool,
}

/// As few parts of at most `most` bytes as possible, equally large; the last may be shorter by less than their number.
fn pieces(frame: &[u8], most: usize) -> impl Iterator<Item = Piece<'_>> {
    let count = frame.len().div_ceil(most).max(1);
    let size = frame.len().div_ceil(count).max(1);
    let parts = frame.len().div_ceil(size);
    frame.chunks(size).enumerate().map(move |(index, bytes)| Piece {
        bytes,
        first: index == 0,
        last: index + 1 == parts,
    })
}

#[cfg(test)]
mod tests {
    use super::super::rtp::{HEADER, MAX_PACKET};
    use super::*;

    /// The packets that are emitted: of one frame, with rising numbers, within the limit, equally large but the last.
    pub(super) fn packets_of(put: impl FnOnce(&mut Packets, &mut dyn FnMut(&[u8]))) -> Vec<Vec<u8>> {
        let mut sent: Vec<Vec<u8>> = Vec::new();
        put(&mut Packets::new(96, 1, 65_535), &mut |packet| sent.push(packet.to_vec()));
        for (index, packet) in sent.iter().enumerate() {
            assert!(packet.len() <= MAX_PACKET);
            assert_eq!(
                packet[1] & 0x80 != 0,
                index + 1 == sent.len(),
                "the last has the marker, and no other"
            );
        }
        sent
    }

    pub(super) fn payload(packet: &[u8]) -> bytes::Bytes {
        bytes::Bytes::copy_from_slice(&packet[HEADER..])
    }

    #[test]
    fn a_frame_is_cut_into_equal_parts() {
        for (length, sizes) in [(1, vec![1]), (100, vec![100]), (101, vec![51, 50]), (1000, vec![100; 10])] {
            let frame = vec![0; length];
            let parts: Vec<_> =
                pieces(&frame, 100).map(|piece| (piece.bytes.len(), piece.first, piece.last)).collect();
            assert_eq!(parts.iter().map(|part| part.0).collect::<Vec<_>>(), sizes);
            assert!(parts[0].1 && parts[parts.len() - 1].2, "the ends are known");
            assert_eq!(parts.iter().filter(|part| part.1 || part.2).count(), parts.len().min(2));
        }
    }
}
