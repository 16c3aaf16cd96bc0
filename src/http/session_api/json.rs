//! Answers that hold what callers sent: written off the async workers when they are large.

use super::error::SessionApiError;
use crate::http::offload::offload;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// 200 with `answer` as JSON, which is about so many bytes of callers' text.
pub(super) async fn json_response(
    bytes: usize,
    answer: impl Serialize + Send + 'static,
) -> Result<Response, SessionApiError> {
    rendered(bytes, move || answer).await
}

/// The same for an answer that takes work to put together.
pub(super) async fn rendered<T: Serialize>(
    bytes: usize,
    answer: impl FnOnce() -> T + Send + 'static,
) -> Result<Response, SessionApiError> {
    let written = offload(bytes, move || serde_json::to_vec(&answer())).await;
    let body = written.map_err(SessionApiError::internal)?.map_err(SessionApiError::internal)?;
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response())
}
