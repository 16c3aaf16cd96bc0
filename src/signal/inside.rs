//! An admitted viewer while no connection speaks for it: after a broken WebSocket for a while, by WHEP for as long as
//! its media lives. Whoever ends here ends the media, unless the seat went to somebody else.

use super::metrics::SignalMetrics;
use super::push::{Meaning, meaning};
use super::state::SignalState;
use super::viewers::Seat;
use crate::auth::Principal;
use crate::session::view::Push;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// An admitted viewer: its seat and what the core says to its session.
pub(super) struct Inside {
    pub(super) seat: Seat,
    pub(super) who: Principal,
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
}

impl Inside {
    /// The next push. Cancel safe.
    pub(super) async fn hear(&mut self, metrics: &SignalMetrics) -> Heard {
        let Self { seat, pushes, .. } = self;
        let heard = tokio::select! {
            biased;
            () = seat.lost.notified() => return Heard::SeatLost,
            heard = pushes.recv() => heard,
        };
        match heard {
            Ok(push) => Heard::Push(meaning(push, seat.viewer)),
            Err(RecvError::Lagged(_)) => {
                metrics.lagged.inc();
                Heard::Missed
            }
            Err(RecvError::Closed) => Heard::Over,
        }
    }

    /// Ends the viewer's media, if it is still ours to end.
    pub(super) async fn leave(self, state: &SignalState) {
        if state.viewers.release(&self.seat) {
            state.core.leave(self.seat.session, self.seat.viewer).await;
        }
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
                    Heard::Push(Meaning::MediaEnded(_)) => state.viewers.set_media(&self.seat, false),
                    Heard::Push(Meaning::Evicted(_) | Meaning::Ended { .. }) | Heard::Over => break,
                    Heard::Push(Meaning::Tell(_) | Meaning::Nothing) | Heard::Missed => {}
                },
            }
        }
        self.leave(state).await;
    }

    /// Lives until the media or the session ends or the seat is taken away.
    pub(super) async fn watch(mut self, state: &SignalState) {
        loop {
            match self.hear(&state.metrics).await {
                Heard::SeatLost => return,
                Heard::Push(Meaning::MediaEnded(_) | Meaning::Evicted(_) | Meaning::Ended { .. })
                | Heard::Over => {
                    break;
                }
                // A missed push may have been the last one: ask.
                Heard::Missed => {
                    if state.core.status(&self.who, self.seat.session).await.is_err() {
                        break;
                    }
                }
                Heard::Push(Meaning::Tell(_) | Meaning::Nothing) => {}
            }
        }
        self.leave(state).await;
    }
}
