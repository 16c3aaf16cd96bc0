//! Invited people: players, spectators, and grants that are no more.

use super::joined;
use crate::GARDEN;
use crate::support::gateway::Gateway;
use crate::support::wait::{PATIENT, SOON, eventually};
use playgate::bots::join::Joined;
use playgate_signaling::input::InputFrame;
use playgate_signaling::message::Role;
use std::time::Duration;

/// USB HID usage of the Enter key.
const ENTER: u16 = 0x28;

async fn presses(joined: &Joined) -> u16 {
    let seen = joined.viewer.wait_for("a marker", PATIENT, |stats| stats.marker.is_some()).await.unwrap();
    seen.marker.map_or(0, |marker| marker.input)
}

async fn press(joined: &Joined) {
    for down in [true, false] {
        joined.viewer.send_input(&InputFrame::Key { usage: ENTER, down }.to_bytes()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owner_and_invited_player_play_and_a_spectators_input_changes_nothing() {
    let gateway = Gateway::start().await;
    let owner = gateway.guest().await;
    let session = owner.launch_running(GARDEN).await;
    let as_player = owner.share(&session, "player", 3600).await;
    let as_spectator = owner.share(&session, "spectator", 3600).await;
    let token = |grant: &serde_json::Value| grant["token"].as_str().expect("a token").to_owned();
    let friend = gateway.client().with_token(&token(&as_player));
    let watcher = gateway.client().with_token(&token(&as_spectator));

    let owner_view = joined(&owner, &session, Role::Player).await.unwrap();
    let friend_view = joined(&friend, &session, Role::Player).await.unwrap();
    // It asks for more than it was given.
    let watcher_view = joined(&watcher, &session, Role::Player).await.unwrap();
    assert_eq!(
        (owner_view.signaling.welcome().role, owner_view.signaling.welcome().slot),
        (Role::Player, Some(0))
    );
    assert_eq!(friend_view.signaling.welcome().role, Role::Player);
    // The story has one control slot: an invited player shares it.
    assert_eq!(friend_view.signaling.welcome().slot, Some(0));
    assert_eq!(
        (watcher_view.signaling.welcome().role, watcher_view.signaling.welcome().slot),
        (Role::Spectator, None)
    );
    for view in [&owner_view, &friend_view, &watcher_view] {
        view.viewer.wait_for("a frame", PATIENT, |stats| stats.frames > 0).await.unwrap();
        view.viewer.input_open().await.unwrap();
    }

    let before = presses(&owner_view).await;
    press(&watcher_view).await;
    press(&friend_view).await;
    let one_more = before.wrapping_add(1);
    let counted = |wanted: u16| {
        move |stats: &playgate::bots::viewer::ViewerStats| {
            stats.marker.is_some_and(|marker| marker.input == wanted)
        }
    };
    owner_view.viewer.wait_for("the friend's press", SOON, counted(one_more)).await.unwrap();
    press(&owner_view).await;
    // Exactly two: the spectator's press was not counted, neither before nor in between.
    owner_view.viewer.wait_for("the owner's press", SOON, counted(one_more.wrapping_add(1))).await.unwrap();
    owner.stop(&session).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_grant_is_refused_and_its_viewer_put_out() {
    let gateway = Gateway::start().await;
    let owner = gateway.guest().await;
    let session = owner.launch_running(GARDEN).await;
    let grant = owner.share(&session, "spectator", 3600).await;
    let guest = gateway.client().with_token(grant["token"].as_str().expect("a token"));
    let view = joined(&guest, &session, Role::Spectator).await.unwrap();
    view.viewer.wait_for("a frame", PATIENT, |stats| stats.frames > 0).await.unwrap();

    let id = grant["grantId"].as_str().expect("an id");
    owner.delete(&format!("/api/game/share/{id}")).await.expect(204);
    let mut signaling = view.signaling;
    let put_out = async { while signaling.recv().await.is_ok() {} };
    tokio::time::timeout(SOON, put_out).await.expect("a revoked grant's viewer is put out");
    let status = guest.get(&format!("/api/game/session-status?sessionId={session}")).await.status;
    assert!(matches!(status.as_u16(), 401 | 404), "{status}");
    assert!(joined(&guest, &session, Role::Spectator).await.is_err());
    let listed = owner.get(&format!("/api/game/share?sessionId={session}")).await.expect(200);
    assert_eq!(listed["grants"][0]["revoked"], true);
    owner.stop(&session).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_grant_is_refused() {
    let gateway = Gateway::start().await;
    let owner = gateway.guest().await;
    let session = owner.launch_running(GARDEN).await;
    // The shortest there is.
    let grant = owner.share(&session, "spectator", 60).await;
    let guest = gateway.client().with_token(grant["token"].as_str().expect("a token"));
    let path = format!("/api/game/session-status?sessionId={session}");
    guest.get(&path).await.expect(200);
    eventually("the grant expires", Duration::from_secs(130), async || {
        let status = guest.get(&path).await.status.as_u16();
        if matches!(status, 401 | 404) { Ok(()) } else { Err(format!("{status}")) }
    })
    .await;
    assert!(joined(&guest, &session, Role::Spectator).await.is_err());
    owner.stop(&session).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_opens_its_own_session_only() {
    let gateway = Gateway::start().await;
    let (owner, other) = tokio::join!(gateway.guest(), gateway.guest());
    let (session, foreign) = tokio::join!(owner.launch_running(GARDEN), other.launch_running(GARDEN));
    let grant = owner.share(&session, "player", 3600).await;
    let guest = gateway.client().with_token(grant["token"].as_str().expect("a token"));
    let status = guest.get(&format!("/api/game/session-status?sessionId={foreign}")).await;
    assert_eq!(status.status.as_u16(), 404);
    assert!(joined(&guest, &foreign, Role::Player).await.is_err());
    let share = serde_json::json!({ "sessionId": session, "role": "player" });
    assert!(matches!(guest.post("/api/game/share", share).await.status.as_u16(), 401 | 403 | 404));
    tokio::join!(owner.stop(&session), other.stop(&foreign));
    gateway.finish().await;
}
