//! The packets of one frame, side by side, so that those of equal size leave with one system call.
//!
//! The kernel cuts one buffer into datagrams of equal size, of which only the last may be shorter (`UDP_SEGMENT`). A frame is
//! one such run; a key frame two, because its parameter sets make a small packet of their own.

/// Packets in their order; keeps its memory when emptied.
#[derive(Debug, Default)]
pub(super) struct Burst {
    bytes: Vec<u8>,
    sizes: Vec<usize>,
}

impl Burst {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.sizes.clear();
    }

    pub(super) fn push(&mut self, packet: &[u8]) {
        if !packet.is_empty() {
            self.bytes.extend_from_slice(packet);
            self.sizes.push(packet.len());
        }
    }

    /// Runs of at most `most` packets and `most_bytes` bytes, each with the size of all its packets but perhaps the last.
    pub(super) fn runs(&self, most: usize, most_bytes: usize) -> impl Iterator<Item = (&[u8], usize)> {
        let (mut bytes, mut sizes) = (self.bytes.as_slice(), self.sizes.as_slice());
        std::iter::from_fn(move || {
            let size = *sizes.first()?;
            let room = (most_bytes / size).min(most).max(1);
            let equal = sizes.iter().take(room).take_while(|other| **other == size).count();
            let shorter = equal < room && sizes.get(equal).is_some_and(|last| *last < size);
            let count = equal + usize::from(shorter);
            let (run, left) = bytes.split_at_checked(sizes[..count].iter().sum())?;
            (bytes, sizes) = (left, &sizes[count..]);
            Some((run, size))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn runs(sizes: &[usize], most: usize, most_bytes: usize) -> Vec<(usize, usize)> {
        let mut burst = Burst::default();
        for size in sizes {
            burst.push(&vec![0; *size]);
        }
        burst.runs(most, most_bytes).map(|(run, size)| (run.len(), size)).collect()
    }

    #[test]
    fn a_frame_is_one_run_and_a_key_frame_two() {
        assert_eq!(runs(&[1100, 1100, 1100, 1090], 64, 65_000), [(4390, 1100)]);
        assert_eq!(runs(&[40, 1100, 1100, 1090], 64, 65_000), [(40, 40), (3290, 1100)]);
        assert_eq!(runs(&[300], 64, 65_000), [(300, 300)]);
        assert_eq!(runs(&[], 64, 65_000), []);
    }

    #[test]
    fn runs_end_at_the_kernels_bounds() {
        assert_eq!(runs(&[1000; 5], 2, 65_000), [(2000, 1000), (2000, 1000), (1000, 1000)]);
        assert_eq!(runs(&[1000; 5], 64, 3500), [(3000, 1000), (2000, 1000)]);
        assert_eq!(runs(&[1000, 900, 900], 1, 65_000), [(1000, 1000), (900, 900), (900, 900)]);
    }

    proptest! {
        #[test]
        fn cut_as_the_kernel_cuts_them_the_packets_are_the_same(
            sizes in prop::collection::vec(prop_oneof![1..1200_usize, Just(1000)], 0..60),
            most in 1..64_usize,
        ) {
            let mut burst = Burst::default();
            let packets: Vec<Vec<u8>> =
                sizes.iter().enumerate().map(|(at, size)| vec![u8::try_from(at).expect("few"); *size]).collect();
            packets.iter().for_each(|packet| burst.push(packet));
            let cut: Vec<Vec<u8>> =
                burst.runs(most, 65_000).flat_map(|(run, size)| run.chunks(size).map(<[u8]>::to_vec)).collect();
            prop_assert_eq!(cut, packets);
        }
    }
}
