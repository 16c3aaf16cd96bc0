//! `GET /artifacts` (G-7) and `GET /logs` (G-10): bodies that are passed on as they come, so that a slow reader slows their
//! source and costs no memory, until the caller's token lapses.

use super::caller::StreamTo;
use super::error::{ErrorResponse, SessionApiError};
use super::query::Params;
use crate::http::HttpState;
use crate::http::lapse::{broken_by, ended_by};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};

/// Asks a proxy not to collect a stream that somebody follows.
const NO_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Download a file or folder of a stopped session
///
/// A gzip-compressed tar, until the container is removed from its host.
#[utoipa::path(
    get, path = "/artifacts", operation_id = "artifacts", tag = "Session API",
    params(
        ("session" = String, Query, min_length = 1),
        ("path" = String, Query, min_length = 1, description = "An absolute Unix path in the container.",
            example = "/var/log/nginx"),
    ),
    responses(
        (status = 200, description = "A `tar.gz`.", body = Vec<u8>, content_type = "application/x-tar"),
        (status = 401, description = "No organisation's token.", body = ErrorResponse),
        (status = 404, description = "No such session of yours, it still runs, its container is gone, or nothing is at this path.",
            body = ErrorResponse),
        (status = 422, description = "The request is not valid, or what is there is too large.", body = ErrorResponse),
    ),
    security(("api-token" = []))
)]
pub(super) async fn artifacts(
    State(state): State<HttpState>,
    StreamTo { organisation, validity }: StreamTo,
    mut params: Params,
) -> Result<Response, SessionApiError> {
    let (session, path) = (params.required("session"), params.required("path"));
    params.finish()?;
    if !path.starts_with('/') || path.contains('\0') {
        // A session that is not there is told first, as everywhere.
        state.hosted.describe(&organisation, &session).await?;
        return Err(SessionApiError::violation("path", "must be an absolute Unix path."));
    }
    let artifact = state.hosted.artifact(&organisation, &session, &path).await?;
    let mut response = Body::from_stream(broken_by(artifact.bytes, validity)).into_response();
    let headers = response.headers_mut();
    // The contract's type, and no Content-Encoding: with one, clients would unpack it themselves (G15).
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-tar"));
    headers.insert(header::CONTENT_DISPOSITION, attachment(&artifact.name));
    Ok(response)
}

/// Read the output of a session
///
/// Standard output and standard error. With `follow` until the container ends, or your token does.
#[utoipa::path(
    get, path = "/logs", operation_id = "stream-logs", tag = "Session API",
    params(
        ("id" = String, Query, min_length = 1, description = "Of the session."),
        ("follow" = Option<bool>, Query, description = "Stay and send what comes."),
    ),
    responses(
        (status = 200, description = "The output.", body = String, content_type = "text/plain"),
        (status = 401, description = "No organisation's token.", body = ErrorResponse),
        (status = 404, description = "No such session of yours.", body = ErrorResponse),
        (status = 422, description = "The request is not valid.", body = ErrorResponse),
    ),
    security(("api-token" = []))
)]
pub(super) async fn logs(
    State(state): State<HttpState>,
    StreamTo { organisation, validity }: StreamTo,
    mut params: Params,
) -> Result<Response, SessionApiError> {
    let (id, follow) = (params.required("id"), params.flag("follow"));
    params.finish()?;
    let bytes = state.hosted.logs(&organisation, &id, follow).await?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
        (NO_BUFFERING, HeaderValue::from_static("no")),
    ];
    Ok((headers, Body::from_stream(ended_by(bytes, validity))).into_response())
}

/// `Content-Disposition` (RFC 6266): what is not plain ASCII goes into `filename*` (RFC 8187) and is `_` in `filename`.
fn attachment(name: &str) -> HeaderValue {
    let name = if name.ends_with(".tar.gz") { name.to_owned() } else { format!("{name}.tar.gz") };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let ascii: String = name.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    let mut text = format!("attachment; filename=\"{ascii}\"");
    if ascii != name {
        text.push_str("; filename*=UTF-8''");
        for byte in name.bytes() {
            if plain(char::from(byte)) {
                text.push(char::from(byte));
            } else {
                text.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("attachment"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g15_a_file_name_ends_in_tar_gz_and_breaks_no_header() {
        for (name, expected) in [
            ("nginx", "attachment; filename=\"nginx.tar.gz\""),
            ("nginx.tar.gz", "attachment; filename=\"nginx.tar.gz\""),
            ("a\"\r\nb", "attachment; filename=\"a___b.tar.gz\"; filename*=UTF-8''a%22%0D%0Ab.tar.gz"),
            ("ü", "attachment; filename=\"_.tar.gz\"; filename*=UTF-8''%C3%BC.tar.gz"),
        ] {
            assert_eq!(attachment(name), expected);
        }
    }
}
