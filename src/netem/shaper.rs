//! What becomes of a packet: lost, too much for the queue, or delivered at a time. Pure: time is given, chance is a seed.
//!
//! Always: without reordering no packet is due before one that came earlier; a line never carries more than its rate over
//! any stretch of time; nothing is due later than [`LONGEST`] after it came.

use super::course::{Conditions, Traced};
use super::random::{Purpose, draw};
use super::shape::{Loss, Queue, Rate, Shape};
use super::trace::OPPORTUNITY_BYTES;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What an IPv4 and a UDP header add to a payload on the line.
pub const OVERHEAD_BYTES: u64 = 28;
/// The longest that a packet is under way. Shapes that ask for more are cut to this; a queue that is longer is full.
const LONGEST: Duration = Duration::from_secs(60);
/// What comes within this is jittered alike, when order is kept.
const GRAIN: Duration = Duration::from_millis(3);

/// The fate of one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Lost,
    Overflow,
    Delivered {
        at: Instant,
        /// When a copy arrives.
        again: Option<Instant>,
        /// Held back, or let past one before it.
        reordered: bool,
    },
}

/// One direction of a line.
#[derive(Debug)]
pub struct Shaper {
    seed: u64,
    /// Packets so far.
    number: u64,
    /// The state of [`Loss::Bursts`].
    bad: bool,
    /// When the line will have carried what was given to it.
    line_free: Option<Instant>,
    traced: Option<Backlog>,
    /// The latest time given out, but for packets held back.
    newest: Option<Instant>,
    /// The jitter of a grain (as a share of the most), and when it began.
    grain: Option<(Instant, f64)>,
}

impl Shaper {
    pub fn new(seed: u64) -> Self {
        Self { seed, number: 0, bad: false, line_free: None, traced: None, newest: None, grain: None }
    }

    /// A packet of `bytes` UDP payload comes in. `now` never goes back.
    pub fn offer(&mut self, shape: &Shape, now: Instant, bytes: usize) -> Fate {
        self.offer_packet(&Conditions::from(*shape), now, bytes as u64 + OVERHEAD_BYTES)
    }

    /// An IP packet of `size` bytes comes in. `now` never goes back.
    pub fn offer_packet(&mut self, conditions: &Conditions, now: Instant, size: u64) -> Fate {
        let shape = &conditions.shape;
        self.number += 1;
        let lost = self.is_lost(shape.loss);
        let twice = self.happens(shape.duplicate, Purpose::Duplicate);
        let Some(sent) = self.carry(conditions, now, size) else { return Fate::Overflow };
        let copied = if twice { self.carry(conditions, now, size) } else { None };
        if lost {
            return Fate::Lost;
        }
        let delay = shape.delay.min(LONGEST) + self.jitter(shape, now);
        let held = shape.reorder.filter(|reorder| self.happens(reorder.share, Purpose::Reorder));
        let (at, reordered) = match held {
            Some(reorder) => (sent + (delay + reorder.by.min(LONGEST)).min(LONGEST), true),
            None => self.in_turn(shape, sent + delay.min(LONGEST)),
        };
        let again = copied.map(|copied| self.in_turn(shape, copied + delay.min(LONGEST)).0.max(at));
        Fate::Delivered { at, again, reordered }
    }

    fn happens(&self, share: f64, purpose: Purpose) -> bool {
        draw(self.seed, self.number, purpose) < share
    }

    fn is_lost(&mut self, loss: Loss) -> bool {
        match loss {
            Loss::None => false,
            Loss::Independent(share) => self.happens(share, Purpose::Loss),
            Loss::Bursts { to_bad, to_good, lost_in_good, lost_in_bad } => {
                self.bad ^= self.happens(if self.bad { to_good } else { to_bad }, Purpose::Turn);
                self.happens(if self.bad { lost_in_bad } else { lost_in_good }, Purpose::Loss)
            }
        }
    }

    /// When the line has carried the packet. `None`: there is no room in the queue.
    fn carry(&mut self, conditions: &Conditions, now: Instant, size: u64) -> Option<Instant> {
        if let Some(traced) = &conditions.traced {
            let backlog = self.traced.get_or_insert_with(|| Backlog::new(traced.begun));
            return backlog.carry(traced, now, size);
        }
        let Some(rate) = conditions.shape.rate else { return Some(now) };
        self.carry_at(rate, now, size)
    }

    fn carry_at(&mut self, rate: Rate, now: Instant, size: u64) -> Option<Instant> {
        let takes = time_of(size, rate.bits_per_second)?;
        let wait = self.line_free.map_or(Duration::ZERO, |free| free.saturating_duration_since(now));
        let fits = wait.is_zero()
            || match rate.queue {
                Queue::Bytes(most) => waiting(wait, rate.bits_per_second).saturating_add(size) <= most,
                Queue::Time(most) => wait <= most,
            };
        let done = wait.saturating_add(takes);
        if !fits || done > LONGEST {
            return None;
        }
        self.line_free = Some(now + done);
        self.line_free
    }

    fn jitter(&mut self, shape: &Shape, now: Instant) -> Duration {
        let Some(jitter) = shape.jitter else { return Duration::ZERO };
        let fresh = draw(self.seed, self.number, Purpose::Jitter);
        let share = match self.grain {
            Some((began, share)) if jitter.keeps_order && now.saturating_duration_since(began) < GRAIN => {
                share
            }
            Some(_) | None => {
                self.grain = Some((now, fresh));
                fresh
            }
        };
        jitter.most.min(LONGEST).mul_f64(share)
    }

    /// The time in its turn, and whether it is out of turn.
    fn in_turn(&mut self, shape: &Shape, at: Instant) -> (Instant, bool) {
        let newest = self.newest.unwrap_or(at);
        let at = if shape.jitter.is_some_and(|jitter| !jitter.keeps_order) { at } else { at.max(newest) };
        self.newest = Some(at.max(newest));
        (at, at < newest)
    }
}

/// What waits for the opportunities of a trace.
#[derive(Debug)]
struct Backlog {
    /// Which trace: a new one starts with an empty backlog.
    begun: Instant,
    /// The opportunity in use, and what is left of it.
    opportunity: u64,
    left: u64,
    /// When each packet has been carried, and its size.
    waiting: VecDeque<(Instant, u64)>,
    bytes: u64,
}

impl Backlog {
    fn new(begun: Instant) -> Self {
        Self { begun, opportunity: 0, left: OPPORTUNITY_BYTES, waiting: VecDeque::new(), bytes: 0 }
    }

    fn carry(&mut self, traced: &Traced, now: Instant, size: u64) -> Option<Instant> {
        if self.begun != traced.begun {
            *self = Self::new(traced.begun);
        }
        while let Some((_, carried)) = self.waiting.pop_front_if(|(done, _)| *done <= now) {
            self.bytes -= carried;
        }
        let fits = match (self.waiting.back(), traced.queue) {
            (None, Queue::Bytes(_) | Queue::Time(_)) => true,
            (Some(_), Queue::Bytes(most)) => self.bytes.saturating_add(size) <= most,
            (Some((done, _)), Queue::Time(most)) => done.saturating_duration_since(now) <= most,
        };
        let first = traced.trace.from(now.saturating_duration_since(traced.begun));
        let (mut opportunity, mut left) = (self.opportunity, self.left);
        if opportunity < first {
            (opportunity, left) = (first, OPPORTUNITY_BYTES);
        }
        let mut rest = size;
        while rest > left {
            rest -= left;
            (opportunity, left) = (opportunity + 1, OPPORTUNITY_BYTES);
        }
        let done = traced.begun.checked_add(traced.trace.at(opportunity))?.max(now);
        if !fits || done.saturating_duration_since(now) > LONGEST {
            return None;
        }
        (self.opportunity, self.left) = (opportunity, left - rest);
        self.bytes += size;
        self.waiting.push_back((done, size));
        Some(done)
    }
}

/// How long the line takes for so many bytes, rounded up. `None`: longer than anything may take.
fn time_of(bytes: u64, bits_per_second: u64) -> Option<Duration> {
    let nanos = (u128::from(bytes) * 8 * 1_000_000_000).div_ceil(u128::from(bits_per_second.max(1)));
    let time = Duration::from_nanos(u64::try_from(nanos).ok()?);
    (bits_per_second > 0 && time <= LONGEST).then_some(time)
}

/// The bytes that make so long a wait.
fn waiting(wait: Duration, bits_per_second: u64) -> u64 {
    u64::try_from(wait.as_nanos() * u128::from(bits_per_second) / 8 / 1_000_000_000).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "shaper_tests.rs"]
mod tests;
