//! Removes in time what is kept of ended sessions: the stopped containers of hosted sessions (contract rule 15), and saves
//! that were refused, in their container or, of a child process, below `unsaved` in the data directory.

use super::context::Context;
use super::keep;
use crate::model::rows::SessionRow;
use std::sync::Arc;
use std::time::Duration;

const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Ends with its value.
pub(super) struct Janitor(tokio::task::AbortHandle);

impl Drop for Janitor {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Janitor {
    /// Holds no strong reference to the context while it sleeps, so that the data directory's lock is released at shutdown.
    pub(super) fn begin(context: &Arc<Context>) -> Self {
        let (clock, more) = (context.clock.clone(), Arc::clone(&context.kept_for_a_while));
        let context = Arc::downgrade(context);
        let task = tokio::spawn(async move {
            while let Some(context) = context.upgrade() {
                let pause = tidy(&context).await;
                drop(context);
                tokio::select! {
                    () = clock.sleep_until(clock.now() + pause) => {}
                    () = more.notified() => {}
                }
            }
        });
        Self(task.abort_handle())
    }
}

/// Gives how long to wait before the next look.
async fn tidy(context: &Context) -> Duration {
    let kept = match kept(context).await {
        Ok(kept) => kept,
        Err(error) => {
            tracing::error!(%error, "ended sessions cannot be looked through for what is to be removed");
            return LONGEST_SLEEP;
        }
    };
    let keep_ms = i64::try_from(context.hosting.config.retention_s.saturating_mul(1000)).unwrap_or(i64::MAX);
    let now = context.clock.now_ms();
    let mut pause = LONGEST_SLEEP;
    for row in kept {
        let Some(since) = row.save_refused_at.or(row.ended_at) else { continue };
        let left = since.saturating_add(keep_ms).saturating_sub(now);
        match u64::try_from(left) {
            Ok(left) if left > 0 => pause = pause.min(Duration::from_millis(left)),
            Ok(_) | Err(_) => remove(context, row).await,
        }
    }
    pause
}

async fn kept(context: &Context) -> crate::store::Result<Vec<SessionRow>> {
    let mut kept = context.store.retained_sessions(None).await?;
    kept.extend(context.store.refused_saves().await?);
    Ok(kept)
}

async fn remove(context: &Context, mut row: SessionRow) {
    if let Some(reference) = &row.instance {
        let Some(driver) = context.drivers.by_instance(reference) else { return };
        // It has ended: there are no events to listen to.
        let (events, _) = tokio::sync::mpsc::channel(1);
        let removed = match driver.adopt(row.id, reference, events).await {
            Ok(Some(found)) if found.running => {
                tracing::error!(session = %row.id, "the container of a session that has ended runs; it stays");
                return;
            }
            Ok(Some(found)) => found.instance.remove().await,
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = removed {
            tracing::warn!(session = %row.id, %error, "a stopped session's container cannot be removed; it is tried again");
            return;
        }
    }
    keep::remove_dir(&context.aside(row.id));
    row.instance = None;
    row.removed_at = Some(context.clock.now_ms());
    if let Err(error) = context.store.update_session(&row).await {
        tracing::error!(session = %row.id, %error, "a session could not be written");
    } else {
        tracing::info!(session = %row.id, "what was kept of a stopped session is removed");
    }
}
