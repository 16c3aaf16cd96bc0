//! Still pictures of running sessions: the newest key frame as a small JPEG.
//!
//! Invariants:
//! - A game's bytes are decoded in a [`child`] process and nowhere else.
//! - One picture of a session is made at a time, and at most once in [`LIFE`], whoever asks.
//! - What is kept is bounded and ends with its session.
//!
//! Does not: authorize. The caller knows who may see a session.

mod cache;
mod child;
pub mod inside;
mod metrics;
pub mod picture;
mod refusal;

pub use refusal::{LIFE, Refusal};

use crate::model::ids::SessionId;
use crate::relay::{KeyFrame, Relay, RelayError};
use bytes::Bytes;
use cache::{Cache, Lookup, Rendered, State};
use metrics::{Metrics, Outcome};
use prometheus_client::registry::Registry;
use refusal::RETRY_NOT_YET;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Child processes at once.
const MAX_CHILDREN: usize = 2;
/// Pictures being made, those that wait for a child process included. One more is refused, and counted.
const MAX_PENDING: usize = 16;
/// Until an asked-for key frame is here; the old one will do then.
const FRESH_WITHIN: Duration = Duration::from_secs(1);

/// Where key frames come from.
#[async_trait::async_trait]
pub trait KeyFrames: Send + Sync {
    /// See [`Relay::key_frame`].
    async fn key_frame(&self, session: SessionId, fresh: bool) -> Result<KeyFrame, RelayError>;
}

#[async_trait::async_trait]
impl KeyFrames for Relay {
    async fn key_frame(&self, session: SessionId, fresh: bool) -> Result<KeyFrame, RelayError> {
        Self::key_frame(self, session, fresh).await
    }
}

/// Makes pictures and keeps them for a while. Cheap to clone.
#[derive(Clone)]
pub struct Thumbnailer(Arc<Inner>);

struct Inner {
    source: Arc<dyn KeyFrames>,
    /// This very binary: `PROGRAM thumbnail`.
    program: PathBuf,
    cache: Cache,
    pending: Arc<Semaphore>,
    children: Semaphore,
    metrics: Metrics,
}

impl Thumbnailer {
    pub fn new(source: Arc<dyn KeyFrames>, program: PathBuf, registry: &mut Registry) -> Self {
        Self(Arc::new(Inner {
            source,
            program,
            cache: Cache::default(),
            pending: Arc::new(Semaphore::new(MAX_PENDING)),
            children: Semaphore::new(MAX_CHILDREN),
            metrics: Metrics::register(registry),
        }))
    }

    /// The session's picture, as JPEG of at most [`picture::WIDTH`]. A caller that goes away does not stop the making.
    pub async fn get(&self, session: SessionId) -> Result<Bytes, Refusal> {
        let begin = || {
            let permit = Arc::clone(&self.0.pending).try_acquire_owned();
            permit.map_err(|_| self.0.metrics.count(Outcome::Busy)).ok()
        };
        let mut state = match self.0.cache.look(session, Instant::now(), begin) {
            Lookup::Found(state) => state,
            Lookup::Started { permit, last, publisher, state } => {
                let this = self.clone();
                tokio::spawn(async move { this.render_and_publish(session, permit, last, publisher).await });
                state
            }
            Lookup::Full => return Err(Refusal::Busy),
        };
        // Its publisher is dropped without a state only when the making panicked.
        let published = state.wait_for(Option::is_some).await.map_err(|_| Refusal::Unreadable)?;
        published.as_ref().map_or(Err(Refusal::Unreadable), |made| made.outcome.clone())
    }

    async fn render_and_publish(
        self,
        session: SessionId,
        permit: OwnedSemaphorePermit,
        last: Option<Arc<Rendered>>,
        publisher: watch::Sender<State>,
    ) {
        let (rendered, ended) = self.render(session, last).await;
        // Before it is published: whoever waited for it may ask for another at once.
        drop(permit);
        publisher.send_replace(Some(Arc::new(rendered)));
        if let Some(ended) = ended {
            self.keep_until_ended(session, &publisher, ended).await;
        }
    }

    async fn render(
        &self,
        session: SessionId,
        last: Option<Arc<Rendered>>,
    ) -> (Rendered, Option<watch::Receiver<()>>) {
        let metrics = &self.0.metrics;
        let refused = |refusal: Refusal, until| {
            metrics.count(refusal.outcome());
            (Rendered { outcome: Err(refusal), frame: None, until: Instant::now() + until }, None)
        };
        let (annex_b, ended) = match self.key_frame(session).await {
            Ok(KeyFrame::Here { annex_b, ended }) => (annex_b, ended),
            // No media: it starts, or is over in this moment.
            Ok(KeyFrame::NotYet) | Err(_) => return refused(Refusal::NotYet, RETRY_NOT_YET),
            Ok(KeyFrame::Unshown(codec)) => return refused(Refusal::Codec(codec), LIFE),
        };
        let frame = cache::digest(&annex_b);
        // The same frame, of a game that stands still, is the same picture, and the same failure.
        if let Some(last) = last.filter(|last| last.frame == Some(frame)) {
            metrics.count(Outcome::Unchanged);
            let outcome = last.outcome.clone();
            return (Rendered { outcome, frame: Some(frame), until: Instant::now() + LIFE }, Some(ended));
        }
        let outcome = match self.0.children.acquire().await {
            Ok(_turn) => child::make(&self.0.program, &annex_b).await,
            // It is never closed.
            Err(_) => Err(Refusal::Busy),
        };
        metrics.count(outcome.as_ref().map_or_else(|refusal| refusal.outcome(), |_| Outcome::Made));
        (Rendered { outcome, frame: Some(frame), until: Instant::now() + LIFE }, Some(ended))
    }

    /// The newest there is, and a newer one where that is old and another can be had soon.
    async fn key_frame(&self, session: SessionId) -> Result<KeyFrame, RelayError> {
        let fresh = self.0.source.key_frame(session, true);
        if let Ok(answer) = tokio::time::timeout(FRESH_WITHIN, fresh).await {
            return answer;
        }
        let newest = self.0.source.key_frame(session, false);
        tokio::time::timeout(FRESH_WITHIN, newest).await.unwrap_or(Ok(KeyFrame::NotYet))
    }

    /// Evicts the picture at the session's end, unless another has taken its place by then.
    async fn keep_until_ended(
        &self,
        session: SessionId,
        publisher: &watch::Sender<State>,
        mut ended: watch::Receiver<()>,
    ) {
        tokio::select! {
            // Never changes; fails when the session's media is gone.
            _ = ended.changed() => self.0.cache.remove(session, publisher),
            // No receiver is left: it was evicted.
            () = publisher.closed() => {}
        }
    }
}
