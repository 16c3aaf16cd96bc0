//! The newest datagrams of a stream as they were sealed, for viewers that agreed on NACK and not on RTX (RFC 4588): what
//! they lost is sent again on the same SSRC, byte by byte the same. Nothing is sealed a second time, so that no nonce can
//! meet other content, whatever a header has come to hold meanwhile.
//!
//! Datagrams that the crate seals are known here before they exist: they are announced when they are given to it, and
//! kept when they come out of it.

/// Datagrams kept: 1.2 s of 60 frames/s with 14 packets each. The oldest is overwritten.
const CAPACITY: usize = 1024;

/// Datagrams by packet index. A slot keeps its memory from datagram to datagram.
#[derive(Debug, Default)]
pub(super) struct Copies {
    /// Empty before the first one.
    slots: Vec<Kept>,
}

#[derive(Debug, Clone, Default)]
struct Kept {
    packet: u64,
    /// Transport-wide sequence number, where it has one.
    transport: u16,
    /// Empty: announced, and not sealed yet.
    datagram: Vec<u8>,
}

impl Copies {
    /// A packet of this index is about to be sealed.
    pub(super) fn announce(&mut self, packet: u64, transport: u16) {
        if self.slots.is_empty() {
            self.slots = vec![Kept::default(); CAPACITY];
        }
        if let Some(slot) = self.slots.get_mut(slot(packet)) {
            (slot.packet, slot.transport) = (packet, transport);
            slot.datagram.clear();
        }
    }

    /// Keeps a datagram as it leaves, if it was announced and is not kept yet.
    pub(super) fn keep(&mut self, ssrc: u32, datagram: &[u8]) {
        let [128..=191, kind, s0, s1, _, _, _, _, c0, c1, c2, c3, ..] = datagram else { return };
        if (192..=223).contains(kind) || u32::from_be_bytes([*c0, *c1, *c2, *c3]) != ssrc {
            return;
        }
        let sequence = u16::from_be_bytes([*s0, *s1]);
        let Some(slot) = self.slots.get_mut(slot(sequence.into())) else { return };
        #[expect(clippy::cast_possible_truncation, reason = "sequence numbers are modulo 2^16")]
        let announced = slot.packet as u16 == sequence && slot.datagram.is_empty();
        if announced {
            slot.datagram.extend_from_slice(datagram);
        }
    }

    /// The datagram of a packet index, and its transport-wide sequence number.
    pub(super) fn get(&self, packet: u64) -> Option<(&[u8], u16)> {
        let slot = self.slots.get(slot(packet))?;
        let kept = slot.packet == packet && !slot.datagram.is_empty();
        kept.then_some((slot.datagram.as_slice(), slot.transport))
    }
}

/// The same for a packet index and for its sequence number alone: the capacity divides 2^16.
fn slot(packet: u64) -> usize {
    usize::try_from(packet % CAPACITY as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SSRC: u32 = 0x0102_0304;

    fn datagram(packet: u64, fill: u8) -> Vec<u8> {
        let mut datagram = vec![0x90, 96];
        datagram.extend_from_slice(&packet.to_be_bytes()[6..]);
        datagram.extend_from_slice(&[0; 4]);
        datagram.extend_from_slice(&SSRC.to_be_bytes());
        datagram.extend_from_slice(&[fill; 20]);
        datagram
    }

    #[test]
    fn a_datagram_is_kept_once_under_its_packet_index() {
        let mut copies = Copies::default();
        let packet = (3 << 16) + 65_535;
        copies.keep(SSRC, &datagram(packet, 1));
        assert_eq!(copies.get(packet), None, "it was not announced");
        copies.announce(packet, 7);
        assert_eq!(copies.get(packet), None, "it is not sealed yet");
        copies.keep(SSRC + 1, &datagram(packet, 1));
        copies.keep(SSRC, &[0x80, 200, 255, 255, 0, 0, 0, 0, 1, 2, 3, 4, 0]);
        assert_eq!(copies.get(packet), None, "another stream's, and RTCP");
        copies.keep(SSRC, &datagram(packet, 1));
        copies.keep(SSRC, &datagram(packet, 2));
        assert_eq!(copies.get(packet), Some((datagram(packet, 1).as_slice(), 7)));
        assert_eq!(copies.get(packet - (1 << 16)), None, "a round of sequence numbers earlier");
        copies.announce(packet + CAPACITY as u64, 8);
        assert_eq!(copies.get(packet), None);
    }
}
