//! How much a player's link carries: delay and loss of the packets that its transport-wide feedback reports on.
//!
//! The measuring parts of Google Congestion Control (draft-ietf-rmcat-gcc-02: arrival groups, Kalman filter, adaptive
//! threshold) are `rtc-interceptor`'s; the control over them is our own, because a game's picture is not a call's. It stands
//! still half of the time, so a rate that was not used says nothing about the link and is neither raised nor lowered; and a
//! player wants the picture back soon, so the rate climbs by a third a second away from where it last fell.
//!
//! No clock and no socket here. The history is bounded; what feedback says of packets it does not hold is ignored.

use rtc::interceptor::{OveruseDetector, PacketReport, RateCalculator, SlopeEstimator, Usage, convert_twcc};
use rtc::rtcp::transport_feedbacks::cc_feedback_report::Ecn;
use rtc::rtcp::transport_feedbacks::transport_layer_cc::{PacketStatusChunk, TransportLayerCc};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Packets remembered: 2 s of 60 frames/s with 34 packets each. The oldest is forgotten.
const HISTORY: usize = 4096;
/// Header, tag, UDP and IP of each packet.
const OVERHEAD: usize = 24 + 16 + 28;
/// Where an unknown link is believed to be, and the most it ever is, in bit/s.
const START: f64 = 12_000_000.0;
const MOST: f64 = 50_000_000.0;
const LEAST: f64 = 200_000.0;
/// Of what arrives while the queue grows.
const BACK_OFF: f64 = 0.85;
/// Between two steps down, so that each is seen before the next.
const SETTLE: Duration = Duration::from_millis(250);
/// After a step down the rate stays for this long: the queue drains first.
const REST: Duration = Duration::from_millis(800);
/// Growth a second: far from where the link was last full, and near it.
const FAR: f64 = 1.3;
const NEAR: f64 = 1.06;
/// "Near": within this of the rate that last filled the link, for so long.
const NEARNESS: std::ops::Range<f64> = 0.9..1.1;
const MEMORY: Duration = Duration::from_secs(10);
/// Less than this part of the rate in use: the source is the limit, not the link. An encoder that is asked for what is left
/// after sound and headers often gives two thirds of that.
const USED: f64 = 0.4;
/// Part of the rate that repairs may take, in packets of so many bytes, and how many there may be at least.
const REPAIRS: f64 = 0.3;
const FULL_PACKET: f64 = 1200.0;
const LEAST_REPAIRS: f64 = 40.0;
/// Loss that is congestion, over [`LOSS_SPAN`]; below it is what radio links do.
const HEAVY_LOSS: f64 = 0.1;
const LOSS_SPAN: Duration = Duration::from_millis(500);

/// One player's estimate.
pub(super) struct Estimator {
    next: u16,
    /// The newest packets, oldest first; the last one has number `next - 1`.
    sent: VecDeque<Sent>,
    slope: SlopeEstimator,
    detector: OveruseDetector,
    received: RateCalculator,
    target: f64,
    full_at: Option<(f64, Instant)>,
    lowered: Option<Instant>,
    updated: Option<Instant>,
    losses: Losses,
}

#[derive(Clone, Copy)]
struct Sent {
    at: Instant,
    bytes: usize,
    reported: bool,
}

/// Packets reported since `since`.
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
            slope: SlopeEstimator::new(),
            detector: OveruseDetector::new(),
            received: RateCalculator::default(),
            target: START,
            full_at: None,
            lowered: None,
            updated: None,
            losses: Losses { since: None, lost: 0, all: 0 },
        }
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

    /// The packet of this number was reported lost and is sent again unchanged: its arrival says nothing about the link.
    pub(super) fn sent_again(&mut self, number: u16) {
        let back = usize::from(self.next.wrapping_sub(number));
        if let Some(sent) = self.sent.len().checked_sub(back).and_then(|at| self.sent.get_mut(at)) {
            sent.reported = true;
        }
    }

    /// What the link carries, in bit/s.
    pub(super) fn target(&self) -> f64 {
        self.target
    }

    /// Packets a second that may be sent again: on a link that is full, repairs make it fuller.
    pub(super) fn repairs(&self) -> f64 {
        (self.target * REPAIRS / 8.0 / FULL_PACKET).max(LEAST_REPAIRS)
    }

    /// The player's report. Reports that claim more packets than are remembered are ignored whole.
    pub(super) fn feedback(&mut self, now: Instant, feedback: &TransportLayerCc) {
        if !is_plausible(feedback) {
            return;
        }
        let mut usage = self.detector.usage();
        for acknowledgement in convert_twcc(feedback) {
            let back = usize::from(self.next.wrapping_sub(acknowledgement.sequence_number));
            let Some(sent) = self.sent.len().checked_sub(back).and_then(|at| self.sent.get_mut(at)) else {
                continue;
            };
            if std::mem::replace(&mut sent.reported, acknowledgement.arrived) {
                continue;
            }
            self.losses.all += 1;
            if !acknowledgement.arrived {
                self.losses.lost += 1;
                continue;
            }
            self.received.add(now, sent.bytes);
            let report = PacketReport {
                ssrc: 0,
                id: 0,
                rtp_sequence_number: 0,
                is_twcc: true,
                twcc_sequence_number: acknowledgement.sequence_number,
                size: sent.bytes,
                arrived: true,
                departure: sent.at,
                arrival: acknowledgement.arrival,
                ecn: Ecn::NotEct,
            };
            if let Some(trend) = self.slope.accumulate(&report) {
                usage = self.detector.update(trend.at, trend.estimate_ms);
            }
        }
        let received = self.received.rate_bits_per_second(now);
        self.control(now, usage, received);
    }

    fn control(&mut self, now: Instant, usage: Usage, received: Option<f64>) {
        let passed = self.updated.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.updated = Some(now);
        let since_lowered = self.lowered.map(|at| now.saturating_duration_since(at));
        let loss = self.losses.take(now);
        let may_lower = since_lowered.is_none_or(|passed| passed >= SETTLE);
        let congested = usage == Usage::Over || loss.is_some_and(|loss| loss > HEAVY_LOSS);
        if congested {
            if let (true, Some(received)) = (may_lower, received) {
                // Of what arrives, not of what was wished for: that is what the link carries, and goes on to carry while
                // its queue drains.
                let lossy = loss.filter(|loss| *loss > HEAVY_LOSS).map_or(1.0, |loss| 1.0 - loss / 2.0);
                self.target = (received * BACK_OFF.min(lossy)).min(self.target).clamp(LEAST, MOST);
                self.full_at = Some((received, now));
                self.lowered = Some(now);
            }
            return;
        }
        let resting = since_lowered.is_some_and(|passed| passed < REST);
        let used = received.is_some_and(|received| received > self.target * USED);
        if usage == Usage::Under || resting || !used {
            return;
        }
        let near = self.full_at.is_some_and(|(rate, at)| {
            now.saturating_duration_since(at) < MEMORY && NEARNESS.contains(&(self.target / rate))
        });
        let growth = if near { NEAR } else { FAR };
        self.target = (self.target * growth.powf(passed.as_secs_f64().min(1.0))).clamp(LEAST, MOST);
    }
}

impl Losses {
    /// The part that was lost, once a span is over.
    fn take(&mut self, now: Instant) -> Option<f64> {
        let since = *self.since.get_or_insert(now);
        if now.saturating_duration_since(since) < LOSS_SPAN || self.all == 0 {
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
mod tests {
    use super::*;
    use rtc::rtcp::transport_feedbacks::transport_layer_cc::{
        RecvDelta, RunLengthChunk, StatusChunkTypeTcc, SymbolTypeTcc,
    };

    /// A link of `rate` bit/s with a queue that never overflows, or one that loses every `lose`-th packet.
    struct Link {
        start: Instant,
        rate: f64,
        lose: Option<u64>,
        free_at: f64,
        count: u64,
        arrived: VecDeque<(u16, Option<f64>)>,
    }

    impl Link {
        fn new(start: Instant, rate: f64) -> Self {
            Self { start, rate, lose: None, free_at: 0.0, count: 0, arrived: VecDeque::new() }
        }

        fn carry(&mut self, number: u16, bytes: usize, at: Instant) {
            let at = (at - self.start).as_secs_f64();
            self.count += 1;
            if self.lose.is_some_and(|every| self.count.is_multiple_of(every)) {
                return self.arrived.push_back((number, None));
            }
            self.free_at = self.free_at.max(at) + (bytes * 8) as f64 / self.rate;
            self.arrived.push_back((number, Some(self.free_at + 0.02)));
        }

        /// What a browser would report at `now`.
        fn report(&mut self, now: Instant) -> Option<TransportLayerCc> {
            let now = (now - self.start).as_secs_f64();
            let (mut chunks, mut deltas, mut base) = (Vec::new(), Vec::new(), None);
            let mut clock = None;
            while let Some((number, at)) = self.arrived.front().copied() {
                if at.is_some_and(|at| at > now) {
                    break;
                }
                self.arrived.pop_front();
                base.get_or_insert(number);
                let symbol = match at {
                    Some(at) => {
                        let ticks = (at / 0.064).floor() * 64_000.0;
                        let last = *clock.get_or_insert(ticks);
                        let delta = ((at * 1e6 - last) / 250.0).round() * 250.0;
                        clock = Some(last + delta);
                        deltas.push(RecvDelta {
                            type_tcc_packet: SymbolTypeTcc::PacketReceivedLargeDelta,
                            delta: delta as i64,
                        });
                        if deltas.len() == 1 {
                            reference(&mut chunks, (ticks / 64_000.0) as u32);
                        }
                        SymbolTypeTcc::PacketReceivedLargeDelta
                    }
                    None => SymbolTypeTcc::PacketNotReceived,
                };
                chunks.push((symbol, 0));
            }
            let reference_time = chunks.iter().map(|(_, time)| *time).max().unwrap_or(0);
            let packet_chunks: Vec<_> = chunks
                .iter()
                .filter(|(_, time)| *time == 0)
                .map(|(symbol, _)| {
                    PacketStatusChunk::RunLengthChunk(RunLengthChunk {
                        type_tcc: StatusChunkTypeTcc::RunLengthChunk,
                        packet_status_symbol: *symbol,
                        run_length: 1,
                    })
                })
                .collect();
            Some(TransportLayerCc {
                base_sequence_number: base?,
                packet_status_count: u16::try_from(packet_chunks.len()).ok()?,
                reference_time,
                packet_chunks,
                recv_deltas: deltas,
                ..Default::default()
            })
        }
    }

    /// Notes the reference time beside the symbols; a time of 0 marks a symbol.
    fn reference(chunks: &mut Vec<(SymbolTypeTcc, u32)>, time: u32) {
        chunks.push((SymbolTypeTcc::PacketNotReceived, time.max(1)));
    }

    /// Plays `seconds` of 60 frames/s at what the estimate says, at most `source` bit/s.
    fn play(estimator: &mut Estimator, link: &mut Link, from: Instant, seconds: u64, source: f64) -> Instant {
        let mut now = from;
        for frame in 0..seconds * 60 {
            now += Duration::from_micros(16_667);
            let bytes = (estimator.target().min(source) / 8.0 / 60.0) as usize;
            let packets = bytes.div_ceil(1200).max(1);
            for _ in 0..packets {
                let number = estimator.sent(now, bytes / packets);
                link.carry(number, bytes / packets + OVERHEAD, now);
            }
            if frame % 3 == 0
                && let Some(report) = link.report(now)
            {
                estimator.feedback(now, &report);
            }
        }
        now
    }

    #[test]
    fn a_narrow_link_is_found_within_three_seconds_and_left_within_twenty() {
        let start = Instant::now() + Duration::from_secs(1);
        let (mut estimator, mut link) = (Estimator::new(), Link::new(start, 20e6));
        let now = play(&mut estimator, &mut link, start, 5, 4e6);
        assert!(estimator.target() > 4e6, "{}", estimator.target());
        link.rate = 1.5e6;
        let now = play(&mut estimator, &mut link, now, 3, 4e6);
        assert!(estimator.target() < 1.5e6, "{}", estimator.target());
        let now = play(&mut estimator, &mut link, now, 20, 4e6);
        assert!((0.7e6..1.8e6).contains(&estimator.target()), "{}", estimator.target());
        link.rate = 20e6;
        play(&mut estimator, &mut link, now, 20, 4e6);
        assert!(estimator.target() > 3.6e6, "{}", estimator.target());
    }

    #[test]
    fn a_still_picture_moves_nothing() {
        let start = Instant::now() + Duration::from_secs(1);
        let (mut estimator, mut link) = (Estimator::new(), Link::new(start, 20e6));
        play(&mut estimator, &mut link, start, 20, 100e3);
        assert!((estimator.target() - START).abs() < 1.0);
    }

    #[test]
    fn a_little_loss_costs_no_rate_and_much_does() {
        let start = Instant::now() + Duration::from_secs(1);
        let (mut estimator, mut link) = (Estimator::new(), Link::new(start, 20e6));
        link.lose = Some(50);
        let now = play(&mut estimator, &mut link, start, 20, 4e6);
        assert!(estimator.target() > 4e6, "2 %: {}", estimator.target());
        link.lose = Some(4);
        play(&mut estimator, &mut link, now, 5, 4e6);
        assert!(estimator.target() < 3e6, "25 %: {}", estimator.target());
    }

    #[test]
    fn a_report_of_millions_of_packets_is_ignored() {
        let mut estimator = Estimator::new();
        let run = RunLengthChunk {
            type_tcc: StatusChunkTypeTcc::RunLengthChunk,
            packet_status_symbol: SymbolTypeTcc::PacketReceivedWithoutDelta,
            run_length: 8191,
        };
        let packet_chunks = vec![PacketStatusChunk::RunLengthChunk(run); 700];
        let feedback = TransportLayerCc { packet_chunks, ..Default::default() };
        estimator.feedback(Instant::now(), &feedback);
        assert!((estimator.target() - START).abs() < 1.0);
    }
}
