//! What other sites load of us: the embed page, which they show in a frame, and the SDK, a module that makes such frames.
//!
//! The page's address names the embed token by its id, which is no secret, so that the answer can name the sites that may frame
//! it (`frame-ancestors`); the token itself is in the fragment, or comes by message. Where the browser tells that another site
//! asks, it gets plain words instead, which it may show: a page that the browser itself blocks explains nothing.

use crate::http::HttpState;
use crate::http::context::Context;
use crate::http::layers::security_policy;
use crate::http::pages::{Assets, content_type, file, missing, serve};
use crate::model::ids::EmbedId;
use crate::session::embeds::EmbedRefusal;
use aws_lc_rs::digest::{SHA256, SHA384, digest};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const SDK: &str = "embed/embed.js";
const PAGE: &str = "embed.html";
const REFUSAL_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; frame-ancestors *";
const DESTINATION: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Routes of the pages' router.
pub(in crate::http) fn routes() -> Router<HttpState> {
    Router::new()
        .route("/embed.js", get(|state, headers| file(state, headers, SDK)))
        .route("/embed.d.ts", get(|state, headers| file(state, headers, "embed/embed.d.ts")))
        .route("/embed/v/{version}/embed.js", get(version))
        .route("/embed/{id}", get(page))
}

/// The SDK by its version: what is there never changes.
async fn version(State(state): State<HttpState>, headers: HeaderMap, Path(wanted): Path<String>) -> Response {
    let Some(bytes) = state.assets.read(SDK).filter(|bytes| version_of(bytes) == wanted) else {
        let text = "This version of the player is not served here. Embed /embed.js, or the version that \
                    `playgate embed` prints.\n";
        return (StatusCode::NOT_FOUND, text).into_response();
    };
    let mut response = serve(&headers, bytes, content_type(SDK));
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
        let bytes = assets.read(SDK)?;
        let integrity = format!("sha384-{}", STANDARD.encode(digest(&SHA384, &bytes)));
        Some(Self { version: version_of(&bytes), integrity })
    }
}

fn version_of(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
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
    let Some(bytes) = state.assets.read(PAGE) else { return missing() };
    let mut response = serve(&headers, bytes, content_type(PAGE));
    if let Ok(policy) = HeaderValue::try_from(security_policy(&origins)) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

fn is_framed(headers: &HeaderMap) -> bool {
    headers.get(DESTINATION).is_some_and(|to| to == "iframe" || to == "frame")
}

/// A refusal that every site may show: nothing in it can be clicked, nothing in it is anybody's. Its script tells the words to
/// the page around it.
fn words(status: StatusCode, refusal: EmbedRefusal) -> Response {
    let (_, code) = refusal.status_and_code();
    let html = format!(
        "<!doctype html><html lang=\"en\" data-state=\"failed\" data-refused=\"{code}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"color-scheme\" content=\"dark\"><title>Playgate</title>\
         <link rel=\"stylesheet\" href=\"/assets/css/base.css\"><link rel=\"stylesheet\" href=\"/assets/css/embed.css\">\
         <script type=\"module\" src=\"/assets/embed/refused.js\"></script></head><body class=\"embedded\"><main>\
         <section id=\"refused\" role=\"alert\"><h1>Nothing to see here</h1><p id=\"refused-why\">{refusal}</p></section>\
         </main></body></html>\n"
    );
    let headers = [(header::CACHE_CONTROL, "no-store"), (header::CONTENT_SECURITY_POLICY, REFUSAL_POLICY)];
    (status, headers, Html(html)).into_response()
}
