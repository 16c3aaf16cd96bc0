//! What a player's line carries: from the departures and arrivals of packets that its transport-wide feedback reports on.
//!
//! `delay` watches the queue before the line, `trains` measures the line by each frame's burst, `received` what arrives,
//! and `control` makes a rate of it. All times of arrival are the report's own. A game's picture stands still half of the
//! time, so a rate that was not used says nothing about the line and is neither raised nor lowered for that.
//!
//! No clock and no socket here. The history is bounded; what feedback says of packets it does not hold is ignored.

mod control;
mod delay;
mod received;
mod trains;

use control::{Control, Measured, Verdict};
use delay::QueueDelay;
use received::Received;
use rtc::interceptor::convert_twcc;
use rtc::rtcp::transport_feedbacks::transport_layer_cc::{PacketStatusChunk, TransportLayerCc};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use trains::Trains;

/// Packets remembered: 2 s of 60 frames/s with 34 packets each. The oldest is forgotten.
const HISTORY: usize = 4096;
/// Header, tag, UDP and IP of each packet.
const OVERHEAD: usize = 24 + 16 + 28;
/// Loss is counted over this, and over at least so many packets.
const LOSS_SPAN: Duration = Duration::from_millis(500);
const LOSS_PACKETS: u32 = 20;
/// The receiver's clock counts 24 bits of 64 ms.
const CLOCK: Duration = Duration::from_millis(64 << 24);
/// The receiver's clock and ours differ by more than this from one packet to the next: it is another clock.
const OTHER_CLOCK: Duration = Duration::from_secs(20);

/// One player's estimate.
pub(super) struct Estimator {
    next: u16,
    /// The newest packets, oldest first; the last one has number `next - 1`.
    sent: VecDeque<Sent>,
    clock: Clock,
    delay: QueueDelay,
    trains: Trains,
    received: Received,
    losses: Losses,
    control: Control,
}

#[derive(Clone, Copy)]
struct Sent {
    at: Instant,
    bytes: usize,
    reported: bool,
}

/// A packet that arrived.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    sent: Instant,
    /// By the receiver's clock.
    at: Duration,
    bytes: usize,
}

/// The receiver's clock, made continuous.
#[derive(Default)]
struct Clock {
    wraps: u32,
    last: Option<(Instant, Duration)>,
}

/// Packets reported since `since`.
#[derive(Default)]
struct Losses {
    since: Option<Instant>,
    lost: u32,
    all: u32,
}

impl Estimator {
    pub(super) fn new() -> Self {
        Self {
            next: 0,
            sent: VecDeque::new(),
            clock: Clock::default(),
            delay: QueueDelay::default(),
            trains: Trains::default(),
            received: Received::default(),
            losses: Losses::default(),
            control: Control::new(),
        }
    }

    /// Begins to measure again after a pause: packets from before it are forgotten, the target and the numbering go on.
    pub(super) fn resume(&mut self) {
        let next = self.next;
        let control = std::mem::replace(&mut self.control, Control::new());
        *self = Self { next, control: control.resumed(), ..Self::new() };
    }

    /// A packet leaves now; gives its transport-wide sequence number.
    pub(super) fn sent(&mut self, now: Instant, payload: usize) -> u16 {
        if self.sent.len() >= HISTORY {
            self.sent.pop_front();
        }
        self.sent.push_back(Sent { at: now, bytes: payload + OVERHEAD, reported: false });
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        number
    }

    /// The packet of this number was reported lost and is sent again unchanged: its arrival says nothing about the line.
    pub(super) fn sent_again(&mut self, number: u16) {
        if let Some(sent) = self.find(number) {
            sent.reported = true;
        }
    }

    fn find(&mut self, number: u16) -> Option<&mut Sent> {
        let back = usize::from(self.next.wrapping_sub(number));
        self.sent.len().checked_sub(back).and_then(|at| self.sent.get_mut(at))
    }

    /// What the line carries, in bit/s.
    pub(super) fn target(&self) -> f64 {
        self.control.target()
    }

    /// The same, once the line has been seen full or narrow: before that a target is only believed.
    pub(super) fn limit(&self) -> Option<f64> {
        self.control.limit()
    }

    /// The player's report. Reports that claim more packets than are remembered are ignored whole.
    pub(super) fn feedback(&mut self, now: Instant, feedback: &TransportLayerCc) {
        if is_plausible(feedback) {
            let reports = convert_twcc(feedback);
            self.acknowledged(
                now,
                reports.iter().map(|report| (report.sequence_number, report.arrived, report.arrival)),
            );
        }
    }

    /// Sequence number, whether it arrived, and when by the receiver's clock, in the order of their departure.
    fn acknowledged(&mut self, now: Instant, packets: impl Iterator<Item = (u16, bool, Option<Duration>)>) {
        self.delay.on_line(self.control.target());
        for (number, arrived, at) in packets {
            let Some(sent) = self.find(number) else { continue };
            if std::mem::replace(&mut sent.reported, arrived) {
                continue;
            }
            let sent = *sent;
            self.losses.all += 1;
            self.losses.lost += u32::from(!arrived);
            match at {
                Some(at) if arrived => self.arrived(sent, at),
                Some(_) | None => self.received.lost(sent.bytes),
            }
        }
        let measured = Measured {
            received: self.received.rate(),
            sent: self.received.sent_rate(),
            busy: self.received.busy_rate(),
            queue: self.delay.standing().unwrap_or_default(),
            is_full: self.delay.is_full(),
            is_empty: self.delay.is_empty(),
            longest: self.delay.longest(),
            loss: self.losses.take(now),
            line: self.trains.line(),
        };
        let verdict = self.control.update(now, &measured);
        tracing::trace!(target = self.target(), ?verdict, ?measured, "feedback");
        match verdict {
            Verdict::Fine => {}
            Verdict::LineIsFull => self.trains.forget(),
            Verdict::NotOurQueue => self.delay.forget(),
        }
    }

    fn arrived(&mut self, sent: Sent, at: Duration) {
        let Some(at) = self.clock.continued(sent.at, at) else {
            self.delay = QueueDelay::default();
            self.trains = Trains::default();
            self.received = Received::default();
            return;
        };
        let packet = Arrival { sent: sent.at, at, bytes: sent.bytes };
        let waited = self.delay.add(&packet);
        self.trains.add(&packet);
        self.received.add(&packet, waited);
    }
}

impl Clock {
    /// The time of arrival without the clock's wrap; `None`: it is another clock than before.
    fn continued(&mut self, sent: Instant, at: Duration) -> Option<Duration> {
        let mut unwrapped = at + CLOCK * self.wraps;
        if let Some((_, last)) = self.last
            && unwrapped + CLOCK / 2 < last
        {
            self.wraps += 1;
            unwrapped += CLOCK;
        }
        let Some((last_sent, last)) = self.last.replace((sent, unwrapped)) else { return Some(unwrapped) };
        let (passed, ticked) =
            (sent.saturating_duration_since(last_sent), unwrapped.checked_sub(last).unwrap_or_default());
        if passed.abs_diff(ticked) > OTHER_CLOCK || last.saturating_sub(unwrapped) > OTHER_CLOCK {
            *self = Self { wraps: 0, last: Some((sent, at)) };
            return None;
        }
        Some(unwrapped)
    }
}

impl Losses {
    /// The part that was lost, once a span is over.
    fn take(&mut self, now: Instant) -> Option<f64> {
        let since = *self.since.get_or_insert(now);
        if now.saturating_duration_since(since) < LOSS_SPAN || self.all < LOSS_PACKETS {
            return None;
        }
        let part = f64::from(self.lost) / f64::from(self.all);
        *self = Self { since: Some(now), lost: 0, all: 0 };
        Some(part)
    }
}

/// A run is one chunk however long it claims to be: a small packet could ask for millions of packets.
fn is_plausible(feedback: &TransportLayerCc) -> bool {
    let claimed: usize = feedback
        .packet_chunks
        .iter()
        .map(|chunk| match chunk {
            PacketStatusChunk::RunLengthChunk(run) => usize::from(run.run_length),
            PacketStatusChunk::StatusVectorChunk(vector) => vector.symbol_list.len(),
        })
        .sum();
    claimed <= HISTORY
}

#[cfg(test)]
mod closed_loop;
#[cfg(test)]
mod tests;
