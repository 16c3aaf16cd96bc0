//! Who joins and leaves sessions, noted behind their actors: players' input does not wait for the disk. Of an organisation's
//! sessions they are on its list of players too, under the same names, for as long as they play (contract G-5, G-6).

use super::hosted::MAX_PLAYERS;
use crate::model::Millis;
use crate::model::events::EventKind;
use crate::model::ids::SessionId;
use crate::store::{Store, StoreError};
use prometheus_client::metrics::counter::Counter;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Notes waiting to be written. When it is full, notes are dropped and counted.
const NOTES: usize = 1024;

/// Somebody began to play, or does no longer.
#[derive(Debug)]
pub(super) struct Note {
    pub(super) session: SessionId,
    pub(super) kind: EventKind,
    pub(super) player: String,
    pub(super) at: Millis,
    /// The session is an organisation's, with a list of players.
    pub(super) listed: bool,
    /// It is news, and not only for the list.
    pub(super) told: bool,
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
            while let Some(note) = waiting.recv().await {
                if let Err(error) = write(store.as_ref(), &note).await {
                    tracing::warn!(session = %note.session, %error, "a player's coming or going could not be noted");
                }
            }
        });
        Self { notes, dropped }
    }

    pub(super) fn note(&self, note: Note) {
        if self.notes.try_send(note).is_err() {
            self.dropped.inc();
        }
    }
}

async fn write(store: &dyn Store, note: &Note) -> Result<(), StoreError> {
    let Note { session, kind, player, at, listed, told } = note;
    if *listed {
        let player = std::slice::from_ref(player);
        if *kind == EventKind::PlayerJoined {
            // A roster that is full stays as it is.
            store.join_players(*session, player, MAX_PLAYERS, *at).await?;
        } else {
            store.leave_players(*session, player).await?;
        }
    }
    if *told {
        store.note_player(*session, *kind, player, *at).await?;
    }
    Ok(())
}
