//! The Sessions API: `/api/game/launch|session-status|keepalive|stop|sessions` (contract B-1 to B-5), and
//! `/api/game/first-frame`, by which a page reports that it sees the game.

use super::HttpState;
use super::context::Context;
use super::error::ApiError;
use super::input::{Body, Params, check_slug};
use super::render::{millis, seconds};
use crate::auth::{Caller, UserCaller};
use crate::ids::{SessionId, SlotId};
use crate::session::service::LaunchRequest;
use crate::session::view::{SessionView, Status};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Map, Value, json};

/// The same for every session a caller may not see (B7).
pub(super) const NO_SESSION: &str = "Session not found.";
/// The same for every slot a caller may not use (B6).
pub(super) const NO_SLOT: &str = "Save slot not found.";

pub(super) fn routes() -> Router<HttpState> {
    Router::new()
        .route("/api/game/launch", post(launch))
        .route("/api/game/session-status", get(status))
        .route("/api/game/keepalive", post(keepalive))
        .route("/api/game/stop", post(stop))
        .route("/api/game/sessions", get(sessions))
        .route("/api/game/first-frame", post(first_frame))
}

async fn launch(
    State(state): State<HttpState>,
    UserCaller(user): UserCaller,
    body: Body,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let game_slug = body.required_text("gameSlug")?;
    let save_slot = match body.text("saveSlotId")? {
        None => None,
        Some("") => return Err(ApiError::invalid("The 'saveSlotId' field must not be empty.")),
        Some(id) => Some(id),
    };
    let fresh = body.flag("fresh")?.unwrap_or_default();
    check_slug(game_slug)?;
    if fresh && save_slot.is_some() {
        return Err(ApiError::invalid("Give either 'saveSlotId' or 'fresh', not both."));
    }
    let save_slot =
        save_slot.map(|id| id.parse::<SlotId>().map_err(|_| ApiError::not_found(NO_SLOT))).transpose()?;
    let request = LaunchRequest { game_slug: game_slug.to_owned(), save_slot, fresh };
    let session = state.core.launch(&user.id, request).await?;
    let answer = json!({ "sessionId": session.id, "status": session.status });
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

async fn status(
    State(state): State<HttpState>,
    Caller(who): Caller,
    context: Context,
    params: Params,
) -> Result<Json<Value>, ApiError> {
    let id: SessionId = params.id("sessionId", NO_SESSION)?;
    let session = state.core.status(&who, id).await?;
    Ok(Json(status_body(&session, &context)))
}

fn status_body(session: &SessionView, context: &Context) -> Value {
    let timeline: Map<String, Value> = session
        .timeline
        .iter()
        .filter_map(|(step, at)| Some((json!(step).as_str()?.to_owned(), json!(millis(*at)))))
        .collect();
    let progress = session.progress.as_ref();
    // B9: known from the start, the page only once there is something on it.
    let container_url = match session.status {
        Status::Running => json!(format!("{}/session/{}/", context.base, session.id)),
        Status::Starting | Status::Stopping | Status::Stopped | Status::Error => Value::Null,
    };
    json!({
        "sessionId": session.id,
        "status": session.status,
        "serverUrl": context.base,
        "containerUrl": container_url,
        "gameSlug": session.game_slug,
        "gameTitle": session.game_title,
        "startedAt": seconds(session.started_at),
        "expiresAt": session.expires_at.map(seconds),
        "timeline": timeline,
        "progress": progress.map(|progress| json!({ "step": progress.step, "percent": progress.percent })),
        "endReason": session.end_reason,
        "endDetail": session.end_detail,
        "viewers": session.viewers,
    })
}

async fn keepalive(
    State(state): State<HttpState>,
    Caller(who): Caller,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let id: SessionId = body.id("sessionId", NO_SESSION)?;
    let expires_at = state.core.keepalive(&who, id).await?;
    Ok(Json(json!({ "status": "ok", "expiresAt": seconds(expires_at) })))
}

async fn stop(
    State(state): State<HttpState>,
    Caller(who): Caller,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let id: SessionId = body.id("sessionId", NO_SESSION)?;
    let report = state.core.stop(&who, id).await?;
    Ok(Json(json!({
        "status": "stopped",
        "duration": report.duration,
        "cpuSeconds": report.cpu_seconds,
        "peakMemoryMb": report.peak_memory_mb,
        "networkRxBytes": report.network_rx_bytes,
        "networkTxBytes": report.network_tx_bytes,
        "exitCode": report.exit_code,
        "outOfMemory": report.out_of_memory,
        "playersSeen": report.players_seen,
    })))
}

async fn sessions(
    State(state): State<HttpState>,
    UserCaller(user): UserCaller,
) -> Result<Json<Value>, ApiError> {
    let active = state.core.active(&user.id).await?;
    let sessions: Vec<Value> = active
        .iter()
        .map(|session| {
            json!({
                "sessionId": session.id,
                "gameSlug": session.game_slug,
                "gameTitle": session.game_title,
                "status": session.status,
                "startedAt": seconds(session.started_at),
            })
        })
        .collect();
    Ok(Json(json!({ "sessions": sessions })))
}

async fn first_frame(
    State(state): State<HttpState>,
    Caller(who): Caller,
    body: Body,
) -> Result<StatusCode, ApiError> {
    let id: SessionId = body.id("sessionId", NO_SESSION)?;
    state.core.first_decoded_frame(&who, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
