//! Who calls the Session API: an organisation, by the bearer token alone. A cookie says nothing here, so no page can be made
//! to call it.

use super::error::SessionApiError;
use crate::auth::{Authenticated, Principal};
use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;

/// The organisation's name. Everything else, good tokens of others too, is 401.
pub(super) struct Organisation(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Organisation {
    type Rejection = SessionApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, SessionApiError> {
        if !parts.headers.contains_key(header::AUTHORIZATION) {
            return Err(SessionApiError::unauthorized());
        }
        match <Authenticated as FromRequestParts<S>>::from_request_parts(parts, state).await?.principal {
            Principal::Organisation(name) => Ok(Self(name)),
            Principal::User(_) | Principal::Grant(_) | Principal::Operator => {
                Err(SessionApiError::unauthorized())
            }
        }
    }
}
