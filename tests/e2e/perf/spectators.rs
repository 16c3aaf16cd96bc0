//! A crowd of spectators by embed grants does not slow the player: input to picture alone, and with a hundred watching,
//! in turns, so that what else the machine does is in both.

use crate::support::figures::{median, report};
use crate::support::gateway::Gateway;
use crate::support::http::Client;
use crate::support::wait::{PATIENT, eventually};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::process::{Output, Stdio};
use tokio::process::Command;
use tokio::task::JoinHandle;

const SPECTATORS: u32 = 100;
/// Of both kinds, taking turns.
const ROUNDS: usize = 3;
/// With the crowd it may take so many times as long.
const MOST: f64 = 1.1;

/// Ember at a quarter of its pixels and 15 frames/s, as for `benches/results/bots-100.json`: 101 decoders' worth of
/// traffic and the game itself share two cores.
const SMALL: &str =
    "[[games]]\nslug = \"ember\"\ntitle = \"Ember\"\nwidth = 640\nheight = 360\nfps = 15\nkbps = 800\n";

/// Visitors of an embed, in a process of their own. A crowd gives way to the gateway and the game, as it would by being on
/// machines of its own; when it gets too little, it drops packets and its run is void.
fn bots(
    gateway: &Gateway,
    embed: &Value,
    niceness: &str,
    arguments: &[&str],
) -> (Option<u32>, JoinHandle<Output>) {
    let token = embed["token"].as_str().expect("a token");
    // It becomes the program: the process id is the bots'.
    let child = Command::new("nice")
        .args(["-n", niceness, env!("CARGO_BIN_EXE_playgate")])
        .args(["bots", "--url", &gateway.url, "--embed", token, "--json"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the bots start");
    let pid = child.id();
    (pid, tokio::spawn(async move { child.wait_with_output().await.expect("the bots end") }))
}

async fn written_up(bots: JoinHandle<Output>) -> Value {
    let output = bots.await.expect("the bots' task ends");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

async fn embed(owner: &Client, session: &str, role: &str) -> Value {
    let wish = json!({ "sessionId": session, "role": role, "origins": ["https://arcade.example"] });
    owner.post("/api/embeds", wish).await.expect(201)
}

/// One player for twenty seconds, ten presses a second.
async fn plays(gateway: &Gateway, embed: &Value) -> Value {
    let input = ["--input", "key:space hold 30ms every 101ms"];
    let (_, bots) = bots(
        gateway,
        embed,
        "0",
        &[&["--viewers", "1", "--mode", "full", "--duration", "20s"][..], &input].concat(),
    );
    written_up(bots).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "asserts on time: bash tests/run perf"]
async fn a_hundred_spectators_by_embed_grants_do_not_slow_the_player() {
    let gateway = Gateway::with_toml(SMALL).await;
    let owner = gateway.guest().await;
    let session = owner.launch_running("ember").await;
    let (player, crowd) =
        (embed(&owner, &session, "player").await, embed(&owner, &session, "spectator").await);
    let watching = async |least: u64| {
        eventually(&format!("{least} watch"), PATIENT, async || {
            let viewers = owner.status(&session).await["viewers"].as_u64().unwrap_or_default();
            if viewers >= least { Ok(()) } else { Err(viewers.to_string()) }
        })
        .await;
    };
    let (mut alone, mut watched, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    let mut void = false;
    // Whose first pictures and first code these are is not measured.
    plays(&gateway, &player).await;
    for _ in 0..ROUNDS {
        let p50 =
            |report: &Value| report["bots"][0]["inputToPictureMs"]["p50"].as_f64().expect("presses are seen");
        let seen = plays(&gateway, &player).await;
        void |= seen["void"] == true;
        alone.push(p50(&seen));

        let many = SPECTATORS.to_string();
        let plan = ["--viewers", &many, "--mode", "light", "--ramp", "8s", "--duration", "10m"];
        let (pid, spectators) = bots(&gateway, &crowd, "5", &plan);
        watching(u64::from(SPECTATORS)).await;
        let seen = plays(&gateway, &player).await;
        void |= seen["void"] == true;
        watched.push(p50(&seen));
        let pid = pid.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)).expect("a process id");
        kill_process(pid, Signal::INT).expect("the crowd can be told to go");
        let seen = written_up(spectators).await;
        void |= seen["void"] == true;
        assert_eq!(seen["figures"]["failed-bots"], 0.0, "{:#}", seen["figures"]);
        rates.push(seen["figures"]["fps-p50"].clone());
    }
    let (without, with) = (median(&alone), median(&watched));
    let figures = json!({
        "spectators": SPECTATORS, "void": void, "alone_ms": without, "watched_ms": with, "ratio": with / without,
        "alone_rounds_ms": alone, "watched_rounds_ms": watched, "spectators_fps": rates,
    });
    assert!(
        !void,
        "bots dropped packets in their own sockets, the machine is too busy for this: {figures:#}"
    );
    report("spectators", figures);
    assert!(with <= without * MOST, "{with} ms with {SPECTATORS} spectators, {without} ms without");
    owner.stop(&session).await;
    gateway.finish().await;
}
