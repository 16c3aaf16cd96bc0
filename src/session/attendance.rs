//! Who joins and leaves sessions, noted behind their actors: players' input does not wait for the disk.

use crate::ids::SessionId;
use crate::store::{EventKind, Millis, Store};
use prometheus_client::metrics::counter::Counter;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Notes waiting to be written. When it is full, notes are dropped and counted.
const NOTES: usize = 1024;

#[derive(Debug)]
struct Note {
    session: SessionId,
    kind: EventKind,
    player: String,
    at: Millis,
}

/// Writes notes in their order; ends with its value.
pub(super) struct Attendance {
    notes: mpsc::Sender<Note>,
    dropped: Counter,
}

impl Attendance {
    pub(super) fn begin(store: Arc<dyn Store>, dropped: Counter) -> Self {
        let (notes, mut waiting) = mpsc::channel::<Note>(NOTES);
        tokio::spawn(async move {
            while let Some(Note { session, kind, player, at }) = waiting.recv().await {
                if let Err(error) = store.note_player(session, kind, &player, at).await {
                    tracing::warn!(%session, %error, "a player's coming or going could not be noted");
                }
            }
        });
        Self { notes, dropped }
    }

    pub(super) fn note(&self, session: SessionId, kind: EventKind, player: String, at: Millis) {
        if self.notes.try_send(Note { session, kind, player, at }).is_err() {
            self.dropped.inc();
        }
    }
}
