//! How long packets wait in the queue before the player's line, from their departures and arrivals.
//!
//! The clocks of both ends are unknown to each other, so a delay counts from the least one seen lately. A frame leaves as
//! one burst, whose later packets wait for its own first ones: only the least delay of each burst says what was in the queue
//! before it. What stays there over several bursts is the standing queue; single late bursts are jitter.

use super::Arrival;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Packets that leave within this after each other are one burst.
const GAP: Duration = Duration::from_millis(3);
/// The standing queue is the least of the bursts that left within this, and of at least so many.
const WINDOW: Duration = Duration::from_millis(80);
const BURSTS: usize = 3;
/// Bursts remembered at most.
const MOST: usize = 64;
/// The least delay is that of the last one to two spans: clocks drift and paths change.
const SPAN: Duration = Duration::from_secs(10);
/// A standing queue longer than this, and than the jitter, fills the line.
const FULL_US: f64 = 12_000.0;
/// Of the last one to two of these, the longest wait is remembered.
const LATELY: Duration = Duration::from_secs(1);
/// A packet later than this waited.
const BUSY_US: f64 = 2_000.0;
/// Bits of the largest packets, and the longest time that the line is taken to need for one.
const PACKET_BITS: f64 = 1268.0 * 8.0;
const MOST_PACKET_US: f64 = 20_000.0;
/// Of one burst's delay and the next one's, no more than this is jitter.
const MOST_JITTER_US: f64 = 20_000.0;

#[derive(Debug, Default)]
pub(super) struct QueueDelay {
    epoch: Option<Instant>,
    /// Least delays of the previous span and of this one, in µs, and since when this one runs.
    least: [Option<i64>; 2],
    since: Option<Instant>,
    /// The longest waits of the previous second and of this one, in µs, and since when this one runs.
    longest: [i64; 2],
    longest_since: Option<Instant>,
    /// Oldest first; the last one may still grow.
    bursts: VecDeque<Burst>,
    /// Mean difference between one burst's delay and the next one's, in µs.
    jitter_us: f64,
    /// What the line takes for a large packet, in µs.
    packet_us: f64,
}

#[derive(Debug, Clone, Copy)]
struct Burst {
    left: Instant,
    last: Instant,
    delay_us: i64,
}

impl QueueDelay {
    /// The line takes so many bit/s, as far as is known: small packets have less of a delay on it than large ones.
    pub(super) fn on_line(&mut self, rate: f64) {
        self.packet_us = (PACKET_BITS / rate * 1e6).min(MOST_PACKET_US);
    }

    /// Packets are given in the order of their departure. True: this one found the line busy.
    pub(super) fn add(&mut self, packet: &Arrival) -> bool {
        let epoch = *self.epoch.get_or_insert(packet.sent);
        let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX / 2);
        let sent = micros(packet.sent.saturating_duration_since(epoch));
        let delay_us = micros(packet.at).saturating_sub(sent);
        let since = *self.since.get_or_insert(packet.sent);
        if packet.sent.saturating_duration_since(since) > SPAN {
            self.least = [self.least[1], None];
            self.since = Some(packet.sent);
        }
        self.least[1] = Some(self.least[1].map_or(delay_us, |least| least.min(delay_us)));
        match self.bursts.back_mut() {
            Some(burst) if packet.sent.saturating_duration_since(burst.last) <= GAP => {
                burst.last = packet.sent;
                burst.delay_us = burst.delay_us.min(delay_us);
            }
            Some(_) | None => {
                if let [.., before, last] = self.bursts.make_contiguous() {
                    #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
                    let change = (last.delay_us - before.delay_us).abs() as f64;
                    // More is an outage or a queue.
                    self.jitter_us += (change.min(MOST_JITTER_US) - self.jitter_us) / 32.0;
                }
                self.bursts.push_back(Burst { left: packet.sent, last: packet.sent, delay_us });
            }
        }
        let newest = packet.sent;
        while self.bursts.len() > MOST
            || (self.bursts.len() > BURSTS
                && self.bursts.front().is_some_and(|old| newest.saturating_duration_since(old.left) > WINDOW))
        {
            self.bursts.pop_front();
        }
        let waited = self.least.iter().flatten().min().map_or(0, |least| delay_us - least);
        if packet.sent.saturating_duration_since(*self.longest_since.get_or_insert(packet.sent)) > LATELY {
            self.longest = [self.longest[1], 0];
            self.longest_since = Some(packet.sent);
        }
        self.longest[1] = self.longest[1].max(waited);
        #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
        let waited = waited as f64;
        waited > BUSY_US + self.packet_us
    }

    /// The standing queue.
    pub(super) fn standing(&self) -> Option<Duration> {
        if self.bursts.len() < BURSTS {
            return None;
        }
        let now = self.bursts.iter().map(|burst| burst.delay_us).min()?;
        let least = self.least.iter().flatten().min()?;
        Some(Duration::from_micros(u64::try_from(now - least).unwrap_or(0)))
    }

    /// The longest that a packet waited lately.
    pub(super) fn longest(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.longest[0].max(self.longest[1])).unwrap_or(0))
    }

    /// Whether packets wait that long that the line must be full.
    pub(super) fn is_full(&self) -> bool {
        self.standing().is_some_and(|queue| queue > self.threshold())
    }

    /// Whether nothing of a queue is left but what jitter explains.
    pub(super) fn is_empty(&self) -> bool {
        self.standing().is_none_or(|queue| queue < self.threshold() / 2)
    }

    fn threshold(&self) -> Duration {
        Duration::from_secs_f64((FULL_US + self.packet_us + self.jitter_us) / 1e6)
    }

    /// The delay of now is the path's, whatever it was before: it did not go when less was sent.
    pub(super) fn forget(&mut self) {
        self.least = [None, self.bursts.iter().map(|burst| burst.delay_us).min()];
        self.since = self.bursts.back().map(|burst| burst.last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A second of frames of four packets that wait for each other; `queue` is what each frame finds, in ms.
    fn after(queue: impl Fn(u64) -> u64) -> QueueDelay {
        let mut delay = QueueDelay::default();
        feed(&mut delay, Instant::now(), queue);
        delay
    }

    fn feed(delay: &mut QueueDelay, start: Instant, queue: impl Fn(u64) -> u64) {
        for frame in 0..60 {
            for packet in 0..4 {
                let sent = start + Duration::from_micros(frame * 16_667);
                let waits = Duration::from_millis(queue(frame) + packet * 3);
                let at = Duration::from_secs(5) + (sent - start) + waits;
                delay.add(&Arrival { sent, at, bytes: 1200 });
            }
        }
    }

    #[test]
    fn what_frames_wait_for_themselves_is_no_queue_and_what_stays_is() {
        let quiet = after(|_| 0);
        assert!(quiet.is_empty() && !quiet.is_full());
        let growing = after(|frame| frame.saturating_sub(20));
        assert!(growing.is_full() && growing.standing() > Some(30 * MS), "{:?}", growing.standing());
        let drained = after(|frame| 40_u64.saturating_sub(frame));
        assert!(drained.is_empty());
    }

    #[test]
    fn jitter_and_one_large_frame_are_no_queue() {
        let jittery = after(|frame| (frame * 7919) % 31);
        assert!(!jittery.is_full(), "{:?}", jittery.standing());
        let spike = after(|frame| if frame == 55 { 80 } else { 0 });
        assert!(!spike.is_full());
    }

    #[test]
    fn a_longer_path_is_a_queue_until_it_is_forgotten() {
        let mut moved = after(|frame| if frame < 30 { 0 } else { 40 });
        assert!(moved.is_full());
        moved.forget();
        assert!(moved.is_empty());
    }
}
