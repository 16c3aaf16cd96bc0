//! The input thread: everything that a player does, into the X server; what the gateway orders, to whom it concerns.
//!
//! It is the one reader of the inbox, so it is also the one that hears of the end: it lets go of all keys first, then
//! tells everybody else of the desktop.

use super::super::save;
use super::super::signal::Signal;
use super::super::stage::{Inbox, Wake};
use super::inject::{InjectError, Injector};
use super::wheel::Wheel;
use playgate_signaling::input::InputFrame;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::oneshot;

pub(super) struct Hands {
    pub(super) inbox: Arc<Signal<Inbox>>,
    pub(super) injector: Injector,
    pub(super) save: Arc<Signal<save::Inbox>>,
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
        let mut slots = BTreeSet::new();
        let (mut fps, mut paused) = (0, false);
        loop {
            let wake = self.inbox.wait(
                None,
                |inbox| inbox.has_work() || inbox.fps != fps || inbox.paused != paused,
                Wake::take,
            );
            for (slot, frame) in wake.inputs {
                slots.insert(slot);
                self.injector.apply(slot, &frame)?;
            }
            if wake.overflow || wake.end {
                for &slot in &slots {
                    self.injector.apply(slot, &InputFrame::ReleaseAll)?;
                }
            }
            if wake.end {
                return Ok(());
            }
            if wake.flush {
                self.save.change(|inbox| inbox.flush = true);
            }
            if (wake.fps, wake.paused) != (fps, paused) {
                (fps, paused) = (wake.fps, wake.paused);
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
