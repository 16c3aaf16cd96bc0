//! `GET /session` (G-2), `GET` and `DELETE /session/{id}` (G-3, G-4).
//!
//! `/session/{id}` is the caller's id here and ours on the player's page, `/session/{id}/`. A browser that lost the slash
//! is sent to its page: it has no token in a header, wants HTML, and names an id of ours.

use super::caller::Organisation;
use super::error::{ErrorResponse, SessionApiError};
use super::json::rendered;
use super::query::{Params, filter};
use super::segments::Segments;
use super::view::{DescribedSession, SessionListEntry};
use crate::http::{Context, HttpState};
use crate::model::ids::SessionId;
use crate::session::hosted::HostedView;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// The same for every session a caller may not see.
pub(super) const NO_SESSION: &str = "There is no session with this id.";

/// The sessions that were asked for, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionListOk {
    sessions: Vec<SessionListEntry>,
}

/// List sessions
///
/// Yours alone, and without `all` only those that are running. Filters are ANDed; nothing found is an empty list.
#[utoipa::path(
    get, path = "/session", operation_id = "session-list", tag = "Session API",
    params(
        ("all" = Option<bool>, Query, description = "Whatever their status, not only `running`."),
        ("location" = Option<String>, Query, description = "A location or a region."),
        ("image" = Option<String>, Query),
        ("tag" = Option<String>, Query),
        ("host" = Option<String>, Query, description = "IPv4 address of the machine."),
        ("playerCount" = Option<PlayerCount>, Query, style = DeepObject, explode,
            description = "Strictly fewer (`playerCount[lt]=8`) or more (`playerCount[gt]=0`) players."),
        ("filter" = Option<std::collections::BTreeMap<String, String>>, Query, style = DeepObject, explode,
            description = "Your labels: `filter[mode]=ranked`."),
        ("filterNot" = Option<std::collections::BTreeMap<String, String>>, Query, style = DeepObject, explode,
            description = "Labels that must not be so."),
    ),
    responses(
        (status = 200, description = "The sessions.", body = SessionListOk),
        (status = 401, description = "No organisation's token.", body = ErrorResponse),
        (status = 422, description = "The request is not valid.", body = ErrorResponse),
    ),
    security(("api-token" = []))
)]
pub(super) async fn list(
    State(state): State<HttpState>,
    Organisation(name): Organisation,
    context: Context,
    params: Params,
) -> Result<Response, SessionApiError> {
    let views = state.hosted.list(&name, &filter(params)?).await?;
    rendered(views.iter().map(bytes_of).sum(), move || {
        let sessions = views.iter().map(|view| SessionListEntry::new(view, &context)).collect();
        SessionListOk { sessions }
    })
    .await
}

/// About how much callers' text a session shows.
fn bytes_of(view: &HostedView) -> usize {
    let texts = view.hosted.env.iter().chain(&view.hosted.labels).chain(&view.hosted.image_labels);
    texts.map(|(name, value)| name.len() + value.len()).sum::<usize>() + view.external_id.len()
}

/// Bounds of the number of players.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "only its schema is used: query strings are read by hand")]
pub(in crate::http) struct PlayerCount {
    lt: Option<i64>,
    gt: Option<i64>,
}

/// Describe a session
///
/// Also after its end, until its container is removed.
#[utoipa::path(
    get, path = "/session/{id}", operation_id = "describe-session", tag = "Session API",
    params(("id" = String, Path, description = "The id it was started with, percent-encoded.")),
    responses(
        (status = 200, description = "The session.", body = DescribedSession),
        (status = 401, description = "No organisation's token.", body = ErrorResponse),
        (status = 404, description = "No such session of yours.", body = ErrorResponse),
    ),
    security(("api-token" = []))
)]
pub(super) async fn describe(
    State(state): State<HttpState>,
    Organisation(name): Organisation,
    context: Context,
    segments: Segments,
) -> Result<Response, SessionApiError> {
    let id = segments.get(1, NO_SESSION)?;
    let (view, players) = state.hosted.describe(&name, &id).await?;
    let bytes = bytes_of(&view) + players.iter().map(String::len).sum::<usize>();
    rendered(bytes, move || DescribedSession::new(&view, players, &context)).await
}

/// Stop a session
///
/// Answers once the stop has begun: SIGTERM, and SIGKILL after a grace period.
#[utoipa::path(
    delete, path = "/session/{id}", operation_id = "session-stop", tag = "Session API",
    params(("id" = String, Path, description = "The id it was started with, percent-encoded.")),
    responses(
        (status = 204, description = "It is being stopped."),
        (status = 401, description = "No organisation's token.", body = ErrorResponse),
        (status = 404, description = "No such session of yours.", body = ErrorResponse),
        (status = 409, description = "It has ended, or is being stopped.", body = ErrorResponse),
    ),
    security(("api-token" = []))
)]
pub(super) async fn stop(
    State(state): State<HttpState>,
    Organisation(name): Organisation,
    segments: Segments,
) -> Result<StatusCode, SessionApiError> {
    let id = segments.get(1, NO_SESSION)?;
    state.hosted.terminate(&name, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Relative links of the page, and the WebSocket beside it, need the slash.
pub(super) async fn page_or_api(request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if reads && is_browser(request.headers()) {
        let id = request.uri().path().strip_prefix("/session/").and_then(|id| id.parse::<SessionId>().ok());
        if let Some(id) = id {
            return Redirect::permanent(&format!("/session/{id}/")).into_response();
        }
    }
    next.run(request).await
}

fn is_browser(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let html = accepts
        .flat_map(|value| value.split(','))
        .any(|kind| kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/html")));
    html && !headers.contains_key(header::AUTHORIZATION)
}
