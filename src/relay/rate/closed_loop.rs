//! The whole loop in virtual time: a moving game, an encoder with a coarsest step, the runner's [`Fit`], the relay's sending,
//! an emulated line, a browser's reports and retransmissions, the estimate, and the bitrate it leads to.
//!
//! A line of 5 Mbit/s with a queue of 100 ms was once used by a third, with 0.9 pictures a second. The same model showed why,
//! with a game whose coarsest whole pictures take 30 kB, each part alone and both together:
//!
//! | | used | pictures/s | waits at p99 |
//! |---|---|---|---|
//! | trend of frame to frame delays; bits owed, frames by parts of the bitrate | 33 % | 0.9 | 99 ms |
//! | the same trend, [`Fit`] | 93 % | 32 | 98 ms |
//! | this estimate and [`Fit`] | 93 % | 45 | 30 ms |
//!
//! Pictures that were left out made the next one larger, until each was more than the queue takes; its tail was lost, what
//! arrived was taken for all that the line carries, and the bitrate followed it down.

use super::Estimator;
use super::control::MOST;
use crate::netem::{Fate, Loss, Queue, Rate, Shape, Shaper};
use crate::runner::fit::{Fit, Sent};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::time::{Duration, Instant};

const MS: Duration = Duration::from_millis(1);
const FPS: u32 = 60;
/// What is left of that while a game stands still, as sound and pointer have it.
const STILL_FPS: u32 = 10;
const PIXELS: u32 = 1280 * 720;
/// What the game wants, in kbit/s.
const GAME_KBPS: u32 = 8000;
/// As in `relay::session`.
const VIDEO_SHARE: f64 = 0.93;
const AUDIO_KBPS: f64 = 110.0;
/// Between two reports of the browser.
const REPORT: Duration = Duration::from_millis(50);
/// More lost packets than this are not sent again: a key frame comes instead, as the pacer has it.
const OUTAGE: usize = 24;
/// The first seconds are the start and do not count.
const WARM: Duration = Duration::from_secs(8);

/// A line and a game before it.
#[derive(Clone)]
pub(super) struct World {
    /// Rates in bit/s, and since when each.
    pub(super) rates: Vec<(Duration, f64)>,
    /// From here on the path takes another 20 ms.
    pub(super) longer: Duration,
    pub(super) loss: f64,
    /// Bytes of a moving picture at the encoder's coarsest.
    pub(super) coarsest: f64,
    /// What the game's pictures are worth, in bit/s: a source that sends no more, however wide the line is.
    pub(super) demand: f64,
    /// Meanwhile the game stands still, and sends next to nothing.
    pub(super) still: Range<Duration>,
    pub(super) lasts: Duration,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Of what the line could carry.
    pub(super) used: f64,
    pub(super) pictures_a_second: f64,
    /// Waits in the line's queue, in ms, sorted.
    pub(super) waits: Vec<f64>,
    /// Without those that an outage needs.
    pub(super) key_frames: u32,
    /// When pictures were whole at the browser.
    pub(super) shown: Vec<Duration>,
    /// The target at each report, in bit/s.
    pub(super) targets: Vec<(Duration, f64)>,
}

/// A packet of a picture.
#[derive(Clone, Copy)]
struct Packet {
    picture: u64,
    payload: usize,
}

struct Encoder {
    seed: u64,
    half: bool,
    /// Bits spent beyond the rate so far.
    over: f64,
}

impl World {
    pub(super) fn line(mbps: f64) -> Self {
        let rates = vec![(Duration::ZERO, mbps * 1e6)];
        let (longer, lasts) = (Duration::MAX, Duration::from_secs(30));
        let still = Duration::MAX..Duration::MAX;
        Self { rates, longer, loss: 0.0, coarsest: 3200.0, demand: f64::MAX, still, lasts }
    }

    fn rate(&self, at: Duration) -> f64 {
        self.rates.iter().rev().find(|(since, _)| *since <= at).map_or(MOST, |(_, rate)| *rate)
    }

    fn shape(&self, at: Duration) -> Shape {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bits a second")]
        let rate = Rate { bits_per_second: self.rate(at) as u64, queue: Queue::Time(100 * MS) };
        let loss = if self.loss > 0.0 { Loss::Independent(self.loss) } else { Loss::None };
        let delay = if at < self.longer { 20 * MS } else { 40 * MS };
        Shape { rate: Some(rate), delay, loss, ..Shape::CLEAR }
    }

    pub(super) fn play(&self) -> Seen {
        let mut run = Run::new();
        let mut next_picture = Duration::ZERO;
        let mut waiting = false;
        let mut reports_at = REPORT;
        let mut at = Duration::ZERO;
        while at < self.lasts {
            at += MS;
            if at >= next_picture {
                let rate = if self.still.contains(&at) { STILL_FPS } else { FPS };
                next_picture += Duration::from_secs(1) / rate;
                waiting = true;
            }
            run.hear(at);
            if waiting && run.fit.next(run.start + at).is_none() {
                waiting = false;
                run.draw(self, at);
            }
            run.arrive(at);
            if at >= reports_at {
                reports_at += REPORT;
                run.report(self, at);
            }
        }
        run.finish(self)
    }
}

/// Transport-wide numbers, and when each packet arrived.
type Report = Vec<(u16, Option<Duration>)>;

struct Run {
    start: Instant,
    estimator: Estimator,
    fit: Fit,
    encoder: Encoder,
    shaper: Shaper,
    kbps: u32,
    pictures: u64,
    /// Packets of each picture that have not arrived.
    missing: BTreeMap<u64, usize>,
    /// Sent and on their way or lost, by transport-wide number, and when they arrive.
    sent: VecDeque<(u16, Option<Duration>, Packet)>,
    arriving: BTreeSet<(Duration, u16)>,
    under_way: BTreeMap<u16, Packet>,
    lost: VecDeque<Packet>,
    /// The next picture is a key frame: too much was lost.
    outage: bool,
    /// Reports on their way back: when they are there, and what they say.
    reports: VecDeque<(Duration, Report, usize)>,
    /// Bitrates on their way to the runner.
    told: (u32, Duration),
    arrived_bytes: usize,
    seen: Seen,
}

impl Run {
    fn new() -> Self {
        Self {
            start: Instant::now() + Duration::from_secs(1),
            estimator: Estimator::new(),
            fit: Fit::new(FPS, GAME_KBPS),
            encoder: Encoder { seed: 7, half: false, over: 0.0 },
            shaper: Shaper::new(5),
            kbps: GAME_KBPS,
            pictures: 0,
            missing: BTreeMap::new(),
            sent: VecDeque::new(),
            arriving: BTreeSet::new(),
            under_way: BTreeMap::new(),
            lost: VecDeque::new(),
            outage: false,
            reports: VecDeque::new(),
            told: (GAME_KBPS, Duration::ZERO),
            arrived_bytes: 0,
            seen: Seen::default(),
        }
    }

    /// The estimate reaches the runner.
    fn hear(&mut self, at: Duration) {
        if self.told.1 <= at && self.told.0 != self.kbps {
            self.kbps = self.told.0;
            self.fit.set_kbps(self.start + at, self.kbps);
        }
    }

    /// A picture is encoded and sent, all of it at once.
    fn draw(&mut self, world: &World, at: Duration) {
        let resized = self.encoder.half != self.fit.is_half();
        self.encoder.half = self.fit.is_half();
        let outage = std::mem::take(&mut self.outage);
        let key = resized || self.pictures == 0 || outage;
        self.seen.key_frames += u32::from(key && !outage);
        let bytes = if world.still.contains(&at) {
            120
        } else {
            self.encoder.encode(world, self.kbps, self.fit.fps(), key)
        };
        self.fit.sent(self.start + at, Sent { pixels: PIXELS, bytes, moving: !key, coarseness: None });
        let packets = bytes.div_ceil(1200).max(1);
        self.missing.insert(self.pictures, packets);
        for _ in 0..packets {
            self.send(world, at, Packet { picture: self.pictures, payload: bytes / packets });
        }
        self.pictures += 1;
    }

    fn send(&mut self, world: &World, at: Duration, packet: Packet) {
        let now = self.start + at;
        let number = self.estimator.sent(now, packet.payload);
        let shape = world.shape(at);
        let arrives = match self.shaper.offer(&shape, now, packet.payload + 40) {
            Fate::Delivered { at: arrives, .. } => {
                let arrives = arrives - self.start;
                let waited = arrives.saturating_sub(at + shape.delay);
                if at > WARM {
                    self.seen.waits.push(waited.as_secs_f64() * 1000.0);
                }
                self.arriving.insert((arrives, number));
                Some(arrives)
            }
            Fate::Lost | Fate::Overflow => None,
        };
        self.under_way.insert(number, packet);
        self.sent.push_back((number, arrives, packet));
    }

    fn arrive(&mut self, at: Duration) {
        while let Some((arrives, number)) =
            self.arriving.first().copied().filter(|(arrives, _)| *arrives <= at)
        {
            self.arriving.pop_first();
            let Some(packet) = self.under_way.remove(&number) else { continue };
            if arrives > WARM {
                self.arrived_bytes += packet.payload + 68;
            }
            if let Some(missing) = self.missing.get_mut(&packet.picture) {
                *missing -= 1;
            }
            // Pictures are decoded in their order.
            while self.missing.first_key_value().is_some_and(|(_, missing)| *missing == 0) {
                self.missing.pop_first();
                self.seen.shown.push(arrives);
            }
        }
    }

    /// The browser reports what came, and asks for what did not; the relay hears it a delay later.
    fn report(&mut self, world: &World, at: Duration) {
        let newest =
            self.sent.iter().rposition(|(_, arrives, _)| arrives.is_some_and(|arrives| arrives <= at));
        let mut packets = Vec::new();
        for (number, arrives, packet) in self.sent.drain(..newest.map_or(0, |newest| newest + 1)) {
            if arrives.is_none() {
                self.under_way.remove(&number);
                self.lost.push_back(packet);
            }
            packets.push((number, arrives.map(coarse)));
        }
        if self.lost.len() > OUTAGE {
            self.outage = true;
            self.lost.clear();
            self.missing.clear();
        }
        self.reports.push_back((at + 20 * MS, packets, self.lost.len()));
        while let Some((_, packets, lost)) = self.reports.pop_front_if(|(there, _, _)| *there <= at) {
            let now = self.start + at;
            let reports = packets.iter().map(|(number, arrives)| (*number, arrives.is_some(), *arrives));
            self.estimator.acknowledged(now, reports);
            self.seen.targets.push((at, self.estimator.target()));
            self.tell(at);
            // As the pacer has it: three tenths of the rate, in packets of 1268 bytes on the line.
            let repairs = (self.estimator.target() * 0.3 / 8.0 / 1268.0).max(40.0);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "few packets")]
            let repairs = (repairs * REPORT.as_secs_f64()) as usize;
            for packet in self.lost.drain(..lost.min(repairs).min(self.lost.len())).collect::<Vec<_>>() {
                self.send(world, at, packet);
            }
        }
    }

    /// As the relay's session tells it on.
    fn tell(&mut self, at: Duration) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "kbit/s")]
        let kbps = (self.estimator.target() / 1000.0 * VIDEO_SHARE - AUDIO_KBPS).max(100.0) as u32;
        let kbps = kbps.min(GAME_KBPS);
        if kbps.abs_diff(self.told.0) * 100 > self.told.0 * 4 && at >= self.told.1 + 100 * MS {
            self.told = (kbps, at + 5 * MS);
        }
    }

    fn finish(mut self, world: &World) -> Seen {
        let counted = world.lasts - WARM;
        let mut carried = 0.0;
        let mut at = WARM;
        while at < world.lasts {
            carried += world.rate(at) / 1000.0;
            at += MS;
        }
        self.seen.used = self.arrived_bytes as f64 * 8.0 / carried;
        let shown = self.seen.shown.iter().filter(|at| **at > WARM).count();
        self.seen.pictures_a_second = shown as f64 / counted.as_secs_f64();
        self.seen.waits.sort_by(f64::total_cmp);
        self.seen
    }
}

impl Encoder {
    /// Bytes of the next picture: what the rate gives, with an error of some 20 %, and never less than its coarsest step.
    fn encode(&mut self, world: &World, kbps: u32, fps: u32, key: bool) -> usize {
        let share = f64::from(kbps) * 1000.0 / f64::from(fps);
        let size = if self.half { 0.33 } else { 1.0 };
        let coarsest = world.coarsest * 8.0 * size * (1.0 + 0.15 * self.draw());
        let wanted =
            (share - self.over * 0.2).clamp(share * 0.3, share * 1.5).min(world.demand / f64::from(fps));
        let mut bits = (wanted * (1.0 + 0.2 * self.draw())).max(coarsest);
        if key {
            bits = (bits * 3.0).max(coarsest * 1.5);
        }
        self.over = (self.over + bits - share).clamp(-share, 10.0 * share);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes of a picture")]
        let bytes = (bits / 8.0) as usize;
        bytes
    }

    /// From -1.5 to 1.5, mostly near 0.
    fn draw(&mut self) -> f64 {
        let mut even = || {
            self.seed =
                self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.seed >> 11) as f64 / (1_u64 << 53) as f64
        };
        even() + even() + even() - 1.5
    }
}

/// Reports count time in steps of 250 us.
fn coarse(at: Duration) -> Duration {
    Duration::from_micros(u64::try_from(at.as_micros() / 250 * 250).expect("a short run"))
}

impl Seen {
    pub(super) fn wait(&self, quantile: f64) -> f64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
        let at = (self.waits.len().saturating_sub(1) as f64 * quantile) as usize;
        self.waits.get(at).copied().unwrap_or_default()
    }

    /// The longest time without a new picture between two times, in ms.
    pub(super) fn longest_pause(&self, from: Duration, until: Duration) -> f64 {
        let shown: Vec<_> = self.shown.iter().filter(|at| (from..until).contains(*at)).collect();
        shown.windows(2).map(|pair| (*pair[1] - *pair[0]).as_secs_f64() * 1000.0).fold(0.0, f64::max)
    }
}

/// A table for the reader, and the claims.
#[test]
fn a_moving_game_uses_a_narrow_line_and_stays_smooth_on_it() {
    eprintln!("Mbit/s  coarsest  used  pictures/s  wait p50  p99");
    // The coarsest pictures of the second kind take 4.3 Mbit/s at the whole size and 60 a second.
    for coarsest in [3200.0, 9000.0] {
        for (mbps, least) in [(1.5, 30.0), (2.0, 30.0), (3.0, 45.0), (5.0, 45.0), (8.0, 45.0)] {
            let seen = World { coarsest, ..World::line(mbps) }.play();
            let (used, pictures) = (seen.used, seen.pictures_a_second);
            let (median, worst) = (seen.wait(0.5), seen.wait(0.99));
            eprintln!("{mbps:6.1} {coarsest:9} {used:5.2} {pictures:11.1} {median:9.1} {worst:4.1}");
            assert!(used >= 0.8, "{mbps} Mbit/s, pictures of {coarsest} bytes: {used} of the line");
            assert!(pictures >= least, "{mbps} Mbit/s, pictures of {coarsest} bytes: {pictures} a second");
            assert!(median < 20.0 && worst < 80.0, "{mbps} Mbit/s: waits of {median} ms, {worst} ms at p99");
        }
    }
}

#[test]
fn a_source_that_sends_little_neither_lowers_the_rate_nor_holds_it_down() {
    let seen = World { demand: 1e6, ..World::line(8.0) }.play();
    let target = seen.targets.last().expect("reports").1;
    assert!(target > 0.8 * 8e6, "{target} on a line of 8 Mbit/s of which 1 is used");
    assert!(seen.pictures_a_second > 59.0, "{}", seen.pictures_a_second);
}

#[test]
fn a_line_that_opens_again_is_used_within_seconds_and_without_a_pause() {
    let second = Duration::from_secs(1);
    let rates = (0..10).map(|step| (step * 15 * second, if step % 2 == 0 { 8e6 } else { 1e6 })).collect();
    let seen = World { rates, lasts: 150 * second, ..World::line(8.0) }.play();
    for up in (2..10).step_by(2).map(|step| step * 15 * second) {
        let there = seen.targets.iter().find(|(at, target)| *at > up && *target > 6e6).expect("it rises").0;
        assert!(there - up < 5 * second, "after {:?}", there - up);
        let pause = seen.longest_pause(up, up + 15 * second);
        assert!(pause < 300.0, "{pause} ms after the line opened");
    }
    // The first one, and one for each other size.
    assert!(seen.key_frames <= 1 + 2 * 10, "{}", seen.key_frames);
}

#[test]
fn a_path_that_becomes_longer_costs_a_source_that_sends_little_nothing() {
    for demand in [3e4, 1e5, 1e6] {
        let longer = Duration::from_secs(12);
        let seen = World { demand, longer, coarsest: 50.0, ..World::line(8.0) }.play();
        let least = seen.targets.iter().map(|(_, target)| *target).fold(f64::MAX, f64::min);
        assert!(least > 0.8 * 8e6, "{least} of 8 Mbit/s, of which {demand} are used");
    }
}

#[test]
fn a_path_that_becomes_longer_while_the_game_comes_to_rest_costs_it_little() {
    let rest = Duration::from_secs(12);
    for (longer, loss) in
        [800, 960, 1000, 1040, 1100, 1300].into_iter().flat_map(|ms| [(ms, 0.0), (ms, 0.02)])
    {
        let longer = rest + longer * MS - 1000 * MS;
        let seen = World { longer, loss, still: rest..rest + rest, ..World::line(8.0) }.play();
        let after = |at: &&(Duration, f64)| at.0 > rest;
        let least = seen.targets.iter().filter(after).map(|(_, target)| *target).fold(f64::MAX, f64::min);
        assert!(
            least > 2e6,
            "{least} of 8 Mbit/s, when the path is longer from {longer:?} on, with a loss of {loss}"
        );
    }
}

#[test]
fn a_line_that_was_as_good_as_gone_is_used_again_within_seconds() {
    let second = Duration::from_secs(1);
    let rates = vec![(Duration::ZERO, 8e6), (10 * second, 0.25e6), (25 * second, 5e6)];
    let seen = World { rates, lasts: 45 * second, ..World::line(8.0) }.play();
    let there = seen.targets.iter().find(|(at, target)| *at > 25 * second && *target > 4e6);
    let there = there.expect("it rises").0 - 25 * second;
    assert!(there < 5 * second, "after {there:?}");
}

#[test]
fn radio_loss_costs_no_rate() {
    for loss in [0.01, 0.02] {
        let seen = World { loss, ..World::line(5.0) }.play();
        assert!(seen.used > 0.8, "{loss}: {} of the line", seen.used);
    }
}

/// Ten minutes.
mod long {
    use super::*;

    #[test]
    #[ignore = "long: ten virtual minutes on each of four lines"]
    fn nothing_drifts_in_ten_minutes() {
        for mbps in [2.0, 3.0, 5.0, 8.0] {
            let seen = World { lasts: Duration::from_secs(600), ..World::line(mbps) }.play();
            assert!(seen.used > 0.8 && seen.pictures_a_second > 45.0, "{mbps}: {}", seen.used);
            let pause = seen.longest_pause(WARM, Duration::from_secs(600));
            assert!(pause < 300.0 && seen.wait(0.99) < 80.0, "{mbps}: a pause of {pause} ms");
        }
    }
}
