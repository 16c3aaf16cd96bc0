//! `playgate bots`: headless players over the `webrtc` crate, for load tests and for proof. Never imports `relay`.
//!
//! A bot does what a player's browser does and nothing else: it knows the public API, signaling and WebRTC. Its pieces
//! are usable one by one: [`viewer`] is a WebRTC viewer with a decoder, [`whep`] a plain WHEP client.

pub mod api;
pub mod bot;
pub mod decode;
pub mod h264;
pub mod join;
pub mod media;
pub mod reorder;
pub mod report;
pub mod tls;
pub mod viewer;
pub mod whep;

use report::Report;
use std::time::Duration;

/// What the bots are to do.
#[derive(Debug, Clone)]
pub struct BotsPlan {
    /// The gateway's address, as `playgate serve` prints it.
    pub url: String,
    /// Slug of the game each bot launches.
    pub game: String,
    /// Bots at once; a user has one session, so each bot is a guest of its own (or `sessions` is 1).
    pub sessions: u32,
    /// How long each bot counts frames after its first one.
    pub duration: Duration,
    /// A user's token instead of a new guest.
    pub token: Option<String>,
    /// Take any TLS certificate.
    pub insecure: bool,
    /// Fewer decoded frames are a failure.
    pub expect_frames: Option<u64>,
    /// Press a key once a second.
    pub keys: bool,
}

/// Runs all bots side by side and waits for the last one.
pub async fn run(plan: &BotsPlan) -> Result<Report, reqwest::Error> {
    let http = reqwest::Client::builder()
        .tls_danger_accept_invalid_certs(plan.insecure)
        .timeout(Duration::from_secs(30))
        .build()?;
    let bots = (0..plan.sessions).map(|_| bot::run(plan, http.clone()));
    Ok(Report { outcomes: futures_util::future::join_all(bots).await })
}

#[cfg(test)]
mod tests;
