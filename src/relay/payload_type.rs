//! What a source sends under another payload type than was agreed: taken for its media where that is beyond doubt, counted
//! and named where it is not.
//!
//! Beyond doubt is, of video, a key frame's beginning as only this codec has it, and of Opus a run of packets whose
//! timestamps are as far apart as they say they are long. Only of a source of which nothing else comes.

use super::Codec;
use super::keyframe::{starts_key_frame, vp8_descriptor};
use super::rtp::Rtp;
use super::split::vp9_descriptor;
use crate::h264::{NAL_SPS, SpsFacts, units};

/// Types that are given out by agreement (RFC 3551 section 3, RFC 5761 section 4).
const DYNAMIC: [std::ops::RangeInclusive<u8>; 2] = [35..=63, 96..=127];
/// Packets after which the type is named.
const NAMED_AFTER: u32 = 50;
/// Packets of Opus in a row that prove it.
const OPUS_RUN: u32 = 8;
/// Pictures that encoders make.
const SIDE: std::ops::RangeInclusive<u32> = 16..=16_384;

/// What came under other types since the last packet of the agreed one.
#[derive(Debug, Default)]
pub(super) struct OtherType {
    packets: u32,
    /// Of Opus: the last packet's type, sequence number and the timestamp after it, and how many followed each other.
    opus: Option<(u8, u16, u32)>,
    run: u32,
}

impl OtherType {
    /// A packet of the source's type came. True: others came before it.
    pub(super) fn clear(&mut self) -> bool {
        std::mem::take(self).packets > 0
    }

    /// A packet of another type. True: it is the source's media beyond doubt.
    pub(super) fn proves(&mut self, codec: Codec, rtp: &Rtp<'_>) -> bool {
        self.packets = self.packets.saturating_add(1);
        if !DYNAMIC.iter().any(|types| types.contains(&rtp.payload_type)) {
            return false;
        }
        match codec {
            Codec::H264 => h264(rtp.payload),
            Codec::Vp8 => vp8(rtp.payload).unwrap_or(false),
            Codec::Vp9 => vp9(rtp.payload).unwrap_or(false),
            Codec::Av1 => starts_key_frame(codec, rtp.payload),
            Codec::Opus => self.opus(rtp),
        }
    }

    /// Whether so many came that whoever runs the source should know.
    pub(super) fn is_to_be_named(&self) -> bool {
        self.packets >= NAMED_AFTER
    }

    fn opus(&mut self, rtp: &Rtp<'_>) -> bool {
        let Some(duration) = opus_duration(rtp.payload) else {
            self.run = 0;
            return false;
        };
        let here = (rtp.payload_type, rtp.sequence, rtp.timestamp);
        self.run = if self.opus == Some(here) { self.run + 1 } else { 1 };
        self.opus =
            Some((rtp.payload_type, rtp.sequence.wrapping_add(1), rtp.timestamp.wrapping_add(duration)));
        self.run >= OPUS_RUN
    }
}

/// A sequence parameter set of a picture that there may be.
fn h264(payload: &[u8]) -> bool {
    let mut sets = units(payload).filter(|unit| unit.whole && unit.kind() == NAL_SPS);
    sets.any(|set| {
        SpsFacts::parse(set.bytes).is_some_and(|sps| SIDE.contains(&sps.width) && SIDE.contains(&sps.height))
    })
}

/// A key frame with its start code (RFC 6386 section 9.1).
fn vp8(payload: &[u8]) -> Option<bool> {
    let frame = payload.get(vp8_descriptor(payload)?..)?;
    Some(starts_key_frame(Codec::Vp8, payload) && frame.get(3..6)? == [0x9d, 0x01, 0x2a])
}

/// A key frame with its sync code (VP9 bitstream specification, section 7.2), of profiles 0 to 2.
fn vp9(payload: &[u8]) -> Option<bool> {
    let frame = payload.get(vp9_descriptor(payload)?.1..)?;
    Some(starts_key_frame(Codec::Vp9, payload) && frame.get(1..4)? == [0x49, 0x83, 0x42])
}

/// Samples at 48 kHz (RFC 6716 sections 3.1 and 3.2).
fn opus_duration(payload: &[u8]) -> Option<u32> {
    let toc = *payload.first()?;
    let frame = match toc >> 3 {
        config @ 0..=11 => [480, 960, 1920, 2880][usize::from(config & 3)],
        config @ 12..=15 => [480, 960][usize::from(config & 1)],
        config => [120, 240, 480, 960][usize::from(config & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(payload.get(1)? & 0x3f),
    };
    Some(frame * frames).filter(|samples| (120..=5760).contains(samples))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Of a picture of 640x480, baseline.
    const SPS: [u8; 9] = [0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xf6, 0x40];

    fn packet(payload_type: u8, payload: &[u8]) -> Rtp<'_> {
        Rtp { marker: false, payload_type, sequence: 0, timestamp: 0, ssrc: 1, payload }
    }

    #[test]
    fn a_key_frame_of_the_codec_is_proof_and_one_of_another_is_not() {
        let vp8 = [0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 0];
        let vp9 = [0x08, 0x82, 0x49, 0x83, 0x42, 0];
        let mut other = OtherType::default();
        assert!(other.proves(Codec::H264, &packet(97, &SPS)));
        assert!(other.proves(Codec::Vp8, &packet(97, &vp8)) && other.proves(Codec::Vp9, &packet(97, &vp9)));
        assert!(
            !other.proves(Codec::H264, &packet(97, &vp8)) && !other.proves(Codec::Vp8, &packet(97, &SPS))
        );
        assert!(!other.proves(Codec::H264, &packet(26, &SPS)), "JPEG, by its static type");
        assert!(
            !other.proves(Codec::H264, &packet(97, &[0x65, 0x88, 0x80])),
            "a key frame of nobody knows what"
        );
    }

    #[test]
    fn opus_is_known_by_its_durations() {
        let run = |step: u32| {
            let mut other = OtherType::default();
            (0..OPUS_RUN).any(|n| {
                let sequence = u16::try_from(n).expect("small");
                other.proves(Codec::Opus, &Rtp { sequence, timestamp: n * step, ..packet(97, &[0xfc, 1, 2]) })
            })
        };
        assert!(run(960), "20 ms");
        assert!(!run(480));
    }

    #[test]
    fn what_goes_on_is_named() {
        let mut other = OtherType::default();
        for _ in 0..NAMED_AFTER {
            assert!(!other.is_to_be_named());
            other.proves(Codec::H264, &packet(97, &[0x41, 1]));
        }
        assert!(other.is_to_be_named());
        other.clear();
        assert!(!other.is_to_be_named());
    }

    proptest! {
        #[test]
        fn any_payload_is_read(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            for codec in [Codec::H264, Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::Opus] {
                OtherType::default().proves(codec, &packet(97, &bytes));
            }
        }
    }
}
