//! The end of a session, in the contract's order: save flushed, game stopped, save stored, media closed.
//!
//! Runs to its end whatever fails on the way; what failed is told.

use super::context::Context;
use super::ports::RunnerLink;
use crate::control::ControlEvent;
use crate::driver::{Instance, Usage};
use crate::ids::{SessionId, SlotId};
use playgate_signaling::runner::{GatewayMessage, RunnerMessage};
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

pub(super) struct Teardown {
    pub(super) context: Arc<Context>,
    pub(super) session: SessionId,
    pub(super) slot: SlotId,
    /// Absent when the launch did not come so far.
    pub(super) instance: Option<Box<dyn Instance>>,
    pub(super) link: Option<Box<dyn RunnerLink>>,
    /// The game ended by itself already: there is nobody to ask.
    pub(super) game_is_gone: bool,
    /// Another gateway has taken the session over: its save is not ours to store.
    pub(super) fenced: bool,
}

#[derive(Debug, Default)]
pub(super) struct TornDown {
    pub(super) usage: Option<Usage>,
    /// The slot holds what the game left.
    pub(super) saved: bool,
}

impl Teardown {
    pub(super) async fn run(mut self) -> TornDown {
        let mut done = TornDown::default();
        if let Some(instance) = self.instance.take() {
            if !self.game_is_gone {
                self.flush_save().await;
            }
            let grace = Duration::from_millis(self.context.config.stop_grace_ms);
            done.usage = Some(instance.stop(grace).await.usage);
            done.saved = !self.fenced && self.store_save().await;
        }
        drop(self.link.take());
        self.context.media.close(self.session).await;
        let nothing_to_lose = done.saved || done.usage.is_none();
        self.context.leave_session_dir(self.session, nothing_to_lose);
        done
    }

    /// Asks for a save and waits for it, until the deadline or until there is nobody to wait for.
    async fn flush_save(&mut self) {
        let Some(link) = &mut self.link else { return };
        let sender = link.sender();
        if sender.send(GatewayMessage::FlushSave) {
            let deadline = Duration::from_millis(self.context.config.flush_timeout_ms);
            if tokio::time::timeout(deadline, saved(link.as_mut())).await.is_err() {
                tracing::warn!(session = %self.session, "the game did not flush its save in time");
            }
            sender.send(GatewayMessage::Shutdown);
        }
    }

    async fn store_save(&mut self) -> bool {
        let dir = self.context.save_dir(self.session);
        match self.context.saves.commit(self.slot, dir, self.context.clock.now_ms()).await {
            Ok(_) => true,
            Err(error) => {
                tracing::error!(session = %self.session, %error, "a save could not be stored; its files are put aside under `unsaved`");
                false
            }
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
