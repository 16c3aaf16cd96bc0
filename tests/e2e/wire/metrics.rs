//! The metrics of a running gateway, as Prometheus scrapes them.

use super::joined;
use crate::GARDEN;
use crate::support::conventions::{assert_conventions, breaches};
use crate::support::gateway::Gateway;
use crate::support::wait::{PATIENT, SOON, eventually};
use playgate_signaling::message::Role;

const WEBHOOK: &str = "[[webhooks]]\nname = \"deaf\"\norganisation = \"cade\"\nurl = \"http://127.0.0.1:9/\"\n\
    secret = \"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_of_a_gateway_in_use_follows_the_prometheus_conventions() {
    let gateway = Gateway::with_toml(WEBHOOK).await;
    let token = gateway.mint(&["--operator"]).await;
    let owner = gateway.guest().await;
    let scrape = async || {
        let request = owner.http().get(format!("{}/metrics", gateway.url)).bearer_auth(&token);
        let answer = request.send().await.unwrap();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
        answer.text().await.unwrap()
    };
    let session = owner.launch_running(GARDEN).await;
    let player = joined(&owner, &session, Role::Player).await.unwrap();
    player.viewer.wait_for("a frame", PATIENT, |stats| stats.frames > 0).await.unwrap();
    // One of each kind: traffic, a gauge, a histogram, what is labelled, the process's own.
    let shown = [
        "playgate_sessions_active 1",
        "playgate_sessions_launched_total 1",
        "playgate_signal_connections 1",
        "playgate_relay_ingest_packets_total{shard=",
        "playgate_relay_media_out_bytes_total{shard=",
        "playgate_relay_send_calls_total{shard=",
        "playgate_relay_packets_dropped_total{shard=",
        "playgate_relay_delay_seconds_bucket{",
        "playgate_relay_busy_seconds_total{",
        "playgate_http_requests_total{status=\"200\"}",
        "playgate_process_start_time_seconds 1",
        "playgate_webhook_attempts_total{webhook=\"deaf\"",
        "playgate_thumbnails_total{outcome=\"made\"}",
        "playgate_signal_refusals_total{reason=",
    ];
    let until_shown = async |lines: &[&str]| {
        let text = eventually("all that is counted is shown", SOON, async || {
            let text = scrape().await;
            let missing = lines.iter().find(|line| !text.lines().any(|found| found.starts_with(**line)));
            missing.map_or(Ok(text.clone()), |missing| Err(format!("{missing} is missing in\n{text}")))
        })
        .await;
        assert_conventions(&text);
    };
    until_shown(&shown).await;
    player.viewer.close().await;
    owner.stop(&session).await;
    until_shown(&[
        "playgate_sessions_active 0",
        "playgate_sessions_ended_total{reason=\"stopped_by_user\"} 1",
    ])
    .await;
    gateway.finish().await;
}

#[test]
fn the_check_finds_what_is_against_the_conventions() {
    let cases = [
        ("# HELP sessions_active Sessions.\n# TYPE sessions_active gauge\nsessions_active 1\n", "prefix"),
        ("# HELP playgate_a_ms A.\n# TYPE playgate_a_ms gauge\nplaygate_a_ms 1\n", "ms in a name"),
        ("# HELP playgate_a A.\n# TYPE playgate_a counter\nplaygate_a 1\n", "wrong suffix"),
        ("# TYPE playgate_a gauge\nplaygate_a 1\n", "HELP"),
        ("playgate_a 1\n", "no family"),
        ("# HELP playgate_bytes_in A.\n# TYPE playgate_bytes_in gauge\n", "bytes is the last word"),
        ("# HELP playgate_in_bytes A.\n# TYPE playgate_in_bytes gauge\n", "# UNIT bytes"),
        (
            "# HELP playgate_t A.\n# TYPE playgate_t counter\nplaygate_t_total{what=\"media_out_bytes\"} 1\n",
            "tells kinds of things apart",
        ),
    ];
    for (text, breach) in cases {
        let found = breaches(&format!("{text}# EOF\n"));
        assert!(found.iter().any(|found| found.contains(breach)), "{text}: {found:?}");
    }
    let fine = "# HELP playgate_cpu_seconds A.\n# TYPE playgate_cpu_seconds counter\n# UNIT playgate_cpu_seconds seconds\n\
        playgate_cpu_seconds_total{shard=\"0\",reason=\"spectator_shed\"} 1.5\n# EOF\n";
    assert_eq!(breaches(fine), Vec::<String>::new());
}
