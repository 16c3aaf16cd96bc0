//! Courses in virtual time, through the shaper.

use super::*;
use crate::netem::{Fate, Jitter, Loss, Rate, Shaper};
use proptest::prelude::*;

const MS: Duration = Duration::from_millis(1);

fn delayed(ms: u32) -> Shape {
    Shape { delay: MS * ms, ..Shape::CLEAR }
}

/// When each packet arrives, in milliseconds after the start; absent: it does not.
fn arrivals(lane: &Lane, begun: Instant, seed: u64, packets: &[(u32, u64)]) -> Vec<Option<u128>> {
    let mut shaper = Shaper::new(seed);
    let arrival = |(at, size): &(u32, u64)| {
        let now = begun + MS * *at;
        match shaper.offer_packet(&lane.conditions(now), now, *size) {
            Fate::Lost | Fate::Overflow => None,
            Fate::Delivered { at, .. } => Some((at - begun).as_millis()),
        }
    };
    packets.iter().map(arrival).collect()
}

#[test]
fn steps_change_the_line_at_their_times_and_repeat() {
    let course = Course::steady(delayed(10)).then(200 * MS, Shape::CUT).then(100 * MS, delayed(50));
    let times = |course: &Course| {
        let at = |ms: u32| course.at(MS * ms);
        [at(0), at(99), at(100), at(199), at(200), at(450)]
    };
    let (near, far) = (delayed(10), delayed(50));
    assert_eq!(times(&course), [near, near, far, far, Shape::CUT, Shape::CUT]);
    assert_eq!(times(&course.repeating(300 * MS)), [near, near, far, far, Shape::CUT, far]);
}

#[test]
fn a_new_course_starts_its_time_anew() {
    let begun = Instant::now();
    let mut lane = Lane::new(Course::steady(Shape::CLEAR).then(100 * MS, delayed(7)), begun);
    assert_eq!(lane.conditions(begun + 150 * MS).shape, delayed(7));
    lane.set(Course::steady(delayed(1)).then(100 * MS, delayed(2)), begun + 150 * MS);
    assert_eq!(lane.conditions(begun + 249 * MS).shape, delayed(1));
    assert_eq!(lane.conditions(begun + 250 * MS).shape, delayed(2));
}

#[test]
fn an_outage_loses_everything_for_its_time_only() {
    let begun = Instant::now();
    let mut lane = Lane::new(delayed(5).into(), begun);
    lane.outage(30 * MS, begun + 10 * MS);
    let packets = [(0, 100), (9, 100), (10, 100), (39, 100), (40, 100)];
    assert_eq!(arrivals(&lane, begun, 1, &packets), [Some(5), Some(14), None, None, Some(45)]);
}

#[test]
fn a_trace_carries_1500_bytes_at_each_opportunity_and_wastes_the_rest() {
    let begun = Instant::now();
    let trace = Trace::parse("10\n20\n20\n40\n").unwrap();
    let lane = Lane::new(Course::steady(Shape::CLEAR).with_trace(trace, Queue::Bytes(6000)), begun);
    // Two small ones share an opportunity; the third needs two, both at 20; what comes at 21 has missed those. The one at
    // 50 fills its opportunity.
    let packets = [(0, 700), (0, 700), (1, 2900), (21, 1500), (21, 1500), (41, 100)];
    let expected = [Some(10), Some(10), Some(20), Some(40), Some(50), Some(60)];
    assert_eq!(arrivals(&lane, begun, 1, &packets), expected);
}

#[test]
fn the_queue_before_a_trace_is_bounded_in_bytes_or_time() {
    let begun = Instant::now();
    let trace = Trace::new((1..=10).map(|n| MS * n * 10).collect()).unwrap();
    let lane = |queue| Lane::new(Course::steady(Shape::CLEAR).with_trace(trace.clone(), queue), begun);
    let packets = [(0, 1500); 5];
    let three = [Some(10), Some(20), Some(30), None, None];
    assert_eq!(arrivals(&lane(Queue::Bytes(4500)), begun, 1, &packets), three);
    assert_eq!(arrivals(&lane(Queue::Time(20 * MS)), begun, 1, &packets), three);
    // Room again once one has left.
    let later = [(0, 1500), (0, 1500), (0, 1500), (0, 1500), (11, 1500)];
    let again = [Some(10), Some(20), Some(30), None, Some(40)];
    assert_eq!(arrivals(&lane(Queue::Bytes(4500)), begun, 1, &later), again);
}

fn shapes() -> impl Strategy<Value = Shape> {
    let loss = prop_oneof![
        Just(Loss::None),
        (0.0..0.5).prop_map(Loss::Independent),
        ((0.0..0.5), (1.0..9.0)).prop_map(|(share, length)| Loss::bursts(share, length)),
    ];
    let rate = proptest::option::of((100_000u64..9_000_000, 1000u64..90_000)).prop_map(|rate| {
        rate.map(|(bits_per_second, bytes)| Rate { bits_per_second, queue: Queue::Bytes(bytes) })
    });
    let jitter = proptest::option::of((1u32..30).prop_map(|ms| Jitter { most: MS * ms, keeps_order: true }));
    (loss, rate, 0u32..90, jitter).prop_map(|(loss, rate, delay, jitter)| Shape {
        loss,
        rate,
        jitter,
        ..delayed(delay)
    })
}

proptest! {
    #[test]
    fn the_same_seed_and_course_give_the_same_arrivals_in_order(
        seed in any::<u64>(),
        steps in proptest::collection::vec((0u32..900, shapes()), 1..5),
        gaps in proptest::collection::vec((0u32..20, 40u64..1500), 1..200),
        traced in any::<bool>(),
    ) {
        let begun = Instant::now();
        let mut course = Course::steady(Shape::CLEAR).repeating(MS * 1000);
        for (at, shape) in steps {
            course = course.then(MS * at, shape);
        }
        if traced {
            let trace = Trace::new((1..=50).map(|n| MS * n * 3).collect()).unwrap();
            course = course.with_trace(trace, Queue::Bytes(20_000));
        }
        let lane = Lane::new(course, begun);
        let mut now = 0;
        let packets: Vec<(u32, u64)> = gaps.into_iter().map(|(gap, size)| { now += gap; (now, size) }).collect();
        let first = arrivals(&lane, begun, seed, &packets);
        prop_assert_eq!(&first, &arrivals(&lane, begun, seed, &packets));
        let delivered: Vec<u128> = first.iter().flatten().copied().collect();
        prop_assert!(delivered.is_sorted());
    }
}
