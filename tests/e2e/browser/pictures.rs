//! Pictures of every page, light and dark, desk and phone, for people to look at: `tests/artifacts/`.

use crate::GARDEN;
use crate::support::chrome::{Chrome, Options};
use crate::support::gateway::Gateway;
use crate::support::page::Page;
use crate::support::wait::{PATIENT, eventually};

/// True while some picture, font or style is still on its way.
const LOADED: &str = "await document.fonts.ready; return document.readyState === 'complete' && \
                      [...document.images].every(image => image.complete)";

async fn until_loaded(page: &Chrome) {
    eventually("the page is complete", PATIENT, async || {
        if page.run(LOADED).await?.as_bool() == Some(true) { Ok(()) } else { Err("it is not".to_owned()) }
    })
    .await;
}

/// Nothing reaches out of the page sideways.
async fn fits(page: &Chrome, name: &str) {
    let over = page.run("return document.documentElement.scrollWidth - window.innerWidth").await.unwrap();
    assert!(over.as_f64().unwrap_or_default() <= 1.0, "{name} is {over} pixels too wide");
}

/// Presses a button of the player's bar, which touch screens put away.
async fn open_in_bar(page: &Chrome, button: &str) {
    if !page.shows(button).await.unwrap() {
        page.click("#handle").await;
    }
    page.click(button).await;
}

async fn pictures(look: &str, options: Options) {
    let gateway = Gateway::with_toml("runner.marker = false").await;
    let page = Chrome::with(options).await;
    let player = gateway.guest().await;
    let name = |page: &str| format!("{page}-{look}");

    page.open(&format!("{}/signin", gateway.url)).await;
    until_loaded(&page).await;
    page.screenshot(&name("signin")).await;
    fits(&page, "signin").await;
    page.sign_in(&player.sign_in_link()).await;

    page.open(&gateway.url).await;
    page.until_shows_element(&format!("[data-game='{GARDEN}']")).await;
    until_loaded(&page).await;
    page.screenshot(&name("catalogue")).await;
    fits(&page, "catalogue").await;

    page.open(&format!("{}/play/{GARDEN}", gateway.url)).await;
    page.until_shows_element("#play").await;
    until_loaded(&page).await;
    page.screenshot(&name("play-card")).await;
    fits(&page, "play card").await;

    page.click("#play").await;
    page.screenshot(&name("progress")).await;
    page.until_state("playing").await;
    page.click("#stage").await;
    page.settled_picture().await;
    page.screenshot(&name("playing-garden")).await;
    fits(&page, "playing").await;
    open_in_bar(&page, "#stats").await;
    page.until_shows_element("#stats-panel").await;
    page.screenshot(&name("stats")).await;
    open_in_bar(&page, "#stats").await;
    open_in_bar(&page, "#invite").await;
    page.until_shows_element("#share").await;
    page.screenshot(&name("invite")).await;
    page.click("#share-close").await;
    page.stop().await;
    page.screenshot(&name("ended")).await;
    fits(&page, "ended").await;

    let arcade = crate::wire::arcade(&player).await;
    page.play_until_picture(&gateway.url, &arcade).await;
    page.click("#stage").await;
    page.until_above("framesDecoded", 60.0).await;
    page.screenshot(&name("playing-arcade")).await;
    page.stop().await;
    page.quit().await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_light() {
    pictures("light", Options::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_dark() {
    pictures("dark", Options { dark: true, ..Default::default() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_on_a_phone() {
    pictures("phone", Options { phone: true, width: 390, height: 844, ..Default::default() }).await;
}
