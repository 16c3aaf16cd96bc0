//! Who calls the Session API: an organisation, by the bearer token alone. A cookie says nothing here, so no page can be made
//! to call it.

use super::error::SessionApiError;
use crate::auth::{Credential, Principal, Validity};
use crate::http::caller::Authenticated;
use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;

/// The organisation's name. Everything else, good tokens of others too, is 401.
pub(super) struct Organisation(pub(super) String);

/// The organisation, and how long its token is good: for answers that go on after the request.
pub(super) struct StreamTo {
    pub(super) organisation: String,
    pub(super) validity: Validity,
}

impl<S: Send + Sync> FromRequestParts<S> for Organisation {
    type Rejection = SessionApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, SessionApiError> {
        Ok(Self(organisation(parts).await?.0))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for StreamTo {
    type Rejection = SessionApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, SessionApiError> {
        let (organisation, credential) = organisation(parts).await?;
        Ok(Self { organisation, validity: credential.watch() })
    }
}

async fn organisation(parts: &mut Parts) -> Result<(String, Credential), SessionApiError> {
    if !parts.headers.contains_key(header::AUTHORIZATION) {
        return Err(SessionApiError::unauthorized());
    }
    let found = <Authenticated as FromRequestParts<()>>::from_request_parts(parts, &()).await?;
    match found.principal {
        Principal::Organisation(name) => Ok((name, found.credential)),
        Principal::User(_) | Principal::Grant(_) | Principal::Operator => {
            Err(SessionApiError::unauthorized())
        }
    }
}
