//! Removes the stopped containers of hosted sessions when their time is over (rule 15).

use super::super::context::Context;
use crate::store::SessionRow;
use std::sync::Arc;
use std::time::Duration;

const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Ends with its value.
pub(in crate::session) struct Janitor(tokio::task::AbortHandle);

impl Drop for Janitor {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Janitor {
    /// Keeps nothing of the gateway alive between two looks: its directory is the next one's at once.
    pub(in crate::session) fn begin(context: &Arc<Context>) -> Self {
        let (clock, ended) = (context.clock.clone(), Arc::clone(&context.hosted_ended));
        let context = Arc::downgrade(context);
        let task = tokio::spawn(async move {
            while let Some(context) = context.upgrade() {
                let pause = tidy(&context).await;
                drop(context);
                tokio::select! {
                    () = clock.sleep_until(clock.now() + pause) => {}
                    () = ended.notified() => {}
                }
            }
        });
        Self(task.abort_handle())
    }
}

/// Gives how long to wait before the next look.
async fn tidy(context: &Context) -> Duration {
    let retained = match context.store.retained_sessions(None).await {
        Ok(retained) => retained,
        Err(error) => {
            tracing::error!(%error, "stopped sessions cannot be looked through");
            return LONGEST_SLEEP;
        }
    };
    let keep_ms = i64::try_from(context.hosting.config.retention_s.saturating_mul(1000)).unwrap_or(i64::MAX);
    let now = context.clock.now_ms();
    let mut pause = LONGEST_SLEEP;
    for row in retained {
        let Some(ended_at) = row.ended_at else { continue };
        let left = ended_at.saturating_add(keep_ms).saturating_sub(now);
        match u64::try_from(left) {
            Ok(left) if left > 0 => pause = pause.min(Duration::from_millis(left)),
            Ok(_) | Err(_) => remove(context, row).await,
        }
    }
    pause
}

async fn remove(context: &Context, mut row: SessionRow) {
    if let Some(reference) = &row.instance {
        let Some(driver) = context.drivers.by_instance(reference) else { return };
        // Nobody listens: it has ended.
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
            tracing::warn!(session = %row.id, %error, "a stopped session's container stays behind; it is tried again");
            return;
        }
    }
    row.instance = None;
    row.removed_at = Some(context.clock.now_ms());
    if let Err(error) = context.store.update_session(&row).await {
        tracing::error!(session = %row.id, %error, "a session could not be written");
    } else {
        tracing::info!(session = %row.id, "a stopped session's container is removed");
    }
}
