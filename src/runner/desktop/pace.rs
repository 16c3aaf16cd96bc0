//! When the next picture may be taken: at once after stillness, else so that no more come than were ordered.
//!
//! Pure. A game's own frames jitter around the same rate, so a picture may come up to half a period early after a late
//! one; over any longer time the rate holds.

use std::time::{Duration, Instant};

#[derive(Debug)]
pub(super) struct Pace {
    due: Option<Instant>,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { due: None }
    }

    /// When the next picture may be taken at the earliest; `None`: now.
    pub(super) fn wait_until(&self, now: Instant) -> Option<Instant> {
        self.due.filter(|due| *due > now)
    }

    /// A picture was taken, at most `fps` a second.
    pub(super) fn taken(&mut self, now: Instant, fps: u32) {
        let period = Duration::from_secs(1) / fps.max(1);
        self.due = Some(match self.due {
            Some(due) if now.saturating_duration_since(due) <= period / 2 => due + period,
            Some(_) | None => now + period,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_change_after_stillness_is_taken_at_once() {
        let start = Instant::now();
        let mut pace = Pace::new();
        assert_eq!(pace.wait_until(start), None);
        pace.taken(start, 50);
        assert_eq!(pace.wait_until(start), Some(start + Duration::from_millis(20)));
        assert_eq!(pace.wait_until(start + Duration::from_secs(3)), None);
    }

    #[test]
    fn changes_that_jitter_around_the_rate_are_all_taken_and_none_more() {
        let start = Instant::now();
        let mut pace = Pace::new();
        let mut taken = 0;
        let mut free = start;
        // Changes 20 ms apart, each a few milliseconds early or late.
        for index in 0..500_u64 {
            let change = start + Duration::from_millis(index * 20 + 5 + index * 7 % 5);
            let now = change.max(free);
            let at = pace.wait_until(now).unwrap_or(now);
            pace.taken(at, 50);
            free = at;
            taken += 1;
            assert!(at < change + Duration::from_millis(10), "change {index} waits");
        }
        assert_eq!(taken, 500);
        // Changes without end: never more than ordered.
        let (mut pace, mut at, mut count) = (Pace::new(), start, 0);
        while at < start + Duration::from_secs(2) {
            at = pace.wait_until(at).unwrap_or(at);
            pace.taken(at, 50);
            count += 1;
        }
        assert!((100..=101).contains(&count), "{count}");
    }
}
