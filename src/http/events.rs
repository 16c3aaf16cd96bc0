//! `GET /api/events`: what happens to the caller's own sessions, as server-sent events.
//!
//! A stream begins with what happens from now on; one that begins again with `Last-Event-ID` (as browsers send it by
//! themselves) gets everything after that first. When that is no longer kept, it is told so by an event `gap`: then what is
//! known of sessions is to be read anew. A stream ends when the token that opened it lapses.

use super::HttpState;
use super::caller::Authenticated;
use super::error::ApiError;
use super::openapi::ApiProblem;
use crate::auth::{Principal, Validity};
use crate::events;
use crate::model::events::EventRow;
use crate::model::ids::Owner;
use crate::store::{Store, StoreError};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use dashmap::DashMap;
use futures_util::stream::{self, Stream, StreamExt};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// A browser comes back by itself, after this.
const RETRY: Duration = Duration::from_secs(2);
/// A comment, so that a proxy keeps the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Read at once.
const BATCH: u32 = 100;
/// Streams one owner may have open.
const STREAMS: u32 = 8;
/// Events of another process are looked for so often.
const LOOK: Duration = Duration::from_secs(15);

/// How many streams each owner has open, and whether the gateway goes on. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct EventStreams {
    open: Arc<DashMap<Owner, u32>>,
    over: watch::Sender<bool>,
}

/// One stream's place.
struct Place(EventStreams, Owner);

impl EventStreams {
    fn enter(&self, owner: &Owner) -> Option<Place> {
        let mut open = self.open.entry(owner.clone()).or_default();
        if *open >= STREAMS {
            return None;
        }
        *open += 1;
        Some(Place(self.clone(), owner.clone()))
    }

    /// Ends every stream: the gateway does.
    pub(super) fn end(&self) {
        self.over.send_replace(true);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.remove_if_mut(&self.1, |_, open| {
            *open = open.saturating_sub(1);
            *open == 0
        });
    }
}

pub(super) fn routes() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new().routes(routes!(stream))
}

/// What happens to your sessions
///
/// Server-sent events. The `data` of each is JSON: `id`, `type`, `at` and `data`. Types: `session.starting`,
/// `session.running`, `session.stopping`, `session.ended` (with `endReason` and `figures`), `player.joined`, `player.left`; and
/// `gap` where what came after `Last-Event-ID` is no longer kept.
#[utoipa::path(
    get, path = "/api/events", operation_id = "events", tag = "Sessions API",
    params(("Last-Event-ID" = Option<String>, Header, description = "Go on after this event.")),
    responses(
        (status = 200, description = "The events, as they happen.", content_type = "text/event-stream", body = String, example = "id: 42\nevent: session.running\ndata: {\"id\":\"42\",\"type\":\"session.running\",\"at\":\"2026-01-16T07:51:50.120Z\",\"data\":{\"sessionId\":\"5f0c2a4e-8b1d-4c53-9c69-6a1c52f3a7d1\",\"gameSlug\":\"ember\",\"gameTitle\":\"Ember\"}}\n\n"),
        (status = 400, description = "Last-Event-ID is not an event's.", body = ApiProblem),
        (status = 403, description = "Not a user's nor an organisation's token.", body = ApiProblem),
        (status = 429, description = "Too many streams of yours are open.", body = ApiProblem),
    ),
)]
async fn stream(
    State(state): State<HttpState>,
    caller: Authenticated,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let owner = match caller.principal {
        Principal::User(user) => Owner::User(user.id),
        Principal::Organisation(name) => Owner::Organisation(name),
        Principal::Grant(_) | Principal::Operator => {
            return Err(ApiError::forbidden("Events are for the owners of sessions. Sign in for this."));
        }
    };
    let place = state.streams.enter(&owner).ok_or_else(|| {
        let message = "Too many event streams of yours are open. Close one first.";
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_streams", message)
    })?;
    // Before the newest is looked up: nothing falls between.
    let news = state.events.news();
    let kept = state.events.event_ids().await.map_err(ApiError::internal)?;
    let last = match headers.get("last-event-id") {
        None => *kept.end(),
        Some(sent) => last_event(sent)?,
    };
    let has_gap = last.saturating_add(1) < *kept.start() || last > *kept.end();
    let last = if has_gap { kept.start() - 1 } else { last };
    let reader = Reader {
        store: Arc::clone(&state.events),
        owner,
        last,
        news,
        waiting: VecDeque::new(),
        validity: caller.credential.watch(),
        over: state.streams.over.subscribe(),
        _place: place,
    };
    let first = has_gap.then(|| Ok(Event::default().event("gap").data("{}").retry(RETRY)));
    let events = stream::iter(first).chain(reader.stream());
    let answer = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    let unbuffered = (header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(([unbuffered], answer).into_response())
}

fn last_event(sent: &HeaderValue) -> Result<i64, ApiError> {
    let id = sent.to_str().ok().and_then(|text| text.trim().parse::<i64>().ok()).filter(|id| *id >= 0);
    id.ok_or_else(|| ApiError::invalid("'Last-Event-ID' must be the id of an event."))
}

/// Reads an owner's events as they come.
struct Reader {
    store: Arc<dyn Store>,
    owner: Owner,
    last: i64,
    news: watch::Receiver<u64>,
    waiting: VecDeque<EventRow>,
    validity: Validity,
    over: watch::Receiver<bool>,
    _place: Place,
}

impl Reader {
    fn stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut reader| async move {
            let event = reader.next().await?;
            Some((Ok(event), reader))
        })
    }

    /// `None`: the token has lapsed, the gateway ends, or nothing can be read.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if self.validity.lapse().is_some() {
                return None;
            }
            if let Some(event) = self.waiting.pop_front() {
                return to_event(&event).ok();
            }
            match self.read().await {
                Ok(true) => {}
                Ok(false) => {
                    tokio::select! {
                        changed = self.news.changed() => changed.ok()?,
                        () = tokio::time::sleep(LOOK) => {}
                        _ = self.validity.lapsed() => return None,
                        _ = self.over.wait_for(|over| *over) => return None,
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "events cannot be read");
                    return None;
                }
            }
        }
    }

    /// False: nothing is new.
    async fn read(&mut self) -> Result<bool, StoreError> {
        self.news.borrow_and_update();
        let events = self.store.events_after(&self.owner, self.last, BATCH).await?;
        if let Some(newest) = events.last() {
            self.last = newest.id;
        }
        self.waiting.extend(events);
        Ok(!self.waiting.is_empty())
    }
}

fn to_event(event: &EventRow) -> Result<Event, axum::Error> {
    let body = events::body(event);
    let kind = body["type"].as_str().unwrap_or_default();
    Event::default().id(event.id.to_string()).event(kind).retry(RETRY).json_data(&body)
}
