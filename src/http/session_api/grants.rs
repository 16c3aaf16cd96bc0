//! `POST /session/{id}/token`, beside the contract: a token for one viewer of one session (design, decision 10). The
//! organisation's own token never goes to a player.

use super::caller::Organisation;
use super::error::{ErrorResponse, SessionApiError};
use super::form::{Form, JsonBody};
use super::segments::Segments;
use super::sessions::NO_SESSION;
use crate::http::context::web_origin;
use crate::http::limits::{MAX_NAME_BYTES, ORIGINS};
use crate::http::share::{DEFAULT_SECONDS, LIFE, invitation};
use crate::http::{Context, HttpState};
use crate::render::seconds;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use playgate_signaling::message::Role;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

/// Who may do what, where and how long.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct GrantRequest {
    #[schema(value_type = String, example = "player")]
    role: Role,
    /// Web sites whose pages may use the token, besides the session's own page; at most 16. None: any.
    #[schema(max_items = 16, example = json!(["https://play.example.org"]))]
    origins: Option<Vec<String>>,
    /// Seconds, 60 to 604800. Absent: a day.
    #[schema(minimum = 60, maximum = 604_800, example = 3600)]
    expires_in: Option<u64>,
}

/// A grant, its token told this once.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct GrantOk {
    grant_id: String,
    /// The session's page, with the token in its fragment.
    url: String,
    token: String,
    #[schema(value_type = String, example = "player")]
    role: Role,
    origins: Vec<String>,
    /// ISO 8601, UTC.
    #[schema(example = "2026-01-16T07:51:49Z")]
    expires_at: String,
}

/// Let somebody watch or play
///
/// For sessions with a picture. The token is good for this session alone.
#[utoipa::path(
    post, path = "/session/{id}/token", operation_id = "grant-session", tag = "Session API",
    params(("id" = String, Path, description = "The id it was started with, percent-encoded.")),
    request_body = GrantRequest,
    responses(
        (status = 201, description = "The grant.", body = GrantOk),
        (status = 401, description = "No organisation's token.", body = ErrorResponse),
        (status = 404, description = "No such session of yours.", body = ErrorResponse),
        (status = 422, description = "The request is not valid.", body = ErrorResponse),
    ),
    security(("api-token" = []))
)]
pub(super) async fn grant(
    State(state): State<HttpState>,
    Organisation(name): Organisation,
    context: Context,
    segments: Segments,
    body: JsonBody,
) -> Result<(StatusCode, Json<GrantOk>), SessionApiError> {
    let request = body.read(GrantRequest::read).await?;
    let id = segments.get(1, NO_SESSION)?;
    let expires_in = Duration::from_secs(request.expires_in.unwrap_or(DEFAULT_SECONDS));
    let origins = request.origins.unwrap_or_default();
    let grant = state.hosted.grant(&name, &id, request.role, origins, expires_in).await?;
    let invitation = invitation(&state.auth, &context, &grant).map_err(SessionApiError::internal)?;
    let answer = GrantOk {
        grant_id: grant.id.to_string(),
        url: invitation.url,
        token: invitation.token,
        role: grant.role,
        origins: grant.origins,
        expires_at: seconds(grant.expires_at),
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

impl GrantRequest {
    pub(super) fn read(mut form: Form) -> Result<Self, SessionApiError> {
        let role = match form.required_text("role", 1..=MAX_NAME_BYTES).as_str() {
            "player" => Some(Role::Player),
            "spectator" => Some(Role::Spectator),
            // Absent, empty or of another type: said already.
            "" => None,
            _ => {
                form.refuse("role", "must be 'player' or 'spectator'.");
                None
            }
        };
        let origins = form.texts(&ORIGINS, 1).map(|sent| {
            let site = |(index, text): (usize, &String)| {
                let site = web_origin(text);
                if site.is_none() {
                    let text = "must be a web site like https://play.example.org, without a path.";
                    form.refuse(&format!("origins[{index}]"), text);
                }
                site
            };
            sent.iter().enumerate().filter_map(site).collect()
        });
        let expires_in = form.whole("expiresIn", LIFE);
        form.finish()?;
        // Without a role the form was refused.
        Ok(Self { role: role.unwrap_or(Role::Spectator), origins, expires_in })
    }
}
