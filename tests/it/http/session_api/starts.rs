//! `POST /session`: what is taken, what is refused and with which words.

use super::Office;
use crate::http::fake_hosted::map;
use playgate::session::ServiceError;
use playgate::session::hosted::HostRequest;
use serde_json::{Value, json};
use std::time::Duration;

fn minimal() -> Value {
    json!({ "location": "europe", "image": "nginx" })
}

fn with(field: &str, value: Value) -> Value {
    let mut request = minimal();
    request[field] = value;
    request
}

#[tokio::test]
async fn x6_a_start_answers_201_with_id_host_and_ports() {
    let office = Office::new().await;
    let answer = office.send("POST", "/session", &with("id", json!("mine"))).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let expected = r#"{"id":"mine","host":"203.0.113.7","ports":[{"type":"tcp","container":80,"host":20001},{"type":"udp","container":7777,"host":20002}]}"#;
    assert_eq!(answer.text(), expected);
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn g2_and_rule_1_the_id_is_told_also_when_the_caller_gave_none() {
    let office = Office::new().await;
    let answer = office.send("POST", "/session", &minimal()).await;
    assert_eq!(answer.json()["id"], "made-up");
    assert_eq!(office.site.hosted.requests.lock().unwrap()[0].id, None);
}

#[tokio::test]
async fn every_field_reaches_the_core_and_those_left_out_have_their_defaults() {
    let office = Office::new().await;
    let full = json!({
        "id": "f7965a22-e327-4541-a30e-8262890d3a29", "location": "europe", "image": "nginx",
        "env": { "MODE": "ranked" }, "args": ["-x", "y z"], "restart": true, "labels": { "a": "", "b": "1" },
        "version": "1.27", "ttl": "2h30m", "enableMetrics": "true",
    });
    assert_eq!(office.send("POST", "/session", &full).await.status, 201);
    assert_eq!(office.send("POST", "/session", &minimal()).await.status, 201);
    let plain = HostRequest { location: "europe".into(), image: "nginx".into(), ..HostRequest::default() };
    let expected = HostRequest {
        id: Some("f7965a22-e327-4541-a30e-8262890d3a29".into()),
        version: Some("1.27".into()),
        env: map(&[("MODE", "ranked")]),
        args: vec!["-x".into(), "y z".into()],
        labels: map(&[("a", ""), ("b", "1")]),
        restart: true,
        ttl: Some(Duration::from_secs(9000)),
        enable_metrics: true,
        ..plain.clone()
    };
    assert_eq!(office.site.hosted.requests.lock().unwrap().as_slice(), [expected, plain]);
}

#[tokio::test]
async fn g3_any_string_up_to_256_bytes_that_a_path_can_carry_is_an_id() {
    let office = Office::new().await;
    for id in ["player", "a/b", "ü☃", " ", "...", "%2F", &"x".repeat(256), &"ü".repeat(128)] {
        let answer = office.send("POST", "/session", &with("id", json!(id))).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["id"]), (201, &json!(id)));
    }
    for (id, bad) in
        [(json!(""), "id"), (json!("x".repeat(257)), "id"), (json!("a\0b"), "id"), (json!(7), "id")]
    {
        let answer = office.send("POST", "/session", &with("id", id)).await;
        assert_eq!(answer.is_error_response(422, "INVALID_REQUEST", "/session"), [bad]);
    }
}

#[tokio::test]
async fn g4_optional_fields_may_be_empty_and_nothing_unknown_or_mistyped_is_taken() {
    let office = Office::new().await;
    for request in [
        with("env", json!({})),
        with("args", json!([])),
        with("labels", json!({})),
        with("restart", json!(false)),
        with("enableMetrics", json!("true")),
        with("enableMetrics", json!("false")),
    ] {
        assert_eq!(office.send("POST", "/session", &request).await.status, 201, "{request}");
    }
    for (field, value, violated) in [
        ("args", json!("--x"), "args"),
        ("args", json!(null), "args"),
        ("args", json!(["ok", 1]), "args[1]"),
        ("args", json!([""]), "args[0]"),
        ("env", json!([]), "env"),
        ("env", json!({ "A": 1 }), "env.A"),
        ("labels", json!({ "a": null }), "labels.a"),
        ("restart", json!("true"), "restart"),
        ("restart", json!(1), "restart"),
        ("enableMetrics", json!(true), "enableMetrics"),
        ("enableMetrics", json!("yes"), "enableMetrics"),
        ("location", json!(""), "location"),
        ("location", json!(null), "location"),
        ("image", json!(""), "image"),
        ("image", json!(["nginx"]), "image"),
        ("unknown", json!(1), "unknown"),
        ("Env", json!({}), "Env"),
    ] {
        let answer = office.send("POST", "/session", &with(field, value.clone())).await;
        let violated_by = answer.is_error_response(422, "INVALID_REQUEST", "/session");
        assert_eq!(violated_by, [violated], "{field} {value}");
    }
    assert_eq!(office.site.hosted.requests.lock().unwrap().len(), 6);
}

#[tokio::test]
async fn g17_ttl_is_hours_and_minutes_and_else_422() {
    let office = Office::new().await;
    for (ttl, minutes) in [("1h", 60), ("2h30m", 150), ("1m", 1), ("0m", 1), ("0h", 1)] {
        assert_eq!(office.send("POST", "/session", &with("ttl", json!(ttl))).await.status, 201);
        let ttl = office.site.hosted.requests.lock().unwrap().pop().unwrap().ttl;
        assert_eq!(ttl, Some(Duration::from_secs(minutes * 60)));
    }
    for ttl in
        [json!(""), json!("1d"), json!("30s"), json!(3600), json!("99999999999999999999h"), json!("30m1h")]
    {
        let answer = office.send("POST", "/session", &with("ttl", ttl)).await;
        assert_eq!(answer.is_error_response(422, "INVALID_REQUEST", "/session"), ["ttl"]);
    }
}

#[tokio::test]
async fn g29_env_values_and_version_are_not_empty_but_labels_may_be() {
    let office = Office::new().await;
    assert_eq!(office.send("POST", "/session", &with("labels", json!({ "a": "" }))).await.status, 201);
    for (field, value, violated) in
        [("env", json!({ "A": "" }), "env.A"), ("version", json!(""), "version"), ("ttl", json!(""), "ttl")]
    {
        let answer = office.send("POST", "/session", &with(field, value)).await;
        assert_eq!(answer.is_error_response(422, "INVALID_REQUEST", "/session"), [violated]);
    }
}

#[tokio::test]
async fn all_that_is_wrong_is_told_at_once() {
    let office = Office::new().await;
    let wrong = json!({ "id": "", "env": { "A": "" }, "args": "x", "ttl": "1d", "more": 1 });
    let answer = office.send("POST", "/session", &wrong).await;
    let mut fields = answer.is_error_response(422, "INVALID_REQUEST", "/session");
    fields.sort_unstable();
    assert_eq!(fields, ["args", "env.A", "id", "image", "location", "more", "ttl"]);
    assert!(answer.json()["details"].as_str().unwrap().ends_with("6 more fields are not right."));
}

#[tokio::test]
async fn a_thousand_violations_are_not_told_one_by_one() {
    let office = Office::new().await;
    let many = vec![json!(1); 1000];
    let answer = office.send("POST", "/session", &with("args", json!(many))).await;
    assert_eq!(answer.is_error_response(422, "INVALID_REQUEST", "/session").len(), 100);
    assert!(answer.text().contains("999 more fields"));
}

#[tokio::test]
async fn what_no_container_can_hold_is_422_after_an_unknown_image_was_404() {
    let office = Office::new().await;
    for (field, value, violated) in [
        ("env", json!({ "": "x" }), "env."),
        ("env", json!({ "A=B": "x" }), "env.A=B"),
        ("env", json!({ "A": "x\0y" }), "env.A"),
        ("args", json!(["\0"]), "args[0]"),
    ] {
        let request = with(field, value);
        let answer = office.send("POST", "/session", &request).await;
        assert_eq!(answer.is_error_response(422, "INVALID_REQUEST", "/session"), [violated]);
        let mut unknown = request.clone();
        unknown["image"] = json!("unknown");
        office.send("POST", "/session", &unknown).await.is_error_response(
            404,
            "RESOURCE_NOT_FOUND",
            "/session",
        );
    }
    assert!(office.site.hosted.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a10_an_id_that_no_path_can_carry_is_422() {
    let office = Office::new().await;
    for id in [".", "..", "a\nb", "a\0b", "\u{7f}"] {
        let answer = office.send("POST", "/session", &with("id", json!(id))).await;
        let fields = answer.is_error_response(422, "INVALID_REQUEST", "/session");
        assert_eq!(fields, ["id"], "{id:?}");
    }
    assert!(office.site.hosted.requests.lock().unwrap().is_empty());
    for id in ["...", "a/b", ".hidden", "ü ☃"] {
        assert_eq!(office.send("POST", "/session", &with("id", json!(id))).await.status, 201, "{id:?}");
    }
}

#[tokio::test]
async fn a6_lists_and_texts_of_a_start_are_bounded() {
    let office = Office::new().await;
    let object =
        |count: usize| (0..count).map(|n| (format!("K{n}"), json!("v"))).collect::<serde_json::Map<_, _>>();
    let long = "x".repeat(129 * 1024);
    for (field, value, fields) in [
        ("env", json!(object(1001)), vec!["env"]),
        ("env", json!({ "A": long }), vec!["env.A"]),
        // 7000 references that could each become an id of 36 bytes.
        ("env", json!({ "A": "${GAMEYE_SESSION_ID}".repeat(6000) }), vec!["env.A"]),
        ("args", json!(vec!["x"; 1001]), vec!["args"]),
        ("args", json!([long]), vec!["args[0]"]),
        ("labels", json!(object(257)), vec!["labels"]),
        ("labels", json!({ "A": "x".repeat(4097) }), vec!["labels.A"]),
        ("id", json!("x".repeat(257)), vec!["id"]),
        ("location", json!("x".repeat(257)), vec!["location"]),
        ("image", json!("x".repeat(257)), vec!["image"]),
        ("version", json!("x".repeat(129)), vec!["version"]),
        ("ttl", json!(format!("{}1h", "0".repeat(40))), vec!["ttl"]),
    ] {
        let answer = office.send("POST", "/session", &with(field, value)).await;
        assert_eq!(answer.is_error_response(422, "INVALID_REQUEST", "/session"), fields, "{field}");
    }
    let name = "N".repeat(257);
    let answer = office.send("POST", "/session", &with("env", json!({ name.as_str(): "v" }))).await;
    assert_eq!(answer.is_error_response(422, "INVALID_REQUEST", "/session"), [format!("env.{name}")]);
    let unknown = with(&"u".repeat(5000), json!(1));
    let answer = office.send("POST", "/session", &unknown).await;
    let fields = answer.is_error_response(422, "INVALID_REQUEST", "/session");
    assert!(fields[0].len() <= 303 && answer.bytes.len() < 2048, "names are cut: {}", answer.text());

    for (field, value) in
        [("env", json!(object(1000))), ("args", json!(vec!["x"; 1000])), ("labels", json!(object(256)))]
    {
        assert_eq!(office.send("POST", "/session", &with(field, value)).await.status, 201, "{field}");
    }
}

#[tokio::test]
async fn g5_a_body_that_is_none_is_422() {
    let office = Office::new().await;
    for body in ["", "{", "null", "[]", "\"text\"", "7", "{\"id\":\"\\ud800\"}"] {
        office.send_text("POST", "/session", body).await.is_error_response(
            422,
            "INVALID_REQUEST",
            "/session",
        );
    }
    let large = with("env", json!({ "A": "x".repeat(256 * 1024) })).to_string();
    let answer = office.send_text("POST", "/session", &large).await;
    answer.is_error_response(422, "INVALID_REQUEST", "/session");
    assert!(answer.text().contains("256 KiB"));
    let half = "x".repeat(100 * 1024);
    let fits = with("env", json!({ "A": half, "B": half })).to_string();
    assert_eq!(office.send_text("POST", "/session", &fits).await.status, 201);
    for kind in ["text/plain", "application/x-www-form-urlencoded"] {
        let request = office.request("POST", "/session").header("content-type", kind);
        let answer = office.site.send(request.body(minimal().to_string().into()).unwrap()).await;
        answer.is_error_response(422, "INVALID_REQUEST", "/session");
    }
    let untyped = office.request("POST", "/session").body(minimal().to_string().into()).unwrap();
    assert_eq!(office.site.send(untyped).await.status, 201);
}

#[tokio::test]
async fn g6_g18_g19_x2_to_x5_every_refusal_of_the_core_has_its_status_its_code_and_all_seven_fields() {
    let office = Office::new().await;
    type Case = (fn() -> ServiceError, u16, &'static str, &'static str);
    let cases: [Case; 9] = [
        // X2 to X5.
        (|| ServiceError::InvalidRequest("Bad.".into()), 422, "INVALID_REQUEST", ""),
        (|| ServiceError::NotFound("No such image.".into()), 404, "RESOURCE_NOT_FOUND", ""),
        (|| ServiceError::IdUsed, 409, "CONFLICT", ""),
        (|| ServiceError::Terminated, 409, "CONFLICT", ""),
        // Rule 5, G6.
        (|| ServiceError::NoServers, 420, "CAPACITY_UNAVAILABLE", "3"),
        (
            || ServiceError::StartFailed("The container ended at once.".into()),
            420,
            "CAPACITY_UNAVAILABLE",
            "3",
        ),
        (
            || ServiceError::RateLimited { retry_after: Duration::from_millis(6001) },
            420,
            "CAPACITY_UNAVAILABLE",
            "7",
        ),
        (|| ServiceError::TooLarge { limit: 100 << 20 }, 422, "INVALID_REQUEST", ""),
        (|| ServiceError::Internal(std::io::Error::other("/secret").into()), 500, "INTERNAL_ERROR", ""),
    ];
    for (refuse, status, code, retry_after) in cases {
        office.site.hosted.refuse(refuse);
        let answer = office.send("POST", "/session", &minimal()).await;
        answer.is_error_response(status, code, "/session");
        assert_eq!(answer.header("retry-after"), retry_after);
        assert!(!answer.text().contains("secret"));
    }
}
