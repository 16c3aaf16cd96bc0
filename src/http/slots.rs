//! `/api/game/save-slots`: a user's three slots of a game, and the versions kept in each.

use super::HttpState;
use super::caller::{Authenticated, UserCaller};
use super::error::ApiError;
use super::input::{Params, check_slug};
use super::lapse::broken_by;
use super::openapi::ApiProblem;
use super::play::NO_SLOT;
use crate::auth::Validity;
use crate::model::ids::{SlotId, VersionId};
use crate::render::seconds;
use crate::session::view::{SaveDownload, VersionView};
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::{Value, json};
use std::io;
use tokio::io::AsyncReadExt;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const NO_VERSION: &str = "Save version not found.";
/// Of a download, read and sent at once.
const CHUNK_BYTES: usize = 64 * 1024;

pub(super) fn routes() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(empty))
        .routes(routes!(versions, upload))
        .routes(routes!(restore))
        .routes(routes!(download))
}

/// The three slots of a game
#[utoipa::path(
    get, path = "/api/game/save-slots", operation_id = "save-slots", tag = "Saves",
    params(("gameSlug" = String, Query)),
    responses(
        (status = 200, description = "The slots.", body = Value, example = json!({ "slots": [{ "id": "5f0c2a4e-8b1d-4c53-9c69-6a1c52f3a7d1", "slot": 1, "empty": false, "inUse": false, "updatedAt": "2026-01-16T07:51:49Z", "versionId": "5f0c2a4e-8b1d-4c53-9c69-6a1c52f3a7d1", "bytes": 4096 }] })),
        (status = 400, description = "Not a request.", body = ApiProblem),
        (status = 404, description = "No such game.", body = ApiProblem),
    ),
)]
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

/// Empty a slot
#[utoipa::path(
    delete, path = "/api/game/save-slots/{id}", operation_id = "empty-save-slot", tag = "Saves",
    params(("id" = String, Path)),
    responses(
        (status = 204, description = "Emptied."),
        (status = 404, description = "No such slot of yours.", body = ApiProblem),
        (status = 409, description = "A session runs on it.", body = ApiProblem),
    ),
)]
async fn empty(
    State(state): State<HttpState>,
    UserCaller(user): UserCaller,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let id = slot(&id)?;
    state.core.delete_slot(&user.id, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The kept versions of a slot
///
/// The newest first.
#[utoipa::path(
    get, path = "/api/game/save-slots/{id}/versions", operation_id = "save-versions", tag = "Saves",
    params(("id" = String, Path)),
    responses(
        (status = 200, description = "The versions.", body = Value, example = json!({ "versions": [{ "id": "5f0c2a4e-8b1d-4c53-9c69-6a1c52f3a7d1", "number": 2, "createdAt": "2026-01-16T07:51:49Z", "bytes": 4096, "sha256": "9f86d0...", "current": true }] })),
        (status = 404, description = "No such slot of yours.", body = ApiProblem),
    ),
)]
async fn versions(
    State(state): State<HttpState>,
    UserCaller(user): UserCaller,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let versions = state.core.save_versions(&user.id, slot(&id)?).await?;
    let versions: Vec<Value> = versions.iter().map(version_body).collect();
    Ok(Json(json!({ "versions": versions })))
}

/// Make a version the newest
#[utoipa::path(
    post, path = "/api/game/save-slots/{id}/versions/{version}/restore", operation_id = "restore-save-version", tag = "Saves",
    params(("id" = String, Path), ("version" = String, Path)),
    responses(
        (status = 200, description = "The new version.", body = Value, example = json!({ "id": "5f0c2a4e-8b1d-4c53-9c69-6a1c52f3a7d1", "number": 3, "createdAt": "2026-01-16T07:51:49Z", "bytes": 4096, "sha256": "9f86d0...", "current": true })),
        (status = 404, description = "No such slot or version of yours.", body = ApiProblem),
        (status = 409, description = "A session runs on it.", body = ApiProblem),
    ),
)]
async fn restore(
    State(state): State<HttpState>,
    UserCaller(user): UserCaller,
    Path((id, wanted)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let made = state.core.restore_version(&user.id, slot(&id)?, version(&wanted)?).await?;
    Ok(Json(version_body(&made)))
}

/// Download a version
#[utoipa::path(
    get, path = "/api/game/save-slots/{id}/versions/{version}", operation_id = "download-save-version", tag = "Saves",
    params(("id" = String, Path), ("version" = String, Path)),
    responses(
        (status = 200, description = "A `tar.gz`.", body = Vec<u8>, content_type = "application/gzip"),
        (status = 404, description = "No such slot or version of yours.", body = ApiProblem),
    ),
)]
async fn download(
    State(state): State<HttpState>,
    caller: Authenticated,
    Path((id, wanted)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let UserCaller(user) = UserCaller::of(caller.principal)?;
    let download = state.core.download_version(&user.id, slot(&id)?, version(&wanted)?).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/gzip".to_owned()),
        (header::CONTENT_LENGTH, download.bytes.to_string()),
        // A name is made of a slug and numbers: nothing to escape.
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", download.name)),
    ];
    Ok((headers, body_of(download, caller.credential.watch())).into_response())
}

// The archive's bytes as the body; no JSON, and not bound by the limit on JSON bodies.
/// Bring in a save as the newest version
#[utoipa::path(
    put, path = "/api/game/save-slots/{id}/versions", operation_id = "upload-save-version", tag = "Saves",
    params(("id" = String, Path)),
    request_body(content = Vec<u8>, content_type = "application/gzip", description = "A `tar.gz`."),
    responses(
        (status = 201, description = "The new version.", body = Value, example = json!({ "id": "5f0c2a4e-8b1d-4c53-9c69-6a1c52f3a7d1", "number": 3, "createdAt": "2026-01-16T07:51:49Z", "bytes": 4096, "sha256": "9f86d0...", "current": true })),
        (status = 400, description = "No usable archive.", body = ApiProblem),
        (status = 404, description = "No such slot of yours.", body = ApiProblem),
        (status = 409, description = "A session runs on it.", body = ApiProblem),
    ),
)]
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

fn body_of(download: SaveDownload, validity: Validity) -> Body {
    let file = tokio::fs::File::from_std(download.file).take(download.bytes);
    let bytes = futures_util::stream::try_unfold(file, |mut file| async move {
        let mut chunk = vec![0; CHUNK_BYTES];
        let read = file.read(&mut chunk).await?;
        chunk.truncate(read);
        Ok::<_, io::Error>((read > 0).then(|| (Bytes::from(chunk), file)))
    });
    Body::from_stream(broken_by(bytes.boxed(), validity))
}

fn slot(id: &str) -> Result<SlotId, ApiError> {
    id.parse().map_err(|_| ApiError::not_found(NO_SLOT))
}

fn version(id: &str) -> Result<VersionId, ApiError> {
    id.parse().map_err(|_| ApiError::not_found(NO_VERSION))
}
