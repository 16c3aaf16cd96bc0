//! Games of others, out of containers, played in Chromium.

use crate::support::chrome::{Chrome, Options};
use crate::support::engine::{Engine, games, image_game};
use crate::support::gray::Gray;
use crate::support::page::Page;
use crate::support::wait::{PATIENT, eventually};
use serde_json::json;
use thirtyfour::Key;

pub(crate) const QUESTION: &str = "the-question";
pub(crate) const FREEDOOM: &str = "freedoom";

/// Where the visual novel's title page begins the story, in its picture of 1280x720. The rest of its places are `at`.
pub(crate) const START: (f64, f64) = (70.0, 262.0);

mod at {
    pub(super) const LOAD: (f64, f64) = (73.0, 300.0);
    /// Anywhere goes on to the next line; here lies an answer of the one question on the way, after eight lines, too.
    pub(super) const TEXT: (f64, f64) = (640.0, 300.0);
    pub(super) const QUICK_SAVE: (f64, f64) = (719.0, 711.0);
    /// On the page of games to load: the quick ones, and the first of them.
    pub(super) const QUICK_PAGE: (f64, f64) = (651.0, 672.0);
    pub(super) const FIRST_SLOT: (f64, f64) = (504.0, 281.0);
}

/// A visual novel of Ren'Py's. It keeps saves in its home and takes a second to end.
pub(crate) fn question() -> String {
    let more = "pointer = \"absolute\"\nwidth = 1280\nheight = 720\nfps = 30\ncontainer.save_path = \"/home/player/.renpy\"\n\
                container.stop_grace_ms = 1500\ncontainer.memory_mb = 1024";
    image_game(QUESTION, &games().the_question, more)
}

/// Rows of a [`Gray`] above the shooter's status bar, where a face looks about by itself.
const VIEW: usize = 72;

/// A shooter on a screen of its own size. It draws 35 pictures a second.
pub(crate) fn freedoom() -> String {
    let more = "pointer = \"relative\"\nwidth = 640\nheight = 480\nfps = 60\n\
                container.save_path = \"/home/player/.local/share/chocolate-doom\"\ncontainer.memory_mb = 512";
    image_game(FREEDOOM, &games().freedoom, more)
}

async fn click_at(page: &Chrome, (x, y): (f64, f64)) {
    page.click_picture(x, y).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_question_is_read_saved_and_stands_there_in_the_next_launch() {
    let engine = Engine::connect().await;
    let gateway = engine.gateway(&question()).await;
    let player = gateway.guest().await;
    // Large enough that the picture is not made smaller.
    let page = Chrome::with(Options { width: 1400, height: 1000, ..Default::default() }).await;
    page.sign_in(&player.sign_in_link()).await;
    page.play_until_picture(&gateway.url, QUESTION).await;
    let title = page.settled_picture().await;
    click_at(&page, START).await;
    page.until_changed(&title).await;
    for line in 1..=10 {
        let before = page.settled_picture().await;
        click_at(&page, at::TEXT).await;
        // Two lines may differ by a few letters only.
        eventually(&format!("line {line} gives way to the next"), PATIENT, async || {
            let changed = page.picture().await?.changed(&before);
            if changed > 0.0 { Ok(()) } else { Err("the same picture".to_owned()) }
        })
        .await;
    }
    let left = page.settled_picture().await;
    page.screenshot("question-left").await;
    click_at(&page, at::QUICK_SAVE).await;
    eventually("the game says that it has saved", PATIENT, async || {
        let changed = page.picture().await?.changed(&left);
        if changed > 0.0 { Ok(()) } else { Err("nothing has changed".to_owned()) }
    })
    .await;
    page.until_shows(&left, PATIENT).await;
    page.stop().await;
    let slots = player.slots(QUESTION).await;
    assert_eq!((&slots[0]["slot"], &slots[0]["empty"]), (&1.into(), &false.into()), "{slots:?}");

    page.open(&format!("{}/play/{QUESTION}", gateway.url)).await;
    page.until_shows_element("[data-slot=\"1\"]").await;
    page.click("[data-slot=\"1\"]").await;
    page.until_state("playing").await;
    page.until_shows(&title, PATIENT).await;
    click_at(&page, at::LOAD).await;
    page.until_changed(&title).await;
    let menu = page.settled_picture().await;
    click_at(&page, at::QUICK_PAGE).await;
    page.until_changed(&menu).await;
    let saves = page.settled_picture().await;
    page.screenshot("question-saves").await;
    click_at(&page, at::FIRST_SLOT).await;
    page.until_changed(&saves).await;
    // The very words: two lines of the story are closer to each other than two pictures.
    eventually("the saved place is shown", PATIENT, async || {
        let changed = page.picture().await?.changed(&left);
        if changed < 0.002 { Ok(()) } else { Err(format!("{changed:.4} of it is something else")) }
    })
    .await;
    page.screenshot("question-continued").await;
    page.stop().await;
    page.quit().await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn freedoom_moves_sounds_and_turns_with_the_caught_pointer() {
    let engine = Engine::connect().await;
    let gateway = engine.gateway(&freedoom()).await;
    let page = Chrome::start().await;
    page.play_until_picture(&gateway.url, FREEDOOM).await;
    enter_level(&page).await;
    let energy = page.until_above("totalAudioEnergy", 0.0).await;
    page.until_above("totalAudioEnergy", energy).await;
    let decoded = page.number("framesDecoded").await.unwrap();
    page.until_above("framesDecoded", decoded + 300.0).await;
    looks_about(&page).await;
    page.screenshot("freedoom").await;
    page.stop().await;
    page.quit().await;
    gateway.finish().await;
}

/// From the demo into the first level, with the pointer caught.
pub(crate) async fn enter_level(page: &Chrome) {
    // The first click catches the pointer and starts the sound.
    page.click("#stage").await;
    eventually("the pointer is caught", PATIENT, async || {
        let locked = page.run("return document.pointerLockElement !== null").await?;
        if locked == json!(true) { Ok(()) } else { Err("it is free".to_owned()) }
    })
    .await;
    // A key opens the menu; then: a new game, the first episode, the proposed difficulty.
    for _ in 0..4 {
        let before = page.picture().await.unwrap();
        page.keys(Key::Enter).await;
        page.until_changed(&before).await;
    }
}

/// The hand goes to the right, to the left and back to where it was, and so does the view. Lamps blink in the level, so a
/// view is a series of pictures. Only one that follows the hand looks like none of the series before on both sides, and
/// like one of the first when the motion is undone.
async fn looks_about(page: &Chrome) {
    page.move_mouse(640, 400).await;
    let ahead = series(page).await;
    let turned = async |x: i64, others: &[&[Gray]]| {
        page.move_mouse(x, 400).await;
        let name = format!("the mouse at {x} turns the view");
        until_view(page, &name, |now| others.iter().all(|other| nearest(now, other) > 0.08), others).await;
        series(page).await
    };
    let right = turned(1140, &[&ahead]).await;
    page.screenshot("freedoom-right").await;
    turned(140, &[&ahead, &right]).await;
    page.screenshot("freedoom-left").await;
    page.move_mouse(640, 400).await;
    until_view(page, "the view is back where it was", |now| nearest(now, &ahead) < 0.02, &[&ahead]).await;
}

/// Pictures of about two seconds.
async fn series(page: &Chrome) -> Vec<Gray> {
    let mut series = Vec::new();
    for _ in 0..20 {
        series.push(view(page).await.unwrap());
    }
    series
}

async fn view(page: &Chrome) -> Result<Gray, String> {
    Ok(page.picture().await?.upper(VIEW))
}

/// How much of a picture is something else than in the one of the series that is most like it.
fn nearest(now: &Gray, series: &[Gray]) -> f64 {
    series.iter().map(|other| now.changed(other)).fold(1.0, f64::min)
}

async fn until_view(page: &Chrome, what: &str, wanted: impl Fn(&Gray) -> bool, others: &[&[Gray]]) {
    eventually(what, PATIENT, async || {
        let now = view(page).await?;
        if wanted(&now) {
            return Ok(());
        }
        let distances: Vec<_> = others.iter().map(|other| format!("{:.3}", nearest(&now, other))).collect();
        Err(format!("{} of it is something else", distances.join(" and ")))
    })
    .await;
}
