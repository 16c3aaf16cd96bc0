//! Draws without state: what is drawn for a packet depends on the seed, the packet's number and the purpose, and on
//! nothing that was drawn before. So a change of one setting leaves all other fates as they were.

/// What a draw is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    Turn = 1,
    Loss,
    Duplicate,
    Jitter,
    Reorder,
}

/// From 0 (included) to 1 (not).
pub(super) fn draw(seed: u64, number: u64, purpose: Purpose) -> f64 {
    let bits = mix(mix(seed.wrapping_add(number.wrapping_mul(GOLDEN))).wrapping_add(purpose as u64));
    // 53 bits are what a double holds exactly.
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// The seed of a part of something seeded.
pub(super) fn derive(seed: u64, part: u64) -> u64 {
    mix(mix(seed) ^ part.wrapping_mul(GOLDEN))
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The step of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(GOLDEN);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
