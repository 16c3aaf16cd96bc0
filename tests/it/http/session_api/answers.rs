//! What is told of sessions, players, places, artifacts and logs.

use super::Office;
use crate::http::fake_hosted::view;
use playgate::model::hosted::Hosted;
use playgate::model::session::{ContainerStatus, EndReason};
use playgate::session::ServiceError;
use playgate::session::hosted::{HostedStatus, HostedView};
use playgate_signaling::message::Progress;
use serde_json::{Value, json};
use std::sync::Arc;

fn label(session: &Value, name: &str) -> Value {
    serde_json::from_str(session["labels"][name].as_str().unwrap()).unwrap()
}

/// Keys in the order they were sent.
fn keys(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let (mut depth, mut quoted, mut start) = (0, false, 0);
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'"' if at == 0 || bytes[at - 1] != b'\\' => {
                if quoted && depth == 1 && bytes.get(at + 1) == Some(&b':') {
                    found.push(text[start..at].to_owned());
                }
                (quoted, start) = (!quoted, at + 1);
            }
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted => depth -= 1,
            _ => {}
        }
    }
    found
}

const COMMON: [&str; 9] = ["id", "image", "tag", "location", "host", "created", "port", "status", "labels"];

#[tokio::test]
async fn g21_a_list_entry_has_every_field_in_the_contracts_order() {
    let office = Office::new().await;
    office.site.hosted.with(view("mine"));
    let answer = office.get("/session").await;
    let text = answer.text();
    let entry = text.strip_prefix(r#"{"sessions":["#).unwrap().strip_suffix("]}").unwrap();
    assert_eq!(keys(entry), [&COMMON[..], &["playerCount"]].concat());
    let entry = answer.json()["sessions"][0].clone();
    assert_eq!((&entry["id"], &entry["status"]), (&json!("mine"), &json!("running")));
    assert_eq!((&entry["location"], &entry["tag"]), (&json!("frankfurt"), &json!("1.27")));
    assert_eq!(entry["playerCount"], 2);
}

#[tokio::test]
async fn g21_a_described_session_has_players_and_no_count_beside() {
    let office = Office::new().await;
    office.site.hosted.with(view("mine"));
    let answer = office.get("/session/mine").await;
    assert_eq!(keys(&answer.text()), [&COMMON[..], &["players"]].concat());
    assert_eq!(answer.json()["players"], json!({ "joined": ["ada", "bob"], "joinedCount": 2 }));
}

#[tokio::test]
async fn g10_and_x8_created_is_a_whole_number_of_milliseconds() {
    let office = Office::new().await;
    office.site.hosted.with(view("mine"));
    assert!(office.get("/session/mine").await.text().contains(r#""created":1648472895123,"#));
}

#[tokio::test]
async fn g11_ports_are_a_map_in_reads() {
    let office = Office::new().await;
    office.site.hosted.with(view("mine"));
    assert_eq!(
        office.get("/session/mine").await.json()["port"],
        json!({ "80/tcp": 20001, "7777/udp": 20002 })
    );
}

#[tokio::test]
async fn rule_12_and_g12_labels_hold_json_strings_and_the_images_own_as_they_are() {
    let office = Office::new().await;
    let view = view("mine");
    office.site.hosted.with(view.clone());
    let session = office.get("/session/mine").await.json();
    assert_eq!(label(&session, "env"), json!({ "MODE": "ranked", "GAMEYE_HOST": "203.0.113.7" }));
    assert_eq!(label(&session, "tags"), json!({ "mode": "ranked", "a": "" }));
    let gameye = json!({
        "organization": "acme", "session": "mine", "image": "nginx", "region": "europe", "tag": "1.27",
        "enableMetrics": "false",
    });
    assert_eq!(label(&session, "gameye"), gameye);
    assert_eq!(session["labels"]["maintainer"], "somebody");
    assert_eq!(label(&session, "playgate"), json!({ "sessionId": view.id }), "no picture, no page");
    assert!(session["labels"].as_object().unwrap().values().all(Value::is_string));

    let starting = HostedView {
        progress: Some(Progress { step: "downloading".to_owned(), percent: Some(43.0) }),
        ..view.clone()
    };
    office.site.hosted.with(starting);
    let told = label(&office.get("/session/mine").await.json(), "playgate");
    assert_eq!(told["progress"], json!({ "step": "downloading", "percent": 43.0 }));
    let ended = HostedView { end_reason: Some(EndReason::OutOfMemory), ..view.clone() };
    office.site.hosted.with(ended);
    let told = label(&office.get("/session/mine").await.json(), "playgate");
    assert_eq!(told["endReason"], "out_of_memory");

    let hosted = Hosted { stream: true, enable_metrics: true, ..(*view.hosted).clone() };
    office.site.hosted.with(HostedView { hosted: Arc::new(hosted), ..view.clone() });
    let session = office.get("/session/mine").await.json();
    let playgate = json!({
        "sessionId": view.id,
        "containerUrl": format!("http://localhost:8080/session/{}/", view.id),
        "serverUrl": "http://localhost:8080",
        "spectators": 0,
    });
    assert_eq!(label(&session, "playgate"), playgate);
    assert_eq!(label(&session, "gameye")["enableMetrics"], "true");
}

#[tokio::test]
async fn rule_17_and_x7_statuses_are_spelt_as_the_contract_does() {
    let office = Office::new().await;
    for (status, name) in [
        (HostedStatus::Container(ContainerStatus::Created), "created"),
        (HostedStatus::Container(ContainerStatus::Running), "running"),
        (HostedStatus::Container(ContainerStatus::Restarting), "restarting"),
        (HostedStatus::Container(ContainerStatus::Exited), "exited"),
        (HostedStatus::Container(ContainerStatus::Dead), "dead"),
        (HostedStatus::Container(ContainerStatus::ShuttingDown), "shuttingdown"),
        (HostedStatus::Draining, "draining"),
        (HostedStatus::ServerUnreachable, "server_unreachable"),
    ] {
        office.site.hosted.with(HostedView { status, ..view("mine") });
        assert_eq!(office.get("/session/mine").await.json()["status"], name);
    }
}

#[tokio::test]
async fn g22_and_x9_a_stop_is_204_without_a_body_and_a_second_one_409() {
    let office = Office::new().await;
    office.site.hosted.with(view("mine"));
    let stopped = office.ask("DELETE", "/session/mine").await;
    assert_eq!((stopped.status.as_u16(), stopped.bytes.len()), (204, 0));
    office.site.hosted.refuse(|| ServiceError::Terminated);
    office.ask("DELETE", "/session/mine").await.is_error_response(409, "CONFLICT", "/session/mine");
}

#[tokio::test]
async fn g20_a_join_tells_the_whole_roster_and_its_size() {
    let office = Office::new().await;
    office.site.hosted.with(view("mine"));
    let join = json!({ "session": "mine", "players": ["cyd", "cyd"] });
    let answer = office.send("PUT", "/session/player/join", &join).await;
    assert_eq!(
        (answer.status.as_u16(), answer.text()),
        (200, r#"{"count":3,"players":["ada","bob","cyd"]}"#.into())
    );
    assert_eq!(office.site.hosted.calls(), ["join acme mine cyd,cyd"]);
}

#[tokio::test]
async fn g20_a_leave_tells_those_named_once_each_and_the_size_of_the_rest() {
    let office = Office::new().await;
    office.site.hosted.with(view("mine"));
    let leave = json!({ "session": "mine", "players": ["bob", "cyd", "bob"] });
    let answer = office.send("DELETE", "/session/player/leave", &leave).await;
    assert_eq!(
        (answer.status.as_u16(), answer.text()),
        (200, r#"{"count":1,"players":["bob","cyd"]}"#.into())
    );
}

#[tokio::test]
async fn g1_a_leave_without_a_session_is_the_cores_to_resolve() {
    let office = Office::new().await;
    let answer = office.send("DELETE", "/session/player/leave", &json!({ "players": ["bob"] })).await;
    assert_eq!(answer.status, 200);
    assert_eq!(office.site.hosted.calls(), ["leave acme None bob"]);
    office.site.hosted.refuse(super::super::fake_hosted::no_session);
    office.send("DELETE", "/session/player/leave", &json!({ "players": ["bob"] })).await.is_error_response(
        404,
        "RESOURCE_NOT_FOUND",
        "/session/player/leave",
    );
}

#[tokio::test]
async fn players_that_are_no_list_of_strings_are_422() {
    let office = Office::new().await;
    for (method, path) in [("PUT", "/session/player/join"), ("DELETE", "/session/player/leave")] {
        for (body, fields) in [
            (json!({ "session": "mine" }), vec!["players"]),
            (json!({ "session": "mine", "players": "bob" }), vec!["players"]),
            (json!({ "session": "mine", "players": ["bob", 1] }), vec!["players[1]"]),
            (json!({ "session": 7, "players": [], "more": 1 }), vec!["session", "more"]),
        ] {
            let answer = office.send(method, path, &body).await;
            assert_eq!(answer.is_error_response(422, "INVALID_REQUEST", path), fields, "{method} {body}");
        }
    }
    let answer = office.send("PUT", "/session/player/join", &json!({ "players": [] })).await;
    assert_eq!(answer.is_error_response(422, "INVALID_REQUEST", "/session/player/join"), ["session"]);
    assert!(office.site.hosted.calls().is_empty());
}

#[tokio::test]
async fn a6_players_are_bounded_in_number_and_length() {
    let office = Office::new().await;
    let many = |count: usize| (0..count).map(|number| format!("player-{number}")).collect::<Vec<_>>();
    for (method, path) in [("PUT", "/session/player/join"), ("DELETE", "/session/player/leave")] {
        for (players, fields) in [
            (json!(many(1001)), vec!["players"]),
            (json!(["a".repeat(257)]), vec!["players[0]"]),
            (json!(["ada", "a".repeat(200_000)]), vec!["players[1]"]),
        ] {
            let answer = office.send(method, path, &json!({ "session": "mine", "players": players })).await;
            assert_eq!(answer.is_error_response(422, "INVALID_REQUEST", path), fields, "{method}");
            assert!(answer.bytes.len() < 4096, "the answer does not repeat what was sent");
        }
        let beyond = json!({ "session": "mine", "players": ["a".repeat(400_000)] });
        let answer = office.send(method, path, &beyond).await;
        answer.is_error_response(422, "INVALID_REQUEST", path);
        assert!(answer.text().contains("320 KiB"), "{}", answer.text());
    }
    assert!(office.site.hosted.calls().is_empty(), "nothing of it reached the core");

    office.site.hosted.with(view("mine"));
    // The contract lets an empty id through.
    let answer =
        office.send("PUT", "/session/player/join", &json!({ "session": "mine", "players": [""] })).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let most: Vec<String> = (0..1000).map(|number| format!("{number:0256}")).collect();
    let answer =
        office.send("PUT", "/session/player/join", &json!({ "session": "mine", "players": most })).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    office.site.hosted.refuse(|| ServiceError::TooManyPlayers { most: 10_000 });
    let answer =
        office.send("PUT", "/session/player/join", &json!({ "session": "mine", "players": ["a"] })).await;
    let fields = answer.is_error_response(422, "INVALID_REQUEST", "/session/player/join");
    assert_eq!(fields, ["players"]);
}

#[tokio::test]
async fn rule_19_locations_come_with_addresses() {
    let office = Office::new().await;
    let answer = office.get("/available-location/nginx").await;
    assert_eq!(answer.text(), r#"{"locations":[{"id":"frankfurt","ips":["203.0.113.7"]}]}"#);
    let unknown = office.get("/available-location/unknown").await;
    unknown.is_error_response(404, "RESOURCE_NOT_FOUND", "/available-location/unknown");
}

#[tokio::test]
async fn rule_20_and_g14_a_tag_exists_or_not_and_a_bad_region_is_400() {
    let office = Office::new().await;
    assert_eq!(office.get("/tag/europe/nginx/1.27").await.text(), r#"{"exists":true}"#);
    assert_eq!(office.get("/tag/europe/nginx/none").await.text(), r#"{"exists":false}"#);
    office.get("/tag/e%2Fu/my%20image/%C3%BC").await;
    assert_eq!(office.site.hosted.calls().last().unwrap(), "tag acme e/u my image ü");
    office.site.hosted.refuse(|| ServiceError::InvalidRequest("There is no region `mars`.".into()));
    office.get("/tag/mars/nginx/1").await.is_error_response(400, "INVALID_REQUEST", "/tag/mars/nginx/1");
    office.site.hosted.refuse(|| ServiceError::NotFound("No such image.".into()));
    office.get("/tag/eu/x/1").await.is_error_response(404, "RESOURCE_NOT_FOUND", "/tag/eu/x/1");
}

#[tokio::test]
async fn g15_an_artifact_is_a_tar_gz_without_a_content_encoding() {
    let office = Office::new().await;
    office.site.hosted.with(view("mine"));
    let request = office.request("GET", "/artifacts?session=mine&path=%2Fvar%2Flog%2Fnginx");
    let request = request.header("accept-encoding", "gzip").body(axum::body::Body::empty()).unwrap();
    let answer = office.site.send(request).await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "gzipped"));
    assert_eq!(answer.header("content-type"), "application/x-tar");
    assert_eq!(answer.header("content-disposition"), "attachment; filename=\"nginx.tar.gz\"");
    assert_eq!(answer.header("content-encoding"), "");
    assert_eq!(office.site.hosted.calls(), ["artifact acme mine /var/log/nginx"]);
}

#[tokio::test]
async fn rule_15_and_g16_an_artifact_that_cannot_be_given_is_404_and_one_too_large_422() {
    let office = Office::new().await;
    for (query, fields) in [
        ("", vec!["session", "path"]),
        ("session=&path=", vec!["session", "path"]),
        ("session=mine", vec!["path"]),
        ("session=a&session=b&path=/x", vec!["session"]),
    ] {
        let answer = office.get(&format!("/artifacts?{query}")).await;
        assert_eq!(answer.is_error_response(422, "INVALID_REQUEST", "/artifacts"), fields, "{query}");
    }
    let unknown = office.get("/artifacts?session=other&path=relative").await;
    unknown.is_error_response(404, "RESOURCE_NOT_FOUND", "/artifacts");
    office.site.hosted.with(view("mine"));
    let relative = office.get("/artifacts?session=mine&path=relative").await;
    assert_eq!(relative.is_error_response(422, "INVALID_REQUEST", "/artifacts"), ["path"]);
    office.site.hosted.refuse(|| ServiceError::TooLarge { limit: 100 << 20 });
    let large = office.get("/artifacts?session=mine&path=/x").await;
    large.is_error_response(422, "INVALID_REQUEST", "/artifacts");
    assert!(large.text().contains("100 MiB"));
}

#[tokio::test]
async fn rule_16_logs_are_plain_text_and_follow_is_false_by_default() {
    let office = Office::new().await;
    office.site.hosted.with(view("mine"));
    let answer = office.get("/logs?id=mine").await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "one\ntwo\n"));
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(answer.header("content-encoding"), "");
    office.get("/logs?id=mine&follow=true").await;
    office.get("/logs?id=mine&follow=false").await;
    assert_eq!(
        office.site.hosted.calls(),
        ["logs acme mine false", "logs acme mine true", "logs acme mine false"]
    );
    for (query, fields) in [
        ("", vec!["id"]),
        ("id=", vec!["id"]),
        ("id=mine&follow=yes", vec!["follow"]),
        ("follow=", vec!["id", "follow"]),
    ] {
        let answer = office.get(&format!("/logs?{query}")).await;
        assert_eq!(answer.is_error_response(422, "INVALID_REQUEST", "/logs"), fields, "{query}");
    }
    office.get("/logs?id=other").await.is_error_response(404, "RESOURCE_NOT_FOUND", "/logs");
}
