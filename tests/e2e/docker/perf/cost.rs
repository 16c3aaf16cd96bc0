//! What games in containers cost, untouched and played: the game, and apart from it what comes with us.

use crate::browser::container::{FREEDOOM, QUESTION, START, enter_level, freedoom, question};
use crate::perf::WINDOW;
use crate::support::chrome::Chrome;
use crate::support::engine::Engine;
use crate::support::figures::report;
use crate::support::gateway::Gateway;
use crate::support::page::Page;
use crate::support::processes;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use thirtyfour::Key;

/// Rows of the table, in a container: whatever is not ours and no helper of ours is the game.
const GAME: &str = "game";
const RUNNER: &str = "runner";
const X_SERVER: &str = "x_server";
const AUDIO_SERVER: &str = "audio_server";
const INIT: &str = "init";

fn row(process: &str) -> &'static str {
    match process {
        "playgate" => RUNNER,
        "Xvfb" => X_SERVER,
        "pulseaudio" => AUDIO_SERVER,
        "tini" => INIT,
        _ => GAME,
    }
}

/// CPU seconds so far.
struct Used {
    at: Instant,
    rows: BTreeMap<&'static str, f64>,
    /// All of the container, with processes that have ended.
    cgroup: f64,
    /// This container's is the only game of the gateway.
    gateway: f64,
}

impl Used {
    async fn now(engine: &Engine, gateway: &Gateway, container: &str) -> Self {
        let mut rows = BTreeMap::from([GAME, RUNNER, X_SERVER, AUDIO_SERVER, INIT].map(|row| (row, 0.0)));
        for pid in engine.processes(container).await {
            *rows.entry(row(&processes::name(pid))).or_default() += processes::cpu_seconds(&[pid]);
        }
        Self {
            at: Instant::now(),
            rows,
            cgroup: engine.cgroup_cpu_seconds(container).await,
            gateway: processes::cpu_seconds(&[gateway.pid()]),
        }
    }

    /// Percent of a core since then. The rows have to be nearly all there is: else a process was missed.
    fn since(&self, before: &Self) -> Value {
        let seconds = (self.at - before.at).as_secs_f64();
        let percent = |after: f64, before: f64| (after - before) / seconds * 100.0;
        let rows: BTreeMap<_, _> =
            self.rows.iter().map(|(row, after)| (*row, percent(*after, before.rows[row]))).collect();
        let (sum, cgroup) = (rows.values().sum::<f64>(), percent(self.cgroup, before.cgroup));
        assert!((sum - cgroup).abs() < 1.0 + 0.1 * cgroup, "{rows:?} of {cgroup}");
        json!({
            "container": rows, "sum_of_rows": sum, "container_by_cgroup": cgroup,
            "gateway": percent(self.gateway, before.gateway),
        })
    }
}

/// Somebody reads a line a second.
async fn reads(page: &Chrome) {
    for _ in 0..WINDOW.as_secs() {
        page.keys(Key::Enter).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Somebody looks to both sides all the time.
async fn looks_about(page: &Chrome) {
    let begun = Instant::now();
    while begun.elapsed() < WINDOW {
        for x in [440, 640, 840, 640] {
            page.move_mouse(x, 400).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures: bash tests/run perf"]
async fn what_games_in_containers_cost() {
    let engine = Engine::connect().await;
    let gateway = engine.gateway(&[question(), freedoom()].concat()).await;
    let player = gateway.guest().await;
    let page = Chrome::start().await;
    page.sign_in(&player.sign_in_link()).await;
    let mut figures = serde_json::Map::new();
    for game in [QUESTION, FREEDOOM] {
        page.play_until_picture(&gateway.url, game).await;
        let session = player.sessions().await.remove(0);
        let container = engine.container(&session).await;
        if game == QUESTION {
            let title = page.settled_picture().await;
            page.click_picture(START.0, START.1).await;
            page.until_changed(&title).await;
            page.settled_picture().await;
        } else {
            enter_level(&page).await;
        }
        let used = async || Used::now(&engine, &gateway, &container).await;
        let before = used().await;
        tokio::time::sleep(WINDOW).await;
        let untouched = used().await;
        let frames = page.number("framesDecoded").await.unwrap();
        let begun = used().await;
        if game == QUESTION {
            reads(&page).await
        } else {
            looks_about(&page).await
        }
        let played = used().await;
        let frames = page.number("framesDecoded").await.unwrap() - frames;
        figures.insert(
            game.to_owned(),
            json!({
                "unit": "percent of a core",
                "idle": untouched.since(&before),
                "playing": played.since(&begun),
                "playing_fps": frames / (played.at - begun.at).as_secs_f64(),
            }),
        );
        page.stop().await;
    }
    report("container-cost", Value::Object(figures));
    page.quit().await;
    gateway.finish().await;
}
