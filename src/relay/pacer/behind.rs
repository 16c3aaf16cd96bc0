//! What has gathered for one viewer, and how it goes out piece by piece.

use super::Video;
use super::link::{BURST, Link, UNKNOWN, bytes, on_the_link};
use crate::relay::down_track::{DownTrack, KeyFrame};
use crate::relay::ring;
use std::ops::Range;
use std::time::{Duration, Instant};

/// What may wait behind a key frame, at the link's rate.
pub(super) const LATEST: Duration = Duration::from_millis(250);
/// On a link of which nothing is known, what has gathered is sent within this, however much it is.
pub(super) const GATHERED: Duration = Duration::from_millis(500);
/// Between two pieces at least. What is aimed at is a quarter of a frame's time.
const LEAST_STEP: Duration = Duration::from_millis(1);
/// A piece is not larger than this, or than the link carries in a quarter of a frame's time: a burst too is spread. Less is
/// not worth a timer.
const PIECE: usize = 16 * 1024;
/// Packets behind the newest that the ring holds for sure, while it takes in more.
const KEPT: u64 = ring::VIDEO as u64 - 512;

/// See the module's head.
#[derive(Debug)]
pub(super) struct Behind {
    /// Not sent from here on.
    next: u64,
    /// From there on, on the link.
    bytes: usize,
    /// Timestamp of the key frame it begins with, which is sent whole, and how much that frame or the group with it is.
    key: Option<u32>,
    key_bytes: usize,
    /// A newer key frame in it.
    newer: Option<KeyFrame>,
    /// When it is all sent on a link of which nothing is known.
    until: Instant,
    /// When the next piece is due.
    step: Instant,
}

impl Behind {
    /// What there is from `next` on. `key_frame`: where the key frame begins that is part of it.
    pub(super) fn new(now: Instant, next: u64, key_frame: Option<u64>, video: Video<'_>) -> Self {
        let key = key_frame.and_then(|start| video.timestamp(start));
        let of_key = |index: &u64| key.is_some() && video.timestamp(*index) == key;
        Self {
            next,
            bytes: video.bytes_from(next),
            key,
            key_bytes: (next..=video.newest).filter(of_key).map(|index| video.bytes_of(index)).sum(),
            newer: None,
            until: now + GATHERED,
            step: now,
        }
    }

    /// It is a group of pictures to start from, all of which is worth as much as its key frame.
    pub(super) fn whole_group(mut self) -> Self {
        self.key_bytes = self.bytes;
        self
    }

    /// Not sent from here on.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// When the next piece is due.
    pub(super) fn step(&self) -> Instant {
        self.step
    }

    /// More has come.
    pub(super) fn arrived(&mut self, indices: &[u64], newer: Option<KeyFrame>, video: Video<'_>) {
        self.newer = newer.filter(|newer| newer.start >= self.next).or(self.newer);
        for index in indices.iter().copied().filter(|index| *index >= self.next) {
            let bytes = video.bytes_of(index);
            self.bytes += bytes;
            if self.key.is_some() && video.timestamp(index) == self.key {
                self.key_bytes += bytes;
            }
        }
    }

    /// The newer key frame to go on with, without what lies before it: when that is more than a burst or broken anyway, and
    /// the key frame before it has been sent.
    pub(super) fn newer(&mut self, link: &Link, track: &DownTrack, video: Video<'_>) -> Option<KeyFrame> {
        self.newer = self.newer.filter(|newer| newer.start > self.next);
        let newer = self.newer?;
        let before = self.bytes.saturating_sub(video.bytes_from(newer.start));
        let worth_it = !newer.may_be_late() || before > link.carries(BURST);
        (worth_it && !self.is_in_key_frame(video) && track.is_whole(newer)).then_some(newer)
    }

    /// Whether it is more than this link should be given, or than the ring holds.
    pub(super) fn is_too_much(&self, link: &Link, video: Video<'_>) -> bool {
        let gone = video.newest.saturating_sub(self.next) > KEPT;
        let late = link.known().is_some() && self.bytes > link.carries(LATEST) + self.key_bytes;
        gone || (late && !self.is_in_key_frame(video))
    }

    /// Takes out the piece to be sent now.
    pub(super) fn piece(&mut self, now: Instant, link: &mut Link, video: Video<'_>) -> Range<u64> {
        let rate = link.known().unwrap_or_else(|| {
            let left = self.until.saturating_duration_since(now).max(LEAST_STEP).as_secs_f64();
            UNKNOWN.max(self.bytes as f64 * 8.0 / left)
        });
        let room = link.room(now, rate).min(largest(rate, video));
        let (start, mut sent) = (self.next, 0);
        while self.next <= video.newest && sent < room {
            sent += video.bytes_of(self.next);
            self.next += 1;
        }
        self.bytes = self.bytes.saturating_sub(sent);
        link.spend(now, sent);
        let wanted = bytes(rate, step(video)).clamp(on_the_link(1), self.bytes.max(on_the_link(1)));
        self.step = link.room_at(wanted, rate).max(now + LEAST_STEP);
        start..self.next
    }

    /// Whether a part of the key frame that it begins with was sent and a part was not.
    fn is_in_key_frame(&self, video: Video<'_>) -> bool {
        self.key.is_some() && video.timestamp(self.next) == self.key
    }
}

/// The largest piece on a link of this rate.
pub(super) fn largest(rate: f64, video: Video<'_>) -> usize {
    PIECE.max(bytes(rate, step(video)))
}

fn step(video: Video<'_>) -> Duration {
    video.frame_time / 4
}
