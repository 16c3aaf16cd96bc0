//! What the stream is asked for when a player's link is narrower than the game's settings: bitrate first, then fewer frames
//! a second. The runner itself makes the picture smaller when the bitrate is too little for its size.

use super::super::catalogue::Game;
use super::Actor;
use playgate_signaling::runner::GatewayMessage;

/// Below these parts of the game's bitrate only every second, or third, frame is shown.
const SECOND: f64 = 0.25;
const THIRD: f64 = 0.1;
/// A frame rate comes back only this much above the part at which it fell, so that it does not swing.
const BACK: f64 = 1.3;
const LEAST_FPS: u32 = 10;

/// A game's bitrate and frame rate, and what of them its runner was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StreamRate {
    full: Rate,
    told: Rate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rate {
    kbps: u32,
    fps: u32,
}

impl StreamRate {
    pub(super) fn new(game: &Game) -> Self {
        let full = Rate { kbps: game.kbps, fps: game.fps };
        Self { full, told: full }
    }

    /// What to tell the runner now that the link carries `kbps` of video; `None`: as much as anybody likes.
    fn link(&mut self, kbps: Option<u32>) -> Vec<GatewayMessage> {
        let kbps = kbps.map_or(self.full.kbps, |kbps| kbps.min(self.full.kbps));
        let part = f64::from(kbps) / f64::from(self.full.kbps.max(1));
        let divided = |by: u32| (self.full.fps / by).max(LEAST_FPS.min(self.full.fps));
        let falls = |divisor: u32, below: f64| {
            let has_fallen = self.told.fps <= divided(divisor);
            part < if has_fallen { below * BACK } else { below }
        };
        let fps = match (falls(3, THIRD), falls(2, SECOND)) {
            (true, _) => divided(3),
            (false, true) => divided(2),
            (false, false) => self.full.fps,
        };
        let told = std::mem::replace(&mut self.told, Rate { kbps, fps });
        self.differences(told)
    }

    /// What a runner that starts with the game's settings must be told.
    fn again(&self) -> Vec<GatewayMessage> {
        self.differences(self.full)
    }

    fn differences(&self, known: Rate) -> Vec<GatewayMessage> {
        let Rate { kbps, fps } = self.told;
        let bitrate = (kbps != known.kbps).then_some(GatewayMessage::Bitrate { kbps });
        let frames = (fps != known.fps).then_some(GatewayMessage::Fps { fps });
        bitrate.into_iter().chain(frames).collect()
    }
}

impl Actor {
    pub(super) fn on_link_rate(&mut self, kbps: Option<u32>) {
        for message in self.rate.link(kbps) {
            tracing::debug!(session = %self.row.id, ?message, "the stream follows the player's link");
            self.tell_runner(message);
        }
    }

    /// A runner that has just connected knows only the game's settings.
    pub(super) fn tell_rate_again(&self) {
        for message in self.rate.again() {
            self.tell_runner(message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use GatewayMessage::{Bitrate, Fps};

    fn rate() -> StreamRate {
        let full = Rate { kbps: 4000, fps: 60 };
        StreamRate { full, told: full }
    }

    #[test]
    fn a_wide_link_changes_nothing() {
        let mut rate = rate();
        assert_eq!(rate.link(Some(12_000)), []);
        assert_eq!(rate.link(None), []);
        assert_eq!(rate.again(), []);
    }

    #[test]
    fn bitrate_falls_first_and_frames_when_it_is_little() {
        let mut rate = rate();
        assert_eq!(rate.link(Some(1300)), [Bitrate { kbps: 1300 }]);
        assert_eq!(rate.link(Some(900)), [Bitrate { kbps: 900 }, Fps { fps: 30 }]);
        assert_eq!(rate.link(Some(1100)), [Bitrate { kbps: 1100 }], "not yet back");
        assert_eq!(rate.again(), [Bitrate { kbps: 1100 }, Fps { fps: 30 }]);
        assert_eq!(rate.link(Some(300)), [Bitrate { kbps: 300 }, Fps { fps: 20 }]);
        assert_eq!(rate.link(None), [Bitrate { kbps: 4000 }, Fps { fps: 60 }]);
    }

    #[test]
    fn few_frames_are_not_made_fewer_than_ten() {
        let full = Rate { kbps: 400, fps: 15 };
        let mut rate = StreamRate { full, told: full };
        assert_eq!(rate.link(Some(10)), [Bitrate { kbps: 10 }, Fps { fps: 10 }]);
    }
}
