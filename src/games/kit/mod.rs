//! What both games draw, sound and read input with. Knows no game; holds no clock and no randomness of its own.

pub(super) mod area;
pub(super) mod brush;
pub(super) mod glyphs;
pub(super) mod paint;
pub(super) mod presses;
pub(super) mod random;
pub(super) mod synth;
pub(super) mod text;

/// Width of every picture, in pixels.
pub(super) const WIDTH: u32 = 1280;
/// Height of every picture, in pixels.
pub(super) const HEIGHT: u32 = 720;

/// Slow, fast, slow: 0-1 to 0-1.
pub(super) fn smooth(t: f32) -> f32 {
    let t = t.clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Fast, then slow: 0-1 to 0-1.
pub(super) fn ease_out(t: f32) -> f32 {
    let rest = 1.0 - t.clamp(0.0, 1.0);
    1.0 - rest * rest * rest
}
