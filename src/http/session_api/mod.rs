//! The Session API (contract 2): ten operations, and grants beside them, for the backends of organisations.
//!
//! Must hold: who asks is settled before what they ask for; every answer from 400 on is an ErrorResponse; what belongs to
//! another organisation is not there. Decides nothing about a session.

mod caller;
mod core;
mod error;
mod files;
mod form;
pub(crate) mod fuzz;
mod grants;
mod json;
mod places;
mod players;
mod query;
mod segments;
mod sessions;
mod start;
mod view;

pub use self::core::HostedCore;
pub(super) use error::complete;
pub use error::{ErrorResponse, FieldViolation, SessionApiError};
pub(super) use sessions::PlayerCount;

use super::HttpState;
use axum::http::Method;
use axum::middleware::from_fn;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<HttpState> {
    let one = OpenApiRouter::new()
        .routes(routes!(sessions::describe, sessions::stop))
        .route_layer(from_fn(sessions::page_or_api));
    OpenApiRouter::new()
        .routes(routes!(start::run, sessions::list))
        .routes(routes!(players::join))
        .routes(routes!(players::leave))
        .routes(routes!(grants::grant))
        .routes(routes!(files::artifacts))
        .routes(routes!(files::logs))
        .routes(routes!(places::locations))
        .routes(routes!(places::tag))
        .merge(one)
}

/// Whether what is at this path, if only a 404, speaks this API. The player's page is `/session/{id}/`, with the slash.
pub(super) fn owns(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    matches!(
        parts.as_slice(),
        ["artifacts" | "logs" | "available-location" | "tag", ..]
            | ["session"]
            | ["session", _]
            | ["session", _, "token"]
            | ["session", "player", "join" | "leave"]
    )
}

/// `POST /session` may wait for an image.
pub(super) fn is_start(method: &Method, path: &str) -> bool {
    *method == Method::POST && path == "/session"
}

#[cfg(test)]
mod tests {
    use super::owns;

    #[test]
    fn the_pages_and_signaling_beside_this_api_are_not_its_own() {
        for own in
            ["/session", "/session/", "/session/x", "/session/a%2Fb", "/session/x/token", "/logs", "/tag/a/b"]
        {
            assert!(owns(own), "{own}");
        }
        for other in [
            "/",
            "/session/x/",
            "/session/x/signal",
            "/session/x/whep",
            "/session/x/join",
            "/api/x",
            "/logsx",
        ] {
            assert!(!owns(other), "{other}");
        }
    }
}
