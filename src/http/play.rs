//! The Sessions API: `/api/game/launch|session-status|keepalive|stop|sessions` (contract B-1 to B-5), and
//! `/api/game/first-frame`, by which a page reports that it sees the game.

use super::HttpState;
use super::caller::{Caller, UserCaller};
use super::context::Context;
use super::error::ApiError;
use super::input::{Body, Params, check_slug};
use super::openapi::ApiProblem;
use crate::model::ids::{SessionId, SlotId};
use crate::model::session::Status;
use crate::render::{figures, millis, quality, save, seconds};
use crate::session::service::LaunchRequest;
use crate::session::view::SessionView;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The same for every session a caller may not see (B7).
pub(super) const NO_SESSION: &str = "Session not found.";
/// The same for every slot a caller may not use (B6).
pub(super) const NO_SLOT: &str = "Save slot not found.";

pub(super) fn routes() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new()
        .routes(routes!(launch))
        .routes(routes!(status))
        .routes(routes!(keepalive))
        .routes(routes!(stop))
        .routes(routes!(sessions))
        .routes(routes!(first_frame))
}

/// Launch a game
///
/// The answer is immediate; poll the status until it runs.
#[utoipa::path(
    post, path = "/api/game/launch", operation_id = "launch", tag = "Sessions API",
    request_body(content = Value, description = "`gameSlug`, and at most one of `saveSlotId` and `fresh`.", example = json!({ "gameSlug": "ember" })),
    responses(
        (status = 202, description = "It is starting.", body = Value, example = json!({ "sessionId": "5f0c2a4e-8b1d-4c53-9c69-6a1c52f3a7d1", "status": "starting" })),
        (status = 400, description = "Not a request.", body = ApiProblem),
        (status = 404, description = "No such game or slot.", body = ApiProblem),
        (status = 409, description = "You have an active session.", body = ApiProblem),
        (status = 429, description = "Too many launches: come back after `Retry-After` seconds.", body = ApiProblem),
        (status = 503, description = "No server has room (`no_servers`), or the database takes nothing at the moment (`unavailable`): come back after `Retry-After` seconds.", body = ApiProblem),
    ),
)]
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

/// Status of a session
///
/// Poll every two seconds. `save` is null until the session has ended, then as in the answer to a stop. `sourceFaults`
/// names what is wrong with the video of an external source.
#[utoipa::path(
    get, path = "/api/game/session-status", operation_id = "session-status", tag = "Sessions API",
    params(("sessionId" = String, Query)),
    responses(
        (status = 200, description = "The session.", body = Value, example = json!({ "sessionId": "5f0c2a4e-8b1d-4c53-9c69-6a1c52f3a7d1", "status": "running", "serverUrl": "https://play.example.org", "containerUrl": "https://play.example.org/session/5f0c2a4e-8b1d-4c53-9c69-6a1c52f3a7d1/", "gameSlug": "ember", "gameTitle": "Ember", "startedAt": "2026-01-16T07:51:49Z", "expiresAt": "2026-01-16T08:21:49Z", "timeline": { "requested": "2026-01-16T07:51:49.120Z" }, "progress": null, "sourceFaults": [], "endReason": null, "endDetail": null, "save": null, "viewers": 1, "quality": { "timeToFirstFrameMs": 330, "watchedMs": 60000, "frozenMs": 0, "meanKbps": 1500, "lossPercent": 0.1, "roundTripMs": 20, "transport": "udp", "viewersMost": 1, "inputs": 250 } })),
        (status = 400, description = "Not a request.", body = ApiProblem),
        (status = 404, description = "No such session of yours.", body = ApiProblem),
    ),
)]
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
    let faults: Vec<Value> = session
        .source_faults
        .iter()
        .map(|fault| json!({ "code": fault.code(), "message": fault.to_string() }))
        .collect();
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
        "sourceFaults": faults,
        "endReason": session.end_reason,
        "endDetail": session.end_detail,
        "save": save(session.save.as_ref()),
        "viewers": session.viewers,
        "quality": quality(&session.quality),
    })
}

/// Keep a session
///
/// Extends the idle timeout.
#[utoipa::path(
    post, path = "/api/game/keepalive", operation_id = "keepalive", tag = "Sessions API",
    request_body(content = Value, example = json!({ "sessionId": "5f0c2a4e-8b1d-4c53-9c69-6a1c52f3a7d1" })),
    responses(
        (status = 200, description = "Kept.", body = Value, example = json!({ "status": "ok", "expiresAt": "2026-01-16T08:21:49Z" })),
        (status = 400, description = "Not a request.", body = ApiProblem),
        (status = 404, description = "No such session of yours.", body = ApiProblem),
    ),
)]
async fn keepalive(
    State(state): State<HttpState>,
    Caller(who): Caller,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let id: SessionId = body.id("sessionId", NO_SESSION)?;
    let expires_at = state.core.keepalive(&who, id).await?;
    Ok(Json(json!({ "status": "ok", "expiresAt": seconds(expires_at) })))
}

/// Stop a session
///
/// Saves, ends, and tells the figures. Stopping again gives the same answer, with what has become of the save since. `save.status`
/// is `stored` (a new version), `unchanged` (nothing new to store), `pending` (it could not be stored yet and is tried again) or
/// `refused` (it can never be stored: too large, too many files). `save.reason` says why, or what of the save is not kept, in
/// words for the player. `save` is null where a session has no slot.
#[utoipa::path(
    post, path = "/api/game/stop", operation_id = "stop", tag = "Sessions API",
    request_body(content = Value, example = json!({ "sessionId": "5f0c2a4e-8b1d-4c53-9c69-6a1c52f3a7d1" })),
    responses(
        (status = 200, description = "Stopped.", body = Value, example = json!({ "status": "stopped", "duration": 3600, "cpuSeconds": 450.2, "peakMemoryMb": 1024, "networkRxBytes": 10, "networkTxBytes": 20, "exitCode": 0, "outOfMemory": false, "playersSeen": 1, "save": { "status": "stored", "reason": null }, "quality": { "timeToFirstFrameMs": 330, "watchedMs": 3600000, "frozenMs": 120, "meanKbps": 1500, "lossPercent": 0.1, "roundTripMs": 20, "transport": "udp", "viewersMost": 2, "inputs": 25000 } })),
        (status = 400, description = "Not a request.", body = ApiProblem),
        (status = 404, description = "No such session of yours.", body = ApiProblem),
        (status = 503, description = "The game has ended, but its end could not be recorded yet: ask again after `Retry-After` seconds.", body = ApiProblem),
    ),
)]
async fn stop(
    State(state): State<HttpState>,
    Caller(who): Caller,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let id: SessionId = body.id("sessionId", NO_SESSION)?;
    let report = state.core.stop(&who, id).await?;
    let mut answer = figures(&report);
    answer["status"] = json!("stopped");
    Ok(Json(answer))
}

/// Your active session
#[utoipa::path(
    get, path = "/api/game/sessions", operation_id = "sessions", tag = "Sessions API",
    responses(
        (status = 200, description = "One or none.", body = Value, example = json!({ "sessions": [{ "sessionId": "5f0c2a4e-8b1d-4c53-9c69-6a1c52f3a7d1", "gameSlug": "ember", "gameTitle": "Ember", "status": "running", "startedAt": "2026-01-16T07:51:49Z" }] })),
    ),
)]
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

/// Report the first decoded frame
///
/// For the timeline: a page tells that its player sees the game.
#[utoipa::path(
    post, path = "/api/game/first-frame", operation_id = "first-frame", tag = "Sessions API",
    request_body(content = Value, example = json!({ "sessionId": "5f0c2a4e-8b1d-4c53-9c69-6a1c52f3a7d1" })),
    responses(
        (status = 204, description = "Noted."),
        (status = 400, description = "Not a request.", body = ApiProblem),
        (status = 404, description = "No such session of yours.", body = ApiProblem),
    ),
)]
async fn first_frame(
    State(state): State<HttpState>,
    Caller(who): Caller,
    body: Body,
) -> Result<StatusCode, ApiError> {
    let id: SessionId = body.id("sessionId", NO_SESSION)?;
    state.core.first_decoded_frame(&who, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
