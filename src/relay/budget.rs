//! How much of something a viewer may have: so much at once, and so much more a second.
//!
//! Beside `playgate_signaling::bucket`, whose rate is fixed when it is made: here it may differ from one asking to the next,
//! as a link's rate and a viewer's role do.

use std::time::{Duration, Instant};

/// What is left, and when that was counted.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    left: f64,
    counted: Instant,
}

impl Budget {
    pub(super) fn new(now: Instant, left: f64) -> Self {
        Self { left, counted: now }
    }

    /// Takes one; false when there is none. `rate`: how many come back a second, up to `most`.
    pub(super) fn take(&mut self, now: Instant, rate: f64, most: f64) -> bool {
        let passed = now.saturating_duration_since(self.counted).as_secs_f64();
        self.left = (self.left + passed * rate).min(most);
        self.counted = now;
        let any = self.left >= 1.0;
        if any {
            self.left -= 1.0;
        }
        any
    }

    /// When there will be one, at this rate.
    pub(super) fn next(&self, rate: f64) -> Instant {
        self.counted + Duration::from_secs_f64((1.0 - self.left).max(0.0) / rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_up_comes_back_at_its_rate_and_no_higher_than_the_most() {
        let now = Instant::now();
        let mut budget = Budget::new(now, 2.0);
        assert!(budget.take(now, 4.0, 2.0) && budget.take(now, 4.0, 2.0) && !budget.take(now, 4.0, 2.0));
        let next = budget.next(4.0);
        assert_eq!(next, now + Duration::from_millis(250));
        assert!(!budget.take(next - Duration::from_millis(1), 4.0, 2.0));
        assert!(budget.take(next + Duration::from_millis(1), 4.0, 2.0));
        let later = now + Duration::from_secs(60);
        assert!(
            budget.take(later, 4.0, 2.0) && budget.take(later, 4.0, 2.0) && !budget.take(later, 4.0, 2.0)
        );
    }
}
