//! The estimator by itself, fed with what browsers report.

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
    assert!((estimator.target() - control::START).abs() < 1.0);
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
    assert!((estimator.target() - control::START).abs() < 1.0);
}

#[test]
fn a_pause_forgets_packets_but_neither_the_target_nor_the_numbering() {
    let start = Instant::now() + Duration::from_secs(1);
    let (mut estimator, mut link) = (Estimator::new(), Link::new(start, 2e6));
    let now = play(&mut estimator, &mut link, start, 5, 4e6);
    let (target, number) = (estimator.target(), estimator.sent(now, 1000));
    estimator.resume();
    assert!((estimator.target() - target).abs() < 1.0 && target < 2e6, "{target}");
    assert_eq!(estimator.sent(now, 1000), number.wrapping_add(1));
    assert!(estimator.find(number).is_none());
}

#[test]
fn a_receivers_clock_may_wrap_and_another_clock_is_noticed() {
    let (start, mut clock) = (Instant::now(), Clock::default());
    let second = Duration::from_secs(1);
    assert_eq!(clock.continued(start, CLOCK - second), Some(CLOCK - second));
    assert_eq!(clock.continued(start + 2 * second, second), Some(CLOCK + second));
    assert_eq!(clock.continued(start + 3 * second, 2 * second), Some(CLOCK + 2 * second));
    assert_eq!(clock.continued(start + 4 * second, 1000 * second), None);
    assert_eq!(clock.continued(start + 5 * second, 1001 * second), Some(1001 * second));
}
