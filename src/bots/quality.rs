//! What a bot tells the gateway of its stream, as the page does (`web/player/quality.js`).

use super::card::Card;
use playgate_signaling::message::{QualityReport, Transport};
use std::time::{Duration, Instant};

/// From one report to the next.
pub(super) const EVERY: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy)]
struct Sums {
    at: Instant,
    bytes: u64,
    packets: u64,
    lost: u64,
    frozen: Duration,
}

/// Makes reports of what a card has counted since the last one.
#[derive(Debug, Default)]
pub(super) struct Reporter {
    before: Option<Sums>,
    first_frame_told: bool,
}

impl Reporter {
    /// `None`: nothing was seen yet, or too long ago.
    pub(super) fn report(&mut self, card: &Card, now: Instant) -> Option<QualityReport> {
        let (sums, first_frame) = card.with(|facts| {
            let totals = &facts.meter.totals;
            let sums = Sums {
                at: now,
                bytes: totals.bytes,
                packets: totals.packets,
                lost: totals.lost,
                frozen: totals.frozen,
            };
            let joined = facts.joining.or(facts.begun);
            (sums, facts.meter.first_frame.zip(joined).map(|(at, from)| at.saturating_duration_since(from)))
        });
        let before = self.before.replace(sums)?;
        let first_frame = first_frame?;
        let duration_ms = ms(now.saturating_duration_since(before.at));
        if !(1..=QualityReport::LONGEST_MS).contains(&duration_ms) {
            return None;
        }
        let first_frame = (!std::mem::replace(&mut self.first_frame_told, true)).then_some(first_frame);
        let grown = |now: u64, before: u64| u32::try_from(now.saturating_sub(before)).unwrap_or(u32::MAX);
        Some(QualityReport {
            duration_ms,
            bytes: sums.bytes.saturating_sub(before.bytes),
            packets: grown(sums.packets, before.packets),
            lost: grown(sums.lost, before.lost),
            frozen_ms: ms(sums.frozen.saturating_sub(before.frozen)).min(duration_ms),
            first_frame_ms: first_frame.map(ms),
            round_trip_ms: None,
            transport: Some(Transport::Udp),
        })
    }
}

fn ms(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_tells_what_was_counted_since_the_last_and_the_first_frame_once() {
        let (card, begun) = (Card::alone(), Instant::now());
        let mut reporter = Reporter::default();
        let at = |seconds| begun + Duration::from_secs(seconds);
        assert_eq!(reporter.report(&card, at(0)), None, "nothing to compare with");
        assert_eq!(reporter.report(&card, at(10)), None, "nothing was seen");
        card.with(|facts| {
            (facts.joining, facts.meter.first_frame) =
                (Some(begun), Some(begun + Duration::from_millis(300)));
            (facts.meter.totals.bytes, facts.meter.totals.packets) = (5_000, 50);
            (facts.meter.totals.lost, facts.meter.totals.frozen) = (2, Duration::from_secs(60));
        });
        let first = reporter.report(&card, at(20)).unwrap();
        assert_eq!((first.duration_ms, first.bytes, first.packets, first.lost), (10_000, 5_000, 50, 2));
        assert_eq!((first.frozen_ms, first.first_frame_ms), (10_000, Some(300)), "no longer than the report");
        let second = reporter.report(&card, at(30)).unwrap();
        assert_eq!((second.bytes, second.frozen_ms, second.first_frame_ms), (0, 0, None));
        assert_eq!(reporter.report(&card, at(91)), None, "longer than the gateway takes");
    }
}
