//! State that one thread waits for and others change: a mutex and a condition variable.
//!
//! Where a queue of commands would need a policy for being full, the latest value is kept instead; nothing is lost and
//! nothing grows.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

#[derive(Debug, Default)]
pub(super) struct Signal<T> {
    state: Mutex<T>,
    bell: Condvar,
}

impl<T> Signal<T> {
    pub(super) fn new(state: T) -> Self {
        Self { state: Mutex::new(state), bell: Condvar::new() }
    }

    /// Changes the state and wakes the waiting thread.
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(&mut self.lock());
        self.bell.notify_one();
        result
    }

    /// Reads or changes the state without waking the waiting thread: for that thread itself.
    pub(super) fn look<R>(&self, look: impl FnOnce(&mut T) -> R) -> R {
        look(&mut self.lock())
    }

    /// Waits until the state is `ready` or the deadline has passed, then takes from it.
    pub(super) fn wait<R>(
        &self,
        deadline: Option<Instant>,
        ready: impl Fn(&T) -> bool,
        take: impl FnOnce(&mut T) -> R,
    ) -> R {
        let mut state = self.lock();
        while !ready(&state) {
            state = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                Some(left) if left.is_zero() => break,
                Some(left) => self.bell.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
                None => self.bell.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
        take(&mut state)
    }

    fn lock(&self) -> MutexGuard<'_, T> {
        // A panic while holding the lock leaves plain values behind, all of them usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
