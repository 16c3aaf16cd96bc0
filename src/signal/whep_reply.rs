//! Answers of the WHEP endpoints: errors, ICE servers as `Link` headers, CORS.
//!
//! Any page may call WHEP, because it must bring a bearer token: no cookies are allowed across origins.

use super::admission::Refusal;
use crate::relay::RelayError;
use crate::session::ServiceError;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use playgate_signaling::message::{ErrorCode, IceServer};
use std::fmt::Write as _;
use std::time::Duration;

/// An error body as everywhere in this project: a code for programs, a sentence for people.
pub(super) fn problem(status: StatusCode, code: &str, message: &str) -> Response {
    let mut response =
        (status, axum::Json(serde_json::json!({"error": code, "message": message}))).into_response();
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// A refusal by the machine, signaling or the core.
pub(super) fn refused(refusal: &Refusal) -> Response {
    let (status, code, retry_after) = match &refusal.source {
        Some(error) => of_service(error),
        None => of_code(refusal.code),
    };
    let mut response = problem(status, code, &refusal.message);
    if let Some(wait) = retry_after {
        retry_after_header(response.headers_mut(), wait);
    }
    response
}

/// The session has no picture yet.
pub(super) fn not_ready() -> Response {
    refused(&Refusal::from(ServiceError::NotReady))
}

/// `Link: <url>; rel="ice-server"` (draft-ietf-wish-whep, RFC 9725 section 4.6), one for each URL.
pub(super) fn link_ice_servers(headers: &mut HeaderMap, servers: &[IceServer]) {
    for server in servers {
        for url in &server.urls {
            let mut link = format!("<{url}>; rel=\"ice-server\"");
            if let (Some(username), Some(credential)) = (&server.username, &server.credential) {
                let _ = write!(
                    link,
                    "; username=\"{username}\"; credential=\"{credential}\"; credential-type=\"password\""
                );
            }
            if let Ok(value) = HeaderValue::try_from(link) {
                headers.append(header::LINK, value);
            }
        }
    }
}

/// Adds CORS headers to every answer of these routes.
pub(super) async fn allow_any_origin(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("Location, Link, ETag, Retry-After, Accept-Post, Accept-Patch"),
    );
    response
}

fn of_service(error: &ServiceError) -> (StatusCode, &'static str, Option<Duration>) {
    let soon = Some(Duration::from_secs(1));
    match error {
        ServiceError::InvalidRequest(_) => (StatusCode::BAD_REQUEST, "invalid_request", None),
        ServiceError::NotFound(_) => (StatusCode::NOT_FOUND, "not_found", None),
        ServiceError::NotReady => (StatusCode::CONFLICT, "not_ready", soon),
        ServiceError::SessionActive => (StatusCode::CONFLICT, "session_active", None),
        ServiceError::SlotInUse => (StatusCode::CONFLICT, "slot_in_use", None),
        ServiceError::RateLimited { retry_after } => {
            (StatusCode::TOO_MANY_REQUESTS, "rate_limited", Some(*retry_after))
        }
        ServiceError::NoServers => (StatusCode::SERVICE_UNAVAILABLE, "no_servers", soon),
        ServiceError::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", soon),
        ServiceError::Media(RelayError::InvalidOffer(_)) => (StatusCode::BAD_REQUEST, "invalid_offer", None),
        ServiceError::Media(RelayError::UnsupportedCodec(_)) => {
            (StatusCode::NOT_ACCEPTABLE, "unsupported_codec", None)
        }
        ServiceError::Media(RelayError::NotFound) => (StatusCode::NOT_FOUND, "not_found", None),
        ServiceError::Media(RelayError::Full | RelayError::Unavailable | RelayError::Bind { .. }) => {
            (StatusCode::SERVICE_UNAVAILABLE, "busy", Some(Duration::from_secs(5)))
        }
        // The Session API's; no viewer meets them.
        ServiceError::IdUsed
        | ServiceError::Terminated
        | ServiceError::StartFailed(_)
        | ServiceError::TooManyPlayers { .. }
        | ServiceError::TooLarge { .. }
        | ServiceError::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal", None),
    }
}

fn of_code(code: ErrorCode) -> (StatusCode, &'static str, Option<Duration>) {
    match code {
        ErrorCode::InvalidMessage | ErrorCode::InvalidOffer => {
            (StatusCode::BAD_REQUEST, "invalid_request", None)
        }
        ErrorCode::UnsupportedCodec => (StatusCode::NOT_ACCEPTABLE, "unsupported_codec", None),
        ErrorCode::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized", None),
        ErrorCode::NotFound | ErrorCode::GrantEnded => (StatusCode::NOT_FOUND, "not_found", None),
        ErrorCode::TooManyMessages => {
            (StatusCode::TOO_MANY_REQUESTS, "rate_limited", Some(Duration::from_secs(2)))
        }
        ErrorCode::Full => (StatusCode::SERVICE_UNAVAILABLE, "busy", Some(Duration::from_secs(5))),
        ErrorCode::Replaced | ErrorCode::MediaEnded | ErrorCode::NotAllowed | ErrorCode::Internal => {
            (StatusCode::INTERNAL_SERVER_ERROR, "internal", None)
        }
    }
}

fn retry_after_header(headers: &mut HeaderMap, wait: Duration) {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
}
