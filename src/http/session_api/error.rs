//! The one error of the Session API: ErrorResponse, all seven fields always (contract 2.1, G19).
//!
//! What a handler knows is [`SessionApiError`]; path, identifier and time of the request are added by [`complete`], which
//! sees every answer on these paths, so that also what no handler of ours refused (no route, wrong method, a body too
//! large, out of time) is an ErrorResponse.

use crate::http::ApiError;
use crate::render::seconds;
use crate::session::ServiceError;
use axum::body::Body;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::fmt::Display;
use std::time::Duration;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// Clients are told to come back after 2 to 5 seconds (rule 5).
const CAPACITY_WAIT: Duration = Duration::from_secs(3);
/// More violations are only counted.
const MAX_VIOLATIONS: usize = 100;
/// Longest name of a field in an answer, in bytes: names of unknown fields are the caller's own text.
const MAX_FIELD_BYTES: usize = 300;

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldViolation {
    /// As in the request: `location`, `env.NAME`, `players[2]`, `playerCount[lt]`.
    pub field: String,
    pub description: String,
}

/// What is wrong with a request, in the order in which it was found.
#[derive(Debug, Default)]
pub(super) struct Violations {
    listed: Vec<FieldViolation>,
    more: usize,
}

impl Violations {
    /// Cheap however many there are: beyond [`MAX_VIOLATIONS`] nothing is copied.
    pub(super) fn add(&mut self, field: &str, description: &str) {
        if self.listed.len() == MAX_VIOLATIONS {
            self.more += 1;
            return;
        }
        let mut field = field.to_owned();
        if field.len() > MAX_FIELD_BYTES {
            field.truncate(field.floor_char_boundary(MAX_FIELD_BYTES));
            field.push_str("...");
        }
        self.listed.push(FieldViolation { field, description: description.to_owned() });
    }

    /// 422 that names each bad field, where there is one.
    pub(super) fn finish(self) -> Result<(), SessionApiError> {
        let Some(first) = self.listed.first() else { return Ok(()) };
        let mut details = format!("'{}' {}", first.field, first.description);
        match self.listed.len() - 1 + self.more {
            0 => {}
            1 => details.push_str(" One more field is not right."),
            others => details.push_str(&format!(" {others} more fields are not right.")),
        }
        Err(SessionApiError { violations: self.listed, ..SessionApiError::invalid(details) })
    }
}

/// Every answer of the Session API from 400 on.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorResponse {
    #[schema(example = 404)]
    status_code: u16,
    /// `INVALID_REQUEST`, `UNAUTHORIZED`, `RESOURCE_NOT_FOUND`, `CONFLICT`, `CAPACITY_UNAVAILABLE` or `INTERNAL_ERROR`.
    #[schema(example = "RESOURCE_NOT_FOUND")]
    code: String,
    /// The same for every error of this code.
    #[schema(example = "The requested resource does not exist.")]
    message: String,
    /// What it was here.
    #[schema(example = "There is no session with this id.")]
    details: String,
    /// Of the request, as it was sent.
    #[schema(example = "/session/f7965a22-e327-4541-a30e-8262890d3a29")]
    path: String,
    /// Names the request in this gateway's log; also in the header `X-Request-Id`.
    #[schema(example = "5a21e5a3-1f0e-4b52-9f57-6f7b24d7e4aa")]
    identifier: String,
    /// ISO 8601, UTC.
    #[schema(example = "2026-01-16T07:51:49Z")]
    timestamp: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    violations: Vec<FieldViolation>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    InvalidRequest,
    Unauthorized,
    NotFound,
    Conflict,
    Capacity,
    Internal,
}

impl Code {
    fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "INVALID_REQUEST",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::NotFound => "RESOURCE_NOT_FOUND",
            Self::Conflict => "CONFLICT",
            Self::Capacity => "CAPACITY_UNAVAILABLE",
            Self::Internal => "INTERNAL_ERROR",
        }
    }

    fn message(self) -> &'static str {
        match self {
            Self::InvalidRequest => "The request is not valid.",
            Self::Unauthorized => "You are not authorized.",
            Self::NotFound => "The requested resource does not exist.",
            Self::Conflict => "The request conflicts with the session's state.",
            Self::Capacity => "The session cannot be started now. Please try again later.",
            Self::Internal => "Something went wrong here. Please try again.",
        }
    }
}

/// What a handler refuses, and why.
#[derive(Debug, Clone)]
pub struct SessionApiError {
    status: StatusCode,
    code: Code,
    details: String,
    violations: Vec<FieldViolation>,
    /// Whole seconds.
    retry_after: Option<u64>,
    /// For the log alone.
    reason: Option<String>,
}

impl SessionApiError {
    fn new(status: StatusCode, code: Code, details: impl Into<String>) -> Self {
        Self {
            status,
            code,
            details: details.into(),
            violations: Vec::new(),
            retry_after: None,
            reason: None,
        }
    }

    /// 422, except where the contract says 400 (G5).
    pub(super) fn invalid(details: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, Code::InvalidRequest, details)
    }

    /// 422 for one bad field.
    pub(super) fn violation(field: &str, description: &str) -> Self {
        let violations =
            vec![FieldViolation { field: field.to_owned(), description: description.to_owned() }];
        Self { violations, ..Self::invalid(format!("'{field}' {description}")) }
    }

    /// 401. One text for every reason: a stranger learns nothing of why.
    pub(super) fn unauthorized() -> Self {
        let details = "Send an organisation's API token: 'Authorization: Bearer <token>'.";
        Self::new(StatusCode::UNAUTHORIZED, Code::Unauthorized, details)
    }

    pub(super) fn not_found(details: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, Code::NotFound, details)
    }

    /// 500; the reason goes to the log, under the request's identifier.
    pub(super) fn internal(reason: impl Display) -> Self {
        let details = "The identifier of this answer names the request in the gateway's log.";
        let error = Self::new(StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, details);
        Self { reason: Some(reason.to_string()), ..error }
    }

    /// 404 of a path that no operation has.
    pub(in crate::http) fn no_endpoint() -> Self {
        Self::not_found("There is no such endpoint.")
    }

    /// 405; `Allow` is added by the router.
    pub(in crate::http) fn wrong_method(method: &Method) -> Self {
        let details = format!("This endpoint does not take {method}.");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, Code::InvalidRequest, details)
    }

    /// A request whose host cannot be served.
    pub(in crate::http) fn bad_host(status: StatusCode, details: &str) -> Self {
        Self::new(status, Code::InvalidRequest, details)
    }

    /// Out of time. A start goes on: to the caller that is the contract's "cannot be started currently" (rule 5).
    pub(in crate::http) fn timeout(is_start: bool) -> Self {
        let details = "This took too long. Please try again.";
        if is_start {
            Self::capacity(details.to_owned())
        } else {
            Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::Internal, details)
        }
    }

    fn capacity(details: String) -> Self {
        // No registered status: the contract's own (G6).
        let status = StatusCode::from_u16(420).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        Self::new(status, Code::Capacity, details).retry_after(CAPACITY_WAIT)
    }

    /// At least one second, rounded up.
    fn retry_after(mut self, wait: Duration) -> Self {
        let up = u64::from(wait.subsec_nanos() > 0);
        self.retry_after = Some(wait.as_secs().saturating_add(up).max(1));
        self
    }

    /// As `tag-exists` calls a bad request (G5).
    #[must_use]
    pub(super) fn or_bad_request(mut self) -> Self {
        if self.status == StatusCode::UNPROCESSABLE_ENTITY {
            self.status = StatusCode::BAD_REQUEST;
        }
        self
    }

    /// What answered with nothing but a status: the framework's own refusals.
    fn of_status(status: StatusCode) -> Self {
        let details = status.canonical_reason().unwrap_or("The request was refused.");
        let code = match status {
            StatusCode::UNAUTHORIZED => Code::Unauthorized,
            StatusCode::NOT_FOUND => Code::NotFound,
            StatusCode::CONFLICT => Code::Conflict,
            _ if status.is_server_error() => Code::Internal,
            _ => Code::InvalidRequest,
        };
        Self::new(status, code, details)
    }
}

impl From<ServiceError> for SessionApiError {
    fn from(error: ServiceError) -> Self {
        let details = error.to_string();
        let conflict = |details| Self::new(StatusCode::CONFLICT, Code::Conflict, details);
        match error {
            ServiceError::InvalidRequest(_) | ServiceError::TooLarge { .. } => Self::invalid(details),
            ServiceError::TooManyPlayers { most } => {
                Self::violation("players", &format!("would be more than {most} in this session."))
            }
            ServiceError::NotFound(_) => Self::not_found(details),
            ServiceError::IdUsed | ServiceError::Terminated => conflict(details),
            ServiceError::NoServers | ServiceError::StartFailed(_) | ServiceError::Unavailable(_) => {
                Self::capacity(details)
            }
            ServiceError::RateLimited { retry_after } => {
                let details = "Too many sessions were started in a short time.".to_owned();
                Self::capacity(details).retry_after(retry_after)
            }
            // Of players' sessions: nothing here asks for what they refuse.
            ServiceError::SessionActive | ServiceError::SlotInUse | ServiceError::NotReady => {
                conflict(details)
            }
            ServiceError::Media(error) => Self::internal(error),
            ServiceError::Internal(source) => Self::internal(format_args!("{source:#}")),
        }
    }
}

impl From<ApiError> for SessionApiError {
    /// Of what both APIs share: who is asking.
    fn from(error: ApiError) -> Self {
        if error.is_internal() {
            Self::internal("the caller could not be verified")
        } else {
            Self::unauthorized()
        }
    }
}

impl IntoResponse for SessionApiError {
    /// Without its body, which [`complete`] writes.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Makes an ErrorResponse of every answer from 400 on, and logs the failures of ours. Others pass as they are.
pub(in crate::http) fn complete(response: Response, method: &Method, path: &str, trace: Uuid) -> Response {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let (mut parts, _) = response.into_parts();
    let error =
        parts.extensions.remove::<SessionApiError>().unwrap_or_else(|| SessionApiError::of_status(status));
    if let Some(reason) = &error.reason {
        tracing::error!(%trace, %reason, "a request of the Session API failed");
    }
    let body = ErrorResponse {
        status_code: status.as_u16(),
        code: error.code.name().to_owned(),
        message: error.code.message().to_owned(),
        details: error.details,
        path: path.to_owned(),
        identifier: trace.to_string(),
        timestamp: seconds(OffsetDateTime::now_utc()),
        violations: error.violations,
    };
    let body = serde_json::to_vec(&body).unwrap_or_default();
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // An answer to HEAD is the same without its body (RFC 9110, section 9.3.2).
    let body = if *method == Method::HEAD { Body::empty() } else { Body::from(body) };
    Response::from_parts(parts, body)
}
