//! What happens to every request before and after its handler: context, host rule, deadline, headers, counting.

use super::HttpState;
use super::connections::ConnectionMetrics;
use super::context::peer;
use super::error::{self, ApiError};
use super::pages::page;
use super::session_api::{self, SessionApiError};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use std::time::{Duration, Instant};
use tracing::Instrument;
use uuid::Uuid;

/// No answer of ours takes longer: a stop waits for a save and the grace, a launch for the store.
const DEADLINE: Duration = Duration::from_secs(60);
/// But a start of the Session API, which answers when the container runs, and may wait for its image until then.
const START_DEADLINE: Duration = Duration::from_secs(180);

/// The rule of our pages' content, with the sites besides ours that may show the page in a frame.
pub(super) fn security_policy(frame_ancestors: &[String]) -> String {
    let (_, own) = SECURITY[0];
    format!("{own} {}", frame_ancestors.join(" "))
}

const SECURITY: [(HeaderName, &str); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob: mediastream:; \
         connect-src 'self' ws: wss:; style-src 'self'; script-src 'self'; frame-ancestors 'self'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("permissions-policy"),
        "gamepad=(self), fullscreen=(self), autoplay=(self), camera=(), microphone=(), geolocation=()",
    ),
];

/// Which of the three answers a path's refusals are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Surface {
    Page,
    /// `{"error","message"}`.
    SessionsApi,
    /// ErrorResponse.
    SessionApi,
}

impl Surface {
    fn of(path: &str) -> Self {
        if path == "/api" || path.starts_with("/api/") || path == "/metrics" {
            Self::SessionsApi
        } else if session_api::owns(path) {
            Self::SessionApi
        } else {
            Self::Page
        }
    }
}

/// What is kept of a request for its answer.
struct Asked {
    surface: Surface,
    method: Method,
    path: String,
}

/// Counts answers; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct HttpMetrics {
    requests: Family<StatusLabel, Counter>,
    timeouts: Counter,
    refused: Counter,
    connections: ConnectionMetrics,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabel {
    status: u16,
}

impl HttpMetrics {
    pub fn new(registry: &mut Registry) -> Self {
        let own = Self::default();
        registry.register("http_requests", "HTTP requests by status of the answer", own.requests.clone());
        registry.register("http_timeouts", "HTTP requests that ran out of time", own.timeouts.clone());
        registry.register(
            "http_connections_refused",
            "Connections closed because their address had too many",
            own.refused.clone(),
        );
        registry.register(
            "http_connections",
            "Open connections of the public listener",
            own.connections.open.clone(),
        );
        registry.register(
            "http_connections_evicted",
            "Idle connections closed to make room for new ones",
            own.connections.evicted.clone(),
        );
        registry.register(
            "http_connections_full",
            "Connections refused because as many were at work as this process may have files",
            own.connections.refused.clone(),
        );
        own
    }

    pub(super) fn connections(&self) -> ConnectionMetrics {
        self.connections.clone()
    }

    pub(super) fn refused_connections(&self) -> Counter {
        self.refused.clone()
    }
}

/// The outermost layer.
pub(super) async fn around(State(state): State<HttpState>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let path = request.uri().path().to_owned();
    let asked = Asked { surface: Surface::of(&path), method: request.method().clone(), path };
    let Some(context) = state.access.context(peer(request.extensions()), request.uri(), request.headers())
    else {
        return refuse(
            &state,
            &asked,
            Uuid::new_v4(),
            StatusCode::BAD_REQUEST,
            "Bad request",
            "The request names no usable host.",
        );
    };
    if !state.access.serves(&context) {
        let text = "This gateway serves only this machine, by the name localhost. To let others in, start it with \
                    --lan, or with --public-url and a sign-in.";
        let status = StatusCode::MISDIRECTED_REQUEST;
        return refuse(&state, &asked, context.trace, status, "Not served under this name", text);
    }
    // The path without its query: that may hold a token.
    let span = tracing::debug_span!(
        "request", trace = %context.trace, method = %request.method(), path = request.uri().path()
    );
    let trace = context.trace;
    request.extensions_mut().insert(context.clone());
    request.extensions_mut().insert(state.auth.clone());
    async {
        let is_start = session_api::is_start(&asked.method, &asked.path);
        let deadline = if is_start { START_DEADLINE } else { DEADLINE };
        let answer = tokio::time::timeout(deadline, next.run(request)).await;
        let response = answer.unwrap_or_else(|_| {
            state.metrics.timeouts.inc();
            tracing::warn!("a request ran out of time");
            match asked.surface {
                Surface::SessionApi => SessionApiError::timeout(is_start).into_response(),
                Surface::SessionsApi | Surface::Page => {
                    let message = "This took too long. Please try again.";
                    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", message).into_response()
                }
            }
        });
        let response = finish(&state, &asked, trace, response);
        tracing::debug!(
            status = response.status().as_u16(),
            took_ms = began.elapsed().as_millis(),
            "answered"
        );
        response
    }
    .instrument(span)
    .await
}

fn refuse(
    state: &HttpState,
    asked: &Asked,
    trace: Uuid,
    status: StatusCode,
    title: &str,
    text: &str,
) -> Response {
    let code = if status == StatusCode::MISDIRECTED_REQUEST { "misdirected" } else { "invalid_request" };
    let response = match asked.surface {
        Surface::SessionsApi => ApiError::new(status, code, text).into_response(),
        Surface::SessionApi => SessionApiError::bad_host(status, text).into_response(),
        Surface::Page => page(status, title, text),
    };
    finish(state, asked, trace, response)
}

fn finish(state: &HttpState, asked: &Asked, trace: Uuid, response: Response) -> Response {
    let mut response = match asked.surface {
        Surface::SessionApi => session_api::complete(response, &asked.method, &asked.path, trace),
        Surface::SessionsApi => error::complete(response, &asked.method),
        Surface::Page => response,
    };
    state.metrics.requests.get_or_create(&StatusLabel { status: response.status().as_u16() }).inc();
    let headers = response.headers_mut();
    for (name, value) in SECURITY {
        set_default(headers, name, value);
    }
    if let Ok(value) = HeaderValue::from_str(&trace.to_string()) {
        headers.insert("x-request-id", value);
    }
    match asked.surface {
        Surface::SessionsApi | Surface::SessionApi => {
            set_default(headers, header::CACHE_CONTROL, "no-store");
        }
        Surface::Page => {}
    }
    response
}

fn set_default(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.entry(name).or_insert(HeaderValue::from_static(value));
}

/// Nothing is routed here.
pub(super) async fn not_found(request: Request) -> Response {
    match Surface::of(request.uri().path()) {
        Surface::SessionsApi => ApiError::not_found("There is no such endpoint.").into_response(),
        Surface::SessionApi => SessionApiError::no_endpoint().into_response(),
        Surface::Page => super::pages::not_found_page(),
    }
}

/// Something is, but not with this method; `Allow` is added by the router.
pub(super) async fn wrong_method(request: Request) -> Response {
    match Surface::of(request.uri().path()) {
        Surface::SessionApi => SessionApiError::wrong_method(request.method()).into_response(),
        Surface::SessionsApi | Surface::Page => {
            let message = format!("This endpoint does not take {}.", request.method());
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message).into_response()
        }
    }
}
