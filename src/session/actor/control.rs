//! Hand-overs of control: what the rules changed is carried out, then told.
//!
//! In this order: what the viewers held is released, the relay lets the right ones in, everybody is told. Input that is
//! still under way by then is dropped, as the roster decides whose it is.

use super::super::control::{Changed, NotAllowed};
use super::super::roster::Gone;
use super::super::view::Push;
use super::Actor;
use crate::model::ids::ViewerId;
use playgate_signaling::control::Wish;
use std::sync::Arc;
use std::time::Duration;

/// That the crowd grew or shrank alone is told after so long, once for all who came and went.
const CROWD_AFTER: Duration = Duration::from_millis(500);

impl Actor {
    pub(super) async fn on_wish(&mut self, viewer: ViewerId, wish: Wish<ViewerId>) -> Result<(), NotAllowed> {
        let now_ms = self.context.clock.now_ms();
        let changed = self.control.wish(&mut self.roster, now_ms, viewer, wish)?;
        self.hand_over(changed).await;
        Ok(())
    }

    /// Viewers are out of the roster, with the slots they had.
    pub(super) async fn gave_way(&mut self, gone: &[Gone]) {
        let mut changed = Changed::new();
        for (viewer, slot) in gone {
            changed.extend(self.control.left(&mut self.roster, *viewer, *slot));
        }
        self.hand_over(changed).await;
    }

    /// A viewer came in, or its picture is up: a slot may have waited for it.
    pub(super) async fn control_came(&mut self) {
        let changed = self.control.came(&mut self.roster);
        self.hand_over(changed).await;
    }

    pub(super) async fn end_hot_seats(&mut self, now_ms: i64) {
        if self.control.next_end().is_some_and(|at| at <= now_ms) {
            let changed = self.control.expire(&mut self.roster, now_ms);
            self.hand_over(changed).await;
        }
        if self.crowd_told_at.is_some_and(|at| at <= self.context.clock.now()) {
            self.crowd_told_at = None;
            self.push(Push::Control(self.standing.borrow().clone()));
        }
    }

    /// Viewers have other slots now, or none.
    async fn hand_over(&mut self, changed: Changed) {
        for viewer in &changed {
            let released = self.keys.gone(*viewer);
            self.route(released);
        }
        for viewer in &changed {
            self.tell_relay(*viewer).await;
            self.note_seat(*viewer);
        }
        if !changed.is_empty() {
            self.tell_slots();
        }
        self.tell_control();
    }

    /// Lets a viewer's input in by its slot.
    pub(super) async fn tell_relay(&mut self, viewer: ViewerId) {
        let Some(slot) = self.roster.get(viewer).filter(|known| known.has_media).map(|known| known.slot)
        else {
            return;
        };
        if let Err(error) = self.context.media.set_slot(self.row.id, viewer, slot).await {
            tracing::debug!(session = %self.row.id, %viewer, %error, "the relay does not know the viewer");
        }
    }

    /// Tells who plays, asks and watches, if that is news.
    pub(super) fn tell_control(&mut self) {
        let standing = Arc::new(self.control.standing(&self.roster));
        let before = self.standing.send_replace(Arc::clone(&standing));
        if standing.differs(&before) {
            self.crowd_told_at = None;
            self.push(Push::Control(standing));
        } else if standing.spectators() != before.spectators() {
            let soon = self.context.clock.now() + CROWD_AFTER;
            self.crowd_told_at.get_or_insert(soon);
        } else {
            return;
        }
        self.refresh();
    }
}
