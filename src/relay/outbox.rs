//! What is on its way to one viewer: packets one behind the other in one piece of memory, written once and sent from there.
//!
//! One outbox serves a whole shard, viewer after viewer, and keeps its memory: sending allocates nothing. It is bounded;
//! a packet that does not fit is not written, and the viewer it was for goes on at the next key frame. Packets that a full
//! socket did not take wait in an outbox of their viewer's.

/// Room for one viewer's packets: what a full ring of ordinary packets takes.
const CAPACITY: usize = 4 << 20;

/// Packets for one destination, in order.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    used: usize,
    lengths: Vec<usize>,
    refused: u64,
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.used = 0;
        self.lengths.clear();
        self.refused = 0;
    }

    pub(super) fn len(&self) -> usize {
        self.lengths.len()
    }

    /// The packet written last.
    pub(super) fn last(&self) -> &[u8] {
        let len = self.lengths.last().copied().unwrap_or(0);
        self.bytes.get(self.used - len..self.used).unwrap_or_default()
    }

    /// Forgets all packets but the last `left`.
    pub(super) fn keep_last(&mut self, left: usize) {
        let gone = self.lengths.len().saturating_sub(left);
        let bytes: usize = self.lengths.drain(..gone).sum();
        self.bytes.copy_within(bytes..self.used, 0);
        self.used -= bytes;
    }

    /// Takes over the last `count` packets of another outbox, in their order, while there are at most `most` bytes here.
    /// Gives how many.
    pub(super) fn append_last(&mut self, other: &Self, count: usize, most: usize) -> usize {
        let skipped = other.lengths.len().saturating_sub(count);
        let (before, lengths) = other.lengths.split_at_checked(skipped).unwrap_or_default();
        let mut at: usize = before.iter().sum();
        for (taken, len) in lengths.iter().enumerate() {
            let packet = other.bytes.get(at..at + len).unwrap_or_default();
            let fits = self.used + len <= most;
            if !fits
                || !self.push(*len, |place| {
                    place.copy_from_slice(packet);
                    true
                })
            {
                return taken;
            }
            at += len;
        }
        lengths.len()
    }

    /// Packets that their writer took back.
    pub(super) fn refused(&self) -> u64 {
        self.refused
    }

    /// Appends a packet of `len` bytes that `write` fills; it is taken back when `write` says false.
    pub(super) fn push(&mut self, len: usize, write: impl FnOnce(&mut [u8]) -> bool) -> bool {
        let end = self.used + len;
        if end > CAPACITY {
            return false;
        }
        if self.bytes.len() < end {
            self.bytes.resize(end.next_power_of_two(), 0);
        }
        let written = self.bytes.get_mut(self.used..end).is_some_and(write);
        if written {
            self.used = end;
            self.lengths.push(len);
        } else {
            self.refused += 1;
        }
        written
    }

    /// Runs for one GSO send each: packets of equal size, the last of a run may be shorter; at most `segments` packets and
    /// `bytes` bytes. Gives the bytes and the size of a segment.
    pub(super) fn runs(&self, segments: usize, bytes: usize) -> Runs<'_> {
        let written = self.bytes.get(..self.used).unwrap_or_default();
        Runs { bytes: written, lengths: &self.lengths, segments: segments.max(1), most: bytes }
    }
}

/// See [`Outbox::runs`].
#[derive(Debug)]
pub(super) struct Runs<'a> {
    bytes: &'a [u8],
    lengths: &'a [usize],
    segments: usize,
    most: usize,
}

impl Runs<'_> {
    /// Packets not yet given.
    pub(super) fn left(&self) -> usize {
        self.lengths.len()
    }
}

impl<'a> Iterator for Runs<'a> {
    type Item = (&'a [u8], usize);

    fn next(&mut self) -> Option<Self::Item> {
        let size = *self.lengths.first()?;
        let (mut packets, mut bytes) = (0, 0);
        for len in self.lengths.iter().take(self.segments) {
            if *len > size || (packets > 0 && bytes + len > self.most) {
                break;
            }
            packets += 1;
            bytes += len;
            if *len < size {
                break;
            }
        }
        self.lengths = self.lengths.get(packets..).unwrap_or_default();
        let (run, rest) = self.bytes.split_at_checked(bytes)?;
        self.bytes = rest;
        Some((run, size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filled(lengths: &[usize]) -> Outbox {
        let mut out = Outbox::default();
        for (at, len) in lengths.iter().enumerate() {
            let mark = u8::try_from(at % 251).unwrap_or(0);
            assert!(out.push(*len, |packet| {
                packet.fill(mark);
                true
            }));
        }
        out
    }

    fn shape(lengths: &[usize], segments: usize) -> Vec<(usize, usize)> {
        filled(lengths).runs(segments, 65_000).map(|(run, size)| (run.len(), size)).collect()
    }

    #[test]
    fn runs_are_of_equal_size_and_may_end_shorter() {
        assert_eq!(shape(&[1200, 1200, 700, 700], 64), [(3100, 1200), (700, 700)]);
        assert_eq!(shape(&[700, 1200], 64), [(700, 700), (1200, 1200)]);
        assert_eq!(shape(&[1200; 100], 64)[0], (54 * 1200, 1200), "limited by the size of a datagram");
        assert_eq!(shape(&[100; 100], 64)[0], (6400, 100), "and by the number of segments");
        assert!(shape(&[], 64).is_empty());
    }

    #[test]
    fn the_rest_of_an_outbox_waits_in_another_in_order() {
        let out = filled(&[100, 200, 300, 400]);
        let mut waiting = Outbox::default();
        assert_eq!(waiting.append_last(&out, 0, 1000), 0);
        assert_eq!(waiting.append_last(&out, 3, 1000), 3);
        assert_eq!(waiting.append_last(&out, 2, 1100), 0, "there is no room");
        assert_eq!((waiting.len(), waiting.last()), (3, [3; 400].as_slice()));
        waiting.keep_last(2);
        let packets: Vec<_> = waiting.runs(1, 65_000).map(|(packet, _)| (packet.len(), packet[0])).collect();
        assert_eq!(packets, [(300, 2), (400, 3)]);
        waiting.keep_last(0);
        assert!(waiting.is_empty());
    }

    #[test]
    fn what_does_not_fit_is_told_and_what_is_refused_leaves_nothing() {
        let mut out = Outbox::default();
        assert!(!out.push(10, |_| false) && out.is_empty());
        assert!(out.push(CAPACITY, |_| true));
        assert!(!out.push(1, |_| true));
        out.clear();
        assert!(out.is_empty());
    }

    proptest! {
        #[test]
        fn runs_carry_every_packet_in_order(lengths in proptest::collection::vec(1usize..1500, 0..200), segments in 1usize..65) {
            let out = filled(&lengths);
            let mut packets = Vec::new();
            for (run, size) in out.runs(segments, 65_000) {
                prop_assert!(run.len() <= 65_000 && run.len().div_ceil(size) <= segments);
                packets.extend(run.chunks(size).map(|packet| (packet.len(), packet[0])));
            }
            let expected: Vec<_> = lengths.iter().enumerate().map(|(at, len)| (*len, (at % 251) as u8)).collect();
            prop_assert_eq!(packets, expected);
        }
    }
}
