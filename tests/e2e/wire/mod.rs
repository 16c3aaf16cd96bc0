//! What needs no browser: the HTTP API, signaling and WebRTC by the bots' own client.

mod bots;
mod control;
mod crashes;
mod embeds;
mod events;
mod files;
mod grants;
mod logs;
mod metrics;
mod other_players;
mod refusals;
mod standard_client;
mod store_lock;
mod thumbnail;

use crate::support::http::Client;
use playgate::bots::join::{JoinError, JoinOptions, Joined, join};
use playgate::bots::viewer::Srtp;
use playgate_signaling::message::Role;

/// The slug of the built-in game that is not the visual novel.
pub(crate) async fn arcade(client: &Client) -> String {
    let body = client.get("/api/games").await.expect(200);
    let games = body["games"].as_array().expect("a list of games");
    let slugs = games.iter().filter_map(|game| game["slug"].as_str());
    slugs.filter(|slug| *slug != crate::GARDEN).map(str::to_owned).next().expect("a second built-in game")
}

/// Joins with the client's token and keeps pictures.
async fn joined(client: &Client, session: &str, role: Role) -> Result<Joined, JoinError> {
    let options = JoinOptions { role, srtp: Srtp::Gcm, keep_picture: true, insecure: false };
    join(&client.api(), session, &options).await
}
