//! Rules that need a container to be seen (contract 2.4); the others are tested in `sim` and `it`.

use super::stand::{REGION, Stand};
use crate::support::conventions::assert_conventions;
use crate::support::engine::LONG;
use crate::support::wait::eventually;
use futures_util::StreamExt;
use serde_json::{Value, json};

/// `sh` runs it in place of nginx.
fn shell(id: &str, script: &str) -> Value {
    let mut request = Stand::request(id);
    request["args"] = json!(["sh", "-c", script]);
    request
}

/// The output so far.
async fn logs(stand: &Stand, query: &str) -> String {
    let request = stand.api.http().get(format!("{}/logs?{query}", stand.api.base));
    request.bearer_auth(stand.api.token()).send().await.unwrap().text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_16_g25_logs_are_what_there_is_and_followed_they_end_with_the_container() {
    let stand = Stand::new("").await;
    stand
        .start(shell(
            "match-1",
            "echo out; echo err >&2; while [ ! -e /tmp/end ]; do sleep 0.1; done; echo last",
        ))
        .await;
    eventually("the lines are there", LONG, async || {
        let text = logs(&stand, "id=match-1").await;
        if text.contains("out\n") && text.contains("err\n") { Ok(()) } else { Err(text) }
    })
    .await;
    let follow = stand
        .api
        .http()
        .get(format!("{}/logs?id=match-1&follow=true", stand.api.base))
        .bearer_auth(stand.api.token())
        .send()
        .await
        .unwrap();
    assert_eq!(follow.status(), 200);
    assert!(follow.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
    let mut chunks = follow.bytes_stream();
    let mut seen = String::new();
    while !(seen.contains("out\n") && seen.contains("err\n")) {
        seen += &String::from_utf8_lossy(&chunks.next().await.unwrap().unwrap());
    }
    assert_eq!(stand.api.delete("/session/match-1").await.status, 204);
    assert_eq!(stand.api.delete("/session/match-1").await.status, 409, "rule 14");
    // It ends with the container, which a signal does not end by itself: the grace has to pass.
    while let Some(chunk) = tokio::time::timeout(LONG, chunks.next()).await.expect("followed logs end") {
        seen += &String::from_utf8_lossy(&chunk.unwrap());
    }
    stand.becomes("match-1", "exited").await;
    assert!(logs(&stand, "id=match-1").await.contains("out\n"), "and shortly after");
    stand.api.get("/logs?id=unknown").await.expect(404);
    stand.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_13_a_delete_is_sigterm_and_after_the_grace_sigkill() {
    let stand = Stand::new("session_api.stop_grace_ms = 2000").await;
    stand.start(shell("deaf", "trap 'echo asked' TERM; echo ready; while :; do sleep 0.1; done")).await;
    stand
        .start(shell("polite", "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.1; done"))
        .await;
    for (id, last) in [("deaf", "asked\n"), ("polite", "bye\n")] {
        eventually("it listens", LONG, async || {
            let text = logs(&stand, &format!("id={id}")).await;
            if text.contains("ready\n") { Ok(()) } else { Err(text) }
        })
        .await;
        assert_eq!(stand.api.delete(&format!("/session/{id}")).await.status, 204);
        stand.becomes(id, "exited").await;
        assert!(logs(&stand, &format!("id={id}")).await.ends_with(last), "{id}");
    }
    stand.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_3_g30_a_failing_container_is_started_again_with_its_ports_and_its_logs_go_on() {
    let stand = Stand::new("session_api.restart_limit = 1").await;
    let mut request =
        shell("match-1", "echo life; [ -e /again ] && exec nginx -g 'daemon off;'; touch /again; exit 3");
    request["restart"] = json!(true);
    let started = stand.start(request).await;
    let follow = tokio::spawn({
        let (http, url, token) = (stand.api.http(), stand.api.base.clone(), stand.api.token().to_owned());
        async move {
            let url = format!("{url}/logs?id=match-1&follow=true");
            http.get(url).bearer_auth(token).send().await.unwrap().text().await.unwrap()
        }
    });
    let port = started["ports"][0]["host"].as_u64().unwrap();
    eventually("the second life answers where the first would have", LONG, async || {
        let answer = stand.api.http().get(format!("http://127.0.0.1:{port}/")).send().await;
        answer.map(drop).map_err(|error| error.to_string())
    })
    .await;
    stand.becomes("match-1", "running").await;
    stand.api.delete("/session/match-1").await;
    stand.becomes("match-1", "exited").await;
    let text = tokio::time::timeout(LONG, follow).await.expect("followed logs end").unwrap();
    assert_eq!(text.matches("life\n").count(), 2, "{text}");
    stand.start(shell("match-2", "exit 3")).await;
    stand.becomes("match-2", "exited").await;
    stand.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_15_g23_after_the_retention_time_nothing_is_found_and_the_id_stays_used() {
    let stand = Stand::new("session_api.retention_s = 5").await;
    stand.start(Stand::request("match-1")).await;
    stand.api.delete("/session/match-1").await;
    stand.becomes("match-1", "exited").await;
    stand.api.get("/artifacts?session=match-1&path=/nowhere").await.expect(404);
    eventually("the container is removed", LONG, async || {
        let reply = stand.describe("match-1").await;
        if reply.status == 404 { Ok(()) } else { Err(format!("{:#}", reply.body)) }
    })
    .await;
    stand.api.get("/artifacts?session=match-1&path=/var/log").await.expect(404);
    stand.api.get("/logs?id=match-1").await.expect(404);
    stand.api.post("/session", Stand::request("match-1")).await.expect(409);
    stand.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_15_g16_what_is_larger_than_the_limit_is_refused_before_its_first_byte() {
    let stand = Stand::new("session_api.artifact_mb = 1").await;
    stand.start(shell("match-1", "mkdir /out; head -c 3000000 /dev/urandom >/out/big; echo ok >/out/small; ln -s /etc/passwd /out/link")).await;
    stand.becomes("match-1", "exited").await;
    stand.api.get("/artifacts?session=match-1&path=/out").await.expect(422);
    assert_eq!(stand.api.get("/artifacts?session=match-1&path=/out/small").await.status, 200);
    stand.api.get("/artifacts?session=match-1&path=out").await.expect(422);
    for path in ["/nowhere", "/out/../../../nowhere"] {
        stand.api.get(&format!("/artifacts?session=match-1&path={path}")).await.expect(404);
    }
    stand.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_19_20_locations_and_tags_are_those_of_engine_and_registry() {
    let stand = Stand::new("").await;
    let locations = stand.api.get("/available-location/nginx").await.expect(200);
    assert_eq!(locations, json!({ "locations": [{ "id": "frankfurt", "ips": ["127.0.0.1"] }] }));
    stand.api.get("/available-location/unknown").await.expect(404);
    stand.rival().await.get("/available-location/show").await.expect(404);
    for (tag, exists) in [("1.22", true), ("stable", true), ("none", false)] {
        let reply = stand.api.get(&format!("/tag/{REGION}/nginx/{tag}")).await.expect(200);
        assert_eq!(reply, json!({ "exists": exists }), "{tag}");
    }
    stand.api.get("/tag/mars/nginx/stable").await.expect(400);
    stand.api.get("/tag/europe/unknown/stable").await.expect(404);
    stand.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g4_enable_metrics_puts_the_session_on_the_metrics_page() {
    let stand = Stand::new("").await;
    let mut request = Stand::request("watched");
    request["enableMetrics"] = json!("true");
    stand.start(request).await;
    stand.start(Stand::request("plain")).await;
    let operator = stand.gateway.mint(&["--operator"]).await;
    let metrics = async || {
        let request = stand.api.http().get(format!("{}/metrics", stand.api.base)).bearer_auth(&operator);
        request.send().await.unwrap().text().await.unwrap()
    };
    eventually("its memory is told", LONG, async || {
        let text = metrics().await;
        let told = |session: &str| {
            text.lines().any(|line| {
                line.starts_with("playgate_hosted_session_memory_bytes{")
                    && line.contains(&format!("session=\"{session}\""))
            })
        };
        assert!(!told("plain"));
        if !told("watched") {
            return Err(text.clone());
        }
        // With what only a gateway with an engine counts.
        assert!(text.contains("playgate_content_download_bytes_total{"));
        assert_conventions(&text);
        Ok(())
    })
    .await;
    stand.api.delete("/session/watched").await;
    stand.becomes("watched", "exited").await;
    assert!(!metrics().await.contains("session=\"watched\""));
    stand.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_speaks_the_runner_contract_is_watched_by_a_grant() {
    let stand = Stand::new("").await;
    stand.start(json!({ "id": "live", "location": "frankfurt", "image": "show" })).await;
    let described = stand.describe("live").await.expect(200);
    let playgate: Value = serde_json::from_str(described["labels"]["playgate"].as_str().unwrap()).unwrap();
    let session = playgate["sessionId"].as_str().unwrap();
    assert!(playgate["containerUrl"].as_str().unwrap().ends_with(&format!("/session/{session}/")));
    let wanted = json!({ "role": "player", "expiresIn": 600 });
    let grant = stand.api.post("/session/live/token", wanted).await.expect(201);
    let viewer = stand.gateway.client().with_token(grant["token"].as_str().unwrap());
    viewer.until_status(session, "running").await;
    let joined = super::super::stand::joined(&viewer, session).await;
    let frame = super::super::stand::counter(&joined).await;
    super::super::stand::counts_on(&joined, frame).await;
    let described = stand.describe("live").await.expect(200);
    assert_eq!(described["status"], "running");
    joined.viewer.close().await;
    stand.api.delete("/session/live").await;
    stand.becomes("live", "exited").await;
    stand.finish().await;
}
