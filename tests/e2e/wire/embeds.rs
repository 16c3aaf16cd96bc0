//! Embed tokens against the real gateway: visits launch and join, are counted, and end when the token does.

use super::joined;
use crate::GARDEN;
use crate::support::gateway::Gateway;
use crate::support::http::{Client, Reply};
use crate::support::wait::{PATIENT, eventually};
use playgate_signaling::message::Role;
use serde_json::{Value, json};
use std::time::Duration;

const SITE: &str = "https://arcade.example";

async fn organisation(gateway: &Gateway) -> Client {
    gateway.client().with_token(&gateway.mint(&["--organisation", "acme"]).await)
}

async fn minted(owner: &Client, wish: Value) -> Value {
    let mut body = json!({ "origins": [SITE] });
    body.as_object_mut().unwrap().extend(wish.as_object().unwrap().clone());
    owner.post("/api/embeds", body).await.expect(201)
}

/// Visits as a program does; what is refused is the test's to look at.
async fn visit(gateway: &Gateway, embed: &Value) -> Reply {
    let visitor = gateway.client().with_token(embed["token"].as_str().unwrap());
    visitor.post("/api/embed/visit", json!({})).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visit_launches_the_game_which_ends_when_the_token_is_taken_back() {
    let gateway = Gateway::start().await;
    let acme = organisation(&gateway).await;
    let embed = minted(&acme, json!({ "game": GARDEN, "role": "player", "uses": 2 })).await;
    let first = visit(&gateway, &embed).await.expect(201);
    assert_eq!((&first["mayStop"], &first["slot"]), (&json!(true), &json!(1)));
    let session = first["sessionId"].as_str().unwrap();
    let visitor = gateway.client().with_token(first["token"].as_str().unwrap());
    let playing = joined(&visitor, session, Role::Player).await.unwrap();
    let welcome = playing.signaling.welcome();
    assert_eq!((welcome.role, welcome.slot), (Role::Player, Some(0)));

    // Another visit is another game, and the last one.
    let second = visit(&gateway, &embed).await.expect(201);
    assert_ne!(second["sessionId"], first["sessionId"]);
    assert_eq!(visit(&gateway, &embed).await.error(), "embed_used_up");
    // The first visitor's grant opens the first game alone, and stops it.
    let other = format!("/api/game/session-status?sessionId={}", second["sessionId"].as_str().unwrap());
    assert_eq!(visitor.get(&other).await.status, 404);
    let guest = gateway.client().with_token(second["token"].as_str().unwrap());
    let stopped = guest.post("/api/game/stop", json!({ "sessionId": second["sessionId"] })).await.expect(200);
    assert_eq!(stopped["status"], "stopped");

    let id = embed["embedId"].as_str().unwrap();
    acme.delete(&format!("/api/embeds/{id}")).await.expect(204);
    let mut signaling = playing.signaling;
    let put_out = async { while signaling.recv().await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(2), put_out).await.expect("a running view ends within 2 s");
    assert_eq!(visit(&gateway, &embed).await.error(), "embed_revoked");
    assert_eq!(visitor.get(&format!("/api/game/session-status?sessionId={session}")).await.status, 404);
    let listed = acme.get("/api/embeds").await.expect(200);
    assert_eq!((&listed["embeds"][0]["revoked"], &listed["embeds"][0]["used"]), (&json!(true), &json!(2)));
    eventually("nobody's game runs on", PATIENT, async || {
        let status = acme.status(session).await;
        if status["status"] == "stopped" { Ok(()) } else { Err(format!("{status}")) }
    })
    .await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn visitors_of_a_session_join_it_until_it_is_over() {
    let gateway = Gateway::start().await;
    let owner = gateway.guest().await;
    let session = owner.launch_running(GARDEN).await;
    let embed = minted(&owner, json!({ "sessionId": session, "role": "spectator" })).await;
    let visitor = visit(&gateway, &embed).await.expect(201);
    assert_eq!((&visitor["sessionId"], &visitor["mayStop"]), (&json!(session), &json!(false)));
    let watching = gateway.client().with_token(visitor["token"].as_str().unwrap());
    drop(joined(&watching, &session, Role::Spectator).await.unwrap());
    let stop = json!({ "sessionId": session });
    assert_eq!(watching.post("/api/game/stop", stop).await.status, 404, "not a spectator's to stop");

    // Somebody else's session is nobody else's to show, nor is a game a user's.
    let stranger = gateway.guest().await;
    let wish = json!({ "sessionId": session, "role": "spectator", "origins": [SITE] });
    assert_eq!(stranger.post("/api/embeds", wish).await.status, 404);
    let wish = json!({ "game": GARDEN, "role": "player", "origins": [SITE] });
    assert_eq!(owner.post("/api/embeds", wish).await.status, 400);
    assert_eq!(
        stranger.delete(&format!("/api/embeds/{}", embed["embedId"].as_str().unwrap())).await.status,
        404
    );

    owner.stop(&session).await;
    assert_eq!(visit(&gateway, &embed).await.error(), "embed_over");
    gateway.finish().await;
}
