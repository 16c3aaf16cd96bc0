//! The open connections of the public listener: how many there may be, and which of them are idle.
//!
//! Invariants: connections never take all file descriptors. When every place is taken, the connection that has been idle
//! longest makes room for a new one; when all are at work, the new one is refused and counted.
//!
//! A connection is idle while it has no request: one that is being answered, an answer's body that is still being sent (event
//! streams, downloads), and a WebSocket are work. PING frames are not.

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// At most one warning in this time.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// What is counted of connections; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct ConnectionMetrics {
    pub(super) open: Gauge,
    /// Idle ones that were closed to make room.
    pub(super) evicted: Counter,
    pub(super) refused: Counter,
}

/// The places for connections; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Connections(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    most: usize,
    metrics: ConnectionMetrics,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    open: HashMap<u64, Arc<Connection>>,
    warned: Option<Instant>,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    work: Mutex<Work>,
    evicted: Notify,
}

#[derive(Debug)]
struct Work {
    /// Requests that are not answered to the end.
    requests: usize,
    /// Since when there are none.
    idle_since: Instant,
    had_request: bool,
    /// It is a WebSocket now.
    upgraded: bool,
}

/// Holds the place of a connection.
#[derive(Debug)]
pub(super) struct Place {
    connections: Connections,
    id: u64,
    connection: Arc<Connection>,
}

/// Holds a connection at work.
#[derive(Debug)]
pub(super) struct AtWork(Arc<Connection>);

impl Connections {
    pub(super) fn new(most: usize, metrics: ConnectionMetrics) -> Self {
        Self(Arc::new(Shared { most, metrics, state: Mutex::default() }))
    }

    /// A place for a new connection. `None` when all places are taken by connections at work.
    pub(super) fn enter(&self) -> Option<Place> {
        let Shared { most, metrics, .. } = &*self.0;
        let now = Instant::now();
        let mut state = self.state();
        if state.open.len() * 10 >= most * 9 && state.warned.is_none_or(|at| now >= at + WARN_EVERY) {
            state.warned = Some(now);
            let open = state.open.len();
            tracing::warn!(open, most, "nearly as many connections are open as this process may have files");
        }
        if state.open.len() >= *most {
            let idle = state.open.iter().filter_map(|(id, one)| Some((one.idle_since()?, *id))).min();
            let Some((_, id)) = idle else {
                metrics.refused.inc();
                return None;
            };
            if let Some(connection) = state.open.remove(&id) {
                metrics.evicted.inc();
                connection.evicted.notify_one();
            }
        }
        let id = state.next;
        state.next += 1;
        let connection = Arc::new(Connection::default());
        state.open.insert(id, Arc::clone(&connection));
        metrics.open.set(i64::try_from(state.open.len()).unwrap_or(i64::MAX));
        Some(Place { connections: self.clone(), id, connection })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    pub(super) fn connection(&self) -> Arc<Connection> {
        Arc::clone(&self.connection)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.connections.state();
        state.open.remove(&self.id);
        self.connections.0.metrics.open.set(i64::try_from(state.open.len()).unwrap_or(i64::MAX));
    }
}

/// A connection that has no place to give up: of a listener without a limit.
impl Default for Connection {
    fn default() -> Self {
        let work = Work { requests: 0, idle_since: Instant::now(), had_request: false, upgraded: false };
        Self { work: Mutex::new(work), evicted: Notify::new() }
    }
}

impl Connection {
    /// Resolves when the connection has to make room for another one.
    pub(super) async fn evicted(&self) {
        self.evicted.notified().await;
    }

    /// A request came.
    pub(super) fn begin(self: &Arc<Self>) -> AtWork {
        let mut work = self.work();
        work.requests += 1;
        work.had_request = true;
        AtWork(Arc::clone(self))
    }

    /// From now on it is a WebSocket, which has its own limits.
    pub(super) fn upgrade(&self) {
        self.work().upgraded = true;
    }

    pub(super) fn had_request(&self) -> bool {
        self.work().had_request
    }

    /// `None` while it is at work.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let work = self.work();
        (work.requests == 0 && !work.upgraded).then_some(work.idle_since)
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        let mut work = self.0.work();
        work.requests -= 1;
        work.idle_since = Instant::now();
    }
}

/// The body of an answer: its connection is at work until it is sent.
pub(super) struct Sent {
    body: Body,
    _work: AtWork,
}

impl Sent {
    pub(super) fn new(body: Body, work: AtWork) -> Self {
        Self { body, _work: work }
    }
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(most: usize) -> Connections {
        Connections::new(most, ConnectionMetrics::default())
    }

    #[tokio::test]
    async fn when_all_places_are_taken_the_longest_idle_connection_makes_room() {
        let connections = connections(3);
        let first = connections.enter().unwrap();
        let [second, third] = [connections.enter().unwrap(), connections.enter().unwrap()];
        // The first is idle anew, the third is at work.
        drop(first.connection().begin());
        let _work = third.connection().begin();
        let fourth = connections.enter().unwrap();
        second.connection().evicted().await;
        assert_eq!(connections.0.metrics.evicted.get(), 1);
        assert!(connections.state().open.len() <= 3);
        drop((first, second, third, fourth));
        assert!(connections.state().open.is_empty() && connections.0.metrics.open.get() == 0);
    }

    #[tokio::test]
    async fn connections_at_work_and_websockets_are_never_closed_for_others() {
        let connections = connections(2);
        let [first, second] = [connections.enter().unwrap(), connections.enter().unwrap()];
        let _work = first.connection().begin();
        second.connection().upgrade();
        assert!(connections.enter().is_none());
        assert_eq!((connections.0.metrics.refused.get(), connections.0.metrics.evicted.get()), (1, 0));
        drop(first);
        assert!(connections.enter().is_some());
    }

    #[tokio::test]
    async fn a_connection_is_idle_once_the_last_body_is_sent() {
        let place = connections(1).enter().unwrap();
        let connection = place.connection();
        let began = connection.idle_since().unwrap();
        let body = Sent::new(Body::from("x"), connection.begin());
        assert_eq!((connection.idle_since(), connection.had_request()), (None, true));
        drop(body);
        assert!(connection.idle_since().is_some_and(|since| since > began));
    }
}
