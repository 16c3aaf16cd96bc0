//! Whatever is sent: an answer, never a failure of ours.

use super::fake::Site;
use axum::body::Body;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use serde_json::{Value, json};

const POSTS: [&str; 8] = [
    "/api/game/launch",
    "/api/game/keepalive",
    "/api/game/stop",
    "/api/game/first-frame",
    "/api/game/share",
    "/api/auth/signin",
    "/api/auth/code",
    "/api/auth/guest",
];

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|n| json!(n)),
        ".{0,40}".prop_map(Value::from),
        "[a-z-]{1,20}".prop_map(Value::from),
        Just(json!("player")),
        Just(json!(uuid::Uuid::nil())),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(".{0,8}", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let field = prop_oneof![
        Just("gameSlug"),
        Just("saveSlotId"),
        Just("fresh"),
        Just("sessionId"),
        Just("role"),
        Just("expiresIn"),
        Just("token"),
        Just("code"),
    ];
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        value().prop_map(|value| value.to_string().into_bytes()),
        prop::collection::hash_map(field, value(), 0..6).prop_map(|map| json!(map).to_string().into_bytes()),
    ]
}

/// The futures run on one runtime, the site is made once.
fn on_site(test: impl AsyncFn(&Site)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { test(&Site::new().await).await });
}

fn run<S: Strategy>(strategy: &S, check: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let config = ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() };
    proptest::test_runner::TestRunner::new(config).run(strategy, check).unwrap();
}

#[test]
fn random_bodies_never_fail_us() {
    let strategy = (0..POSTS.len(), body());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let site = runtime.block_on(Site::new());
    run(&strategy, |(path, body)| {
        let request = site.request("POST", POSTS[path]).header("content-type", "application/json");
        let answer = runtime.block_on(site.send(request.body(Body::from(body)).unwrap()));
        prop_assert!(!answer.status.is_server_error(), "{}", answer.text());
        if !answer.status.is_success() {
            let body = answer.json();
            prop_assert!(body["error"].is_string() && body["message"].is_string());
        }
        Ok(())
    });
}

#[test]
fn random_queries_and_paths_never_fail_us() {
    let paths = prop_oneof![
        Just("/api/games?"),
        Just("/api/game/session-status?sessionId="),
        Just("/api/game/save-slots?gameSlug="),
        Just("/api/game/share?sessionId="),
        Just("/api/games/"),
        Just("/play/"),
        Just("/session/"),
        Just("/assets/"),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let site = runtime.block_on(Site::new());
    run(&(paths, "[ -~]{0,40}"), |(path, tail)| {
        let Ok(request) = site.request("GET", &format!("{path}{tail}")).body(Body::empty()) else {
            return Ok(());
        };
        let answer = runtime.block_on(site.send(request));
        prop_assert!(!answer.status.is_server_error(), "{}", answer.text());
        Ok(())
    });
}

#[test]
fn random_credentials_never_let_anybody_in() {
    on_site(async |site| {
        let runner = &mut proptest::test_runner::TestRunner::deterministic();
        let strategy =
            prop_oneof!["[!-~]{0,80}", "[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}"];
        for _ in 0..300 {
            let token = strategy.new_tree(runner).unwrap().current();
            for (name, value) in [
                ("authorization", format!("Bearer {token}")),
                ("cookie", format!("playgate-session={token}")),
            ] {
                let request = super::fake::plain("GET", "/api/game/sessions").header(name, value);
                let Ok(request) = request.body(Body::empty()) else { continue };
                assert_eq!(site.send(request).await.status, 401, "{token}");
            }
        }
    });
}
