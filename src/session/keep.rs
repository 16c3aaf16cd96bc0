//! Stores the save of an ended game as a version of its slot.
//!
//! A failure that may pass (a full disk, an engine that is away) is tried again a few times with growing pauses, and at each
//! start of a gateway; until then the row says so ([`SessionRow::unsaved`]). A failure that never passes (a save over its
//! limits) is not tried again. Either way the session ends, the version before stays untouched, and the save stays where it
//! is: in the stopped container or, of a child process, below `unsaved` in the data directory. A refused one is removed from
//! there by the janitor after the retention time.

use super::context::Context;
use crate::driver::{CollectError, DriverError, Instance};
use crate::model::Millis;
use crate::model::ids::{SessionId, SlotId};
use crate::model::instance::InstanceRef;
use crate::model::rows::{Fenced, SessionRow};
use crate::model::session::{SaveReport, SaveStatus};
use crate::save_tree::{LeftOut, SaveRefused};
use crate::store::{Committed, SaveError};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Of a save that waits.
const PENDING: &str =
    "Your last save could not be stored yet. It is kept and will be stored as soon as possible.";
const PREVIOUS: &str = "Your previous save is unchanged.";
const NO_PREVIOUS: &str = "There is no earlier save.";

pub(super) const UNCHANGED: SaveReport = SaveReport { status: SaveStatus::Unchanged, reason: None };

/// Pauses before further attempts.
const PAUSES: [Duration; 5] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(120),
    Duration::from_secs(600),
    Duration::from_secs(3600),
];

/// Why a save is not stored, for operators.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeepError {
    /// May pass: worth another try.
    #[error("{0}")]
    Passing(String),
    /// Never passes.
    #[error(transparent)]
    Refused(SaveRefused),
}

impl From<CollectError> for KeepError {
    fn from(error: CollectError) -> Self {
        match error {
            CollectError::Failed(error) => error.into(),
            CollectError::Refused(refused) => Self::Refused(refused),
        }
    }
}

impl From<DriverError> for KeepError {
    fn from(error: DriverError) -> Self {
        Self::Passing(format!("the game's save cannot be collected: {error}"))
    }
}

impl From<SaveError> for KeepError {
    fn from(error: SaveError) -> Self {
        match error {
            SaveError::Refused(refused) => Self::Refused(refused),
            SaveError::Io(_)
            | SaveError::Store(_)
            | SaveError::AllCorrupt(_)
            | SaveError::Damaged
            | SaveError::BadUpload(_) => Self::Passing(format!("the game's save cannot be stored: {error}")),
        }
    }
}

impl From<std::io::Error> for KeepError {
    fn from(error: std::io::Error) -> Self {
        SaveError::from(error).into()
    }
}

/// What follows a save that was not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    TryAgain,
    /// It can never be stored.
    GiveUp,
}

/// A save that waits.
pub(super) struct Unsaved {
    pub(super) row: SessionRow,
    /// The stopped container. Absent: the files are put aside.
    pub(super) instance: Option<Box<dyn Instance>>,
}

/// Stores the save of an ended instance. `None` when the session has no slot. Without an instance the session's directory is
/// stored if it is there: a launch that was cut short has none.
pub(super) async fn keep(
    context: &Context,
    row: &SessionRow,
    instance: Option<&dyn Instance>,
) -> Result<Option<SaveReport>, KeepError> {
    let dir = context.save_dir(row.id);
    let mut left_out = LeftOut::default();
    if let Some(instance) = instance {
        // A game may have removed its directory: that is an empty save, too.
        std::fs::create_dir_all(&dir)?;
        left_out = instance.collect_save(&dir, context.saves.limits()).await?;
    }
    let Some(slot) = row.slot else { return Ok(None) };
    if !dir.is_dir() {
        return Ok(Some(UNCHANGED));
    }
    let committed = context.saves.commit(slot, dir, context.clock.now_ms()).await?;
    Ok(Some(stored(row.id, left_out, &committed)))
}

fn stored(session: SessionId, collected: LeftOut, committed: &Committed) -> SaveReport {
    let left_out = collected.and(committed.left_out.clone());
    let status = if committed.version.is_some() { SaveStatus::Stored } else { SaveStatus::Unchanged };
    let reason = (!left_out.is_empty()).then(|| format!("{left_out}."));
    if let Some(reason) = &reason {
        tracing::warn!(%session, count = left_out.count(), reason, "a save holds what cannot be kept");
    }
    SaveReport { status, reason }
}

/// What the player is told of a save that is not stored; `None` when the session has no slot.
pub(super) async fn not_stored(context: &Context, row: &SessionRow, error: &KeepError) -> Option<SaveReport> {
    let versions = context.store.versions(row.slot?).await;
    // A database that does not answer is no reason to say that there is no save.
    let previous = if versions.is_ok_and(|versions| versions.is_empty()) { NO_PREVIOUS } else { PREVIOUS };
    Some(match error {
        KeepError::Passing(_) => {
            SaveReport { status: SaveStatus::Pending, reason: Some(format!("{PENDING} {previous}")) }
        }
        KeepError::Refused(refused) => {
            SaveReport { status: SaveStatus::Refused, reason: Some(format!("{refused}. {previous}")) }
        }
    })
}

/// Notes on the row of an ended session why its save is not stored.
pub(super) fn note(row: &mut SessionRow, error: &KeepError, now: Millis) -> Next {
    match error {
        KeepError::Passing(error) => {
            tracing::error!(session = %row.id, error, "a save could not be stored; it is kept and tried again");
            row.unsaved = Some(error.clone());
            Next::TryAgain
        }
        KeepError::Refused(refused) => {
            let kept_in = match &row.instance {
                Some(InstanceRef::Container { container }) => format!("container {container}"),
                Some(InstanceRef::Process { .. }) | None => format!("unsaved/{}", row.id),
            };
            tracing::warn!(session = %row.id, kept_in, %refused, "a save is refused; it is kept for the retention time");
            row.unsaved = None;
            row.save_refused_at = Some(now);
            Next::GiveUp
        }
    }
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

    /// True when there is nothing left to try: it is stored, or it never can be.
    pub(super) async fn try_again(&self, context: &Context) -> bool {
        let stored = match &self.instance {
            Some(instance) => self.collect_again(context, instance.as_ref()).await,
            None => self.commit_aside(context).await,
        };
        match stored {
            Ok(save) => {
                tracing::info!(session = %self.row.id, "a save that had to wait is stored");
                self.settle(context, save).await
            }
            Err(error @ KeepError::Refused(_)) => self.refuse(context, &error).await,
            Err(error @ KeepError::Passing(_)) => {
                tracing::warn!(session = %self.row.id, %error, "a save still cannot be stored");
                false
            }
        }
    }

    async fn collect_again(
        &self,
        context: &Context,
        instance: &dyn Instance,
    ) -> Result<Option<SaveReport>, KeepError> {
        let dir = context.session_dir(self.row.id);
        std::fs::create_dir_all(&dir)?;
        let save = dir.join("save");
        let stored = match instance.collect_save(&save, context.saves.limits()).await {
            Ok(left_out) => self.commit(context, save, left_out).await,
            Err(error) => Err(error.into()),
        };
        remove_dir(&dir);
        stored
    }

    async fn commit_aside(&self, context: &Context) -> Result<Option<SaveReport>, KeepError> {
        let dir = context.aside(self.row.id).join("save");
        if !dir.is_dir() {
            return Err(KeepError::Refused(SaveRefused::Gone));
        }
        self.commit(context, dir, LeftOut::default()).await
    }

    /// The slot may have been played on since: what came later stays the newest.
    async fn commit(
        &self,
        context: &Context,
        dir: PathBuf,
        left_out: LeftOut,
    ) -> Result<Option<SaveReport>, KeepError> {
        let Some(slot) = self.row.slot else { return Ok(None) };
        if !dir.is_dir() {
            return Ok(Some(UNCHANGED));
        }
        let newest = self.newest(context, slot).await?;
        let now = context.clock.now_ms();
        let committed = context.saves.commit(slot, dir, now).await?;
        if let (Some(newest), Some(_), Some(ended_at)) = (newest, &committed.version, self.row.ended_at)
            && newest.created_at > ended_at
        {
            context.saves.copy_in_use(&newest, now).await?;
        }
        Ok(Some(stored(self.row.id, left_out, &committed)))
    }

    async fn newest(
        &self,
        context: &Context,
        slot: SlotId,
    ) -> Result<Option<crate::model::rows::VersionRow>, KeepError> {
        let versions = context.store.versions(slot).await.map_err(SaveError::Store)?;
        Ok(versions.into_iter().next())
    }

    async fn settle(&self, context: &Context, save: Option<SaveReport>) -> bool {
        let mut row = self.row.clone();
        row.unsaved = None;
        row.instance = None;
        row.save = save;
        if !write(context, &row).await {
            return false;
        }
        if let Some(instance) = &self.instance {
            remove(instance.as_ref(), row.id).await;
        }
        remove_dir(&context.aside(row.id));
        true
    }

    /// The container, or what was put aside, stays for the retention time.
    async fn refuse(&self, context: &Context, error: &KeepError) -> bool {
        let mut row = self.row.clone();
        row.save = not_stored(context, &row, error).await;
        note(&mut row, error, context.clock.now_ms());
        let written = write(context, &row).await;
        context.kept_for_a_while.notify_one();
        written
    }
}

async fn write(context: &Context, row: &SessionRow) -> bool {
    match context.store.update_session(row).await {
        Ok(Fenced::Written | Fenced::Stale) => true,
        Err(error) => {
            tracing::warn!(session = %row.id, %error, "a session could not be written");
            false
        }
    }
}

/// What the previous gateway process could not store.
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
            unsaved.refuse(context, &KeepError::Refused(SaveRefused::Gone)).await;
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
    let driver = driver.ok_or_else(|| KeepError::Passing("no engine is configured".to_owned()))?;
    let (events, _) = tokio::sync::mpsc::channel(1);
    let Some(adopted) = driver.adopt(row.id, reference, events).await? else { return Ok(None) };
    if adopted.running {
        adopted.instance.stop(Duration::from_millis(context.config.stop_grace_ms)).await;
    }
    Ok(Some(adopted.instance))
}

/// What cannot be removed is removed as a stray at the next start.
pub(super) async fn remove(instance: &dyn Instance, session: SessionId) {
    if let Err(error) = instance.remove().await {
        tracing::warn!(%session, %error, "an ended game's container cannot be removed");
    }
}

pub(super) fn remove_dir(dir: &Path) {
    if dir.exists()
        && let Err(error) = std::fs::remove_dir_all(dir)
    {
        tracing::warn!(path = %dir.display(), %error, "a directory cannot be removed");
    }
}
