//! Clients that are not our page.

use super::joined;
use crate::GARDEN;
use crate::support::gateway::Gateway;
use crate::support::wait::{PATIENT, SOON};
use playgate::bots::join::{JoinOptions, join};
use playgate::bots::media::local_addresses;
use playgate::bots::viewer::{Srtp, ViewerOptions};
use playgate::bots::whep::{WhepEndpoint, WhepError};
use playgate_signaling::input::InputFrame;
use playgate_signaling::message::Role;
use serde_json::json;
use std::net::SocketAddr;

/// USB HID usage of the Enter key.
const ENTER: u16 = 0x28;

fn endpoint(gateway: &Gateway, session: &str, client: &crate::support::http::Client) -> WhepEndpoint {
    WhepEndpoint {
        http: client.http(),
        url: format!("{}/session/{session}/whep", gateway.url).parse().unwrap(),
        token: client.token.clone(),
    }
}

fn viewing(gateway: &Gateway) -> ViewerOptions {
    let remote = SocketAddr::from(([127, 0, 0, 1], gateway.port()));
    ViewerOptions { local: local_addresses(&[remote]), srtp: Srtp::Gcm, input: false, keep_picture: true }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whep_client_receives_h264_with_the_marker() {
    let gateway = Gateway::start().await;
    let player = gateway.guest().await;
    let session = player.launch(GARDEN).await;
    // While the game starts the endpoint says Retry-After; the client comes again.
    let (viewer, resource) =
        endpoint(&gateway, &session, &player).watch(&viewing(&gateway), 20).await.unwrap();
    assert!(
        resource.location.path().starts_with(&format!("/session/{session}/whep/")),
        "{}",
        resource.location
    );
    let stats = viewer.wait_for("a marked picture", PATIENT, |stats| stats.marked > 0).await.unwrap();
    assert_eq!((stats.width, stats.height), (1280, 720));
    let picture = viewer.picture().unwrap();
    assert!(
        picture.luma.iter().any(|luma| luma.abs_diff(picture.luma[0]) > 40),
        "the picture shows something"
    );
    resource.delete().await.unwrap();
    viewer.close().await;
    player.stop(&session).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whep_client_without_a_token_is_refused() {
    let gateway = Gateway::start().await;
    let player = gateway.guest().await;
    let session = player.launch_running(GARDEN).await;
    let mut stranger = endpoint(&gateway, &session, &player);
    stranger.token = None;
    let refused = stranger.watch(&viewing(&gateway), 1).await.err().expect("no token");
    // It comes out of the negotiation, wrapped: its words tell the status.
    assert!(refused.to_string().contains("401"), "{refused}");
    stranger.token = gateway.guest().await.token;
    let refused: WhepError = stranger.watch(&viewing(&gateway), 1).await.err().expect("another user's token");
    assert!(refused.to_string().contains("404"), "{refused}");
    player.stop(&session).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_limited_to_aes_cm_plays_at_its_first_try() {
    let gateway = Gateway::start().await;
    let player = gateway.guest().await;
    let session = player.launch_running(GARDEN).await;
    let old = JoinOptions { role: Role::Player, srtp: Srtp::AesCm, keep_picture: false, insecure: false };
    let joined = join(&player.api(), &session, &old).await.unwrap();
    joined.viewer.wait_for("a frame", SOON, |stats| stats.frames > 0).await.unwrap();
    let cipher = joined.viewer.cipher().await;
    assert!(cipher.to_uppercase().contains("CM_HMAC_SHA1"), "{cipher}");
    joined.viewer.close().await;
    joined.signaling.close().await;
    player.stop(&session).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_on_the_data_channel_reaches_the_game() {
    let gateway = Gateway::start().await;
    let player = gateway.guest().await;
    let session = player.launch_running(GARDEN).await;
    let joined = joined(&player, &session, Role::Player).await.unwrap();
    let seen = joined.viewer.wait_for("a marker", PATIENT, |stats| stats.marker.is_some()).await.unwrap();
    let before = seen.marker.map(|marker| marker.input);
    joined.viewer.input_open().await.unwrap();
    for down in [true, false] {
        joined.viewer.send_input(&InputFrame::Key { usage: ENTER, down }.to_bytes()).await.unwrap();
    }
    let counted =
        |stats: &playgate::bots::viewer::ViewerStats| stats.marker.map(|marker| marker.input) != before;
    joined.viewer.wait_for("the press in the marker", SOON, counted).await.unwrap();
    joined.viewer.close().await;
    player.stop(&session).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_users_play_at_once() {
    let gateway = Gateway::start().await;
    let (one, two) = tokio::join!(gateway.guest(), gateway.guest());
    let (first, second) = tokio::join!(one.launch_running(GARDEN), two.launch_running(GARDEN));
    assert_ne!(first, second);
    let (a, b) = tokio::join!(joined(&one, &first, Role::Player), joined(&two, &second, Role::Player));
    for joined in [&a.unwrap(), &b.unwrap()] {
        joined.viewer.wait_for("a frame", PATIENT, |stats| stats.frames > 0).await.unwrap();
    }
    let foreign = two.post("/api/game/stop", json!({ "sessionId": first })).await;
    assert_eq!((foreign.status.as_u16(), foreign.error()), (404, "not_found"));
    tokio::join!(one.stop(&first), two.stop(&second));
    gateway.finish().await;
}
