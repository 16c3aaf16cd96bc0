//! The camera thread: looks at the screen when it changes, and only then, and hands pictures to the encoder.
//!
//! The first change after stillness is taken at once, more of them as often as ordered; a change while a picture is being
//! taken is in the next one. While nobody watches nothing is taken. The first picture waits for the game: a black screen
//! would end the player's waiting too early.

use super::super::i420::I420;
use super::super::signal::Signal;
use super::super::{Event, video};
use super::pace::Pace;
use super::screen::{Screen, ScreenError, join};
use super::wheel::Wheel;
use crate::games::Rect;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// A game that shows one colour only is shown this long after its window came.
const PLAIN: Duration = Duration::from_millis(1500);
/// Something without any window, this long after the start.
const WINDOWLESS: Duration = Duration::from_secs(10);

pub(super) struct Camera {
    pub(super) screen: Screen,
    pub(super) wheel: Arc<Wheel>,
    pub(super) video: Arc<Signal<video::Inbox>>,
    pub(super) events: mpsc::Sender<Event>,
}

/// A camera at work.
struct Shoot {
    camera: Camera,
    /// The stream's picture as it is now.
    frame: I420,
    /// A buffer to hand over; the encoder gives another for it.
    spare: Option<I420>,
    pixels: Vec<u8>,
    pace: Pace,
    /// What changed since the last picture.
    pending: Option<Rect>,
    /// Until the game was seen: when to stop waiting for it.
    dark_until: Option<Instant>,
    window: bool,
    paused: bool,
}

impl Camera {
    /// The thread's body; ends when told to.
    pub(super) fn run(self) -> Result<(), ScreenError> {
        let whole = self.screen.whole();
        let frame = I420::new(whole.width, whole.height);
        let mut shoot = Shoot {
            spare: Some(frame.clone()),
            frame,
            pixels: vec![0; usize::try_from(whole.width * whole.height * 4).unwrap_or(0)],
            pace: Pace::new(),
            pending: None,
            dark_until: Some(Instant::now() + WINDOWLESS),
            window: false,
            paused: false,
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
            self.look()?;
            if std::mem::replace(&mut self.paused, orders.paused) && !orders.paused {
                self.pending = Some(self.camera.screen.whole());
            }
            let now = Instant::now();
            let dark = self.dark_until.is_some();
            if self.dark_until.is_some_and(|until| until <= now) {
                self.dark_until = None;
                self.pending = Some(self.camera.screen.whole());
            }
            // In the dark only a window is worth a look; the very first picture goes out even when nobody watches.
            let may = if dark { self.window || self.dark_until.is_none() } else { !self.paused };
            let wait = match self.pending.filter(|_| may) {
                None => self.dark_until,
                Some(rect) => match self.pace.wait_until(now) {
                    Some(due) => Some(self.dark_until.map_or(due, |until| until.min(due))),
                    None => {
                        self.pending = None;
                        self.take(rect, now)?;
                        self.pace.taken(now, orders.fps);
                        continue;
                    }
                },
            };
            self.camera.screen.wait(self.camera.wheel.bell(), wait)?;
        }
    }

    fn look(&mut self) -> Result<(), ScreenError> {
        let news = self.camera.screen.news()?;
        if let Some(shape) = news.cursor {
            let _ = self.camera.events.blocking_send(Event::Cursor(shape.message()));
        }
        if news.resized {
            let whole = self.camera.screen.whole();
            self.frame = I420::new(whole.width, whole.height);
            self.pending = Some(whole);
        }
        if let Some(area) = news.damaged {
            self.pending = join(self.pending, area);
        }
        if news.window && !std::mem::replace(&mut self.window, true) {
            self.dark_until = self.dark_until.map(|until| until.min(Instant::now() + PLAIN));
        }
        Ok(())
    }

    fn take(&mut self, rect: Rect, now: Instant) -> Result<(), ScreenError> {
        let screen = &mut self.camera.screen;
        let rect = if self.dark_until.is_some() { screen.whole() } else { rect };
        let rect = self.frame.widened(screen.clip(rect));
        let Some(pixels) = screen.grab(rect, &mut self.pixels)? else { return Ok(()) };
        let grabbed = now.elapsed();
        if self.dark_until.is_some() {
            if is_plain(pixels) {
                return Ok(());
            }
            self.dark_until = None;
        }
        self.frame.update_bgrx(pixels, rect);
        tracing::trace!(?rect, ?grabbed, converted = ?now.elapsed(), "taken");
        let mut handed = self.spare.take().unwrap_or_else(|| self.frame.clone());
        handed.copy_from(&self.frame);
        self.spare = self.camera.video.change(|inbox| inbox.put(handed, now));
        Ok(())
    }
}

/// One colour only.
fn is_plain(pixels: &[u8]) -> bool {
    let mut all = pixels.chunks_exact(4);
    all.next().is_none_or(|first| all.all(|pixel| pixel[..3] == first[..3]))
}
