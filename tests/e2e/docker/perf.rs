//! What games in containers cost and how long people wait for them: as `perf`, only by `bash tests/run perf`.

mod cost;

use super::stand::{EMBER, counter, counts_on, joined};
use crate::browser::bad_line::follows_a_slow_line;
use crate::browser::container::{FREEDOOM, QUESTION, START, enter_level, freedoom, question};
use crate::perf::{CLICK_TO_FRAME, FRAME_RATE, KEY_TO_PIXELS};
use crate::support::chrome::Chrome;
use crate::support::engine::{Engine, LONG, built_in_game};
use crate::support::figures::{median, report};
use crate::support::gateway::Gateway;
use crate::support::over_line::OverLine;
use crate::support::page::Page;
use crate::support::wait::{PATIENT, SOON, eventually};
use serde_json::{Value, json};
use std::cell::Cell;
use std::time::Instant;
use thirtyfour::Key;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "asserts on time: bash tests/run perf"]
async fn players_are_back_in_their_games_within_five_seconds_of_a_gateways_death() {
    let engine = Engine::connect().await;
    let mut gateway = engine.gateway(&built_in_game("box", EMBER, "container.cpus = 0.5")).await;
    let (seen, other) = tokio::join!(gateway.guest(), gateway.guest());
    let page = Chrome::start().await;
    page.sign_in(&seen.sign_in_link()).await;
    page.play_until_picture(&gateway.url, "box").await;
    let session = other.launch_running("box").await;
    let view = joined(&other, &session).await;
    let before = counter(&view).await;
    let before = counts_on(&view, before + 300).await;
    gateway.kill().await;
    eventually("the page notices", PATIENT, async || {
        let state = page.state().await?;
        if state == "playing" { Err(state) } else { Ok(()) }
    })
    .await;
    let begun = Instant::now();
    gateway.restart().await;
    let again = joined(&other, &session).await;
    let after = counter(&again).await;
    let bot = begun.elapsed().as_secs_f64();
    page.until_state("playing").await;
    let decoded = page.number("framesDecoded").await.unwrap();
    page.until_above("framesDecoded", decoded).await;
    let person = begun.elapsed().as_secs_f64();
    assert!(after > before, "{before} then {after}: not the same game");
    report("back-after-gateway-death", json!({ "bot_s": bot, "page_s": person }));
    assert!(bot <= 5.0 && person <= 5.0, "{bot} s and {person} s");
    page.stop().await;
    page.quit().await;
    other.stop(&session).await;
    gateway.finish().await;
}

async fn click_to_frame(page: &Chrome, gateway: &Gateway, game: &str) -> f64 {
    page.open(&format!("{}/play/{game}", gateway.url)).await;
    page.until_state("idle").await;
    page.until_shows_element("#play").await;
    page.run(CLICK_TO_FRAME).await.unwrap();
    page.click("#play").await;
    eventually("the first frame callback", LONG, async || {
        let measured = page.run("return window.measured").await?;
        match (measured["click"].as_f64(), measured["frame"].as_f64()) {
            (Some(click), Some(frame)) if frame > 0.0 => Ok(frame - click),
            (_, _) => Err(measured.to_string()),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "asserts on time: bash tests/run perf"]
async fn a_cached_image_shows_its_first_picture_within_three_seconds() {
    let engine = Engine::connect().await;
    let gateway = engine.gateway(&[question(), freedoom()].concat()).await;
    let page = Chrome::start().await;
    let mut figures = serde_json::Map::new();
    let mut slowest: f64 = 0.0;
    for game in [QUESTION, FREEDOOM] {
        let mut times = Vec::new();
        for _ in 0..5 {
            times.push(click_to_frame(&page, &gateway, game).await);
            page.stop().await;
        }
        let middle = median(&times);
        slowest = slowest.max(middle);
        figures.insert(game.to_owned(), json!({ "median_ms": middle, "times_ms": times }));
    }
    report("container-click-to-first-frame", Value::Object(figures));
    assert!(slowest <= 3000.0, "{slowest} ms");
    page.quit().await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "asserts on time: bash tests/run perf"]
async fn freedoom_shows_at_least_30_frames_a_second() {
    let engine = Engine::connect().await;
    let gateway = engine.gateway(&freedoom()).await;
    let page = Chrome::start().await;
    page.play_until_picture(&gateway.url, FREEDOOM).await;
    page.click("#stage").await;
    let mut rates = Vec::new();
    for _ in 0..3 {
        rates.push(page.run(FRAME_RATE).await.unwrap().as_f64().unwrap_or_default());
    }
    let middle = median(&rates);
    report("freedoom-frame-rate", json!({ "median_fps": middle, "fps": rates }));
    assert!(middle >= 30.0, "{middle} frames/s");
    page.stop().await;
    page.quit().await;
    gateway.finish().await;
}

/// A shooter that turns on the spot shows something else all the time, and needs more than such a line has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures: bash tests/run perf"]
async fn a_line_of_1500_kbits_lowers_freedooms_bitrate_and_a_fast_one_brings_it_back() {
    let engine = Engine::connect().await;
    let linked = OverLine::with_toml(&engine.toml(&freedoom())).await;
    let page = Chrome::with(linked.browser()).await;
    page.play_until_picture(&linked.gateway.url, FREEDOOM).await;
    enter_level(&page).await;
    let side = Cell::new(1);
    let act = async || {
        side.set(-side.get());
        page.move_mouse(640 + side.get() * 400, 400).await;
    };
    // Each turn is a whole picture, as large as half of the line's queue.
    let overflow = follows_a_slow_line("slow-line-1500", &linked, &page, 1.0, &act).await;
    assert!(overflow < 0.15, "{overflow} of the packets found the queue full");
    page.stop().await;
    page.quit().await;
    linked.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures: bash tests/run perf"]
async fn a_key_in_the_page_to_changed_pixels_of_the_question() {
    let engine = Engine::connect().await;
    let gateway = engine.gateway(&question()).await;
    let page = Chrome::start().await;
    page.play_until_picture(&gateway.url, QUESTION).await;
    let title = page.settled_picture().await;
    page.click_picture(START.0, START.1).await;
    page.until_changed(&title).await;
    let mut times = Vec::new();
    // So many lines until the story asks something, which Enter does not answer.
    while times.len() < 8 {
        page.settled_picture().await;
        page.run(KEY_TO_PIXELS).await.unwrap();
        page.keys(Key::Enter).await;
        let time = eventually("pixels change", SOON, async || {
            let measured = page.run("return window.measured").await?;
            match (measured["key"].as_f64(), measured["change"].as_f64()) {
                (Some(key), Some(change)) if change > 0.0 => Ok(change - key),
                (_, _) => Err(measured.to_string()),
            }
        })
        .await;
        times.push(time);
    }
    report("container-key-to-pixels", json!({ "median_ms": median(&times), "times_ms": times }));
    page.stop().await;
    page.quit().await;
    gateway.finish().await;
}
