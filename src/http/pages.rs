//! The pages: HTML shells and the static files of `web/`, embedded in the binary.
//!
//! Shells are public and hold nothing of anybody; what they show they ask the API for.

use super::HttpState;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use playgate_signaling::steps;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

const HTML: &str = "text/html; charset=utf-8";

#[derive(rust_embed::RustEmbed)]
#[folder = "web/"]
#[exclude = "tests/*"]
#[exclude = "example/*"]
#[exclude = "package.json"]
#[exclude = "jsconfig.json"]
#[allow_missing = true]
struct Embedded;

/// Where the files of the pages come from.
#[derive(Clone, Default)]
pub enum Assets {
    /// `web/`, in the binary; in a debug build read from the disk.
    #[default]
    Embedded,
    /// Given by a test.
    Fixed(Arc<BTreeMap<String, &'static str>>),
}

impl Assets {
    pub(super) fn read(&self, path: &str) -> Option<Bytes> {
        match self {
            Self::Embedded => Embedded::get(path).map(|file| match file.data {
                std::borrow::Cow::Borrowed(bytes) => Bytes::from_static(bytes),
                std::borrow::Cow::Owned(bytes) => Bytes::from(bytes),
            }),
            Self::Fixed(files) => files.get(path).map(|text| Bytes::from_static(text.as_bytes())),
        }
    }
}

pub(super) fn routes() -> Router<HttpState> {
    Router::new()
        .route("/", get(|state, headers| file(state, headers, "index.html")))
        .route("/play/{slug}", get(|state, headers| player(state, headers, "play", "Play")))
        .route("/session/{id}/", get(|state, headers| player(state, headers, "session", "Session")))
        .route("/docs", get(|state, headers| file(state, headers, "docs.html")))
        .route("/signin", get(|state, headers| file(state, headers, "signin.html")))
        .route("/favicon.ico", get(favicon))
        .route("/robots.txt", get(|| async { "User-agent: *\nDisallow: /\n" }))
        .route("/assets/{*path}", get(asset))
}

/// A file of the pages by its own address.
pub(super) async fn file(State(state): State<HttpState>, headers: HeaderMap, path: &'static str) -> Response {
    state.assets.read(path).map_or_else(missing, |bytes| serve(&headers, bytes, content_type(path)))
}

/// The shell around the player, the same for who starts a game and for who is invited to one. `name` is the folder of the
/// page's own script.
async fn player(
    State(state): State<HttpState>,
    headers: HeaderMap,
    name: &'static str,
    title: &'static str,
) -> Response {
    let html = player_page(&state.assets, name, title);
    html.map_or_else(missing, |html| serve(&headers, html.into(), HTML))
}

fn player_page(assets: &Assets, name: &str, title: &str) -> Option<String> {
    let template = assets.read("player.html")?;
    Some(String::from_utf8_lossy(&template).replace("{{name}}", name).replace("{{title}}", title))
}

pub(super) fn missing() -> Response {
    page(StatusCode::NOT_FOUND, "This page is missing", "This build of Playgate has no pages inside.")
}

async fn asset(State(state): State<HttpState>, Path(path): Path<String>, headers: HeaderMap) -> Response {
    let plain =
        path.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && !part.contains('\\'));
    let Some(bytes) = plain.then(|| state.assets.read(&path)).flatten() else {
        return not_found_page();
    };
    serve(&headers, bytes, content_type(&path))
}

async fn favicon(State(state): State<HttpState>, headers: HeaderMap) -> Response {
    match state.assets.read("favicon.svg") {
        Some(bytes) => serve(&headers, bytes, "image/svg+xml"),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

pub(super) fn serve(headers: &HeaderMap, bytes: Bytes, kind: &'static str) -> Response {
    let etag = etag(&bytes);
    let (status, body) = if not_modified(headers, &etag) {
        (StatusCode::NOT_MODIFIED, Body::empty())
    } else {
        (StatusCode::OK, Body::from(bytes))
    };
    let mut response = (status, [(header::ETAG, etag)], body).into_response();
    let own = response.headers_mut();
    own.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    own.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// The 404 of everything that is not the API.
pub(super) fn not_found_page() -> Response {
    page(StatusCode::NOT_FOUND, "There is no such page", "The address may be mistyped, or the page is gone.")
}

/// A page of a few plain words.
pub(super) fn page(status: StatusCode, title: &str, text: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title} - Playgate</title>\
         <main><h1>{title}</h1><p>{text}</p><p><a href=\"/\">To the games</a></p></main></html>\n"
    );
    (status, [(header::CACHE_CONTROL, "no-store")], Html(html)).into_response()
}

/// A weak validator (RFC 9110, section 8.8.1): the same for the compressed form.
pub(super) fn etag(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    let mut tag = String::from("W/\"");
    for byte in &digest.as_ref()[..12] {
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    tag
}

pub(super) fn not_modified(headers: &HeaderMap, etag: &str) -> bool {
    let bare = etag.trim_start_matches("W/");
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| steps::split(value, ','))
        .any(|tag| tag.trim() == "*" || tag.trim().trim_start_matches("W/") == bare)
}

pub(super) fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => HTML,
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "map") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("webmanifest") => "application/manifest+json",
        Some("woff2") => "font/woff2",
        Some("txt" | "md" | "ts") => "text/plain; charset=utf-8",
        Some(_) | None => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_pages_with_a_player_have_their_title_and_a_script_that_is_there() {
        for (name, title) in [("play", "Play"), ("session", "Session")] {
            let html = player_page(&Assets::Embedded, name, title).unwrap();
            assert!(html.contains(&format!("<title>{title} – Playgate</title>")) && !html.contains("{{"));
            let files = html.split('"').filter_map(|part| part.strip_prefix("/assets/"));
            let missing: Vec<_> = files.filter(|file| Assets::Embedded.read(file).is_none()).collect();
            assert!(missing.is_empty() && html.contains(&format!("/assets/{name}/page.js")), "{missing:?}");
        }
    }

    #[test]
    fn what_only_developers_need_is_not_among_the_pages() {
        assert!(Assets::Embedded.read("player/player.js").is_some());
        for path in ["tests/keys.test.js", "example/index.html", "package.json", "jsconfig.json"] {
            assert!(Assets::Embedded.read(path).is_none(), "{path}");
        }
    }
}
