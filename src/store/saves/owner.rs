//! What a slot's owner does with its versions: downloads, uploads and goes back to an older one.
//!
//! All of it makes new versions; none is ever changed. Nothing is entered while a session is on the slot, because that
//! session's own save would follow and hide it.

use super::archive::{self, Empty};
use super::{SaveError, SaveRefused, SaveStore, blocking, remove};
use crate::model::Millis;
use crate::model::ids::{SlotId, VersionId};
use crate::model::rows::VersionRow;
use futures_util::{Stream, StreamExt};
use std::fs;
use std::io;
use std::path::PathBuf;
use tokio::io::AsyncWriteExt;

/// Largest archive taken from outside, in bytes, compressed.
pub const MAX_UPLOAD_BYTES: u64 = 256 * 1024 * 1024;

/// A file that goes with this value, unless it was renamed away.
struct Staged(PathBuf);

impl Drop for Staged {
    fn drop(&mut self) {
        if self.0.is_dir() {
            // A stray is removed at the next start.
            let _ = fs::remove_dir_all(&self.0);
        } else {
            remove(&self.0);
        }
    }
}

impl SaveStore {
    /// Makes an older version the newest, as a copy. `None` while a session is on the slot.
    pub async fn copy(&self, version: &VersionRow, now: Millis) -> Result<Option<VersionRow>, SaveError> {
        let (slot, id) = (version.slot, VersionId::new());
        let staged = self.staged_copy(version, id).await?;
        let row = self.enter_if_idle(slot, id, version.sha256, version.bytes, now).await;
        drop(staged);
        row
    }

    /// As [`SaveStore::copy`], also while a session is on the slot.
    pub(crate) async fn copy_in_use(
        &self,
        version: &VersionRow,
        now: Millis,
    ) -> Result<VersionRow, SaveError> {
        let (slot, id) = (version.slot, VersionId::new());
        let _staged = self.staged_copy(version, id).await?;
        let older = self.inner.store.versions(slot).await?;
        self.publish(slot, id)?;
        let row = self.inner.store.insert_version(id, slot, version.sha256, version.bytes, now).await?;
        self.prune(older).await;
        Ok(row)
    }

    /// Stores an archive from outside as the slot's newest version. It is unpacked by the rules of a restore and packed
    /// anew, so that what is stored is an archive of our own. `None` while a session is on the slot.
    pub async fn import<S>(&self, slot: SlotId, body: S, now: Millis) -> Result<Option<VersionRow>, SaveError>
    where
        S: Stream<Item = io::Result<bytes::Bytes>> + Send + Unpin,
    {
        let id = VersionId::new();
        let upload = Staged(self.slot_dir(slot).join(format!("{id}.upload")));
        fs::create_dir_all(self.slot_dir(slot))?;
        receive(&upload.0, body).await?;
        let unpacked = Staged(self.slot_dir(slot).join(format!("{id}.unpacked")));
        let (archive, target, limits) = (upload.0.clone(), unpacked.0.clone(), self.inner.limits);
        blocking(move || archive::unpack(&archive, &target, limits).map_err(theirs)).await?;
        let (packed, _) = self.pack(slot, id, unpacked.0.clone(), Empty::Skip).await?;
        let packed = packed.ok_or_else(|| SaveError::BadUpload("there is nothing in it".to_owned()))?;
        let _staged = Staged(self.unfinished(slot, id));
        self.enter_if_idle(slot, id, packed.sha256, packed.bytes, now).await
    }

    /// The version's archive, opened; `None` when it is damaged.
    pub async fn open_version(&self, version: &VersionRow) -> Result<Option<fs::File>, SaveError> {
        let (saves, version) = (self.clone(), version.clone());
        blocking(move || Ok(saves.path(&version).map(fs::File::open).transpose()?)).await
    }

    async fn staged_copy(&self, version: &VersionRow, id: VersionId) -> Result<Staged, SaveError> {
        let (saves, version) = (self.clone(), version.clone());
        let staged = Staged(self.unfinished(version.slot, id));
        blocking(move || {
            let from = saves.path(&version).ok_or(SaveError::Damaged)?;
            fs::copy(from, &staged.0)?;
            fs::File::open(&staged.0)?.sync_all()?;
            Ok(staged)
        })
        .await
    }

    /// The rename comes first, as in a commit: a file without a row is a stray, a row without a file is damage.
    async fn enter_if_idle(
        &self,
        slot: SlotId,
        id: VersionId,
        sha256: [u8; 32],
        bytes: u64,
        now: Millis,
    ) -> Result<Option<VersionRow>, SaveError> {
        if self.inner.store.slot_in_use(slot).await? {
            return Ok(None);
        }
        let older = self.inner.store.versions(slot).await?;
        self.publish(slot, id)?;
        let entered = self.inner.store.insert_version_if_idle(id, slot, sha256, bytes, now).await;
        match entered {
            Ok(Some(row)) => {
                self.prune(older).await;
                Ok(Some(row))
            }
            other => {
                remove(&self.finished(slot, id));
                Ok(other?)
            }
        }
    }
}

async fn receive<S>(path: &std::path::Path, mut body: S) -> Result<(), SaveError>
where
    S: Stream<Item = io::Result<bytes::Bytes>> + Send + Unpin,
{
    let mut file = tokio::fs::File::create_new(path).await?;
    let mut received = 0_u64;
    while let Some(chunk) = body.next().await {
        let chunk =
            chunk.map_err(|error| SaveError::BadUpload(format!("it did not arrive whole ({error})")))?;
        received += chunk.len() as u64;
        if received > MAX_UPLOAD_BYTES {
            let mib = MAX_UPLOAD_BYTES / (1024 * 1024);
            return Err(SaveError::BadUpload(format!("it is larger than {mib} MiB")));
        }
        file.write_all(&chunk).await?;
    }
    Ok(file.flush().await?)
}

/// What goes wrong with an archive from outside is the archive's fault, unless it is this machine's.
fn theirs(error: SaveError) -> SaveError {
    match error {
        SaveError::Io(error)
            if !matches!(
                error.kind(),
                io::ErrorKind::StorageFull
                    | io::ErrorKind::QuotaExceeded
                    | io::ErrorKind::PermissionDenied
                    | io::ErrorKind::ReadOnlyFilesystem
                    | io::ErrorKind::OutOfMemory
            ) =>
        {
            SaveError::BadUpload(format!("it cannot be read as a tar.gz ({error})"))
        }
        SaveError::Refused(SaveRefused::TooManyFiles { limit, .. }) => {
            SaveError::BadUpload(format!("it holds more than {limit} files"))
        }
        SaveError::Refused(SaveRefused::TooLarge { .. }) => {
            SaveError::BadUpload("unpacked it is larger than a save may be".to_owned())
        }
        SaveError::Refused(SaveRefused::NameTooLong) => {
            SaveError::BadUpload("it holds a name that is too long".to_owned())
        }
        SaveError::Refused(SaveRefused::Unsafe(what)) => SaveError::BadUpload(what),
        SaveError::Io(_)
        | SaveError::Store(_)
        | SaveError::AllCorrupt(_)
        | SaveError::Damaged
        | SaveError::Refused(SaveRefused::Gone)
        | SaveError::BadUpload(_) => error,
    }
}
