//! Routers of the Sessions API and the Session API, auth, pages and health; turns errors into statuses. Decides nothing about a session.
//!
//! Must hold: whatever comes in, the answer is a page, `{"error","message"}` or, on the Session API's paths, an
//! ErrorResponse; who asks is settled before what they
//! ask for; no token reaches a log.

pub mod caller;
mod catalogue;
mod connections;
pub mod context;
pub mod core;
mod cross_origin;
mod embeds;
pub mod error;
mod events;
pub mod front;
pub(crate) mod fuzz;
mod health;
pub mod input;
mod lapse;
mod layers;
pub mod limits;
mod nodes;
mod offload;
mod openapi;
pub mod pages;
mod places;
mod play;
pub mod proxy;
mod serve;
pub mod session_api;
mod share;
mod sign_in;
mod slots;
mod stalled;
mod thumbnail;
pub mod tls;
mod webhooks;

pub use self::core::SessionCore;
pub use self::session_api::HostedCore;
pub use crate::telemetry::Machine;
pub use catalogue::{DrawThumbnail, Thumbnails};
pub use context::{Access, Context};
pub use embeds::{EmbedCore, Sdk};
pub use error::ApiError;
pub use events::EventStreams;
pub use front::{Announce, Front, FrontDeps, FrontError, Private, PrivateServing, Serving};
pub use health::private_routes;
pub use layers::HttpMetrics;
pub use nodes::body as nodes_body;
pub use pages::Assets;

use crate::auth::Auth;
use crate::auth::code::Codes;
use crate::events::WebhookView;
use crate::node::NodeDirectory;
use crate::store::Store;
use crate::thumbnail::Thumbnailer;
use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use prometheus_client::registry::Registry;
use std::ops::Deref;
use std::sync::Arc;
use tower_http::compression::CompressionLayer;
use utoipa_axum::router::OpenApiRouter;

/// What the handlers share; cheap to clone.
#[derive(Clone)]
pub struct HttpState(Arc<HttpParts>);

/// Everything the HTTP surface is made of.
pub struct HttpParts {
    pub core: Arc<dyn SessionCore>,
    pub hosted: Arc<dyn HostedCore>,
    pub embeds: Arc<dyn EmbedCore>,
    pub nodes: Arc<dyn NodeDirectory>,
    /// What event streams and the list of deliveries are read from.
    pub events: Arc<dyn Store>,
    pub webhooks: Vec<WebhookView>,
    pub streams: EventStreams,
    pub auth: Auth,
    pub access: Access,
    /// One-time codes, where there are any.
    pub codes: Option<Codes>,
    /// Where the page sends a person without a token.
    pub sign_in_url: Option<String>,
    pub registry: Arc<Registry>,
    pub metrics: HttpMetrics,
    pub machine: Machine,
    /// Of games.
    pub thumbnails: Thumbnails,
    /// Of sessions.
    pub pictures: Thumbnailer,
    pub assets: Assets,
}

impl Deref for HttpState {
    type Target = HttpParts;

    fn deref(&self) -> &HttpParts {
        &self.0
    }
}

/// The public listener's router; `signal` is served under the same rules of host, context and headers.
pub fn router(parts: HttpParts, signal: Router) -> Router {
    let state = HttpState(Arc::new(parts));
    let (api, document) = api().split_for_parts();
    // Only files without a secret in them are compressed (no BREACH).
    let pages = pages().merge(openapi::routes(document).with_state(())).layer(CompressionLayer::new());
    api.merge(pages)
        .merge(signal.with_state(()))
        .fallback(layers::not_found)
        .method_not_allowed_fallback(layers::wrong_method)
        .layer(from_fn(limits::apply))
        .layer(from_fn(cross_origin::layer))
        .layer(from_fn_with_state(state.clone(), layers::around))
        .with_state(state)
}

/// Everything that the OpenAPI document describes.
fn api() -> OpenApiRouter<HttpState> {
    OpenApiRouter::with_openapi(openapi::base())
        .merge(play::routes())
        .merge(slots::routes())
        .merge(share::routes())
        .merge(embeds::routes())
        .merge(catalogue::routes())
        .merge(sign_in::routes())
        .merge(health::routes())
        .merge(nodes::routes())
        .merge(events::routes())
        .merge(webhooks::routes())
        .merge(thumbnail::routes())
        .merge(session_api::routes())
}

fn pages() -> Router<HttpState> {
    pages::routes().merge(embeds::pages())
}
