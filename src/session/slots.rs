//! A user's save slots of a game: shown, chosen at launch, emptied.

use super::access::{internal, time_of};
use super::error::ServiceError;
use super::service::{LaunchRequest, Sessions, not_started};
use super::view::SlotView;
use crate::model::ids::{SlotId, UserId};
use crate::model::rows::{SlotRow, VersionRow};

impl Sessions {
    /// Always three, in order, empty ones too.
    pub async fn save_slots(&self, user: &UserId, slug: &str) -> Result<Vec<SlotView>, ServiceError> {
        let game = self.game(slug)?;
        let store = &self.context().store;
        let now = self.context().clock.now_ms();
        let mut views = Vec::new();
        for slot in store.slots(user, &game.view.slug, now).await.map_err(internal)? {
            let newest = self.newest_version(slot.id).await?;
            views.push(SlotView {
                id: slot.id,
                number: slot.number,
                empty: newest.is_none(),
                in_use: store.slot_in_use(slot.id).await.map_err(internal)?,
                updated_at: newest.as_ref().map(|version| time_of(version.created_at)),
                latest: newest.as_ref().map(|version| version.id),
                bytes: newest.as_ref().map(|version| version.bytes),
            });
        }
        Ok(views)
    }

    /// Empties a slot; it stays, under the same id. `SlotInUse` while a session runs on it.
    pub async fn delete_slot(&self, user: &UserId, slot: SlotId) -> Result<(), ServiceError> {
        let row = self.context().store.slot(slot).await.map_err(internal)?;
        if row.is_none_or(|row| row.user != *user) {
            return Err(no_slot());
        }
        if self.context().saves.clear(slot).await.map_err(internal)? {
            Ok(())
        } else {
            Err(ServiceError::SlotInUse)
        }
    }

    /// The slot a launch continues from or begins in (B3 to B6).
    pub(super) async fn choose_slot(
        &self,
        user: &UserId,
        request: &LaunchRequest,
    ) -> Result<SlotRow, ServiceError> {
        let now = self.context().clock.now_ms();
        let slots = self.context().store.slots(user, &request.game_slug, now).await;
        let mut slots = slots.map_err(not_started)?;
        if let Some(wanted) = request.save_slot {
            return slots.into_iter().find(|slot| slot.id == wanted).ok_or_else(no_slot);
        }
        if !request.fresh
            && let Some(last) =
                slots.iter().filter(|slot| slot.played_at.is_some()).max_by_key(|slot| slot.played_at)
        {
            return Ok(last.clone());
        }
        for index in 0..slots.len() {
            if self.newest_version(slots[index].id).await?.is_none() {
                return Ok(slots.swap_remove(index));
            }
        }
        let text = "All save slots of this game are in use. Delete one, or choose one with 'saveSlotId'.";
        Err(ServiceError::InvalidRequest(text.to_owned()))
    }

    async fn newest_version(&self, slot: SlotId) -> Result<Option<VersionRow>, ServiceError> {
        let versions = self.context().store.versions(slot).await.map_err(internal)?;
        Ok(versions.into_iter().next())
    }
}

/// The same for unknown slots, those of another game and those of another user (B6).
pub(super) fn no_slot() -> ServiceError {
    ServiceError::NotFound("Save slot not found.".to_owned())
}
