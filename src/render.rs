//! Times as the contracts write them: ISO 8601, UTC, with `Z`.

use time::{OffsetDateTime, UtcOffset};

/// Whole seconds (contract 1.1).
pub(super) fn seconds(at: OffsetDateTime) -> String {
    format!("{}Z", date_and_time(at))
}

/// With milliseconds, for the timeline.
pub(super) fn millis(at: OffsetDateTime) -> String {
    format!("{}.{:03}Z", date_and_time(at), at.millisecond())
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
