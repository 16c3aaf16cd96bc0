//! When a hosted session that failed is started again (`restart`, G30): with growing pauses, and not for ever.
//!
//! Pure: no clock of its own.

use std::time::Duration;
use tokio::time::Instant;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A container that ran for so long has started well: what comes after is a new failure.
const RAN_WELL: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(in crate::session) struct Restarts {
    /// In a row.
    failures: u32,
    up_since: Option<Instant>,
    due: Option<Instant>,
}

impl Restarts {
    pub(in crate::session) fn up(&mut self, now: Instant) {
        self.up_since = Some(now);
        self.due = None;
    }

    /// It failed. False: it has failed too often in a row to be started again.
    pub(in crate::session) fn failed(&mut self, now: Instant, limit: u32) -> bool {
        if self.up_since.take().is_some_and(|since| now >= since + RAN_WELL) {
            self.failures = 0;
        }
        if self.failures >= limit {
            self.due = None;
            return false;
        }
        let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(self.failures)).min(LONGEST_PAUSE);
        self.failures += 1;
        self.due = Some(now + pause);
        true
    }

    /// When it is to be started again.
    pub(in crate::session) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// True once, when it is time.
    pub(in crate::session) fn is_time(&mut self, now: Instant) -> bool {
        self.due.take_if(|due| now >= *due).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_come_to_an_end() {
        let mut restarts = Restarts::default();
        let mut now = Instant::now();
        for seconds in [1, 2, 4] {
            restarts.up(now);
            assert!(restarts.failed(now, 3));
            assert_eq!(restarts.due(), Some(now + Duration::from_secs(seconds)));
            assert!(!restarts.is_time(now));
            now += Duration::from_secs(seconds);
            assert!(restarts.is_time(now) && !restarts.is_time(now));
        }
        restarts.up(now);
        assert!(!restarts.failed(now, 3));
        assert_eq!(restarts.due(), None);
    }

    #[test]
    fn what_ran_well_begins_anew_and_no_pause_is_longer_than_a_minute() {
        let mut restarts = Restarts::default();
        let mut now = Instant::now();
        for _ in 0..20 {
            assert!(restarts.failed(now, 100));
        }
        assert_eq!(restarts.due(), Some(now + LONGEST_PAUSE));
        restarts.up(now);
        now += RAN_WELL;
        assert!(restarts.failed(now, 100));
        assert_eq!(restarts.due(), Some(now + FIRST_PAUSE));
    }
}
