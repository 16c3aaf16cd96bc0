//! Still pictures of running sessions: the newest key frame as a small JPEG.
//!
//! Must hold: a game's bytes are decoded in a [`child`] process and nowhere else; one picture of a session is made at a
//! time and at most once in [`LIFE`], whoever asks; what is kept is bounded and ends with its session. Knows no people:
//! who may see a session is settled before.

mod child;
pub mod inside;
mod metrics;
pub mod picture;
mod shelf;

use crate::ids::SessionId;
use crate::relay::{Codec, KeyFrame, Relay, RelayError};
use bytes::Bytes;
use metrics::{Metrics, Outcome};
use prometheus_client::registry::Registry;
use shelf::{Look, Made, Shelf, Shown};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// A picture, and a refusal of one, is good for this long.
pub const LIFE: Duration = Duration::from_secs(10);
/// But this long when there was none yet.
const SOON: Duration = Duration::from_secs(1);
/// Child processes at once.
const AT_ONCE: usize = 2;
/// Pictures being made, those that wait for their child included. One more is refused, and counted.
const UNDER_WAY: usize = 16;
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

/// Why there is no picture, in words for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("The game has shown no picture yet.")]
    NotYet,
    #[error("The game's pictures are sent as {}, and none can be made of that.", .0.name())]
    Codec(Codec),
    #[error("The game's picture cannot be read.")]
    Unreadable,
    #[error("The game's picture took too long to read.")]
    Slow,
    #[error("Too many pictures are being made at the moment.")]
    Busy,
}

impl Refusal {
    /// When asking again may help.
    pub fn retry_after(self) -> Duration {
        match self {
            Self::NotYet => SOON,
            Self::Busy => Duration::from_secs(2),
            Self::Unreadable | Self::Slow => LIFE,
            // Not before the game is another one.
            Self::Codec(_) => Duration::from_secs(60),
        }
    }

    fn outcome(self) -> Outcome {
        match self {
            Self::NotYet => Outcome::NotYet,
            Self::Codec(_) => Outcome::Codec,
            Self::Unreadable => Outcome::Unreadable,
            Self::Slow => Outcome::Slow,
            Self::Busy => Outcome::Busy,
        }
    }
}

/// Makes pictures and keeps them for a while. Cheap to clone.
#[derive(Clone)]
pub struct Thumbnailer(Arc<Inner>);

struct Inner {
    source: Arc<dyn KeyFrames>,
    /// This very binary: `PROGRAM thumbnail`.
    program: PathBuf,
    shelf: Shelf,
    under_way: Arc<Semaphore>,
    at_once: Semaphore,
    metrics: Metrics,
}

impl Thumbnailer {
    pub fn new(source: Arc<dyn KeyFrames>, program: PathBuf, registry: &mut Registry) -> Self {
        Self(Arc::new(Inner {
            source,
            program,
            shelf: Shelf::default(),
            under_way: Arc::new(Semaphore::new(UNDER_WAY)),
            at_once: Semaphore::new(AT_ONCE),
            metrics: Metrics::register(registry),
        }))
    }

    /// The session's picture, as JPEG of at most [`picture::WIDTH`]. A caller that goes away does not stop the making.
    pub async fn get(&self, session: SessionId) -> Result<Bytes, Refusal> {
        let begin = || {
            let place = Arc::clone(&self.0.under_way).try_acquire_owned();
            place.map_err(|_| self.0.metrics.count(Outcome::Busy)).ok()
        };
        let mut shown = match self.0.shelf.look(session, Instant::now(), begin) {
            Look::Here(shown) => shown,
            Look::Begun { place, last, tell, shown } => {
                let this = self.clone();
                tokio::spawn(async move { this.fly(session, place, last, tell).await });
                shown
            }
            Look::Full => return Err(Refusal::Busy),
        };
        // It ends without a word only when the making panicked.
        let told = shown.wait_for(Option::is_some).await.map_err(|_| Refusal::Unreadable)?;
        told.as_ref().map_or(Err(Refusal::Unreadable), |made| made.outcome.clone())
    }

    async fn fly(
        self,
        session: SessionId,
        place: OwnedSemaphorePermit,
        last: Option<Arc<Made>>,
        tell: watch::Sender<Shown>,
    ) {
        let (made, ended) = self.make(session, last).await;
        // Its place first, so that who is told finds it free.
        drop(place);
        tell.send_replace(Some(Arc::new(made)));
        if let Some(ended) = ended {
            self.keep_until_ended(session, &tell, ended).await;
        }
    }

    async fn make(&self, session: SessionId, last: Option<Arc<Made>>) -> (Made, Option<watch::Receiver<()>>) {
        let metrics = &self.0.metrics;
        let refused = |refusal: Refusal, until| {
            metrics.count(refusal.outcome());
            (Made { outcome: Err(refusal), frame: None, until: Instant::now() + until }, None)
        };
        let (annex_b, ended) = match self.key_frame(session).await {
            Ok(KeyFrame::Here { annex_b, ended }) => (annex_b, ended),
            // No media: it starts, or is over in this moment.
            Ok(KeyFrame::NotYet) | Err(_) => return refused(Refusal::NotYet, SOON),
            Ok(KeyFrame::Unshown(codec)) => return refused(Refusal::Codec(codec), LIFE),
        };
        let frame = shelf::digest(&annex_b);
        // The same frame, of a game that stands still, is the same picture, and the same failure.
        if let Some(last) = last.filter(|last| last.frame == Some(frame)) {
            metrics.count(Outcome::Unchanged);
            let outcome = last.outcome.clone();
            return (Made { outcome, frame: Some(frame), until: Instant::now() + LIFE }, Some(ended));
        }
        let outcome = match self.0.at_once.acquire().await {
            Ok(_turn) => child::make(&self.0.program, &annex_b).await,
            // Nobody closes it.
            Err(_) => Err(Refusal::Busy),
        };
        metrics.count(outcome.as_ref().map_or_else(|refusal| refusal.outcome(), |_| Outcome::Made));
        (Made { outcome, frame: Some(frame), until: Instant::now() + LIFE }, Some(ended))
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

    /// Takes the picture off the shelf at the session's end, unless another has taken its place by then.
    async fn keep_until_ended(
        &self,
        session: SessionId,
        tell: &watch::Sender<Shown>,
        mut ended: watch::Receiver<()>,
    ) {
        tokio::select! {
            // Never changes; fails when the session's media is gone.
            _ = ended.changed() => self.0.shelf.remove(session, tell),
            // Nobody holds its other end: it is off the shelf.
            () = tell.closed() => {}
        }
    }
}
