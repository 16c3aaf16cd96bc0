//! Ends that nobody asked for, as the page tells them.

use crate::GARDEN;
use crate::support::chrome::Chrome;
use crate::support::gateway::Gateway;
use crate::support::page::Page;
use crate::support::processes;
use crate::support::wait::{PATIENT, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_tab_nobody_touches_is_reclaimed() {
    let gateway = Gateway::with_toml("sessions.idle_timeout_s = 8").await;
    let player = gateway.guest().await;
    let page = Chrome::start().await;
    page.sign_in(&player.sign_in_link()).await;
    page.play_until_picture(&gateway.url, GARDEN).await;
    let session = player.sessions().await.remove(0);
    page.until_state("ended").await;
    page.screenshot("ended-idle").await;
    let status = player.until_status(&session, "stopped").await;
    assert_eq!(status["endReason"], "idle");
    eventually("no process is left", PATIENT, async || match processes::of_session(&session) {
        left if left.is_empty() => Ok(()),
        left => Err(format!("{left:?}")),
    })
    .await;
    page.quit().await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_says_that_the_game_crashed() {
    let gateway = Gateway::start().await;
    let player = gateway.guest().await;
    let page = Chrome::start().await;
    page.sign_in(&player.sign_in_link()).await;
    page.play_until_picture(&gateway.url, GARDEN).await;
    let session = player.sessions().await.remove(0);
    processes::kill(&processes::of_session(&session));
    eventually("the page says so", PATIENT, async || {
        let state = page.state().await?;
        if matches!(state.as_str(), "ended" | "failed") { Ok(()) } else { Err(state) }
    })
    .await;
    page.screenshot("ended-crash").await;
    assert_eq!(player.until_status(&session, "stopped").await["endReason"], "game_crashed");
    page.quit().await;
    gateway.finish().await;
}
