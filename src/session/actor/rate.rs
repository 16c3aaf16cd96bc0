//! What the stream is asked for when a player's link is narrower than the game's settings: a bitrate. What becomes of the
//! picture at that bitrate - coarser, smaller, fewer a second - is the runner's to decide: it alone sees what pictures cost.

use super::super::catalogue::Game;
use super::Actor;
use playgate_signaling::runner::GatewayMessage;

/// A game's bitrate, and what of it its runner was told, in kbit/s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StreamRate {
    full: u32,
    told: u32,
}

impl StreamRate {
    pub(super) fn new(game: &Game) -> Self {
        Self { full: game.kbps, told: game.kbps }
    }

    /// What to tell the runner now that the link carries `kbps` of video; `None`: as much as anybody likes.
    fn link(&mut self, kbps: Option<u32>) -> Option<GatewayMessage> {
        let kbps = kbps.map_or(self.full, |kbps| kbps.min(self.full));
        let told = std::mem::replace(&mut self.told, kbps);
        (kbps != told).then_some(GatewayMessage::Bitrate { kbps })
    }

    /// What a runner that starts with the game's settings must be told.
    fn again(&self) -> Option<GatewayMessage> {
        (self.told != self.full).then_some(GatewayMessage::Bitrate { kbps: self.told })
    }
}

impl Actor {
    pub(super) fn on_link_rate(&mut self, kbps: Option<u32>) {
        if let Some(message) = self.rate.link(kbps) {
            tracing::debug!(session = %self.row.id, ?message, "the stream follows the player's link");
            self.tell_runner(message);
        }
    }

    /// A runner that has just connected knows only the game's settings.
    pub(super) fn tell_rate_again(&self) {
        if let Some(message) = self.rate.again() {
            self.tell_runner(message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use GatewayMessage::Bitrate;

    #[test]
    fn a_wide_link_changes_nothing() {
        let mut rate = StreamRate { full: 4000, told: 4000 };
        assert_eq!((rate.link(Some(12_000)), rate.link(None), rate.again()), (None, None, None));
    }

    #[test]
    fn a_narrow_link_lowers_the_bitrate_also_for_a_runner_that_comes_later() {
        let mut rate = StreamRate { full: 4000, told: 4000 };
        assert_eq!(rate.link(Some(1300)), Some(Bitrate { kbps: 1300 }));
        assert_eq!((rate.link(Some(1300)), rate.again()), (None, Some(Bitrate { kbps: 1300 })));
        assert_eq!((rate.link(None), rate.again()), (Some(Bitrate { kbps: 4000 }), None));
    }
}
