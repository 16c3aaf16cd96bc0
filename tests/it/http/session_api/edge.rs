//! Who is let in, which path is whose, and that whatever is refused is an ErrorResponse.

use super::Office;
use crate::http::fake::{Site, plain};
use crate::http::fake_hosted::view;
use axum::body::Body;
use playgate::auth::GrantClaims;
use playgate::model::ids::{GrantId, SessionId};
use playgate_signaling::message::Role;
use std::time::Duration;

/// Every operation, with a path that is fit for it.
pub(crate) const OPERATIONS: [(&str, &str); 11] = [
    ("POST", "/session"),
    ("GET", "/session"),
    ("GET", "/session/mine"),
    ("DELETE", "/session/mine"),
    ("POST", "/session/mine/token"),
    ("PUT", "/session/player/join"),
    ("DELETE", "/session/player/leave"),
    ("GET", "/artifacts"),
    ("GET", "/available-location/nginx"),
    ("GET", "/tag/europe/nginx/1.27"),
    ("GET", "/logs"),
];

#[tokio::test]
async fn x10_g26_without_an_organisations_token_everything_is_401_before_it_is_anything_else() {
    let office = Office::new().await;
    let site = &office.site;
    let day = Duration::from_secs(86_400);
    let operator = site.auth.mint_operator(day, None).await.unwrap().token;
    let grant = GrantClaims {
        grant: GrantId::new(),
        session: SessionId::new(),
        role: Role::Player,
        origins: Vec::new(),
        expires_at: time::OffsetDateTime::now_utc().unix_timestamp() + 60,
    };
    let revoked = site.auth.mint_organisation("acme", Some(day), None).await.unwrap();
    assert!(site.auth.ledger().revoke(revoked.id).await.unwrap());
    let expired = site.auth.mint_organisation("acme", Some(Duration::ZERO), None).await.unwrap();
    let tokens = [
        None,
        Some(String::new()),
        Some("Bearer".into()),
        Some("Bearer ".into()),
        Some("Basic YTpi".into()),
        Some("Bearer nonsense".into()),
        Some("Bearer a.b.c".into()),
        Some("Bearer pgo_nonsense".into()),
        Some(format!("Bearer {}x", office.token)),
        Some(format!("Bearer {}", office.token.to_uppercase())),
        Some(format!("Bearer {}", site.user.token)),
        Some(format!("Bearer {operator}")),
        Some(format!("Bearer {}", site.auth.mint_grant(&grant).unwrap())),
        Some(format!("Bearer {}", revoked.token)),
        Some(format!("Bearer {}", expired.token)),
    ];
    for (method, path) in OPERATIONS {
        for token in &tokens {
            let mut request = plain(method, path);
            if let Some(token) = token {
                request = request.header("authorization", token);
            }
            let answer = site.send(request.body(Body::from("{nonsense")).unwrap()).await;
            answer.is_error_response(401, "UNAUTHORIZED", path);
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
        // By cookie nobody is anybody here.
        for token in [&site.user.token, &office.token] {
            let request = plain(method, path)
                .header("cookie", format!("playgate-session={token}"))
                .header("origin", "http://localhost:8080");
            let answer = site.send(request.body(Body::empty()).unwrap()).await;
            answer.is_error_response(401, "UNAUTHORIZED", path);
        }
    }
    assert!(site.hosted.calls().is_empty());
}

#[tokio::test]
async fn an_organisations_token_is_for_this_api_alone() {
    let office = Office::new().await;
    for path in ["/api/game/sessions", "/api/nodes", "/metrics"] {
        office.get(path).await.is_error(403, "forbidden");
    }
    office
        .send("POST", "/api/auth/signin", &serde_json::json!({ "token": office.token }))
        .await
        .is_error(400, "invalid_request");
}

#[tokio::test]
async fn calls_are_made_in_the_tokens_organisation() {
    let office = Office::new().await;
    let other = office.site.auth.mint_organisation("globex", None, None).await.unwrap().token;
    office.get("/session").await;
    let request = plain("GET", "/session").header("authorization", format!("bearer {other}"));
    assert_eq!(office.site.send(request.body(Body::empty()).unwrap()).await.status, 200);
    assert_eq!(office.site.hosted.calls(), ["list acme", "list globex"]);
}

#[tokio::test]
async fn any_legal_id_is_found_by_its_path() {
    let office = Office::new().await;
    let long = "x".repeat(256);
    let three = "%E2%98%83".repeat(85);
    for (path, id) in [
        ("player", "player"),
        ("join", "join"),
        ("token", "token"),
        ("a%2Fb", "a/b"),
        ("a%252Fb", "a%2Fb"),
        ("%C3%BC%20%E2%98%83", "ü ☃"),
        ("%2E%2E", ".."),
        ("a+b", "a+b"),
        ("a%3Fb%23c", "a?b#c"),
        ("%00", "\0"),
        (long.as_str(), long.as_str()),
        (three.as_str(), &"☃".repeat(85)),
    ] {
        office.site.hosted.with(view(id));
        let described = office.get(&format!("/session/{path}")).await;
        assert_eq!(
            (described.status.as_u16(), &described.json()["id"]),
            (200, &serde_json::json!(id)),
            "{path}"
        );
        assert_eq!(office.ask("DELETE", &format!("/session/{path}")).await.status, 204, "{path}");
        let grant = serde_json::json!({ "role": "player" });
        assert_eq!(
            office.send("POST", &format!("/session/{path}/token"), &grant).await.status,
            201,
            "{path}"
        );
    }
    for path in ["/session/%FF", "/session/%C3%28"] {
        office.get(path).await.is_error_response(404, "RESOURCE_NOT_FOUND", path);
    }
}

#[tokio::test]
async fn the_page_and_the_api_live_side_by_side() {
    let office = Office::new().await;
    let id = SessionId::new().to_string();
    office.site.hosted.with(view(&id));
    let html = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let get = |path: String, headers: &[(&str, &str)]| {
        let request =
            headers.iter().fold(plain("GET", &path), |request, (name, value)| request.header(*name, *value));
        request.body(Body::empty()).unwrap()
    };
    let page = office.site.send(get(format!("/session/{id}/"), &[])).await;
    assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "text/html; charset=utf-8"));
    let sent_on = office.site.send(get(format!("/session/{id}"), &[("accept", html)])).await;
    assert_eq!(
        (sent_on.status.as_u16(), sent_on.header("location")),
        (308, format!("/session/{id}/").as_str())
    );
    // A program is never sent to the page, whatever it accepts.
    let bearer = format!("Bearer {}", office.token);
    let program = office
        .site
        .send(get(format!("/session/{id}"), &[("accept", html), ("authorization", &bearer)]))
        .await;
    assert_eq!((program.status.as_u16(), program.json()["id"].as_str()), (200, Some(id.as_str())));
    for headers in [&[][..], &[("accept", "*/*")], &[("accept", "application/json")]] {
        let path = format!("/session/{id}");
        office.site.send(get(path.clone(), headers)).await.is_error_response(401, "UNAUTHORIZED", &path);
    }
    let odd = office.site.send(get("/session/player".into(), &[("accept", html)])).await;
    odd.is_error_response(401, "UNAUTHORIZED", "/session/player");
}

#[tokio::test]
async fn unknown_paths_are_404_and_wrong_methods_405_with_allow() {
    let office = Office::new().await;
    for path in [
        "/session/",
        "/available-location",
        "/available-location/a/b",
        "/tag",
        "/tag/a/b",
        "/tag/a/b/c/d",
        "/logs/x",
        "/artifacts/",
    ] {
        office.get(path).await.is_error_response(404, "RESOURCE_NOT_FOUND", path);
    }
    for (method, path, allow) in [
        ("PUT", "/session", "POST,GET,HEAD"),
        ("TRACE", "/session", "POST,GET,HEAD"),
        ("OPTIONS", "/session", "POST,GET,HEAD"),
        ("POST", "/session/x", "GET,HEAD,DELETE"),
        ("TRACE", "/session/x", "GET,HEAD,DELETE"),
        ("GET", "/session/player/join", "PUT"),
        ("PUT", "/session/player/leave", "DELETE"),
        ("GET", "/session/x/token", "POST"),
        ("POST", "/artifacts", "GET,HEAD"),
        ("TRACE", "/logs", "GET,HEAD"),
        ("DELETE", "/tag/a/b/c", "GET,HEAD"),
        ("PATCH", "/available-location/x", "GET,HEAD"),
    ] {
        let answer = office.ask(method, path).await;
        answer.is_error_response(405, "INVALID_REQUEST", path);
        let mut allowed: Vec<_> = answer.header("allow").split(',').collect();
        let mut expected: Vec<_> = allow.split(',').collect();
        allowed.sort_unstable();
        expected.sort_unstable();
        assert_eq!(allowed, expected, "{method} {path}");
    }
}

#[tokio::test]
async fn head_is_answered_as_get_without_a_body() {
    let office = Office::new().await;
    office.site.hosted.with(view("mine"));
    let found = office.ask("HEAD", "/session/mine").await;
    assert_eq!((found.status.as_u16(), found.bytes.len()), (200, 0));
    let missing = office.ask("HEAD", "/session/other").await;
    assert_eq!((missing.status.as_u16(), missing.bytes.len()), (404, 0));
}

#[tokio::test]
async fn bad_hosts_are_error_responses_too() {
    let site = Site::new().await;
    for (host, status) in [("evil.example", 421), ("a b", 400)] {
        let request = plain("GET", "/session").header("host", host).body(Body::empty()).unwrap();
        site.send(request).await.is_error_response(status, "INVALID_REQUEST", "/session");
    }
}
