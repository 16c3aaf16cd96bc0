//! Streams of two packets a frame at 20 frames/s, with what goes wrong on a network.

use super::stream::{MAX_FRAMES, MAX_HOLES};
use super::*;
use proptest::prelude::*;

const FRAME: Duration = Duration::from_millis(50);

struct Feed {
    meter: Meter,
    start: Instant,
}

impl Feed {
    fn new() -> Self {
        let start = Instant::now();
        Self { meter: Meter::new(start, false), start }
    }

    /// Packet `n` of the stream at `ms`: frame `n / 2`, the odd ones end it.
    fn packet(&mut self, n: u32, ms: u64) {
        self.packet_of(n, n / 2, ms);
    }

    fn packet_of(&mut self, n: u32, frame: u32, ms: u64) {
        let header = Header {
            marker: n % 2 == 1,
            payload_type: 102,
            sequence: u16::try_from((65_500 + n) % 65_536).unwrap(),
            timestamp: (u32::MAX - 9_000).wrapping_add(frame * 4_500),
            ssrc: 7,
        };
        self.meter.packet(header, 1_000, self.start + Duration::from_millis(ms));
    }

    /// Frames on time, without the packets named.
    fn frames(&mut self, frames: std::ops::Range<u32>, without: &[u32]) {
        for frame in frames {
            for n in [frame * 2, frame * 2 + 1].into_iter().filter(|n| !without.contains(n)) {
                self.packet(n, u64::from(frame) * 50);
            }
        }
    }
}

#[test]
fn a_clean_stream_is_whole_over_the_end_of_all_numbers() {
    let mut feed = Feed::new();
    feed.frames(0..100, &[]);
    let totals = &feed.meter.totals;
    assert_eq!((totals.packets, totals.whole, totals.missing, totals.lost), (200, 100, 0, 0));
    assert_eq!((totals.freezes, totals.late, totals.duplicates), ([0; 3], 0, 0));
    assert_eq!(feed.meter.gaps.quantile(0.5).unwrap().as_millis(), 50);
    assert_eq!(feed.meter.seconds.len(), 5);
    assert_eq!(feed.meter.seconds[2], Second { bytes: 40_000, frames: 20, lost: 0 });
    assert!(feed.meter.last_delay.max().unwrap() < Duration::from_millis(1));
    assert!(!feed.meter.waits());
}

#[test]
fn a_lost_packet_is_asked_for_and_its_answer_timed() {
    let mut feed = Feed::new();
    feed.frames(0..10, &[]);
    feed.packet(21, 500);
    let at = |ms| feed.start + Duration::from_millis(ms);
    assert_eq!(feed.meter.wanted(at(501)), None, "it may be on its way");
    assert_eq!(feed.meter.wanted(at(506)), Some((7, vec![65_520])));
    assert_eq!(feed.meter.wanted(at(540)), None, "asked already");
    assert!(feed.meter.wanted(at(610)).is_some(), "and again");
    assert_eq!(feed.meter.totals.whole, 10);
    feed.packet(20, 630);
    assert_eq!((feed.meter.totals.whole, feed.meter.totals.repaired, feed.meter.totals.lost), (11, 1, 0));
    assert_eq!(feed.meter.totals.late, 1, "130 ms behind");
    assert_eq!(feed.meter.totals.freezes, [1, 1, 0]);
    assert!(feed.meter.repair.max().unwrap().abs_diff(Duration::from_millis(124)) < Duration::from_millis(3));
}

#[test]
fn a_packet_that_never_comes_costs_its_frame_and_holds_the_next_ones() {
    let mut feed = Feed::new();
    feed.frames(0..40, &[21]);
    assert_eq!((feed.meter.totals.lost, feed.meter.totals.missing), (1, 1));
    assert_eq!(feed.meter.totals.whole, 39);
    assert_eq!(feed.meter.totals.freezes, [1, 1, 1], "a second of waiting");
    let mut feed = Feed::new();
    feed.frames(0..40, &[20]);
    assert_eq!((feed.meter.totals.lost, feed.meter.totals.missing, feed.meter.totals.whole), (1, 1, 39));
}

#[test]
fn frames_lost_as_a_whole_are_told_from_the_timestamps() {
    let mut feed = Feed::new();
    feed.frames(0..60, &[40, 41, 42, 43, 44, 45]);
    assert_eq!((feed.meter.totals.lost, feed.meter.totals.missing, feed.meter.totals.whole), (6, 3, 57));
}

#[test]
fn a_pause_of_the_source_is_no_freeze_but_a_stall_of_the_network_is() {
    let mut feed = Feed::new();
    feed.frames(0..10, &[]);
    for n in 20..30 {
        feed.packet_of(n, n / 2 + 20, u64::from(n / 2 + 20) * 50);
    }
    assert_eq!((feed.meter.totals.whole, feed.meter.totals.freezes), (15, [0; 3]));
    let mut feed = Feed::new();
    feed.frames(0..10, &[]);
    for n in 20..24 {
        feed.packet(n, 730);
    }
    assert_eq!(feed.meter.totals.freezes, [1, 1, 1]);
    assert_eq!(feed.meter.totals.late, 2);
    assert!(feed.meter.totals.frozen.abs_diff(Duration::from_millis(230)) < Duration::from_millis(2));
}

#[test]
fn a_new_stream_continues_the_sums_and_its_gap_is_a_freeze() {
    let mut feed = Feed::new();
    feed.frames(0..10, &[]);
    let header = |sequence, marker| Header { marker, payload_type: 102, sequence, timestamp: 5, ssrc: 8 };
    let at = feed.start + Duration::from_millis(1_450);
    feed.meter.packet(header(9, false), 10, at);
    feed.meter.packet(header(10, true), 10, at);
    assert_eq!((feed.meter.totals.streams, feed.meter.totals.whole, feed.meter.totals.lost), (1, 11, 0));
    assert_eq!(feed.meter.totals.freezes, [1, 1, 1]);
    assert_eq!(feed.meter.reception().map(|(ssrc, ..)| ssrc), Some(8));
}

#[test]
fn duplicates_change_nothing_and_a_frame_without_a_marker_ends_with_the_next() {
    let mut feed = Feed::new();
    feed.frames(0..5, &[]);
    feed.packet(9, 230);
    assert_eq!((feed.meter.totals.duplicates, feed.meter.totals.whole), (1, 5));
    let start = Instant::now();
    let mut meter = Meter::new(start, false);
    for n in 0..10_u16 {
        let header = Header {
            marker: false,
            payload_type: 96,
            sequence: n,
            timestamp: u32::from(n / 2) * 4_500,
            ssrc: 1,
        };
        meter.packet(header, 100, start + FRAME * u32::from(n / 2));
    }
    assert_eq!((meter.totals.whole, meter.totals.missing), (4, 0));
}

#[test]
fn an_unopened_retransmission_is_taken_for_the_oldest_request() {
    let mut feed = Feed::new();
    feed.frames(0..10, &[5]);
    let at = feed.start + Duration::from_millis(460);
    assert!(feed.meter.wanted(at).is_some());
    feed.meter.retransmission(1_000, false, at + Duration::from_millis(7));
    assert_eq!((feed.meter.totals.presumed, feed.meter.totals.whole), (1, 10));
    assert!(!feed.meter.waits());
}

#[test]
fn one_that_decodes_counts_what_it_shows() {
    let start = Instant::now();
    let mut meter = Meter::new(start, true);
    for n in 0..10_u16 {
        let timestamp = u32::from(n) * 4_500;
        let header = Header { marker: true, payload_type: 102, sequence: n, timestamp, ssrc: 1 };
        let at = start + FRAME * u32::from(n);
        meter.packet(header, 100, at);
        // It stumbles at 5 and shows nothing up to 8.
        if !(5..8).contains(&n) {
            meter.shown(timestamp, at + Duration::from_millis(3));
        }
    }
    assert_eq!((meter.totals.whole, meter.totals.freezes), (10, [1, 1, 0]));
    assert_eq!(meter.seconds[0].frames, 7);
    meter.finish(start + Duration::from_secs(5));
    assert_eq!(meter.totals.freezes, [1, 1, 0], "nothing was due");
}

proptest! {
    #[test]
    fn nothing_is_counted_twice_and_nothing_panics(
        packets in prop::collection::vec((any::<u16>(), 0u32..200_000, any::<bool>(), 0u8..3, 0u64..2_000), 0..300),
    ) {
        let start = Instant::now();
        let mut meter = Meter::new(start, false);
        let mut now = start;
        for (sequence, timestamp, marker, ssrc, wait) in packets {
            now += Duration::from_millis(wait);
            let header = Header { marker, payload_type: 1, sequence, timestamp, ssrc: u32::from(ssrc) };
            meter.packet(header, 10, now);
            let _ = meter.wanted(now);
        }
        meter.finish(now);
        prop_assert!(meter.totals.whole <= meter.totals.packets);
        if let Some(stream) = &meter.stream {
            prop_assert!(stream.holes.len() <= MAX_HOLES + JUMP as usize && stream.frames.len() <= MAX_FRAMES + 1);
        }
    }

    #[test]
    fn every_frame_is_whole_or_missing_whatever_is_lost(lost in prop::collection::btree_set(8u32..190, 0..60)) {
        let without: Vec<u32> = lost.into_iter().collect();
        let mut feed = Feed::new();
        feed.frames(0..130, &without);
        let totals = &feed.meter.totals;
        prop_assert_eq!(totals.lost, without.len() as u64);
        prop_assert_eq!(totals.whole + totals.missing, 130);
        prop_assert!(without.is_empty() || totals.missing > 0);
    }
}
