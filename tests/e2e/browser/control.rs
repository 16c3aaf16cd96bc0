//! Control handed over between three browsers on one game.
//!
//! The novel hears a key once per press: one that is still down says nothing new. So a picture that changes when the new
//! holder presses the key the old one holds shows that it was let go.

use crate::GARDEN;
use crate::support::chrome::{Chrome, Options};
use crate::support::gateway::Gateway;
use crate::support::gray::Gray;
use crate::support::http::Client;
use crate::support::page::Page;
use crate::support::wait::{PATIENT, eventually};
use playgate_signaling::client::{ConnectOptions, SignalingClient, connect};
use playgate_signaling::message::{ClientMessage, Role};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The picture once it stands still. A scene that is being painted or faded in may stall on a busy machine, so it must stay
/// for some seconds in which frames come: one a second is what a still picture sends.
async fn still(page: &Chrome) -> Gray {
    let mut since: Option<(Gray, f64, Instant)> = None;
    eventually("the picture stands still", PATIENT, async || {
        let (picture, frames) = (page.picture().await?, page.number("framesDecoded").await?);
        let same = since.as_ref().filter(|(before, ..)| picture.changed(before) <= 0.0);
        if let Some((_, from, at)) = same {
            if frames >= from + 3.0 && at.elapsed() >= Duration::from_millis(2500) {
                return Ok(picture);
            }
        } else {
            since = Some((picture, frames, Instant::now()));
        }
        Err("it still moves".to_owned())
    })
    .await
}

/// A key that goes down and stays down: the stage keeps the focus, so the page lets nothing go by itself.
async fn holds_enter(page: &Chrome) {
    page.run(
        "const stage = document.querySelector('#stage'); stage.focus();
         stage.dispatchEvent(new KeyboardEvent('keydown', { code: 'Enter', key: 'Enter', bubbles: true, cancelable: true }));
         return null",
    )
    .await
    .unwrap();
}

/// And up again, whoever hears it.
async fn lets_go(page: &Chrome) {
    page.run("window.dispatchEvent(new KeyboardEvent('keyup', { code: 'Enter', key: 'Enter', bubbles: true })); return null")
        .await
        .unwrap();
}

/// Presses a button of the bar or the panel without taking the focus from the stage.
async fn presses(page: &Chrome, css: &str) {
    page.until_shows_element(css).await;
    page.run(&format!("document.querySelector({}).click(); return null", Value::from(css))).await.unwrap();
}

async fn until_told(page: &Chrome, what: &str, enough: impl Fn(&Value) -> bool) -> Value {
    eventually(what, PATIENT, async || {
        let control = page.stats().await?["control"].clone();
        if enough(&control) { Ok(control) } else { Err(control.to_string()) }
    })
    .await
}

/// What they do reaches the gateway, and is of no effect: two more frames of a still picture are two seconds.
async fn changes_nothing(page: &Chrome, shown: &Gray) {
    let decoded = page.number("framesDecoded").await.unwrap();
    holds_enter(page).await;
    lets_go(page).await;
    page.until_above("framesDecoded", decoded + 1.0).await;
    let changed = page.picture().await.unwrap().changed(shown);
    assert!(changed < 0.02, "{changed} of the picture changed by somebody who only watches");
}

/// The owner a second time, who only looks after things.
async fn as_host(owner: &Client, session: &str) -> SignalingClient {
    let url = owner.api().signaling_url(session).expect("an address");
    let options = ConnectOptions {
        token: Some(owner.token().to_owned()),
        role: Some(Role::Spectator),
        ..ConnectOptions::default()
    };
    connect(url.as_str(), options).await.expect("the owner may come in twice")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_friend_asks_for_the_controls_plays_and_gives_them_back_while_a_crowd_watches() {
    let gateway = Gateway::with_toml("runner.marker = false").await;
    let owner = gateway.guest().await;
    let page = Chrome::start().await;
    page.sign_in(&owner.sign_in_link()).await;
    page.play_until_picture(&gateway.url, GARDEN).await;
    assert!(!page.shows("#people").await.unwrap(), "who is alone need not be told who plays");
    let session = owner.sessions().await.remove(0);
    let link = owner.share(&session, "spectator", 3600).await["url"].as_str().expect("a link").to_owned();
    let title = still(&page).await;
    // To the gate: the next pages stand in the same scene, so that only words change.
    page.click("#stage").await;
    holds_enter(&page).await;
    lets_go(&page).await;
    eventually("the gate is shown", PATIENT, async || {
        let changed = page.picture().await?.changed(&title);
        if changed > 0.3 { Ok(()) } else { Err(format!("{changed:.2} of it changed")) }
    })
    .await;
    let start = still(&page).await;
    let friend = Chrome::start().await;
    let watcher = Chrome::with(Options { phone: true, width: 390, height: 844, ..Options::default() }).await;
    for viewer in [&friend, &watcher] {
        viewer.open(&link).await;
        viewer.until_state("playing").await;
        viewer.until_shows(&start, PATIENT).await;
    }
    let told = until_told(&page, "two watch", |control| control["spectators"] == 2).await;
    assert_eq!(
        (&told["you"]["host"], &told["you"]["slot"], &told["slots"]),
        (&json!(true), &json!(0), &json!(1))
    );
    changes_nothing(&watcher, &start).await;
    changes_nothing(&friend, &start).await;

    // The friend asks, and is given the controls while the owner holds a key down.
    friend.open_menu().await;
    friend.until_shows_element("#ask").await;
    friend.screenshot("control-friend-asks").await;
    friend.click("#ask").await;
    // The owner is told, and the picture stays the game's until the menu is opened.
    page.until_shows_element("#handle.asked").await;
    assert!(!page.shows("#control-panel").await.unwrap(), "nothing opens over a game that is being played");
    page.screenshot("control-host-is-told").await;
    page.open_request().await;
    page.until_shows_element("#control-panel [data-give]").await;
    page.screenshot("control-host-is-asked").await;
    holds_enter(&page).await;
    page.until_changed(&start).await;
    let first = still(&page).await;
    friend.until_shows(&first, PATIENT).await;
    changes_nothing(&watcher, &first).await;
    presses(&page, "#control-panel [data-give]").await;
    until_told(&friend, "the friend plays", |control| control["you"]["slot"] == 0).await;
    eventually("the friend's input is open", PATIENT, async || {
        let stats = friend.stats().await?;
        if stats["inputOpen"] == true { Ok(()) } else { Err(stats.to_string()) }
    })
    .await;
    assert_eq!(friend.state().await.unwrap(), "playing", "nothing was connected anew");
    page.open_menu().await;
    page.until_shows_element("#take-back").await;
    page.screenshot("control-host-watches").await;
    friend.open_menu().await;
    friend.screenshot("control-friend-plays").await;
    holds_enter(&friend).await;
    friend.until_changed(&first).await;
    let second = still(&friend).await;
    page.until_shows(&second, PATIENT).await;

    // The owner's key counts no longer, and the crowd's never did.
    lets_go(&page).await;
    changes_nothing(&page, &second).await;
    changes_nothing(&watcher, &second).await;
    watcher.screenshot("control-phone-watches").await;

    // Taken back with the friend's key still down.
    presses(&page, "#take-back").await;
    until_told(&page, "the owner plays", |control| control["you"]["slot"] == 0).await;
    until_told(&friend, "the friend watches", |control| control["you"]["role"] == "spectator").await;
    holds_enter(&page).await;
    page.until_changed(&second).await;
    let third = still(&page).await;
    changes_nothing(&watcher, &third).await;
    lets_go(&page).await;
    lets_go(&friend).await;

    // A hot-seat: its time is up while the friend holds a key, and the owner plays again.
    let viewer = friend.stats().await.unwrap()["viewerId"].as_str().expect("an id").to_owned();
    let mut host = as_host(&owner, &session).await;
    let pass = ClientMessage::PassControl { viewer_id: viewer, slot: None, seconds: Some(30) };
    host.send(pass).await.unwrap();
    until_told(&friend, "it is the friend's turn", |control| control["holders"][0]["until"].is_i64()).await;
    for viewer in [&page, &friend, &watcher] {
        viewer.until_shows_element("#hot-seat").await;
    }
    friend.screenshot("control-hot-seat").await;
    holds_enter(&friend).await;
    friend.until_changed(&third).await;
    let fourth = still(&friend).await;
    until_told(&page, "the turn is over", |control| control["you"]["slot"] == 0).await;
    assert!(!page.shows("#hot-seat").await.unwrap());
    changes_nothing(&watcher, &fourth).await;
    holds_enter(&page).await;
    page.until_changed(&fourth).await;
    host.close().await;
    for viewer in [friend, watcher] {
        viewer.quit().await;
    }
    page.stop().await;
    page.quit().await;
    gateway.finish().await;
}
