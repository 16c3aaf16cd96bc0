//! What fuzzing sees of the Session API's forms. Called by `crate::fuzz` only.

use super::form::Form;
use super::query::{Params, filter};
use super::start::SessionRun;
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts};
use axum::http::Request;
use futures_util::FutureExt;

/// The body of a start.
pub(crate) fn start(data: &[u8]) {
    let request = Request::new(Body::from(data.to_vec()));
    // A body in memory is there at once.
    if let Some(Ok(form)) = Form::from_request(request, &()).now_or_never() {
        let _ = SessionRun::read(form).and_then(SessionRun::into_request);
    }
}

/// The query of a list.
pub(crate) fn query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(request) = Request::get(format!("/session?{text}")).body(()) else { return };
    let (mut parts, ()) = request.into_parts();
    if let Some(Ok(params)) = Params::from_request_parts(&mut parts, &()).now_or_never() {
        let _ = filter(params);
    }
}
