//! Embed tokens over HTTP: what is minted, who may visit from where, what other sites may load.

use super::fake::{Answer, Site, plain};
use super::fake_embeds::{SITE, TOKEN};
use axum::body::Body;
use playgate::model::ids::EmbedId;
use playgate::model::rows::EmbedTarget;
use playgate::session::embeds::EmbedRefusal;
use playgate_signaling::message::Role;
use serde_json::{Value, json};
use std::time::Duration;

/// A visit with a token, as a page of some origin makes it.
async fn visit(site: &Site, token: &str, origin: Option<&str>, body: &str) -> Answer {
    let mut request = plain("POST", "/api/embed/visit").header("content-type", "application/json");
    if !token.is_empty() {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    if let Some(origin) = origin {
        request = request.header("origin", origin);
    }
    site.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

#[tokio::test]
async fn a_token_is_minted_with_its_sites_and_told_once() {
    let site = Site::new().await;
    let body = json!({
        "game": "ember", "role": "player", "slot": 2, "origins": ["https://Arcade.example:443/"], "uses": 10, "expiresIn": 3600,
    });
    let answer = site.post("/api/embeds", &body).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let minted = answer.json();
    let id = site.embeds.id;
    assert_eq!(minted["url"], format!("http://localhost:8080/embed/{id}#{TOKEN}"));
    assert_eq!((&minted["token"], &minted["slot"], &minted["used"]), (&json!(TOKEN), &json!(2), &json!(3)));
    let request = site.embeds.minted.lock().unwrap().remove(0);
    assert_eq!(request.target, EmbedTarget::Game("ember".to_owned()));
    assert_eq!((request.role, request.slot, request.uses), (Role::Player, Some(1), Some(10)));
    assert_eq!((request.origins, request.life), (vec![SITE.to_owned()], Duration::from_secs(3600)));

    let listed = site.get("/api/embeds").await.json();
    assert_eq!(listed["embeds"][0]["embedId"], json!(id));
    assert!(!listed.to_string().contains(TOKEN));
    let gone =
        site.send(site.request("DELETE", &format!("/api/embeds/{id}")).body(Body::empty()).unwrap()).await;
    assert_eq!(gone.status, 204);
    assert_eq!(*site.embeds.revoked.lock().unwrap(), [id]);
}

#[tokio::test]
async fn what_is_no_wish_for_a_token_is_refused_with_the_field() {
    let site = Site::new().await;
    let good = json!({ "game": "ember", "role": "player", "origins": [SITE] });
    let cases: [(&str, Value, &str); 10] = [
        ("role", json!("owner"), "'role'"),
        ("role", Value::Null, "'role'"),
        ("sessionId", json!("5f0c2a4e-8b1d-4c53-9c69-6a1c52f3a7d1"), "'game' or 'sessionId'"),
        ("game", Value::Null, "'game' or 'sessionId'"),
        ("origins", json!([]), "'origins'"),
        ("origins", json!(["https://arcade.example/path"]), "'origins'"),
        ("origins", json!(["*"]), "'origins'"),
        ("origins", json!(vec![SITE; 17]), "'origins'"),
        ("uses", json!(0), "'uses'"),
        ("slot", json!(5), "'slot'"),
    ];
    for (field, value, told) in cases {
        let mut body = good.clone();
        body[field] = value;
        let answer = site.post("/api/embeds", &body).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
        assert!(answer.text().contains(told), "{body}: {}", answer.text());
    }
    let spectator = json!({ "game": "ember", "role": "spectator", "slot": 1, "origins": [SITE] });
    site.post("/api/embeds", &spectator).await.is_error(400, "invalid_request");
    assert!(site.embeds.minted.lock().unwrap().is_empty());
    let stranger = plain("POST", "/api/embeds").header("content-type", "application/json");
    site.send(stranger.body(Body::from(good.to_string())).unwrap()).await.is_error(401, "unauthorized");
}

#[tokio::test]
async fn a_visit_is_for_the_tokens_sites_and_for_who_is_no_browser() {
    let site = Site::new().await;
    for origin in [None, Some(SITE)] {
        let answer = visit(&site, TOKEN, origin, "").await;
        assert_eq!(answer.status, 201, "{origin:?}: {}", answer.text());
        let visit = answer.json();
        assert_eq!((&visit["slot"], &visit["mayStop"]), (&json!(2), &json!(true)));
        assert!(visit["token"].as_str().unwrap().split('.').count() == 3);
    }
    for origin in ["https://other.example", "http://arcade.example", "null"] {
        let refused = visit(&site, TOKEN, Some(origin), "").await;
        refused.is_error(403, "embed_wrong_site");
        // The page that asked may read why.
        assert_eq!(refused.header("access-control-allow-origin"), "*");
    }
    for token in ["", "pge_other", "nonsense"] {
        visit(&site, token, Some(SITE), "").await.is_error(401, "embed_unknown");
    }
}

#[tokio::test]
async fn our_own_page_visits_only_what_its_address_names() {
    let site = Site::new().await;
    let own = Some("http://localhost:8080");
    let naming = |id: EmbedId| json!({ "embedId": id }).to_string();
    assert_eq!(visit(&site, TOKEN, own, &naming(site.embeds.id)).await.status, 201);
    visit(&site, TOKEN, own, &naming(EmbedId::new())).await.is_error(401, "embed_unknown");
    visit(&site, TOKEN, own, "").await.is_error(401, "embed_unknown");
    visit(&site, TOKEN, own, "{\"embedId\":7}").await.is_error(401, "embed_unknown");
    visit(&site, TOKEN, own, "{").await.is_error(400, "invalid_request");
}

#[tokio::test]
async fn a_token_that_is_no_longer_good_is_refused_by_its_reason() {
    let site = Site::new().await;
    let reasons = [
        (EmbedRefusal::Expired, "embed_expired"),
        (EmbedRefusal::Revoked, "embed_revoked"),
        (EmbedRefusal::UsedUp, "embed_used_up"),
        (EmbedRefusal::Over, "embed_over"),
    ];
    for (refusal, code) in reasons {
        *site.embeds.refuse.lock().unwrap() = Some(refusal);
        visit(&site, TOKEN, Some(SITE), "").await.is_error(410, code);
    }
}

#[tokio::test]
async fn the_page_may_be_framed_by_the_tokens_sites_alone_and_others_get_words() {
    let site = Site::new().await;
    let path = format!("/embed/{}", site.embeds.id);
    let framed = |referer: &str| {
        plain("GET", &path)
            .header("sec-fetch-dest", "iframe")
            .header("referer", referer)
            .body(Body::empty())
            .unwrap()
    };
    for request in [plain("GET", &path).body(Body::empty()).unwrap(), framed(&format!("{SITE}/games/?a=b"))] {
        let page = site.send(request).await;
        assert_eq!(page.status, 200);
        let policy = page.header("content-security-policy");
        assert!(policy.ends_with(&format!("frame-ancestors 'self' {SITE}")), "{policy}");
        assert!(policy.starts_with("default-src 'self'"), "{policy}");
    }
    let elsewhere = site.send(framed("https://other.example/")).await;
    assert_eq!(elsewhere.status, 403);
    assert!(elsewhere.text().contains("This site may not show this stream."), "{}", elsewhere.text());
    assert!(elsewhere.text().contains("data-refused=\"embed_wrong_site\""), "{}", elsewhere.text());
    let policy = elsewhere.header("content-security-policy");
    assert_eq!(policy, "default-src 'none'; style-src 'self'; script-src 'self'; frame-ancestors *");
    for unknown in [format!("/embed/{}", EmbedId::new()), "/embed/nonsense".to_owned()] {
        let page = site.send(plain("GET", &unknown).body(Body::empty()).unwrap()).await;
        assert_eq!(page.status, 404);
        assert!(
            page.text().contains("not known here") && page.text().contains("data-refused=\"embed_unknown\""),
            "{}",
            page.text()
        );
    }
}

#[tokio::test]
async fn the_module_is_for_every_site_and_its_versions_never_change() {
    let site = Site::new().await;
    let newest = plain("GET", "/embed.js").header("origin", "https://any.example");
    let newest = site.send(newest.body(Body::empty()).unwrap()).await;
    assert_eq!(newest.header("content-type"), "text/javascript; charset=utf-8");
    assert_eq!(newest.header("access-control-allow-origin"), "*");
    assert_eq!(newest.header("cache-control"), "no-cache");
    let sdk = playgate::http::Sdk::of(&super::fake::assets()).unwrap();
    assert!(sdk.integrity.starts_with("sha384-") && sdk.integrity.len() == 7 + 64, "{sdk:?}");
    let pinned = site.get(&format!("/embed/v/{}/embed.js", sdk.version)).await;
    assert_eq!(pinned.bytes, newest.bytes);
    assert_eq!(pinned.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(site.get("/embed/v/0123456789abcdef/embed.js").await.status, 404);
}

#[tokio::test]
async fn pages_of_other_sites_may_ask_what_a_grant_is_for_and_nothing_else() {
    let site = Site::new().await;
    let preflight = |path: &str| {
        let request = plain("OPTIONS", path).header("origin", SITE);
        request.header("access-control-request-method", "POST").body(Body::empty()).unwrap()
    };
    let allowed = site.send(preflight("/api/game/stop")).await;
    assert_eq!(allowed.status, 204);
    assert_eq!(allowed.header("access-control-allow-headers"), "Authorization, Content-Type");
    assert_eq!(allowed.header("access-control-allow-origin"), "*");
    assert_eq!(allowed.header("access-control-allow-credentials"), "");
    for path in ["/api/game/launch", "/api/embeds", "/api/game/share"] {
        let refused = site.send(preflight(path)).await;
        assert_eq!(refused.header("access-control-allow-origin"), "", "{path}");
    }
}
