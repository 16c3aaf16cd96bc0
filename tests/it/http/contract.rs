//! The five endpoints and what stands around them (contract 1.1-1.4).

use super::fake::{Site, plain, session};
use axum::body::Body;
use playgate::model::ids::{SessionId, SlotId};
use playgate::model::session::{SaveReport, SaveStatus, Status};
use playgate::relay::RelayError;
use playgate::session::ServiceError;
use serde_json::{Value, json};
use std::time::Duration;

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[tokio::test]
async fn a_launch_is_accepted_and_says_starting() {
    let site = Site::new().await;
    let answer = site.post("/api/game/launch", &json!({ "gameSlug": "garden", "other": 1 })).await;
    assert_eq!(answer.status, 202);
    let body = answer.json();
    assert_eq!(keys(&body), ["sessionId", "status"]);
    assert_eq!(body["status"], "starting");
    assert_eq!(site.core.calls.lock().unwrap().as_slice(), ["launch ada garden false false"]);
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_launch_passes_slot_and_fresh_on_and_takes_null_for_absent() {
    let site = Site::new().await;
    let slot = SlotId::new();
    site.post("/api/game/launch", &json!({ "gameSlug": "garden", "saveSlotId": slot, "fresh": null })).await;
    site.post("/api/game/launch", &json!({ "gameSlug": "garden", "saveSlotId": null, "fresh": true })).await;
    let calls = site.core.calls.lock().unwrap().clone();
    assert_eq!(calls, ["launch ada garden true false", "launch ada garden false true"]);
}

#[tokio::test]
async fn a_status_has_every_field_and_the_container_only_while_it_runs() {
    let site = Site::new().await;
    for (status, has_container) in
        [(Status::Starting, false), (Status::Running, true), (Status::Stopped, false), (Status::Error, false)]
    {
        let view = session("ada", status);
        let id = view.id;
        *site.core.session.lock().unwrap() = Some(view);
        let body = site.get(&format!("/api/game/session-status?sessionId={id}")).await.json();
        assert_eq!(body["sessionId"], id.to_string());
        assert_eq!(body["serverUrl"], "http://localhost:8080");
        let container = format!("http://localhost:8080/session/{id}/");
        assert_eq!(body["containerUrl"], if has_container { json!(container) } else { Value::Null });
        assert_eq!(body["gameTitle"], "The Garden");
        assert_eq!(body["gameSlug"], "garden");
        assert_eq!(body["startedAt"], "2026-03-01T10:00:00Z");
        assert_eq!(body["expiresAt"], "2026-03-01T10:30:00Z");
        assert_eq!(body["timeline"]["requested"], "2026-03-01T10:00:00.500Z");
        assert_eq!(body["timeline"]["first_key_frame"], "2026-03-01T10:00:00.542Z");
        assert_eq!(body["progress"], json!({ "step": "starting", "percent": 40.0 }));
        assert_eq!(body["sourceFaults"][0]["code"], "b_frames");
        assert!(body["sourceFaults"][0]["message"].as_str().unwrap().contains("-bf 0"));
        assert_eq!(body["endReason"], Value::Null);
        assert_eq!(body["save"], Value::Null);
        assert_eq!(body["viewers"], 2);
        assert_eq!(body["quality"], quality());
    }
}

#[tokio::test]
async fn an_ended_sessions_status_says_what_became_of_the_save() {
    let site = Site::new().await;
    let reason =
        "Your save is too large to keep (612 MB; the limit is 512 MB). Your previous save is unchanged.";
    for (status, name) in [
        (SaveStatus::Stored, "stored"),
        (SaveStatus::Unchanged, "unchanged"),
        (SaveStatus::Pending, "pending"),
        (SaveStatus::Refused, "refused"),
    ] {
        let mut view = session("ada", Status::Stopped);
        view.save = Some(SaveReport { status, reason: Some(reason.to_owned()) });
        let id = view.id;
        *site.core.session.lock().unwrap() = Some(view);
        let body = site.get(&format!("/api/game/session-status?sessionId={id}")).await.json();
        assert_eq!(body["save"], json!({ "status": name, "reason": reason }));
    }
}

/// Of the fake: what nobody told is null.
fn quality() -> Value {
    json!({
        "timeToFirstFrameMs": 330, "watchedMs": 0, "frozenMs": 0, "meanKbps": null, "lossPercent": null,
        "roundTripMs": null, "transport": null, "viewersMost": 2, "inputs": 7,
    })
}

#[tokio::test]
async fn keepalive_stop_sessions_and_first_frame_answer_as_the_contract_says() {
    let site = Site::new().await;
    let view = session("ada", Status::Running);
    let id = view.id;
    *site.core.session.lock().unwrap() = Some(view);
    let named = json!({ "sessionId": id });
    let kept = site.post("/api/game/keepalive", &named).await;
    assert_eq!(
        (kept.status.as_u16(), kept.json()),
        (200, json!({ "status": "ok", "expiresAt": "2026-03-01T10:30:00Z" }))
    );
    let stopped = site.post("/api/game/stop", &named).await;
    let report = json!({
        "status": "stopped", "duration": 3600, "cpuSeconds": 450.2, "peakMemoryMb": 1024,
        "networkRxBytes": 10, "networkTxBytes": 20, "exitCode": 0, "outOfMemory": false, "playersSeen": 2,
        "save": { "status": "stored", "reason": null }, "quality": quality(),
    });
    assert_eq!((stopped.status.as_u16(), stopped.json()), (200, report));
    let listed = site.get("/api/game/sessions").await.json();
    assert_eq!(keys(&listed["sessions"][0]), ["gameSlug", "gameTitle", "sessionId", "startedAt", "status"]);
    assert_eq!(listed["sessions"][0]["startedAt"], "2026-03-01T10:00:00Z");
    assert_eq!(site.post("/api/game/first-frame", &named).await.status, 204);
}

#[tokio::test]
async fn what_is_not_a_request_is_400_with_the_field_named() {
    let site = Site::new().await;
    let slot = SlotId::new().to_string();
    let long = "a".repeat(101);
    let cases = [
        ("", "JSON body"),
        ("{", "not valid JSON"),
        ("[]", "a list"),
        ("null", "null"),
        ("{}", "'gameSlug'"),
        (r#"{"gameSlug":null}"#, "'gameSlug' field is required"),
        (r#"{"gameSlug":7}"#, "must be a string, not a number"),
        (r#"{"gameSlug":""}"#, "must not be empty"),
        (r#"{"gameSlug":"No Slug"}"#, "slug"),
        (r#"{"gameSlug":"../etc"}"#, "slug"),
        (&format!(r#"{{"gameSlug":"{long}"}}"#), "slug"),
        (r#"{"gameSlug":"garden","fresh":"yes"}"#, "'fresh'"),
        (r#"{"gameSlug":"garden","saveSlotId":1}"#, "'saveSlotId'"),
        (r#"{"gameSlug":"garden","saveSlotId":""}"#, "'saveSlotId'"),
        (&format!(r#"{{"gameSlug":"garden","saveSlotId":"{slot}","fresh":true}}"#), "not both"),
        (&"[".repeat(10_000), "not valid JSON"),
    ];
    for (body, part) in cases {
        let answer = site.post_text("/api/game/launch", body).await;
        answer.is_error(400, "invalid_request");
        assert!(answer.text().contains(part), "{body:.60}: {}", answer.text());
    }
    for path in ["keepalive", "stop", "first-frame", "share"] {
        site.post(&format!("/api/game/{path}"), &json!({})).await.is_error(400, "invalid_request");
        site.post(&format!("/api/game/{path}"), &json!({ "sessionId": 5 }))
            .await
            .is_error(400, "invalid_request");
    }
    for path in [
        "/api/game/session-status",
        "/api/game/session-status?sessionId=",
        "/api/game/save-slots",
        "/api/game/save-slots?gameSlug=A",
    ] {
        site.get(path).await.is_error(400, "invalid_request");
    }
    assert!(site.core.calls.lock().unwrap().is_empty(), "nothing of this reaches the core");
}

#[tokio::test]
async fn a_body_must_say_that_it_is_json_and_fit_into_64_kib() {
    let site = Site::new().await;
    for kind in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
        let mut request = site.request("POST", "/api/game/launch");
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        let answer = site.send(request.body(Body::from(r#"{"gameSlug":"garden"}"#)).unwrap()).await;
        answer.is_error(400, "invalid_request");
        assert!(answer.text().contains("Content-Type: application/json"));
    }
    let big = format!(r#"{{"gameSlug":"{}"}}"#, "a".repeat(64 * 1024));
    site.post_text("/api/game/launch", &big).await.is_error(413, "invalid_request");
}

#[tokio::test]
async fn without_a_good_token_everything_is_401_before_it_is_anything_else() {
    let site = Site::new().await;
    let calls = [
        ("POST", "/api/game/launch"),
        ("GET", "/api/game/session-status"),
        ("POST", "/api/game/keepalive"),
        ("POST", "/api/game/stop"),
        ("GET", "/api/game/sessions"),
        ("POST", "/api/game/first-frame"),
        ("GET", "/api/game/save-slots"),
        ("DELETE", "/api/game/save-slots/x"),
        ("POST", "/api/game/share"),
        ("GET", "/api/game/share"),
        ("DELETE", "/api/game/share/x"),
        ("GET", "/api/games"),
        ("GET", "/api/games/garden"),
        ("GET", "/api/games/garden/thumbnail"),
        ("GET", "/metrics"),
    ];
    for (method, path) in calls {
        for token in
            [None, Some("Bearer nonsense"), Some("Bearer "), Some("Basic YTpi"), Some("Bearer a.b.c")]
        {
            let mut request = plain(method, path);
            if let Some(token) = token {
                request = request.header("authorization", token);
            }
            let answer = site.send(request.body(Body::from("{nonsense")).unwrap()).await;
            answer.is_error(401, "unauthorized");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
    }
}

#[tokio::test]
async fn every_refusal_of_the_core_has_its_status_and_code() {
    let site = Site::new().await;
    type Case = (fn() -> ServiceError, u16, &'static str, &'static str);
    let cases: [Case; 13] = [
        (|| ServiceError::InvalidRequest("No empty slot.".into()), 400, "invalid_request", ""),
        (|| ServiceError::NotFound("Game not found.".into()), 404, "not_found", ""),
        (|| ServiceError::SessionActive, 409, "session_active", ""),
        (|| ServiceError::SlotInUse, 409, "slot_in_use", ""),
        (|| ServiceError::RateLimited { retry_after: Duration::from_millis(6001) }, 429, "rate_limited", "7"),
        (|| ServiceError::RateLimited { retry_after: Duration::ZERO }, 429, "rate_limited", "1"),
        (|| ServiceError::NoServers, 503, "no_servers", ""),
        (|| ServiceError::NotReady, 409, "not_ready", "1"),
        (|| RelayError::InvalidOffer("no ICE.".into()).into(), 400, "invalid_request", ""),
        (|| RelayError::UnsupportedCodec("H264.").into(), 406, "unsupported_codec", ""),
        (|| ServiceError::NotFound("Session not found.".into()), 404, "not_found", ""),
        (|| ServiceError::NotFound("Save slot not found.".into()), 404, "not_found", ""),
        (|| ServiceError::InvalidRequest("Bad.".into()), 400, "invalid_request", ""),
    ];
    for (refuse, status, code, retry_after) in cases {
        site.refuse(refuse);
        let answer = site.post("/api/game/launch", &json!({ "gameSlug": "garden" })).await;
        answer.is_error(status, code);
        assert_eq!(answer.header("retry-after"), retry_after);
    }
}

#[tokio::test]
async fn an_internal_error_tells_nothing_of_its_reason() {
    let site = Site::new().await;
    site.refuse(|| ServiceError::Internal(std::io::Error::other("/secret/path").into()));
    let answer = site.get("/api/game/sessions").await;
    answer.is_error(500, "internal_error");
    assert!(!answer.text().contains("secret"));
}

#[tokio::test]
async fn an_unknown_session_is_404_whatever_its_id_looks_like() {
    let site = Site::new().await;
    for id in [SessionId::new().to_string(), "ses001".into(), "a%00b".into(), "%F0%9F%98%80".into()] {
        let answer = site.get(&format!("/api/game/session-status?sessionId={id}")).await;
        answer.is_error(404, "not_found");
        assert_eq!(answer.json()["message"], "Session not found.");
    }
    site.post("/api/game/stop", &json!({ "sessionId": "x" })).await.is_error(404, "not_found");
    site.post("/api/game/launch", &json!({ "gameSlug": "garden", "saveSlotId": "x" }))
        .await
        .is_error(404, "not_found");
}

#[tokio::test]
async fn unknown_paths_are_404_and_wrong_methods_405_with_allow() {
    let site = Site::new().await;
    for path in ["/api", "/api/", "/api/nothing", "/api/game", "/api/game/launch/"] {
        site.get(path).await.is_error(404, "not_found");
    }
    for (method, path, allow) in [
        ("GET", "/api/game/launch", "POST"),
        ("POST", "/api/game/sessions", "GET,HEAD"),
        ("TRACE", "/api/game/stop", "POST"),
        ("PUT", "/api/games", "GET,HEAD"),
    ] {
        let answer = site.send(site.request(method, path).body(Body::empty()).unwrap()).await;
        answer.is_error(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
}

#[tokio::test]
async fn slots_are_listed_and_emptied() {
    let site = Site::new().await;
    let slots = site.get("/api/game/save-slots?gameSlug=garden").await.json();
    let slots = slots["slots"].as_array().unwrap();
    assert_eq!(slots.len(), 3);
    assert_eq!(keys(&slots[0]), ["bytes", "empty", "id", "inUse", "slot", "updatedAt", "versionId"]);
    assert_eq!(
        (&slots[0]["updatedAt"], &slots[1]["updatedAt"]),
        (&json!("2026-03-01T10:00:00Z"), &Value::Null)
    );
    let path = format!("/api/game/save-slots/{}", slots[0]["id"].as_str().unwrap());
    let delete = |path: &str| site.request("DELETE", path).body(Body::empty()).unwrap();
    assert_eq!(site.send(delete(&path)).await.status, 204);
    site.send(delete("/api/game/save-slots/nonsense")).await.is_error(404, "not_found");
    site.refuse(|| ServiceError::SlotInUse);
    site.send(delete(&path)).await.is_error(409, "slot_in_use");
}

#[tokio::test]
async fn an_invitation_is_a_token_for_one_session_and_a_link_with_it() {
    let site = Site::new().await;
    let id = SessionId::new();
    let answer =
        site.post("/api/game/share", &json!({ "sessionId": id, "role": "spectator", "expiresIn": 60 })).await;
    assert_eq!(answer.status, 201);
    let body = answer.json();
    assert_eq!(keys(&body), ["expiresAt", "grantId", "role", "token", "url"]);
    let token = body["token"].as_str().unwrap();
    assert_eq!(body["url"], format!("http://localhost:8080/session/{id}/#token={token}"));
    let verified = site.auth.verify(token).await.unwrap();
    let playgate::auth::Principal::Grant(grant) = verified.principal else { panic!("no grant") };
    assert_eq!((grant.session, grant.grant.to_string()), (id, body["grantId"].as_str().unwrap().to_owned()));

    for wrong in [
        json!({ "sessionId": id }),
        json!({ "sessionId": id, "role": "owner" }),
        json!({ "sessionId": id, "role": "player", "expiresIn": 59 }),
        json!({ "sessionId": id, "role": "player", "expiresIn": 604_801 }),
        json!({ "sessionId": id, "role": "player", "expiresIn": 60.5 }),
        json!({ "sessionId": id, "role": "player", "expiresIn": -1 }),
        json!({ "sessionId": id, "role": "player", "expiresIn": "60" }),
    ] {
        site.post("/api/game/share", &wrong).await.is_error(400, "invalid_request");
    }
    let listed = site.get(&format!("/api/game/share?sessionId={id}")).await.json();
    assert_eq!(keys(&listed["grants"][0]), ["createdAt", "expiresAt", "grantId", "revoked", "role"]);
    let path = format!("/api/game/share/{}", body["grantId"].as_str().unwrap());
    assert_eq!(site.send(site.request("DELETE", &path).body(Body::empty()).unwrap()).await.status, 204);
    let calls = site.core.calls.lock().unwrap().clone();
    assert!(calls.contains(&"share Spectator 60".to_owned()), "{calls:?}");
}

#[tokio::test]
async fn a_grant_reaches_its_session_and_nothing_of_a_user() {
    let site = Site::new().await;
    let view = session("somebody", Status::Running);
    let id = view.id;
    *site.core.session.lock().unwrap() = Some(view);
    let share = site.post("/api/game/share", &json!({ "sessionId": id, "role": "player" })).await.json();
    let bearer = format!("Bearer {}", share["token"].as_str().unwrap());
    let get =
        |path: String| plain("GET", &path).header("authorization", &bearer).body(Body::empty()).unwrap();
    assert_eq!(site.send(get(format!("/api/game/session-status?sessionId={id}"))).await.status, 200);
    for path in ["/api/game/sessions", "/api/game/save-slots?gameSlug=garden", "/metrics"] {
        site.send(get(path.to_owned())).await.is_error(403, "forbidden");
    }
}

#[tokio::test]
async fn the_catalogue_is_paged_searched_and_sorted() {
    let site = Site::new().await;
    let slugs = |body: &Value| -> Vec<String> {
        body["games"]
            .as_array()
            .unwrap()
            .iter()
            .map(|game| game["slug"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = site.get("/api/games").await.json();
    assert_eq!(all["pagination"], json!({ "page": 1, "limit": 20, "total": 62, "totalPages": 4 }));
    assert_eq!(slugs(&all)[..2], ["garden", "meteor"]);
    let game = &all["games"][0];
    assert_eq!(
        (&game["id"], &game["isFavorite"], &game["pointer"]),
        (&json!("garden"), &json!(false), &json!("absolute"))
    );
    assert_eq!(game["thumbnail"], "/api/games/garden/thumbnail");
    assert_eq!(all["games"][1]["thumbnail"], Value::Null);

    assert_eq!(slugs(&site.get("/api/games?page=4").await.json()).len(), 2);
    assert!(slugs(&site.get("/api/games?page=18446744073709551615&limit=50").await.json()).is_empty());
    assert_eq!(slugs(&site.get("/api/games?search=METEOR%20run").await.json()), ["meteor"]);
    assert_eq!(slugs(&site.get("/api/games?search=nothing").await.json()).len(), 0);
    assert_eq!(site.get(&format!("/api/games?search={}", "a+".repeat(128))).await.status, 200);
    site.get(&format!("/api/games?search={}", "a".repeat(257))).await.is_error(400, "invalid_request");
    assert_eq!(site.get("/api/games?search=nothing").await.json()["pagination"]["totalPages"], 0);
    assert_eq!(slugs(&site.get("/api/games?tag=Story").await.json()), ["garden"]);
    assert_eq!(slugs(&site.get("/api/games?sort=title&order=desc&limit=1").await.json()), ["garden"]);
    assert_eq!(
        slugs(&site.get("/api/games?sort=createdAt&order=desc&limit=2").await.json()),
        ["garden", "meteor"]
    );
    for query in ["page=0", "page=-1", "page=x", "limit=0", "limit=51", "sort=price", "order=up"] {
        site.get(&format!("/api/games?{query}")).await.is_error(400, "invalid_request");
    }
    assert_eq!(site.get("/api/games/meteor").await.json()["title"], "Meteor Run");
    let missing = site.get("/api/games/none").await;
    missing.is_error(404, "not_found");
    assert_eq!(missing.json()["message"], "Game with slug 'none' not found.");
}

#[tokio::test]
async fn a_thumbnail_is_a_picture_that_is_fetched_once() {
    let site = Site::new().await;
    let picture = site.get("/api/games/garden/thumbnail").await;
    assert_eq!((picture.status.as_u16(), picture.header("content-type")), (200, "image/png"));
    assert!(picture.bytes.starts_with(b"\x89PNG"));
    let again =
        site.request("GET", "/api/games/garden/thumbnail").header("if-none-match", picture.header("etag"));
    let again = site.send(again.body(Body::empty()).unwrap()).await;
    assert_eq!((again.status.as_u16(), again.bytes.len()), (304, 0));
    site.get("/api/games/meteor/thumbnail").await.is_error(404, "not_found");
}

#[tokio::test]
async fn health_is_public_and_metrics_are_for_operators() {
    let site = Site::new().await;
    let health = site.send(plain("GET", "/api/health").body(Body::empty()).unwrap()).await.json();
    assert_eq!(keys(&health), ["containers", "cpu_percent", "disk_percent", "memory_percent", "status"]);
    assert_eq!((&health["status"], &health["containers"]), (&json!("ok"), &json!(1)));
    *site.core.degraded.lock().unwrap() = vec!["relay-0".to_owned()];
    let answer = site.get("/api/health").await;
    assert_eq!(answer.status, 200, "what still works goes on");
    let health = answer.json();
    assert_eq!((&health["status"], &health["degraded"]), (&json!("degraded"), &json!(["relay-0"])));
    site.get("/metrics").await.is_error(403, "forbidden");
    let operator = site.auth.mint_operator(Duration::from_secs(60), None).await.unwrap();
    let request = plain("GET", "/metrics").header("authorization", format!("Bearer {}", operator.token));
    let metrics = site.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(metrics.status, 200);
    assert!(metrics.text().contains("http_requests_total{status=\"403\"} 1"), "{}", metrics.text());
}
