//! An admitted viewer, owned: whoever holds the guard speaks for the viewer, and dropping it ends the viewer.
//!
//! A request may be dropped at any `await` (its client went away), so the viewer's seat must not depend on code that runs
//! afterwards. [`ViewerGuard::leave`] does the same as a drop and waits for it.

use super::state::SignalState;
use super::viewers::Seat;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

pub(super) struct ViewerGuard {
    state: SignalState,
    seat: Seat,
}

impl ViewerGuard {
    pub(super) fn new(state: &SignalState, seat: Seat) -> Self {
        Self { state: state.clone(), seat }
    }

    pub(super) fn seat(&self) -> &Seat {
        &self.seat
    }

    /// Ends the viewer and its media, and waits until the core knows. False when somebody else has the seat.
    pub(super) async fn leave(self) -> bool {
        match self.end() {
            None => false,
            Some(leaving) => {
                // In a task of its own: whoever waits may be dropped, too. It has nothing to report.
                let _ = leaving.await;
                true
            }
        }
    }

    /// Gives the seat back, and tells the core in a task. `None` when somebody else has the seat, or without a runtime:
    /// then the process ends, and every viewer with it.
    fn end(&self) -> Option<JoinHandle<()>> {
        if !self.state.viewers.release(&self.seat) {
            return None;
        }
        let runtime = Handle::try_current().ok()?;
        let (core, session, viewer) = (Arc::clone(&self.state.core), self.seat.session, self.seat.viewer);
        Some(runtime.spawn(async move { core.leave(session, viewer).await }))
    }
}

impl Drop for ViewerGuard {
    fn drop(&mut self) {
        drop(self.end());
    }
}
