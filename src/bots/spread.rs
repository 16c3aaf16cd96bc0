//! What is measured many times: a spread of durations, and how evenly something is shared out.
//!
//! A spread keeps counts by size, not values: two significant digits, from a microsecond to a minute, some kilobytes
//! however many values come.

use hdrhistogram::Histogram;
use std::time::Duration;

/// Longer ones count as this long.
const LONGEST: Duration = Duration::from_secs(60);

/// How durations are spread.
#[derive(Debug, Clone, Default)]
pub struct Spread(Option<Histogram<u32>>);

impl Spread {
    pub fn record(&mut self, value: Duration) {
        if self.0.is_none() {
            // Fails only for digits out of range.
            self.0 = Histogram::new(2).ok();
        }
        if let Some(histogram) = &mut self.0 {
            // It grows with its values, and a minute is within what it can grow to.
            let _ = histogram.record(micros(value.min(LONGEST)));
        }
    }

    pub fn merge(&mut self, other: &Self) {
        match (&mut self.0, &other.0) {
            // Both resize by themselves.
            (Some(own), Some(other)) => drop(own.add(other)),
            (own @ None, Some(_)) => own.clone_from(&other.0),
            (Some(_) | None, None) => {}
        }
    }

    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, Histogram::len)
    }

    /// The value that this share (0-1) of the values does not exceed; `None` without values.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let histogram = self.0.as_ref().filter(|histogram| !histogram.is_empty())?;
        Some(Duration::from_micros(histogram.value_at_quantile(share.clamp(0.0, 1.0))))
    }

    #[must_use]
    pub fn max(&self) -> Option<Duration> {
        self.quantile(1.0)
    }

    /// Points of the cumulative curve: milliseconds, and the share of values up to there.
    #[must_use]
    pub fn curve(&self) -> Vec<(f64, f64)> {
        let Some(histogram) = &self.0 else { return Vec::new() };
        let all = histogram.len().max(1) as f64;
        let mut sum = 0_u64;
        let mut points = Vec::new();
        for step in histogram.iter_recorded() {
            sum += step.count_since_last_iteration();
            points.push((step.value_iterated_to() as f64 / 1000.0, sum as f64 / all));
        }
        points
    }
}

fn micros(value: Duration) -> u64 {
    u64::try_from(value.as_micros()).unwrap_or(u64::MAX)
}

/// Jain's index of fairness: 1 when all shares are equal, 1/n when one has everything. `None` without shares, or when all
/// are zero.
#[must_use]
pub fn jain(shares: &[f64]) -> Option<f64> {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    (squares > 0.0).then(|| sum * sum / (shares.len() as f64 * squares))
}

/// The value that this share (0-1) of the values does not exceed.
#[must_use]
pub fn quantile(mut values: Vec<f64>, share: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the length")]
    let at = (share.clamp(0.0, 1.0) * values.len() as f64).ceil() as usize;
    values.get(at.saturating_sub(1).min(last)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_percent() {
        let mut spread = Spread::default();
        assert_eq!((spread.quantile(0.5), spread.count()), (None, 0));
        (1..=1000).for_each(|ms| spread.record(Duration::from_millis(ms)));
        let ms = |share| spread.quantile(share).unwrap().as_secs_f64() * 1000.0;
        assert!((495.0..=505.0).contains(&ms(0.5)), "{}", ms(0.5));
        assert!((980.0..=1000.0).contains(&ms(0.99)), "{}", ms(0.99));
        assert!((990.0..=1010.0).contains(&(spread.max().unwrap().as_secs_f64() * 1000.0)));
    }

    #[test]
    fn merged_spreads_hold_the_values_of_both() {
        let mut one = Spread::default();
        let mut other = Spread::default();
        one.merge(&other);
        other.record(Duration::from_millis(3));
        one.merge(&other);
        one.merge(&other);
        assert_eq!(one.count(), 2);
        one.record(Duration::from_secs(3600));
        assert!(one.max().unwrap() <= Duration::from_secs(61));
        assert_eq!(one.curve().last().unwrap().1, 1.0);
    }

    #[test]
    fn fairness_is_one_for_equals_and_a_share_for_a_monopoly() {
        assert_eq!(jain(&[3.0, 3.0, 3.0]), Some(1.0));
        assert_eq!(jain(&[8.0, 0.0, 0.0, 0.0]), Some(0.25));
        assert_eq!(jain(&[]), None);
        assert_eq!(jain(&[0.0]), None);
    }

    #[test]
    fn a_quantile_of_few_values_is_one_of_them() {
        assert_eq!(quantile(vec![], 0.5), None);
        assert_eq!(quantile(vec![3.0, 1.0, 2.0], 0.5), Some(2.0));
        assert_eq!(quantile(vec![3.0, 1.0, 2.0], 0.95), Some(3.0));
        assert_eq!(quantile(vec![3.0, 1.0, 2.0], 0.0), Some(1.0));
    }
}
