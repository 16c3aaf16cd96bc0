//! What is told of a session's end: why its game ended, and what it used.

use super::machine::State;
use super::view::StopReport;
use crate::driver::{Ended, Usage};
use crate::model::Millis;
use crate::model::rows::{Figures, SessionRow};
use crate::model::session::{ContainerStatus, EndReason, Milestone};

/// Why a game that ended by itself did.
pub(super) fn verdict(
    code: Option<i32>,
    signal: Option<i32>,
    out_of_memory: bool,
) -> (EndReason, Option<String>) {
    match (code, signal) {
        _ if out_of_memory => (EndReason::OutOfMemory, Some("The game ran out of memory.".to_owned())),
        (Some(0), _) => (EndReason::GameExited, None),
        (Some(code), _) => (EndReason::GameCrashed, Some(format!("The game ended with code {code}."))),
        (None, Some(signal)) => {
            (EndReason::GameCrashed, Some(format!("The game was ended by signal {signal}.")))
        }
        (None, None) => (EndReason::GameCrashed, Some("The game ended.".to_owned())),
    }
}

/// The Session API's status: what ended with a code ended by itself, by error or without one (rule 17).
pub(super) fn container_status(state: State, row: &SessionRow) -> ContainerStatus {
    let code = row.figures.and_then(|figures| figures.exit_code);
    match state {
        State::Ended { reason: EndReason::GameCrashed, .. } if code.is_some() => ContainerStatus::Exited,
        State::Active { .. } | State::Ending { .. } | State::Ended { .. } => state.container_status(),
    }
}

/// Up to now. What was noted before is never taken back: a driver may not be able to tell any more.
pub(super) fn figures(row: &SessionRow, now: Millis, usage: Usage) -> Figures {
    let before = row.figures.unwrap_or_default();
    let duration_ms = now.saturating_sub(row.started_at).max(0);
    Figures {
        duration_s: u64::try_from(duration_ms / 1000).unwrap_or_default(),
        cpu_seconds: before.cpu_seconds.max(usage.cpu_seconds),
        peak_memory_bytes: before.peak_memory_bytes.max(usage.peak_memory_bytes),
        network_rx_bytes: before.network_rx_bytes.max(usage.network_rx_bytes),
        network_tx_bytes: before.network_tx_bytes.max(usage.network_tx_bytes),
        exit_code: before.exit_code,
        out_of_memory: before.out_of_memory,
    }
}

/// At the end. What a game told of its own end before counts more than how it was found.
pub(super) fn final_figures(row: &SessionRow, now: Millis, ended: Ended) -> Figures {
    let before = figures(row, now, ended.usage);
    Figures {
        exit_code: before.exit_code.or(ended.exit_code),
        out_of_memory: before.out_of_memory || ended.out_of_memory,
        ..before
    }
}

/// How long the game played, in milliseconds: without downloads and starting.
pub(super) fn played_ms(row: &SessionRow, now: Millis) -> i64 {
    let up = row.timeline.iter().find(|(milestone, _)| *milestone == Milestone::ContainerUp);
    now.saturating_sub(up.map_or(row.started_at, |(_, at)| *at)).max(0)
}

/// The stored figures (B8).
pub(crate) fn report(row: &SessionRow) -> StopReport {
    let figures = row.figures.unwrap_or_default();
    StopReport {
        duration: figures.duration_s,
        cpu_seconds: figures.cpu_seconds,
        peak_memory_mb: figures.peak_memory_bytes / (1024 * 1024),
        network_rx_bytes: figures.network_rx_bytes,
        network_tx_bytes: figures.network_tx_bytes,
        exit_code: figures.exit_code,
        out_of_memory: figures.out_of_memory,
        players_seen: u32::try_from(row.players.len()).unwrap_or(u32::MAX),
        quality: row.quality,
        save: row.save.clone(),
    }
}
