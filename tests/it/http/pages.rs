//! Shells and static files.

use super::fake::{Site, plain};
use axum::body::Body;
use playgate::model::ids::SessionId;

#[tokio::test]
async fn every_page_is_served_to_everybody_with_the_headers_that_protect_it() {
    let site = Site::new().await;
    let session = format!("/session/{}/", SessionId::new());
    for (path, title) in
        [("/", "Games"), ("/play/garden", "Play"), (session.as_str(), "Session"), ("/signin", "Sign in")]
    {
        let page = site.send(plain("GET", path).body(Body::empty()).unwrap()).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(page.text().contains(&format!("<title>{title}<")), "{path}");
        assert!(
            page.header("content-security-policy")
                .starts_with("default-src 'self'; img-src 'self' data: blob:;")
        );
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert_eq!(page.header("referrer-policy"), "no-referrer");
        assert!(page.header("permissions-policy").contains("gamepad=(self)"));
        assert_eq!(page.header("cache-control"), "no-cache");
        assert_eq!(page.header("x-request-id").len(), 36);
    }
}

#[tokio::test]
async fn a_session_without_its_slash_is_sent_to_the_one_with() {
    let site = Site::new().await;
    let id = SessionId::new();
    let browser = |path: &str| {
        plain("GET", path)
            .header("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")
            .body(Body::empty())
            .unwrap()
    };
    let answer = site.send(browser(&format!("/session/{id}"))).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("location")),
        (308, format!("/session/{id}/").as_str())
    );
    // Everybody else asks the Session API.
    assert_eq!(site.send(browser("/session/nonsense")).await.status, 401);
    assert_eq!(site.get(&format!("/session/{id}")).await.status, 401);
}

#[tokio::test]
async fn files_have_a_tag_and_come_compressed() {
    let site = Site::new().await;
    let file = site.get("/assets/app.js").await;
    assert_eq!(file.header("content-type"), "text/javascript; charset=utf-8");
    let tag = file.header("etag").to_owned();
    let again = plain("GET", "/assets/app.js").header("if-none-match", format!("\"other\", {tag}"));
    let again = site.send(again.body(Body::empty()).unwrap()).await;
    assert_eq!((again.status.as_u16(), again.bytes.len(), again.header("etag")), (304, 0, tag.as_str()));
    let zipped = plain("GET", "/assets/app.js").header("accept-encoding", "gzip");
    let zipped = site.send(zipped.body(Body::empty()).unwrap()).await;
    assert_eq!((zipped.header("content-encoding"), &zipped.bytes[..2]), ("gzip", &[0x1f, 0x8b][..]));
    let api = site.request("GET", "/api/games").header("accept-encoding", "gzip");
    assert_eq!(site.send(api.body(Body::empty()).unwrap()).await.header("content-encoding"), "");
}

#[tokio::test]
async fn what_is_no_file_is_a_page_in_plain_words() {
    let site = Site::new().await;
    for path in [
        "/nothing",
        "/assets/none.js",
        "/assets/.hidden",
        "/assets/../Cargo.toml",
        "/assets/%2e%2e/Cargo.toml",
        "/assets//etc/passwd",
        "/play/",
    ] {
        let answer = site.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.text().contains("There is no such page"), "{path}");
    }
    assert_eq!(site.get("/favicon.ico").await.status, 204);
}
