//! More than one person: an owner and an invited player in two browsers, and what an invitation's page offers.

use super::pixels::owns_its_pixels;
use crate::GARDEN;
use crate::support::chrome::Chrome;
use crate::support::gateway::Gateway;
use crate::support::page::Page;
use crate::support::wait::{PATIENT, SOON, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invited_spectator_sees_the_same_picture_and_changes_nothing() {
    let gateway = Gateway::with_toml("runner.marker = false").await;
    let owner = gateway.guest().await;
    let page = Chrome::start().await;
    page.sign_in(&owner.sign_in_link()).await;
    page.play_until_picture(&gateway.url, GARDEN).await;
    page.click("#stage").await;
    let shown = page.settled_picture().await;

    let session = owner.sessions().await.remove(0);
    let grant = owner.share(&session, "spectator", 3600).await;
    let spectator = Chrome::start().await;
    spectator.open(grant["url"].as_str().expect("a link")).await;
    spectator.until_state("playing").await;
    spectator.until_shows(&shown, PATIENT).await;
    spectator.screenshot("spectator").await;
    owns_its_pixels(&spectator).await;

    spectator.click("#stage").await;
    spectator.keys(thirtyfour::Key::Enter).await;
    let decoded = spectator.number("framesDecoded").await.unwrap();
    // A still page sends a frame a second: two more mean that the key had its chance.
    spectator.until_above("framesDecoded", decoded + 1.0).await;
    assert!(page.picture().await.unwrap().changed(&shown) < 0.02, "a spectator's key must change nothing");

    // The owner's key does, for both.
    page.keys(thirtyfour::Key::Enter).await;
    page.until_changed(&shown).await;
    spectator.until_changed(&shown).await;
    spectator.quit().await;
    page.stop().await;
    page.quit().await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_invite_button_makes_a_link() {
    let gateway = Gateway::start().await;
    let page = Chrome::start().await;
    page.play_until_picture(&gateway.url, GARDEN).await;
    page.press_in_menu("#invite").await;
    page.until_shows_element("#share").await;
    page.click("#share-create").await;
    let link = eventually("there is a link", SOON, async || {
        let link = page
            .run("const e = document.getElementById('share-link'); return e?.value || e?.textContent")
            .await?;
        link.as_str()
            .filter(|link| link.contains("#token="))
            .map(str::to_owned)
            .ok_or_else(|| link.to_string())
    })
    .await;
    page.screenshot("invite").await;
    page.click("#embed-part summary").await;
    page.click("#embed-site").await;
    page.keys("https://blog.example/post").await;
    page.click("#embed-create").await;
    eventually("there is code for the site", SOON, async || {
        let code = page.run("return document.getElementById('embed-code').value").await?;
        let code = code.as_str().unwrap_or_default();
        if code.contains("/embed.js") && code.contains("#pge_") { Ok(()) } else { Err(code.to_owned()) }
    })
    .await;
    page.screenshot("invite-embed").await;
    let invited = Chrome::start().await;
    invited.open(&link).await;
    invited.until_state("playing").await;
    invited.until_above("framesDecoded", 0.0).await;
    invited.quit().await;
    page.quit().await;
    gateway.finish().await;
}
