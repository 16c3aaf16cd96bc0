//! What the tests here do with a game of ours in a container.

use crate::support::http::Client;
use crate::support::story::until_saved;
use crate::support::wait::PATIENT;
use playgate::bots::join::{JoinOptions, Joined, join};
use playgate::bots::viewer::Srtp;
use playgate_signaling::message::Role;

/// The arcade game: it moves all the time, and its marker counts frames.
pub(super) const EMBER: &str = "ember";

pub(super) async fn joined(client: &Client, session: &str) -> Joined {
    let options = JoinOptions { role: Role::Player, srtp: Srtp::Gcm, keep_picture: false, insecure: false };
    join(&client.api(), session, &options).await.unwrap()
}

/// The number on the newest frame.
pub(super) async fn counter(joined: &Joined) -> u32 {
    let seen = joined.viewer.wait_for("a marker", PATIENT, |stats| stats.marker.is_some()).await.unwrap();
    seen.marker.map_or(0, |marker| marker.frame)
}

/// Waits for a frame with a higher number; gives it.
pub(super) async fn counts_on(joined: &Joined, from: u32) -> u32 {
    let higher =
        |stats: &playgate::bots::viewer::ViewerStats| stats.marker.is_some_and(|marker| marker.frame > from);
    let seen = joined.viewer.wait_for("a later frame of the same game", PATIENT, higher).await.unwrap();
    seen.marker.map_or(0, |marker| marker.frame)
}

/// Plays the story until the game has written a save by itself.
pub(super) async fn play_until_saved(player: &Client, session: &str) {
    let mut joined = joined(player, session).await;
    until_saved(&mut joined).await;
    joined.viewer.close().await;
}

/// The version the user's first slot holds; `None` while it is empty.
pub(super) async fn save_version(player: &Client, game: &str) -> Option<String> {
    let slots = player.slots(game).await;
    slots.iter().find_map(|slot| slot["versionId"].as_str()).map(str::to_owned)
}

/// Waits, longer than a launch takes where everything is here, until a session has the status.
pub(super) async fn until_status(player: &Client, session: &str, wanted: &str) -> serde_json::Value {
    crate::support::wait::eventually(
        &format!("the session is {wanted}"),
        crate::support::engine::LONG,
        async || {
            let status = player.status(session).await;
            if status["status"] == wanted { Ok(status) } else { Err(format!("{status:#}")) }
        },
    )
    .await
}
