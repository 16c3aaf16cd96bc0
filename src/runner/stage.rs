//! The game thread: the one owner of the game. Ticks it by an absolute clock, draws what changed, hands pictures and sound
//! on, asks for its save.
//!
//! Time of the game is the count of its ticks. An idle game is not ticked: the thread sleeps until an input, which then
//! ticks, draws and sends at once (but never sooner than one tick after the last, or a moving mouse would make time run
//! faster). While paused, when nobody watches, the game stands still; its input is kept for the next tick.

use super::audio::{self, BLOCK_FRAMES, Block};
use super::damage::Damage;
use super::media::MediaStream;
use super::pictures::Pictures;
use super::save;
use super::signal::Signal;
use super::video::Frame;
use super::{Event, video};
use crate::games::{AUDIO_BLOCK, Game, Rect};
use crate::marker::{self, Marker};
use playgate_signaling::input::{InputFrame, TouchPhase};
use std::collections::{BTreeSet, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tiny_skia::Pixmap;
use tokio::sync::mpsc;

/// Inputs that wait for the game, which takes them at once. When there are more the newest is dropped and counted, and
/// everything held is let go of, since a lost release would hold a key for ever.
const INPUTS: usize = 1024;
/// An idle game is looked at this often.
const LOOK: Duration = Duration::from_secs(1);
/// A dirty save is written this long after the game changed it.
const SAVE_AFTER: Duration = Duration::from_secs(10);
/// Behind by more than this, the game's clock starts afresh instead of catching up.
const STALL: Duration = Duration::from_millis(100);
/// Sound this far behind its picture starts a new talk spurt at the right place: 200 ms.
const SOUND_DRIFT: u64 = 9_600;
/// Silent blocks before a spurt ends: 100 ms.
const HANGOVER: u32 = 10;

/// What waits for the game thread.
#[derive(Debug)]
pub(super) struct Inbox {
    inputs: VecDeque<(u8, InputFrame)>,
    overflow: bool,
    pub(super) dropped: u64,
    /// Most frames a second that are drawn.
    pub(super) fps: u32,
    pub(super) paused: bool,
    pub(super) flush: bool,
    pub(super) end: bool,
}

impl Inbox {
    pub(super) fn new(fps: u32) -> Self {
        Self {
            inputs: VecDeque::new(),
            overflow: false,
            dropped: 0,
            fps,
            paused: false,
            flush: false,
            end: false,
        }
    }

    pub(super) fn input(&mut self, slot: u8, frame: InputFrame) {
        if self.inputs.len() < INPUTS {
            self.inputs.push_back((slot, frame));
        } else {
            self.dropped += 1;
            self.overflow = true;
        }
    }

    /// Something waits that is worth waking up for; a new `fps` or `paused` the reader knows by comparing.
    pub(super) fn has_work(&self) -> bool {
        !self.inputs.is_empty() || self.overflow || self.flush || self.end
    }

    /// Whoever held keys is gone without saying so.
    pub(super) fn let_go(&mut self) {
        self.overflow = true;
    }
}

pub(super) struct Stage {
    pub(super) game: Box<dyn Game>,
    /// What the game draws.
    pub(super) width: u32,
    pub(super) height: u32,
    /// Width and height are shown divided by this: see [`shrink`].
    pub(super) divisor: u32,
    /// Ticks a second: the game's own, whatever the stream shows of them.
    pub(super) tick_hz: u32,
    pub(super) marker: bool,
    pub(super) inbox: Arc<Signal<Inbox>>,
    pub(super) video: Arc<Signal<video::Inbox>>,
    pub(super) audio: Arc<Signal<audio::Inbox>>,
    pub(super) save: Arc<Signal<save::Inbox>>,
    /// For the position of sound: its clock is the audio stream's.
    pub(super) audio_stream: Arc<MediaStream>,
    pub(super) events: mpsc::Sender<Event>,
}

/// What one wait brought.
pub(super) struct Wake {
    pub(super) inputs: VecDeque<(u8, InputFrame)>,
    /// Everything held is to be let go of.
    pub(super) overflow: bool,
    pub(super) fps: u32,
    pub(super) paused: bool,
    pub(super) flush: bool,
    pub(super) end: bool,
}

impl Stage {
    /// Width and height of what is shown.
    fn shown(&self) -> (u32, u32) {
        let divisor = self.divisor.max(1);
        (self.width / divisor, self.height / divisor)
    }

    /// The thread's body; ends when told to, with the save handed over.
    pub(super) fn run(self) {
        let Some(picture) = Pixmap::new(self.width, self.height) else {
            let message = "the picture has no size".to_owned();
            let _ = self.events.blocking_send(Event::Crashed { part: "game", message });
            return;
        };
        let mut show = Show::new(self, picture);
        show.draw(Instant::now());
        show.play();
        show.hand_over_save();
    }
}

/// A stage with its curtain up.
struct Show {
    stage: Stage,
    picture: Pixmap,
    /// The picture as it is shown, where that is smaller.
    small: Option<Pixmap>,
    pictures: Pictures,
    /// What was drawn and has not been handed over.
    unseen: Damage,
    marker: Marker,
    drawn_input: u16,
    slots: BTreeSet<u8>,
    /// Nothing was drawn yet: the whole picture counts as changed.
    first: bool,
    /// Tick credit towards the next drawn frame, in 1/tick_hz of a frame.
    credit: u32,
    /// Sound owed by the ticks so far, in 1/tick_hz of an audio frame.
    owed: u64,
    position: u64,
    talking: bool,
    /// Silent blocks in a row, and blocks of the spurt so far.
    quiet: u32,
    spurt: u64,
    dirty_since: Option<Instant>,
}

impl Show {
    fn new(stage: Stage, mut picture: Pixmap) -> Self {
        // Whatever a game leaves open is black, not transparent.
        picture.fill(tiny_skia::Color::BLACK);
        let (width, height) = stage.shown();
        let small = if stage.divisor > 1 { Pixmap::new(width, height) } else { None };
        Self {
            stage,
            picture,
            small,
            pictures: Pictures::new(width, height),
            unseen: Damage::default(),
            marker: Marker::default(),
            drawn_input: u16::MAX,
            slots: BTreeSet::new(),
            first: true,
            credit: 0,
            owed: 0,
            position: 0,
            talking: false,
            quiet: 0,
            spurt: 0,
            dirty_since: None,
        }
    }

    fn play(&mut self) {
        let period = Duration::from_secs(1) / self.stage.tick_hz.max(1);
        let mut last_tick = Instant::now();
        let mut next_tick = last_tick + period;
        let mut touched = false;
        let mut paused = false;
        loop {
            let still = paused || (!touched && self.stage.game.idle());
            if still {
                self.fall_silent();
            }
            let mut deadline = if still { Instant::now() + LOOK } else { next_tick };
            if let Some(since) = self.dirty_since {
                deadline = deadline.min(since + SAVE_AFTER);
            }
            let woken_paused = paused;
            let wake = self.stage.inbox.wait(
                Some(deadline),
                |inbox| inbox.has_work() || inbox.paused != woken_paused,
                Wake::take,
            );
            if wake.end {
                return;
            }
            paused = wake.paused;
            touched |= self.apply(wake.inputs, wake.overflow);
            if wake.flush || self.dirty_since.is_some_and(|since| since.elapsed() >= SAVE_AFTER) {
                self.hand_over_save();
            }
            if paused || (!touched && self.stage.game.idle()) {
                continue;
            }
            let now = Instant::now();
            if still {
                next_tick = now.max(last_tick + period);
            }
            if now < next_tick {
                continue;
            }
            if now.duration_since(next_tick) > STALL {
                next_tick = now;
            }
            last_tick = next_tick;
            next_tick += period;
            touched = false;
            self.tick(last_tick);
            let late = next_tick <= now;
            self.credit = (self.credit + wake.fps.min(self.stage.tick_hz)).min(2 * self.stage.tick_hz);
            let due = self.credit >= self.stage.tick_hz && !late;
            if due || self.stage.game.idle() {
                self.credit = self.credit.saturating_sub(self.stage.tick_hz);
                self.draw(last_tick);
            }
        }
    }

    /// True when the game got anything that it might answer.
    fn apply(&mut self, inputs: VecDeque<(u8, InputFrame)>, overflow: bool) -> bool {
        let mut any = overflow;
        for (slot, frame) in inputs {
            // A heartbeat says that nothing changed: it does not wake an idle game.
            any |= frame != InputFrame::Heartbeat;
            self.slots.insert(slot);
            if is_press(&frame) {
                self.marker.input = self.marker.input.wrapping_add(1);
            }
            self.stage.game.input(slot, &frame);
        }
        if overflow {
            for &slot in &self.slots {
                self.stage.game.input(slot, &InputFrame::ReleaseAll);
            }
        }
        any
    }

    fn tick(&mut self, at: Instant) {
        self.stage.game.tick();
        self.owed += 48_000;
        let block = BLOCK_FRAMES * u64::from(self.stage.tick_hz);
        while self.owed >= block {
            self.owed -= block;
            self.sound(at);
        }
        if self.stage.game.take_dirty() && self.dirty_since.is_none() {
            self.dirty_since = Some(Instant::now());
            let _ = self.stage.events.blocking_send(Event::SaveDirty);
        }
    }

    /// Pulls one block. Short silences are sent as they are, so that a spurt ends only where it is quiet for good and on
    /// a whole frame.
    fn sound(&mut self, at: Instant) {
        let mut samples = Box::new([0_i16; AUDIO_BLOCK]);
        let sounds = self.stage.game.sound(&mut samples);
        self.quiet = if sounds { 0 } else { self.quiet + 1 };
        if !sounds && (!self.talking || (self.quiet >= HANGOVER && self.spurt.is_multiple_of(2))) {
            self.fall_silent();
            self.position += BLOCK_FRAMES;
            return;
        }
        let real = self.stage.audio_stream.clock.elapsed_units(at);
        if !self.talking || real > self.position + SOUND_DRIFT {
            self.position = self.position.max(real);
            self.spurt = 0;
        }
        self.talking = true;
        self.spurt += 1;
        let block = Block { position: self.position, samples: Some(samples) };
        self.position += BLOCK_FRAMES;
        self.stage.audio.change(|inbox| inbox.put(block));
    }

    fn fall_silent(&mut self) {
        if std::mem::take(&mut self.talking) {
            let block = Block { position: self.position, samples: None };
            if !self.spurt.is_multiple_of(2) {
                // The encoder fills the frame up.
                self.position += BLOCK_FRAMES;
            }
            self.stage.audio.change(|inbox| inbox.put(block));
        }
    }

    /// Draws, and hands the picture to the encoder when it changed.
    fn draw(&mut self, at: Instant) {
        let drawn_at = SystemTime::now();
        let whole = Rect { x: 0, y: 0, width: self.stage.width, height: self.stage.height };
        let drawn = self.stage.game.draw(&mut self.picture);
        let changed = if std::mem::take(&mut self.first) { Some(whole) } else { drawn };
        let marked = self.stage.marker && (changed.is_some() || self.drawn_input != self.marker.input);
        if changed.is_none() && !marked {
            return;
        }
        self.marker.frame = self.marker.frame.wrapping_add(1);
        let (width, height) = self.stage.shown();
        let changed = match (&mut self.small, changed) {
            (Some(small), Some(changed)) => Some(shrink(&self.picture, small, self.stage.divisor, changed)),
            (Some(_) | None, changed) => changed,
        };
        let shown = self.small.as_mut().unwrap_or(&mut self.picture);
        let mut mark = None;
        if marked {
            self.drawn_input = self.marker.input;
            marker::draw(shown, self.marker);
            marker::draw_time(shown, marker::clock(drawn_at));
            mark = marker::area(width, height).map(|(x, y, width, height)| Rect { x, y, width, height });
        }
        let stride = usize::try_from(width).unwrap_or(0) * 4;
        for rect in changed.into_iter().chain(mark) {
            self.unseen.add(rect);
        }
        let damage = std::mem::take(&mut self.unseen);
        let drawn = self.pictures.draw(&damage, |picture| {
            for rect in damage.rects() {
                picture.update(shown.data(), stride, *rect);
            }
            Ok::<_, Infallible>(())
        });
        let Ok(drawn) = drawn;
        match drawn {
            Some(picture) => self.stage.video.change(|inbox| inbox.put(Frame { picture, damage, at })),
            // The encoder holds them all: with the next picture.
            None => self.unseen = damage,
        }
    }

    fn hand_over_save(&mut self) {
        self.dirty_since = None;
        // What is handed over holds everything up to now.
        let _ = self.stage.game.take_dirty();
        let bytes = self.stage.game.save();
        self.stage.save.change(|inbox| inbox.bytes = Some(bytes));
    }
}

impl Wake {
    pub(super) fn take(inbox: &mut Inbox) -> Self {
        Self {
            inputs: std::mem::take(&mut inbox.inputs),
            overflow: std::mem::take(&mut inbox.overflow),
            fps: inbox.fps,
            paused: inbox.paused,
            flush: std::mem::take(&mut inbox.flush),
            end: inbox.end,
        }
    }
}

/// Shrinks what changed of a picture: every pixel the mean of `divisor` times `divisor`. Gives what changed in `to`.
fn shrink(from: &Pixmap, to: &mut Pixmap, divisor: u32, changed: Rect) -> Rect {
    let end = |start: u32, length: u32, most: u32| start.saturating_add(length).div_ceil(divisor).min(most);
    let (x, y) = (changed.x / divisor, changed.y / divisor);
    let right = end(changed.x, changed.width, to.width());
    let bottom = end(changed.y, changed.height, to.height());
    let size = |value: u32| usize::try_from(value).unwrap_or(0);
    let (from_stride, to_stride) = (size(from.width()) * 4, size(to.width()) * 4);
    let (step, pixels) = (size(divisor), divisor * divisor);
    let source = from.data();
    let target = to.data_mut();
    for row in size(y)..size(bottom) {
        for column in size(x)..size(right) {
            let mut sums = [0_u32; 4];
            for line in 0..step {
                let start = (row * step + line) * from_stride + column * step * 4;
                for pixel in source[start..start + step * 4].as_chunks::<4>().0 {
                    for (sum, value) in sums.iter_mut().zip(pixel) {
                        *sum += u32::from(*value);
                    }
                }
            }
            let at = row * to_stride + column * 4;
            for (out, sum) in target[at..at + 4].iter_mut().zip(sums) {
                *out = u8::try_from(sum / pixels).unwrap_or(u8::MAX);
            }
        }
    }
    Rect { x, y, width: right.saturating_sub(x), height: bottom.saturating_sub(y) }
}

/// What the marker counts.
fn is_press(frame: &InputFrame) -> bool {
    match frame {
        InputFrame::Key { down, .. } | InputFrame::Button { down, .. } => *down,
        InputFrame::Touch { phase, .. } => *phase == TouchPhase::Start,
        InputFrame::Wheel { .. }
        | InputFrame::Text(_)
        | InputFrame::PointerDelta { .. }
        | InputFrame::Heartbeat
        | InputFrame::ReleaseAll
        | InputFrame::PadPresence { .. }
        | InputFrame::PointerMove { .. }
        | InputFrame::Pad { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shrunk_picture_is_the_mean_of_what_changed_and_nothing_else() {
        let mut from = Pixmap::new(8, 4).expect("size");
        let grays = (0_u8..32).flat_map(|value| [value * 4; 4]);
        from.data_mut().iter_mut().zip(grays).for_each(|(byte, gray)| *byte = gray);
        let mut to = Pixmap::new(4, 2).expect("size");
        let rect = shrink(&from, &mut to, 2, Rect { x: 3, y: 0, width: 2, height: 2 });
        assert_eq!(rect, Rect { x: 1, y: 0, width: 2, height: 1 });
        let grays: Vec<u8> = to.data().chunks(4).map(|pixel| pixel[0]).collect();
        // Of the columns 2-3 and 4-5 in the rows 0-1: (2 + 3 + 10 + 11) and (4 + 5 + 12 + 13).
        assert_eq!(grays, [0, 26, 34, 0, 0, 0, 0, 0]);
        let all = shrink(&from, &mut to, 2, Rect { x: 0, y: 0, width: 8, height: 4 });
        assert_eq!(all, Rect { x: 0, y: 0, width: 4, height: 2 });
    }
}
