//! What has to be written although the store fails for now: it is tried again until it is.
//!
//! Pauses grow to [`LONGEST_PAUSE`]. A failure is logged as an error at once and then every [`REMIND`]; how many sessions
//! wait for the store is the gauge `sessions_unwritten`.

use super::context::Context;
use super::machine::State;
use crate::model::ids::SessionId;
use crate::model::rows::SessionRow;
use crate::model::session::{EndReason, Milestone, Timeline};
use futures_util::future::BoxFuture;
use prometheus_client::metrics::gauge::Gauge;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
const REMIND: Duration = Duration::from_secs(60);

/// One thing that the store does not take: when to try again, and when to say so.
#[derive(Debug, Default)]
pub(super) struct Retry {
    failures: u32,
    reported: Option<Instant>,
    waiting: Option<Waiting>,
}

/// Counted in a gauge while it is held.
#[derive(Debug)]
struct Waiting(Gauge);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Retry {
    /// It failed since it last succeeded.
    pub(super) fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// Notes a failure; gives when to try again.
    pub(super) fn failed(&mut self, context: &Context, session: SessionId, error: &dyn Display) -> Instant {
        let now = context.clock.now();
        context.metrics.write_failures.inc();
        self.waiting.get_or_insert_with(|| {
            context.metrics.unwritten.inc();
            Waiting(context.metrics.unwritten.clone())
        });
        self.failures = self.failures.saturating_add(1);
        if self.reported.is_none_or(|last| now >= last + REMIND) {
            self.reported = Some(now);
            tracing::error!(%session, %error, failures = self.failures, "a session cannot be written; it is tried again");
        }
        let doubled = 2_u32.saturating_pow(self.failures - 1);
        now + FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)
    }

    pub(super) fn succeeded(&mut self, session: SessionId) {
        if self.failures > 0 {
            tracing::info!(%session, failures = self.failures, "a session is written after all");
        }
        *self = Self::default();
    }
}

/// Ends a session whose row may or may not have been entered when the store failed, and gives its place back.
pub(super) fn abandon(context: &Arc<Context>, mut row: SessionRow) {
    let (reason, now) = (EndReason::LaunchFailed, context.clock.now_ms());
    let state = State::Ended { reason, ran: false };
    let mut timeline = Timeline::from(std::mem::take(&mut row.timeline));
    timeline.mark(Milestone::Ended, now);
    row.timeline = timeline.entries().to_vec();
    (row.status, row.container) = (state.status(), state.container_status());
    (row.end_reason, row.ended_at, row.lease_until) = (Some(reason), Some(now), None);
    row.end_detail = Some("The game could not be started: the session could not be recorded.".to_owned());
    // No container was made; and below, its caller may use its id again.
    row.removed_at = row.hosted.as_ref().map(|_| now);
    until_done(context, row.id, move |context| {
        let row = row.clone();
        Box::pin(async move {
            context.store.update_session(&row).await?;
            if row.hosted.is_some() {
                context.store.forget_external_id(row.id, now).await?;
            }
            // A row that never came in has not given its place back.
            context.placement.release(row.id).await?;
            Ok(())
        })
    });
}

/// Gives back a place that no row holds.
pub(super) async fn give_place_back(context: &Arc<Context>, session: SessionId) {
    if context.placement.release(session).await.is_err() {
        until_done(context, session, move |context| {
            Box::pin(async move { Ok(context.placement.release(session).await.map(drop)?) })
        });
    }
}

/// Tries again in the background until it is done. Holds no strong reference while it sleeps, so that a gateway that
/// stops is not kept alive by what it cannot write.
fn until_done(
    context: &Arc<Context>,
    session: SessionId,
    attempt: impl Fn(Arc<Context>) -> BoxFuture<'static, anyhow::Result<()>> + Send + 'static,
) {
    let (weak, clock) = (Arc::downgrade(context), context.clock.clone());
    tokio::spawn(async move {
        let mut retry = Retry::default();
        while let Some(context) = weak.upgrade() {
            let Err(error) = attempt(Arc::clone(&context)).await else {
                return retry.succeeded(session);
            };
            let again = retry.failed(&context, session, &error);
            drop(context);
            clock.sleep_until(again).await;
        }
    });
}
