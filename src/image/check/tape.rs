//! What is recorded of a runner while it is watched, and waiting for what is not there yet.
//!
//! Everybody who records or waits holds the same tape; its lock is never held across an await.

use super::facts::{ControlFacts, EarlyEnd, PictureFacts};
use super::media::{AudioTape, VideoTape};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Everything recorded so far.
#[derive(Debug, Default)]
pub(super) struct Tape {
    pub(super) control: ControlFacts,
    pub(super) video: VideoTape,
    pub(super) audio: AudioTape,
    pub(super) pictures: PictureFacts,
    pub(super) ended: Option<EarlyEnd>,
    /// Where video comes from, and feedback goes to.
    pub(super) from: Option<SocketAddr>,
}

/// The tape with its clock; cheap to clone.
#[derive(Clone)]
pub(super) struct Recorder {
    tape: Arc<Mutex<Tape>>,
    news: Arc<Notify>,
    start: Instant,
}

impl Recorder {
    pub(super) fn new() -> Self {
        Self { tape: Arc::default(), news: Arc::default(), start: Instant::now() }
    }

    pub(super) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    pub(super) fn tape(&self) -> MutexGuard<'_, Tape> {
        self.tape.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self, change: impl FnOnce(&mut Tape)) {
        change(&mut self.tape());
        self.news.notify_waiters();
    }

    /// Waits until the tape shows it, or the instance has ended, or the time is up.
    pub(super) async fn wait<T>(&self, limit: Duration, seen: impl Fn(&Tape) -> Option<T>) -> Option<T> {
        let waited = tokio::time::timeout(limit, async {
            loop {
                let news = self.news.notified();
                tokio::pin!(news);
                news.as_mut().enable();
                {
                    let tape = self.tape();
                    if let Some(found) = seen(&tape) {
                        return Some(found);
                    }
                    if tape.ended.is_some() {
                        return None;
                    }
                }
                news.await;
            }
        });
        waited.await.ok().flatten()
    }
}
