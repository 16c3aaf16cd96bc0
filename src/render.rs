//! Times as the contracts write them (ISO 8601, UTC, with `Z`), and what a session used.

use crate::model::quality::Quality;
use crate::model::session::SaveReport;
use crate::session::view::StopReport;
use serde_json::{Value, json};
use time::{OffsetDateTime, UtcOffset};

/// Whole seconds (contract 1.1).
pub(crate) fn seconds(at: OffsetDateTime) -> String {
    format!("{}Z", date_and_time(at))
}

/// With milliseconds, for the timeline.
pub(crate) fn millis(at: OffsetDateTime) -> String {
    format!("{}.{:03}Z", date_and_time(at), at.millisecond())
}

/// What an ended session used (contract B-4).
pub(crate) fn figures(report: &StopReport) -> Value {
    json!({
        "duration": report.duration,
        "cpuSeconds": report.cpu_seconds,
        "peakMemoryMb": report.peak_memory_mb,
        "networkRxBytes": report.network_rx_bytes,
        "networkTxBytes": report.network_tx_bytes,
        "exitCode": report.exit_code,
        "outOfMemory": report.out_of_memory,
        "playersSeen": report.players_seen,
        "save": save(report.save.as_ref()),
        "quality": quality(&report.quality),
    })
}

/// What became of the save: null while the session is active and where there is no slot.
pub(crate) fn save(report: Option<&SaveReport>) -> Value {
    report.map_or(Value::Null, |report| json!({ "status": report.status, "reason": report.reason }))
}

/// What viewers saw, by their own word; null is what nobody told.
pub(crate) fn quality(quality: &Quality) -> Value {
    json!({
        "timeToFirstFrameMs": quality.first_frame_ms,
        "watchedMs": quality.watched_ms,
        "frozenMs": quality.frozen_ms,
        "meanKbps": quality.mean_kbps(),
        "lossPercent": quality.loss_percent(),
        "roundTripMs": quality.round_trip_ms(),
        "transport": quality.transport,
        "viewersMost": quality.viewers_most,
        "inputs": quality.inputs,
    })
}

fn date_and_time(at: OffsetDateTime) -> String {
    let at = at.to_offset(UtcOffset::UTC);
    let (date, time) = (at.date(), at.time());
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
        date.year(),
        u8::from(date.month()),
        date.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_with_z() {
        let at = OffsetDateTime::from_unix_timestamp_nanos(1_700_000_000_042_900_000).unwrap();
        let elsewhere = at.to_offset(UtcOffset::from_hms(5, 30, 0).unwrap());
        assert_eq!(seconds(elsewhere), "2023-11-14T22:13:20Z");
        assert_eq!(millis(elsewhere), "2023-11-14T22:13:20.042Z");
    }
}
