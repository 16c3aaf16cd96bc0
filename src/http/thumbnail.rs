//! `GET /session/{id}/thumbnail.jpg`: a running session as a still picture, for its owner and for whoever was given a grant.

use super::HttpState;
use super::caller::Caller;
use super::error::ApiError;
use super::openapi::ApiProblem;
use super::pages::{etag, not_modified};
use super::play::NO_SESSION;
use crate::model::ids::SessionId;
use crate::model::session::Status;
use crate::session::ServiceError;
use crate::thumbnail::{LIFE, Refusal};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new().routes(routes!(thumbnail))
}

/// A session's picture
///
/// The newest key frame, at most 640 pixels wide. Made anew every 10 seconds at most, whoever asks.
#[utoipa::path(
    get, path = "/session/{id}/thumbnail.jpg", operation_id = "session-thumbnail", tag = "Sessions API",
    params(("id" = String, Path, description = "The `sessionId` of the Sessions API.")),
    responses(
        (status = 200, description = "A JPEG, with an `ETag`.", body = Vec<u8>, content_type = "image/jpeg"),
        (status = 304, description = "The one you have."),
        (status = 404, description = "No such session of yours.", body = ApiProblem),
        (status = 409, description = "There is no picture: none has come yet, or none can be made of it. Come back after `Retry-After` seconds.", body = ApiProblem),
        (status = 503, description = "Too many pictures are being made, or this one took too long: come back after `Retry-After` seconds.", body = ApiProblem),
    ),
    security(("user-token" = []), ("cookie" = []), ("api-token" = [])),
)]
async fn thumbnail(
    State(state): State<HttpState>,
    caller: Result<Caller, ApiError>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    match picture(&state, caller, &id, &headers).await {
        Ok(response) => response,
        Err(error) => {
            let mut response = error.into_response();
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
    }
}

async fn picture(
    state: &HttpState,
    caller: Result<Caller, ApiError>,
    id: &str,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let Caller(who) = caller?;
    let id: SessionId = id.parse().map_err(|_| ApiError::not_found(NO_SESSION))?;
    match state.core.status(&who, id).await?.status {
        Status::Running => {}
        Status::Starting => return Err(ServiceError::NotReady.into()),
        Status::Stopping | Status::Stopped | Status::Error => return Err(ApiError::not_found(NO_SESSION)),
    }
    let jpeg = state.pictures.get(id).await?;
    let etag = etag(&jpeg);
    let cache = format!("private, max-age={}", LIFE.as_secs());
    let own = [(header::ETAG, etag.clone()), (header::CACHE_CONTROL, cache)];
    if not_modified(headers, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, own).into_response());
    }
    Ok((own, [(header::CONTENT_TYPE, "image/jpeg")], jpeg).into_response())
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let (status, code) = match refusal {
            Refusal::NotYet | Refusal::Codec(_) | Refusal::Unreadable => (StatusCode::CONFLICT, "not_ready"),
            Refusal::Slow | Refusal::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
        };
        Self::new(status, code, refusal.to_string()).retry_after(refusal.retry_after())
    }
}
