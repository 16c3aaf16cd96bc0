//! `playgate bots` as people and scripts call it.

use crate::GARDEN;
use crate::support::gateway::{Gateway, Options};
use serde_json::Value;
use std::process::Output;
use tokio::process::Command;

async fn bots(gateway: &Gateway, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_playgate"))
        .args(["bots", "--url", &gateway.url, "--game", GARDEN])
        .args(arguments)
        .kill_on_drop(true)
        .output()
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_bots_launch_watch_decode_and_stop() {
    let gateway = Gateway::start().await;
    let output =
        bots(&gateway, &["--sessions", "2", "--duration", "3s", "--expect-frames", "3", "--keys", "--json"])
            .await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(report["passed"], true);
    for bot in report["bots"].as_array().unwrap() {
        assert_eq!((&bot["width"], &bot["height"]), (&1280.into(), &720.into()));
        assert!(bot["markedFrames"].as_u64().unwrap() > 0 && bot["keyFrames"].as_u64().unwrap() > 0, "{bot}");
        assert_eq!(bot["packetsLost"], 0);
    }
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_few_frames_are_a_failure_with_words() {
    let gateway = Gateway::start().await;
    let output = bots(&gateway, &["--duration", "500ms", "--expect-frames", "1000000"]).await;
    assert_eq!(output.status.code(), Some(1));
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(table.contains("of 1000000 frames came"), "{table}");
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bot_plays_over_ipv6() {
    let options = Options { listen: "[::1]:0".to_owned(), ..Default::default() };
    let gateway = Gateway::with(options).await;
    assert!(gateway.url.starts_with("http://[::1]:"), "{}", gateway.url);
    let output = bots(&gateway, &["--duration", "2s", "--expect-frames", "3"]).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    gateway.finish().await;
}
