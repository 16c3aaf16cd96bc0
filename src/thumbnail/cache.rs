//! Pictures that are made or being made, by session. At most [`CAPACITY`]: the oldest is evicted.

use super::refusal::Refusal;
use crate::model::ids::SessionId;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::watch;

/// Sessions a picture, or a refusal of one, is kept of: at most so many times 256 KiB, mostly a tenth of that.
pub(super) const CAPACITY: usize = 256;

/// What came of making a picture.
#[derive(Debug)]
pub(super) struct Rendered {
    pub(super) outcome: Result<Bytes, Refusal>,
    /// Of which key frame; absent where there was none.
    pub(super) frame: Option<[u8; 32]>,
    pub(super) until: Instant,
}

/// Empty while it is being made.
pub(super) type State = Option<Arc<Rendered>>;

#[derive(Default)]
pub(super) struct Cache(Mutex<HashMap<SessionId, Entry>>);

struct Entry {
    state: watch::Receiver<State>,
    started: Instant,
}

/// What a lookup gives.
pub(super) enum Lookup<P> {
    /// It is there, or being made.
    Found(watch::Receiver<State>),
    /// The caller has to make it and to publish it.
    Started {
        permit: P,
        last: Option<Arc<Rendered>>,
        publisher: watch::Sender<State>,
        state: watch::Receiver<State>,
    },
    Full,
}

impl Entry {
    /// It is being made, or still young enough.
    fn is_good(&self, now: Instant) -> bool {
        match self.state.borrow().as_ref() {
            Some(made) => now < made.until,
            // A panic while it was made has dropped the publisher.
            None => self.is_under_way(),
        }
    }

    fn is_under_way(&self) -> bool {
        self.state.borrow().is_none() && self.state.has_changed().is_ok()
    }
}

impl Cache {
    /// What there is of a session; when there is nothing good, `begin` gives a permit to make one.
    pub(super) fn look<P>(
        &self,
        session: SessionId,
        now: Instant,
        begin: impl FnOnce() -> Option<P>,
    ) -> Lookup<P> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let old = entries.get(&session);
        if let Some(entry) = old.filter(|entry| entry.is_good(now)) {
            return Lookup::Found(entry.state.clone());
        }
        let Some(permit) = begin() else { return Lookup::Full };
        let last = old.and_then(|entry| entry.state.borrow().clone());
        let (publisher, state) = watch::channel(None);
        entries.insert(session, Entry { state: state.clone(), started: now });
        make_room(&mut entries);
        Lookup::Started { permit, last, publisher, state }
    }

    /// Only if it is still this one.
    pub(super) fn remove(&self, session: SessionId, publisher: &watch::Sender<State>) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.get(&session).is_some_and(|entry| entry.state.same_channel(&publisher.subscribe())) {
            entries.remove(&session);
        }
    }
}

/// What is under way stays; it is not many.
fn make_room(entries: &mut HashMap<SessionId, Entry>) {
    while entries.len() > CAPACITY {
        let finished = entries.iter().filter(|(_, entry)| !entry.is_under_way());
        let Some(oldest) = finished.min_by_key(|(_, entry)| entry.started).map(|(session, _)| *session)
        else {
            return;
        };
        entries.remove(&oldest);
    }
}

/// Identifies a key frame.
pub(super) fn digest(annex_b: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, annex_b).as_ref());
    digest
}
