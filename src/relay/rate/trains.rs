//! What the line carries, from how far it spreads the packets of a burst (packet train dispersion).
//!
//! A frame's packets leave faster than a narrow line takes them, so they arrive at the line's own rate, however little the
//! source sends in all: each frame of a few packets is a probe that costs nothing. A burst that arrives as fast as it left
//! shows only that the line carries at least so much.

use super::Arrival;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A packet that leaves later than this after the one before begins another train.
const GAP: Duration = Duration::from_millis(4);
/// A train is at most so long: what is spread further says little.
const LONGEST: Duration = Duration::from_millis(15);
/// Packets of a train that count.
const LEAST: usize = 2;
/// Trains remembered, and for how long.
const MOST: usize = 32;
const MEMORY: Duration = Duration::from_secs(2);
/// Gaps between packets that are needed before anything is said.
const ENOUGH: usize = 16;
/// Arriving at less than this part of the rate it left with, a train was limited by the line.
const LIMITED: f64 = 0.8;
/// Arrival times are this coarse.
const RESOLUTION: Duration = Duration::from_micros(250);

#[derive(Debug, Default)]
pub(super) struct Trains {
    open: Option<Train>,
    /// Oldest first.
    closed: VecDeque<Measured>,
}

#[derive(Debug, Clone, Copy)]
struct Train {
    left: (Instant, Instant),
    came: (Duration, Duration),
    /// Bytes behind the first packet.
    bytes: usize,
    packets: usize,
}

#[derive(Debug, Clone, Copy)]
struct Measured {
    at: Instant,
    rate: f64,
    gaps: usize,
    limited: bool,
}

/// What trains say of the line, in bit/s.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Line {
    Carries(f64),
    CarriesAtLeast(f64),
}

impl Trains {
    /// Packets are given in the order of their departure.
    pub(super) fn add(&mut self, packet: &Arrival) {
        if let Some(train) = &mut self.open
            && packet.sent.saturating_duration_since(train.left.1) <= GAP
            && packet.sent.saturating_duration_since(train.left.0) <= LONGEST
        {
            train.left.1 = packet.sent;
            train.came = (train.came.0.min(packet.at), train.came.1.max(packet.at));
            train.bytes += packet.bytes;
            train.packets += 1;
            return;
        }
        let open =
            Train { left: (packet.sent, packet.sent), came: (packet.at, packet.at), bytes: 0, packets: 1 };
        if let Some(measured) = self.open.replace(open).and_then(Train::measure) {
            if self.closed.len() >= MOST {
                self.closed.pop_front();
            }
            self.closed.push_back(measured);
        }
        let now = packet.sent;
        while self.closed.front().is_some_and(|old| now.saturating_duration_since(old.at) > MEMORY) {
            self.closed.pop_front();
        }
    }

    /// Nothing of before counts any more.
    pub(super) fn forget(&mut self) {
        self.closed.clear();
    }

    /// The median over the newest trains, each by its packets; `None` while there are too few.
    pub(super) fn line(&self) -> Option<Line> {
        let (mut newest, mut gaps) = (Vec::with_capacity(MOST), 0);
        for train in self.closed.iter().rev() {
            newest.push(*train);
            gaps += train.gaps;
            if gaps >= 4 * ENOUGH {
                break;
            }
        }
        if gaps < ENOUGH {
            return None;
        }
        newest.sort_by(|a, b| a.rate.total_cmp(&b.rate));
        let mut passed = 0;
        let median = newest.iter().find(|train| {
            passed += train.gaps;
            2 * passed >= gaps
        })?;
        let limited: usize = newest.iter().filter(|train| train.limited).map(|train| train.gaps).sum();
        Some(if 2 * limited >= gaps { Line::Carries(median.rate) } else { Line::CarriesAtLeast(median.rate) })
    }
}

impl Train {
    fn measure(self) -> Option<Measured> {
        if self.packets < LEAST {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "few bytes")]
        let bits = (self.bytes * 8) as f64;
        let came = self.came.1.saturating_sub(self.came.0).max(RESOLUTION).as_secs_f64();
        let left = self.left.1.saturating_duration_since(self.left.0).as_secs_f64();
        Some(Measured {
            at: self.left.1,
            rate: bits / came,
            gaps: self.packets - 1,
            limited: left < came * LIMITED,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Frames of so many packets that leave `apart` from each other, over a line of `mbps`, 60 frames a second.
    fn after(frames: u32, packets: u32, apart: Duration, mbps: f64) -> Option<Line> {
        let (start, mut trains) = (Instant::now(), Trains::default());
        let takes = Duration::from_secs_f64(1268.0 * 8.0 / mbps / 1e6);
        for frame in 0..frames {
            let begins = Duration::from_secs(1) * frame / 60;
            let mut free = Duration::ZERO;
            for packet in 0..packets {
                let left = begins + apart * packet;
                free = free.max(left) + takes;
                let at = 1000 * MS + free;
                trains.add(&Arrival { sent: start + left, at, bytes: 1268 });
            }
        }
        trains.line()
    }

    #[test]
    fn frames_that_leave_at_once_arrive_at_the_lines_own_rate_however_few_they_are() {
        for mbps in [1.0, 5.0, 20.0] {
            let Some(Line::Carries(rate)) = after(20, 5, Duration::ZERO, mbps) else { panic!("{mbps}") };
            assert!((rate / mbps / 1e6 - 1.0).abs() < 0.02, "{rate} of {mbps} Mbit/s");
        }
    }

    #[test]
    fn frames_that_arrive_as_they_left_show_the_least_that_a_line_carries() {
        // A packet a millisecond is 10 Mbit/s.
        let Some(Line::CarriesAtLeast(rate)) = after(20, 8, MS, 50.0) else { panic!("no line") };
        assert!((9.9e6..10.3e6).contains(&rate), "{rate}");
        assert!(
            matches!(after(20, 8, MS, 5.0), Some(Line::Carries(rate)) if (rate / 5e6 - 1.0).abs() < 0.05)
        );
    }

    #[test]
    fn single_packets_and_a_few_frames_say_nothing() {
        assert_eq!(after(200, 1, Duration::ZERO, 5.0), None);
        assert_eq!(after(3, 5, Duration::ZERO, 5.0), None);
    }
}
