//! `/api/health` (public) and `/metrics` (operators, or anybody on the private listener).

use super::HttpState;
use super::error::ApiError;
use crate::auth::{Caller, Principal};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) fn routes() -> Router<HttpState> {
    Router::new().route("/api/health", get(health)).route("/metrics", get(metrics))
}

/// `/metrics` without a token: only for the private listener.
pub fn private_routes(registry: Arc<Registry>) -> Router {
    Router::new().route(
        "/metrics",
        get(move || {
            let registry = Arc::clone(&registry);
            async move { render(&registry) }
        }),
    )
}

async fn health(State(state): State<HttpState>) -> Json<Value> {
    let machine = state.machine.read();
    Json(json!({
        "status": "ok",
        "containers": state.core.running(),
        "cpu_percent": machine.cpu,
        "memory_percent": machine.memory,
        "disk_percent": machine.disk,
    }))
}

async fn metrics(State(state): State<HttpState>, Caller(who): Caller) -> Result<Response, ApiError> {
    match who {
        Principal::Operator => Ok(render(&state.registry)),
        Principal::User(_) | Principal::Grant(_) => Err(ApiError::forbidden("Metrics are for operators.")),
    }
}

fn render(registry: &Registry) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match crate::telemetry::encode(registry) {
        Ok(text) => ([(header::CONTENT_TYPE, kind)], text).into_response(),
        Err(error) => ApiError::internal(error).into_response(),
    }
}
