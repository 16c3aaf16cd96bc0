//! Who is let in by where the request comes from: forged requests, host names, proxies.

use super::fake::{Answer, Site, plain};
use axum::body::Body;
use serde_json::json;

const LAUNCH: &str = r#"{"gameSlug":"garden"}"#;

async fn launch_by_cookie(site: &Site, headers: &[(&str, &str)]) -> Answer {
    let mut request = site.by_cookie("POST", "/api/game/launch").header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    site.send(request.body(Body::from(LAUNCH)).unwrap()).await
}

#[tokio::test]
async fn a_cookie_changes_things_only_from_a_page_of_our_own() {
    let site = Site::new().await;
    let own = "http://localhost:8080";
    let good: [&[(&str, &str)]; 4] = [
        &[("sec-fetch-site", "same-origin")],
        &[("sec-fetch-site", "none")],
        &[("origin", own)],
        &[("sec-fetch-site", "same-origin"), ("origin", own)],
    ];
    for headers in good {
        assert_eq!(launch_by_cookie(&site, headers).await.status, 202, "{headers:?}");
    }
    let bad: [&[(&str, &str)]; 10] = [
        &[],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "cross-site"), ("origin", own)],
        &[("sec-fetch-site", "nonsense")],
        &[("origin", "http://evil.example")],
        &[("origin", "null")],
        &[("origin", "https://localhost:8080")],
        &[("origin", "http://localhost:9999")],
        &[("origin", own), ("origin", "http://evil.example")],
    ];
    for headers in bad {
        launch_by_cookie(&site, headers).await.is_error(403, "forbidden");
    }
}

#[tokio::test]
async fn reading_by_cookie_and_anything_by_bearer_needs_no_origin() {
    let site = Site::new().await;
    assert_eq!(site.send(site.by_cookie("GET", "/api/games").body(Body::empty()).unwrap()).await.status, 200);
    let request = site
        .request("POST", "/api/game/launch")
        .header("content-type", "application/json")
        .header("sec-fetch-site", "cross-site")
        .header("origin", "http://embedder.example");
    assert_eq!(site.send(request.body(Body::from(LAUNCH)).unwrap()).await.status, 202);
}

#[tokio::test]
async fn a_websocket_by_cookie_needs_a_page_of_our_own_too() {
    let site = Site::new().await;
    for (origin, expected) in
        [(Some("http://localhost:8080"), "known"), (Some("http://evil.example"), "nobody"), (None, "nobody")]
    {
        for path in ["/test/who", "/test/headers"] {
            let mut request = site.by_cookie("GET", path).header("upgrade", "websocket");
            if let Some(origin) = origin {
                request = request.header("origin", origin);
            }
            assert_eq!(
                site.send(request.body(Body::empty()).unwrap()).await.text(),
                expected,
                "{path} {origin:?}"
            );
        }
    }
    let embed = site.request("GET", "/test/headers").header("origin", "http://embedder.example");
    assert_eq!(
        site.send(embed.body(Body::empty()).unwrap()).await.text(),
        "known",
        "a bearer token comes from anywhere"
    );
}

#[tokio::test]
async fn a_wrong_bearer_token_is_not_saved_by_a_good_cookie() {
    let site = Site::new().await;
    let request = site.by_cookie("GET", "/api/games").header("authorization", "Bearer wrong");
    site.send(request.body(Body::empty()).unwrap()).await.is_error(401, "unauthorized");
    let twice =
        site.request("GET", "/api/games").header("authorization", format!("Bearer {}", site.user.token));
    site.send(twice.body(Body::empty()).unwrap()).await.is_error(401, "unauthorized");
}

#[tokio::test]
async fn a_loopback_listener_serves_loopback_names_only_whoever_may_sign_in() {
    for guest in [None, Some(true), Some(false)] {
        only_loopback_names_are_served(&Site::with(|c| c.auth.guest = guest).await).await;
    }
    let addressed = Site::with(|c| c.public_ip = vec!["203.0.113.5".parse().unwrap()]).await;
    only_loopback_names_are_served(&addressed).await;
}

async fn only_loopback_names_are_served(site: &Site) {
    let status = |host: &'static str| async move {
        site.send(plain("GET", "/api/health").header("host", host).body(Body::empty()).unwrap()).await
    };
    for host in ["localhost", "127.0.0.1:8080", "[::1]:8080", "a.b.localhost:1"] {
        assert_eq!(status(host).await.status, 200, "{host}");
    }
    for host in ["evil.example", "192.168.1.5:8080", "localhost.evil.example"] {
        let answer = status(host).await;
        answer.is_error(421, "misdirected");
        assert!(answer.text().contains("--lan"), "{}", answer.text());
    }
    status("a b").await.is_error(400, "invalid_request");
    let page = site.send(plain("GET", "/").header("host", "evil.example").body(Body::empty()).unwrap()).await;
    assert_eq!((page.status.as_u16(), page.header("content-type")), (421, "text/html; charset=utf-8"));
}

#[tokio::test]
async fn with_a_public_url_or_an_address_for_others_any_name_is_served() {
    for (change, guest) in [
        (
            (|c| c.public_url = Some("https://play.example".into())) as fn(&mut playgate::config::Config),
            false,
        ),
        (
            |c| {
                c.public_url = Some("https://play.example".into());
                c.auth.guest = Some(true);
            },
            true,
        ),
        (|c| c.listen = "0.0.0.0:8080".parse().unwrap(), false),
        (|c| c.lan = true, false),
    ] {
        let site = Site::with(change).await;
        let request =
            plain("GET", "/api/auth/providers").header("host", "play.test").body(Body::empty()).unwrap();
        let answer = site.send(request).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["guest"]), (200, &json!(guest)));
        let request =
            plain("POST", "/api/auth/guest").header("host", "play.test").body(Body::empty()).unwrap();
        assert_eq!(site.send(request).await.status, if guest { 201 } else { 403 });
    }
}

async fn context(site: &Site, headers: &[(&str, &str)]) -> serde_json::Value {
    let mut request = plain("GET", "/test/context");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    site.send(request.body(Body::empty()).unwrap()).await.json()
}

const FORWARDED: [(&str, &str); 3] = [
    ("x-forwarded-for", "203.0.113.1, 198.51.100.4, 10.1.1.1"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-host", "play.example"),
];

#[tokio::test]
async fn forwarded_headers_count_only_from_a_trusted_proxy() {
    let anyone = Site::with(|c| c.auth.guest = Some(true)).await;
    let expected = json!({ "client": "192.0.2.77", "base": "http://localhost:8080", "https": false });
    assert_eq!(context(&anyone, &FORWARDED).await, expected);

    let trusting = Site::with(|c| {
        c.listen = "0.0.0.0:8080".parse().unwrap();
        c.trusted_proxies = vec!["192.0.2.0/24".into(), "10.0.0.0/8".into()];
    })
    .await;
    let expected = json!({ "client": "198.51.100.4", "base": "https://play.example", "https": true });
    assert_eq!(context(&trusting, &FORWARDED).await, expected);
    // What a client wrote itself is left of what our proxies added, and nonsense ends the chain.
    let spoofed = [("x-forwarded-for", "nonsense, 10.9.9.9")];
    assert_eq!(context(&trusting, &spoofed).await["client"], "10.9.9.9");
}

#[tokio::test]
async fn a_public_url_is_the_base_and_an_origin_of_ours() {
    let site = Site::with(|c| c.public_url = Some("https://play.example/".into())).await;
    let seen = context(&site, &[]).await;
    assert_eq!((&seen["base"], &seen["https"]), (&json!("https://play.example"), &json!(true)));
    let request = plain("POST", "/api/game/launch")
        .header("cookie", format!("__Host-playgate-session={}", site.user.token))
        .header("content-type", "application/json")
        .header("origin", "https://play.example");
    assert_eq!(site.send(request.body(Body::from(LAUNCH)).unwrap()).await.status, 202);
}

#[tokio::test]
async fn a_trusted_proxy_in_front_of_a_default_gateway_does_not_open_it() {
    let site = Site::with(|c| c.trusted_proxies = vec!["192.0.2.77".into()]).await;
    let request = plain("GET", "/api/health").header("x-forwarded-host", "play.example");
    site.send(request.body(Body::empty()).unwrap()).await.is_error(421, "misdirected");
}
