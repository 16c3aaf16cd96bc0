//! Finds key frames in RTP payloads, by what the payload says and never by sizes.

use super::Codec;
use crate::h264::{NAL_IDR, NAL_SPS, units};

/// Whether this payload begins (a part of) a key frame.
pub(super) fn starts_key_frame(codec: Codec, payload: &[u8]) -> bool {
    match codec {
        Codec::H264 => h264(payload),
        Codec::Vp8 => vp8(payload).unwrap_or(false),
        Codec::Vp9 => vp9(payload).unwrap_or(false),
        Codec::Av1 => av1(payload),
        Codec::Opus => false,
    }
}

/// IDR or SPS, in whatever way it is packetized.
fn h264(payload: &[u8]) -> bool {
    units(payload).any(|unit| matches!(unit.kind(), NAL_IDR | NAL_SPS))
}

/// Start of partition 0 of a frame whose inverse key frame bit is 0 (RFC 7741 section 4).
fn vp8(payload: &[u8]) -> Option<bool> {
    let first = *payload.first()?;
    if first & 0x10 == 0 || first & 0x07 != 0 {
        return Some(false);
    }
    Some(payload.get(vp8_descriptor(payload)?)? & 0x01 == 0)
}

/// The length of a VP8 payload descriptor (RFC 7741 section 4.2).
pub(super) fn vp8_descriptor(payload: &[u8]) -> Option<usize> {
    let mut at = 1;
    if payload.first()? & 0x80 != 0 {
        let extension = *payload.get(at)?;
        at += 1;
        if extension & 0x80 != 0 {
            at += if payload.get(at)? & 0x80 != 0 { 2 } else { 1 };
        }
        at += usize::from(extension & 0x40 != 0);
        at += usize::from(extension & 0x30 != 0);
    }
    Some(at)
}

/// Beginning of a frame that is not inter-predicted, in the base spatial layer (RFC 9628 section 4.2).
fn vp9(payload: &[u8]) -> Option<bool> {
    let first = *payload.first()?;
    let (picture_id, inter, layers, begin) =
        (first & 0x80 != 0, first & 0x40 != 0, first & 0x20 != 0, first & 0x08 != 0);
    if inter || !begin {
        return Some(false);
    }
    let mut at = 1;
    if picture_id {
        at += if payload.get(at)? & 0x80 != 0 { 2 } else { 1 };
    }
    Some(!layers || (payload.get(at)? >> 1) & 0x07 == 0)
}

/// The N bit (a new coded video sequence starts here), or a sequence header as first OBU (AV1 RTP section 4.4).
fn av1(payload: &[u8]) -> bool {
    let [aggregation, rest @ ..] = payload else { return false };
    if aggregation & 0x08 != 0 {
        return true;
    }
    if aggregation & 0x80 != 0 {
        return false;
    }
    // With W = 1 the only element has no length; else a LEB128 length goes before it.
    let element = if (aggregation >> 4) & 0x03 == 1 {
        rest
    } else {
        let skip = rest.iter().position(|byte| byte & 0x80 == 0).map_or(rest.len(), |last| last + 1);
        rest.get(skip..).unwrap_or_default()
    };
    element.first().is_some_and(|header| (header >> 3) & 0x0f == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn h264_key_frames_are_found_in_every_packetization() {
        let key = |payload: &[u8]| starts_key_frame(Codec::H264, payload);
        assert!(key(&[0x65, 1, 2]), "single IDR");
        assert!(key(&[0x67, 1, 2]), "single SPS");
        assert!(key(&[0x18, 0, 2, 0x68, 1, 0, 2, 0x65, 1]), "STAP-A");
        assert!(key(&[0x7c, 0x85, 1]), "FU-A start");
        assert!(!key(&[0x7c, 0x05, 1]), "FU-A continued");
        assert!(!key(&[0x41, 1, 2]), "P slice");
        assert!(!key(&[0x68, 1]), "PPS alone");
        assert!(!key(&[0x18, 0, 9, 0x41]), "STAP-A cut short");
    }

    #[test]
    fn vp8_key_frames_are_found_with_and_without_extension() {
        let key = |payload: &[u8]| starts_key_frame(Codec::Vp8, payload);
        assert!(key(&[0x10, 0x00]));
        assert!(!key(&[0x10, 0x01]));
        assert!(!key(&[0x00, 0x00]), "a later packet of the frame");
        assert!(key(&[0x90, 0x80, 0x81, 0x02, 0x10]), "with a 15 bit picture id");
        assert!(key(&[0x90, 0xe0, 0x11, 0x02, 0x20, 0x50]), "with picture id, TL0PICIDX and TID");
    }

    #[test]
    fn vp9_and_av1_key_frames_are_found() {
        assert!(starts_key_frame(Codec::Vp9, &[0x8b, 0x01, 0]));
        assert!(!starts_key_frame(Codec::Vp9, &[0xcb, 0x01, 0]), "inter-predicted");
        assert!(!starts_key_frame(Codec::Vp9, &[0x83, 0x01, 0]), "not the beginning");
        assert!(starts_key_frame(Codec::Av1, &[0x18, 0x0a]), "N bit");
        assert!(starts_key_frame(Codec::Av1, &[0x10, 0x0a, 1]), "sequence header");
        assert!(!starts_key_frame(Codec::Av1, &[0x10, 0x32, 1]), "frame");
    }

    proptest! {
        #[test]
        fn no_payload_is_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            for codec in [Codec::H264, Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::Opus] {
                let _ = starts_key_frame(codec, &bytes);
            }
        }
    }
}
