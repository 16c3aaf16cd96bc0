//! AV1 in packets (the RTP payload format of the Alliance for Open Media, section 4 and 5).
//!
//! A temporal unit's OBUs, without their size fields and without temporal delimiters, follow each other through the packets; an
//! OBU that does not fit is continued in the next packet. Packets are equally full, the last excepted.

use super::super::rtp::{HEADER, MAX_PACKET, Packets};

/// The aggregation header.
const AGGREGATION: usize = 1;
/// Most OBUs in a packet: so many can be counted in the aggregation header, and then the last needs no length.
const MOST: usize = 3;

const SEQUENCE_HEADER: u8 = 1;
const TEMPORAL_DELIMITER: u8 = 2;
const TILE_LIST: u8 = 8;
const PADDING: u8 = 15;

/// An OBU as it is sent: header bytes without a size, and the rest.
#[derive(Debug, Clone, Copy)]
struct Obu<'a> {
    header: [u8; 2],
    header_length: usize,
    body: &'a [u8],
}

impl Obu<'_> {
    fn kind(&self) -> u8 {
        (self.header[0] >> 3) & 0x0F
    }

    fn len(&self) -> usize {
        self.header_length + self.body.len()
    }

    /// The bytes from `from` to `to`, in up to two slices.
    fn part(&self, from: usize, to: usize) -> [&[u8]; 2] {
        let header = &self.header[from.min(self.header_length)..to.min(self.header_length)];
        let start = from.saturating_sub(self.header_length);
        [header, &self.body[start..to.saturating_sub(self.header_length).max(start)]]
    }
}

/// A part of an OBU in a packet.
#[derive(Debug, Clone, Copy)]
struct Part {
    obu: usize,
    from: usize,
    to: usize,
}

/// One temporal unit in the low-overhead format. What cannot be read as OBUs, and all after it, is left out.
pub(super) fn av1(packets: &mut Packets, unit: &[u8], timestamp: u32, mut emit: impl FnMut(&[u8])) {
    let obus = obus(unit);
    let starts_sequence = obus.iter().any(|obu| obu.kind() == SEQUENCE_HEADER);
    let layout = even(&obus);
    for (index, parts) in layout.iter().enumerate() {
        let continued = |part: &Part| part.to < obus[part.obu].len();
        let header = if parts.first().is_some_and(|part| part.from > 0) { 0x80 } else { 0 }
            | if parts.last().is_some_and(continued) { 0x40 } else { 0 }
            | u8::try_from(parts.len() << 4).unwrap_or(0)
            | if index == 0 && starts_sequence { 0x08 } else { 0 };
        let mut lengths = [Leb128::default(); MOST];
        let mut pieces: Vec<&[u8]> = Vec::with_capacity(1 + 3 * MOST);
        let header = [header];
        pieces.push(&header);
        for (part, length) in parts.iter().zip(&mut lengths) {
            *length = Leb128::new(part.to - part.from);
        }
        for (at, (part, length)) in parts.iter().zip(&lengths).enumerate() {
            if at + 1 < parts.len() {
                pieces.push(length.bytes());
            }
            pieces.extend(obus[part.obu].part(part.from, part.to));
        }
        packets.packet(timestamp, index + 1 == layout.len(), &pieces, &mut emit);
    }
}

fn obus(mut bytes: &[u8]) -> Vec<Obu<'_>> {
    let mut all = Vec::new();
    while let Some((obu, rest)) = obu(bytes) {
        bytes = rest;
        if !matches!(obu.kind(), TEMPORAL_DELIMITER | TILE_LIST | PADDING) {
            all.push(obu);
        }
    }
    all
}

/// The first OBU and what follows it (AV1 specification, section 5.3).
fn obu(bytes: &[u8]) -> Option<(Obu<'_>, &[u8])> {
    let (&first, mut rest) = bytes.split_first()?;
    let mut header = [first & !0x02, 0];
    let mut header_length = 1;
    if first & 0x04 != 0 {
        let (&extension, after) = rest.split_first()?;
        header[1] = extension;
        header_length = 2;
        rest = after;
    }
    let length = if first & 0x02 == 0 {
        rest.len()
    } else {
        let (length, after) = leb128(rest)?;
        rest = after;
        length
    };
    let body = rest.get(..length)?;
    Some((Obu { header, header_length, body }, &rest[length..]))
}

/// In as few packets as possible, and all equally full but the last.
fn even(obus: &[Obu]) -> Vec<Vec<Part>> {
    let most = MAX_PACKET - HEADER - AGGREGATION;
    let full = fill(obus, most);
    let bytes: usize = full.iter().flatten().map(|part| part.to - part.from).sum();
    let even = bytes.div_ceil(full.len().max(1));
    // The lengths of OBUs take some bytes too; how many depends on where they fall.
    (even..most.min(even + 2 * MOST))
        .map(|size| fill(obus, size))
        .find(|layout| layout.len() == full.len())
        .unwrap_or(full)
}

/// Packets of `size` bytes for OBUs and their lengths, one after the other.
fn fill(obus: &[Obu], size: usize) -> Vec<Vec<Part>> {
    let mut layout: Vec<Vec<Part>> = Vec::new();
    let mut room = 0;
    for (obu, length) in obus.iter().map(Obu::len).enumerate() {
        let mut from = 0;
        while from < length {
            // What lay last in the packet needs its length in front when something follows it.
            let before = layout.last().and_then(|parts| parts.last());
            let cost = before.map_or(0, |part| Leb128::new(part.to - part.from).length);
            let parts = layout.last_mut().filter(|parts| parts.len() < MOST && room > cost);
            let (parts, free) = match parts {
                Some(parts) => (parts, room - cost),
                None => (layout.push_mut(Vec::new()), size.max(1)),
            };
            let to = length.min(from + free);
            parts.push(Part { obu, from, to });
            room = free - (to - from);
            from = to;
        }
    }
    layout
}

/// An unsigned number of seven bits a byte, the least first.
#[derive(Debug, Clone, Copy, Default)]
struct Leb128 {
    bytes: [u8; 4],
    length: usize,
}

impl Leb128 {
    fn new(mut value: usize) -> Self {
        let mut all = Self::default();
        loop {
            let low = u8::try_from(value & 0x7F).unwrap_or(0);
            value >>= 7;
            if let Some(byte) = all.bytes.get_mut(all.length) {
                *byte = low | if value > 0 { 0x80 } else { 0 };
                all.length += 1;
            }
            if value == 0 || all.length == all.bytes.len() {
                return all;
            }
        }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// A number and what follows it.
fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0;
    for (index, byte) in bytes.iter().enumerate().take(4) {
        value |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::tests::{packets_of, payload};
    use super::*;
    use proptest::prelude::*;
    use rtc::rtp::codec::av1::Av1Depacketizer;
    use rtc::rtp::packetizer::Depacketizer;

    /// An OBU of a kind, with its size, as encoders give them.
    fn sized(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind << 3 | 0x02], Leb128::new(body.len()).bytes(), body].concat()
    }

    fn unit(bodies: &[(u8, Vec<u8>)]) -> Vec<u8> {
        let mut all = sized(TEMPORAL_DELIMITER, &[]);
        all.extend(bodies.iter().flat_map(|(kind, body)| sized(*kind, body)));
        all
    }

    /// What a receiver makes of the packets: OBUs with their sizes.
    fn received(packets: &[Vec<u8>]) -> Vec<u8> {
        let mut depacketizer = Av1Depacketizer::default();
        packets
            .iter()
            .flat_map(|packet| depacketizer.depacketize(&payload(packet)).expect("OBUs").to_vec())
            .collect()
    }

    fn obus_strategy() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
        let kind = prop_oneof![Just(SEQUENCE_HEADER), Just(6_u8), Just(3), Just(4), Just(5)];
        let body = prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            prop::collection::vec(any::<u8>(), 1000..1300),
            prop::collection::vec(any::<u8>(), 0..9000),
        ];
        prop::collection::vec((kind, body), 1..7)
    }

    proptest! {
        #[test]
        fn what_is_put_in_packets_comes_out_again(bodies in obus_strategy()) {
            let bytes = unit(&bodies);
            let sent = packets_of(|packets, emit| av1(packets, &bytes, 5, emit));
            let expected: Vec<u8> = bodies.iter().flat_map(|(kind, body)| sized(*kind, body)).collect();
            prop_assert_eq!(received(&sent), expected);
            let new_sequence = bodies.iter().any(|(kind, _)| *kind == SEQUENCE_HEADER);
            for (index, packet) in sent.iter().enumerate() {
                prop_assert_eq!(packet[HEADER] & 0x08 != 0, index == 0 && new_sequence);
            }
        }

        #[test]
        fn a_large_frame_is_in_packets_of_equal_size(length in 2000_usize..60_000) {
            let bytes = unit(&[(SEQUENCE_HEADER, vec![1; 10]), (6, vec![2; length])]);
            let sent = packets_of(|packets, emit| av1(packets, &bytes, 5, emit));
            prop_assert_eq!(sent.len(), (12 + 1 + length).div_ceil(MAX_PACKET - HEADER - AGGREGATION));
            let sizes: Vec<usize> = sent.iter().map(Vec::len).collect();
            prop_assert!(sizes[..sizes.len() - 1].iter().all(|size| *size == sizes[0]), "{:?}", sizes);
        }

        #[test]
        fn any_bytes_are_split_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..4000)) {
            for packet in packets_of(|packets, emit| av1(packets, &bytes, 5, emit)) {
                prop_assert!(packet.len() <= MAX_PACKET);
            }
        }
    }

    #[test]
    fn delimiters_and_padding_are_not_sent() {
        let bytes = unit(&[(6, vec![1, 2, 3]), (PADDING, vec![0; 50])]);
        let sent = packets_of(|packets, emit| av1(packets, &bytes, 5, emit));
        assert_eq!(sent.len(), 1);
        assert_eq!(&sent[0][HEADER..], [0x10, 6 << 3, 1, 2, 3]);
    }
}
