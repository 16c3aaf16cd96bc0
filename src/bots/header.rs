//! What of a media packet is not sealed: its header (RFC 3550 section 5.1; RFC 3711 leaves it in the clear).

/// The fields a bot counts by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub marker: bool,
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
}

/// What a datagram on a shared port is (RFC 7983 section 7, RFC 5761 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datagram {
    Rtp(Header),
    /// STUN, DTLS, RTCP, or nothing that is known.
    Other,
}

/// Tells a datagram by its first bytes; what is no whole RTP header is [`Datagram::Other`].
#[must_use]
pub fn read(datagram: &[u8]) -> Datagram {
    let [first, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3, ..] = *datagram else {
        return Datagram::Other;
    };
    if first >> 6 != 2 || (192..=223).contains(&second) {
        return Datagram::Other;
    }
    Datagram::Rtp(Header {
        marker: second & 0x80 != 0,
        payload_type: second & 0x7f,
        sequence: u16::from_be_bytes([s0, s1]),
        timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
        ssrc: u32::from_be_bytes([c0, c1, c2, c3]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_header_is_read_and_rtcp_stun_and_dtls_are_not() {
        let packet = [0x90, 0x80 | 102, 1, 2, 0, 0, 0, 9, 1, 2, 3, 4, 0xbe, 0xde];
        let header =
            Header { marker: true, payload_type: 102, sequence: 258, timestamp: 9, ssrc: 0x0102_0304 };
        assert_eq!(read(&packet), Datagram::Rtp(header));
        for kind in [200_u8, 201, 205, 206] {
            let mut rtcp = packet;
            rtcp[1] = kind;
            assert_eq!(read(&rtcp), Datagram::Other);
        }
        for first in [0, 22, 63, 64, 192, 255] {
            let mut other = packet;
            other[0] = first;
            assert_eq!(read(&other), Datagram::Other);
        }
        assert_eq!(read(&packet[..11]), Datagram::Other);
    }

    proptest! {
        #[test]
        fn no_datagram_is_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = read(&bytes);
        }
    }
}
