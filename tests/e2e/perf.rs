//! The thresholds a player feels. They assert on time, so they run only by `bash tests/run perf`, on a machine that does
//! nothing else. Each prints its figures; `PLAYGATE_TEST_WRITE_RESULTS=1` keeps them under `benches/results/`.

mod baseline;
mod endurance;
mod spectators;

use crate::GARDEN;
use crate::support::chrome::Chrome;
use crate::support::figures::{median, report};
use crate::support::gateway::Gateway;
use crate::support::page::Page;
use crate::support::processes;
use crate::support::wait::{PATIENT, SOON, eventually};
use playgate::bots::join::{JoinOptions, join};
use playgate::bots::viewer::Srtp;
use playgate_signaling::message::Role;
use serde_json::json;
use std::time::{Duration, Instant};
use thirtyfour::Key;

/// How long the figures of something that goes on are taken. A window of measurement, not a wait.
pub(crate) const WINDOW: Duration = Duration::from_secs(10);

pub(crate) const CLICK_TO_FRAME: &str = r"
    window.measured = { click: 0, frame: 0 };
    document.querySelector('#play').addEventListener('click', () => {
        window.measured.click = performance.now();
        const look = () => {
            const video = document.querySelector('video#video, #video video, video');
            if (video) video.requestVideoFrameCallback(now => { window.measured.frame = now; });
            else requestAnimationFrame(look);
        };
        look();
    }, { capture: true, once: true });
    return null;
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "asserts on time: bash tests/run perf"]
async fn click_to_first_video_frame_takes_at_most_one_and_a_half_seconds() {
    let gateway = Gateway::start().await;
    let page = Chrome::start().await;
    let mut times = Vec::new();
    for _ in 0..10 {
        page.open(&format!("{}/play/{GARDEN}", gateway.url)).await;
        page.until_state("idle").await;
        page.until_shows_element("#play").await;
        page.run(CLICK_TO_FRAME).await.unwrap();
        page.click("#play").await;
        let time = eventually("the first frame callback", PATIENT, async || {
            let measured = page.run("return window.measured").await?;
            let (click, frame) = (measured["click"].as_f64(), measured["frame"].as_f64());
            match (click, frame) {
                (Some(click), Some(frame)) if frame > 0.0 => Ok(frame - click),
                (_, _) => Err(measured.to_string()),
            }
        })
        .await;
        times.push(time);
        page.stop().await;
    }
    let middle = median(&times);
    report("click-to-first-frame", json!({ "median_ms": middle, "times_ms": times }));
    assert!(middle <= 1500.0, "{middle} ms");
    page.quit().await;
    gateway.finish().await;
}

/// From the key event in the page to the first decoded frame that differs.
pub(crate) const KEY_TO_PIXELS: &str = r"
    const video = document.querySelector('video#video, #video video, video');
    const canvas = document.createElement('canvas');
    canvas.width = 160; canvas.height = 90;
    const context = canvas.getContext('2d', { willReadFrequently: true });
    const sample = () => {
        context.drawImage(video, 0, 0, 160, 90);
        return context.getImageData(0, 0, 160, 90).data;
    };
    const before = sample();
    window.measured = { key: 0, change: 0 };
    window.addEventListener('keydown', event => {
        window.measured.key = event.timeStamp;
        const look = () => {
            const now = performance.now();
            const after = sample();
            let changed = 0;
            for (let i = 0; i < after.length; i += 4) if (Math.abs(after[i + 1] - before[i + 1]) > 20) changed++;
            if (changed >= 4) window.measured.change = now;
            else video.requestVideoFrameCallback(look);
        };
        video.requestVideoFrameCallback(look);
    }, { capture: true, once: true });
    return null;
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "asserts on time: bash tests/run perf"]
async fn key_press_to_changed_pixels_takes_at_most_80_ms() {
    let gateway = Gateway::with_toml("runner.marker = false").await;
    let page = Chrome::start().await;
    page.play_until_picture(&gateway.url, GARDEN).await;
    page.click("#stage").await;
    let mut times = Vec::new();
    while times.len() < 20 {
        page.settled_picture().await;
        page.run(KEY_TO_PIXELS).await.unwrap();
        page.keys(Key::Enter).await;
        let time = eventually("pixels change", SOON, async || {
            let measured = page.run("return window.measured").await?;
            let (key, change) = (measured["key"].as_f64(), measured["change"].as_f64());
            match (key, change) {
                (Some(key), Some(change)) if change > 0.0 => Ok(change - key),
                (_, _) => Err(measured.to_string()),
            }
        })
        .await;
        times.push(time);
    }
    let middle = median(&times);
    report("key-to-pixels", json!({ "median_ms": middle, "times_ms": times }));
    assert!(middle <= 80.0, "{middle} ms");
    page.quit().await;
    gateway.finish().await;
}

/// Frames a second presented over five seconds.
pub(crate) const FRAME_RATE: &str = r"
    const video = document.querySelector('video#video, #video video, video');
    return new Promise(done => {
        let first;
        const look = (now, data) => {
            first ??= { now, frames: data.presentedFrames };
            if (now - first.now >= 5000) done((data.presentedFrames - first.frames) * 1000 / (now - first.now));
            else video.requestVideoFrameCallback(look);
        };
        video.requestVideoFrameCallback(look);
    });
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "asserts on time: bash tests/run perf"]
async fn the_arcade_game_shows_at_least_55_frames_a_second() {
    let gateway = Gateway::start().await;
    let arcade = crate::wire::arcade(&gateway.guest().await).await;
    let page = Chrome::start().await;
    page.play_until_picture(&gateway.url, &arcade).await;
    page.click("#stage").await;
    let mut rates = Vec::new();
    for _ in 0..5 {
        page.keys(Key::Enter).await;
        rates.push(page.run(FRAME_RATE).await.unwrap().as_f64().unwrap_or_default());
    }
    let middle = median(&rates);
    report("arcade-frame-rate", json!({ "median_fps": middle, "fps": rates }));
    assert!(middle >= 55.0, "{middle} frames/s");
    page.quit().await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "asserts on time: bash tests/run perf"]
async fn a_joiner_sees_its_first_frame_within_200_ms() {
    let gateway = Gateway::start().await;
    let owner = gateway.guest().await;
    let arcade = crate::wire::arcade(&owner).await;
    let session = owner.launch_running(&arcade).await;
    let options = JoinOptions { role: Role::Player, srtp: Srtp::Gcm, keep_picture: false, insecure: false };
    let player = join(&owner.api(), &session, &options).await.unwrap();
    player.viewer.wait_for("a frame", PATIENT, |stats| stats.frames > 60).await.unwrap();
    let grant = owner.share(&session, "spectator", 3600).await;
    let link = grant["url"].as_str().expect("a link");
    let page = Chrome::start().await;
    let mut times = Vec::new();
    for _ in 0..10 {
        page.open(link).await;
        // From the page's script, which signals, offers and connects, to the frame's callback.
        times.push(page.until_above("firstFrameMs", 0.0).await);
        page.open("about:blank").await;
    }
    let middle = median(&times);
    report("joiner-first-frame", json!({ "median_ms": middle, "times_ms": times }));
    assert!(middle <= 200.0, "{middle} ms");
    page.quit().await;
    player.viewer.close().await;
    owner.stop(&session).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "asserts on time: bash tests/run perf"]
async fn a_still_page_costs_next_to_nothing() {
    let gateway = Gateway::start().await;
    let owner = gateway.guest().await;
    let session = owner.launch_running(GARDEN).await;
    let options = JoinOptions { role: Role::Player, srtp: Srtp::Gcm, keep_picture: false, insecure: false };
    let joined = join(&owner.api(), &session, &options).await.unwrap();
    joined.viewer.wait_for("a frame", PATIENT, |stats| stats.frames > 0).await.unwrap();
    let mut last = (Instant::now(), 0, 0);
    eventually("the page stands still and its music has ended", PATIENT, async || {
        let seen = joined.viewer.stats();
        if seen.frames > last.1 + 2 || seen.audio_packets > last.2 {
            last = (Instant::now(), seen.frames, seen.audio_packets);
        }
        if last.0.elapsed() > Duration::from_secs(2) { Ok(()) } else { Err(format!("{seen:?}")) }
    })
    .await;

    let mut pids = processes::of_session(&session);
    pids.push(gateway.pid());
    let (cpu, stats, begun) = (processes::cpu_seconds(&pids), joined.viewer.stats(), Instant::now());
    tokio::time::sleep(WINDOW).await;
    let seconds = begun.elapsed().as_secs_f64();
    let seen = joined.viewer.stats();
    let percent = (processes::cpu_seconds(&pids) - cpu) / seconds * 100.0;
    let kbps = (seen.bytes - stats.bytes) as f64 * 8.0 / 1000.0 / seconds;
    let figures = json!({
        "percent_of_a_core": percent, "kbit_per_s": kbps, "frames": seen.frames - stats.frames,
        "audio_packets": seen.audio_packets - stats.audio_packets, "seconds": seconds,
    });
    report("still-page", figures);
    assert!(percent <= 2.0, "{percent} % of a core");
    assert!(kbps < 20.0, "{kbps} kbit/s");
    joined.viewer.close().await;
    owner.stop(&session).await;
    gateway.finish().await;
}
