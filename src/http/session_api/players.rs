//! `PUT /session/player/join` (G-5) and `DELETE /session/player/leave` (G-6). Both are idempotent (rule 18).

use super::caller::Organisation;
use super::error::{ErrorResponse, SessionApiError};
use super::form::Form;
use crate::http::HttpState;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::collections::HashSet;
use utoipa::ToSchema;

/// Players who come to a session.
#[derive(Debug, ToSchema)]
pub(super) struct JoinSession {
    #[schema(example = "f7965a22-e327-4541-a30e-8262890d3a29")]
    session: String,
    #[schema(example = json!(["ada", "bob"]))]
    players: Vec<String>,
}

/// Players who go.
#[derive(Debug, ToSchema)]
pub(super) struct LeaveSession {
    /// Absent: the one session of yours that all of these players are in.
    session: Option<String>,
    #[schema(example = json!(["bob"]))]
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
    mut form: Form,
) -> Result<Json<JoinSessionOk>, SessionApiError> {
    let request =
        JoinSession { session: form.required_text("session", 0), players: form.required_texts("players") };
    form.finish()?;
    let players = state.hosted.join(&name, &request.session, &request.players).await?;
    Ok(Json(JoinSessionOk { count: u64::try_from(players.len()).unwrap_or(u64::MAX), players }))
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
    mut form: Form,
) -> Result<Json<LeaveSessionOk>, SessionApiError> {
    let request = LeaveSession { session: form.text("session", 0), players: form.required_texts("players") };
    form.finish()?;
    let count = state.hosted.leave(&name, request.session.as_deref(), &request.players).await?;
    let mut seen = HashSet::new();
    let players = request.players.iter().filter(|player| seen.insert(player.as_str())).cloned().collect();
    Ok(Json(LeaveSessionOk { count, players }))
}
