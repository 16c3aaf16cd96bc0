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
    #[error("Too many at once. Try again in {} seconds.", retry_after.as_secs().max(1))]
    RateLimited { retry_after: Duration },
    /// 503 `no_servers` (rule 7).
    #[error("No game server has room at the moment. Please try again shortly.")]
    NoServers,
    /// The organisation has used this id before (409, rule 1).
    #[error("A session with this id exists already.")]
    IdUsed,
    /// It has ended, or is being ended (409, rule 14).
    #[error("The session has already been terminated.")]
    Terminated,
    /// A sentence for people: a hosted session that did not start (420, rule 5).
    #[error("{0}")]
    StartFailed(String),
    /// A join would make a session's roster too long (422).
    #[error("A session has at most {most} players.")]
    TooManyPlayers { most: u64 },
    /// An artifact above the limit (422, G16).
    #[error("What is there is larger than {} MiB.", limit >> 20)]
    TooLarge { limit: u64 },
    /// 503 `unavailable` with `Retry-After`: the store takes nothing at the moment. A sentence for people.
    #[error("{0}")]
    Unavailable(&'static str),
    /// The session has no picture yet: WHEP answers 409 with `Retry-After`.
    #[error("The session is still starting.")]
    NotReady,
    /// The offer, or the viewer's codecs.
    #[error(transparent)]
    Media(#[from] crate::relay::RelayError),
    #[error("internal error")]
    Internal(#[source] anyhow::Error),
}
