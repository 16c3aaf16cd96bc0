//! `GET /api/webhooks` and the deliveries: who may ask, and the shape of the answers.

use super::events::row;
use super::fake::{Answer, Site, plain};
use axum::body::Body;
use playgate::events::WebhookView;
use playgate::model::events::Attempt;
use playgate::model::ids::Owner;
use playgate::store::Store;
use serde_json::json;
use std::time::Duration;

pub(crate) fn webhook() -> WebhookView {
    WebhookView {
        name: "backend".to_owned(),
        organisation: "studio".to_owned(),
        url: "https://studio.example.org/playgate".to_owned(),
    }
}

async fn as_operator(site: &Site, path: &str) -> Answer {
    let operator = site.auth.mint_operator(Duration::from_secs(60), None).await.unwrap();
    let request = plain("GET", path).header("authorization", format!("Bearer {}", operator.token));
    site.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn operators_see_what_was_delivered_what_waits_and_why() {
    let site = Site::new().await;
    site.events.enlist_deliveries("backend", "studio", &[], 0).await.unwrap();
    let row = row(Owner::Organisation("studio".to_owned()), None);
    site.events.insert_session(&row).await.unwrap();
    site.events.enlist_deliveries("backend", "studio", &[], 0).await.unwrap();
    let failed = Attempt::Failed { error: "answered 503".to_owned(), next_at: Some(row.started_at + 1_000) };
    let event = *site.events.event_ids().await.unwrap().end();
    site.events.note_attempt("backend", event, &failed).await.unwrap();

    let answer = as_operator(&site, "/api/webhooks").await;
    let expected = json!({ "webhooks": [{
        "name": "backend", "organisation": "studio", "url": "https://studio.example.org/playgate", "pending": 1,
    }]});
    assert_eq!(answer.json(), expected);
    let mut expected = json!({ "deliveries": [{
        "eventId": event.to_string(),
        "type": "session.starting",
        "at": "2026-03-01T10:00:00.500Z",
        "sessionId": row.id,
        "state": "pending",
        "attempts": 1,
        "nextAttemptAt": "2026-03-01T10:00:01.500Z",
        "deliveredAt": null,
        "error": "answered 503",
    }]});
    assert_eq!(as_operator(&site, "/api/webhooks/backend/deliveries").await.json(), expected);
    let older = as_operator(&site, &format!("/api/webhooks/backend/deliveries?before={event}")).await;
    assert_eq!(older.json(), json!({ "deliveries": [] }));

    let delivered = Attempt::Delivered { at: row.started_at + 1_000 };
    site.events.note_attempt("backend", event, &delivered).await.unwrap();
    let entry = &mut expected["deliveries"][0];
    (entry["state"], entry["attempts"], entry["error"]) = (json!("delivered"), json!(2), json!(null));
    (entry["deliveredAt"], entry["nextAttemptAt"]) = (json!("2026-03-01T10:00:01.500Z"), json!(null));
    assert_eq!(as_operator(&site, "/api/webhooks/backend/deliveries").await.json(), expected);
}

#[tokio::test]
async fn nobody_else_sees_them_and_what_is_not_there_is_not_found() {
    let site = Site::new().await;
    for path in ["/api/webhooks", "/api/webhooks/backend/deliveries"] {
        site.get(path).await.is_error(403, "forbidden");
        site.send(plain("GET", path).body(Body::empty()).unwrap()).await.is_error(401, "unauthorized");
    }
    as_operator(&site, "/api/webhooks/other/deliveries").await.is_error(404, "not_found");
    as_operator(&site, "/api/webhooks/backend/deliveries?before=x").await.is_error(400, "invalid_request");
}
