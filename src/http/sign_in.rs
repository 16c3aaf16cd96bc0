//! `/api/auth/*`: guests, tokens and one-time codes turned into the cookie; who is signed in; sign-out.
//!
//! Public, and therefore refused when another site's page sent them: nobody shall sign a person in or out behind
//! their back.

use super::HttpState;
use super::caller::Authenticated;
use super::context::Context;
use super::error::ApiError;
use super::input::Body;
use super::openapi::ApiProblem;
use crate::auth::code::CodeError;
use crate::auth::{Principal, TokenError, User, cookie};
use crate::render::seconds;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new()
        .routes(routes!(providers))
        .routes(routes!(guest))
        .routes(routes!(code))
        .routes(routes!(token))
        .routes(routes!(session))
        .routes(routes!(sign_out))
        .routes(routes!(csrf))
}

/// How to get in here
#[utoipa::path(
    get, path = "/api/auth/providers", operation_id = "providers", tag = "Signing in",
    responses(
        (status = 200, description = "The ways.", body = Value, example = json!({ "guest": true, "signInUrl": null, "code": false })),
    ),
    security(())
)]
async fn providers(State(state): State<HttpState>) -> Json<Value> {
    Json(json!({
        "guest": state.access.guest,
        "signInUrl": state.sign_in_url,
        "code": state.codes.is_some(),
    }))
}

/// Sign in as a guest
///
/// Sets the cookie too.
#[utoipa::path(
    post, path = "/api/auth/guest", operation_id = "guest", tag = "Signing in",
    responses(
        (status = 201, description = "Signed in.", body = Value, example = json!({ "token": "...", "expiresAt": "2026-02-15T07:51:49Z", "user": { "id": "guest-1", "name": "Quiet Otter" } })),
        (status = 403, description = "No guests here, or a foreign page asked.", body = ApiProblem),
    ),
    security(())
)]
async fn guest(
    State(state): State<HttpState>,
    context: Context,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    own_page_or_no_browser(&context, &headers)?;
    if !state.access.guest {
        return Err(ApiError::forbidden("Guests cannot sign in here."));
    }
    signed_in_as_guest(&state, &context)
}

/// Sign in by the one-time code of `--lan`
///
/// Sets the cookie too.
#[utoipa::path(
    post, path = "/api/auth/code", operation_id = "code", tag = "Signing in",
    request_body(content = Value, example = json!({ "code": "ABCD-EFGH" })),
    responses(
        (status = 201, description = "Signed in.", body = Value, example = json!({ "token": "...", "expiresAt": "2026-02-15T07:51:49Z", "user": { "id": "guest-1", "name": "Quiet Otter" } })),
        (status = 401, description = "A wrong or used code.", body = ApiProblem),
        (status = 404, description = "No codes here.", body = ApiProblem),
        (status = 429, description = "Too many wrong codes.", body = ApiProblem),
    ),
    security(())
)]
async fn code(
    State(state): State<HttpState>,
    context: Context,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    own_page_or_no_browser(&context, &headers)?;
    let codes =
        state.codes.as_ref().ok_or_else(|| ApiError::not_found("There are no sign-in codes here."))?;
    let guess = body.required_text("code")?;
    match codes.redeem(Instant::now(), context.client, guess) {
        Ok(()) => signed_in_as_guest(&state, &context),
        Err(error @ (CodeError::Wrong | CodeError::Expired)) => {
            Err(ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", error.to_string()))
        }
        Err(error @ CodeError::TooMany) => {
            let refusal = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", error.to_string());
            Err(refusal.retry_after(Duration::from_secs(60)))
        }
    }
}

/// Sign in with a user's token
///
/// Sets the cookie.
#[utoipa::path(
    post, path = "/api/auth/signin", operation_id = "signin", tag = "Signing in",
    request_body(content = Value, example = json!({ "token": "..." })),
    responses(
        (status = 201, description = "Signed in.", body = Value, example = json!({ "token": "...", "expiresAt": "2026-02-15T07:51:49Z", "user": { "id": "ada", "name": "Ada" } })),
        (status = 400, description = "Not a user's token.", body = ApiProblem),
        (status = 401, description = "The token is not valid.", body = ApiProblem),
    ),
    security(())
)]
async fn token(
    State(state): State<HttpState>,
    context: Context,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    own_page_or_no_browser(&context, &headers)?;
    let token = body.required_text("token")?;
    let verified = match state.auth.verify(token).await {
        Ok(verified) => verified,
        Err(TokenError::Ledger(error)) => return Err(ApiError::internal(error)),
        Err(TokenError::Refused { expired: true }) => {
            let message = "This sign-in link has expired. Ask for a new one.";
            return Err(ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", message));
        }
        Err(error) => {
            tracing::debug!(%error, "a sign-in was refused");
            let message = "This sign-in link is not valid.";
            return Err(ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", message));
        }
    };
    let Principal::User(user) = &verified.principal else {
        return Err(ApiError::invalid(
            "This token does not sign in a user: it is an invitation, an organisation's or an operator's.",
        ));
    };
    signed_in(&context, token, user, verified.expires_at)
}

/// Who is signed in
#[utoipa::path(
    get, path = "/api/auth/session", operation_id = "auth-session", tag = "Signing in",
    responses(
        (status = 200, description = "The user, or an empty object.", body = Value, example = json!({ "user": { "id": "ada", "name": "Ada", "email": null, "image": null }, "expires": "2026-02-15T07:51:49Z" })),
    ),
    security(())
)]
async fn session(found: Option<Authenticated>) -> Json<Value> {
    let Some(Authenticated { principal: Principal::User(user), expires_at, .. }) = found else {
        return Json(json!({}));
    };
    let user = json!({ "id": user.id, "name": user.name, "email": null, "image": null });
    Json(json!({ "user": user, "expires": seconds(expires_at) }))
}

/// Sign out
///
/// Removes the cookie.
#[utoipa::path(
    post, path = "/api/auth/signout", operation_id = "signout", tag = "Signing in",
    responses(
        (status = 204, description = "Signed out."),
        (status = 403, description = "A foreign page asked.", body = ApiProblem),
    ),
    security(())
)]
async fn sign_out(context: Context, headers: HeaderMap) -> Result<Response, ApiError> {
    own_page_or_no_browser(&context, &headers)?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    append_cookie(&mut response, cookie::clear(context.https));
    Ok(response)
}

// For clients that expect one. Nothing here asks for it back: requests are judged by where they come from.
/// A token some clients expect
///
/// Nothing here asks for it back.
#[utoipa::path(
    get, path = "/api/auth/csrf", operation_id = "csrf", tag = "Signing in",
    responses(
        (status = 200, description = "Any.", body = Value, example = json!({ "csrfToken": "5f0c2a4e8b1d4c539c696a1c52f3a7d1" })),
    ),
    security(())
)]
async fn csrf() -> Json<Value> {
    Json(json!({ "csrfToken": uuid::Uuid::new_v4().simple().to_string() }))
}

fn own_page_or_no_browser(context: &Context, headers: &HeaderMap) -> Result<(), ApiError> {
    if context.from_foreign_page(headers) { Err(ApiError::cross_site()) } else { Ok(()) }
}

fn signed_in_as_guest(state: &HttpState, context: &Context) -> Result<Response, ApiError> {
    let minted = state.auth.mint_guest().map_err(ApiError::internal)?;
    let user = minted.user.as_ref().ok_or_else(|| ApiError::internal("a guest without a user"))?;
    signed_in(context, &minted.token, user, minted.expires_at)
}

fn signed_in(
    context: &Context,
    token: &str,
    user: &User,
    expires_at: OffsetDateTime,
) -> Result<Response, ApiError> {
    let answer = json!({
        "token": token,
        "expiresAt": seconds(expires_at),
        "user": { "id": user.id, "name": user.name },
    });
    let mut response = (StatusCode::CREATED, Json(answer)).into_response();
    append_cookie(&mut response, cookie::set(token, expires_at, context.https));
    Ok(response)
}

fn append_cookie(response: &mut Response, cookie: Option<HeaderValue>) {
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}
