//! One stream, by SSRC: which packets are waited for, which frames they belong to, and when a frame's fate is decided.

use crate::bots::header::Header;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

/// RTP clock of video.
pub(super) const CLOCK_HZ: f64 = 90_000.0;
/// A packet that did not come within this time is lost.
const GIVE_UP: Duration = Duration::from_millis(1_000);
/// Packets waited for. When there are more the oldest are lost.
pub(super) const MAX_HOLES: usize = 1_024;
/// Frames waited for. When there are more the oldest is missing.
pub(super) const MAX_FRAMES: usize = 256;
/// Timestamps of frames sent and not yet shown.
const MAX_SENT: usize = 1_024;

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) ssrc: u32,
    /// Extended sequence number and timestamp of the newest packet.
    pub(super) highest: i64,
    pub(super) newest: i64,
    /// The first index that belongs to no frame that is done.
    pub(super) base: i64,
    pub(super) holes: BTreeMap<i64, Hole>,
    /// Given up, at or after `base`.
    pub(super) gone: BTreeSet<i64>,
    pub(super) frames: VecDeque<Frame>,
    pub(super) done: Option<i64>,
    /// Usual step of the timestamps.
    pub(super) step: f64,
    /// Timestamps of frames seen, not yet shown.
    pub(super) sent: VecDeque<i64>,
    /// When the first of the frames lost as a whole would have been due.
    pub(super) lost_due: Option<i64>,
    pub(super) begun: Instant,
    pub(super) first_timestamp: i64,
    pub(super) best: f64,
}

#[derive(Debug)]
pub(super) struct Hole {
    pub(super) since: Instant,
    pub(super) asked: Option<Instant>,
    pub(super) asked_last: Instant,
    pub(super) times: u8,
}

#[derive(Debug)]
pub(super) struct Frame {
    timestamp: i64,
    first: i64,
    last: i64,
    end: Option<i64>,
    first_at: Instant,
    last_at: Instant,
}

/// What became of a frame.
pub(super) struct Fate {
    pub(super) timestamp: i64,
    pub(super) whole: bool,
    /// Frames of which nothing came at all.
    pub(super) missing_before: u64,
    pub(super) delays: (Duration, Duration),
}

impl Stream {
    pub(super) fn new(header: Header, step: f64, now: Instant) -> Self {
        // One cycle up, so that older packets stay above zero.
        let index = i64::from(header.sequence) + (1 << 16);
        let timestamp = i64::from(header.timestamp) + (1 << 32);
        Self {
            ssrc: header.ssrc,
            highest: index,
            newest: timestamp,
            base: index,
            holes: BTreeMap::new(),
            gone: BTreeSet::new(),
            frames: VecDeque::new(),
            done: None,
            step,
            sent: VecDeque::new(),
            lost_due: None,
            begun: now,
            first_timestamp: timestamp,
            best: f64::INFINITY,
        }
    }

    pub(super) fn enter(&mut self, header: Header, index: i64, now: Instant) {
        let timestamp = extend32(self.newest, header.timestamp);
        self.newest = self.newest.max(timestamp);
        if self.done.is_some_and(|done| timestamp <= done) {
            return;
        }
        let at = self.frames.partition_point(|frame| frame.timestamp < timestamp);
        match self.frames.get_mut(at).filter(|frame| frame.timestamp == timestamp) {
            Some(frame) => {
                frame.first = frame.first.min(index);
                frame.last = frame.last.max(index);
                frame.first_at = frame.first_at.min(now);
                frame.last_at = now;
                frame.end = if header.marker { Some(index) } else { frame.end };
            }
            None => {
                let end = header.marker.then_some(index);
                let frame = Frame { timestamp, first: index, last: index, end, first_at: now, last_at: now };
                self.frames.insert(at, frame);
                let at = self.sent.partition_point(|sent| *sent < timestamp);
                self.sent.insert(at, timestamp);
                if self.sent.len() > MAX_SENT {
                    self.sent.pop_front();
                }
            }
        }
    }

    /// Packets given up now.
    pub(super) fn give_up(&mut self, now: Instant) -> u64 {
        let mut lost = 0;
        while let Some((&index, hole)) = self.holes.first_key_value() {
            if now.saturating_duration_since(hole.since) < GIVE_UP
                && self.holes.len() <= MAX_HOLES
                && self.frames.len() <= MAX_FRAMES
            {
                break;
            }
            self.holes.remove(&index);
            if index >= self.base {
                self.gone.insert(index);
            }
            lost += 1;
        }
        lost
    }

    /// The oldest frame's fate, once nothing that is waited for can change it.
    pub(super) fn next_fate(&mut self) -> Option<Fate> {
        let frame = self.frames.front()?;
        let next = self.frames.get(1).map(|next| next.first);
        // Timestamps that contradict the sequence numbers must not make a range run backwards.
        let until = frame.end.or(next.map(|next| next - 1))?.max(frame.last).max(self.base);
        if self.holes.range(self.base..=until).next().is_some() {
            return None;
        }
        // Without a marker a frame ends where the next one begins, or with the first packet lost after it: the others of
        // a longer loss belonged to later frames, more likely than not.
        let after = frame.last + 1;
        let lost_after = self.gone.contains(&after).then_some(after);
        let end = frame.end.or(lost_after).or(next.map(|next| next - 1))?.max(frame.last);
        let frame = self.frames.pop_front()?;
        let holed = self.gone.range(frame.first..=end).next().is_some();
        let before = self.gone.range(self.base..frame.first.max(self.base)).next().is_some();
        let steps = self.done.map_or(0.0, |done| (frame.timestamp - done) as f64 / self.step.max(1.0));
        let (mut missing_before, mut headless) = (0, false);
        if before {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "rounded, positive, bounded"
            )]
            let skipped = if self.step > 0.0 { (steps.round() - 1.0).clamp(0.0, 10_000.0) as u64 } else { 0 };
            missing_before = skipped;
            headless = skipped == 0;
            if skipped > 0
                && let Some(done) = self.done
            {
                #[expect(clippy::cast_possible_truncation, reason = "a step of timestamps")]
                self.lost_due.get_or_insert(done + self.step as i64);
            }
        } else if let Some(done) = self.done {
            let step = (frame.timestamp - done) as f64;
            // A pause of a still source is no step.
            if self.step == 0.0 || step < self.step * 4.0 {
                self.step = if self.step == 0.0 { step } else { self.step * 0.9 + step * 0.1 };
            }
        }
        let whole = !holed && !headless;
        self.base = self.base.max(end + 1);
        self.gone = self.gone.split_off(&self.base);
        self.done = Some(frame.timestamp);
        let delays = (self.delay(&frame, frame.first_at), self.delay(&frame, frame.last_at));
        Some(Fate { timestamp: frame.timestamp, whole, missing_before, delays })
    }

    /// Behind the best seen so far.
    fn delay(&mut self, frame: &Frame, at: Instant) -> Duration {
        let media = seconds(frame.timestamp - self.first_timestamp);
        let behind = at.saturating_duration_since(self.begun).as_secs_f64() - media;
        self.best = self.best.min(behind);
        Duration::try_from_secs_f64((behind - self.best).max(0.0)).unwrap_or_default()
    }

    /// When the first picture after the last shown one was due.
    pub(super) fn due(&self, shown: Option<i64>) -> Option<i64> {
        [self.sent.front().copied(), self.lost_due, shown].into_iter().flatten().min()
    }
}

pub(super) fn seconds(units: i64) -> f64 {
    units as f64 / CLOCK_HZ
}

/// The index nearest to `near` whose low 16 bits are `sequence` (RFC 3711 section 3.3.1).
pub(super) fn extend(near: i64, sequence: u16) -> i64 {
    near + i64::from(sequence.wrapping_sub(sequence_of(near)).cast_signed())
}

/// The same for timestamps.
pub(super) fn extend32(near: i64, timestamp: u32) -> i64 {
    let low = u32::try_from(near & i64::from(u32::MAX)).unwrap_or_default();
    near + i64::from(timestamp.wrapping_sub(low).cast_signed())
}

pub(super) fn sequence_of(index: i64) -> u16 {
    u16::try_from(index & 0xffff).unwrap_or_default()
}
