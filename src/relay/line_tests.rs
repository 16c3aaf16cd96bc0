//! One viewer behind lines of 1.5 to 20 Mbit/s in virtual time, with a source that answers key frame requests: what a viewer
//! is sent fits its line, whatever happens.
//!
//! What must hold in each case: from a key frame after the last trouble on every frame is complete; the relay sends no more
//! than the link is known to carry and a burst of 40 ms; the line's queue stays short; key frame requests are few.

use super::virtual_time::{Camera, Event, Mark, Setup, World, packet};
use crate::netem::{Loss, Queue, Rate, Shape};
use std::ops::Range;
use std::time::Duration;

const FRAME_TIME: Duration = Duration::from_micros(16_667);
const PAYLOAD: usize = 1150;
/// Part of a line that the viewer's link is known to carry, and part of that which the picture takes.
const KNOWN: f64 = 0.9;
const PICTURE: f64 = 0.75;
/// Key frames answer requests no faster.
const MERGE: u32 = 12;
const LENGTH: Duration = Duration::from_millis(6500);
const MS: fn(u64) -> Duration = Duration::from_millis;

/// 60 frames a second. What a key frame takes over its share is saved in the frames behind it, as encoders do.
struct Game {
    frame_bytes: f64,
    key_bytes: usize,
    debt: f64,
    frame: u32,
    sequence: u16,
    wanted: bool,
    keys: Vec<(u32, Duration)>,
}

impl Game {
    fn new(kbps: f64, key_bytes: usize) -> Self {
        let frame_bytes = kbps * 1000.0 / 8.0 * FRAME_TIME.as_secs_f64();
        Self { frame_bytes, key_bytes, debt: 0.0, frame: 0, sequence: 65_300, wanted: true, keys: Vec::new() }
    }
}

impl Camera for Game {
    fn frame(&mut self, now: Duration, requested: bool) -> (Vec<Vec<u8>>, Option<Duration>) {
        self.wanted |= requested;
        let merged = self.keys.last().is_none_or(|(frame, _)| self.frame - frame >= MERGE);
        let key = merged && std::mem::take(&mut self.wanted);
        let bytes = if key {
            self.keys.push((self.frame, now));
            self.debt += self.key_bytes as f64 - self.frame_bytes;
            self.key_bytes
        } else {
            let saved = (self.frame_bytes * 0.3).min(self.debt);
            self.debt -= saved;
            (self.frame_bytes - saved) as usize
        };
        let parts = bytes.div_ceil(PAYLOAD).max(if key { 3 } else { 1 });
        let mark = |part| Mark { frame: self.frame, part, parts: parts as u16, key };
        let packets = (0..parts as u16)
            .map(|part| packet(mark(part), self.sequence.wrapping_add(part), bytes / parts))
            .collect();
        self.sequence = self.sequence.wrapping_add(parts as u16);
        self.frame += 1;
        (packets, Some(FRAME_TIME * self.frame))
    }
}

#[derive(Debug, Clone)]
struct Case {
    mbps: f64,
    delay: Duration,
    loss: Loss,
    key_bytes: usize,
    joins: Duration,
    /// While nothing reaches the viewer.
    cut: Range<Duration>,
}

impl Case {
    fn world(&self) -> World<Game> {
        let bits_per_second = (self.mbps * 1e6) as u64;
        let rate = Some(Rate { bits_per_second, queue: Queue::Time(MS(100)) });
        let shape = Shape { rate, delay: self.delay, loss: self.loss, ..Shape::CLEAR };
        let (cut, full) = (self.cut.clone(), Duration::ZERO..Duration::ZERO);
        let setup = Setup { seed: 7, rtx: true, player: true, base: 30_000, shape, cut, full };
        let mut world = World::new(setup, Game::new(self.known() / 1000.0 * PICTURE, self.key_bytes));
        world.at(Duration::ZERO, Event::Learn(Some(self.known())));
        world.at(Duration::ZERO, Event::Frame);
        world.at(self.joins, Event::Join);
        world
    }

    /// In bit/s.
    fn known(&self) -> f64 {
        self.mbps * 1e6 * KNOWN
    }

    /// How long the link takes for a key frame.
    fn key_time(&self) -> Duration {
        Duration::from_secs_f64(self.key_bytes as f64 * 8.0 / self.known())
    }

    fn run(&self) {
        let mut world = self.world();
        world.run(LENGTH);
        let context = || format!("{self:?}: {} requests, key frames {:?}", world.requests, world.camera.keys);
        assert_eq!(world.unopened, 0, "{}", context());

        // The last key frame that troubles have asked for, and all behind it, but for what is still on its way.
        let over = if self.cut.is_empty() { self.joins } else { self.cut.end };
        let settled = over + self.delay * 6 + MS(300);
        let keys = &world.camera.keys;
        let from = keys.iter().rev().find(|(_, at)| *at <= settled).expect("a key frame").0;
        // What a burst has hit several times may take two seconds.
        let last = world.camera.frame - 120;
        let broken: Vec<u32> = (from..last).filter(|frame| !world.complete.contains_key(frame)).collect();
        let key_frame = world.complete.get(&from).copied();
        assert!(broken.is_empty(), "{}: frames {broken:?} from {from} to {last} are broken", context());

        // The budget: a bucket that drains at the known rate never holds more than a burst and a packet.
        let rate = self.known() / 8.0;
        let (mut level, mut before) = (0.0, Duration::ZERO);
        for sent in &world.wire {
            level = f64::max(level - (sent.at - before).as_secs_f64() * rate, 0.0) + sent.bytes as f64;
            before = sent.at;
            let most = f64::max(rate * 0.04, 5200.0) + 2.0 * 1300.0;
            assert!(level <= most, "{}: {level} bytes ahead at {before:?}, {most} may be", context());
        }

        // The line.
        let mut queued: Vec<Duration> = world.wire.iter().filter_map(|sent| sent.queued).collect();
        queued.sort();
        let p99 = queued[queued.len() * 99 / 100];
        assert!(p99 <= MS(60), "{}: {p99:?} in the line's queue", context());
        assert!(world.wire.iter().all(|sent| !sent.overflow), "{}: the queue ran over", context());

        let most = if self.cut.is_empty() { 2 } else { 4 };
        assert!(world.requests <= most && keys.len() <= most + 1, "{}", context());

        // The viewer sees the first key frame soon, and is not behind for long.
        let first = key_frame.expect("complete") - keys.iter().find(|key| key.0 == from).expect("known").1;
        let soon = self.key_time() + self.delay * 8 + MS(200);
        assert!(
            first <= soon + over.saturating_sub(FRAME_TIME * from),
            "{}: {first:?} of {soon:?}",
            context()
        );
        let age = |frame: u32| world.complete[&frame].saturating_sub(FRAME_TIME * frame + self.delay);
        let live =
            (from..last).find(|frame| (*frame..last.min(frame + 30)).all(|frame| age(frame) < MS(250)));
        let live = live.map(|frame| FRAME_TIME * frame);
        let expected = settled + self.key_time() * 5 + Duration::from_secs(1);
        assert!(live.is_some_and(|live| live <= expected), "{}: live at {live:?} of {expected:?}", context());
    }
}

const KIB: usize = 1024;

/// Lines of 1.5 to 20 Mbit/s, with delay and loss.
fn lines() -> Vec<Case> {
    let widths = [(1.5, 60 * KIB), (5.0, 120 * KIB), (20.0, 200 * KIB)];
    let losses = [
        Loss::None,
        Loss::Independent(0.01),
        Loss::Independent(0.05),
        Loss::bursts(0.01, 4.0),
        Loss::bursts(0.05, 4.0),
    ];
    let mut cases = Vec::new();
    for (mbps, key_bytes) in widths {
        for delay in [20, 100].map(MS) {
            for loss in losses {
                let cut = Duration::ZERO..Duration::ZERO;
                cases.push(Case { mbps, delay, loss, key_bytes, joins: MS(700), cut });
            }
        }
    }
    cases
}

fn with_outage(case: Case) -> Case {
    Case { joins: MS(100), cut: MS(1000)..MS(2500), ..case }
}

#[test]
fn a_joiner_gets_every_frame_within_what_its_line_carries() {
    lines().iter().step_by(4).for_each(Case::run);
}

#[test]
fn after_an_outage_every_frame_behind_one_key_frame_is_complete() {
    lines().into_iter().step_by(7).map(with_outage).for_each(|case| case.run());
}

mod long {
    #[test]
    #[ignore = "long: all thirty lines, with and without an outage"]
    fn every_frame_within_what_the_line_carries() {
        super::lines().iter().for_each(super::Case::run);
        super::lines().into_iter().map(super::with_outage).for_each(|case| case.run());
    }
}

#[test]
fn a_spectator_does_not_fill_a_line_that_is_narrower_than_the_picture() {
    let rate = Some(Rate { bits_per_second: 3_000_000, queue: Queue::Time(MS(100)) });
    let shape = Shape { rate, delay: MS(20), ..Shape::CLEAR };
    let never = Duration::ZERO..Duration::ZERO;
    let setup =
        Setup { seed: 7, rtx: true, player: false, base: 30_000, shape, cut: never.clone(), full: never };
    // Its link is not measured: receiver reports are all there is.
    let mut world = World::new(setup, Game::new(4500.0, 60 * KIB));
    world.at(Duration::ZERO, Event::Frame);
    world.at(MS(1), Event::Join);
    world.run(MS(20_000));
    let settled = MS(4000);
    let late = || world.wire.iter().filter(|sent| sent.at > settled);
    let lost = late().filter(|sent| sent.overflow).count();
    assert!(lost * 50 <= late().count(), "{lost} of {} packets were too many", late().count());
    // The first four requests come at once, then one in four seconds.
    assert!(world.requests <= 4 + 20 / 4 + 1, "{} requests", world.requests);
}

/// 3000 packets a second, as 4K has.
struct Fast(Game);

impl Camera for Fast {
    fn frame(&mut self, now: Duration, requested: bool) -> (Vec<Vec<u8>>, Option<Duration>) {
        let Game { frame, sequence, keys, .. } = &mut self.0;
        let key = requested || *frame == 0;
        if key {
            keys.push((*frame, now));
        }
        let mark = |part| Mark { frame: *frame, part, parts: 50, key };
        let packets = (0..50).map(|part| packet(mark(part), sequence.wrapping_add(part), 60)).collect();
        (*frame, *sequence) = (*frame + 1, sequence.wrapping_add(50));
        (packets, Some(FRAME_TIME * *frame))
    }
}

#[test]
fn a_receiver_that_nothing_reached_for_fourteen_seconds_of_4k_can_open_what_follows() {
    let shape = Shape { delay: MS(20), ..Shape::CLEAR };
    let (cut, full) = (MS(3000)..MS(17_000), Duration::ZERO..Duration::ZERO);
    let setup = Setup { seed: 7, rtx: true, player: false, base: 30_000, shape, cut, full };
    let mut world = World::new(setup, Fast(Game::new(0.0, 0)));
    world.at(Duration::ZERO, Event::Frame);
    world.at(MS(1), Event::Join);
    world.run(MS(26_000));
    assert_eq!(world.unopened, 0, "packets that could not be opened");
    let keys = &world.camera.0.keys;
    let from = keys.iter().find(|(_, at)| *at > MS(17_000)).expect("a key frame within five seconds").0;
    let broken: Vec<u32> =
        (from..world.camera.0.frame - 10).filter(|frame| !world.complete.contains_key(frame)).collect();
    assert!(broken.is_empty(), "from {from} on: {broken:?}");
    assert!(world.requests <= 8, "{} requests", world.requests);
}

/// Ten pictures a second, three packets each, as a game that mostly stands still has.
struct Slow(Game);

impl Camera for Slow {
    fn frame(&mut self, _: Duration, requested: bool) -> (Vec<Vec<u8>>, Option<Duration>) {
        let Game { frame, sequence, .. } = &mut self.0;
        let mark = |part| Mark { frame: *frame, part, parts: 3, key: requested || *frame == 0 };
        let packets = (0..3).map(|part| packet(mark(part), sequence.wrapping_add(part), 900)).collect();
        (*frame, *sequence) = (*frame + 1, sequence.wrapping_add(3));
        (packets, Some(MS(100) * *frame))
    }
}

#[test]
fn a_picture_whose_last_packet_is_lost_does_not_wait_for_the_next_one() {
    let shape = Shape { delay: MS(20), loss: Loss::Independent(0.03), ..Shape::CLEAR };
    let never = Duration::ZERO..Duration::ZERO;
    let setup =
        Setup { seed: 7, rtx: true, player: true, base: 30_000, shape, cut: never.clone(), full: never };
    let mut world = World::new(setup, Slow(Game::new(0.0, 0)));
    world.at(Duration::ZERO, Event::Frame);
    world.at(MS(1), Event::Join);
    world.run(MS(120_000));
    // From the first report of loss on.
    let age = |frame: &u32| world.complete.get(frame).map_or(Duration::MAX, |at| *at - MS(100) * *frame);
    let late = (100..1190).filter(|frame| age(frame) > MS(95)).count();
    assert!(late <= 5, "{late} pictures of 1090 were late");
}
