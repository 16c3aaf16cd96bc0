//! The video thread: takes pictures, gives RTP.
//!
//! Encodes only when there is a new picture, when a key frame is requested, and to follow a picture up: from 50 ms after the
//! last change on until it is sharp, which also shows the loss of its last packet, then once a second. When the encoder is
//! slower than the game, the newest picture wins and the game is not held up. [`Fit`] decides at which size a picture is sent,
//! and whether it waits because the bitrate is too little.

use super::burst::Burst;
use super::damage::Damage;
use super::encoder::{EncodeError, Format, MakeEncoder};
use super::fit::{Fit, Sent};
use super::i420::I420;
use super::key_requests::KeyRequests;
use super::media::MediaStream;
use super::packetizer::Packetizer;
use super::rtp::Packets;
use super::signal::Signal;
use super::{Event, VIDEO_PAYLOAD_TYPE};
use crate::games::Rect;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// After a change, the picture is encoded once more; then again and again until the encoder calls it sharp.
const REFINE_AFTER: Duration = Duration::from_millis(50);
const REFINE_EVERY: Duration = Duration::from_millis(40);
/// So often at most: an encoder may not know when a picture is sharp.
const REFINEMENTS: u32 = 30;
const REPEAT_EVERY: Duration = Duration::from_secs(1);
/// Pictures this far apart, in seconds, are not those of a movement.
const RESTED: f64 = 0.15;
/// An encoder is told another number of pictures a second when it is this part of the old one away.
const OTHER_FPS: f64 = 0.1;

/// A picture to encode.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) picture: Arc<I420>,
    /// Where it may differ from the frame that was taken before it.
    pub(super) damage: Damage,
    /// When it was drawn.
    pub(super) at: Instant,
}

/// What waits for the video thread.
#[derive(Debug)]
pub(super) struct Inbox {
    frame: Option<Frame>,
    drawn: Drawn,
    pub(super) key_frames: KeyRequests,
    pub(super) kbps: u32,
    /// No new pictures and no repetitions; a key frame that is asked for is still given.
    pub(super) paused: bool,
    pub(super) end: bool,
}

impl Inbox {
    pub(super) fn new(kbps: u32) -> Self {
        Self {
            frame: None,
            drawn: Drawn::default(),
            key_frames: KeyRequests::default(),
            kbps,
            paused: false,
            end: false,
        }
    }

    /// Leaves a picture for encoding. An older one that still waits is never encoded, but what changed with it is said of
    /// this one.
    pub(super) fn put(&mut self, mut frame: Frame) {
        self.drawn.at(frame.at);
        if let Some(older) = self.frame.take() {
            frame.damage.join(&older.damage);
        }
        self.frame = Some(frame);
    }

    pub(super) fn has_frame(&self) -> bool {
        self.frame.is_some()
    }

    /// The newest picture, unless it was taken before.
    pub(super) fn take(&mut self) -> Option<Frame> {
        self.frame.take()
    }
}

/// How often pictures come, whatever becomes of them.
#[derive(Debug, Default)]
struct Drawn {
    last: Option<Instant>,
    /// Mean time between pictures while things move, in seconds.
    interval: f64,
}

impl Drawn {
    fn at(&mut self, at: Instant) {
        let gap = self.last.map_or(0.0, |last| at.saturating_duration_since(last).as_secs_f64());
        self.last = Some(at);
        // More is a rest, and says nothing about what follows.
        if gap < RESTED {
            self.interval += (gap - self.interval) * 0.1;
        }
    }

    /// Pictures a second.
    fn fps(&self) -> u32 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 1000")]
        let fps = (1.0 / self.interval.max(0.001)).round() as u32;
        fps
    }
}

/// What the encoder did, for `health`.
#[derive(Debug, Default)]
pub(super) struct Stats {
    pub(super) frames: AtomicU64,
    pub(super) encode_us: AtomicU64,
}

pub(super) struct Video {
    pub(super) inbox: Arc<Signal<Inbox>>,
    pub(super) stream: Arc<MediaStream>,
    pub(super) stats: Arc<Stats>,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) encoders: Arc<dyn MakeEncoder>,
    pub(super) format: Format,
    pub(super) first_sequence: u16,
}

/// What one wait brought.
struct Work {
    now: Instant,
    frame: Option<Frame>,
    /// The bitrate holds no picture back.
    due: bool,
    key_due: Option<u64>,
    kbps: u32,
    fps: u32,
    paused: bool,
    end: bool,
}

impl Video {
    /// The thread's body; ends when told to.
    pub(super) fn run(self) -> Result<(), EncodeError> {
        let mut kbps = self.inbox.change(|inbox| inbox.kbps);
        let Format { width, height, fps } = self.format;
        let mut encoder = self.encoders.make(self.format, kbps)?;
        let whole = Damage::of(Rect { x: 0, y: 0, width, height });
        // What changed since the encoder was given a frame.
        let mut damage = Damage::default();
        let packets = Packets::new(VIDEO_PAYLOAD_TYPE, self.stream.ssrc, self.first_sequence);
        let mut packetizer = Packetizer::new(self.encoders.codec(), packets, self.first_sequence);
        let mut burst = Burst::default();
        let mut picture: Option<Arc<I420>> = None;
        let mut half: Option<I420> = None;
        let mut last_timestamp: Option<u32> = None;
        let mut sent_any = false;
        let mut repeat: Option<Instant> = None;
        let mut refinements = 0;
        let mut fit = Fit::new(fps, kbps);
        let mut rate = (kbps, fps);
        loop {
            // A picture that must wait stays where a newer one takes its place.
            let held = fit.next(Instant::now());
            let key_at = self.inbox.look(|inbox| inbox.key_frames.deadline());
            let deadline = [key_at, held.or(repeat)].into_iter().flatten().min();
            let work = self.inbox.wait(
                deadline,
                |inbox| {
                    (held.is_none() && inbox.has_frame())
                        // One that came meanwhile and is to wait has a deadline of its own.
                        || inbox.key_frames.deadline() != key_at
                        || inbox.key_frames.due(Instant::now()).is_some()
                        || inbox.end
                        || inbox.kbps != kbps
                },
                |inbox| {
                    let now = Instant::now();
                    let key_due = inbox.key_frames.due(now);
                    let due = key_due.is_some() || held.is_none_or(|until| now >= until);
                    let frame = if due { inbox.take() } else { None };
                    let (kbps, fps) = (inbox.kbps, inbox.drawn.fps());
                    Work { now, frame, due, key_due, kbps, fps, paused: inbox.paused, end: inbox.end }
                },
            );
            if work.end {
                return Ok(());
            }
            let Work { now, key_due, .. } = work;
            if work.kbps != kbps {
                kbps = work.kbps;
                fit.set_kbps(now, kbps);
            }
            let fps = work.fps.min(fit.fps());
            if rate.0 != kbps || f64::from(fps.abs_diff(rate.1)) > OTHER_FPS * f64::from(rate.1) {
                rate = (kbps, fps);
                encoder.set_rate(kbps, fps)?;
            }
            let fresh = work.frame.as_ref().map(|frame| frame.at);
            if let Some(newer) = work.frame {
                damage.join(&newer.damage);
                picture = Some(newer.picture);
            }
            let Some(current) = picture.as_ref() else { continue };
            let repeat_due = work.due && repeat.is_some_and(|at| now >= at);
            // The very first picture goes out even when nobody watches yet: the session waits for it.
            let first = !sent_any;
            if !(first || key_due.is_some() || (!work.paused && (fresh.is_some() || repeat_due))) {
                if work.paused {
                    repeat = None;
                }
                continue;
            }
            let pixels = current.pixels();
            if fit.is_half() != half.is_some() {
                half = fit.is_half().then(|| current.half_black());
                encoder.configure(Format::of(half.as_ref().unwrap_or(current), rate.1), rate.0)?;
                damage = whole.clone();
            }
            if let Some(number) = key_due {
                encoder.request_key_frame(number);
                self.inbox.look(|inbox| inbox.key_frames.asked(now));
            }
            let at = fresh.unwrap_or(now);
            let shown: &I420 = match &mut half {
                Some(half) => {
                    current.halve_into(half);
                    half
                }
                None => current,
            };
            let changed = std::mem::take(&mut damage);
            let changed = if fit.is_half() { changed.halved() } else { changed };
            let encoded = encoder.encode(shown, changed.rects(), at)?;
            self.stats
                .encode_us
                .fetch_add(u64::try_from(now.elapsed().as_micros()).unwrap_or(0), Ordering::Relaxed);
            self.stats.frames.fetch_add(1, Ordering::Relaxed);
            refinements = if fresh.is_some() { 0 } else { refinements + 1 };
            let sharp = encoded.as_ref().is_some_and(|encoded| encoded.sharp) || refinements >= REFINEMENTS;
            repeat = Some(
                now + match (fresh.is_some(), sharp) {
                    (true, _) => REFINE_AFTER,
                    (false, false) => REFINE_EVERY,
                    (false, true) => REPEAT_EVERY,
                },
            );
            let Some(encoded) = encoded else { continue };
            sent_any = true;
            let timestamp = later_than(last_timestamp, self.stream.clock.timestamp(encoded.at));
            last_timestamp = Some(timestamp);
            let moving = fresh.is_some() && !encoded.key;
            let coarseness = encoded.coarseness;
            fit.sent(now, Sent { pixels, bytes: encoded.bytes.len(), moving, coarseness });
            burst.clear();
            packetizer.frame(encoded.bytes, encoded.key, timestamp, |packet| burst.push(packet));
            self.stream.send_all(&burst);
            if encoded.key {
                self.inbox.look(|inbox| inbox.key_frames.key_frame(now, encoded.answers));
            }
            if first {
                let _ = self.events.blocking_send(Event::FirstFrame);
            }
        }
    }
}

/// Two frames never share a timestamp, whatever their instants.
fn later_than(last: Option<u32>, timestamp: u32) -> u32 {
    match last {
        Some(last) if timestamp.wrapping_sub(last).wrapping_sub(1) >= 1 << 31 => last.wrapping_add(1),
        Some(_) | None => timestamp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_rise_strictly_also_across_the_wrap() {
        assert_eq!(later_than(None, 5), 5);
        assert_eq!(later_than(Some(5), 6), 6);
        assert_eq!(later_than(Some(5), 5), 6);
        assert_eq!(later_than(Some(5), 3), 6);
        assert_eq!(later_than(Some(u32::MAX), 10), 10);
        assert_eq!(later_than(Some(2), u32::MAX), 3);
    }

    #[test]
    fn the_newest_picture_wins_with_all_that_changed_since_one_was_taken() {
        let mut inbox = Inbox::new(1000);
        let start = Instant::now();
        let picture = Arc::new(I420::new(320, 320));
        let rects: Vec<Rect> =
            (0..3).map(|at| Rect { x: at * 150, y: at * 150, width: 16, height: 16 }).collect();
        for (step, rect) in (0..).zip(&rects) {
            let at = start + Duration::from_millis(step);
            inbox.put(Frame { picture: Arc::clone(&picture), damage: Damage::of(*rect), at });
        }
        let frame = inbox.frame.take().expect("a frame");
        assert_eq!(frame.at, start + Duration::from_millis(2));
        assert!(rects.iter().all(|rect| frame.damage.covers(*rect)));
        inbox.put(Frame { picture, damage: Damage::of(rects[0]), at: start });
        assert_eq!(inbox.frame.expect("a frame").damage.rects(), [rects[0]]);
    }
}
