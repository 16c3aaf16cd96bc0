//! `GET /api/nodes`: the nodes, how they are doing, and the sessions on each with the reasons for their place. Operators
//! only; made for machines.
//!
//! Per node: `health` is `healthy`, `unhealthy` (its engine does not answer) or `silent` (its gateway is gone); `state` is
//! `open`, `cordoned` or `draining`. `capacity` and `reserved` are the same kinds of things: `sessions`, `cpus` (cores),
//! `memoryBytes`, `gpus`. `load` is what the whole machine does, in per cent. Times are RFC 3339, UTC.

use super::HttpState;
use super::caller::Caller;
use super::error::ApiError;
use super::openapi::ApiProblem;
use crate::model::clock::to_time;
use crate::model::nodes::Resources;
use crate::node::NodeView;
use crate::node::directory::PlacedSession;
use crate::render::millis;
use crate::schedule::Needs;
use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new().routes(routes!(list))
}

/// The nodes
///
/// Their load and health, what was placed there and why. Operators alone.
#[utoipa::path(
    get, path = "/api/nodes", operation_id = "nodes", tag = "Operations",
    responses(
        (status = 200, description = "The nodes.", body = Value, example = json!({ "nodes": [{ "name": "node-1", "location": "frankfurt", "region": "europe", "labels": {}, "health": "healthy", "state": "open", "cachedGames": ["ember"], "seenAt": "2026-01-16T07:51:49.000Z", "sessions": [] }] })),
        (status = 403, description = "Not an operator's token.", body = ApiProblem),
    ),
)]
async fn list(State(state): State<HttpState>, caller: Caller) -> Result<Json<Value>, ApiError> {
    caller.must_be_operator("Nodes")?;
    let nodes = state.nodes.nodes().await.map_err(ApiError::internal)?;
    Ok(Json(body(&nodes)))
}

/// `{"nodes": [...]}`, here and for `playgate node list --json`.
pub fn body(nodes: &[NodeView]) -> Value {
    json!({ "nodes": nodes.iter().map(node).collect::<Vec<_>>() })
}

fn node(node: &NodeView) -> Value {
    let said = &node.said;
    json!({
        "name": said.name,
        "location": said.location,
        "region": said.region,
        "labels": said.labels,
        "health": node.condition,
        "state": node.admission,
        "capacity": with_sessions(said.total, said.capacity),
        "reserved": with_sessions(node.reserved, node.reserved_sessions),
        "load": { "cpuPercent": node.load.cpu_percent, "memoryPercent": node.load.memory_percent },
        "cachedGames": node.cached,
        "seenAt": millis(to_time(node.seen_at)),
        "sessions": node.sessions.iter().map(session).collect::<Vec<_>>(),
    })
}

fn session(session: &PlacedSession) -> Value {
    json!({
        "sessionId": session.id,
        "gameSlug": session.game,
        "status": session.status,
        "reserved": amounts(session.reserved),
        "reservedAt": millis(to_time(session.reserved_at)),
        "reasons": session.reasons,
    })
}

fn with_sessions(amount: Resources, sessions: u32) -> Value {
    let mut value = amounts(amount);
    value["sessions"] = json!(sessions);
    value
}

fn amounts(amount: Resources) -> Value {
    json!({ "cpus": Needs::from(amount).cpus, "memoryBytes": amount.memory_bytes, "gpus": amount.gpus })
}
