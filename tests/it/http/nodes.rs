//! `GET /api/nodes`: who may ask, and the shape of the answer.

use super::fake::{STARTED_MS, Site, plain};
use axum::body::Body;
use playgate::model::ids::SessionId;
use playgate::model::nodes::{Admission, Announcement, MachineLoad, Resources};
use playgate::model::session::Status;
use playgate::node::directory::{Condition, NodeDirectory, NodeView, PlacedSession};
use playgate::store::StoreError;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const SESSION: &str = "5e3a8f3e-46c7-4b3a-9d0e-2a3f4b5c6d7e";

/// A directory of one node with one session.
pub(crate) struct OneNode;

#[async_trait::async_trait]
impl NodeDirectory for OneNode {
    async fn nodes(&self) -> Result<Vec<NodeView>, StoreError> {
        let at = i64::try_from(STARTED_MS).unwrap();
        let id: SessionId = SESSION.parse().unwrap();
        let reserved = Resources { milli_cpus: 750, memory_bytes: 1 << 30, gpus: 1 };
        Ok(vec![NodeView {
            said: Announcement {
                name: "here".to_owned(),
                location: Some("frankfurt".to_owned()),
                region: None,
                labels: BTreeMap::from([("rack".to_owned(), "7".to_owned())]),
                capacity: 4,
                total: Resources { milli_cpus: 8000, memory_bytes: 1 << 34, gpus: 2 },
            },
            condition: Condition::Healthy,
            admission: Admission::Draining,
            reserved_sessions: 1,
            reserved,
            load: MachineLoad { cpu_percent: 12.5, memory_percent: 40.0 },
            cached: BTreeSet::from(["question".to_owned()]),
            seen_at: at,
            sessions: vec![PlacedSession {
                id,
                reserved,
                reserved_at: at,
                game: Some("question".to_owned()),
                status: Some(Status::Running),
                reasons: vec!["has the game cached".to_owned()],
            }],
        }])
    }
}

#[tokio::test]
async fn operators_see_the_nodes_with_their_sessions_and_the_reasons() {
    let site = Site::new().await;
    let operator = site.auth.mint_operator(Duration::from_secs(60), None).await.unwrap();
    let bearer = format!("Bearer {}", operator.token);
    let request = plain("GET", "/api/nodes").header("authorization", bearer);
    let answer = site.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let reserved = json!({ "cpus": 0.75, "memoryBytes": 1_u64 << 30, "gpus": 1 });
    let expected = json!({ "nodes": [{
        "name": "here",
        "location": "frankfurt",
        "region": null,
        "labels": { "rack": "7" },
        "health": "healthy",
        "state": "draining",
        "capacity": { "sessions": 4, "cpus": 8.0, "memoryBytes": 1_u64 << 34, "gpus": 2 },
        "reserved": { "sessions": 1, "cpus": 0.75, "memoryBytes": 1_u64 << 30, "gpus": 1 },
        "load": { "cpuPercent": 12.5, "memoryPercent": 40.0 },
        "cachedGames": ["question"],
        "seenAt": "2026-03-01T10:00:00.500Z",
        "sessions": [{
            "sessionId": SESSION,
            "gameSlug": "question",
            "status": "running",
            "reserved": reserved,
            "reservedAt": "2026-03-01T10:00:00.500Z",
            "reasons": ["has the game cached"],
        }],
    }]});
    assert_eq!(answer.json(), expected);
}

#[tokio::test]
async fn nobody_else_sees_them() {
    let site = Site::new().await;
    site.get("/api/nodes").await.is_error(403, "forbidden");
    let nobody = plain("GET", "/api/nodes").body(Body::empty()).unwrap();
    site.send(nobody).await.is_error(401, "unauthorized");
    site.post("/api/nodes", &json!({})).await.is_error(405, "method_not_allowed");
}
