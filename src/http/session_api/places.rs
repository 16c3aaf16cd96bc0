//! `GET /available-location/{image}` (G-8) and `GET /tag/{region}/{image}/{version}` (G-9).

use super::caller::Organisation;
use super::error::{ErrorResponse, SessionApiError};
use super::segments::Segments;
use crate::http::HttpState;
use crate::session::hosted::LocationView;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

const NO_IMAGE: &str = "There is no such image, or you may not use it.";

/// Where an image can run now.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AvailableLocationsOk {
    locations: Vec<AvailableLocationsEntry>,
}

/// A location.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AvailableLocationsEntry {
    #[schema(example = "frankfurt")]
    id: String,
    /// IPv4 addresses that answer an ICMP ping.
    #[schema(example = json!(["203.0.113.7"]))]
    ips: Vec<String>,
}

/// Whether a tag is there.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TagOk {
    exists: bool,
}

/// Locations that can run an image now
///
/// Ask again each time: the list changes with the load.
#[utoipa::path(
    get, path = "/available-location/{image}", operation_id = "get-available-locations", tag = "Session API",
    params(("image" = String, Path)),
    responses(
        (status = 200, description = "The locations.", body = AvailableLocationsOk),
        (status = 401, description = "No organisation's token.", body = ErrorResponse),
        (status = 404, description = "No such image of yours.", body = ErrorResponse),
    ),
    security(("api-token" = []))
)]
pub(super) async fn locations(
    State(state): State<HttpState>,
    Organisation(name): Organisation,
    segments: Segments,
) -> Result<Json<AvailableLocationsOk>, SessionApiError> {
    let image = segments.get(1, NO_IMAGE)?;
    let found = state.hosted.locations(&name, &image).await?;
    let entry = |LocationView { id, ips }| AvailableLocationsEntry { id, ips };
    Ok(Json(AvailableLocationsOk { locations: found.into_iter().map(entry).collect() }))
}

/// Check whether a tag of an image is there
#[utoipa::path(
    get, path = "/tag/{region}/{image}/{version}", operation_id = "tag-exists", tag = "Session API",
    params(
        ("region" = String, Path),
        ("image" = String, Path),
        ("version" = String, Path, description = "The image's tag."),
    ),
    responses(
        (status = 200, description = "Whether it is.", body = TagOk),
        (status = 400, description = "No such region.", body = ErrorResponse),
        (status = 401, description = "No organisation's token.", body = ErrorResponse),
        (status = 404, description = "No such image of yours.", body = ErrorResponse),
    ),
    security(("api-token" = []))
)]
pub(super) async fn tag(
    State(state): State<HttpState>,
    Organisation(name): Organisation,
    segments: Segments,
) -> Result<Json<TagOk>, SessionApiError> {
    let part = |index| segments.get(index, NO_IMAGE);
    let (region, image, version) = (part(1)?, part(2)?, part(3)?);
    let exists = state.hosted.tag_exists(&name, &region, &image, &version).await;
    Ok(Json(TagOk { exists: exists.map_err(|error| SessionApiError::from(error).or_bad_request())? }))
}
