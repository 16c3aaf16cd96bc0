//! How coarse the next frame is, so that the frames together cost what the bitrate gives.
//!
//! Pure: instants and sizes in, quantisers out. A frame is planned by how much of the picture changes ([`Change`]) and by what
//! such changes have cost lately; what was planned wrongly is paid back over [`HORIZON`], and only little is saved up for
//! later ([`MOST_SAVED`]), so that the bitrate holds over every two seconds. When even the coarsest frames cost too much,
//! some are left out.

use std::time::Instant;

/// Finest and coarsest quantiser.
pub(super) const QP: std::ops::RangeInclusive<u8> = 12..=46;
/// A picture that stands still is sharpened up to this quantiser: 46 dB of luma and more.
const SHARP: f64 = 13.0;
/// What moves is made no finer than this: 39 dB, more than eyes see of it. The bits that it saves are CPU time and delay;
/// coarser, a busy game at 1280x720 would leave a fifth of 8 Mbit/s unused.
const FINEST_MOVING: f64 = 25.0;
/// Repeating a sharp picture with this one adds nothing to it, and so costs nothing.
const REPEAT: f64 = 26.0;
/// Bits ahead of the bitrate are paid back over this time, in seconds as all times here.
const HORIZON: f64 = 0.2;
/// What was not needed may be spent later up to this.
const MOST_SAVED: f64 = 0.02;
/// What a key frame may cost.
const KEY_FRAME: f64 = 0.12;
/// With more than this ahead, frames are left out.
const LEAVE_OUT: f64 = 0.1;
/// Sharpening may go this far ahead.
const REFINEMENT: f64 = 0.08;
/// A frame is finer than the one before by no more than this; sharpening takes larger steps.
const FINER: f64 = 2.0;
const FINER_STILL: f64 = 5.0;
/// Bits fall with the quantiser's step to this power.
const DELTA_POWER: f64 = 1.3;
const KEY_POWER: f64 = 0.8;
/// Bits grow with what changes to this power.
const CHANGE_POWER: f64 = 0.6;
/// A change that is so many times as large as those lately is a sudden one; at this mean nothing of a picture is as before.
const SUDDEN: f64 = 2.0;
const NOTHING_ALIKE: f64 = 25.0;
/// Bits a pixel of a key frame at step 1, before one was seen: those of a detailed picture.
const KEY_COST: f64 = 8.0;

/// What a frame shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Change {
    /// Everything: a key frame.
    Key,
    /// Another picture; the mean difference of its luma from the one before.
    Mean(f64),
    /// The same picture again.
    None,
}

#[derive(Debug)]
pub(super) struct RateControl {
    pixels: f64,
    bits_per_second: f64,
    /// From one changed picture to the next, as it was told: what lies between those that come also holds what was left out,
    /// and would make the next ones larger for that.
    interval: f64,
    /// Bits sent beyond what the bitrate gave; negative: saved.
    ahead: f64,
    last: Option<Instant>,
    /// How coarse the picture that viewers have is at most.
    qp: f64,
    /// Bits a pixel at step 1, of the last key frame and of what changed lately.
    key_cost: f64,
    delta_cost: Option<f64>,
    refinement_cost: f64,
    planned: Option<(Change, f64)>,
    /// What the frame before was, and whether this one is the first after a still picture.
    shown: Option<Change>,
    rested: bool,
    /// Of the changes lately.
    mean: f64,
}

impl RateControl {
    pub(super) fn new(pixels: u32, kbps: u32, fps: u32) -> Self {
        let mut control = Self {
            pixels: f64::from(pixels),
            bits_per_second: 0.0,
            interval: 0.0,
            ahead: 0.0,
            last: None,
            qp: f64::from(*QP.end()),
            key_cost: KEY_COST,
            delta_cost: None,
            refinement_cost: KEY_COST,
            planned: None,
            shown: None,
            rested: false,
            mean: 0.0,
        };
        control.set_rate(kbps, fps);
        control
    }

    /// From the next frame on; what was sent ahead stays to be paid.
    pub(super) fn set_rate(&mut self, kbps: u32, fps: u32) {
        self.bits_per_second = f64::from(kbps.max(1)) * 1000.0;
        self.interval = 1.0 / f64::from(fps.max(1));
    }

    /// Pictures of another size follow, the first of them a key frame.
    pub(super) fn set_pixels(&mut self, pixels: u32) {
        self.pixels = f64::from(pixels);
        self.delta_cost = None;
    }

    /// The quantiser of a frame drawn at `at`. `None`: it is to be left out; key frames never are.
    pub(super) fn plan(&mut self, change: Change, at: Instant) -> Option<u8> {
        let rate = self.bits_per_second;
        let gap = self.last.map_or(0.0, |last| at.saturating_duration_since(last).as_secs_f64());
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
        self.ahead = (self.ahead - gap * rate).max(-MOST_SAVED * rate);
        // A picture that was repeated has stood still.
        self.rested = matches!(self.shown, Some(Change::None)) && change != Change::None;
        self.shown = Some(change);
        let frame = rate * self.interval;
        let target = (frame - self.ahead * self.interval / HORIZON).max(frame * 0.2);
        let qp = match change {
            Change::Key => {
                let target = (KEY_FRAME * rate - self.ahead.max(0.0)).max(frame * 2.0);
                quantiser((self.key_cost * self.pixels / target).powf(1.0 / KEY_POWER))
            }
            Change::Mean(_) if self.ahead > LEAVE_OUT * rate => return None,
            Change::Mean(mean) => {
                let known = match self.delta_cost {
                    Some(cost) => {
                        let bits = cost * self.pixels * scale(mean);
                        quantiser((bits / target).powf(1.0 / DELTA_POWER)).max(self.qp - FINER)
                    }
                    None => self.qp + 2.0,
                };
                // Nothing is known of a sudden change: it may cost as much as a key frame of what has changed.
                let sudden = self.rested || mean > SUDDEN * self.mean;
                self.mean += (mean - self.mean) * 0.2;
                let bits = self.key_cost * self.pixels * (mean / NOTHING_ALIKE).min(1.0);
                let coarse = quantiser((bits / (KEY_FRAME * rate)).powf(1.0 / KEY_POWER));
                let planned = if sudden { known.max(coarse) } else { known };
                planned.max(FINEST_MOVING)
            }
            Change::None if self.is_sharp() => REPEAT,
            Change::None => self.finer(REFINEMENT * rate - self.ahead)?,
        };
        let qp = qp.clamp(f64::from(*QP.start()), f64::from(*QP.end())).round();
        self.planned = Some((change, qp));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped above")]
        let qp = qp as u8;
        Some(qp)
    }

    /// The finest next step of sharpening that costs no more than so many bits.
    fn finer(&self, bits: f64) -> Option<f64> {
        let steps = [FINER_STILL, 4.0, 3.0, 2.0, 1.0].into_iter().map(|by| (self.qp - by).max(SHARP));
        let mut affordable = steps.filter(|qp| self.refinement(*qp) * self.refinement_cost <= bits);
        affordable.next()
    }

    /// Bits of sharpening to a quantiser, at a cost of 1.
    fn refinement(&self, qp: f64) -> f64 {
        self.pixels * step(qp).powf(-KEY_POWER) * (1.0 - step(qp) / step(self.qp)).max(0.0)
    }

    /// What the planned frame has cost.
    pub(super) fn sent(&mut self, bytes: usize) {
        let bits = f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) * 8.0;
        self.ahead += bits;
        let Some((change, qp)) = self.planned.take() else { return };
        match change {
            Change::Key => self.key_cost = bits / self.pixels * step(qp).powf(KEY_POWER),
            Change::Mean(mean) => {
                let cost = bits / self.pixels * step(qp).powf(DELTA_POWER) / scale(mean);
                self.delta_cost = Some(self.delta_cost.map_or(cost, |old| (old + cost) / 2.0));
            }
            Change::None if self.is_sharp() => return,
            Change::None => {
                let expected = self.refinement(qp);
                if expected > 0.0 {
                    self.refinement_cost =
                        (self.refinement_cost + (bits / expected).min(4.0 * KEY_COST)) / 2.0;
                }
            }
        }
        self.qp = qp;
    }

    /// Encoding the same picture again does not make it better.
    pub(super) fn is_sharp(&self) -> bool {
        self.qp <= SHARP
    }
}

/// Where a quantiser lies between the finest and the coarsest.
pub(super) fn coarseness(qp: u8) -> f32 {
    f32::from(qp.saturating_sub(*QP.start())) / f32::from(QP.end() - QP.start())
}

fn scale(mean: f64) -> f64 {
    (mean + 0.05).powf(CHANGE_POWER)
}

/// It doubles with every six, and is 1 at 4 (ITU-T H.264, table 8-15, nearly).
fn step(qp: f64) -> f64 {
    ((qp - 4.0) / 6.0).exp2()
}

fn quantiser(step: f64) -> f64 {
    4.0 + 6.0 * step.max(0.01).log2()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::fit::{Fit, Sent};
    use proptest::prelude::*;
    use std::time::Duration;

    const MS: Duration = Duration::from_millis(1);

    /// Bits of a frame of a source whose changes cost so much at step 1.
    fn bits(cost: f64, qp: u8) -> f64 {
        cost * step(f64::from(qp)).powf(-1.1)
    }

    #[test]
    fn the_rate_holds_in_every_two_seconds_whatever_changes_cost() {
        let (mut control, start) = (RateControl::new(1280 * 720, 5000, 60), Instant::now());
        let mut sent: Vec<(Duration, f64)> = Vec::new();
        for frame in 0..1800_u32 {
            let at = frame * MS * 50 / 3;
            // Another scene every three seconds, cheap and dear ones in turns.
            let cost = [2e6, 5e6, 3e6, 8e6][usize::try_from(frame / 180 % 4).expect("below 4")];
            let change = if frame == 0 { Change::Key } else { Change::Mean(cost / 1e6) };
            if let Some(qp) = control.plan(change, start + at) {
                let bits = if frame == 0 { 600_000.0 } else { bits(cost, qp) };
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
                control.sent((bits / 8.0) as usize);
                sent.push((at, bits));
            }
        }
        let window = Duration::from_secs(2);
        for from in sent.iter().map(|(at, _)| *at).filter(|at| *at > window) {
            let sum: f64 =
                sent.iter().filter(|(at, _)| *at >= from && *at < from + window).map(|(_, b)| b).sum();
            assert!(sum <= 1.1 * 1e7, "{sum} bits from {from:?}");
        }
        let all: f64 = sent.iter().map(|(_, bits)| bits).sum();
        assert!(all > 0.8 * 5e6 * 30.0, "the rate is used: {all}");
    }

    /// With [`Fit`], which holds pictures back while too much was sent, and a bitrate that falls.
    #[test]
    fn pictures_that_were_held_back_do_not_make_the_next_ones_larger() {
        for cost in [1e6, 2e6] {
            let (mut control, mut fit) = (RateControl::new(1280 * 720, 8000, 60), Fit::new(60, 8000));
            let (start, mut shown) = (Instant::now(), 0);
            for frame in 0..900_u32 {
                let at = start + frame * MS * 50 / 3;
                if frame == 300 {
                    control.set_rate(2800, 60);
                    fit.set_kbps(at, 2800);
                }
                if fit.next(at).is_some() {
                    continue;
                }
                let change = if frame == 0 { Change::Key } else { Change::Mean(10.0) };
                let Some(qp) = control.plan(change, at) else { continue };
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
                let bytes = (bits(cost, qp) / 8.0) as usize;
                control.sent(bytes);
                let coarseness = Some(coarseness(qp));
                fit.sent(at, Sent { pixels: 1280 * 720, bytes, moving: frame > 0, coarseness });
                shown += u32::from(frame >= 420);
            }
            assert!(shown > 460, "{shown} of 480, {fit:?}");
        }
    }

    #[test]
    fn what_cannot_be_coarser_comes_less_often() {
        let (mut control, start) = (RateControl::new(320 * 180, 200, 60), Instant::now());
        let mut bytes = 0;
        for frame in 0..600_u32 {
            if control.plan(Change::Mean(30.0), start + frame * MS * 50 / 3).is_some() {
                control.sent(2000);
                bytes += 2000;
            }
        }
        let kbps = bytes * 8 / 10_000;
        assert!((180..=215).contains(&kbps), "{kbps} kbit/s");
    }

    #[test]
    fn a_still_picture_is_sharpened_as_the_rate_allows_and_then_left_alone() {
        let (mut control, start) = (RateControl::new(1280 * 720, 8000, 60), Instant::now());
        control.plan(Change::Key, start);
        control.sent(100_000);
        let mut frames = Vec::new();
        for repeat in 1..=10_u32 {
            if let Some(qp) = control.plan(Change::None, start + (40 + repeat * 40) * MS) {
                frames.push(qp);
                control.sent(if control.is_sharp() { 30 } else { 15_000 });
            }
        }
        assert!(control.is_sharp(), "{frames:?}");
        assert_eq!(frames.last(), Some(&26), "{frames:?}");
    }

    proptest! {
        #[test]
        fn any_sizes_rates_and_times_are_planned(
            steps in prop::collection::vec((0u8..4, 0u64..5000, 0usize..10_000_000, 0u32..200_000, 0u32..300), 1..60)
        ) {
            let (mut control, mut at) = (RateControl::new(64, 100, 60), Instant::now());
            for (kind, ms, bytes, kbps, fps) in steps {
                at += Duration::from_millis(ms);
                let change = match kind {
                    0 => Change::Key,
                    1 => Change::Mean(f64::from(kbps) / 1000.0),
                    2 => Change::None,
                    _ => {
                        control.set_rate(kbps, fps);
                        control.set_pixels(kbps + 1);
                        Change::Key
                    }
                };
                match control.plan(change, at) {
                    Some(qp) => {
                        prop_assert!((12..=46).contains(&qp));
                        control.sent(bytes);
                    }
                    None => prop_assert!(change != Change::Key),
                }
                prop_assert!(control.ahead.is_finite() && control.qp.is_finite());
            }
        }
    }
}
