//! Where captured sound belongs in the stream. Pure.
//!
//! Within a spurt positions count on by whole blocks. A spurt ends after a while of digital silence, on a whole frame of
//! two blocks. When the count has drifted from the clock by more than [`DRIFT`], a new spurt begins at the right place (late),
//! or blocks are left out until the clock has caught up (early).

use super::super::super::audio::{BLOCK_FRAMES, Block};
use crate::games::AUDIO_BLOCK;

/// 200 ms.
const DRIFT: u64 = 9_600;
/// Silent blocks before a spurt ends: 100 ms.
const HANGOVER: u32 = 10;

#[derive(Debug, Default)]
pub(super) struct Ear {
    /// Where the next block begins, in 1/48000 s since the stream's start.
    position: u64,
    talking: bool,
    /// Silent blocks in a row, and blocks of the spurt so far.
    quiet: u32,
    spurt: u64,
}

impl Ear {
    /// A block that was complete at `real`, in 1/48000 s of the stream's clock.
    pub(super) fn hear(&mut self, samples: Box<[i16; AUDIO_BLOCK]>, real: u64) -> Option<Block> {
        let begun = real.saturating_sub(BLOCK_FRAMES);
        let sounds = samples.iter().any(|sample| *sample != 0);
        self.quiet = if sounds { 0 } else { self.quiet.saturating_add(1) };
        if !sounds && !self.talking {
            return None;
        }
        if !sounds && self.quiet >= HANGOVER && self.spurt.is_multiple_of(2) {
            return self.fall_silent();
        }
        if !self.talking || begun > self.position + DRIFT {
            self.position = self.position.max(begun);
            self.spurt = 0;
        } else if self.position > begun + DRIFT {
            return None;
        }
        self.talking = true;
        self.spurt += 1;
        let block = Block { position: self.position, samples: Some(samples) };
        self.position += BLOCK_FRAMES;
        Some(block)
    }

    /// The game is silent, or nobody can hear it.
    pub(super) fn fall_silent(&mut self) -> Option<Block> {
        if !std::mem::take(&mut self.talking) {
            return None;
        }
        let block = Block { position: self.position, samples: None };
        if !self.spurt.is_multiple_of(2) {
            // The encoder fills the frame up.
            self.position += BLOCK_FRAMES;
        }
        Some(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Box<[i16; AUDIO_BLOCK]> {
        Box::new([100; AUDIO_BLOCK])
    }

    fn silence() -> Box<[i16; AUDIO_BLOCK]> {
        Box::new([0; AUDIO_BLOCK])
    }

    fn position(block: Option<Block>) -> u64 {
        block.filter(|block| block.samples.is_some()).expect("sound").position
    }

    #[test]
    fn positions_count_on_whatever_the_jitter() {
        let mut ear = Ear::default();
        for (index, jitter) in [0, 300, 20, 900, 9_000, 5].into_iter().enumerate() {
            let index = u64::try_from(index).expect("small");
            assert_eq!(position(ear.hear(sound(), 1_480 + index * 480 + jitter)), 1_000 + index * 480);
        }
    }

    #[test]
    fn short_silence_is_sent_and_long_silence_ends_the_spurt_on_a_whole_frame() {
        let mut ear = Ear::default();
        let mut now = 480;
        let mut hear = |samples| {
            now += 480;
            ear.hear(samples, now)
        };
        assert!(hear(silence()).is_none(), "nothing was heard yet");
        assert_eq!(position(hear(sound())), 960);
        let mut sent = 1;
        let end = loop {
            let block = hear(silence()).expect("a block");
            if block.samples.is_none() {
                break block;
            }
            sent += 1;
        };
        assert!(sent == 10 || sent == 12, "{sent}");
        assert_eq!(end.position, 960 + sent * 480);
        assert!(hear(silence()).is_none());
        let again = position(hear(sound()));
        assert!(again >= end.position, "{again}");
    }

    #[test]
    fn a_gap_is_jumped_over_and_a_burst_is_cut() {
        let mut ear = Ear::default();
        assert_eq!(position(ear.hear(sound(), 480)), 0);
        assert_eq!(position(ear.hear(sound(), 480 + 20_000)), 20_000);
        let burst = (0..30).filter(|_| ear.hear(sound(), 480 + 20_480).is_some()).count();
        assert_eq!(burst, 21, "200 ms and the block it is at");
        assert!(ear.hear(sound(), 480 + 21_440).is_some());
    }

    #[test]
    fn a_spurt_of_odd_length_leaves_room_for_the_encoder() {
        let mut ear = Ear::default();
        assert_eq!(position(ear.hear(sound(), 480)), 0);
        assert_eq!(ear.fall_silent().map(|block| block.position), Some(480));
        assert!(ear.fall_silent().is_none());
        assert_eq!(position(ear.hear(sound(), 960)), 960, "480 is taken by what the encoder fills up");
    }
}
