//! Brings what an ended game left into its slot, and tries again when that failed: nothing is lost, and nothing newer
//! is hidden.
//!
//! A save that cannot be stored stays where it is, in the stopped container or, of a child process, below `unsaved` in
//! the data directory. The session ends all the same; its row says so ([`SessionRow::unsaved`]) until the save is in.
//! It is tried again a few times with growing pauses, and at each start of a gateway.

use super::context::Context;
use crate::driver::{Instance, InstanceRef};
use crate::ids::SessionId;
use crate::store::{Fenced, SessionRow};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// For the player, at the end of a session's detail.
const SENTENCE: &str = "Your last save could not be stored yet; it is kept, and will be stored as soon as possible. \
                        The save before it is untouched.";

/// In its place, when what waited was removed by somebody else.
const LOST: &str = "Your last save could not be stored. The save before it is untouched.";

/// Pauses before further attempts.
const PAUSES: [Duration; 5] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(120),
    Duration::from_secs(600),
    Duration::from_secs(3600),
];

/// Why, for operators.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeepError {
    #[error("the game's save cannot be collected: {0}")]
    Collect(#[from] crate::driver::DriverError),
    #[error("the game's save cannot be stored: {0}")]
    Store(#[from] crate::store::SaveError),
    #[error("the game's save cannot be stored: {0}")]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Unreachable(String),
}

/// A save that waits.
pub(super) struct Unsaved {
    pub(super) row: SessionRow,
    /// The stopped container. Absent: the files are put aside.
    pub(super) instance: Option<Box<dyn Instance>>,
}

/// The save of an ended instance, as a new version of its slot.
pub(super) async fn keep(
    context: &Context,
    row: &SessionRow,
    instance: Option<&dyn Instance>,
) -> Result<(), KeepError> {
    let dir = context.save_dir(row.id);
    if let Some(instance) = instance {
        std::fs::create_dir_all(context.session_dir(row.id))?;
        instance.collect_save(&dir).await?;
    }
    if let Some(slot) = row.slot
        && dir.is_dir()
    {
        context.saves.commit(slot, dir, context.clock.now_ms()).await?;
    }
    Ok(())
}

/// Notes on the row that its save waits, in words for the player too.
pub(super) fn note(row: &mut SessionRow, error: &KeepError) {
    tracing::error!(session = %row.id, %error, "a save could not be stored; it is kept and tried again");
    row.unsaved = Some(error.to_string());
    row.end_detail = Some(match row.end_detail.take() {
        Some(detail) if detail.contains(SENTENCE) => detail,
        Some(detail) => format!("{detail} {SENTENCE}"),
        None => SENTENCE.to_owned(),
    });
}

impl Unsaved {
    /// Tries again in the background.
    pub(super) fn retry(self, context: Arc<Context>) {
        let mut at = context.clock.now();
        tokio::spawn(async move {
            for pause in PAUSES {
                at += pause;
                context.clock.sleep_until(at).await;
                if self.try_again(&context).await {
                    return;
                }
            }
            tracing::error!(session = %self.row.id, "a save could not be stored; the next start tries again");
        });
    }

    /// True when it is done.
    pub(super) async fn try_again(&self, context: &Context) -> bool {
        let stored = match &self.instance {
            Some(instance) => self.collect_again(context, instance.as_ref()).await,
            None => self.commit_aside(context).await,
        };
        if let Err(error) = stored {
            tracing::warn!(session = %self.row.id, %error, "a save can still not be stored");
            return false;
        }
        tracing::info!(session = %self.row.id, "a save that had to wait is stored");
        self.settle(context, "").await
    }

    async fn collect_again(&self, context: &Context, instance: &dyn Instance) -> Result<(), KeepError> {
        let dir = context.session_dir(self.row.id);
        std::fs::create_dir_all(&dir)?;
        let stored = match instance.collect_save(&dir.join("save")).await {
            Ok(()) => self.commit(context, dir.join("save")).await,
            Err(error) => Err(error.into()),
        };
        remove_dir(&dir);
        stored
    }

    async fn commit_aside(&self, context: &Context) -> Result<(), KeepError> {
        let dir = context.aside(self.row.id).join("save");
        if dir.is_dir() { self.commit(context, dir).await } else { Ok(()) }
    }

    /// The slot may have been played on since: what came later stays the newest.
    async fn commit(&self, context: &Context, dir: PathBuf) -> Result<(), KeepError> {
        let Some(slot) = self.row.slot.filter(|_| dir.is_dir()) else { return Ok(()) };
        let internal = |error| KeepError::Store(crate::store::SaveError::Store(error));
        let newest = context.store.versions(slot).await.map_err(internal)?.into_iter().next();
        let now = context.clock.now_ms();
        let committed = context.saves.commit(slot, dir, now).await?;
        if let (Some(newest), Some(_), Some(ended_at)) = (newest, committed, self.row.ended_at)
            && newest.created_at > ended_at
        {
            context.saves.copy_in_use(&newest, now).await?;
        }
        Ok(())
    }

    async fn settle(&self, context: &Context, sentence: &str) -> bool {
        let mut row = self.row.clone();
        row.unsaved = None;
        row.instance = None;
        row.end_detail = row
            .end_detail
            .map(|detail| detail.replace(SENTENCE, sentence).trim().to_owned())
            .filter(|detail| !detail.is_empty());
        match context.store.update_session(&row).await {
            Ok(Fenced::Written | Fenced::Stale) => {}
            Err(error) => {
                tracing::warn!(session = %row.id, %error, "a session could not be written");
                return false;
            }
        }
        if let Some(instance) = &self.instance {
            remove(instance.as_ref(), row.id).await;
        }
        remove_dir(&context.aside(row.id));
        true
    }
}

/// What the gateway before this one could not store.
#[derive(Default)]
pub(super) struct Waiting {
    /// Reached, and still not stored.
    pub(super) retry: Vec<Unsaved>,
    /// Whose containers must stay.
    pub(super) keep: HashSet<SessionId>,
}

pub(super) async fn waiting(context: &Context) -> anyhow::Result<Waiting> {
    let mut waiting = Waiting::default();
    for row in context.store.unsaved_sessions().await? {
        let id = row.id;
        let instance = match find(context, &row).await {
            Ok(instance) => instance,
            Err(error) => {
                tracing::error!(session = %id, %error, "a save that waits cannot be reached");
                waiting.keep.insert(id);
                continue;
            }
        };
        let is_lost = instance.is_none() && !context.aside(id).is_dir();
        let unsaved = Unsaved { row, instance };
        if is_lost {
            tracing::error!(session = %id, "a save that waited is gone with its container");
            unsaved.settle(context, LOST).await;
        } else if !unsaved.try_again(context).await {
            waiting.keep.insert(id);
            waiting.retry.push(unsaved);
        }
    }
    Ok(waiting)
}

async fn find(context: &Context, row: &SessionRow) -> Result<Option<Box<dyn Instance>>, KeepError> {
    let Some(reference @ InstanceRef::Container { .. }) = &row.instance else { return Ok(None) };
    let driver = context.drivers.by_instance(reference);
    let driver = driver.ok_or_else(|| KeepError::Unreachable("no engine is configured".to_owned()))?;
    let (events, _) = tokio::sync::mpsc::channel(1);
    let Some(adopted) = driver.adopt(row.id, reference, events).await? else { return Ok(None) };
    if adopted.running {
        adopted.instance.stop(Duration::from_millis(context.config.stop_grace_ms)).await;
    }
    Ok(Some(adopted.instance))
}

/// What stays is a stray of the next start.
pub(super) async fn remove(instance: &dyn Instance, session: SessionId) {
    if let Err(error) = instance.remove().await {
        tracing::warn!(%session, %error, "an ended game's container stays behind");
    }
}

fn remove_dir(dir: &Path) {
    if dir.exists()
        && let Err(error) = std::fs::remove_dir_all(dir)
    {
        tracing::warn!(path = %dir.display(), %error, "a directory stays behind");
    }
}
