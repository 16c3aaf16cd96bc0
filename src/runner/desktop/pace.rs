//! When the screen is looked at: once what is being drawn has come to rest, and so that no more pictures come than were ordered.
//!
//! Pure. A program draws a picture with one request or with many, and never says when it is done. So a picture is taken after
//! a short time without drawing ([`GAP`]); of a program that was seen to draw in parts, more is waited for while the picture is
//! smaller than those before it ([`PARTIAL`]); and one that never rests is not waited for longer than [`LONGEST`].
//!
//! A game's own frames jitter around the same rate, so a picture may come up to half a period early after a late one; over
//! any longer time the rate holds.

use std::time::{Duration, Instant};

/// A program that has drawn nothing for this long is done. It is what every picture waits for.
const GAP: Duration = Duration::from_millis(1);
/// A program that draws in parts, and whose pictures have been larger than what it has drawn now, may have been interrupted
/// for this long.
const PARTIAL: Duration = Duration::from_millis(5);
/// No picture waits longer than this, nor half of what lies between two.
const LONGEST: Duration = Duration::from_millis(8);
/// Pictures in a row that were waited for in vain, after which none is until one comes to rest by itself.
const RESTLESS: u8 = 3;
/// Once seen to draw in parts, a program is taken to do so for this many pictures.
const REMEMBERED: u8 = 60;
/// Pictures further apart than this say nothing about each other's size.
const MOVING: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
pub(super) struct Pace {
    /// The next picture's turn by the rate.
    due: Option<Instant>,
    /// What is drawn and was not taken yet.
    drawing: Option<Drawing>,
    /// The last picture: when it was taken, and pixels that had changed in it.
    last: Option<(Instant, u64)>,
    restless: u8,
    /// For how many more pictures the program is taken to draw in parts.
    in_parts: u8,
}

/// What is to be done when the time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Ask what has changed meanwhile: a picture would be in vain.
    Ask,
    /// Look: the picture is taken unless drawing goes on.
    Look,
}

#[derive(Debug)]
struct Drawing {
    /// By the rate, the picture is not due before.
    turn: Instant,
    /// No drawing was seen since.
    quiet_since: Instant,
    /// When the next step is due.
    next: Instant,
    /// Whatever is drawn then is taken.
    until: Instant,
    /// The picture's turn was so far away that more is likely to be drawn before.
    ask_first: bool,
    /// Something was drawn between two steps.
    went_on: bool,
}

impl Pace {
    /// Something was drawn. The first time since a picture was taken this begins the wait for the next.
    pub(super) fn drawn(&mut self, now: Instant, fps: u32) {
        let soon = now + GAP;
        let turn = self.due.map_or(soon, |due| due.max(soon));
        let longest = LONGEST.min(period(fps) / 2);
        let until = turn + if self.restless < RESTLESS { longest } else { Duration::ZERO };
        let ask_first = turn > soon + GAP;
        let next = if ask_first { turn.checked_sub(GAP).unwrap_or(turn) } else { turn };
        self.drawing.get_or_insert(Drawing {
            turn,
            quiet_since: now,
            next,
            until,
            ask_first,
            went_on: false,
        });
    }

    /// When the next step is due; `None`: now.
    pub(super) fn wait_until(&self, now: Instant) -> Option<Instant> {
        self.drawing.as_ref().map(|drawing| drawing.next).filter(|next| *next > now)
    }

    /// What to do now that so many pixels have changed.
    pub(super) fn step(&self, now: Instant, pixels: u64) -> Step {
        let Some(drawing) = &self.drawing else { return Step::Look };
        let usual = self.last.filter(|(at, _)| now.saturating_duration_since(*at) < MOVING);
        let partial = self.in_parts > 0
            && usual.is_some_and(|(_, usual)| pixels < usual - usual / 32)
            && now < drawing.quiet_since + PARTIAL
            && now < drawing.until;
        if drawing.ask_first || partial { Step::Ask } else { Step::Look }
    }

    /// The answer to [`Step::Ask`]: whether something was drawn since the step before.
    pub(super) fn asked(&mut self, now: Instant, drawing_on: bool) {
        let Some(drawing) = &mut self.drawing else { return };
        // What was drawn long before the picture's turn says nothing about a rest.
        if drawing_on && !drawing.ask_first {
            drawing.went_on = true;
            self.in_parts = REMEMBERED;
        }
        drawing.ask_first = false;
        if drawing_on {
            drawing.quiet_since = now;
        }
        drawing.next = drawing.turn.max(now + GAP);
    }

    /// The answer to [`Step::Look`], likewise. True when the picture is to be taken.
    pub(super) fn looked(&mut self, now: Instant, drawing_on: bool) -> bool {
        let Some(drawing) = &mut self.drawing else { return true };
        if !drawing_on {
            self.restless = if drawing.went_on { self.restless } else { 0 };
            return true;
        }
        self.in_parts = REMEMBERED;
        if now >= drawing.until {
            self.restless = self.restless.saturating_add(1);
            return true;
        }
        (drawing.quiet_since, drawing.next, drawing.went_on) = (now, now + GAP, true);
        false
    }

    /// A picture was taken in which so many pixels had changed; at most `fps` a second.
    pub(super) fn taken(&mut self, now: Instant, fps: u32, pixels: u64) {
        self.due = Some(match self.due {
            Some(due) if now.saturating_duration_since(due) <= period(fps) / 2 => due + period(fps),
            Some(_) | None => now + period(fps),
        });
        self.last = Some((now, pixels));
        self.in_parts = self.in_parts.saturating_sub(1);
        self.drawing = None;
    }
}

fn period(fps: u32) -> Duration {
    Duration::from_secs(1) / fps.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program that draws parts of pictures, each so many pixels at its time in tenths of a millisecond, for two seconds.
    /// Gives when pictures were taken and what changed in each.
    fn taken(parts: &[(u32, u64)], fps: u32) -> Vec<(u32, u64)> {
        let (start, mut pace, mut out) = (Instant::now(), Pace::default(), Vec::new());
        let (mut parts, mut pixels, mut fresh) = (parts.iter().copied().peekable(), 0, 0);
        for tenth in 0..20_000 {
            let now = start + Duration::from_micros(100) * tenth;
            while let Some((_, part)) = parts.next_if(|(at, _)| *at <= tenth) {
                fresh += part;
                if pixels == 0 {
                    pixels = std::mem::take(&mut fresh);
                    pace.drawn(now, fps);
                }
            }
            if pixels == 0 || pace.wait_until(now).is_some() {
                continue;
            }
            let more = std::mem::take(&mut fresh);
            match pace.step(now, pixels) {
                Step::Ask => pace.asked(now, more > 0),
                Step::Look if pace.looked(now, more > 0) => {
                    pace.taken(now, fps, pixels);
                    out.push((tenth, std::mem::replace(&mut pixels, more)));
                    if more > 0 {
                        pace.drawn(now, fps);
                    }
                    continue;
                }
                Step::Look => {}
            }
            pixels += more;
        }
        out
    }

    /// Pictures of so many parts, a part every `apart` tenths of a millisecond, from each of these times on.
    fn pictures(times: impl Iterator<Item = u32>, parts: u32, apart: u32) -> Vec<(u32, u64)> {
        times.flat_map(|time| (0..parts).map(move |part| (time + part * apart, 1))).collect()
    }

    #[test]
    fn the_first_change_after_stillness_is_taken_within_a_gap() {
        assert_eq!(taken(&[(500, 10), (9000, 10)], 50), [(510, 10), (9010, 10)]);
    }

    #[test]
    fn a_picture_of_many_parts_is_taken_whole_and_a_gap_after_the_last() {
        let parts = pictures((0..60).map(|picture| 100 + picture * 167), 16, 3);
        let taken = taken(&parts, 60);
        assert_eq!(taken.len(), 60);
        for (picture, (at, pixels)) in (0..).zip(taken) {
            let last = 100 + picture * 167 + 15 * 3;
            assert_eq!(pixels, 16, "picture {picture}");
            assert!(
                (last + 9..=last + 21).contains(&at),
                "picture {picture}, done at {last}, was taken at {at}"
            );
        }
    }

    #[test]
    fn a_program_that_was_interrupted_is_waited_for_when_its_pictures_are_known() {
        for part in 1..16 {
            let mut parts = pictures((0..20).map(|picture| 100 + picture * 167), 16, 3);
            // The eleventh picture pauses for three milliseconds before this part.
            parts[10 * 16 + part..11 * 16].iter_mut().for_each(|(at, _)| *at += 30);
            assert!(taken(&parts, 60).iter().all(|(_, pixels)| *pixels == 16), "before part {part}");
        }
    }

    #[test]
    fn a_smaller_change_waits_a_little_where_pictures_come_in_parts_and_only_while_things_move() {
        let waits = |parts: &[(u32, u64)], drawn: [u32; 5]| -> Vec<u32> {
            taken(parts, 60).iter().zip(drawn).map(|((at, _), drawn)| at - drawn).collect()
        };
        let at_once = [(0, 100), (200, 100), (400, 10), (700, 100), (3000, 10)];
        assert_eq!(waits(&at_once, [0, 200, 400, 700, 3000]), [10; 5]);
        let in_parts = [(0, 50), (8, 50), (200, 50), (208, 50), (400, 10), (700, 100), (3000, 10)];
        assert_eq!(waits(&in_parts, [8, 208, 400, 700, 3000]), [12, 12, 50, 10, 10]);
    }

    #[test]
    fn a_program_that_never_rests_is_taken_at_the_full_rate() {
        let parts = pictures((0..20_000).step_by(5), 1, 0);
        let taken = taken(&parts, 60);
        assert!((117..=121).contains(&taken.len()), "{} pictures", taken.len());
        let latest = taken.windows(2).map(|pair| pair[1].0 - pair[0].0).skip(10).max();
        assert!(latest <= Some(180), "{latest:?}");
    }

    #[test]
    fn changes_that_jitter_around_the_rate_are_all_taken_and_none_more() {
        // Changes 20 ms apart, each a few milliseconds early or late.
        let changes: Vec<(u32, u64)> = (0..99).map(|index| (index * 200 + 50 + index * 70 % 50, 5)).collect();
        let taken_changes = taken(&changes, 50);
        assert_eq!(taken_changes.len(), 99);
        for ((at, _), (drawn, _)) in taken_changes.iter().zip(&changes) {
            assert!(at - drawn < 100, "drawn at {drawn}, taken at {at}");
        }
        // Whole pictures twice as often as ordered: never more than ordered, and none in the middle of a change.
        let twice = taken(&pictures((0..19_900).step_by(100), 2, 4), 50);
        assert!((98..=101).contains(&twice.len()), "{}", twice.len());
        assert!(twice.iter().all(|(_, pixels)| pixels % 2 == 0));
    }
}
