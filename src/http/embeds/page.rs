//! What other sites load of us: the embed page, which they show in a frame, and the SDK, a module that makes such frames.
//!
//! The page's address names the embed token by its id, which is no secret, so that the answer can name the sites that may frame
//! it (`frame-ancestors`); the token itself is in the fragment, or comes by message. Where the browser tells that another site
//! asks, it gets plain words instead, which it may show: a page that the browser itself blocks explains nothing.

use crate::http::HttpState;
use crate::http::context::Context;
use crate::http::layers::security_policy;
use crate::http::pages::{Assets, missing, serve};
use crate::ids::EmbedId;
use crate::session::embeds::EmbedRefusal;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write as _;

const MODULE: &str = "text/javascript; charset=utf-8";
const TYPES: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const DESTINATION: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Routes of the pages' router.
pub(in crate::http) fn routes() -> Router<HttpState> {
    Router::new()
        .route("/embed.js", get(|state, headers| newest(state, headers, "embed/embed.js", MODULE)))
        .route("/embed.d.ts", get(|state, headers| newest(state, headers, "embed/embed.d.ts", TYPES)))
        .route("/embed/v/{version}/embed.js", get(version))
        .route("/embed/{id}", get(page))
}

async fn newest(
    State(state): State<HttpState>,
    headers: HeaderMap,
    file: &'static str,
    kind: &'static str,
) -> Response {
    state.assets.read(file).map_or_else(missing, |bytes| serve(&headers, bytes, kind))
}

/// The SDK by its version: what is there never changes.
async fn version(State(state): State<HttpState>, headers: HeaderMap, Path(wanted): Path<String>) -> Response {
    let sdk = Sdk::of(&state.assets).filter(|sdk| sdk.version == wanted);
    let Some((_, bytes)) = sdk.zip(state.assets.read("embed/embed.js")) else {
        let text = "This version of the player is not served here. Embed /embed.js, or the version that \
                    `playgate embed` prints.\n";
        return (StatusCode::NOT_FOUND, text).into_response();
    };
    let mut response = serve(&headers, bytes, MODULE);
    let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
    response.headers_mut().insert(header::CACHE_CONTROL, forever);
    response
}

/// The SDK's file, as sites pin it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sdk {
    /// The beginning of its SHA-256, in hex.
    pub version: String,
    /// For the `integrity` attribute (W3C Subresource Integrity).
    pub integrity: String,
}

impl Sdk {
    /// `None` in a build without pages.
    pub fn of(assets: &Assets) -> Option<Self> {
        use aws_lc_rs::digest::{SHA256, SHA384, digest};
        let bytes = assets.read("embed/embed.js")?;
        let mut version = String::new();
        for byte in &digest(&SHA256, &bytes).as_ref()[..8] {
            let _ = write!(version, "{byte:02x}");
        }
        let integrity = format!("sha384-{}", STANDARD.encode(digest(&SHA384, &bytes)));
        Some(Self { version, integrity })
    }
}

async fn page(
    State(state): State<HttpState>,
    context: Context,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    let origins = match id.parse::<EmbedId>() {
        Ok(id) => state.embeds.embed_origins(id).await,
        Err(_) => Ok(None),
    };
    let origins = match origins {
        Ok(Some(origins)) => origins,
        Ok(None) => return words(StatusCode::NOT_FOUND, EmbedRefusal::Unknown),
        Err(error) => return crate::http::ApiError::from(error).into_response(),
    };
    if is_framed(&headers) && !context.referred_by(&origins, &headers) {
        return words(StatusCode::FORBIDDEN, EmbedRefusal::WrongSite);
    }
    let Some(bytes) = state.assets.read("embed.html") else { return missing() };
    let mut response = serve(&headers, bytes, HTML);
    if let Ok(policy) = HeaderValue::try_from(security_policy(&origins)) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

fn is_framed(headers: &HeaderMap) -> bool {
    headers.get(DESTINATION).is_some_and(|to| to == "iframe" || to == "frame")
}

/// A refusal that every site may show: nothing in it can be clicked, nothing in it is anybody's.
fn words(status: StatusCode, refusal: EmbedRefusal) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>Playgate</title>\
         <main><h1>Nothing to see here</h1><p id=\"error\" role=\"alert\">{refusal}</p></main></html>\n"
    );
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors *"),
    ];
    (status, headers, Html(html)).into_response()
}
