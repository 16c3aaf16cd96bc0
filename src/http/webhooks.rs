//! `GET /api/webhooks` and `GET /api/webhooks/{name}/deliveries`: how webhooks are doing. Operators only; made for machines.
//!
//! A delivery is `pending`, `delivered` or `given_up`; `attempts` counts what was sent, `nextAttemptAt` is when a pending one
//! is sent again, `error` why the last attempt failed. Times are RFC 3339, UTC.

use super::HttpState;
use super::caller::Caller;
use super::error::ApiError;
use super::input::Params;
use super::openapi::ApiProblem;
use crate::model::Millis;
use crate::model::clock::to_time;
use crate::model::events::DeliveryRow;
use crate::render::millis;
use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Deliveries in one answer.
const LIMIT: u32 = 100;

pub(super) fn routes() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(deliveries))
}

/// The webhooks
///
/// And how much each has before it. Operators alone.
#[utoipa::path(
    get, path = "/api/webhooks", operation_id = "webhooks", tag = "Operations",
    responses(
        (status = 200, description = "The webhooks.", body = Value, example = json!({ "webhooks": [{ "name": "backend", "organisation": "studio", "url": "https://studio.example.org/playgate", "pending": 0 }] })),
        (status = 403, description = "Not an operator's token.", body = ApiProblem),
    ),
)]
async fn list(State(state): State<HttpState>, caller: Caller) -> Result<Json<Value>, ApiError> {
    caller.must_be_operator("Webhooks")?;
    let mut webhooks = Vec::new();
    for webhook in &state.webhooks {
        let pending = state.events.pending_deliveries(&webhook.name).await.map_err(ApiError::internal)?;
        webhooks.push(json!({
            "name": webhook.name,
            "organisation": webhook.organisation,
            "url": webhook.url,
            "pending": pending,
        }));
    }
    Ok(Json(json!({ "webhooks": webhooks })))
}

/// A webhook's deliveries
///
/// The newest first, a hundred at most; the next older ones `before` the last one's event. Operators alone.
#[utoipa::path(
    get, path = "/api/webhooks/{name}/deliveries", operation_id = "webhook-deliveries", tag = "Operations",
    params(("name" = String, Path), ("before" = Option<u64>, Query, description = "An event's id.")),
    responses(
        (status = 200, description = "The deliveries.", body = Value, example = json!({ "deliveries": [{ "eventId": "42", "type": "session.ended", "at": "2026-01-16T07:51:49.000Z", "sessionId": "5f0c2a4e-8b1d-4c53-9c69-6a1c52f3a7d1", "state": "pending", "attempts": 3, "nextAttemptAt": "2026-01-16T07:52:02.000Z", "deliveredAt": null, "error": "answered 503" }] })),
        (status = 400, description = "Not a request.", body = ApiProblem),
        (status = 403, description = "Not an operator's token.", body = ApiProblem),
        (status = 404, description = "No such webhook.", body = ApiProblem),
    ),
)]
async fn deliveries(
    State(state): State<HttpState>,
    caller: Caller,
    Path(name): Path<String>,
    params: Params,
) -> Result<Json<Value>, ApiError> {
    caller.must_be_operator("Webhooks")?;
    if !state.webhooks.iter().any(|webhook| webhook.name == name) {
        return Err(ApiError::not_found("Webhook not found."));
    }
    let before = params.get("before").map(|text| {
        text.parse::<i64>()
            .map_err(|_| ApiError::invalid("The 'before' parameter must be the id of an event."))
    });
    let rows =
        state.events.deliveries(&name, before.transpose()?, LIMIT).await.map_err(ApiError::internal)?;
    Ok(Json(json!({ "deliveries": rows.iter().map(delivery).collect::<Vec<_>>() })))
}

fn delivery(row: &DeliveryRow) -> Value {
    let time = |at: Millis| millis(to_time(at));
    let state = match (row.delivered_at, row.next_at) {
        (Some(_), _) => "delivered",
        (None, Some(_)) => "pending",
        (None, None) => "given_up",
    };
    json!({
        "eventId": row.event.to_string(),
        "type": row.kind,
        "at": time(row.at),
        "sessionId": row.session,
        "state": state,
        "attempts": row.attempts,
        "nextAttemptAt": row.next_at.map(time),
        "deliveredAt": row.delivered_at.map(time),
        "error": row.error,
    })
}
