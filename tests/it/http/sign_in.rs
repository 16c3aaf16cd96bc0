//! Guests, sign-in links, sign-out.

use super::fake::{Site, plain};
use axum::body::Body;
use serde_json::json;
use std::time::Duration;

fn post(path: &str, body: &serde_json::Value) -> axum::http::Request<Body> {
    let request = plain("POST", path).header("content-type", "application/json");
    request.body(Body::from(body.to_string())).unwrap()
}

#[tokio::test]
async fn a_guest_gets_a_user_a_token_and_a_cookie() {
    let site = Site::new().await;
    let first = site.send(plain("POST", "/api/auth/guest").body(Body::empty()).unwrap()).await;
    assert_eq!(first.status, 201);
    let body = first.json();
    let user = body["user"]["id"].as_str().unwrap();
    assert!(user.starts_with("guest-") && user.len() == 42, "{user}");
    assert!(body["user"]["name"].as_str().unwrap().contains(' '));
    let token = body["token"].as_str().unwrap();
    let cookie = first.header("set-cookie");
    assert!(cookie.starts_with(&format!("playgate-session={token}; Path=/; Max-Age=")), "{cookie}");

    let request = plain("GET", "/api/auth/session").header("cookie", format!("playgate-session={token}"));
    let session = site.send(request.body(Body::empty()).unwrap()).await.json();
    assert_eq!(session["user"]["id"], user);
    assert_eq!(session["expires"], body["expiresAt"]);
    assert!(session["user"]["email"].is_null() && session["user"].as_object().unwrap().contains_key("image"));

    let second = site.send(plain("POST", "/api/auth/guest").body(Body::empty()).unwrap()).await;
    assert_ne!(second.json()["user"]["id"], user, "every guest is somebody new");
}

#[tokio::test]
async fn a_sign_in_link_becomes_the_cookie() {
    let site = Site::new().await;
    let answer = site.send(post("/api/auth/signin", &json!({ "token": site.user.token }))).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.json()["user"], json!({ "id": "ada", "name": "Ada" }));
    assert!(answer.header("set-cookie").contains("HttpOnly; SameSite=Lax"));

    let operator = site.auth.mint_operator(Duration::from_secs(60), None).await.unwrap();
    site.send(post("/api/auth/signin", &json!({ "token": operator.token })))
        .await
        .is_error(400, "invalid_request");
    site.send(post("/api/auth/signin", &json!({ "token": "x" }))).await.is_error(401, "unauthorized");
    site.send(post("/api/auth/signin", &json!({}))).await.is_error(400, "invalid_request");
    site.send(post("/api/auth/code", &json!({ "code": "x" }))).await.is_error(404, "not_found");
}

#[tokio::test]
async fn nobody_is_signed_in_or_out_by_another_sites_page() {
    let site = Site::new().await;
    for path in ["/api/auth/guest", "/api/auth/signin", "/api/auth/signout", "/api/auth/code"] {
        for (name, value) in [("sec-fetch-site", "cross-site"), ("origin", "http://evil.example")] {
            let request = plain("POST", path).header(name, value).header("content-type", "application/json");
            site.send(request.body(Body::from("{}")).unwrap()).await.is_error(403, "forbidden");
        }
    }
}

#[tokio::test]
async fn a_stranger_has_no_session_and_signing_out_clears_the_cookie() {
    let site = Site::new().await;
    let stranger = site.send(plain("GET", "/api/auth/session").body(Body::empty()).unwrap()).await;
    assert_eq!((stranger.status.as_u16(), stranger.json()), (200, json!({})));
    let stale = plain("GET", "/api/auth/session").header("cookie", "playgate-session=stale");
    assert_eq!(site.send(stale.body(Body::empty()).unwrap()).await.json(), json!({}));
    let out = site.send(plain("POST", "/api/auth/signout").body(Body::empty()).unwrap()).await;
    assert_eq!(out.status, 204);
    assert!(out.header("set-cookie").starts_with("playgate-session=; Path=/; Max-Age=0;"));
    let csrf = site.send(plain("GET", "/api/auth/csrf").body(Body::empty()).unwrap()).await.json();
    assert_eq!(csrf["csrfToken"].as_str().unwrap().len(), 32);
}
