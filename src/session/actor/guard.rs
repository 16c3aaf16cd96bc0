//! What happens when a session's own task fails: the session ends all the same.
//!
//! A row that stayed active would keep its user and its slot out until the next start of the gateway. The game is gone by
//! then or about to go, because the task held it; what it had saved is kept. The session stays among the live ones until
//! its last row is written.

use super::super::context::Context;
use super::super::recover;
use super::super::settle::Retry;
use super::OnEnd;
use crate::model::ids::SessionId;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

const DETAIL: &str = "An error of the game server ended this session.";

pub(super) struct Guard {
    pub(super) context: Arc<Context>,
    pub(super) id: SessionId,
    pub(super) on_end: OnEnd,
    /// Between SIGTERM and SIGKILL.
    pub(super) grace: Duration,
}

impl Guard {
    pub(super) async fn watch(self, actor: JoinHandle<()>) {
        let Err(error) = actor.await else { return };
        if error.is_cancelled() {
            // The runtime ends, and with it the process: the next start recovers.
            return;
        }
        tracing::error!(session = %self.id, %error, "a session's task has failed; the session ends");
        let mut retry = Retry::default();
        while let Err(error) = self.close().await {
            let again = retry.failed(&self.context, self.id, &error);
            self.context.clock.sleep_until(again).await;
        }
        retry.succeeded(self.id);
        self.context.metrics.active.dec();
        (self.on_end)(self.id);
    }

    async fn close(&self) -> anyhow::Result<()> {
        let row = self.context.store.session(self.id).await?;
        if let Some(row) = row.filter(|row| row.ended_at.is_none()) {
            recover::close(&self.context, row, self.grace, DETAIL).await?;
        }
        self.context.media.close(self.id).await;
        Ok(())
    }
}
