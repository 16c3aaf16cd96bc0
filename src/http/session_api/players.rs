//! `PUT /session/player/join` (G-5) and `DELETE /session/player/leave` (G-6). Both are idempotent (rule 18).

use super::caller::Organisation;
use super::error::{ErrorResponse, SessionApiError};
use super::form::{Form, JsonBody};
use super::json::json_response;
use crate::http::HttpState;
use crate::http::limits::{MAX_ID_BYTES, PLAYERS};
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use std::collections::HashSet;
use utoipa::ToSchema;

/// Players who join a session.
#[derive(Debug, ToSchema)]
pub(super) struct JoinSession {
    #[schema(example = "f7965a22-e327-4541-a30e-8262890d3a29")]
    session: String,
    /// At most 1000 in one request and 10000 in one session, each of at most 256 bytes.
    #[schema(max_items = 1000, example = json!(["ada", "bob"]))]
    pub(super) players: Vec<String>,
}

/// Players who leave a session.
#[derive(Debug, ToSchema)]
pub(super) struct LeaveSession {
    /// Absent: the one session of yours that all of these players are in.
    session: Option<String>,
    /// At most 1000, each of at most 256 bytes.
    #[schema(max_items = 1000, example = json!(["bob"]))]
    players: Vec<String>,
}

/// After a join.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JoinSessionOk {
    /// In the session now.
    count: u64,
    // G20.
    /// All who are in it.
    players: Vec<String>,
}

/// After a leave.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LeaveSessionOk {
    /// In the session now.
    count: u64,
    // G20.
    /// Who were named, each once.
    players: Vec<String>,
}

/// Let players join
///
/// Registers them; who is there already stays.
#[utoipa::path(
    put, path = "/session/player/join", operation_id = "join-session", tag = "Session API",
    request_body = JoinSession,
    responses(
        (status = 200, description = "They are registered.", body = JoinSessionOk),
        (status = 401, description = "No organisation's token.", body = ErrorResponse),
        (status = 404, description = "No such session of yours.", body = ErrorResponse),
        (status = 422, description = "The request is not valid.", body = ErrorResponse),
    ),
    security(("api-token" = []))
)]
pub(super) async fn join(
    State(state): State<HttpState>,
    Organisation(name): Organisation,
    body: JsonBody,
) -> Result<Response, SessionApiError> {
    let request = body.read(JoinSession::read).await?;
    let players = state.hosted.join(&name, &request.session, &request.players).await?;
    let bytes = players.iter().map(String::len).sum();
    let answer = JoinSessionOk { count: u64::try_from(players.len()).unwrap_or(u64::MAX), players };
    json_response(bytes, answer).await
}

impl JoinSession {
    pub(super) fn read(mut form: Form) -> Result<Self, SessionApiError> {
        let session = form.required_text("session", 0..=MAX_ID_BYTES);
        let players = form.required_texts(&PLAYERS);
        form.finish()?;
        Ok(Self { session, players })
    }
}

impl LeaveSession {
    pub(super) fn read(mut form: Form) -> Result<Self, SessionApiError> {
        let session = form.text("session", 0..=MAX_ID_BYTES);
        let players = form.required_texts(&PLAYERS);
        form.finish()?;
        Ok(Self { session, players })
    }
}

/// Let players leave
///
/// Removes them; who is not there is no error.
#[utoipa::path(
    delete, path = "/session/player/leave", operation_id = "leave-session", tag = "Session API",
    request_body = LeaveSession,
    responses(
        (status = 200, description = "They are removed.", body = LeaveSessionOk),
        (status = 401, description = "No organisation's token.", body = ErrorResponse),
        (status = 404, description = "No such session of yours; or without `session`, none or several have the players.",
            body = ErrorResponse),
        (status = 422, description = "The request is not valid.", body = ErrorResponse),
    ),
    security(("api-token" = []))
)]
pub(super) async fn leave(
    State(state): State<HttpState>,
    Organisation(name): Organisation,
    body: JsonBody,
) -> Result<Json<LeaveSessionOk>, SessionApiError> {
    let request = body.read(LeaveSession::read).await?;
    let count = state.hosted.leave(&name, request.session.as_deref(), &request.players).await?;
    let mut seen = HashSet::new();
    let players = request.players.iter().filter(|player| seen.insert(player.as_str())).cloned().collect();
    Ok(Json(LeaveSessionOk { count, players }))
}
