//! The archives of save versions: one compressed tar a version, under `saves/{slot}/{version}.tar.gz`.
//!
//! A version is there when its row is. The order of a commit (new file, sync, rename, sync of the directory, row) makes
//! every crash leave either the version or nothing but a stray file, which the next start removes. A version whose
//! bytes are not those of its row is passed over for the one before it, with an error in the log.
//!
//! An empty directory is a version, too: a game that deletes its last save must not get it back. Only a slot without any
//! version stays without one when a game leaves nothing.

mod archive;
pub(crate) mod fuzz;
mod owner;

pub use crate::save_tree::{LeftOut, SaveLimits, SaveRefused};
pub use owner::MAX_UPLOAD_BYTES;

use super::{DataDir, Store, StoreError};
use crate::config::SessionsConfig;
use crate::model::Millis;
use crate::model::ids::{SlotId, VersionId};
use crate::model::rows::VersionRow;
use crate::save_tree::TreeError;
use archive::{Empty, Packed};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    #[error("a save file cannot be read or written: {0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It never can be stored.
    #[error(transparent)]
    Refused(SaveRefused),
    /// There are versions, and none is intact. Nothing is thrown away.
    #[error("none of the {0} stored versions of this save can be read")]
    AllCorrupt(usize),
    #[error("this save version is damaged")]
    Damaged,
    /// An archive from outside that cannot be used: why, without a full stop.
    #[error("the archive cannot be used: {0}")]
    BadUpload(String),
}

impl From<TreeError> for SaveError {
    fn from(error: TreeError) -> Self {
        match error {
            TreeError::Io(error) => Self::Io(error),
            TreeError::Refused(refused) => Self::Refused(refused),
        }
    }
}

/// What came of storing a directory.
#[derive(Debug)]
pub struct Committed {
    /// The new version. Absent: everything is as in the newest one, or there is neither a save nor a version.
    pub version: Option<VersionRow>,
    /// What is in the directory and not in the version.
    pub left_out: LeftOut,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct SaveStore {
    inner: Arc<Inner>,
}

struct Inner {
    root: PathBuf,
    store: Arc<dyn Store>,
    limits: SaveLimits,
    /// Versions kept per slot, at least one.
    keep: usize,
}

impl SaveStore {
    /// Opens the archives of a data directory and removes what a crash left behind.
    pub async fn open(
        dir: &DataDir,
        store: Arc<dyn Store>,
        config: &SessionsConfig,
    ) -> Result<Self, SaveError> {
        let limits = SaveLimits {
            max_entries: usize::try_from(config.save_files).unwrap_or(usize::MAX),
            max_bytes: config.save_mb.saturating_mul(1024 * 1024),
        };
        Self::open_with(dir, store, config.save_versions, limits).await
    }

    /// As [`SaveStore::open`], with limits of one's own.
    pub async fn open_with(
        dir: &DataDir,
        store: Arc<dyn Store>,
        keep: u32,
        limits: SaveLimits,
    ) -> Result<Self, SaveError> {
        let root = dir.saves();
        fs::create_dir_all(&root)?;
        let keep = usize::try_from(keep.max(1)).unwrap_or(usize::MAX);
        let saves = Self { inner: Arc::new(Inner { root, store, limits, keep }) };
        saves.remove_strays().await?;
        Ok(saves)
    }

    /// What one save may hold.
    pub fn limits(&self) -> SaveLimits {
        self.inner.limits
    }

    /// Stores what is below `dir` as the slot's next version, unless nothing has changed.
    pub async fn commit(&self, slot: SlotId, dir: PathBuf, now: Millis) -> Result<Committed, SaveError> {
        let id = VersionId::new();
        let versions = self.inner.store.versions(slot).await?;
        let empty = if versions.is_empty() { Empty::Skip } else { Empty::Pack };
        let (packed, left_out) = self.pack(slot, id, dir, empty).await?;
        let Some(packed) = packed else { return Ok(Committed { version: None, left_out }) };
        if versions.first().is_some_and(|newest| newest.sha256 == packed.sha256 && self.is_intact(newest)) {
            fs::remove_file(self.unfinished(slot, id))?;
            return Ok(Committed { version: None, left_out });
        }
        self.publish(slot, id)?;
        let row = self.inner.store.insert_version(id, slot, packed.sha256, packed.bytes, now).await?;
        self.prune(versions).await;
        Ok(Committed { version: Some(row), left_out })
    }

    /// Brings the newest intact version into `target`, which becomes a new directory; an empty one when the slot holds
    /// no version.
    pub async fn restore(&self, slot: SlotId, target: PathBuf) -> Result<Option<VersionRow>, SaveError> {
        let versions = self.inner.store.versions(slot).await?;
        let count = versions.len();
        for version in versions {
            let saves = self.clone();
            let target = target.clone();
            let row = version.clone();
            match blocking(move || saves.unpack(&row, &target)).await {
                Ok(()) => return Ok(Some(version)),
                Err(error) => {
                    tracing::error!(%slot, version = version.number, %error, "a save version is damaged; trying the one before it");
                }
            }
        }
        if count > 0 {
            return Err(SaveError::AllCorrupt(count));
        }
        blocking(move || Ok(fs::create_dir_all(target)?)).await?;
        Ok(None)
    }

    /// Empties a slot. False, and nothing is done, while a session runs on it.
    pub async fn clear(&self, slot: SlotId) -> Result<bool, SaveError> {
        let Some(versions) = self.inner.store.clear_slot(slot).await? else { return Ok(false) };
        for version in versions {
            remove(&self.finished(slot, version.id));
        }
        Ok(true)
    }

    /// The archive of a version, whole and checked.
    pub fn path(&self, version: &VersionRow) -> Option<PathBuf> {
        self.is_intact(version).then(|| self.finished(version.slot, version.id))
    }

    async fn pack(
        &self,
        slot: SlotId,
        id: VersionId,
        dir: PathBuf,
        empty: Empty,
    ) -> Result<(Option<Packed>, LeftOut), SaveError> {
        let target = self.unfinished(slot, id);
        let slot_dir = self.slot_dir(slot);
        let limits = self.inner.limits;
        blocking(move || {
            fs::create_dir_all(slot_dir)?;
            let packed = archive::pack(&dir, &target, limits, empty);
            if packed.is_err() {
                remove(&target);
            }
            packed
        })
        .await
    }

    /// The rename that makes the archive whole or absent.
    fn publish(&self, slot: SlotId, id: VersionId) -> io::Result<()> {
        fs::rename(self.unfinished(slot, id), self.finished(slot, id))?;
        sync_dir(&self.slot_dir(slot))?;
        sync_dir(&self.inner.root)
    }

    fn unpack(&self, version: &VersionRow, target: &Path) -> Result<(), SaveError> {
        let file = self.finished(version.slot, version.id);
        let (sha256, bytes) = archive::hash_file(&file)?;
        if sha256 != version.sha256 || bytes != version.bytes {
            return Err(SaveError::Damaged);
        }
        let staging = target.with_extension("restoring");
        if staging.exists() {
            fs::remove_dir_all(&staging)?;
        }
        // It was within the limits of its time.
        archive::unpack(&file, &staging, SaveLimits::NONE)?;
        if target.exists() {
            fs::remove_dir_all(target)?;
        }
        Ok(fs::rename(staging, target)?)
    }

    fn is_intact(&self, version: &VersionRow) -> bool {
        archive::hash_file(&self.finished(version.slot, version.id))
            .is_ok_and(|(sha256, bytes)| sha256 == version.sha256 && bytes == version.bytes)
    }

    /// Forgets the oldest versions. Rows go first: a file without a row is a stray, a row without a file is damage.
    /// The slot's newest version was just added to `older`.
    async fn prune(&self, older: Vec<VersionRow>) {
        for version in older.into_iter().skip(self.inner.keep - 1) {
            match self.inner.store.delete_version(version.id).await {
                Ok(()) => remove(&self.finished(version.slot, version.id)),
                Err(error) => tracing::warn!(%error, "an old save version could not be forgotten"),
            }
        }
    }

    async fn remove_strays(&self) -> Result<(), SaveError> {
        let known: HashSet<PathBuf> = self
            .inner
            .store
            .all_versions()
            .await?
            .into_iter()
            .map(|version| self.finished(version.slot, version.id))
            .collect();
        for slot in fs::read_dir(&self.inner.root)? {
            let slot = slot?.path();
            if !slot.is_dir() {
                continue;
            }
            for file in fs::read_dir(slot)? {
                let file = file?.path();
                if !known.contains(&file) {
                    tracing::info!(file = %file.display(), "removing an unfinished save archive");
                    if file.is_dir() { fs::remove_dir_all(&file)? } else { remove(&file) }
                }
            }
        }
        Ok(())
    }

    fn slot_dir(&self, slot: SlotId) -> PathBuf {
        self.inner.root.join(slot.to_string())
    }

    fn finished(&self, slot: SlotId, id: VersionId) -> PathBuf {
        self.slot_dir(slot).join(format!("{id}.tar.gz"))
    }

    fn unfinished(&self, slot: SlotId, id: VersionId) -> PathBuf {
        self.slot_dir(slot).join(format!("{id}.tmp"))
    }
}

/// Archives are read and written on a thread that may wait for the disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SaveError> + Send + 'static,
) -> Result<T, SaveError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| SaveError::Io(io::Error::other(error)))?
}

fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(file = %path.display(), %error, "cannot remove a save archive"),
    }
}

#[cfg(test)]
mod tests;
