//! An admitted viewer while no connection speaks for it: after a broken WebSocket for a while, by WHEP for as long as
//! its media lives. When this ends, the viewer's media ends, unless the seat went to somebody else.

use super::guard::ViewerGuard;
use super::metrics::SignalMetrics;
use super::push::{Meaning, meaning};
use super::state::SignalState;
use crate::auth::{Lapse, Principal, Validity};
use crate::session::view::Push;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// An admitted viewer: its seat, the token it came by, and what the core says to its session.
pub(super) struct Inside {
    pub(super) guard: ViewerGuard,
    pub(super) who: Principal,
    pub(super) validity: Validity,
    pub(super) pushes: broadcast::Receiver<Push>,
}

/// What came from the core.
#[expect(clippy::large_enum_variant, reason = "one value on the stack of one task, handled at once")]
pub(super) enum Heard {
    Push(Meaning),
    /// Pushes were missed: the state must be asked for.
    Missed,
    /// There will be no more: the session is gone.
    Over,
    /// The seat was taken over or away.
    SeatLost,
    /// The token is not valid any more.
    Lapsed(Lapse),
}

impl Inside {
    /// The next push; none after the token has lapsed. Cancel safe.
    pub(super) async fn hear(&mut self, metrics: &SignalMetrics) -> Heard {
        let Self { guard, validity, pushes, .. } = self;
        let heard = tokio::select! {
            biased;
            () = guard.seat().lost.notified() => return Heard::SeatLost,
            lapse = validity.lapsed() => return Heard::Lapsed(lapse),
            heard = pushes.recv() => heard,
        };
        match heard {
            Ok(push) => Heard::Push(meaning(push, guard.seat().viewer)),
            Err(RecvError::Lagged(_)) => {
                metrics.lagged.inc();
                Heard::Missed
            }
            Err(RecvError::Closed) => Heard::Over,
        }
    }

    /// Ends the viewer's media, if it is still ours to end.
    pub(super) async fn leave(self) {
        self.guard.leave().await;
    }

    /// Keeps the media for a while after the connection broke, for the viewer to come back to.
    pub(super) async fn linger(mut self, state: &SignalState) {
        let deadline = tokio::time::sleep(state.config.resume_for);
        tokio::pin!(deadline);
        loop {
            tokio::select! {
                () = &mut deadline => break,
                heard = self.hear(&state.metrics) => match heard {
                    Heard::SeatLost => return,
                    Heard::Push(Meaning::MediaEnded(_)) => state.viewers.set_media(self.guard.seat(), false),
                    Heard::Push(Meaning::Evicted(_) | Meaning::Ended { .. }) | Heard::Over | Heard::Lapsed(_) => {
                        break;
                    }
                    Heard::Push(Meaning::Tell(_) | Meaning::Nothing) | Heard::Missed => {}
                },
            }
        }
        self.leave().await;
    }

    /// Lives until the media or the session ends, the seat is taken away or the token lapses.
    pub(super) async fn watch(mut self, state: &SignalState) {
        loop {
            match self.hear(&state.metrics).await {
                Heard::SeatLost => return,
                Heard::Push(Meaning::MediaEnded(_) | Meaning::Evicted(_) | Meaning::Ended { .. })
                | Heard::Over
                | Heard::Lapsed(_) => break,
                // A missed push may have been the last one: ask.
                Heard::Missed => {
                    if state.core.status(&self.who, self.guard.seat().session).await.is_err() {
                        break;
                    }
                }
                Heard::Push(Meaning::Tell(_) | Meaning::Nothing) => {}
            }
        }
        self.leave().await;
    }
}
