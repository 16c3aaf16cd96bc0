//! How the stream fits the bitrate it was given: coarser pictures first, which is the encoder's part, then half the picture's
//! size, then fewer pictures.
//!
//! An encoder has a coarsest step. Pictures that cost more than the bitrate even then become delay on a full line, so the
//! stream goes down a ladder: the whole size, half of width and height, then fewer pictures a second, never below
//! [`SMOOTH`] while there are [`SMOOTH_KBPS`]. An encoder that tells how coarse its pictures are is not at its end before they
//! are the coarsest: until then, pictures that wait only make the next ones larger. The stream comes up again when there is
//! clearly more than what a rung was seen to need, when the bitrate is not spent or pictures have become fine, or for a try.
//! Another size costs a key frame, so tries that fail come less and less often.
//!
//! Whatever the rung, pictures wait while more was sent ahead of the bitrate than [`AHEAD`]: none of them is late.

use std::time::{Duration, Instant};

/// Ahead of the bitrate by this is what a key frame or a cut may cost, and by this many pictures at least.
const AHEAD: Duration = Duration::from_millis(60);
const AHEAD_PICTURES: f64 = 1.5;
/// However large a picture was, the next one waits no longer for it.
const LONGEST: Duration = Duration::from_millis(500);
/// Bits a pixel below which a rung is left at once, and above which it may be come back to.
const TOO_FEW_BITS: f64 = 0.012;
const ENOUGH_BITS: f64 = 0.02;
/// Pictures a second that are kept while there are so many kbit/s for 1280x720, and those that always are.
const SMOOTH: u32 = 30;
const SMOOTH_KBPS: f64 = 1350.0;
const SMOOTH_PIXELS: f64 = 1280.0 * 720.0;
const LEAST_FPS: u32 = 10;
/// A rung is too high when its pictures cost this much more than the bitrate, over at least so many and so long.
const TOO_MUCH: f64 = 1.2;
const PICTURES: u32 = 8;
const SPAN: Duration = Duration::from_millis(600);
/// So many times in a row: an encoder takes a while to follow a bitrate that fell.
const SPANS: u32 = 2;
/// A bitrate is the same while it is not less than this part of what it was.
const SAME: f64 = 0.5;
/// Fewer pictures show movement too when they cost more than this part of the bitrate.
const MOVING: f64 = 0.3;
/// What is left of the bitrate when less than this part of it is spent is better spent on a higher rung.
const UNSPENT: f64 = 0.7;
/// Pictures this coarse can be made hardly any smaller.
const COARSEST: f32 = 0.9;
/// Pictures finer than this leave room for more of them, or for a larger size.
const FINE_FOR_MORE: f32 = 0.75;
const FINE_FOR_LARGER: f32 = 0.5;
/// Times what a rung was seen to need: enough to come back to it.
const CLEARLY: f64 = 1.2;
/// No rung is left upwards sooner than this; a try without a reason comes after the patience, which doubles when it fails.
const HOLD: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(15);
const MOST_PATIENCE: Duration = Duration::from_secs(240);
/// A try has failed when its rung is left within this.
const TRY: Duration = Duration::from_secs(5);

/// One way to send the stream; frames as a part of those wished.
#[derive(Debug, Clone, Copy)]
struct Rung {
    half: bool,
    part: f64,
}

const LADDER: [Rung; 6] = [
    Rung { half: false, part: 1.0 },
    Rung { half: true, part: 1.0 },
    Rung { half: true, part: 0.75 },
    Rung { half: true, part: 0.5 },
    Rung { half: true, part: 1.0 / 3.0 },
    Rung { half: true, part: 0.25 },
];

/// What is known of a rung that was left.
#[derive(Debug, Clone, Copy)]
struct Left {
    at: Instant,
    /// What it would have needed.
    kbps: f64,
    patience: Duration,
}

/// Decides when a picture is encoded, at which size and for how many a second.
#[derive(Debug)]
pub(crate) struct Fit {
    pixels: f64,
    wish: u32,
    kbps: u32,
    rung: usize,
    /// Since when it is on this rung, and how many times in a row its pictures cost too much.
    since: Option<Instant>,
    too_much: u32,
    left: [Option<Left>; LADDER.len()],
    cost: Cost,
    /// When all that was sent will have had its time.
    paid: Option<Instant>,
    /// The next picture's place, where there are fewer than wished.
    slot: Option<Instant>,
}

/// A picture that was sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    /// Of the whole picture, whatever size of it was sent.
    pub(crate) pixels: u32,
    pub(crate) bytes: usize,
    /// It shows something new, and is no key frame.
    pub(crate) moving: bool,
    /// As [`Encoded`](super::encoder::Encoded) has it.
    pub(crate) coarseness: Option<f32>,
}

/// What pictures cost lately.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    since: Option<Instant>,
    pictures: u32,
    bits: f64,
    /// Pictures after which the next one had to wait.
    held: u32,
    /// The most that there was for them.
    kbps: f64,
    /// Of pictures whose encoder tells: how many, how coarse together, and how many were the coarsest.
    told: u32,
    coarseness: f32,
    coarsest: u32,
}

impl Fit {
    /// `fps` as the game wants it.
    pub(crate) fn new(fps: u32, kbps: u32) -> Self {
        Self {
            pixels: SMOOTH_PIXELS,
            wish: fps.max(1),
            kbps: kbps.max(1),
            rung: 0,
            since: None,
            too_much: 0,
            left: [None; LADDER.len()],
            cost: Cost::default(),
            paid: None,
            slot: None,
        }
    }

    /// Whether half of the picture's width and height is to be sent.
    pub(crate) fn is_half(&self) -> bool {
        self.at(self.rung).half
    }

    /// Pictures a second.
    pub(crate) fn fps(&self) -> u32 {
        self.fps_at(self.rung)
    }

    /// From now on so much is paid; what is owed is bits, and takes the longer the less that is.
    pub(crate) fn set_kbps(&mut self, now: Instant, kbps: u32) {
        let kbps = kbps.max(1);
        if let Some(paid) = self.paid {
            let owed = paid.saturating_duration_since(now).mul_f64(f64::from(self.kbps) / f64::from(kbps));
            self.paid = Some(now + owed.min(LONGEST));
        }
        if f64::from(kbps) < self.cost.kbps * SAME {
            // What the encoder did for more says nothing of what it can do for less.
            self.cost = Cost::default();
        }
        self.kbps = kbps;
    }

    /// When the next picture may be sent; `None`: now.
    pub(crate) fn next(&self, now: Instant) -> Option<Instant> {
        self.paid_enough().max(self.slot).filter(|at| *at > now)
    }

    /// When what is owed is little enough for the next picture.
    fn paid_enough(&self) -> Option<Instant> {
        let ahead = AHEAD.max(Duration::from_secs_f64(AHEAD_PICTURES / f64::from(self.fps())));
        self.paid.and_then(|paid| paid.checked_sub(ahead))
    }

    /// A picture was sent.
    pub(crate) fn sent(&mut self, now: Instant, picture: Sent) {
        let Sent { pixels, bytes, moving, coarseness } = picture;
        self.pixels = f64::from(pixels.max(1));
        let bits = f64::from(u32::try_from(bytes * 8).unwrap_or(u32::MAX));
        let time = Duration::from_secs_f64(bits / (f64::from(self.kbps) * 1000.0));
        let from = self.paid.map_or(now, |paid| paid.max(now));
        self.paid = Some((from + time).min(now + LONGEST));
        self.slot = (self.fps() < self.wish).then(|| {
            let apart = Duration::from_secs_f64(1.0 / f64::from(self.fps()));
            // A little early rather than a whole picture late.
            let early = Duration::from_secs_f64(0.5 / f64::from(self.wish));
            let place =
                self.slot.map_or(now, |slot| (slot + early).max(now.checked_sub(apart).unwrap_or(now)));
            place + apart - early
        });
        let waits = self.paid_enough().map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        let since = *self.cost.since.get_or_insert(now);
        self.cost.kbps = self.cost.kbps.max(f64::from(self.kbps));
        if moving {
            self.cost.pictures += 1;
            self.cost.bits += bits;
            self.cost.held += u32::from(waits.as_secs_f64() > 1.0 / f64::from(self.fps()));
            if let Some(coarseness) = coarseness {
                self.cost.told += 1;
                self.cost.coarseness += coarseness;
                self.cost.coarsest += u32::from(coarseness >= COARSEST);
            }
        }
        let passed = now.saturating_duration_since(since);
        if passed >= SPAN && (self.cost.pictures >= PICTURES || passed >= 2 * SPAN) {
            let cost = std::mem::take(&mut self.cost);
            self.step(now, cost, passed);
        }
    }

    /// Goes down or up by what the last pictures cost.
    fn step(&mut self, now: Instant, cost: Cost, passed: Duration) {
        let since = *self.since.get_or_insert(now);
        let kbps = f64::from(self.kbps);
        // By picture and not by time: those that waited must not count as cheap. An encoder too slow for so many pictures makes
        // them larger, and none of them waits.
        let each = cost.bits / f64::from(cost.pictures.max(1)) / 1000.0;
        let needs = each * f64::from(self.fps());
        let spent = cost.bits / 1000.0 / passed.as_secs_f64();
        let is_moving = cost.pictures >= PICTURES || spent > kbps * MOVING;
        let held = cost.held >= cost.pictures.div_ceil(4);
        let at_its_end = cost.told == 0 || 2 * cost.coarsest >= cost.told;
        let too_much = is_moving && held && at_its_end && needs > kbps * TOO_MUCH;
        self.too_much = if too_much { self.too_much + 1 } else { 0 };
        if kbps < self.least(self.rung, TOO_FEW_BITS) || self.too_much >= SPANS {
            let Some(lower) = self.lower() else { return };
            let failed = now.saturating_duration_since(since) < TRY;
            let patience = self.left[self.rung].filter(|_| failed).map_or(PATIENCE, |left| left.patience * 2);
            let patience = patience.min(MOST_PATIENCE);
            self.left[self.rung] = Some(Left { at: now, kbps: needs, patience });
            self.go(now, lower);
            return;
        }
        let Some(higher) = self.higher() else { return };
        if now.saturating_duration_since(since) < HOLD || kbps < self.least(higher, ENOUGH_BITS) {
            return;
        }
        let fine = if self.at(higher).half == self.is_half() { FINE_FOR_MORE } else { FINE_FOR_LARGER };
        #[expect(clippy::cast_precision_loss, reason = "few pictures")]
        let is_fine = cost.told > 0 && cost.coarseness < fine * cost.told as f32;
        let room = is_fine || spent < kbps * UNSPENT;
        let worth = self.left[higher].is_none_or(|left| {
            let away = now.saturating_duration_since(left.at);
            kbps >= left.kbps * CLEARLY || away >= left.patience || (room && away >= left.patience / 4)
        });
        if worth {
            self.go(now, higher);
        }
    }

    fn go(&mut self, now: Instant, rung: usize) {
        self.rung = rung;
        self.since = Some(now);
        self.too_much = 0;
        self.slot = None;
    }

    fn at(&self, rung: usize) -> Rung {
        LADDER[rung.min(LADDER.len() - 1)]
    }

    fn fps_at(&self, rung: usize) -> u32 {
        let kept = if f64::from(self.kbps) * SMOOTH_PIXELS >= SMOOTH_KBPS * self.pixels {
            SMOOTH
        } else {
            LEAST_FPS
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of the wish")]
        let fps = (f64::from(self.wish) * self.at(rung).part).round() as u32;
        fps.max(kept.min(self.wish))
    }

    /// What a rung needs at so many bits a pixel, in kbit/s.
    fn least(&self, rung: usize, bits: f64) -> f64 {
        let pixels = if self.at(rung).half { self.pixels / 4.0 } else { self.pixels };
        pixels * f64::from(self.fps_at(rung)) * bits / 1000.0
    }

    /// The next rung down that is another way to send the stream.
    fn lower(&self) -> Option<usize> {
        (self.rung + 1..LADDER.len()).find(|rung| self.differs(*rung))
    }

    fn higher(&self) -> Option<usize> {
        (0..self.rung).rev().find(|rung| self.differs(*rung))
    }

    fn differs(&self, rung: usize) -> bool {
        self.at(rung).half != self.is_half() || self.fps_at(rung) != self.fps()
    }
}

#[cfg(test)]
#[path = "fit_tests.rs"]
mod tests;
