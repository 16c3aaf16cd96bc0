//! Puts an encoded frame into RTP packets as its codec's payload format says.

use super::encoder::Codec;
use super::rtp::Packets;

/// The packets of one frame, in order; the last carries the marker bit.
pub(super) fn packetize(
    codec: Codec,
    packets: &mut Packets,
    frame: &[u8],
    timestamp: u32,
    emit: impl FnMut(&[u8]),
) {
    match codec {
        Codec::H264 => packets.h264(frame, timestamp, emit),
    }
}
