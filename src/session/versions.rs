//! The versions of a user's save slot: listed, downloaded, uploaded, gone back to. Owner only.

use super::access::{internal, time_of};
use super::error::ServiceError;
use super::service::Sessions;
use super::slots::no_slot;
use super::view::{SaveDownload, VersionView};
use crate::model::ids::{SlotId, UserId, VersionId};
use crate::model::rows::{SlotRow, VersionRow};
use crate::store::SaveError;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use std::io;

impl Sessions {
    /// Newest first.
    pub async fn save_versions(&self, user: &UserId, slot: SlotId) -> Result<Vec<VersionView>, ServiceError> {
        let slot = self.own_slot(user, slot).await?;
        let versions = self.context().store.versions(slot.id).await.map_err(internal)?;
        Ok(versions.iter().enumerate().map(|(index, version)| view(version, index == 0)).collect())
    }

    /// Makes a version the newest, as a copy; the newest stays as it is. `SlotInUse` while a session runs on the slot.
    pub async fn restore_version(
        &self,
        user: &UserId,
        slot: SlotId,
        version: VersionId,
    ) -> Result<VersionView, ServiceError> {
        let slot = self.own_slot(user, slot).await?;
        let (version, is_newest) = self.version(&slot, version).await?;
        if is_newest {
            let in_use = self.context().store.slot_in_use(slot.id).await.map_err(internal)?;
            return if in_use { Err(ServiceError::SlotInUse) } else { Ok(view(&version, true)) };
        }
        let copied = self.context().saves.copy(&version, self.context().clock.now_ms()).await;
        entered(copied)
    }

    /// The archive of a version, to be sent.
    pub async fn download_version(
        &self,
        user: &UserId,
        slot: SlotId,
        version: VersionId,
    ) -> Result<SaveDownload, ServiceError> {
        let slot = self.own_slot(user, slot).await?;
        let (version, _) = self.version(&slot, version).await?;
        let file = self.context().saves.open_version(&version).await.map_err(internal)?;
        let file = file.ok_or_else(damaged)?;
        let name = format!("{}-slot{}-v{}.tar.gz", slot.game, slot.number, version.number);
        Ok(SaveDownload { file, name, bytes: version.bytes })
    }

    /// Stores an uploaded `tar.gz` as the newest version. `SlotInUse` while a session runs on the slot.
    pub async fn upload_version(
        &self,
        user: &UserId,
        slot: SlotId,
        body: BoxStream<'static, io::Result<Bytes>>,
    ) -> Result<VersionView, ServiceError> {
        let slot = self.own_slot(user, slot).await?;
        // Checked again when it is entered; nobody should upload for nothing.
        if self.context().store.slot_in_use(slot.id).await.map_err(internal)? {
            return Err(ServiceError::SlotInUse);
        }
        let now = self.context().clock.now_ms();
        entered(self.context().saves.import(slot.id, body, now).await)
    }

    async fn own_slot(&self, user: &UserId, slot: SlotId) -> Result<SlotRow, ServiceError> {
        let row = self.context().store.slot(slot).await.map_err(internal)?;
        row.filter(|row| row.user == *user).ok_or_else(no_slot)
    }

    /// With whether it is the newest.
    async fn version(&self, slot: &SlotRow, id: VersionId) -> Result<(VersionRow, bool), ServiceError> {
        let versions = self.context().store.versions(slot.id).await.map_err(internal)?;
        let found = versions.into_iter().enumerate().find(|(_, version)| version.id == id);
        found
            .map(|(index, version)| (version, index == 0))
            .ok_or_else(|| ServiceError::NotFound("Save version not found.".to_owned()))
    }
}

fn entered(result: Result<Option<VersionRow>, SaveError>) -> Result<VersionView, ServiceError> {
    match result {
        Ok(Some(version)) => Ok(view(&version, true)),
        Ok(None) => Err(ServiceError::SlotInUse),
        Err(SaveError::Damaged) => Err(damaged()),
        Err(SaveError::BadUpload(why)) => {
            Err(ServiceError::InvalidRequest(format!("The archive cannot be used: {why}.")))
        }
        Err(
            error @ (SaveError::Io(_)
            | SaveError::Store(_)
            | SaveError::Refused(_)
            | SaveError::AllCorrupt(_)),
        ) => Err(internal(error)),
    }
}

fn damaged() -> ServiceError {
    ServiceError::NotFound("This save version is damaged and cannot be used.".to_owned())
}

fn view(version: &VersionRow, current: bool) -> VersionView {
    VersionView {
        id: version.id,
        number: version.number,
        created_at: time_of(version.created_at),
        bytes: version.bytes,
        sha256: version.sha256,
        current,
    }
}
