//! Signaling endpoints: `WS /session/{id}/signal` and `/session/{id}/whep`. They move SDP and messages, never media.
//!
//! Both are shells around [`playgate_signaling::machine`]: they own sockets and timers and ask the session core, which
//! decides. A viewer's media outlives a broken WebSocket by [`RESUME_SECONDS`]; a WHEP viewer lives until `DELETE` or
//! until its media is gone; and neither outlives the token it was admitted by. Every connection, queue and message size is
//! bounded and counted.
//!
//! [`RESUME_SECONDS`]: playgate_signaling::message::RESUME_SECONDS

mod admission;
mod connection;
mod core;
mod guard;
pub mod ice;
mod inside;
mod metrics;
mod push;
mod state;
mod viewers;
mod websocket;
mod whep;
mod whep_reply;

pub use self::core::{Known, SignalAuth, SignalCore};
pub use self::state::{SignalConfig, SignalState};

use axum::Router;
use axum::routing::{get, patch, post};

/// Largest body of a WHEP request, in bytes.
const MAX_BODY_BYTES: usize = playgate_signaling::message::MAX_MESSAGE_BYTES;

/// The routes of this module. The limits of bodies stand beside all others in `http::limits`, too.
pub fn router(state: SignalState) -> Router {
    routes().with_state(state)
}

pub(crate) fn routes() -> Router<SignalState> {
    let whep = Router::new()
        .route("/session/{id}/whep", post(whep::create).options(whep::options))
        .route("/session/{id}/whep/{viewer}", patch(whep::update).delete(whep::remove).options(whep::options))
        .layer(axum::middleware::map_response(whep_reply::allow_any_origin))
        .layer(axum::extract::DefaultBodyLimit::max(MAX_BODY_BYTES));
    Router::new().route("/session/{id}/signal", get(websocket::upgrade)).merge(whep)
}
