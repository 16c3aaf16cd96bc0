//! From what was measured to the rate that is sent.
//!
//! - While a queue stands before the line, the line is full, and what arrives is what it carries: the rate falls below that
//!   until the queue is gone.
//! - While much is lost the rate falls too: where packets waited, a queue overflows, and never far below what the line carried
//!   meanwhile; else the line itself drops what is too much.
//! - Otherwise bursts say what the line carries ([`Trains`](super::trains::Trains)), and the rate goes there, a little below.
//!   Where there are none, it grows while it is used, never far beyond what has arrived.
//! - A source that sends little moves nothing. A queue that stands while what it sends is carried is not its own: the path
//!   became longer, or somebody else fills the line.

use super::trains::Line;
use std::time::{Duration, Instant};

/// Where an unknown line is believed to be, and the bounds of the rate, in bit/s.
pub(super) const START: f64 = 12_000_000.0;
pub(super) const MOST: f64 = 50_000_000.0;
const LEAST: f64 = 200_000.0;
/// Part of what the line carries that is sent: the rest takes up frames that came out too large.
const SHARE: f64 = 0.9;
/// The same while the queue drains.
const DRAIN: f64 = 0.75;
/// Between two steps down, so that each is seen before the next.
const SETTLE: Duration = Duration::from_millis(200);
/// Steps down that leave the queue as it was: then it is not ours.
const IN_VAIN: u32 = 4;
/// Growth and fall a second towards what bursts say, and growth without them.
const RISE: f64 = 4.0;
const FALL: f64 = 0.2;
const GROW: f64 = 1.4;
/// The same beyond what bursts say, long after the line was full and soon after.
const FAR: f64 = 1.04;
const NEAR: f64 = 1.01;
const MEMORY: Duration = Duration::from_secs(15);
/// Below this the rate grows whether it is used or not: few frames are bursts, every step up is small, and sound that is not
/// sent has a large part of it.
const SMALL: f64 = 1_000_000.0;
/// However wrong bursts were, so much of what they say is believed.
const LEAST_TRUST: f64 = 0.3;
/// When they say something else by more than this, the line is another one.
const SAME_LINE: std::ops::Range<f64> = 0.7..1.4;
/// Without bursts, this much more than has arrived is tried.
const BEYOND: f64 = 1.5;
/// Less than this part of the rate in use: the source is the limit, not the line.
const USED: f64 = 0.6;
/// What arrives at this part of the rate at which it was sent does not gather before the line.
const CARRIED: f64 = 0.9;
/// Bursts that arrive so many times as fast as all that was sent are no sign of a full line.
const BY_FAR: f64 = 4.0;
/// Loss that is congestion; below it is what radio links do.
const HEAVY_LOSS: f64 = 0.1;
/// A packet that waited this long was in a queue that may overflow.
const LONG_WAIT: Duration = Duration::from_millis(20);
/// What the line carried while it was busy is known for this long.
const BUSY_MEMORY: Duration = Duration::from_secs(2);

/// What feedback brought.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Measured {
    /// Arrived lately, in bit/s.
    pub(super) received: Option<f64>,
    /// The rate at which that was sent.
    pub(super) sent: Option<f64>,
    /// The same while packets waited for the line.
    pub(super) busy: Option<f64>,
    /// The standing queue, and what is to be thought of it.
    pub(super) queue: Duration,
    pub(super) is_full: bool,
    pub(super) is_empty: bool,
    /// The longest that a packet waited lately.
    pub(super) longest: Duration,
    /// The part that was lost, when there is news of it.
    pub(super) loss: Option<f64>,
    pub(super) line: Option<Line>,
}

impl Measured {
    /// Whether less arrives than is sent.
    fn gathers(&self) -> bool {
        match (self.received, self.sent) {
            (Some(received), Some(sent)) => received < sent * CARRIED,
            // A source that has just begun to send.
            _ => true,
        }
    }
}

/// What is to be done besides following the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Fine,
    /// The line has just become full: what bursts said before is the past.
    LineIsFull,
    /// The queue did not fall with the rate: its delay is the path's.
    NotOurQueue,
}

#[derive(Debug)]
pub(super) struct Control {
    target: f64,
    /// Of what bursts say, what the line was seen to carry; and what they said then.
    trust: f64,
    trusted: Option<f64>,
    congestion: Option<Congestion>,
    /// The part that was lost, as last measured.
    loss: f64,
    /// What arrived when the line was last busy, in bit/s.
    busy: Option<(f64, Instant)>,
    /// When the line was last full.
    full: Option<Instant>,
    /// Since when a queue stands that is not ours.
    other: Option<Instant>,
    updated: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Congestion {
    /// What the line carries, in bit/s.
    carries: f64,
    lowered: Instant,
    queue: Duration,
    in_vain: u32,
    /// What bursts said while the line was full, and what it carried then.
    said: Option<(f64, f64)>,
}

impl Control {
    pub(super) fn new() -> Self {
        Self {
            target: START,
            trust: 1.0,
            trusted: None,
            congestion: None,
            loss: 0.0,
            busy: None,
            full: None,
            other: None,
            updated: None,
        }
    }

    /// With the same target, and nothing else of before.
    pub(super) fn resumed(self) -> Self {
        Self { target: self.target, ..Self::new() }
    }

    pub(super) fn target(&self) -> f64 {
        self.target
    }

    /// The target, where it is more than a belief: the line was full, or is narrower than it was believed to be.
    pub(super) fn limit(&self) -> Option<f64> {
        (self.full.is_some() || self.target < START).then_some(self.target)
    }

    pub(super) fn update(&mut self, now: Instant, measured: &Measured) -> Verdict {
        let passed = self.updated.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.updated = Some(now);
        let passed = passed.as_secs_f64().min(0.5);
        self.busy = measured.busy.map(|rate| (rate, now)).or(self.busy);
        self.loss = measured.loss.unwrap_or(self.loss);
        let is_ours = self.congestion.is_some() || !self.is_carried(measured);
        if measured.is_full && is_ours {
            (self.full, self.other) = (Some(now), None);
            return self.congested(now, measured);
        }
        if self.loss > HEAVY_LOSS {
            self.full = Some(now);
            if let Some(loss) = measured.loss {
                self.lossy(now, measured, loss);
            }
            return Verdict::Fine;
        }
        if let Some(congestion) = self.congestion {
            if !measured.is_empty {
                return Verdict::Fine;
            }
            self.congestion = None;
            if let Some((rate, busy)) = congestion.said {
                self.trust = (busy / rate).min(self.trust).max(LEAST_TRUST);
                self.trusted = Some(rate);
            }
            self.set(congestion.carries * SHARE);
        }
        if let (Some(Line::Carries(rate)), Some(trusted)) = (measured.line, self.trusted)
            && !SAME_LINE.contains(&(rate / trusted))
        {
            (self.trust, self.trusted) = (1.0, None);
        }
        self.follow(now, measured, passed);
        self.other = if measured.is_full { self.other.or(Some(now)) } else { None };
        if self.other.is_some_and(|since| now.saturating_duration_since(since) >= IN_VAIN * SETTLE) {
            self.other = None;
            return Verdict::NotOurQueue;
        }
        Verdict::Fine
    }

    /// Whether the source sends little, and all of it arrives as fast as it is sent or by far could.
    fn is_carried(&self, measured: &Measured) -> bool {
        let Some(received) = measured.received.filter(|received| *received < self.target * USED) else {
            return false;
        };
        let wide = match measured.line {
            Some(Line::Carries(rate) | Line::CarriesAtLeast(rate)) => rate * self.trust > received * BY_FAR,
            None => false,
        };
        wide || !measured.gathers()
    }

    /// Whether the source sends about as much as it may.
    fn is_used(&self, measured: &Measured) -> bool {
        measured.sent.is_none_or(|sent| sent > self.target * USED)
    }

    fn busy(&self, now: Instant) -> Option<f64> {
        self.busy.filter(|(_, at)| now.saturating_duration_since(*at) < BUSY_MEMORY).map(|(rate, _)| rate)
    }

    /// The line is full: what arrives is what it carries.
    fn congested(&mut self, now: Instant, measured: &Measured) -> Verdict {
        let Some(received) = measured.busy.or(measured.received) else { return Verdict::Fine };
        let said = match (measured.line, measured.busy) {
            (Some(Line::Carries(rate)), Some(busy)) => Some((rate, busy)),
            _ => None,
        };
        let used = self.is_used(measured);
        let Some(congestion) = &mut self.congestion else {
            let (carries, queue) = (received.min(self.target / SHARE), measured.queue);
            self.congestion = Some(Congestion { carries, lowered: now, queue, in_vain: 0, said });
            self.set(carries * DRAIN);
            return Verdict::LineIsFull;
        };
        congestion.said = said.or(congestion.said);
        if now.saturating_duration_since(congestion.lowered) < SETTLE {
            return Verdict::Fine;
        }
        congestion.lowered = now;
        if measured.queue < congestion.queue.mul_f64(0.8) {
            // It drains.
            congestion.queue = measured.queue;
            return Verdict::Fine;
        }
        // A queue that overflows is ours: it cannot grow.
        congestion.in_vain = if self.loss > HEAVY_LOSS { 0 } else { congestion.in_vain + 1 };
        if congestion.in_vain >= IN_VAIN {
            let carries = congestion.carries;
            self.congestion = None;
            self.set(carries);
            return Verdict::NotOurQueue;
        }
        // Of a source that sends less than it may, less arrives for that.
        if used && measured.gathers() {
            congestion.carries = congestion.carries.min(received);
        }
        congestion.queue = congestion.queue.max(measured.queue);
        let carries = congestion.carries;
        self.set(carries * DRAIN);
        Verdict::Fine
    }

    /// Much is lost, and no queue stands.
    fn lossy(&mut self, now: Instant, measured: &Measured, loss: f64) {
        let kept = 1.0 - loss / 2.0;
        match (self.busy(now), measured.received) {
            (Some(busy), _) if measured.longest >= LONG_WAIT => {
                self.set((self.target * kept).max((busy * DRAIN).min(self.target)));
            }
            (_, received) => {
                let all = received.filter(|_| self.is_used(measured)).unwrap_or(self.target);
                self.set(all.min(self.target) * kept);
            }
        }
    }

    /// No queue stands: goes where bursts say, or grows while it is used.
    fn follow(&mut self, now: Instant, measured: &Measured, passed: f64) {
        let received = measured.received.unwrap_or(0.0);
        let used = received > self.target * USED;
        let small = self.target < SMALL;
        let near = self.full.is_some_and(|at| now.saturating_duration_since(at) < MEMORY);
        if used {
            self.trust = (self.trust * if near { NEAR } else { FAR }.powf(passed)).min(3.0);
        }
        let (rise, fall) = (self.target * RISE.powf(passed), self.target * FALL.powf(passed));
        match measured.line {
            Some(Line::Carries(rate)) => {
                // More than both bursts and full moments say would be a queue.
                if let Some(busy) = self.busy(now) {
                    self.trust = self.trust.min((busy / rate).max(1.0));
                }
                let wanted = rate * self.trust * SHARE;
                // What flows without a queue is carried, whatever bursts say.
                let fall = fall.max(received.min(self.target));
                self.set(if wanted > self.target { wanted.min(rise) } else { wanted.max(fall) });
            }
            Some(Line::CarriesAtLeast(rate)) if rate * self.trust * SHARE > self.target => {
                self.set((rate * self.trust * SHARE).min(rise));
            }
            Some(Line::CarriesAtLeast(_)) | None if small => self.set(self.target * GROW.powf(passed)),
            Some(Line::CarriesAtLeast(_)) | None if used => {
                let most = (received * BEYOND).max(self.target);
                let grown = self.target * if near { FAR } else { GROW }.powf(passed);
                self.set(grown.min(most));
            }
            Some(Line::CarriesAtLeast(_)) | None => {}
        }
    }

    fn set(&mut self, target: f64) {
        self.target = target.clamp(LEAST, MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn fine(received: f64) -> Measured {
        Measured { received: Some(received), is_empty: true, ..Measured::default() }
    }

    fn full(received: f64, queue: u64) -> Measured {
        let queue = Duration::from_millis(queue);
        Measured { received: Some(received), queue, is_full: true, ..Measured::default() }
    }

    /// Reports of 50 ms for so long; gives the last verdict that was not fine.
    fn hear(control: &mut Control, now: &mut Instant, ms: u64, measured: Measured) -> Option<Verdict> {
        let mut said = None;
        for _ in 0..ms / 50 {
            *now += 50 * MS;
            let verdict = control.update(*now, &measured);
            said = Some(verdict).filter(|verdict| *verdict != Verdict::Fine).or(said);
        }
        said
    }

    #[test]
    fn a_full_line_is_left_to_drain_and_then_used_again_at_what_it_carried() {
        let (mut control, mut now) = (Control::new(), Instant::now());
        assert_eq!(hear(&mut control, &mut now, 50, full(2e6, 60)), Some(Verdict::LineIsFull));
        assert!((control.target() - 2e6 * DRAIN).abs() < 1.0);
        hear(&mut control, &mut now, 400, full(2e6, 20));
        hear(&mut control, &mut now, 50, fine(1.5e6));
        assert!((1.8e6..1.95e6).contains(&control.target()), "{}", control.target());
    }

    #[test]
    fn a_full_line_carries_what_arrived_while_it_was_busy_whatever_arrives_in_all() {
        let (mut control, mut now) = (Control::new(), Instant::now());
        hear(&mut control, &mut now, 50, Measured { busy: Some(3e6), ..full(0.5e6, 60) });
        assert!((control.target() - 3e6 * DRAIN).abs() < 1.0, "{}", control.target());
    }

    #[test]
    fn a_queue_that_does_not_fall_with_the_rate_is_not_ours() {
        let (mut control, mut now) = (Control::new(), Instant::now());
        let told =
            (0..20).find(|_| hear(&mut control, &mut now, 50, full(4e6, 40)) == Some(Verdict::NotOurQueue));
        assert!(told.is_some());
        assert!(control.target() > 2.5e6, "{}", control.target());
    }

    #[test]
    fn the_rate_goes_where_bursts_say_in_both_directions() {
        let (mut control, mut now) = (Control::new(), Instant::now());
        hear(&mut control, &mut now, 3000, Measured { line: Some(Line::Carries(3e6)), ..fine(1e6) });
        assert!((2.6e6..2.9e6).contains(&control.target()), "{}", control.target());
        hear(&mut control, &mut now, 3000, Measured { line: Some(Line::Carries(20e6)), ..fine(1e6) });
        assert!((18e6..19e6).contains(&control.target()), "{}", control.target());
    }

    #[test]
    fn without_bursts_a_rate_in_use_grows_and_an_unused_one_stays() {
        let (mut control, mut now) = (Control::new(), Instant::now());
        hear(&mut control, &mut now, 500, full(4e6, 60));
        hear(&mut control, &mut now, 5000, fine(0.4e6));
        let target = control.target();
        assert!((3.5e6..4e6).contains(&target), "{target}");
        hear(&mut control, &mut now, 5000, fine(target));
        assert!((target * 1.1..target * 1.5).contains(&control.target()), "{}", control.target());
    }

    #[test]
    fn a_small_rate_grows_whether_it_is_used_or_not() {
        let (mut control, mut now) = (Control::new(), Instant::now());
        hear(&mut control, &mut now, 1000, full(0.3e6, 60));
        hear(&mut control, &mut now, 10_000, fine(0.05e6));
        assert!((SMALL..1.2 * SMALL).contains(&control.target()), "{}", control.target());
    }

    #[test]
    fn a_line_that_carries_less_than_its_bursts_say_is_learned_and_another_line_forgets_it() {
        let (mut control, mut now) = (Control::new(), Instant::now());
        let line = Some(Line::Carries(20e6));
        hear(&mut control, &mut now, 300, Measured { line, busy: Some(5e6), ..full(5e6, 60) });
        hear(&mut control, &mut now, 1000, Measured { line, ..fine(4.5e6) });
        assert!(control.target() < 6e6, "{}", control.target());
        hear(&mut control, &mut now, 3000, Measured { line: Some(Line::Carries(40e6)), ..fine(4.5e6) });
        assert!(control.target() > 30e6, "{}", control.target());
    }

    #[test]
    fn a_queue_that_large_frames_overflow_lowers_the_rate_no_further_than_to_what_the_line_carries() {
        let (mut control, mut now) = (Control::new(), Instant::now());
        let burst = Measured { busy: Some(3e6), longest: 100 * MS, loss: Some(0.5), ..fine(0.5e6) };
        hear(&mut control, &mut now, 3000, burst);
        assert!((3e6 * DRAIN - control.target()).abs() < 1.0, "{}", control.target());
        hear(
            &mut control,
            &mut now,
            100,
            Measured { loss: Some(0.0), line: Some(Line::Carries(3e6)), ..burst },
        );
        assert!(control.target() > 3e6 * DRAIN);
    }

    #[test]
    fn heavy_loss_without_a_queue_lowers_the_rate() {
        let (mut control, mut now) = (Control::new(), Instant::now());
        hear(&mut control, &mut now, 50, Measured { loss: Some(0.25), ..fine(3e6) });
        assert!(control.target() < 3e6, "{}", control.target());
        let mut calm = Control::new();
        hear(&mut calm, &mut now, 50, Measured { loss: Some(0.05), ..fine(3e6) });
        assert!((calm.target() - START).abs() < 1.0);
    }
}
