//! Reading what a source sends: RTP headers (RFC 3550), and of RTCP what the relay uses. Nothing panics on any input.

use playgate_signaling::runner::KEY_FRAME_REQUEST;

/// An RTP packet's header and where its payload lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rtp<'a> {
    pub(super) marker: bool,
    pub(super) payload_type: u8,
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    pub(super) ssrc: u32,
    /// Without padding.
    pub(super) payload: &'a [u8],
}

/// Whether a datagram on a port shared by RTP and RTCP is RTCP (RFC 5761 section 4).
pub(super) fn is_rtcp(datagram: &[u8]) -> bool {
    matches!(datagram.get(1), Some(192..=223))
}

impl<'a> Rtp<'a> {
    /// `None` when malformed.
    pub(super) fn parse(datagram: &'a [u8]) -> Option<Self> {
        let [first, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3, rest @ ..] = datagram else {
            return None;
        };
        if first >> 6 != 2 {
            return None;
        }
        let mut payload = rest.get(usize::from(first & 0x0f) * 4..)?;
        if first & 0x10 != 0 {
            let [_, _, l0, l1, ..] = payload else { return None };
            payload = payload.get(4 + usize::from(u16::from_be_bytes([*l0, *l1])) * 4..)?;
        }
        if first & 0x20 != 0 {
            let padding = usize::from(*payload.last()?);
            if padding == 0 {
                return None;
            }
            payload = payload.get(..payload.len().checked_sub(padding)?)?;
        }
        Some(Self {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7f,
            sequence: u16::from_be_bytes([*s0, *s1]),
            timestamp: u32::from_be_bytes([*t0, *t1, *t2, *t3]),
            ssrc: u32::from_be_bytes([*c0, *c1, *c2, *c3]),
            payload,
        })
    }
}

/// The clock pair of a sender report (RFC 3550 section 6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SenderClock {
    pub(super) ssrc: u32,
    /// 32.32 fixed-point seconds of the source's clock.
    pub(super) ntp: u64,
    pub(super) rtp: u32,
}

/// The sender report in a compound packet, if there is one; `Err` when it is no RTCP.
pub(super) fn sender_report(mut compound: &[u8]) -> Result<Option<SenderClock>, Malformed> {
    let mut found = None;
    while !compound.is_empty() {
        let [first, kind, l0, l1, ..] = compound else { return Err(Malformed) };
        let len = (usize::from(u16::from_be_bytes([*l0, *l1])) + 1) * 4;
        if first >> 6 != 2 || compound.len() < len {
            return Err(Malformed);
        }
        let (packet, rest) = compound.split_at(len);
        if *kind == 200 {
            let field = |at: usize| {
                packet
                    .get(at..at + 4)
                    .and_then(|b| b.try_into().ok())
                    .map(u32::from_be_bytes)
                    .ok_or(Malformed)
            };
            found = Some(SenderClock {
                ssrc: field(4)?,
                ntp: u64::from(field(8)?) << 32 | u64::from(field(12)?),
                rtp: field(16)?,
            });
        }
        compound = rest;
    }
    Ok(found)
}

/// A compound of an empty receiver report, a PLI (RFC 4585 section 6.3.1) and the request's number in an APP packet
/// (RFC 3550 section 6.7), which runners that do not know it pass over. Full compounds are what every producer's RTCP parser
/// takes (RFC 3550 section 6.1).
pub(super) fn key_frame_request(own_ssrc: u32, source_ssrc: u32, number: u64) -> [u8; 40] {
    let mut bytes = [0; 40];
    let (report, rest) = bytes.split_at_mut(8);
    let (pli, app) = rest.split_at_mut(12);
    report[..4].copy_from_slice(&[0x80, 201, 0, 1]);
    report[4..].copy_from_slice(&own_ssrc.to_be_bytes());
    pli[..4].copy_from_slice(&[0x81, 206, 0, 2]);
    pli[4..8].copy_from_slice(&own_ssrc.to_be_bytes());
    pli[8..].copy_from_slice(&source_ssrc.to_be_bytes());
    app[..4].copy_from_slice(&[0x80, 204, 0, 4]);
    app[4..8].copy_from_slice(&own_ssrc.to_be_bytes());
    app[8..12].copy_from_slice(&KEY_FRAME_REQUEST);
    app[12..].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// Not RTP or RTCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed packet")]
pub(super) struct Malformed;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn extension_csrc_and_padding_are_not_payload() {
        let mut packet = vec![0xb1, 0x80 | 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        packet.extend_from_slice(&[9; 4]);
        packet.extend_from_slice(&[0xbe, 0xde, 0, 1, 1, 2, 3, 4]);
        packet.extend_from_slice(&[5, 6, 7, 0, 2]);
        let rtp = Rtp::parse(&packet).expect("valid");
        assert_eq!(rtp.payload, [5, 6, 7]);
        assert!(rtp.marker);
        assert_eq!((rtp.payload_type, rtp.sequence, rtp.timestamp, rtp.ssrc), (96, 1, 2, 3));
    }

    #[test]
    fn rtcp_is_told_from_rtp_with_marker() {
        assert!(is_rtcp(&[0x80, 200]));
        assert!(is_rtcp(&key_frame_request(1, 2, 3)));
        assert!(!is_rtcp(&[0x80, 0x80 | 96]));
        assert!(!is_rtcp(&[0x80, 111]));
    }

    #[test]
    fn a_sender_report_is_found_in_a_compound() {
        let mut compound = key_frame_request(1, 2, 3).to_vec();
        compound.extend_from_slice(&[0x80, 200, 0, 6, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]);
        compound.extend_from_slice(&[0; 8]);
        assert_eq!(sender_report(&compound), Ok(Some(SenderClock { ssrc: 9, ntp: 1 << 32 | 2, rtp: 3 })));
    }

    proptest! {
        #[test]
        fn no_datagram_is_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Rtp::parse(&bytes);
            let _ = sender_report(&bytes);
            let _ = is_rtcp(&bytes);
        }
    }
}
