//! `POST /session/{id}/token`, and that a grant for certain web sites works on their pages alone.

use super::Office;
use crate::http::fake::{Site, plain, session};
use crate::http::fake_hosted::view;
use axum::body::Body;
use playgate::auth::{GrantClaims, Principal};
use playgate::model::ids::GrantId;
use playgate::model::session::Status;
use playgate_signaling::message::Role;
use serde_json::json;

#[tokio::test]
async fn a_grant_is_a_token_for_one_session_with_a_link() {
    let office = Office::new().await;
    let view = view("mine");
    office.site.hosted.with(view.clone());
    let request = json!({ "role": "spectator", "origins": ["https://Play.Example:443/"], "expiresIn": 60 });
    let answer = office.send("POST", "/session/mine/token", &request).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let body = answer.json();
    let token = body["token"].as_str().unwrap();
    assert_eq!(body["url"], format!("http://localhost:8080/session/{}/#token={token}", view.id));
    assert_eq!((&body["role"], &body["origins"]), (&json!("spectator"), &json!(["https://play.example"])));
    assert!(body["expiresAt"].as_str().unwrap().ends_with('Z'));
    let Principal::Grant(grant) = office.site.auth.verify(token).await.unwrap().principal else {
        panic!("no grant")
    };
    assert_eq!((grant.session, grant.role), (view.id, Role::Spectator));
    assert_eq!(grant.origins, ["https://play.example"]);
    assert_eq!(grant.grant.to_string(), body["grantId"].as_str().unwrap());

    let plain = office.send("POST", "/session/mine/token", &json!({ "role": "player" })).await;
    assert_eq!(plain.json()["origins"], json!([]));
    assert_eq!(office.site.hosted.calls(), ["grant acme mine Spectator 60", "grant acme mine Player 86400"]);
}

#[tokio::test]
async fn a_grant_that_is_not_right_is_422_with_each_field() {
    let office = Office::new().await;
    office.site.hosted.with(view("mine"));
    let path = "/session/mine/token";
    for (request, fields) in [
        (json!({}), vec!["role"]),
        (json!({ "role": "" }), vec!["role"]),
        (json!({ "role": 1 }), vec!["role"]),
        (json!({ "role": "owner" }), vec!["role"]),
        (json!({ "role": "player", "expiresIn": 59 }), vec!["expiresIn"]),
        (json!({ "role": "player", "expiresIn": 604_801 }), vec!["expiresIn"]),
        (json!({ "role": "player", "expiresIn": "60" }), vec!["expiresIn"]),
        (json!({ "role": "player", "origins": "https://x.example" }), vec!["origins"]),
        (
            json!({ "role": "player", "origins": ["https://x.example", "x.example/y", "*"] }),
            vec!["origins[1]", "origins[2]"],
        ),
        (json!({ "role": "player", "origins": vec!["https://x.example"; 17] }), vec!["origins"]),
        (json!({ "role": "player", "slot": 1 }), vec!["slot"]),
    ] {
        let answer = office.send("POST", path, &request).await;
        assert_eq!(answer.is_error_response(422, "INVALID_REQUEST", path), fields, "{request}");
    }
    assert!(office.site.hosted.calls().is_empty());
    let other = office.send("POST", "/session/other/token", &json!({ "role": "player" })).await;
    other.is_error_response(404, "RESOURCE_NOT_FOUND", "/session/other/token");
}

#[tokio::test]
async fn a_grant_for_a_site_is_refused_on_the_pages_of_every_other() {
    let site = Site::new().await;
    let view = session("ada", Status::Running);
    let id = view.id;
    *site.core.session.lock().unwrap() = Some(view);
    let mint = |origins: &[&str]| {
        let claims = GrantClaims {
            grant: GrantId::new(),
            session: id,
            role: Role::Player,
            origins: origins.iter().map(|origin| (*origin).to_owned()).collect(),
            expires_at: time::OffsetDateTime::now_utc().unix_timestamp() + 60,
        };
        site.auth.mint_grant(&claims).unwrap()
    };
    let (bound, free) = (mint(&["https://play.example", "https://other.example"]), mint(&[]));
    let path = format!("/api/game/session-status?sessionId={id}");
    for (token, origins, expected) in [
        (&bound, &[][..], 200),
        (&bound, &["https://play.example"], 200),
        (&bound, &["https://OTHER.example:443"], 200),
        (&bound, &["http://localhost:8080"], 200),
        (&bound, &["https://evil.example"], 401),
        (&bound, &["http://play.example"], 401),
        (&bound, &["https://play.example.evil.example"], 401),
        (&bound, &["null"], 401),
        (&bound, &["https://play.example", "https://evil.example"], 401),
        (&free, &["https://evil.example"], 200),
    ] {
        let mut request = plain("GET", &path).header("authorization", format!("Bearer {token}"));
        for origin in origins {
            request = request.header("origin", *origin);
        }
        let answer = site.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status.as_u16(), expected, "{origins:?}");
        if expected == 401 {
            answer.is_error(401, "unauthorized");
        }
    }
    // Signaling, by header and by the token of its first message.
    for (origin, expected) in [
        ("https://play.example", "known"),
        ("http://localhost:8080", "known"),
        ("https://evil.example", "nobody"),
    ] {
        let ask = |path: &str| plain("GET", path).header("origin", origin);
        let by_header = ask("/test/headers").header("authorization", format!("Bearer {bound}"));
        assert_eq!(site.send(by_header.body(Body::empty()).unwrap()).await.text(), expected, "{origin}");
        let by_message = ask("/test/hello").header("x-hello", &bound);
        assert_eq!(site.send(by_message.body(Body::empty()).unwrap()).await.text(), expected, "{origin}");
    }
}
