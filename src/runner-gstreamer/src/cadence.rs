//! How often frames really come, for encoders whose rate control gives each frame the same share of a second.
//!
//! Such an encoder was told a frame rate. Where a game draws half as often, it would spend half of the bitrate; so it is
//! asked for as much more as frames come less often. Pure: instants in, a rate out.

use std::time::{Duration, Instant};

/// A longer gap is a pause of the picture and says nothing about the rate of a game.
const PAUSE: Duration = Duration::from_millis(250);
/// Of the way to a longer gap, and to a shorter one: a rate that is too high must end with the next frames.
const SLOWER: f64 = 0.05;
const FASTER: f64 = 0.5;
/// A change that is not worth one of the encoder's.
const SAME: std::ops::Range<f64> = 0.9..1.12;

#[derive(Debug)]
pub(crate) struct Cadence {
    /// Seconds between frames that the encoder was told.
    told: f64,
    /// Seconds between frames at the most frames that may come.
    least: f64,
    /// What the gaps tend to.
    gap: f64,
    last: Option<Instant>,
    /// What was answered last.
    scale: f64,
}

impl Cadence {
    /// For an encoder that was told `fps`.
    pub(crate) fn new(fps: u32) -> Self {
        let told = 1.0 / f64::from(fps.max(1));
        Self { told, least: told, gap: told, last: None, scale: 1.0 }
    }

    /// Frames come at most so often from now on; the encoder still goes by what it was told.
    pub(crate) fn set_fps(&mut self, fps: u32) {
        self.least = 1.0 / f64::from(fps.max(1));
        self.gap = self.least;
    }

    /// A frame was drawn at `at`. What the bitrate is to be multiplied with, when that is something else than before.
    pub(crate) fn frame(&mut self, at: Instant) -> Option<f64> {
        if let Some(gap) = self.last.map(|last| at.saturating_duration_since(last))
            && gap < PAUSE
        {
            let gap = gap.as_secs_f64().max(self.least);
            self.gap += (gap - self.gap) * if gap > self.gap { SLOWER } else { FASTER };
        }
        self.last = Some(at);
        let scale = self.gap / self.told;
        if SAME.contains(&(scale / self.scale)) {
            return None;
        }
        self.scale = scale;
        Some(scale)
    }

    /// What was answered last.
    pub(crate) fn scale(&self) -> f64 {
        self.scale
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale_after(cadence: &mut Cadence, at: &mut Instant, frames: u32, gap_ms: u64) -> f64 {
        for _ in 0..frames {
            *at += Duration::from_millis(gap_ms);
            cadence.frame(*at);
        }
        cadence.scale()
    }

    #[test]
    fn half_the_frames_have_twice_the_share_each_and_a_burst_ends_that_at_once() {
        let (mut cadence, mut at) = (Cadence::new(50), Instant::now());
        assert_eq!(scale_after(&mut cadence, &mut at, 100, 20), 1.0);
        let half = scale_after(&mut cadence, &mut at, 200, 40);
        assert!((1.75..=2.0).contains(&half), "{half}");
        let full = scale_after(&mut cadence, &mut at, 4, 20);
        assert!((1.0..1.15).contains(&full), "{full}");
    }

    #[test]
    fn a_still_picture_says_nothing() {
        let (mut cadence, mut at) = (Cadence::new(50), Instant::now());
        assert_eq!(scale_after(&mut cadence, &mut at, 60, 1000), 1.0);
        assert_eq!(scale_after(&mut cadence, &mut at, 10, 20), 1.0);
    }

    #[test]
    fn frames_closer_than_allowed_do_not_lower_the_rate() {
        let (mut cadence, mut at) = (Cadence::new(50), Instant::now());
        assert_eq!(scale_after(&mut cadence, &mut at, 60, 10), 1.0);
    }

    #[test]
    fn another_frame_rate_counts_against_what_the_encoder_was_told() {
        let (mut cadence, mut at) = (Cadence::new(30), Instant::now());
        cadence.set_fps(60);
        let scale = scale_after(&mut cadence, &mut at, 60, 17);
        assert!((0.45..0.55).contains(&scale), "{scale}");
    }
}
