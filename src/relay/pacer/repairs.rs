//! Which lost packets are sent again, in which order, and which of them twice.
//!
//! Packets of the newest group of pictures go first, the oldest of them before the others: decoding waits for it. What is
//! asked for beyond a viewer's share of its link is not kept: it will be asked for again.
//!
//! A receiver finds a loss by what comes behind it, so of a picture behind which nothing comes the last packet is repeated
//! unasked, as TCP does it (RFC 8985 section 7, tail loss probe).

use super::link::on_the_link;
use crate::relay::budget::Budget;
use crate::relay::down_track::Numbered;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Retransmissions at once, and a second at most.
const AT_ONCE: f64 = 256.0;
const A_SECOND: f64 = 1500.0;
/// Part of a known link that retransmissions may take, and how many a second there may be at least.
const SHARE: f64 = 0.3;
const LEAST: f64 = 40.0;
/// A packet as large as they get.
const FULL_PACKET: usize = 1200;
/// Retransmissions that wait for room. More are not kept.
const WAITING: usize = 256;
/// Retransmissions that wait to be sent a second time. More are sent once.
const COPIES: usize = 64;
/// Between a retransmission and its copy: longer than most bursts of loss, shorter than a frame.
const COPY_AFTER: Duration = Duration::from_millis(8);
/// From the last packet of a picture to its repetition: longer than a frame of 60 a second, after which the next one tells
/// of a loss.
const TAIL_AFTER: Duration = Duration::from_millis(20);
/// Retransmissions whose time is remembered: one is not repeated before it can have arrived.
const REMEMBERED: usize = 256;

/// What becomes of a packet that a viewer asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::relay) enum Repair {
    /// It is sent when there is room for it: see [`super::Pacer::again`].
    Due,
    /// It was sent again less than a round trip ago, or waits to be.
    UnderWay,
    /// More than this viewer's share.
    Limited,
}

/// See the module's head.
#[derive(Debug)]
pub(super) struct Repairs {
    /// Not sent again yet; by index.
    waiting: Vec<Numbered>,
    /// Sent again, and to be sent once more at this time.
    copies: VecDeque<(Instant, Numbered)>,
    /// What was sent last, to be repeated at this time.
    tail: Option<(Instant, Numbered)>,
    share: Budget,
    /// Index and time of the last retransmissions, by index; no memory before the first one.
    sent: Vec<(u64, Instant)>,
}

impl Repairs {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            waiting: Vec::new(),
            copies: VecDeque::new(),
            tail: None,
            share: Budget::new(now, AT_ONCE),
            sent: Vec::new(),
        }
    }

    /// A viewer asks for a packet. `trip`: the round trip. `link`: what is known of its rate, in bit/s.
    pub(super) fn ask(&mut self, now: Instant, lost: Numbered, trip: Duration, link: Option<f64>) -> Repair {
        let place = self.waiting.binary_search_by_key(&lost.index, |waiting| waiting.index);
        let Err(place) = place else { return Repair::UnderWay };
        if self.is_under_way(now, lost.index, trip) {
            return Repair::UnderWay;
        }
        let rate = a_second(link);
        if self.waiting.len() >= WAITING || !self.share.take(now, rate, AT_ONCE.min(rate)) {
            return Repair::Limited;
        }
        self.waiting.insert(place, lost);
        Repair::Due
    }

    /// Takes out the packet to be sent first; `needed`: where the newest group of pictures begins.
    pub(super) fn next(&mut self, now: Instant, needed: u64) -> Option<Numbered> {
        let first = self.waiting.partition_point(|waiting| waiting.index < needed);
        let place = if first < self.waiting.len() { first } else { 0 };
        let next = (place < self.waiting.len()).then(|| self.waiting.remove(place))?;
        self.note(now, next.index);
        Some(next)
    }

    /// The packet is to be sent once more, a moment later.
    pub(super) fn copy(&mut self, now: Instant, sent: Numbered) {
        if self.copies.len() < COPIES {
            self.copies.push_back((now + COPY_AFTER, sent));
        }
    }

    /// This was sent last. It is repeated unless something else is sent soon.
    pub(super) fn tail(&mut self, now: Instant, sent: Numbered) {
        self.tail = Some((now + TAIL_AFTER, sent));
    }

    /// Takes out a copy that is due.
    pub(super) fn next_copy(&mut self, now: Instant) -> Option<Numbered> {
        let copy = self.copies.pop_front_if(|(at, _)| *at <= now);
        copy.or_else(|| self.tail.take_if(|(at, _)| *at <= now)).map(|(_, copy)| copy)
    }

    /// Whether anything waits for room.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// When the next copy is due.
    pub(super) fn copy_at(&self) -> Option<Instant> {
        self.copies.front().into_iter().chain(&self.tail).map(|(at, _)| *at).min()
    }

    /// Nothing that was asked for is of use any more.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.copies.clear();
        self.tail = None;
    }

    fn is_under_way(&self, now: Instant, index: u64, trip: Duration) -> bool {
        let sent = self.sent.get(slot(index)).filter(|(sent, _)| *sent == index);
        sent.is_some_and(|(_, at)| now.saturating_duration_since(*at) < trip)
    }

    fn note(&mut self, now: Instant, index: u64) {
        if self.sent.is_empty() {
            self.sent = vec![(u64::MAX, now); REMEMBERED];
        }
        if let Some(place) = self.sent.get_mut(slot(index)) {
            *place = (index, now);
        }
    }
}

/// How many packets may be sent again a second: on a link that is full, retransmissions make it fuller.
pub(super) fn a_second(link: Option<f64>) -> f64 {
    let share = |rate: f64| (rate * SHARE / 8.0 / on_the_link(FULL_PACKET) as f64).max(LEAST);
    link.map_or(A_SECOND, share).min(A_SECOND)
}

fn slot(index: u64) -> usize {
    usize::try_from(index % REMEMBERED as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIP: Duration = Duration::from_millis(40);

    fn lost(index: u64) -> Numbered {
        Numbered { index, packet: index + 7 }
    }

    fn sent(repairs: &mut Repairs, now: Instant, needed: u64) -> Vec<u64> {
        std::iter::from_fn(|| repairs.next(now, needed)).map(|next| next.index).collect()
    }

    #[test]
    fn a_storm_of_nacks_is_limited() {
        let now = Instant::now();
        let mut repairs = Repairs::new(now);
        let asked = (1..10_000).filter(|index| repairs.ask(now, lost(*index), TRIP, None) == Repair::Due);
        assert_eq!(asked.count(), 256);
        assert_eq!(sent(&mut repairs, now, 0).len(), 256);
        assert_eq!(repairs.ask(now, lost(10_001), TRIP, None), Repair::Limited);
        let later = now + Duration::from_millis(10);
        assert_eq!(repairs.ask(later, lost(10_001), TRIP, None), Repair::Due);
    }

    #[test]
    fn a_narrow_link_is_repaired_with_a_part_of_it() {
        let now = Instant::now();
        let mut repairs = Repairs::new(now);
        let ask = |repairs: &mut Repairs, now| {
            (1..10_000).filter(|index| repairs.ask(now, lost(*index), TRIP, Some(4e6)) == Repair::Due).count()
        };
        assert_eq!(ask(&mut repairs, now), 118, "a second's worth: 0.3 of 4 Mbit/s in packets of 1268 bytes");
        sent(&mut repairs, now, 0);
        assert_eq!(ask(&mut repairs, now + Duration::from_millis(100)), 12, "and what was left over");
    }

    #[test]
    fn a_retransmission_is_not_repeated_while_it_waits_or_is_under_way() {
        let now = Instant::now();
        let mut repairs = Repairs::new(now);
        assert_eq!(repairs.ask(now, lost(4), TRIP, None), Repair::Due);
        assert_eq!(repairs.ask(now + TRIP * 2, lost(4), TRIP, None), Repair::UnderWay, "it waits");
        let left = now + TRIP * 3;
        assert_eq!(sent(&mut repairs, left, 0), [4]);
        let before = left + TRIP - Duration::from_millis(1);
        assert_eq!(repairs.ask(before, lost(4), TRIP, None), Repair::UnderWay);
        assert_eq!(repairs.ask(before, lost(5), TRIP, None), Repair::Due);
        assert_eq!(repairs.ask(left + TRIP, lost(4), TRIP, None), Repair::Due);
    }

    #[test]
    fn the_newest_group_goes_first_and_its_oldest_packet_before_the_others() {
        let now = Instant::now();
        let mut repairs = Repairs::new(now);
        for index in [7, 12, 3, 15, 11] {
            repairs.ask(now, lost(index), TRIP, None);
        }
        assert_eq!(sent(&mut repairs, now, 11), [11, 12, 15, 3, 7]);
    }

    #[test]
    fn a_copy_is_due_a_moment_later_and_once() {
        let now = Instant::now();
        let mut repairs = Repairs::new(now);
        repairs.copy(now, lost(4));
        assert_eq!((repairs.next_copy(now), repairs.copy_at()), (None, Some(now + COPY_AFTER)));
        assert_eq!(repairs.next_copy(now + COPY_AFTER), Some(lost(4)));
        assert_eq!((repairs.next_copy(now + COPY_AFTER), repairs.copy_at()), (None, None));
    }

    #[test]
    fn the_last_packet_is_repeated_once_when_nothing_follows_it() {
        let now = Instant::now();
        let mut repairs = Repairs::new(now);
        repairs.tail(now, lost(4));
        let next = now + Duration::from_millis(17);
        assert_eq!(repairs.next_copy(next), None);
        repairs.tail(next, lost(5));
        assert_eq!((repairs.next_copy(now + TAIL_AFTER), repairs.copy_at()), (None, Some(next + TAIL_AFTER)));
        assert_eq!(repairs.next_copy(next + TAIL_AFTER), Some(lost(5)));
        assert_eq!((repairs.next_copy(next + TAIL_AFTER), repairs.copy_at()), (None, None));
    }
}
