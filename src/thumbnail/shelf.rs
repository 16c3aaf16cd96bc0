//! What has been made and what is being made, by session. No more than [`PLACES`]: the oldest gives way.

use super::{Bytes, Refusal, SessionId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::watch;

/// Sessions a picture, or a refusal of one, is kept of: at most so many times 256 KiB, mostly a tenth of that.
pub(super) const PLACES: usize = 256;

/// The end of one making.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) outcome: Result<Bytes, Refusal>,
    /// Of which key frame; absent where there was none.
    pub(super) frame: Option<[u8; 32]>,
    pub(super) until: Instant,
}

/// Empty while it is being made.
pub(super) type Shown = Option<Arc<Made>>;

#[derive(Default)]
pub(super) struct Shelf(Mutex<HashMap<SessionId, Entry>>);

struct Entry {
    shown: watch::Receiver<Shown>,
    begun: Instant,
}

/// What a look at the shelf gives.
pub(super) enum Look<P> {
    /// Made or being made.
    Here(watch::Receiver<Shown>),
    /// The caller is to make it and to tell it.
    Begun {
        place: P,
        last: Option<Arc<Made>>,
        tell: watch::Sender<Shown>,
        shown: watch::Receiver<Shown>,
    },
    Full,
}

impl Entry {
    /// Somebody makes it, or it is still good.
    fn is_good(&self, now: Instant) -> bool {
        match self.shown.borrow().as_ref() {
            Some(made) => now < made.until,
            // Nobody will ever tell it when the making panicked.
            None => self.is_under_way(),
        }
    }

    fn is_under_way(&self) -> bool {
        self.shown.borrow().is_none() && self.shown.has_changed().is_ok()
    }
}

impl Shelf {
    /// What there is of a session; when there is nothing good, `begin` gives a place among those under way.
    pub(super) fn look<P>(
        &self,
        session: SessionId,
        now: Instant,
        begin: impl FnOnce() -> Option<P>,
    ) -> Look<P> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let old = entries.get(&session);
        if let Some(entry) = old.filter(|entry| entry.is_good(now)) {
            return Look::Here(entry.shown.clone());
        }
        let Some(place) = begin() else { return Look::Full };
        let last = old.and_then(|entry| entry.shown.borrow().clone());
        let (tell, shown) = watch::channel(None);
        entries.insert(session, Entry { shown: shown.clone(), begun: now });
        make_room(&mut entries);
        Look::Begun { place, last, tell, shown }
    }

    /// Only if it is still this one.
    pub(super) fn remove(&self, session: SessionId, tell: &watch::Sender<Shown>) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.get(&session).is_some_and(|entry| entry.shown.same_channel(&tell.subscribe())) {
            entries.remove(&session);
        }
    }
}

/// What is under way stays; it is not many.
fn make_room(entries: &mut HashMap<SessionId, Entry>) {
    while entries.len() > PLACES {
        let finished = entries.iter().filter(|(_, entry)| !entry.is_under_way());
        let Some(oldest) = finished.min_by_key(|(_, entry)| entry.begun).map(|(session, _)| *session) else {
            return;
        };
        entries.remove(&oldest);
    }
}

/// By which a key frame is known again.
pub(super) fn digest(annex_b: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, annex_b).as_ref());
    digest
}
