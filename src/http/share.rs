//! `/api/game/share`: invitations to one session (design, decision 10). The session core makes the grant, the token
//! that carries it is signed here and told once.

use super::HttpState;
use super::context::Context;
use super::error::ApiError;
use super::input::{Body, Params};
use super::play::NO_SESSION;
use super::render::seconds;
use crate::auth::{Caller, GrantClaims};
use crate::ids::{GrantId, SessionId};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{delete, post};
use axum::{Json, Router};
use playgate_signaling::message::Role;
use serde_json::{Value, json};
use std::time::Duration;

const DEFAULT_SECONDS: u64 = 86_400;
const MIN_SECONDS: u64 = 60;
const MAX_SECONDS: u64 = 604_800;

pub(super) fn routes() -> Router<HttpState> {
    Router::new()
        .route("/api/game/share", post(share).get(list))
        .route("/api/game/share/{grant}", delete(revoke))
}

async fn share(
    State(state): State<HttpState>,
    Caller(who): Caller,
    context: Context,
    body: Body,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let role = match body.required_text("role")? {
        "player" => Role::Player,
        "spectator" => Role::Spectator,
        _ => return Err(ApiError::invalid("The 'role' field must be 'player' or 'spectator'.")),
    };
    let expires_in = body.whole("expiresIn", MIN_SECONDS..=MAX_SECONDS)?.unwrap_or(DEFAULT_SECONDS);
    let id: SessionId = body.id("sessionId", NO_SESSION)?;
    let grant = state.core.share(&who, id, role, Vec::new(), Duration::from_secs(expires_in)).await?;
    let claims = GrantClaims {
        grant: grant.id,
        session: grant.session,
        role: grant.role,
        origins: grant.origins.clone(),
        expires_at: grant.expires_at.unix_timestamp(),
    };
    let token = state.auth.mint_grant(&claims).map_err(ApiError::internal)?;
    let answer = json!({
        "grantId": grant.id,
        "url": format!("{}/session/{}/#token={token}", context.base, grant.session),
        "token": token,
        "role": grant.role,
        "expiresAt": seconds(grant.expires_at),
    });
    Ok((StatusCode::CREATED, Json(answer)))
}

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

async fn revoke(
    State(state): State<HttpState>,
    Caller(who): Caller,
    Path(grant): Path<String>,
) -> Result<StatusCode, ApiError> {
    let grant: GrantId = grant.parse().map_err(|_| ApiError::not_found("Invitation not found."))?;
    state.core.revoke(&who, grant).await?;
    Ok(StatusCode::NO_CONTENT)
}
