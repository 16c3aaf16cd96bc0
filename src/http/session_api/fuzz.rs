//! What fuzzing sees of the Session API's bodies, queries and paths. Called by `crate::fuzz` only.

use super::form::Form;
use super::grants::GrantRequest;
use super::players::{JoinSession, LeaveSession};
use super::query::{Params, filter};
use super::segments::Segments;
use super::start;
use axum::extract::FromRequestParts;
use axum::http::Request;
use axum::http::request::Parts;
use futures_util::FutureExt;

/// Every body.
pub(crate) fn bodies(data: &[u8]) {
    let form = || Form::parse(data);
    if let Ok((request, _)) = form().and_then(start::read) {
        assert!(request.env.len() <= 1000 && request.args.len() <= 1000 && request.labels.len() <= 256);
    }
    if let Ok(request) = form().and_then(JoinSession::read) {
        assert!(request.players.len() <= 1000);
    }
    let _ = form().and_then(LeaveSession::read);
    let _ = form().and_then(GrantRequest::read);
}

/// The query of a list.
pub(crate) fn query(data: &[u8]) {
    let Some(mut parts) = parts(data, "/session?") else { return };
    if let Some(Ok(params)) = Params::from_request_parts(&mut parts, &()).now_or_never()
        && let Ok(filter) = filter(params)
    {
        assert!(filter.labels.len() <= 64 && filter.not_labels.len() <= 64);
    }
}

/// The parts of a path.
pub(crate) fn path(data: &[u8]) {
    let Some(mut parts) = parts(data, "/tag/") else { return };
    if let Some(Ok(segments)) = Segments::from_request_parts(&mut parts, &()).now_or_never() {
        for index in 0..4 {
            let _ = segments.get(index, "unknown");
        }
    }
}

fn parts(data: &[u8], before: &str) -> Option<Parts> {
    let text = std::str::from_utf8(data).ok()?;
    let (parts, ()) = Request::get(format!("{before}{text}")).body(()).ok()?.into_parts();
    Some(parts)
}
