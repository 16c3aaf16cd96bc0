//! The one error type of the HTTP surface: status, code and a sentence for people (contract B10).

use crate::relay::RelayError;
use crate::session::ServiceError;
use axum::Json;
use axum::body::Body;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::fmt::Display;
use std::time::Duration;

/// When to come back while the store takes nothing.
const STORE_PAUSE: Duration = Duration::from_secs(5);

/// Rendered as `{"error","message"}`.
#[derive(Debug, Clone)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    retry_after: Option<u64>,
}

impl ApiError {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after: None }
    }

    /// 400 `invalid_request`.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", message)
    }

    /// 401 `unauthorized`. One text for every reason: a stranger learns nothing of why.
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "You must be logged in to access this resource.")
    }

    /// 403 `forbidden`.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// 403 for a request another site's page made a browser send.
    pub fn cross_site() -> Self {
        Self::forbidden("This request did not come from a page of this site.")
    }

    /// 404 `not_found`.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// Of a refusal that a router, an extractor or a limit wrote and that has no words of ours.
    fn of_status(status: StatusCode) -> Self {
        let (code, message) = match status {
            StatusCode::NOT_FOUND => ("not_found", "There is no such thing."),
            StatusCode::METHOD_NOT_ALLOWED => {
                ("method_not_allowed", "This endpoint does not take this method.")
            }
            StatusCode::PAYLOAD_TOO_LARGE => {
                ("too_large", "This request is larger than this endpoint takes.")
            }
            StatusCode::UNSUPPORTED_MEDIA_TYPE => ("unsupported_media_type", "This endpoint takes JSON."),
            StatusCode::REQUEST_TIMEOUT => ("timeout", "This request came too slowly."),
            status if status.is_server_error() => {
                ("unavailable", "This cannot be answered now. Please try again.")
            }
            _ => ("invalid_request", "This request cannot be read."),
        };
        Self::new(status, code, message)
    }

    /// 500; the reason goes to the log and not to the caller.
    pub fn internal(reason: impl Display) -> Self {
        tracing::error!(%reason, "a request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            "Something went wrong here. Please try again.",
        )
    }

    /// Tells when to come back, in whole seconds and at least one.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        let up = u64::from(wait.subsec_nanos() > 0);
        self.retry_after = Some(wait.as_secs().saturating_add(up).max(1));
        self
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }

    pub fn is_internal(&self) -> bool {
        self.status.is_server_error()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = Json(serde_json::json!({ "error": self.code, "message": self.message }));
        let mut response = (self.status, body).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Makes `{"error","message"}` of every answer from 400 on that is not JSON already.
pub(super) fn complete(response: Response, method: &Method) -> Response {
    let status = response.status();
    let is_json = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    if is_json || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (parts, _) = response.into_parts();
    let mut written = ApiError::of_status(status).into_response();
    for (name, value) in &parts.headers {
        if name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
            written.headers_mut().insert(name, value.clone());
        }
    }
    // An answer to HEAD is the same without its body (RFC 9110, section 9.3.2).
    if *method == Method::HEAD { written.map(|_| Body::empty()) } else { written }
}

impl From<ServiceError> for ApiError {
    fn from(error: ServiceError) -> Self {
        let message = error.to_string();
        match error {
            ServiceError::InvalidRequest(_) => Self::invalid(message),
            ServiceError::NotFound(_) => Self::not_found(message),
            ServiceError::SessionActive => Self::new(StatusCode::CONFLICT, "session_active", message),
            ServiceError::SlotInUse => Self::new(StatusCode::CONFLICT, "slot_in_use", message),
            ServiceError::RateLimited { retry_after } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", message).retry_after(retry_after)
            }
            ServiceError::NoServers => Self::new(StatusCode::SERVICE_UNAVAILABLE, "no_servers", message),
            ServiceError::IdUsed => Self::new(StatusCode::CONFLICT, "id_used", message),
            ServiceError::Terminated => Self::new(StatusCode::CONFLICT, "terminated", message),
            ServiceError::StartFailed(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "start_failed", message)
            }
            ServiceError::TooManyPlayers { .. } => Self::invalid(message),
            ServiceError::Unavailable(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message).retry_after(STORE_PAUSE)
            }
            ServiceError::TooLarge { .. } => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message),
            ServiceError::NotReady => {
                Self::new(StatusCode::CONFLICT, "not_ready", message).retry_after(Duration::from_secs(1))
            }
            ServiceError::Media(error) => error.into(),
            ServiceError::Internal(source) => Self::internal(format_args!("{source:#}")),
        }
    }
}

impl From<RelayError> for ApiError {
    fn from(error: RelayError) -> Self {
        let message = error.to_string();
        match error {
            RelayError::NotFound => Self::not_found(message),
            RelayError::InvalidOffer(_) => Self::invalid(message),
            RelayError::UnsupportedCodec(_) => {
                Self::new(StatusCode::NOT_ACCEPTABLE, "unsupported_codec", message)
            }
            RelayError::Full => Self::new(StatusCode::SERVICE_UNAVAILABLE, "session_full", message)
                .retry_after(Duration::from_secs(5)),
            RelayError::Unavailable => Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
                .retry_after(Duration::from_secs(1)),
            RelayError::Bind { .. } => Self::internal(message),
        }
    }
}
