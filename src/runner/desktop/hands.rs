//! The input thread: everything that a player does, into the X server; what the gateway orders, to whom it concerns.
//!
//! It is the one reader of the inbox, so it is also the one that hears of the end: it lets go of all keys first, then
//! tells everybody else of the desktop.

use super::super::save;
use super::super::signal::Signal;
use super::super::stage::{Inbox, Wake};
use super::inject::{InjectError, Injector};
use super::wheel::Wheel;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tokio::sync::oneshot;

pub(super) struct Hands {
    pub(super) inbox: Arc<Signal<Inbox>>,
    pub(super) injector: Injector,
    pub(super) save: Arc<Signal<save::Inbox>>,
    pub(super) sound_paused: Arc<AtomicBool>,
    pub(super) curtain: Curtain,
}

/// Ends the camera, the sound and the game when it falls, also by a panic.
pub(super) struct Curtain {
    pub(super) wheel: Arc<Wheel>,
    pub(super) sound: Arc<AtomicBool>,
    pub(super) game: Option<oneshot::Sender<()>>,
}

impl Hands {
    /// The thread's body; ends when told to.
    pub(super) fn run(mut self) -> Result<(), InjectError> {
        let (mut fps, mut paused) = (0, false);
        // A stick that moves the pointer does so while nothing new comes in.
        let mut again = None;
        loop {
            let wake = self.inbox.wait(
                again,
                |inbox| inbox.has_work() || inbox.fps != fps || inbox.paused != paused,
                Wake::take,
            );
            for (slot, frame) in wake.inputs {
                self.injector.apply(slot, &frame)?;
            }
            if wake.overflow || wake.end {
                self.injector.release_all()?;
            }
            if wake.end {
                return Ok(());
            }
            again = self.injector.tick(Instant::now())?;
            if wake.flush {
                self.save.change(|inbox| inbox.flush = true);
            }
            if (wake.fps, wake.paused) != (fps, paused) {
                (fps, paused) = (wake.fps, wake.paused);
                self.sound_paused.store(paused, Ordering::Relaxed);
                self.curtain.wheel.steer(|orders| {
                    orders.fps = fps;
                    orders.paused = paused;
                });
            }
        }
    }
}

impl Drop for Curtain {
    fn drop(&mut self) {
        self.wheel.steer(|orders| orders.end = true);
        self.sound.store(true, Ordering::Relaxed);
        if let Some(game) = self.game.take() {
            // Without a listener the game is over already.
            let _ = game.send(());
        }
    }
}
