//! The records of a datagram (RFC 6347 section 4.1).

/// Content type, version, epoch, sequence number and length.
pub(in crate::relay) const HEADER: usize = 13;
const VERSION: [u8; 2] = [0xfe, 0xfd];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::relay) enum Content {
    ChangeCipherSpec,
    Alert,
    Handshake,
    ApplicationData,
    Other,
}

impl From<u8> for Content {
    fn from(byte: u8) -> Self {
        match byte {
            20 => Self::ChangeCipherSpec,
            21 => Self::Alert,
            22 => Self::Handshake,
            23 => Self::ApplicationData,
            _ => Self::Other,
        }
    }
}

/// A record as it stands in its datagram.
#[derive(Debug, Clone, Copy)]
pub(in crate::relay) struct Record<'a> {
    pub(in crate::relay) content: Content,
    /// 0: plaintext. 1: protected with the keys of the handshake.
    pub(in crate::relay) epoch: u16,
    pub(in crate::relay) body: &'a [u8],
    /// Header and body.
    pub(in crate::relay) bytes: &'a [u8],
}

/// The records of a datagram that have a body, up to the first one that is cut off.
pub(in crate::relay) fn records(datagram: &[u8]) -> impl Iterator<Item = Record<'_>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let [content, _, _, e0, e1, _, _, _, _, _, _, l0, l1, ..] = *rest else { return None };
        let length = HEADER + usize::from(u16::from_be_bytes([l0, l1]));
        let (bytes, after) = rest.split_at_checked(length)?;
        rest = after;
        Some(Record {
            content: content.into(),
            epoch: u16::from_be_bytes([e0, e1]),
            body: bytes.get(HEADER..)?,
            bytes,
        })
    })
    .filter(|record| !record.body.is_empty())
}

/// Appends a plaintext record. A body that does not fit a record's length field is left out.
pub(super) fn push_plaintext(out: &mut Vec<u8>, content: u8, sequence: u64, body: &[u8]) {
    let Ok(length) = u16::try_from(body.len()) else { return };
    let [_, _, sequence @ ..] = sequence.to_be_bytes();
    out.push(content);
    out.extend_from_slice(&VERSION);
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&sequence);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(body);
}
