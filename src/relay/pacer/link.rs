//! What one viewer's link is taken to carry, and how much of that is used up already.
//!
//! A leaky bucket of bytes: what is sent fills it, the link empties it at its rate. It may be filled by [`BURST`] of the
//! rate at once, which is the most that the pacer ever adds to the queue before the link.
//!
//! The rate is what transport-wide feedback shows (players), or else what receiver reports do: of a link that goes on
//! losing much, what arrived is what it carries; without loss that grows again.

use std::time::{Duration, Instant};

/// How much may be sent ahead of the rate.
pub(super) const BURST: Duration = Duration::from_millis(40);
/// A link of which nothing is known, in bit/s: where the players' estimate starts too.
pub(super) const UNKNOWN: f64 = 12_000_000.0;
/// Header with extensions, tag, UDP and IP of each packet.
const OVERHEAD: usize = 24 + 16 + 28;
/// However slow a link is, this may be sent at once: the few packets of an ordinary frame.
const LEAST_BURST: f64 = 4.0 * 1300.0;
/// Slower than this is not believed: an estimate that fell too far must be able to rise again by what is sent.
const LEAST: f64 = 400_000.0;

/// Loss in 1/256 that shows a full link, and loss that is none: a tenth and a fiftieth.
const HEAVY: u8 = 26;
const LITTLE: u8 = 5;
/// One such report may be an outage, which says nothing of the rate.
const HEAVY_REPORTS: u8 = 2;
/// From one report without loss to the next, and from one with much loss; and a rate that no limit is.
const GROWTH: f64 = 1.15;
const LEAST_STEP: f64 = 0.8;
const ANY: f64 = 50_000_000.0;
/// Reports that follow each other faster are taken together.
const SHORTEST: Duration = Duration::from_millis(400);

/// See the module's head.
#[derive(Debug, Clone)]
pub(super) struct Link {
    /// By transport-wide feedback, and by receiver reports, in bit/s; `None`: not known.
    measured: Option<f64>,
    carried: Option<f64>,
    /// Bytes sent until now, and at the last receiver report.
    sent: u64,
    reported: Option<(Instant, u64)>,
    /// Reports of much loss, one after the other.
    heavy: u8,
    /// Bytes sent ahead of the rate, when that was last counted.
    ahead: f64,
    counted: Instant,
}

/// What a packet of so many bytes of payload is to the link.
pub(in crate::relay) fn on_the_link(payload: usize) -> usize {
    payload + OVERHEAD
}

impl Link {
    pub(super) fn new(now: Instant) -> Self {
        Self { measured: None, carried: None, sent: 0, reported: None, heavy: 0, ahead: 0.0, counted: now }
    }

    pub(super) fn learn(&mut self, measured: Option<f64>) {
        self.measured = measured.map(|rate| rate.max(LEAST));
    }

    /// A receiver report: how much was lost since the last one, in 1/256.
    pub(super) fn report(&mut self, now: Instant, lost: u8) {
        let Some((since, before)) = self.reported else {
            self.reported = Some((now, self.sent));
            return;
        };
        let passed = now.saturating_duration_since(since);
        if passed < SHORTEST {
            return;
        }
        self.reported = Some((now, self.sent));
        let arrived = (self.sent - before) as f64 * (1.0 - f64::from(lost) / 256.0);
        let arrived = (arrived * 8.0 / passed.as_secs_f64()).max(LEAST);
        self.heavy = if lost >= HEAVY { self.heavy.saturating_add(1) } else { 0 };
        if self.heavy >= HEAVY_REPORTS {
            // It may have been sent little for a part of the time.
            let least = self.carried.map_or(0.0, |carried| carried * LEAST_STEP);
            self.carried = Some(arrived.max(least).min(self.carried.unwrap_or(f64::INFINITY)));
        } else if lost <= LITTLE {
            let grown = self.carried.map(|carried| carried.max(arrived) * GROWTH);
            self.carried = grown.filter(|carried| *carried < ANY);
        }
    }

    /// What it is known to carry, in bit/s.
    pub(super) fn known(&self) -> Option<f64> {
        self.measured.or(self.carried)
    }

    /// What is sent over it at most, in bit/s.
    pub(super) fn rate(&self) -> f64 {
        self.known().unwrap_or(UNKNOWN)
    }

    /// How many bytes it carries in so long.
    pub(super) fn carries(&self, time: Duration) -> usize {
        bytes(self.rate(), time)
    }

    /// How many bytes may be sent now, rounded: at [`Self::room_at`] there is the room. `rate`: how fast what was sent before has drained, in bit/s.
    pub(super) fn room(&mut self, now: Instant, rate: f64) -> usize {
        self.drain(now, rate);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative")]
        let room = (burst(rate) - self.ahead).max(0.0).round() as usize;
        room
    }

    /// So many bytes are sent, whatever there is room for.
    pub(super) fn count(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    /// So many bytes are sent now.
    pub(super) fn spend(&mut self, now: Instant, bytes: usize) {
        self.count(bytes);
        self.drain(now, self.rate());
        self.ahead += bytes as f64;
    }

    /// When there is room for so many bytes, at this rate; for no more than a burst.
    pub(super) fn room_at(&self, bytes: usize, rate: f64) -> Instant {
        let most = burst(rate);
        let over = self.ahead + (bytes as f64).min(most) - most;
        self.counted + Duration::from_secs_f64(over.max(0.0) * 8.0 / rate)
    }

    fn drain(&mut self, now: Instant, rate: f64) {
        let passed = now.saturating_duration_since(self.counted).as_secs_f64();
        self.ahead = (self.ahead - passed * rate / 8.0).max(0.0);
        self.counted = now.max(self.counted);
    }
}

fn burst(rate: f64) -> f64 {
    (rate * BURST.as_secs_f64() / 8.0).max(LEAST_BURST)
}

pub(super) fn bytes(rate: f64, time: Duration) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative")]
    let bytes = (rate * time.as_secs_f64() / 8.0) as usize;
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_burst_may_be_ahead_and_drains_at_the_rate() {
        let now = Instant::now();
        let mut link = Link::new(now);
        link.learn(Some(8e6));
        assert_eq!(link.room(now, 8e6), 40_000);
        link.spend(now, 50_000);
        assert_eq!(link.room(now, 8e6), 0);
        let at = link.room_at(1000, 8e6);
        assert_eq!(at, now + Duration::from_millis(11), "10,000 too many, and 1000 more");
        assert_eq!(link.room(at, 8e6), 1000);
        assert_eq!(link.room(now + Duration::from_secs(9), 8e6), 40_000, "an unused rate is not saved up");
    }

    #[test]
    fn a_link_that_lost_much_carries_what_arrived_and_grows_without_loss() {
        let mut now = Instant::now();
        let mut link = Link::new(now);
        let mut second = |link: &mut Link, lost| {
            link.count(1_000_000);
            now += Duration::from_secs(1);
            link.report(now, lost);
            link.known().map(|rate| (rate / 1e6).round())
        };
        assert_eq!(second(&mut link, 0), None);
        assert_eq!(second(&mut link, 0), None, "8 Mbit/s pass");
        assert_eq!(second(&mut link, 20), None, "as radio links lose");
        assert_eq!(second(&mut link, 128), None, "an outage, perhaps");
        assert_eq!(second(&mut link, 128), Some(4.0));
        assert_eq!(second(&mut link, 20), Some(4.0));
        assert_eq!(second(&mut link, 0), Some(9.0), "8 Mbit/s pass");
        assert!((0..20).any(|_| second(&mut link, 0).is_none()), "no limit any more");
    }

    proptest! {
        #[test]
        fn over_any_time_no_more_is_sent_than_the_rate_and_a_burst(
            rate in 400e3..50e6,
            steps in proptest::collection::vec((0u64..20_000, 1usize..40_000), 1..200),
        ) {
            let (start, mut now, mut sent) = (Instant::now(), Instant::now(), Vec::new());
            let mut link = Link::new(start);
            link.learn(Some(rate));
            for (pause, wanted) in steps {
                now += Duration::from_micros(pause);
                let bytes = link.room(now, rate).min(wanted);
                link.spend(now, bytes);
                sent.push((now, bytes));
            }
            for (from, (began, _)) in sent.iter().enumerate() {
                let mut all = 0;
                for (at, bytes) in &sent[from..] {
                    all += bytes;
                    let most = burst(rate) + rate / 8.0 * (*at - *began).as_secs_f64();
                    prop_assert!(all as f64 <= most + 0.5 * sent.len() as f64, "{all} of {most}");
                }
            }
        }
    }
}
