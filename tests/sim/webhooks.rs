//! Webhooks, to a real receiver: what was missed is made up for, and repeats can be told.

use crate::world::{PATIENCE, World, until};
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use playgate::config::WebhookConfig;
use playgate::events::{Signer, Webhooks};
use playgate::model::events::EventKind;
use playgate::session::hosted::HostRequest;
use playgate::store::Store;
use prometheus_client::registry::Registry;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3";

/// A delivery as it came.
#[derive(Debug, Clone)]
struct Came {
    id: String,
    seconds: i64,
    signature: String,
    body: String,
}

impl Came {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn kind(&self) -> String {
        self.json()["type"].as_str().unwrap().to_owned()
    }
}

/// A receiver; ends with its value.
struct Receiver {
    came: Arc<Mutex<Vec<Came>>>,
    task: tokio::task::AbortHandle,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    /// Answers with a status each time.
    async fn on(address: SocketAddr, answer: StatusCode) -> Self {
        let came: Arc<Mutex<Vec<Came>>> = Arc::default();
        let noted = Arc::clone(&came);
        let take = axum::routing::post(async move |headers: HeaderMap, body: Bytes| {
            let header = |name: &str| headers[name].to_str().unwrap().to_owned();
            noted.lock().unwrap().push(Came {
                id: header("webhook-id"),
                seconds: header("webhook-timestamp").parse().unwrap(),
                signature: header("webhook-signature"),
                body: String::from_utf8(body.to_vec()).unwrap(),
            });
            answer
        });
        let listener = until(async || TcpListener::bind(address).await.ok()).await;
        let router = axum::Router::new().route("/hook", take);
        let task = tokio::spawn(async move { axum::serve(listener, router).await }).abort_handle();
        Self { came, task }
    }

    fn came(&self) -> Vec<Came> {
        self.came.lock().unwrap().clone()
    }

    async fn gets(&self, count: usize) -> Vec<Came> {
        until(async || Some(self.came()).filter(|came| came.len() >= count)).await
    }
}

/// An address that nobody listens on.
async fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

async fn start(world: &World, address: SocketAddr, events: &[EventKind]) -> Webhooks {
    let config = WebhookConfig {
        name: "backend".to_owned(),
        organisation: "studio".to_owned(),
        url: format!("http://{address}/hook"),
        secret: Some(SECRET.to_owned()),
        events: events.to_vec(),
    };
    let store: Arc<dyn Store> = world.store.clone();
    Webhooks::start(&[config], &store, &world.clock, &mut Registry::default()).await.unwrap()
}

async fn host(world: &World, organisation: &str, image: &str, id: &str) {
    let request = HostRequest {
        id: Some(id.to_owned()),
        location: "europe".to_owned(),
        image: image.to_owned(),
        ..HostRequest::default()
    };
    world.sessions.host(organisation, request).await.unwrap();
}

#[tokio::test]
async fn what_happens_to_an_organisations_sessions_is_sent_signed() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let address = free_address().await;
    let receiver = Receiver::on(address, StatusCode::NO_CONTENT).await;
    let _webhooks = start(&world, address, &[]).await;
    host(&world, "rival", "arena", "not-told").await;
    host(&world, "studio", "arena", "match-1").await;
    world.sessions.terminate_hosted("studio", "match-1").await.unwrap();
    let came = receiver.gets(4).await;
    let kinds: Vec<String> = came.iter().map(Came::kind).collect();
    assert_eq!(kinds, ["session.starting", "session.running", "session.stopping", "session.ended"]);
    let signer = Signer::new(SECRET).unwrap();
    for one in &came {
        assert_eq!(one.signature, signer.sign(&one.id, one.seconds, &one.body));
        assert_eq!(one.seconds, world.clock.now_ms() / 1000);
        let body = one.json();
        assert_eq!(one.id, format!("evt_{}", body["id"].as_str().unwrap()));
        assert_eq!(body["data"]["session"], "match-1");
    }
    assert_eq!(came[3].json()["data"]["endReason"], "stopped_by_user");
    assert!(came[3].json()["data"]["figures"]["duration"].is_u64());
}

#[tokio::test]
async fn a_receiver_that_is_down_for_a_minute_misses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let address = free_address().await;
    let webhooks = start(&world, address, &[EventKind::Running, EventKind::Ended]).await;
    for id in ["match-1", "match-2"] {
        host(&world, "studio", "arena", id).await;
    }
    for _ in 0..60 {
        world.clock.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
    }
    let tried = until(async || {
        let deliveries = world.store.deliveries("backend", None, 10).await.unwrap();
        let tried = deliveries
            .iter()
            .all(|one| one.attempts > 0 && one.error.as_deref() == Some("could not be reached"));
        (deliveries.len() == 2 && tried).then_some(deliveries)
    })
    .await;
    assert!(tried.iter().all(|one| one.next_at.is_some()));
    // The gateway's own end loses nothing either.
    drop(webhooks);
    world.sessions.terminate_hosted("studio", "match-1").await.unwrap();
    let receiver = Receiver::on(address, StatusCode::OK).await;
    let _webhooks = start(&world, address, &[EventKind::Running, EventKind::Ended]).await;
    let came = tokio::time::timeout(PATIENCE, async {
        loop {
            world.clock.advance(Duration::from_secs(60));
            let came = receiver.came();
            if came.len() >= 3 {
                return came;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("all of it came");
    let mut told: Vec<(String, Value)> =
        came.iter().map(|one| (one.kind(), one.json()["data"]["session"].clone())).collect();
    told.sort_by_key(|(kind, session)| (kind.clone(), session.to_string()));
    let running = |id: &str| ("session.running".to_owned(), Value::from(id));
    assert_eq!(
        told,
        [("session.ended".to_owned(), "match-1".into()), running("match-1"), running("match-2")]
    );
}

#[tokio::test]
async fn what_is_refused_comes_again_under_the_same_id() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let address = free_address().await;
    let receiver = Receiver::on(address, StatusCode::SERVICE_UNAVAILABLE).await;
    let _webhooks = start(&world, address, &[EventKind::Running]).await;
    host(&world, "studio", "arena", "match-1").await;
    let first = receiver.gets(1).await;
    let noted = until(async || {
        let deliveries = world.store.deliveries("backend", None, 1).await.unwrap();
        deliveries.into_iter().find(|one| one.attempts == 1)
    })
    .await;
    assert_eq!(noted.error.as_deref(), Some("answered 503"));
    drop(receiver);
    let receiver = Receiver::on(address, StatusCode::OK).await;
    world.clock.advance(Duration::from_secs(2));
    let again = receiver.gets(1).await;
    assert_eq!((&again[0].id, &again[0].body), (&first[0].id, &first[0].body));
    assert_ne!(again[0].signature, first[0].signature, "signed for its own time");
    until(async || (world.store.pending_deliveries("backend").await.unwrap() == 0).then_some(())).await;
}
