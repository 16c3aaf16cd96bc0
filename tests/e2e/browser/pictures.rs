//! Pictures of every page, light and dark, desk and phone, for people to look at: `tests/artifacts/`.

use super::pixels::owns_its_pixels;
use crate::GARDEN;
use crate::support::chrome::{Chrome, Options};
use crate::support::gateway::Gateway;
use crate::support::page::Page;
use crate::support::wait::{PATIENT, eventually};
use thirtyfour::Key;

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
    owns_its_pixels(&page).await;
    page.open_menu().await;
    page.screenshot(&name("menu")).await;
    page.press_in_menu("#stats").await;
    page.until_shows_element("#stats-panel").await;
    page.screenshot(&name("stats")).await;
    page.press_in_menu("#stats").await;
    page.press_in_menu("#invite").await;
    page.until_shows_element("#share").await;
    page.screenshot(&name("invite")).await;
    page.click("#share-close").await;
    page.press_in_menu("#stop").await;
    page.until_shows_element("#confirm").await;
    page.screenshot(&name("end-game")).await;
    page.click("#confirm-no").await;
    page.stop().await;
    page.screenshot(&name("ended")).await;
    fits(&page, "ended").await;
    versions(&page, &gateway.url, look).await;

    let arcade = crate::wire::arcade(&player).await;
    page.play_until_picture(&gateway.url, &arcade).await;
    page.click("#stage").await;
    page.until_above("framesDecoded", 60.0).await;
    page.screenshot(&name("playing-arcade")).await;
    page.stop().await;
    page.quit().await;
    gateway.finish().await;
}

/// Plays the save on, so that it has a version more; then the dialog that shows them, with a word about a file that is none.
async fn versions(page: &Chrome, base: &str, look: &str) {
    page.open(&format!("{base}/play/{GARDEN}")).await;
    page.click("[data-slot='1']").await;
    page.until_state("playing").await;
    let before = page.settled_picture().await;
    page.click("#stage").await;
    page.keys(Key::Enter).await;
    page.until_changed(&before).await;
    page.stop().await;

    page.open(&format!("{base}/play/{GARDEN}")).await;
    page.until_shows_element("[data-history='1']").await;
    until_loaded(page).await;
    page.run("document.querySelector('#saves').scrollIntoView(); return null").await.unwrap();
    page.screenshot(&format!("saves-{look}")).await;
    fits(page, "saves").await;
    page.click("[data-history='1']").await;
    page.until_shows_element("[data-restore='1']").await;
    page.screenshot(&format!("versions-{look}")).await;
    fits(page, "versions").await;
    page.click("[data-restore='1']").await;
    page.until_shows_element("[data-version='3']").await;
    page.screenshot(&format!("versions-restored-{look}")).await;
    page.run(NO_SAVE).await.unwrap();
    page.until_shows_element("#history [role=alert]:not(:empty)").await;
    page.screenshot(&format!("versions-trouble-{look}")).await;
    fits(page, "versions with trouble").await;
    let inside = "const d = document.querySelector('#history'); return d.scrollWidth - d.clientWidth";
    assert!(
        page.run(inside).await.unwrap().as_f64().is_some_and(|over| over <= 1.0),
        "{look}: the dialog scrolls sideways"
    );
    page.click("#history-close").await;
}

/// Brings in a file that holds no save.
const NO_SAVE: &str = r"
    const files = new DataTransfer();
    files.items.add(new File(['words'], 'words.tar.gz'));
    const input = document.querySelector('#history-file');
    input.files = files.files;
    input.dispatchEvent(new Event('change'));
    return null;
";

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
