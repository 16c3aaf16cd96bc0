//! Cuts a source's packets that are too large for players' paths into several, as the codec's payload format allows.
//!
//! Pure; any bytes are cut or refused. What cannot be read as the codec's format is refused, so that the session can say
//! so in words.

use super::Codec;
use super::keyframe::vp8_descriptor;
use crate::h264::{NAL_FU_A, NAL_STAP_A, nal_type};

/// The most payload a packet carries to a player. With the longest header, the number of a retransmission, the tag, UDP
/// and IPv6 (24, 2, 16, 8 and 40 bytes) it is 1278 bytes, which fits the smallest path of IPv6 (1280, RFC 8200), and so
/// every tunnel that is in use. Runners keep to it: their packets have 1200 bytes at most, of which 12 are the header.
pub(super) const MAX_PAYLOAD: usize = 1200 - 12;

/// Payloads one behind the other; keeps its memory.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Pieces {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).filter_map(|(start, end)| self.bytes.get(start..*end))
    }

    fn push<'a>(&mut self, parts: impl IntoIterator<Item = &'a [u8]>) {
        parts.into_iter().for_each(|part| self.bytes.extend_from_slice(part));
        self.ends.push(self.bytes.len());
    }

    /// Cuts `body` into pieces of equal size that fit behind `header` bytes; `head` gives the header of each, told whether
    /// it is the first and the last.
    fn cut<const N: usize>(
        &mut self,
        limit: usize,
        body: &[u8],
        head: impl Fn(bool, bool) -> [u8; N],
    ) -> Option<()> {
        let chunks = equal(body, limit.checked_sub(N)?)?;
        let last = chunks.len().checked_sub(1)?;
        for (at, chunk) in chunks.enumerate() {
            self.push([&head(at == 0, at == last)[..], chunk]);
        }
        Some(())
    }
}

/// Splits a payload that is larger than `limit`. `None`: it cannot be split.
pub(super) fn split(codec: Codec, payload: &[u8], limit: usize, pieces: &mut Pieces) -> Option<()> {
    pieces.bytes.clear();
    pieces.ends.clear();
    match codec {
        Codec::H264 => h264(payload, limit, pieces),
        Codec::Vp8 => vp8(payload, limit, pieces),
        Codec::Vp9 => vp9(payload, limit, pieces),
        Codec::Av1 => av1(payload, limit, pieces),
        Codec::Opus => None,
    }
}

/// As few chunks of equal size as hold at most `room` bytes; the last may be smaller.
fn equal(body: &[u8], room: usize) -> Option<std::slice::Chunks<'_, u8>> {
    let count = body.len().div_ceil(if room == 0 { return None } else { room });
    Some(body.chunks(body.len().div_ceil(count.max(1)).max(1)))
}

/// RFC 6184: NAL units become fragments (FU-A), fragments smaller ones, an aggregate (STAP-A) several.
fn h264(payload: &[u8], limit: usize, pieces: &mut Pieces) -> Option<()> {
    match (nal_type(payload), payload) {
        (1..=23, [header, body @ ..]) => fragments(*header, 0xc0, body, limit, pieces),
        (NAL_FU_A, [indicator, fragment, body @ ..]) => {
            let header = indicator & 0xe0 | fragment & 0x1f;
            fragments(header, fragment & 0xc0, body, limit, pieces)
        }
        (NAL_STAP_A, [indicator, rest @ ..]) => aggregates(*indicator, rest, limit, pieces),
        _ => None,
    }
}

/// `ends`: which ends of the NAL unit the body has, as an FU header's start (0x80) and end (0x40) bit.
fn fragments(header: u8, ends: u8, body: &[u8], limit: usize, pieces: &mut Pieces) -> Option<()> {
    pieces.cut(limit, body, |first, last| {
        let start = if first { ends & 0x80 } else { 0 };
        let end = if last { ends & 0x40 } else { 0 };
        [header & 0xe0 | NAL_FU_A, start | end | header & 0x1f]
    })
}

/// `units`: of a STAP-A, each with its length before it.
fn aggregates(indicator: u8, units: &[u8], limit: usize, pieces: &mut Pieces) -> Option<()> {
    // What of them, from `open` to `at`, still fits into one aggregate.
    let (mut open, mut at) = (0, 0);
    while at < units.len() {
        let [high, low] = *units.get(at..at + 2)? else { return None };
        let end = at + 2 + usize::from(u16::from_be_bytes([high, low]));
        let unit = units.get(at + 2..end)?;
        if 1 + end - open > limit {
            aggregate(indicator, units.get(open..at)?, pieces);
            open = at;
        }
        if let [header, body @ ..] = unit
            && 1 + end - open > limit
        {
            fragments(*header, 0xc0, body, limit, pieces)?;
            open = end;
        }
        at = end;
    }
    aggregate(indicator, units.get(open..)?, pieces);
    Some(())
}

/// A unit that is alone travels without a length.
fn aggregate(indicator: u8, units: &[u8], pieces: &mut Pieces) {
    match units {
        [] => {}
        [high, low, unit @ ..] if usize::from(u16::from_be_bytes([*high, *low])) == unit.len() => {
            pieces.push([unit]);
        }
        _ => pieces.push([&[indicator][..], units]),
    }
}

/// RFC 7741: every piece has the descriptor; only the first one begins the partition.
fn vp8(payload: &[u8], limit: usize, pieces: &mut Pieces) -> Option<()> {
    let (descriptor, data) = payload.split_at_checked(vp8_descriptor(payload)?)?;
    let [first, rest @ ..] = descriptor else { return None };
    for (at, chunk) in equal(data, limit.checked_sub(descriptor.len())?)?.enumerate() {
        pieces.push([&[if at == 0 { *first } else { first & !0x10 }][..], rest, chunk]);
    }
    Some(())
}

/// RFC 9628: only the first piece begins the frame and carries the scalability structure, only the last one ends it.
fn vp9(payload: &[u8], limit: usize, pieces: &mut Pieces) -> Option<()> {
    const BEGINS: u8 = 0x08;
    const ENDS: u8 = 0x04;
    const STRUCTURE: u8 = 0x02;
    let (fields, structure) = vp9_descriptor(payload)?;
    let (descriptor, data) = payload.split_at_checked(structure)?;
    let [first, ..] = descriptor else { return None };
    let chunks = equal(data, limit.checked_sub(descriptor.len())?)?;
    let last = chunks.len().checked_sub(1)?;
    for (at, chunk) in chunks.enumerate() {
        let mut flags = if at == 0 { *first } else { first & !(BEGINS | STRUCTURE) };
        if at < last {
            flags &= !ENDS;
        }
        let kept = if at == 0 { structure } else { fields };
        pieces.push([&[flags][..], descriptor.get(1..kept)?, chunk]);
    }
    Some(())
}

/// Where the fields of a VP9 payload descriptor end, and where its scalability structure, which may be empty.
pub(super) fn vp9_descriptor(payload: &[u8]) -> Option<(usize, usize)> {
    let first = *payload.first()?;
    let has = |bit: u8| first & bit != 0;
    let (picture_id, inter, layers, flexible, structure) =
        (has(0x80), has(0x40), has(0x20), has(0x10), has(0x02));
    let mut at = 1;
    if picture_id {
        at += if payload.get(at)? & 0x80 != 0 { 2 } else { 1 };
    }
    if layers {
        at += if flexible { 1 } else { 2 };
    }
    if flexible && inter {
        for _ in 0..3 {
            at += 1;
            if payload.get(at - 1)? & 0x01 == 0 {
                break;
            }
        }
    }
    let fields = at;
    if structure {
        let flags = *payload.get(at)?;
        at += 1;
        if flags & 0x10 != 0 {
            at += (usize::from(flags >> 5) + 1) * 4;
        }
        if flags & 0x08 != 0 {
            let pictures = *payload.get(at)?;
            at += 1;
            for _ in 0..pictures {
                at += 1 + usize::from(payload.get(at)? >> 2 & 0x03);
            }
        }
    }
    (at < payload.len()).then_some((fields, at))
}

/// RTP payload format for AV1, section 4.4: each element, or piece of one, becomes a packet of its own.
fn av1(payload: &[u8], limit: usize, pieces: &mut Pieces) -> Option<()> {
    const CONTINUES: u8 = 0x80;
    const CONTINUED: u8 = 0x40;
    const NEW_SEQUENCE: u8 = 0x08;
    const ONE_ELEMENT: u8 = 0x10;
    let (aggregation, mut rest) = payload.split_first()?;
    let count = u32::from(aggregation >> 4 & 0x03);
    let mut number = 0;
    while !rest.is_empty() {
        number += 1;
        let element = if number == count { std::mem::take(&mut rest) } else { sized(&mut rest)? };
        let (first_element, last_element) = (number == 1, rest.is_empty());
        let opens = pieces.is_empty();
        pieces.cut(limit, element, |first, last| {
            let continues = !first || first_element && aggregation & CONTINUES != 0;
            let continued = !last || last_element && aggregation & CONTINUED != 0;
            let new_sequence = first && opens && aggregation & NEW_SEQUENCE != 0;
            let flag = |on: bool, bit: u8| if on { bit } else { 0 };
            [flag(continues, CONTINUES)
                | flag(continued, CONTINUED)
                | flag(new_sequence, NEW_SEQUENCE)
                | ONE_ELEMENT]
        })?;
    }
    Some(())
}

/// Takes an element with its LEB128 length before it.
fn sized<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut length = 0;
    for at in 0..4 {
        let byte = *rest.get(at)?;
        length |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            let (element, next) = rest.get(at + 1..)?.split_at_checked(length)?;
            *rest = next;
            return Some(element);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h264::Depacketizer;
    use proptest::prelude::*;

    const CODECS: [Codec; 5] = [Codec::H264, Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::Opus];

    fn cut(codec: Codec, payload: &[u8], limit: usize) -> Option<Vec<Vec<u8>>> {
        let mut pieces = Pieces::default();
        split(codec, payload, limit, &mut pieces)?;
        Some(pieces.iter().map(<[u8]>::to_vec).collect())
    }

    /// A picture of these payloads, as the depacketizer puts it together.
    fn put_together<'a>(payloads: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
        let (mut depacketizer, payloads) = (Depacketizer::new(), payloads.collect::<Vec<_>>());
        let mut units = Vec::new();
        for (sequence, payload) in (0..).zip(&payloads) {
            let last = usize::from(sequence) + 1 == payloads.len();
            units.extend(depacketizer.push(sequence, 0, last, payload).units);
        }
        units.remove(0).data
    }

    #[test]
    fn a_large_nal_unit_becomes_equal_fragments() {
        let payload: Vec<u8> =
            std::iter::once(0x65).chain((0..2000).map(|n| u8::try_from(n % 251).expect("small"))).collect();
        let pieces = cut(Codec::H264, &payload, 900).expect("split");
        assert_eq!(pieces.iter().map(Vec::len).collect::<Vec<_>>(), [669, 669, 668]);
        assert_eq!(
            [&pieces[0][..2], &pieces[1][..2], &pieces[2][..2]],
            [[0x7c, 0x85], [0x7c, 0x05], [0x7c, 0x45]]
        );
        assert_eq!(put_together(pieces.iter().map(Vec::as_slice))[5..], payload[1..]);
    }

    #[test]
    fn a_fragment_becomes_smaller_ones_with_its_own_ends() {
        let middle: Vec<u8> = [0x7c, 0x05].into_iter().chain([7; 1458]).collect();
        let heads = |payload: &[u8]| -> Vec<u8> {
            cut(Codec::H264, payload, MAX_PAYLOAD).expect("split").iter().map(|piece| piece[1]).collect()
        };
        assert_eq!(heads(&middle), [0x05, 0x05]);
        assert_eq!(heads(&[&[0x7c, 0x85], &middle[2..]].concat()), [0x85, 0x05]);
        assert_eq!(heads(&[&[0x7c, 0x45], &middle[2..]].concat()), [0x05, 0x45]);
    }

    #[test]
    fn vp8_begins_its_partition_once() {
        let payload: Vec<u8> = [0x90, 0x80, 0x81, 0x02].into_iter().chain([9; 100]).collect();
        let pieces = cut(Codec::Vp8, &payload, 60).expect("split");
        assert_eq!(
            pieces.iter().map(|piece| (piece[0], piece.len())).collect::<Vec<_>>(),
            [(0x90, 54), (0x80, 54)]
        );
        assert!(pieces.iter().all(|piece| piece[1..4] == [0x80, 0x81, 0x02]));
    }

    #[test]
    fn vp9_begins_and_ends_its_frame_once() {
        // Picture id of seven bits, a structure of one layer with its size; begins and ends the frame.
        let descriptor = [0x80 | 0x08 | 0x04 | 0x02, 5, 0x10, 2, 128, 1, 104];
        let payload: Vec<u8> = descriptor.into_iter().chain([9; 100]).collect();
        let pieces = cut(Codec::Vp9, &payload, 60).expect("split");
        assert_eq!(pieces.iter().map(|piece| piece[0]).collect::<Vec<_>>(), [0x8a, 0x84]);
        assert_eq!((&pieces[0][1..7], pieces[0].len()), (&descriptor[1..7], 57));
        assert_eq!((pieces[1][1], pieces[1].len()), (5, 52), "without the structure");
    }

    #[test]
    fn av1_elements_are_told_from_pieces_of_one() {
        // Two elements, a new sequence; the last one goes on in the next packet.
        let payload: Vec<u8> = [0x68, 3, 0x0a, 1, 2].into_iter().chain([9; 100]).collect();
        let pieces = cut(Codec::Av1, &payload, 60).expect("split");
        assert_eq!(
            pieces.iter().map(|piece| (piece[0], piece.len())).collect::<Vec<_>>(),
            [(0x18, 4), (0x50, 51), (0xd0, 51)]
        );
    }

    #[test]
    fn what_has_no_rule_is_refused() {
        assert_eq!(cut(Codec::Opus, &[1; 2000], MAX_PAYLOAD), None);
        assert_eq!(cut(Codec::H264, &[0x79; 2000], MAX_PAYLOAD), None, "STAP-B");
        assert_eq!(cut(Codec::H264, &[&[0x78, 0xff, 0xff][..], &[1; 2000]].concat(), MAX_PAYLOAD), None);
    }

    proptest! {
        #[test]
        fn pieces_put_together_are_what_was_split(
            nals in prop::collection::vec((prop::sample::select(vec![0x67u8, 0x68, 0x65, 0x41]), prop::collection::vec(any::<u8>(), 1..300)), 1..6),
            limit in 20usize..200,
        ) {
            let mut stap = vec![0x78];
            for (header, body) in &nals {
                stap.extend(u16::try_from(body.len() + 1).unwrap().to_be_bytes());
                stap.push(*header);
                stap.extend(body);
            }
            // A picture for the depacketizer, whatever the others are.
            stap.extend([0, 2, 0x41, 1]);
            let pieces = cut(Codec::H264, &stap, limit).expect("split");
            prop_assert!(pieces.iter().all(|piece| piece.len() <= limit));
            let whole = put_together(std::iter::once(stap.as_slice()));
            prop_assert_eq!(put_together(pieces.iter().map(Vec::as_slice)), whole);
        }

        #[test]
        fn any_payload_is_cut_to_the_limit_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400), limit in 20usize..200) {
            for codec in CODECS {
                let pieces = cut(codec, &bytes, limit).unwrap_or_default();
                prop_assert!(pieces.iter().all(|piece| piece.len() <= limit));
            }
        }
    }
}
