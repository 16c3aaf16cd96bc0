//! Bits sent ahead of the bitrate.
//!
//! The encoder's rate control has a coarsest step. A picture that changes as a whole again and again costs more than the
//! bitrate even then, and on a full link what is too much becomes delay. So the video thread leaves pictures out while it
//! owes more than [`ALLOWED`] of what the bitrate gives: fewer frames, none of them late.

use std::time::{Duration, Instant};

/// Ahead of the bitrate by this is what a key frame or a cut may cost.
const ALLOWED: Duration = Duration::from_millis(100);
/// However large a picture was, the next one waits no longer for it.
const LONGEST: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(super) struct Debt {
    kbps: u32,
    /// When all that was sent will have had its time.
    paid: Option<Instant>,
}

impl Debt {
    pub(super) fn new(kbps: u32) -> Self {
        Self { kbps, paid: None }
    }

    /// From now on so much is paid; what is owed is bits, and takes the longer the less that is.
    pub(super) fn set_kbps(&mut self, now: Instant, kbps: u32) {
        if let Some(paid) = self.paid {
            let owed =
                paid.saturating_duration_since(now).mul_f64(f64::from(self.kbps) / f64::from(kbps.max(1)));
            self.paid = Some(now + owed.min(LONGEST));
        }
        self.kbps = kbps;
    }

    pub(super) fn sent(&mut self, now: Instant, bytes: usize) {
        let bits = u32::try_from(bytes * 8).unwrap_or(u32::MAX);
        let time = Duration::from_secs_f64(f64::from(bits) / (f64::from(self.kbps.max(1)) * 1000.0));
        let from = self.paid.map_or(now, |paid| paid.max(now));
        self.paid = Some((from + time).min(now + LONGEST));
    }

    /// When the next picture may be sent; `None`: now.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        self.paid.and_then(|paid| paid.checked_sub(ALLOWED)).filter(|at| *at > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Sends what it may of pictures of so many bytes, 60 a second for two seconds; gives kbit/s and the longest pause.
    fn sent(kbps: u32, bytes: usize) -> (usize, Duration) {
        let (start, mut debt, mut all) = (Instant::now(), Debt::new(kbps), 0);
        let (mut last, mut longest) = (start, Duration::ZERO);
        for at in (0..2000).step_by(16).map(|ms| start + ms * MS) {
            if debt.next(at).is_none() {
                debt.sent(at, bytes);
                all += bytes;
                longest = longest.max(at - last);
                last = at;
            }
        }
        (all * 8 / 2000, longest)
    }

    #[test]
    fn pictures_within_the_bitrate_are_never_left_out() {
        assert_eq!(sent(1000, 2000), (1000, 16 * MS));
    }

    #[test]
    fn pictures_too_large_for_the_bitrate_come_less_often_and_in_even_steps() {
        let (kbps, longest) = sent(500, 6000);
        assert!((480..=560).contains(&kbps), "{kbps} kbit/s");
        assert!(longest <= 112 * MS, "{longest:?}");
    }

    #[test]
    fn one_huge_picture_holds_the_next_for_less_than_half_a_second() {
        let (now, mut debt) = (Instant::now(), Debt::new(100));
        debt.sent(now, 1_000_000);
        assert_eq!(debt.next(now), Some(now + LONGEST - ALLOWED));
    }

    #[test]
    fn what_is_owed_takes_longer_at_less_and_is_soon_paid_at_more() {
        let (now, mut debt) = (Instant::now(), Debt::new(1000));
        debt.sent(now, 25_000);
        assert_eq!(debt.next(now), Some(now + 100 * MS));
        debt.set_kbps(now, 500);
        assert_eq!(debt.next(now), Some(now + 300 * MS));
        debt.set_kbps(now, 4000);
        assert_eq!(debt.next(now), None);
    }
}
