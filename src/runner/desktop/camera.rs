//! The camera thread: looks at the screen when it changes, and only then, and hands pictures to the encoder.
//!
//! A change is taken once the program rests ([`super::pace`]), at most as often as ordered; what is drawn while a picture is
//! being taken is in the next one. A picture is taken while the one before is encoded, and the newest wins. While nobody watches nothing
//! is taken. The first picture waits for the game: a black screen would end the player's waiting too early.

use super::super::Event;
use super::super::damage::Damage;
use super::super::pictures::Pictures;
use super::super::signal::Signal;
use super::super::video::{self, Frame};
use super::pace::{Pace, Step};
use super::screen::{Screen, ScreenError};
use super::wheel::Wheel;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// A game that shows one colour only is shown this long after its window came.
const PLAIN: Duration = Duration::from_millis(1500);
/// Something without any window, this long after the start.
const WINDOWLESS: Duration = Duration::from_secs(10);
/// While a picture is due sooner than this, nothing that the X server says wakes the camera.
const DEAF: Duration = Duration::from_millis(20);

pub(super) struct Camera {
    pub(super) screen: Screen,
    pub(super) wheel: Arc<Wheel>,
    pub(super) video: Arc<Signal<video::Inbox>>,
    pub(super) events: mpsc::Sender<Event>,
}

/// A camera at work.
struct Shoot {
    camera: Camera,
    pictures: Pictures,
    pace: Pace,
    /// What changed since the last picture.
    pending: Damage,
    /// The next picture has nothing in common with the last, wherever the screen ends.
    anew: bool,
    /// Until the game was seen: when to stop waiting for it.
    dark_until: Option<Instant>,
    window: bool,
    paused: bool,
    fps: u32,
}

impl Camera {
    /// The thread's body; ends when told to.
    pub(super) fn run(self) -> Result<(), ScreenError> {
        let whole = self.screen.whole();
        let mut shoot = Shoot {
            pictures: Pictures::new(whole.width, whole.height),
            pace: Pace::default(),
            pending: Damage::default(),
            anew: true,
            dark_until: Some(Instant::now() + WINDOWLESS),
            window: false,
            paused: false,
            fps: 1,
            camera: self,
        };
        shoot.run()
    }
}

impl Shoot {
    fn run(&mut self) -> Result<(), ScreenError> {
        loop {
            let orders = self.camera.wheel.read();
            if orders.end {
                return Ok(());
            }
            self.fps = orders.fps;
            let resumed = std::mem::replace(&mut self.paused, orders.paused) && !orders.paused;
            self.hear()?;
            if resumed {
                self.everything();
            }
            let now = Instant::now();
            let dark = self.dark_until.is_some();
            if self.dark_until.is_some_and(|until| until <= now) {
                self.dark_until = None;
                self.everything();
            }
            // In the dark only a window is worth a look; the very first picture goes out even when nobody watches.
            let may = if dark { self.window || self.dark_until.is_none() } else { !self.paused };
            let busy = may && !self.pending.is_empty();
            let wait = match self.pace.wait_until(now).filter(|_| busy) {
                Some(next) => Some(self.dark_until.map_or(next, |until| until.min(next))),
                None if busy => {
                    self.step(now)?;
                    continue;
                }
                None => self.dark_until,
            };
            // What is drawn meanwhile the next step finds out; windows and the pointer can wait this long, and no longer.
            let deaf = busy && wait.is_some_and(|until| until.saturating_duration_since(now) < DEAF);
            self.camera.screen.wait(self.camera.wheel.bell(), wait, deaf)?;
        }
    }

    /// Takes in what the X server has said.
    fn hear(&mut self) -> Result<(), ScreenError> {
        let news = self.camera.screen.news()?;
        if let Some(shape) = news.cursor {
            let _ = self.camera.events.blocking_send(Event::Cursor(shape.message()));
        }
        if news.resized {
            let whole = self.camera.screen.whole();
            self.pictures = Pictures::new(whole.width, whole.height);
            self.anew = true;
            self.everything();
        }
        // While something is pending the next step asks, and while nobody watches there is no question.
        if news.damaged && self.pending.is_empty() && (!self.paused || self.dark_until.is_some()) {
            self.pending = self.camera.screen.changed()?;
            if !self.pending.is_empty() {
                self.pace.drawn(Instant::now(), self.fps);
            }
        }
        if news.window && !std::mem::replace(&mut self.window, true) {
            self.dark_until = self.dark_until.map(|until| until.min(Instant::now() + PLAIN));
        }
        Ok(())
    }

    /// The whole screen counts as drawn just now.
    fn everything(&mut self) {
        self.pending = Damage::of(self.camera.screen.whole());
        self.pace.drawn(Instant::now(), self.fps);
    }

    fn step(&mut self, now: Instant) -> Result<(), ScreenError> {
        match self.pace.step(now, self.pending.pixels()) {
            Step::Ask => {
                let more = self.camera.screen.changed()?;
                self.pace.asked(now, !more.is_empty());
                self.pending.join(&more);
            }
            Step::Look => self.look(now)?,
        }
        Ok(())
    }

    fn look(&mut self, now: Instant) -> Result<(), ScreenError> {
        let screen = &mut self.camera.screen;
        let dark = self.dark_until.is_some();
        let whole = Damage::of(screen.whole());
        let damage = screen.clip(if dark { &whole } else { &self.pending });
        let Some(shot) = screen.look(&damage)? else {
            // Its event brings the whole screen.
            self.pending = Damage::default();
            self.pace.taken(now, self.fps, 0);
            return Ok(());
        };
        if !self.pace.looked(now, !shot.changed.is_empty()) {
            self.pending.join(&shot.changed);
            return Ok(());
        }
        let picture = self.pictures.draw(&damage, |picture| screen.convert(&shot, picture))?;
        self.pace.taken(now, self.fps, self.pending.pixels());
        self.pending = shot.changed;
        match picture {
            // Beyond what is shown, or before the game.
            Some(picture) if damage.is_empty() || (dark && picture.is_plain()) => {}
            Some(picture) => {
                self.dark_until = None;
                let damage = if std::mem::take(&mut self.anew) { whole } else { damage };
                tracing::trace!(?damage, took = ?now.elapsed(), "taken");
                self.camera.video.change(|inbox| inbox.put(Frame { picture, damage, at: now }));
            }
            // The encoder holds them all: with the next picture.
            None => self.pending.join(&damage),
        }
        if !self.pending.is_empty() {
            self.pace.drawn(now, self.fps);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "camera_tests.rs"]
mod tests;
