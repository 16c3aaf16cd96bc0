//! The end of a session, in the contract's order: save flushed, game stopped, save collected and stored, container
//! removed, media closed.
//!
//! Runs to its end whatever fails on the way, and reports what failed. A container whose save is not stored is kept.

use super::context::Context;
use super::keep::{self, KeepError};
use super::ports::RunnerLink;
use crate::control::ControlEvent;
use crate::driver::{Ended, Instance};
use crate::model::instance::InstanceRef;
use crate::model::rows::SessionRow;
use crate::model::session::SaveReport;
use playgate_signaling::runner::{GatewayMessage, RunnerMessage};
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

pub(super) struct Teardown {
    pub(super) context: Arc<Context>,
    /// As it is when the end begins.
    pub(super) row: SessionRow,
    /// Absent when the launch did not come so far.
    pub(super) instance: Option<Box<dyn Instance>>,
    pub(super) link: Option<Box<dyn RunnerLink>>,
    /// Between SIGTERM and SIGKILL.
    pub(super) grace: Duration,
    /// At once, without asking.
    pub(super) by_force: bool,
    /// The game ended by itself already: there is nobody to ask.
    pub(super) game_is_gone: bool,
    /// Another gateway has taken the session over: its save is not ours to store.
    pub(super) fenced: bool,
}

#[derive(Default)]
pub(super) struct TornDown {
    pub(super) ended: Option<Ended>,
    /// The slot holds what the game left.
    pub(super) saved: bool,
    /// What the player is told of it. Absent when there is no slot.
    pub(super) save: Option<SaveReport>,
    /// Why the slot does not hold it; what holds the save, when that is a container.
    pub(super) unsaved: Option<(KeepError, Option<Box<dyn Instance>>)>,
}

impl Teardown {
    pub(super) async fn run(mut self) -> TornDown {
        let mut done = TornDown::default();
        match self.instance.take() {
            Some(instance) => self.end(instance, &mut done).await,
            None => done.save = self.row.slot.map(|_| keep::UNCHANGED),
        }
        drop(self.link.take());
        self.context.media.close(self.row.id).await;
        let holds_the_save = match &done.unsaved {
            Some((_, container)) => container.is_none(),
            None => self.fenced && done.ended.is_some(),
        };
        self.context.leave_session_dir(self.row.id, holds_the_save);
        done
    }

    async fn end(&mut self, instance: Box<dyn Instance>, done: &mut TornDown) {
        let in_container = matches!(instance.reference(), Some(InstanceRef::Container { .. }));
        if self.fenced && in_container {
            // Another gateway plays on with it.
            return;
        }
        if !self.game_is_gone && !self.by_force {
            self.flush_save().await;
        }
        let grace = if self.by_force { Duration::ZERO } else { self.grace };
        done.ended = Some(instance.stop(grace).await);
        // A hosted session's container stays as it is, for its logs and artifacts.
        if self.fenced || self.row.hosted.is_some() {
            return;
        }
        match keep::keep(&self.context, &self.row, Some(instance.as_ref())).await {
            Ok(save) => {
                done.saved = true;
                done.save = save;
                keep::remove(instance.as_ref(), self.row.id).await;
            }
            Err(error) => {
                done.save = keep::not_stored(&self.context, &self.row, &error).await;
                done.unsaved = Some((error, in_container.then_some(instance)));
            }
        }
    }

    /// Asks for a save and waits for it, until the deadline or until there is nobody to wait for.
    async fn flush_save(&mut self) {
        let Some(link) = &mut self.link else { return };
        let sender = link.sender();
        if sender.send(GatewayMessage::FlushSave) {
            let deadline = Duration::from_millis(self.context.config.flush_timeout_ms);
            if tokio::time::timeout(deadline, saved(link.as_mut())).await.is_err() {
                tracing::warn!(session = %self.row.id, "the game did not flush its save in time");
            }
            sender.send(GatewayMessage::Shutdown);
        }
    }
}

async fn saved(link: &mut dyn RunnerLink) {
    loop {
        match poll_fn(|context| link.poll_event(context)).await {
            None
            | Some(
                ControlEvent::Disconnected
                | ControlEvent::Message(RunnerMessage::Saved | RunnerMessage::Exit { .. }),
            ) => return,
            Some(
                ControlEvent::Connected { .. }
                | ControlEvent::Message(
                    RunnerMessage::Hello { .. }
                    | RunnerMessage::Ready
                    | RunnerMessage::SaveDirty
                    | RunnerMessage::Cursor { .. }
                    | RunnerMessage::Rumble { .. }
                    | RunnerMessage::Health { .. },
                ),
            ) => {}
        }
    }
}
