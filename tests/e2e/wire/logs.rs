//! What an operator reads in the log: faults at a level that is looked for, in plain words.

use crate::GARDEN;
use crate::browser::foreign_producer;
use crate::support::gateway::Gateway;
use crate::support::wait::{PATIENT, eventually};
use serde_json::json;
use std::net::UdpSocket;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_launches_are_warnings_and_no_line_has_debug_text_or_quotes_in_quotes() {
    let (video, audio) = foreign_producer::free_ports();
    let source = foreign_producer::config(video, audio);
    // Somebody else's program has the port of the source.
    let _taken = UdpSocket::bind(("127.0.0.1", video)).unwrap();
    let toml = format!("sessions.capacity = 1\n{source}");
    let gateway = Gateway::with_toml(&toml).await;
    let (first, second) = tokio::join!(gateway.guest(), gateway.guest());
    let until_logged = async |level: &str, words: &str| {
        eventually(&format!("{level} {words}"), PATIENT, async || {
            let log = gateway.log();
            let line = log.iter().find(|line| line.contains(words));
            match line {
                Some(line) if line.contains(&format!(" {level} ")) => Ok(()),
                Some(line) => panic!("at another level than {level}: {line}"),
                None => Err(log.join("\n")),
            }
        })
        .await;
    };

    // A built-in game says something on its own log, and ends without a fault.
    let session = first.launch_running(GARDEN).await;
    second.post("/api/game/launch", json!({ "gameSlug": GARDEN })).await.expect(503);
    until_logged("WARN", "a launch was refused").await;
    until_logged("INFO", "game: ").await;
    first.stop(&session).await;
    until_logged("INFO", "the session ends: ").await;
    let session = first.launch(foreign_producer::SLUG).await;
    let status = first.until_status(&session, "error").await;
    assert_eq!(status["endReason"], "launch_failed", "{status:#}");
    until_logged("WARN", "the session failed: ").await;

    let log = gateway.log();
    assert!(log.iter().any(|line| line.contains("reason=launch_failed")), "{log:#?}");
    for line in &log {
        let is_debug = ["Some(", "None", "\\\"", " { "].iter().any(|sign| line.contains(sign));
        assert!(!is_debug, "debug text or a quoted line: {line}");
    }
    gateway.finish().await;
}
