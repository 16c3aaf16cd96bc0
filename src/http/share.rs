//! `/api/game/share`: invitations to one session (design, decision 10). The session core makes the grant, the token
//! that carries it is signed here and told once.

use super::HttpState;
use super::caller::Caller;
use super::context::Context;
use super::error::ApiError;
use super::input::{Body, Params};
use super::openapi::ApiProblem;
use super::play::NO_SESSION;
use crate::auth::{Auth, GrantClaims, TokenError};
use crate::model::ids::{GrantId, SessionId};
use crate::render::seconds;
use crate::session::view::GrantView;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// A grant's life, in seconds, where none is asked for: a day.
pub(super) const DEFAULT_SECONDS: u64 = 86_400;
/// A minute to a week.
pub(super) const LIFE: std::ops::RangeInclusive<u64> = 60..=604_800;

pub(super) fn routes() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new().routes(routes!(share, list)).routes(routes!(revoke))
}

/// Invite somebody
///
/// The token is told this once.
#[utoipa::path(
    post, path = "/api/game/share", operation_id = "share", tag = "Sharing",
    request_body(content = Value, description = "`role` is `player` or `spectator`; `expiresIn` is 60 to 604800 seconds, a day where absent.", example = json!({ "sessionId": "5f0c2a4e-8b1d-4c53-9c69-6a1c52f3a7d1", "role": "spectator", "expiresIn": 3600 })),
    responses(
        (status = 201, description = "The invitation.", body = Value, example = json!({ "grantId": "5f0c2a4e-8b1d-4c53-9c69-6a1c52f3a7d1", "url": "https://play.example.org/session/5f0c2a4e-8b1d-4c53-9c69-6a1c52f3a7d1/#token=...", "token": "...", "role": "spectator", "expiresAt": "2026-01-16T08:51:49Z" })),
        (status = 400, description = "Not a request.", body = ApiProblem),
        (status = 404, description = "No such session of yours.", body = ApiProblem),
    ),
)]
async fn share(
    State(state): State<HttpState>,
    Caller(who): Caller,
    context: Context,
    body: Body,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let role = body.role("role")?;
    let expires_in = body.whole("expiresIn", LIFE)?.unwrap_or(DEFAULT_SECONDS);
    let id: SessionId = body.id("sessionId", NO_SESSION)?;
    let grant = state.core.share(&who, id, role, Vec::new(), Duration::from_secs(expires_in)).await?;
    let invitation = invitation(&state.auth, &context, &grant).map_err(ApiError::internal)?;
    let answer = json!({
        "grantId": grant.id,
        "url": invitation.url,
        "token": invitation.token,
        "role": grant.role,
        "expiresAt": seconds(grant.expires_at),
    });
    Ok((StatusCode::CREATED, Json(answer)))
}

/// A grant as it is handed over. Both are secrets.
pub(super) struct Invitation {
    pub(super) token: String,
    /// The session's page; the token is in the fragment, which no server and no log ever sees.
    pub(super) url: String,
}

/// Signs a grant's token.
pub(super) fn invitation(
    auth: &Auth,
    context: &Context,
    grant: &GrantView,
) -> Result<Invitation, TokenError> {
    let token = sign(auth, grant)?;
    let url = format!("{}/session/{}/#token={token}", context.base, grant.session);
    Ok(Invitation { token, url })
}

/// The token that carries a grant.
pub(super) fn sign(auth: &Auth, grant: &GrantView) -> Result<String, TokenError> {
    auth.mint_grant(&GrantClaims {
        grant: grant.id,
        session: grant.session,
        role: grant.role,
        origins: grant.origins.clone(),
        expires_at: grant.expires_at.unix_timestamp(),
    })
}

/// The invitations to a session
///
/// Without their tokens.
#[utoipa::path(
    get, path = "/api/game/share", operation_id = "invitations", tag = "Sharing",
    params(("sessionId" = String, Query)),
    responses(
        (status = 200, description = "The invitations.", body = Value, example = json!({ "grants": [{ "grantId": "5f0c2a4e-8b1d-4c53-9c69-6a1c52f3a7d1", "role": "spectator", "createdAt": "2026-01-16T07:51:49Z", "expiresAt": "2026-01-16T08:51:49Z", "revoked": false }] })),
        (status = 404, description = "No such session of yours.", body = ApiProblem),
    ),
)]
async fn list(
    State(state): State<HttpState>,
    Caller(who): Caller,
    params: Params,
) -> Result<Json<Value>, ApiError> {
    let id: SessionId = params.id("sessionId", NO_SESSION)?;
    let grants: Vec<Value> = state
        .core
        .grants(&who, id)
        .await?
        .iter()
        .map(|grant| {
            json!({
                "grantId": grant.id,
                "role": grant.role,
                "createdAt": seconds(grant.created_at),
                "expiresAt": seconds(grant.expires_at),
                "revoked": grant.revoked,
            })
        })
        .collect();
    Ok(Json(json!({ "grants": grants })))
}

/// Take an invitation back
///
/// Also ends what is being watched or played by it.
#[utoipa::path(
    delete, path = "/api/game/share/{grant}", operation_id = "revoke-invitation", tag = "Sharing",
    params(("grant" = String, Path)),
    responses(
        (status = 204, description = "Taken back."),
        (status = 404, description = "No such invitation of yours.", body = ApiProblem),
    ),
)]
async fn revoke(
    State(state): State<HttpState>,
    Caller(who): Caller,
    Path(grant): Path<String>,
) -> Result<StatusCode, ApiError> {
    let grant: GrantId = grant.parse().map_err(|_| ApiError::not_found("Invitation not found."))?;
    state.core.revoke(&who, grant).await?;
    Ok(StatusCode::NO_CONTENT)
}
