//! `GET /api/events`: what a stream begins with, what it tells, and whom.

use super::fake::{STARTED_MS, Site, plain};
use axum::body::Body;
use futures_util::StreamExt;
use playgate::auth::GrantClaims;
use playgate::model::events::EventKind;
use playgate::model::ids::{GrantId, Owner, SessionId, SlotId, UserId};
use playgate::model::rows::{Figures, SessionRow};
use playgate::model::session::{EndReason, Milestone, Status};
use playgate::store::Store;
use playgate_signaling::message::Role;
use serde_json::{Value, json};
use std::time::Duration;
use tower::ServiceExt;

const PATIENCE: Duration = Duration::from_secs(20);

/// An open stream, and what of it was not looked at yet.
struct Stream {
    body: axum::body::BodyDataStream,
    text: String,
}

/// `id`, `event` and `data` of one event.
type Told = (String, String, Value);

impl Stream {
    async fn open(site: &Site, after: Option<i64>) -> Self {
        let mut request = site.request("GET", "/api/events").header("host", "localhost:8080");
        if let Some(id) = after {
            request = request.header("last-event-id", id);
        }
        let answer = site.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        assert_eq!(answer.headers()["cache-control"], "no-cache");
        Self { body: answer.into_body().into_data_stream(), text: String::new() }
    }

    async fn next(&mut self) -> Told {
        tokio::time::timeout(PATIENCE, async {
            loop {
                if let Some((event, rest)) = self.text.split_once("\n\n") {
                    let field = |name: &str| {
                        let line = event.lines().find_map(|line| line.strip_prefix(name));
                        line.map(|value| value.trim_start_matches([':', ' ']).to_owned()).unwrap_or_default()
                    };
                    let told = (field("id"), field("event"), serde_json::from_str(&field("data")).unwrap());
                    self.text = rest.to_owned();
                    return told;
                }
                let bytes = self.body.next().await.expect("the stream goes on").unwrap();
                self.text.push_str(std::str::from_utf8(&bytes).unwrap());
            }
        })
        .await
        .expect("an event came in time")
    }
}

pub(super) fn row(owner: Owner, slot: Option<SlotId>) -> SessionRow {
    let at = i64::try_from(STARTED_MS).unwrap();
    SessionRow {
        game: "ember".to_owned(),
        title: "Ember".to_owned(),
        hosted: matches!(owner, Owner::Organisation(_)).then(Default::default),
        started_at: at,
        timeline: vec![(Milestone::Requested, at)],
        ..crate::store::row(owner, slot)
    }
}

/// A session of a user's: theirs have a save slot.
async fn begins(site: &Site, user: &str) -> SessionRow {
    let user = UserId(user.to_owned());
    let slot = site.events.slots(&user, "ember", 1).await.unwrap()[0].id;
    let row = row(Owner::User(user), Some(slot));
    site.events.insert_session(&row).await.unwrap();
    row
}

async fn ends(site: &Site, row: &mut SessionRow) {
    let at = i64::try_from(STARTED_MS).unwrap() + 90_000;
    (row.status, row.end_reason, row.ended_at) = (Status::Stopped, Some(EndReason::StoppedByUser), Some(at));
    row.figures = Some(Figures { duration_s: 90, cpu_seconds: 4.5, ..Figures::default() });
    site.events.update_session(row).await.unwrap();
}

#[tokio::test]
async fn a_stream_tells_what_happens_from_now_on_to_ones_own_sessions() {
    let site = Site::new().await;
    let mut stream = Stream::open(&site, None).await;
    begins(&site, "bob").await;
    let mut row = begins(&site, "ada").await;
    site.events.note_player(row.id, EventKind::PlayerJoined, "user:ada", row.started_at).await.unwrap();
    ends(&site, &mut row).await;

    let (_, event, body) = stream.next().await;
    assert_eq!(event, "session.starting");
    let data = json!({ "sessionId": row.id, "gameSlug": "ember", "gameTitle": "Ember" });
    assert_eq!((&body["data"], &body["at"]), (&data, &json!("2026-03-01T10:00:00.500Z")));
    let (_, event, body) = stream.next().await;
    assert_eq!((event.as_str(), &body["data"]["player"]), ("player.joined", &json!("user:ada")));
    let (id, event, body) = stream.next().await;
    assert_eq!(
        (event.as_str(), &body["id"], &body["type"]),
        ("session.ended", &json!(id), &json!("session.ended"))
    );
    let data = &body["data"];
    assert_eq!(data["endReason"], "stopped_by_user");
    assert_eq!((&data["figures"]["duration"], &data["figures"]["cpuSeconds"]), (&json!(90), &json!(4.5)));
}

#[tokio::test]
async fn a_stream_that_begins_again_goes_on_after_its_last_event() {
    let site = Site::new().await;
    let mut first = Stream::open(&site, None).await;
    let mut row = begins(&site, "ada").await;
    let (id, ..) = first.next().await;
    drop(first);
    ends(&site, &mut row).await;
    let mut again = Stream::open(&site, Some(id.parse().unwrap())).await;
    assert_eq!(again.next().await.1, "session.ended");
    let mut from_the_beginning = Stream::open(&site, Some(0)).await;
    assert_eq!(from_the_beginning.next().await.0, id);
}

#[tokio::test]
async fn a_stream_says_when_what_it_missed_is_no_longer_kept() {
    let site = Site::new().await;
    let mut row = begins(&site, "ada").await;
    ends(&site, &mut row).await;
    let kept = *site.events.event_ids().await.unwrap().end();
    site.events.prune_events(row.started_at + 1).await.unwrap();
    for unknown in [0, kept + 1, i64::MAX] {
        let mut stream = Stream::open(&site, Some(unknown)).await;
        assert_eq!(stream.next().await.1, "gap", "{unknown}");
        assert_eq!(stream.next().await.0, kept.to_string());
    }
}

#[tokio::test]
async fn streams_are_for_owners_and_eight_at_once_are_enough() {
    let site = Site::new().await;
    let session = SessionId::new();
    let grant = GrantClaims {
        grant: GrantId::new(),
        session,
        role: Role::Spectator,
        origins: Vec::new(),
        expires_at: time::OffsetDateTime::now_utc().unix_timestamp() + 60,
    };
    let grant = site.auth.mint_grant(&grant).unwrap();
    let operator = site.auth.mint_operator(Duration::from_secs(60), None).await.unwrap().token;
    for token in [grant, operator] {
        let request = plain("GET", "/api/events").header("authorization", format!("Bearer {token}"));
        site.send(request.body(Body::empty()).unwrap()).await.is_error(403, "forbidden");
    }
    site.send(plain("GET", "/api/events").body(Body::empty()).unwrap()).await.is_error(401, "unauthorized");
    let bad = site.request("GET", "/api/events").header("last-event-id", "yesterday");
    site.send(bad.body(Body::empty()).unwrap()).await.is_error(400, "invalid_request");

    let mut open = Vec::new();
    for _ in 0..8 {
        open.push(Stream::open(&site, None).await);
    }
    site.get("/api/events").await.is_error(429, "too_many_streams");
    open.pop();
    open.push(Stream::open(&site, None).await);
}

#[tokio::test]
async fn a_stream_ends_when_its_token_is_revoked() {
    let site = Site::new().await;
    let mut stream = Stream::open(&site, None).await;
    assert!(site.auth.ledger().revoke(site.user.id).await.unwrap());
    // Whoever has no token opens none.
    site.get("/api/events").await.is_error(401, "unauthorized");
    let end = tokio::time::timeout(PATIENCE, stream.body.next()).await.expect("the stream ends");
    assert!(end.is_none(), "{end:?}");
}
