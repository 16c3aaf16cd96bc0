//! `/api/game/save-slots`: a user's three slots of a game.

use super::HttpState;
use super::error::ApiError;
use super::input::{Params, check_slug};
use super::play::NO_SLOT;
use super::render::seconds;
use crate::auth::UserCaller;
use crate::ids::SlotId;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{delete, get};
use axum::{Json, Router};
use serde_json::{Value, json};

pub(super) fn routes() -> Router<HttpState> {
    Router::new().route("/api/game/save-slots", get(list)).route("/api/game/save-slots/{id}", delete(empty))
}

async fn list(
    State(state): State<HttpState>,
    UserCaller(user): UserCaller,
    params: Params,
) -> Result<Json<Value>, ApiError> {
    let slug = params.required("gameSlug")?;
    check_slug(slug)?;
    let slots: Vec<Value> = state
        .core
        .save_slots(&user.id, slug)
        .await?
        .iter()
        .map(|slot| {
            json!({
                "id": slot.id,
                "slot": slot.number,
                "empty": slot.empty,
                "inUse": slot.in_use,
                "updatedAt": slot.updated_at.map(seconds),
                "versionId": slot.latest,
                "bytes": slot.bytes,
            })
        })
        .collect();
    Ok(Json(json!({ "slots": slots })))
}

async fn empty(
    State(state): State<HttpState>,
    UserCaller(user): UserCaller,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let id: SlotId = id.parse().map_err(|_| ApiError::not_found(NO_SLOT))?;
    state.core.delete_slot(&user.id, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
