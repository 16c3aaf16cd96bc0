//! A small seeded generator of pseudo-random numbers (the SplitMix64 sequence): the same seed gives the same game on
//! every machine. Not for secrets.

/// The state of the sequence.
#[derive(Debug, Clone)]
pub(in crate::games) struct Random(u64);

impl Random {
    pub(in crate::games) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(in crate::games) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// 0 to below 1.
    pub(in crate::games) fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1_u64 << 24) as f32
    }

    /// `low` to below `high`.
    pub(in crate::games) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// 0 to below `count`; 0 when `count` is 0.
    pub(in crate::games) fn below(&mut self, count: u32) -> u32 {
        (((self.next() >> 32) * u64::from(count)) >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_inside_their_ranges() {
        let (mut a, mut b) = (Random::new(7), Random::new(7));
        for _ in 0..1_000 {
            assert_eq!(a.next(), b.next());
            let unit = a.unit();
            assert!((0.0..1.0).contains(&unit));
            assert!(a.below(6) < 6);
            assert_eq!(unit, b.unit());
            b.below(6);
        }
        assert_eq!(a.below(0), 0);
    }
}
