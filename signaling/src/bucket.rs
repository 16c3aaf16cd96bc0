//! A token bucket without a clock of its own.

use std::time::{Duration, Instant};

/// Allows `burst` at once and one more every `interval`.
#[derive(Debug, Clone)]
pub struct Bucket {
    burst: u32,
    interval: Duration,
    /// When the bucket would be full again: the whole state (a generic cell rate algorithm).
    full_at: Instant,
}

impl Bucket {
    /// A full bucket. `burst` of 0 counts as 1.
    pub fn new(burst: u32, interval: Duration, now: Instant) -> Self {
        Self { burst: burst.max(1), interval, full_at: now }
    }

    /// Takes `cost` tokens; false, and nothing taken, when there are not as many.
    pub fn take(&mut self, now: Instant, cost: u32) -> bool {
        let full_at = self.full_at.max(now) + self.interval.saturating_mul(cost);
        if full_at.saturating_duration_since(now) > self.interval.saturating_mul(self.burst) {
            return false;
        }
        self.full_at = full_at;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_burst_and_then_one_an_interval() {
        let start = Instant::now();
        let mut bucket = Bucket::new(3, Duration::from_secs(1), start);
        assert!((0..3).all(|_| bucket.take(start, 1)));
        assert!(!bucket.take(start, 1));
        assert!(!bucket.take(start + Duration::from_millis(999), 1));
        assert!(bucket.take(start + Duration::from_secs(1), 1));
        assert!(!bucket.take(start + Duration::from_secs(1), 1));
        assert!(bucket.take(start + Duration::from_secs(60), 3));
        assert!(!bucket.take(start + Duration::from_secs(60), 1));
    }

    proptest! {
        #[test]
        fn never_more_than_burst_and_time_allow(steps in proptest::collection::vec(0u64..500, 1..200)) {
            let start = Instant::now();
            let mut bucket = Bucket::new(5, Duration::from_millis(100), start);
            let (mut at, mut taken) = (0, 0);
            for step in steps {
                at += step;
                taken += u64::from(bucket.take(start + Duration::from_millis(at), 1));
                prop_assert!(taken <= 5 + at / 100);
            }
        }
    }
}
