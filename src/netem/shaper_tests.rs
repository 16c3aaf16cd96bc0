use super::*;
use crate::netem::shape::{Jitter, Reorder};
use proptest::collection::vec;
use proptest::prelude::*;

const MS: Duration = Duration::from_millis(1);

/// Offers packets, each so many microseconds after the one before it; gives when each came and its fate.
fn run(seed: u64, shape: &Shape, packets: &[(u64, usize)]) -> Vec<(Duration, Fate)> {
    let start = Instant::now();
    let mut now = start;
    let mut shaper = Shaper::new(seed);
    let offered = packets.iter().map(|(gap, bytes)| {
        now += Duration::from_micros(*gap);
        (now - start, rebase(shaper.offer(shape, now, *bytes), start))
    });
    offered.collect()
}

/// As if every run began at the same time.
fn rebase(fate: Fate, start: Instant) -> Fate {
    let epoch = epoch();
    let move_to = |at: Instant| epoch + (at - start);
    match fate {
        Fate::Lost | Fate::Overflow => fate,
        Fate::Delivered { at, again, reordered } => {
            Fate::Delivered { at: move_to(at), again: again.map(move_to), reordered }
        }
    }
}

fn epoch() -> Instant {
    static EPOCH: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *EPOCH.get_or_init(Instant::now)
}

/// Times and sizes of what arrives, copies too, by time.
fn arrivals(fates: &[(Duration, Fate)], packets: &[(u64, usize)]) -> Vec<(Duration, usize)> {
    let mut all = Vec::new();
    for ((_, fate), (_, bytes)) in fates.iter().zip(packets) {
        if let Fate::Delivered { at, again, .. } = fate {
            all.extend([Some(*at), *again].into_iter().flatten().map(|at| (at - epoch(), *bytes)));
        }
    }
    all.sort_by_key(|(at, _)| *at);
    all
}

fn lost(fates: &[(Duration, Fate)]) -> usize {
    fates.iter().filter(|(_, fate)| *fate == Fate::Lost).count()
}

fn steady(count: usize) -> Vec<(u64, usize)> {
    vec![(1000, 1200); count]
}

fn rate(bits_per_second: u64, queue: Queue) -> Option<Rate> {
    Some(Rate { bits_per_second, queue })
}

#[test]
fn a_clear_line_delivers_everything_at_once() {
    for (came, fate) in run(1, &Shape::CLEAR, &steady(1000)) {
        assert_eq!(fate, Fate::Delivered { at: epoch() + came, again: None, reordered: false });
    }
    assert_eq!(lost(&run(1, &Shape::CUT, &steady(1000))), 1000);
}

#[test]
fn a_slow_line_takes_its_time_and_drops_what_its_queue_does_not_hold() {
    // 1200 + 28 bytes at 98,240 bit/s are 100 ms.
    let shape = Shape { rate: rate(98_240, Queue::Bytes(3 * 1228)), delay: 5 * MS, ..Shape::CLEAR };
    let fates = run(1, &shape, &[(0, 1200), (0, 1200), (0, 1200), (0, 1200), (100_000, 1200), (0, 1200)]);
    let at = |fate: &Fate| match fate {
        Fate::Delivered { at, .. } => Some((*at - epoch()).as_millis()),
        Fate::Lost | Fate::Overflow => None,
    };
    let times: Vec<_> = fates.iter().map(|(_, fate)| at(fate)).collect();
    assert_eq!(times, [Some(105), Some(205), Some(305), None, Some(405), None]);
    assert_eq!(fates[3].1, Fate::Overflow);
}

#[test]
fn a_queue_may_be_as_long_as_a_time() {
    let shape = Shape { rate: rate(98_240, Queue::Time(150 * MS)), ..Shape::CLEAR };
    let fates = run(1, &shape, &[(0, 1200); 5]);
    let kept = fates.iter().filter(|(_, fate)| *fate != Fate::Overflow).count();
    assert_eq!(kept, 2, "the third would wait for 200 ms");
}

#[test]
fn a_line_of_no_speed_passes_nothing_and_an_idle_one_takes_any_packet() {
    let nothing = Shape { rate: rate(0, Queue::Bytes(1 << 30)), ..Shape::CLEAR };
    assert!(run(1, &nothing, &steady(3)).iter().all(|(_, fate)| *fate == Fate::Overflow));
    let small = Shape { rate: rate(1_000_000, Queue::Bytes(100)), ..Shape::CLEAR };
    assert!(run(1, &small, &[(0, 1200)]).iter().all(|(_, fate)| *fate != Fate::Overflow));
}

#[test]
fn what_a_line_carried_before_a_change_stays_ahead() {
    let slow = Shape { rate: rate(98_240, Queue::Time(Duration::from_secs(1))), ..Shape::CLEAR };
    let (mut shaper, now) = (Shaper::new(1), Instant::now());
    for _ in 0..5 {
        shaper.offer(&slow, now, 1200);
    }
    let Fate::Delivered { at, .. } = shaper.offer(&Shape::CLEAR, now + MS, 1200) else { panic!("delivered") };
    assert_eq!(at, now + 500 * MS, "not past what is under way");
    let Fate::Delivered { at, .. } = shaper.offer(&Shape::CLEAR, now + 501 * MS, 1200) else {
        panic!("delivered")
    };
    assert_eq!(at, now + 501 * MS);
}

#[test]
fn bursts_are_as_long_as_asked_for() {
    let shape = Shape { loss: Loss::bursts(0.05, 8.0), ..Shape::CLEAR };
    let fates = run(7, &shape, &steady(200_000));
    let runs = fates.chunk_by(|a, b| (a.1 == Fate::Lost) == (b.1 == Fate::Lost));
    let bursts = runs.filter(|run| run[0].1 == Fate::Lost).count();
    let (lost, total) = (lost(&fates) as f64, fates.len() as f64);
    assert!((lost / total - 0.05).abs() < 0.005, "{}", lost / total);
    assert!((lost / bursts as f64 - 8.0).abs() < 0.6, "{}", lost / bursts as f64);
}

#[test]
fn a_frames_packets_are_jittered_alike() {
    let jitter = Jitter { most: 10 * MS, keeps_order: true };
    let shape = Shape { delay: 20 * MS, jitter: Some(jitter), ..Shape::CLEAR };
    let frame = [(30_000, 1200), (50, 1200), (50, 1200)];
    let fates = run(3, &shape, &frame.repeat(100));
    let delay = |(came, fate): &(Duration, Fate)| match fate {
        Fate::Delivered { at, .. } => *at - epoch() - *came,
        Fate::Lost | Fate::Overflow => panic!("lost"),
    };
    let mut seen = std::collections::BTreeSet::new();
    for frame in fates.chunks(3) {
        assert!(frame.iter().all(|packet| delay(packet) == delay(&frame[0])));
        seen.insert(delay(&frame[0]));
    }
    assert!(seen.len() > 90 && seen.first() < Some(&(21 * MS)) && seen.last() > Some(&(29 * MS)));
}

#[test]
fn numbers_beyond_all_sense_are_no_panic() {
    let shape = Shape {
        loss: Loss::Bursts { to_bad: f64::NAN, to_good: -1.0, lost_in_good: 0.0, lost_in_bad: 9.0 },
        duplicate: f64::INFINITY,
        rate: rate(u64::MAX, Queue::Bytes(u64::MAX)),
        delay: Duration::MAX,
        jitter: Some(Jitter { most: Duration::MAX, keeps_order: false }),
        reorder: Some(Reorder { share: 1.0, by: Duration::MAX }),
    };
    for (came, fate) in run(1, &shape, &steady(100)) {
        let Fate::Delivered { at, again: Some(again), .. } = fate else { panic!("{fate:?}") };
        assert!(again >= at && again - epoch() - came <= 2 * LONGEST);
    }
    let slow = Shape { rate: rate(1, Queue::Time(Duration::MAX)), ..Shape::CLEAR };
    assert!(run(1, &slow, &[(0, 65_000)]).iter().all(|(_, fate)| *fate == Fate::Overflow));
    let always = Shape { loss: Loss::bursts(f64::MAX, f64::MAX), ..Shape::CLEAR };
    assert!(lost(&run(1, &always, &steady(10))) <= 10);
}

fn shapes() -> impl Strategy<Value = Shape> {
    let loss = prop_oneof![
        Just(Loss::None),
        (0.0..0.3).prop_map(Loss::Independent),
        ((0.0..0.3), (1.0..20.0)).prop_map(|(share, length)| Loss::bursts(share, length)),
    ];
    let queue = prop_oneof![
        (0u64..200_000).prop_map(Queue::Bytes),
        (0u64..500).prop_map(|ms| Queue::Time(Duration::from_millis(ms))),
    ];
    let rate = proptest::option::of((50_000u64..50_000_000, queue))
        .prop_map(|rate| rate.map(|(bits_per_second, queue)| Rate { bits_per_second, queue }));
    let jitter = proptest::option::of((0u32..50).prop_map(|ms| Jitter { most: MS * ms, keeps_order: true }));
    (loss, 0.0..0.2, rate, 0u32..200, jitter).prop_map(|(loss, duplicate, rate, delay, jitter)| Shape {
        loss,
        duplicate,
        rate,
        delay: MS * delay,
        jitter,
        reorder: None,
    })
}

fn traffic() -> impl Strategy<Value = Vec<(u64, usize)>> {
    vec((0u64..20_000, 1usize..1500), 1..300)
}

proptest! {
    #[test]
    fn order_is_kept_unless_reordering_is_asked_for(seed in any::<u64>(), shape in shapes(), packets in traffic()) {
        let mut newest = epoch();
        for (came, fate) in run(seed, &shape, &packets) {
            let Fate::Delivered { at, again, reordered } = fate else { continue };
            prop_assert!(!reordered && at >= newest && again.is_none_or(|again| again >= at));
            prop_assert!(at >= epoch() + came + shape.delay);
            newest = at;
        }
    }

    #[test]
    fn the_rate_is_never_exceeded_over_any_window(seed in any::<u64>(), shape in shapes(), packets in traffic()) {
        let Some(Rate { bits_per_second, .. }) = shape.rate else { return Ok(()) };
        // Behind the line jitter may bring packets together.
        let jitter = shape.jitter.map_or(Duration::ZERO, |jitter| jitter.most);
        let arrivals = arrivals(&run(seed, &shape, &packets), &packets);
        for (from, (begin, _)) in arrivals.iter().enumerate() {
            let mut bits = 0;
            for (end, bytes) in &arrivals[from + 1..] {
                bits += (*bytes as u64 + OVERHEAD_BYTES) * 8;
                let most = (*end - *begin + jitter).as_secs_f64() * bits_per_second as f64;
                prop_assert!(bits as f64 <= most + 1.0, "{bits} bits in {:?}", *end - *begin);
            }
        }
    }

    #[test]
    fn the_share_of_loss_is_right(seed in any::<u64>(), share in 0.01..0.3, length in 1.0..6.0) {
        for loss in [Loss::Independent(share), Loss::bursts(share, length)] {
            let fates = run(seed, &Shape { loss, ..Shape::CLEAR }, &steady(20_000));
            let seen = lost(&fates) as f64 / fates.len() as f64;
            // Five standard deviations; bursts make fewer independent draws.
            let spread = 5.0 * (share * 2.0 * length / 20_000.0).sqrt();
            prop_assert!((seen - share).abs() < spread, "{seen} for {share}, {loss:?}");
        }
    }

    #[test]
    fn the_same_seed_is_the_same_fate(seed in any::<u64>(), shape in shapes(), packets in traffic(), by in 1u32..50) {
        let shape = Shape { reorder: Some(Reorder { share: 0.1, by: MS * by }), ..shape };
        prop_assert_eq!(run(seed, &shape, &packets), run(seed, &shape, &packets));
    }

    #[test]
    fn who_is_lost_does_not_depend_on_the_clock_nor_on_other_settings(seed in any::<u64>(), shape in shapes(), packets in traffic()) {
        let which = |shape: &Shape, packets: &[(u64, usize)]| -> Vec<bool> {
            run(seed, shape, packets).iter().map(|(_, fate)| *fate == Fate::Lost).collect()
        };
        let only = Shape { loss: shape.loss, ..Shape::CLEAR };
        let with = Shape { rate: None, ..shape };
        prop_assert_eq!(which(&only, &steady(packets.len())), which(&with, &packets));
    }

    #[test]
    fn held_back_packets_are_passed(seed in any::<u64>(), share in 0.05..0.5) {
        let shape = Shape { reorder: Some(Reorder { share, by: 5 * MS }), ..Shape::CLEAR };
        let fates = run(seed, &shape, &steady(2000));
        let held = |fate: &Fate| matches!(fate, Fate::Delivered { reordered: true, .. });
        let seen = fates.iter().filter(|(_, fate)| held(fate)).count() as f64 / 2000.0;
        prop_assert!((seen - share).abs() < 0.07, "{seen} for {share}");
        for (came, fate) in fates {
            let Fate::Delivered { at, .. } = fate else { continue };
            prop_assert_eq!(at - epoch() - came, if held(&fate) { 5 * MS } else { Duration::ZERO });
        }
    }

    #[test]
    fn free_jitter_lets_packets_pass_each_other(seed in any::<u64>()) {
        let shape = Shape { jitter: Some(Jitter { most: 10 * MS, keeps_order: false }), ..Shape::CLEAR };
        let fates = run(seed, &shape, &steady(500));
        let passed = |fate: &Fate| matches!(fate, Fate::Delivered { reordered: true, .. });
        prop_assert!(fates.iter().any(|(_, fate)| passed(fate)));
    }
}
