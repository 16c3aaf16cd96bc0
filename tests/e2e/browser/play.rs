//! The main job: open, press Play, see, hear, choose, stop.

use super::foreign_producer::free_ports;
use crate::GARDEN;
use crate::support::chrome::{Chrome, Options};
use crate::support::gateway::{self, Gateway};
use crate::support::page::Page;
use crate::support::wait::{PATIENT, eventually};
use serde_json::json;
use thirtyfour::Key;

/// Plays the visual novel as a person does and checks everything a page can tell.
async fn plays_the_garden(page: &Chrome, base: &str) {
    page.play_until_picture(base, GARDEN).await;
    let decoded = page.number("framesDecoded").await.unwrap();
    assert_eq!(page.stats().await.unwrap()["srtpCipher"], "SRTP_AEAD_AES_128_GCM");

    // The first gesture in the picture starts the sound.
    let before = page.settled_picture().await;
    page.click("#stage").await;
    let energy = page.until_above("totalAudioEnergy", 0.0).await;
    page.until_above("totalAudioEnergy", energy).await;
    page.keys(Key::Enter).await;
    page.until_changed(&before).await;
    page.until_above("framesDecoded", decoded).await;

    chooses(page).await;
    page.screenshot("playing-garden").await;
    page.stop().await;
    page.screenshot("ended").await;

    // What the page saw is told with the session.
    let status = page.run(STATUS).await.unwrap();
    let quality = &status["quality"];
    let number = |name: &str| quality[name].as_f64().unwrap_or_else(|| panic!("{name}: {status:#}"));
    assert!((1.0..60_000.0).contains(&number("timeToFirstFrameMs")), "{quality}");
    assert!(number("watchedMs") >= 1_000.0 && number("meanKbps") >= 1.0, "{quality}");
    assert!(number("inputs") >= 2.0 && number("frozenMs") <= number("watchedMs"), "{quality}");
    assert_eq!((&quality["transport"], &quality["viewersMost"]), (&json!("udp"), &json!(1)), "{quality}");
}

/// The session's status, asked for as the page does.
const STATUS: &str = r"
    const id = window.playgate.last.sessionId;
    return (await fetch(`/api/game/session-status?sessionId=${id}`)).json();
";

/// Goes on through the text to the first choice and takes its second way: 2 does nothing where there is no choice.
pub(super) async fn chooses(page: &Chrome) {
    for _ in 0..12 {
        let before = page.settled_picture().await;
        page.keys("2").await;
        if page.settled_picture().await.changed(&before) > 0.01 {
            return;
        }
        page.keys(Key::Enter).await;
        page.until_changed(&before).await;
    }
    panic!("twelve pages without a choice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_plays_hears_chooses_and_stops_at_localhost() {
    let gateway = Gateway::start().await;
    let page = Chrome::start().await;
    plays_the_garden(&page, &format!("http://localhost:{}", gateway.port())).await;
    page.quit().await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_game_plays_at_a_host_name_on_an_insecure_origin() {
    // On loopback only a public URL lets another host name in.
    let (port, _) = free_ports();
    let base = format!("http://play.test:{port}");
    let options = gateway::Options {
        toml: format!("public_url = '{base}'\nauth.guest = true"),
        listen: format!("127.0.0.1:{port}"),
        ..Default::default()
    };
    let gateway = Gateway::with(options).await;
    let page = Chrome::with(Options { host: Some("play.test"), ..Default::default() }).await;
    plays_the_garden(&page, &base).await;
    let secure = page.run("return window.isSecureContext").await.unwrap();
    assert_eq!(secure, json!(false), "the point of this test is an insecure origin");
    page.quit().await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_of_the_loopback_default_is_refused_at_another_host_name() {
    let gateway = Gateway::start().await;
    let page = Chrome::with(Options { host: Some("play.test"), ..Default::default() }).await;
    page.open(&format!("http://play.test:{}/play/{GARDEN}", gateway.port())).await;
    let answer = "return fetch('/api/auth/guest', { method: 'POST', headers: { 'content-type': 'application/json' }, \
                  body: '{}' }).then(answer => answer.status, () => 0)";
    let status = page.run(answer).await.unwrap();
    assert_ne!(status, json!(201), "a page of another host must not get a guest's token");
    page.quit().await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_arcade_game_answers_the_keyboard() {
    let gateway = Gateway::start().await;
    let slug = crate::wire::arcade(&gateway.guest().await).await;
    let page = Chrome::start().await;
    page.play_until_picture(&gateway.url, &slug).await;
    page.click("#stage").await;
    page.keys(Key::Enter).await;
    let before = page.number("framesDecoded").await.unwrap();
    page.until_above("framesDecoded", before + 120.0).await;
    page.keys(Key::Left).await;
    page.screenshot("playing-arcade").await;
    page.stop().await;
    page.quit().await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_click_on_the_picture_reaches_the_very_place_in_the_game() {
    let gateway = Gateway::with_toml("runner.marker = false").await;
    let page = Chrome::start().await;
    page.play_until_picture(&gateway.url, GARDEN).await;
    let title = page.settled_picture().await;
    // Beside the title's one button nothing happens.
    page.click_picture(900.0, 200.0).await;
    let decoded = page.number("framesDecoded").await.unwrap();
    page.until_above("framesDecoded", decoded + 1.0).await;
    assert!(page.picture().await.unwrap().changed(&title) < 0.01);
    page.click_picture(250.0, 448.0).await;
    page.until_changed(&title).await;
    page.stop().await;
    page.quit().await;
    gateway.finish().await;
}

/// Headless Chromium has no pads: the page is given one where the Gamepad API would.
pub(super) const PAD: &str = r"
    const button = () => ({ pressed: false, touched: false, value: 0 });
    const buttons = Array.from({ length: 17 }, button);
    window.testPad = { index: 0, id: 'pad', mapping: 'standard', connected: true, timestamp: 0, axes: [0, 0, 0, 0], buttons };
    navigator.getGamepads = () => [window.testPad, null, null, null];
    window.dispatchEvent(new Event('gamepadconnected'));
    return null;
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gamepads_button_reaches_the_game() {
    let gateway = Gateway::with_toml("runner.marker = false").await;
    let page = Chrome::start().await;
    page.play_until_picture(&gateway.url, GARDEN).await;
    let title = page.settled_picture().await;
    page.run(PAD).await.unwrap();
    page.run("window.testPad.buttons[0] = { pressed: true, touched: true, value: 1 }; return null")
        .await
        .unwrap();
    page.until_changed(&title).await;
    page.stop().await;
    page.quit().await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_says_so_when_the_gateway_goes_away() {
    let mut gateway = Gateway::start().await;
    let page = Chrome::start().await;
    page.play_until_picture(&gateway.url, GARDEN).await;
    gateway.terminate().await;
    eventually("the page notices", PATIENT, async || {
        let state = page.state().await?;
        if state == "playing" { Err(state) } else { Ok(()) }
    })
    .await;
    let said = page.run("return document.body.innerText.trim().length").await.unwrap();
    assert_ne!(said, json!(0), "never a blank page");
    page.quit().await;
    gateway.finish().await;
}
