//! `/api/health` (public) and `/metrics` (operators, or anybody on the private listener).

use super::HttpState;
use super::caller::Caller;
use super::error::ApiError;
use super::openapi::ApiProblem;
use axum::extract::{ConnectInfo, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use ipnet::Ipv4Net;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new().routes(routes!(health)).routes(routes!(metrics))
}

/// `/metrics` without a token: only for the private listener, and never for the networks of games, which reach a
/// listener on an unspecified address too.
pub fn private_routes(registry: Arc<Registry>, games: Vec<Ipv4Net>) -> Router {
    let metrics = move |ConnectInfo(peer): ConnectInfo<SocketAddr>| {
        let registry = Arc::clone(&registry);
        let is_game = match peer.ip().to_canonical() {
            IpAddr::V4(ip) => games.iter().any(|network| network.contains(&ip)),
            IpAddr::V6(_) => false,
        };
        async move { if is_game { StatusCode::NOT_FOUND.into_response() } else { render(&registry) } }
    };
    Router::new().route("/metrics", get(metrics))
}

/// How this gateway is
///
/// `status` is `ok` or `degraded`; then `degraded` names the parts: `relay-N` for a relay thread that failed within the last
/// minute (its sessions have ended, it was started again), `store` while the database takes no writes. The answer is 200
/// either way: what still works goes on, so a load balancer should not take the gateway out.
#[utoipa::path(
    get, path = "/api/health", operation_id = "health", tag = "Operations",
    responses(
        (status = 200, description = "Alive.", body = Value, example = json!({ "status": "ok", "containers": 1, "cpu_percent": 12.5, "memory_percent": 40.0, "disk_percent": 61.0 })),
    ),
    security(())
)]
async fn health(State(state): State<HttpState>) -> Json<Value> {
    let (machine, degraded) = (state.machine.read(), state.core.degraded());
    let mut health = json!({
        "status": if degraded.is_empty() { "ok" } else { "degraded" },
        "containers": state.core.running(),
        "cpu_percent": machine.cpu,
        "memory_percent": machine.memory,
        "disk_percent": machine.disk,
    });
    if !degraded.is_empty() {
        health["degraded"] = json!(degraded);
    }
    Json(health)
}

/// Metrics
///
/// Operators alone, except on the private listener.
#[utoipa::path(
    get, path = "/metrics", operation_id = "metrics", tag = "Operations",
    responses(
        (status = 200, description = "OpenMetrics text.", body = String, content_type = "application/openmetrics-text"),
        (status = 403, description = "Not an operator's token.", body = ApiProblem),
    ),
)]
async fn metrics(State(state): State<HttpState>, caller: Caller) -> Result<Response, ApiError> {
    caller.must_be_operator("Metrics")?;
    Ok(render(&state.registry))
}

fn render(registry: &Registry) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match crate::telemetry::encode(registry) {
        Ok(text) => ([(header::CONTENT_TYPE, kind)], text).into_response(),
        Err(error) => ApiError::internal(error).into_response(),
    }
}
