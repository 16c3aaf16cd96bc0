//! Players that are not ours, from PyPI and Debian, watch a built-in game by WHEP at their first try, each with a fresh embed
//! grant. All of them watch at once, so that a minute costs a minute.

use crate::GARDEN;
use crate::support::gateway::Gateway;
use crate::support::http::Client;
use crate::support::tools::{ours, tools};
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;

/// A still picture is sent once a second: this many seconds without a frame are too many.
const LONGEST_PAUSE: usize = 4;
/// From the start of a player to its first frame: its imports, the offer, the handshake, on a busy machine.
const START: usize = 15;

/// A program that prints a line of JSON every second.
#[derive(Debug, Clone, Copy)]
struct Player {
    name: &'static str,
    script: &'static str,
    options: &'static [&'static str],
}

const PLAYERS: [Player; 3] = [
    Player { name: "aiortc", script: "whep_aiortc.py", options: &[] },
    Player { name: "aiortc without AES-GCM", script: "whep_aiortc.py", options: &["--aes-cm"] },
    // Its DTLS knows AES-CM alone.
    Player { name: "GStreamer", script: "whep_gstreamer.py", options: &[] },
];

/// Visits a session by an embed token, as anybody's site does.
async fn visit(gateway: &Gateway, owner: &Client, session: &str) -> String {
    let wish = json!({ "sessionId": session, "role": "spectator", "origins": ["https://arcade.example"], "uses": 1 });
    let embed = owner.post("/api/embeds", wish).await.expect(201);
    let visitor = gateway.client().with_token(embed["token"].as_str().unwrap());
    let visit = visitor.post("/api/embed/visit", json!({})).await.expect(201);
    visit["token"].as_str().unwrap().to_owned()
}

/// What a player said until its end, which has to be a good one.
async fn watch(player: Player, url: &str, grant: &str, seconds: usize) -> Vec<Value> {
    let python = match player.script {
        // Debian's own: GStreamer's bindings are Debian's.
        "whep_gstreamer.py" => "/usr/bin/python3".into(),
        _ => tools().join("python/bin/python"),
    };
    let mut child = Command::new(python)
        .arg(ours("tests/players").join(player.script))
        .args([url, grant, &seconds.to_string()])
        .args(player.options)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", player.name));
    let mut errors = child.stderr.take().unwrap();
    let errors = tokio::spawn(async move {
        let mut text = String::new();
        let _ = errors.read_to_string(&mut text).await;
        text
    });
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = Vec::new();
    let read = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            said.push(serde_json::from_str(&line).unwrap());
        }
    };
    let within = Duration::from_secs(seconds as u64 + 45);
    tokio::time::timeout(within, read).await.unwrap_or_else(|_| panic!("{} does not end", player.name));
    let status = child.wait().await.unwrap();
    assert!(status.success(), "{}: {status}\n{}", player.name, errors.await.unwrap());
    said
}

/// Frames come all the time, and the connection holds to the end.
fn judge(player: Player, said: &[Value], seconds: usize) {
    let name = player.name;
    assert_eq!(said.len(), seconds, "{name} ended early: {:?}", said.last());
    let frames: Vec<u64> = said.iter().map(|line| line["frames"].as_u64().unwrap()).collect();
    let first = frames.iter().position(|frames| *frames > 0);
    let first = first.unwrap_or_else(|| panic!("{name} saw no frame: {said:?}"));
    assert!(first < START, "{name} waited {first} s for a picture: {:?}", said[first]);
    for (at, pair) in frames[first..].windows(LONGEST_PAUSE + 1).enumerate() {
        let (before, after) = (pair[0], pair[LONGEST_PAUSE]);
        assert!(after > before, "{name} saw nothing for {LONGEST_PAUSE} s at {}: {frames:?}", first + at);
    }
    assert_eq!(said[seconds - 1]["state"], "connected", "{name}: {:?}", said[seconds - 1]);
    eprintln!("{name}: first frame within {} s, {} frames in {seconds} s", first + 1, frames[seconds - 1]);
}

async fn all_watch(seconds: usize) {
    let gateway = Gateway::start().await;
    let owner = gateway.guest().await;
    let session = owner.launch_running(GARDEN).await;
    let url = format!("{}/session/{session}/whep", gateway.url);
    let watching = PLAYERS.map(|player| {
        let (gateway, owner, session, url) = (&gateway, &owner, &session, &url);
        async move {
            let grant = visit(gateway, owner, session).await;
            judge(player, &watch(player, url, &grant, seconds).await, seconds);
        }
    });
    futures_util::future::join_all(watching).await;
    assert_eq!(gateway.sealed().await, (1, 2), "one handshake each, with AES-GCM where it was offered");
    owner.stop(&session).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aiortc_and_gstreamer_watch_for_more_than_a_minute() {
    all_watch(75).await;
}

mod long {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "long: three minutes and a half"]
    async fn aiortc_and_gstreamer_watch_for_three_minutes() {
        super::all_watch(180).await;
    }
}
