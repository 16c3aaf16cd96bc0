//! After a gateway was killed, or a session's task has failed: ends what it left running, keeps what it left saved, closes its sessions.

use super::context::Context;
use super::machine::State;
use super::view::{EndReason, Milestone};
use crate::store::{Fenced, Figures, SessionRow};
use std::collections::HashSet;

/// Runs before the first launch, on a data directory that is ours alone.
pub(super) async fn recover(context: &Context) -> anyhow::Result<()> {
    std::fs::create_dir_all(context.data_dir.sessions())?;
    for row in context.store.active_sessions().await? {
        close(context, row, "The game server was restarted.").await?;
    }
    remove_strays(context)
}

/// Ends what plays the session, stores what it left and closes the row, for the given reason in words.
pub(super) async fn close(context: &Context, mut row: SessionRow, detail: &str) -> anyhow::Result<()> {
    let Some(generation) = context.store.take_over(row.id, row.generation).await? else { return Ok(()) };
    row.generation = generation;
    if let Some(instance) = &row.instance {
        let (events, _) = tokio::sync::mpsc::channel(1);
        let found = context.drivers.process.adopt(row.id, instance, events).await;
        tracing::debug!(session = %row.id, found = found.is_ok());
    }
    let saved = store_save(context, &row).await;
    let reason = row.end_reason.unwrap_or(EndReason::NodeLost);
    let now = context.clock.now_ms();
    let mut timeline = super::machine::Timeline::from(std::mem::take(&mut row.timeline));
    if saved {
        timeline.mark(Milestone::SaveStored, now);
    }
    timeline.mark(Milestone::Ended, now);
    row.timeline = timeline.entries().to_vec();
    row.status = State::Ended { reason, ran: row.ran }.status();
    row.end_reason = Some(reason);
    row.end_detail = row.end_detail.or_else(|| Some(detail.to_owned()));
    row.ended_at = Some(now);
    row.lease_until = None;
    row.instance = None;
    let duration_ms = now.saturating_sub(row.started_at).max(0);
    row.figures = Some(Figures {
        duration_s: u64::try_from(duration_ms / 1000).unwrap_or_default(),
        // As last noted; final figures there are none.
        cpu_seconds: row.figures.map_or(0.0, |figures| figures.cpu_seconds),
        peak_memory_bytes: row.figures.map_or(0, |figures| figures.peak_memory_bytes),
    });
    if context.store.update_session(&row).await? == Fenced::Written {
        context.leave_session_dir(row.id, saved);
        context.metrics.ended(reason);
    }
    Ok(())
}

/// Games write new and rename, so what bears its final name is whole. True when nothing is left to lose.
async fn store_save(context: &Context, row: &SessionRow) -> bool {
    let dir = context.save_dir(row.id);
    if !dir.is_dir() {
        return true;
    }
    match context.saves.commit(row.slot, dir, context.clock.now_ms()).await {
        Ok(_) => true,
        Err(error) => {
            tracing::error!(session = %row.id, %error, "a save could not be stored; its files are put aside under `unsaved`");
            false
        }
    }
}

/// Every active session was just closed, so whatever is left belongs to none.
fn remove_strays(context: &Context) -> anyhow::Result<()> {
    let strays: HashSet<_> = std::fs::read_dir(context.data_dir.sessions())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    for stray in strays {
        tracing::info!(path = %stray.display(), "removing what an ended session left");
        let removed =
            if stray.is_dir() { std::fs::remove_dir_all(&stray) } else { std::fs::remove_file(&stray) };
        if let Err(error) = removed {
            tracing::warn!(path = %stray.display(), %error, "a stray stays behind");
        }
    }
    Ok(())
}
