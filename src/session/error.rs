//! What the session core refuses, and why. `http` turns each into the status and body of its API.

use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// 400 `invalid_request`.
    #[error("{0}")]
    InvalidRequest(String),
    /// 404 `not_found`: unknown, and what belongs to somebody else (B6, B7).
    #[error("{0}")]
    NotFound(String),
    /// 409 `session_active` (rule 6).
    #[error("You already have an active session. Stop it before you launch another game.")]
    SessionActive,
    /// 409 `slot_in_use`.
    #[error("This save slot is in use by a running session.")]
    SlotInUse,
    /// 429 `rate_limited` (rule 8).
    #[error("Too many launches. Try again in {} seconds.", retry_after.as_secs().max(1))]
    RateLimited { retry_after: Duration },
    /// 503 `no_servers` (rule 7).
    #[error("No game server has room at the moment. Please try again shortly.")]
    NoServers,
    /// The session has no picture yet: WHEP answers 409 with `Retry-After`.
    #[error("The session is still starting.")]
    NotReady,
    /// The offer, or the viewer's codecs.
    #[error(transparent)]
    Media(#[from] crate::relay::RelayError),
    #[error("internal error")]
    Internal(#[source] anyhow::Error),
}
