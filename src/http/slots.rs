//! `/api/game/save-slots`: a user's three slots of a game, and the versions kept in each.

use super::HttpState;
use super::error::ApiError;
use super::input::{Params, check_slug};
use super::play::NO_SLOT;
use super::render::seconds;
use crate::auth::UserCaller;
use crate::ids::{SlotId, VersionId};
use crate::session::view::{SaveDownload, VersionView};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::{Value, json};
use std::io;
use tokio::io::AsyncReadExt;

const NO_VERSION: &str = "Save version not found.";
/// Of a download, read and sent at once.
const CHUNK_BYTES: usize = 64 * 1024;

pub(super) fn routes() -> Router<HttpState> {
    Router::new()
        .route("/api/game/save-slots", get(list))
        .route("/api/game/save-slots/{id}", delete(empty))
        .route("/api/game/save-slots/{id}/versions", get(versions).put(upload))
        .route("/api/game/save-slots/{id}/versions/{version}", get(download))
        .route("/api/game/save-slots/{id}/versions/{version}/restore", post(restore))
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
    let id = slot(&id)?;
    state.core.delete_slot(&user.id, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn versions(
    State(state): State<HttpState>,
    UserCaller(user): UserCaller,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let versions = state.core.save_versions(&user.id, slot(&id)?).await?;
    let versions: Vec<Value> = versions.iter().map(version_body).collect();
    Ok(Json(json!({ "versions": versions })))
}

async fn restore(
    State(state): State<HttpState>,
    UserCaller(user): UserCaller,
    Path((id, wanted)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let made = state.core.restore_version(&user.id, slot(&id)?, version(&wanted)?).await?;
    Ok(Json(version_body(&made)))
}

async fn download(
    State(state): State<HttpState>,
    UserCaller(user): UserCaller,
    Path((id, wanted)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let download = state.core.download_version(&user.id, slot(&id)?, version(&wanted)?).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/gzip".to_owned()),
        (header::CONTENT_LENGTH, download.bytes.to_string()),
        // A name is made of a slug and numbers: nothing to escape.
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", download.name)),
    ];
    Ok((headers, body_of(download)).into_response())
}

/// The archive's bytes as the body; no JSON, and not bound by the limit on JSON bodies.
async fn upload(
    State(state): State<HttpState>,
    UserCaller(user): UserCaller,
    Path(id): Path<String>,
    body: Body,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let stream = body.into_data_stream().map(|chunk| chunk.map_err(io::Error::other)).boxed();
    let made = state.core.upload_version(&user.id, slot(&id)?, stream).await?;
    Ok((StatusCode::CREATED, Json(version_body(&made))))
}

fn version_body(version: &VersionView) -> Value {
    let sha256: String = version.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({
        "id": version.id,
        "number": version.number,
        "createdAt": seconds(version.created_at),
        "bytes": version.bytes,
        "sha256": sha256,
        "current": version.current,
    })
}

fn body_of(download: SaveDownload) -> Body {
    let file = tokio::fs::File::from_std(download.file).take(download.bytes);
    Body::from_stream(futures_util::stream::try_unfold(file, |mut file| async move {
        let mut chunk = vec![0; CHUNK_BYTES];
        let read = file.read(&mut chunk).await?;
        chunk.truncate(read);
        Ok::<_, io::Error>((read > 0).then(|| (Bytes::from(chunk), file)))
    }))
}

fn slot(id: &str) -> Result<SlotId, ApiError> {
    id.parse().map_err(|_| ApiError::not_found(NO_SLOT))
}

fn version(id: &str) -> Result<VersionId, ApiError> {
    id.parse().map_err(|_| ApiError::not_found(NO_VERSION))
}
