//! `playgate bots`: headless players, for load tests and for proof. Never imports `relay`.
//!
//! A bot does what a player's browser does and nothing else: it knows the public API, signaling and WebRTC. A run
//! ([`run`]) launches sessions and invites viewers to them, or sends visitors to an embed; each bot has a [`life`] and a [`card`] on which it is written
//! up; [`meter`] judges a stream by its headers, and [`report`] says what it all came to. Full bots are [`viewer`]s with a
//! decoder, over the `webrtc` crate; [`light`] ones open one packet in 64. The pieces are usable one by one: [`whep`] is a
//! plain WHEP client.

pub mod api;
pub mod card;
pub mod decode;
pub mod drops;
pub mod echo;
pub mod expect;
pub mod header;
pub mod input_plan;
pub mod join;
pub mod life;
pub mod light;
pub mod live;
pub mod media;
pub mod meter;
mod peer;
mod quality;
mod receive;
pub mod report;
mod retry;
pub mod run;
pub mod secret;
pub mod spread;
pub mod tls;
pub mod viewer;
mod visit;
pub mod whep;

use card::Mode;
use expect::Expectation;
use input_plan::InputPlan;
use secret::Secret;
use std::time::Duration;

/// What the bots are to do.
#[derive(Debug, Clone)]
pub struct BotsPlan {
    /// The gateway's address, as `playgate serve` prints it.
    pub url: String,
    /// Slug of the game that is launched; of no meaning where there is an embed.
    pub game: String,
    /// Instead: every viewer visits what this embed token is for. There is one group of them and nobody else.
    pub embed: Option<Secret>,
    /// Sessions at once; a user has one session, so each is a new guest's (or `sessions` is 1).
    pub sessions: u32,
    /// Bots invited to each session, beside the one that launched it.
    pub viewers: u32,
    /// How many of these play too.
    pub players: u32,
    /// Bots start evenly over this time.
    pub ramp: Duration,
    /// How long each bot watches after its first frame.
    pub duration: Duration,
    /// Where what is random begins.
    pub seed: u64,
    /// What playing bots do, and as it was written.
    pub input: InputPlan,
    pub input_text: String,
    /// A user's token instead of a new guest.
    pub token: Option<String>,
    pub mode: Mode,
    /// Every so manyth bot is full, whatever the mode; 0: none.
    pub full_every: u32,
    pub expect: Vec<Expectation>,
    /// Take any TLS certificate.
    pub insecure: bool,
}

impl BotsPlan {
    /// Bots of a session: who launched it, where somebody does, and the others.
    #[must_use]
    pub fn group(&self) -> usize {
        let viewers = usize::try_from(self.viewers).unwrap_or_default();
        viewers + usize::from(self.embed.is_none())
    }

    /// What is played, in a word.
    #[must_use]
    pub fn what(&self) -> &str {
        if self.embed.is_some() { "an embed" } else { &self.game }
    }

    /// The plan for a report: no secret in it.
    #[must_use]
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let mode = match self.mode {
            Mode::Full => "full",
            Mode::Light => "light",
        };
        vec![
            ("url", self.url.clone()),
            ("game", self.what().to_owned()),
            ("sessions", self.sessions.to_string()),
            ("viewers of a session", self.viewers.to_string()),
            ("of these play", self.players.to_string()),
            ("ramp", format!("{} ms", self.ramp.as_millis())),
            ("duration", format!("{} ms", self.duration.as_millis())),
            ("seed", self.seed.to_string()),
            ("input", self.input_text.clone()),
            ("mode", mode.to_owned()),
            ("full every", self.full_every.to_string()),
        ]
    }
}

#[cfg(test)]
mod tests;
