//! What pages of other sites may call, with the token of a grant or of an embed (never by cookie: no answer here allows
//! credentials). Which sites a token is for is checked with the token, at every request, by the `Origin` that browsers send;
//! so every page may read the answer, and one it was refused can tell why.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Below `/session/{id}/`, beside WHEP, which answers for itself.
const OF_A_SESSION: [&str; 1] = ["thumbnail.jpg"];
const OF_THE_API: [&str; 5] = [
    "/api/embed/visit",
    "/api/game/session-status",
    "/api/game/keepalive",
    "/api/game/stop",
    "/api/game/first-frame",
];
const SDK: &str = "/embed.";
const SDK_VERSIONS: &str = "/embed/v/";

pub(super) async fn layer(request: Request, next: Next) -> Response {
    if !is_reachable(request.uri().path()) || !request.headers().contains_key(header::ORIGIN) {
        return next.run(request).await;
    }
    if *request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
    {
        let mut answer = StatusCode::NO_CONTENT.into_response();
        let headers = answer.headers_mut();
        set(headers, header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST");
        set(headers, header::ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type");
        set(headers, header::ACCESS_CONTROL_MAX_AGE, "86400");
        set(headers, header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
        return answer;
    }
    let mut answer = next.run(request).await;
    set(answer.headers_mut(), header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    set(answer.headers_mut(), header::ACCESS_CONTROL_EXPOSE_HEADERS, "Date, ETag, Retry-After");
    answer
}

fn set(headers: &mut HeaderMap, name: header::HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}

fn is_reachable(path: &str) -> bool {
    let of_a_session = path
        .strip_prefix("/session/")
        .and_then(|rest| rest.split_once('/'))
        .is_some_and(|(_, what)| OF_A_SESSION.contains(&what));
    of_a_session || OF_THE_API.contains(&path) || path.starts_with(SDK) || path.starts_with(SDK_VERSIONS)
}

#[cfg(test)]
mod tests {
    use super::is_reachable;

    #[test]
    fn other_sites_reach_what_a_grant_is_for_and_nothing_else() {
        for path in ["/api/game/stop", "/session/x/thumbnail.jpg", "/embed.js", "/embed/v/1/embed.js"] {
            assert!(is_reachable(path), "{path}");
        }
        for path in ["/api/game/launch", "/api/embeds", "/api/game/share", "/session/x/", "/embed/x", "/"] {
            assert!(!is_reachable(path), "{path}");
        }
    }
}
