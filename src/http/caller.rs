//! Extractors: who a request comes from, by `Authorization: Bearer` first, else by the cookie.
//!
//! A cookie is sent by the browser whoever asks for it, so a request that changes something or opens a WebSocket is
//! believed by cookie only when it comes from a page of our own (no cross-site forgery). A bearer token needs no such
//! check: no foreign site can make a browser send one. A wrong bearer token never falls back to a good cookie.

use super::context::Context;
use super::error::ApiError;
use crate::auth::{Auth, Credential, Principal, TokenError, User, cookie};
use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, Method, header};
use time::OffsetDateTime;

/// A verified caller.
#[derive(Debug, Clone)]
pub struct Authenticated {
    pub principal: Principal,
    pub expires_at: OffsetDateTime,
    /// For what outlives the request: it must end when the token lapses.
    pub credential: Credential,
}

/// Anybody with a good token. `Option<Caller>` is `None` without usable credentials (a cookie sent across sites or
/// out of date counts as none, a wrong bearer token is still refused).
#[derive(Debug, Clone)]
pub struct Caller(pub Principal);

impl Caller {
    /// 403 for everybody else; `what`, in the plural, is in the refusal.
    pub fn must_be_operator(&self, what: &str) -> Result<(), ApiError> {
        match self.0 {
            Principal::Operator => Ok(()),
            Principal::User(_) | Principal::Grant(_) | Principal::Organisation(_) => {
                Err(ApiError::forbidden(format!("{what} are for operators.")))
            }
        }
    }
}

/// A signed-in user; grants and operators are refused with 403.
#[derive(Debug, Clone)]
pub struct UserCaller(pub User);

enum Refusal {
    /// No token at all.
    None,
    Cookie(ApiError),
    Bearer(ApiError),
}

impl Refusal {
    fn into_error(self) -> ApiError {
        match self {
            Self::None => ApiError::unauthorized(),
            Self::Cookie(error) | Self::Bearer(error) => error,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Authenticated {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        authenticate(parts).await.map_err(Refusal::into_error)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Authenticated {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, ApiError> {
        match authenticate(parts).await {
            Ok(found) => Ok(Some(found)),
            Err(Refusal::Bearer(error)) => Err(error),
            Err(Refusal::Cookie(error)) if error.is_internal() => Err(error),
            Err(Refusal::None | Refusal::Cookie(_)) => Ok(None),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        authenticate(parts).await.map(|found| Self(found.principal)).map_err(Refusal::into_error)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, ApiError> {
        let found = <Authenticated as OptionalFromRequestParts<S>>::from_request_parts(parts, state).await?;
        Ok(found.map(|found| Self(found.principal)))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for UserCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Self::of(authenticate(parts).await.map_err(Refusal::into_error)?.principal)
    }
}

impl UserCaller {
    /// The user a principal is; others are refused with 403.
    pub fn of(principal: Principal) -> Result<Self, ApiError> {
        match principal {
            Principal::User(user) => Ok(Self(user)),
            Principal::Grant(_) => {
                Err(ApiError::forbidden("An invitation is for its one session only. Sign in for this."))
            }
            Principal::Operator => {
                Err(ApiError::forbidden("An operator's token owns no sessions. Sign in as a user."))
            }
            Principal::Organisation(_) => {
                Err(ApiError::forbidden("An organisation's token is for the Session API. Sign in as a user."))
            }
        }
    }
}

/// Who opens a signaling connection by the token of its first message, with the headers its upgrade came with.
pub async fn signaling_token_caller(
    token: &str,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Option<Authenticated> {
    let (auth, context) = (extensions.get::<Auth>()?, extensions.get::<Context>()?);
    verify(auth, token, context, headers).await.ok()
}

/// Who opens a signaling connection. Its cookie counts only from a page of our own, whatever the method.
pub async fn signaling_caller(headers: &HeaderMap, extensions: &Extensions) -> Option<Authenticated> {
    identify(headers, extensions, true).await.ok()
}

async fn authenticate(parts: &Parts) -> Result<Authenticated, Refusal> {
    identify(&parts.headers, &parts.extensions, needs_own_page(&parts.method, &parts.headers)).await
}

async fn identify(
    headers: &HeaderMap,
    extensions: &Extensions,
    own_page_only: bool,
) -> Result<Authenticated, Refusal> {
    let (Some(auth), Some(context)) = (extensions.get::<Auth>(), extensions.get::<Context>()) else {
        return Err(Refusal::Bearer(ApiError::internal("a route is served without its context")));
    };
    if headers.contains_key(header::AUTHORIZATION) {
        let token = bearer(headers).ok_or_else(|| Refusal::Bearer(ApiError::unauthorized()))?;
        return verify(auth, token, context, headers).await.map_err(Refusal::Bearer);
    }
    let Some(token) = cookie::read(headers, context.https) else {
        return Err(Refusal::None);
    };
    if own_page_only && !context.from_own_page(headers) {
        return Err(Refusal::Cookie(ApiError::cross_site()));
    }
    verify(auth, token, context, headers).await.map_err(Refusal::Cookie)
}

async fn verify(
    auth: &Auth,
    token: &str,
    context: &Context,
    headers: &HeaderMap,
) -> Result<Authenticated, ApiError> {
    match auth.verify(token).await {
        Ok(verified) if !may_come_from(&verified.principal, context, headers) => {
            tracing::debug!("a grant was refused to a page of another site than it is for");
            Err(ApiError::unauthorized())
        }
        Ok(verified) => Ok(Authenticated {
            principal: verified.principal,
            expires_at: verified.expires_at,
            credential: Credential::new(auth.clone(), token, verified.good_until),
        }),
        Err(TokenError::Ledger(error)) => Err(ApiError::internal(&error)),
        Err(error) => {
            tracing::debug!(%error, "a token was refused");
            Err(ApiError::unauthorized())
        }
    }
}

/// A grant for certain web sites is good on their pages, on our own, and where no page sends an `Origin`: a player that is
/// no browser may hold it too, because it could write any `Origin` it likes.
fn may_come_from(who: &Principal, context: &Context, headers: &HeaderMap) -> bool {
    match who {
        Principal::Grant(grant) => grant.origins.is_empty() || context.from_page_of(&grant.origins, headers),
        Principal::User(_) | Principal::Operator | Principal::Organisation(_) => true,
    }
}

/// The one bearer token of the request (RFC 6750, section 2.1; the scheme's case does not matter).
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn needs_own_page(method: &Method, headers: &HeaderMap) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) || headers.contains_key(header::UPGRADE)
}
