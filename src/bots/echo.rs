//! From an input to the picture that shows it: the marker of a game's picture counts the presses it has seen, and all who
//! press in a session share one list of what was pressed when.
//!
//! Presses of one session are taken to arrive in the order in which they were sent. What has no answer after
//! [`PATIENCE`] is forgotten, and the count starts afresh from the next picture.

use playgate_signaling::input::is_newer;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// An input that no picture shows after this long has no answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// Presses waiting for their picture. When there are more they are not measured.
const MOST: usize = 256;

/// The presses of one session.
#[derive(Debug, Default)]
pub struct Echo(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The newest count a picture showed.
    seen: Option<u16>,
    /// The count that the last press makes.
    last: u16,
    waiting: VecDeque<Press>,
    unanswered: u64,
}

#[derive(Debug)]
struct Press {
    count: u16,
    at: Instant,
    /// Who pressed, where it decodes pictures itself: its own pictures are the answer then.
    by: Option<u32>,
}

impl Echo {
    /// A bot pressed something. Without a picture before there is nothing to count from.
    pub fn press(&self, by: u32, decodes: bool, now: Instant) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(seen) = state.seen else { return };
        state.forget(now);
        let before = if state.waiting.is_empty() { seen } else { state.last };
        let count = before.wrapping_add(1);
        state.last = count;
        if state.waiting.len() < MOST {
            state.waiting.push_back(Press { count, at: now, by: decodes.then_some(by) });
        }
    }

    /// A bot decoded a picture of a game that has seen `count` presses: how long those took that it answers.
    pub fn picture(&self, by: u32, count: u16, now: Instant) -> Vec<Duration> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.forget(now);
        if state.seen.is_none_or(|seen| is_newer(count, seen)) {
            state.seen = Some(count);
        }
        let mut took = Vec::new();
        state.waiting.retain(|press| {
            let answered = !is_newer(press.count, count) && press.by.is_none_or(|own| own == by);
            if answered {
                took.push(now.saturating_duration_since(press.at));
            }
            !answered
        });
        took
    }

    /// Presses that no picture showed.
    #[must_use]
    pub fn unanswered(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).unanswered
    }
}

impl State {
    fn forget(&mut self, now: Instant) {
        let stale = |press: &Press| now.saturating_duration_since(press.at) > PATIENCE;
        if self.waiting.front().is_some_and(stale) {
            self.unanswered += self.waiting.len() as u64;
            self.waiting.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_press_is_answered_by_the_first_own_picture_that_counts_it() {
        let (echo, start) = (Echo::default(), Instant::now());
        echo.press(1, true, start);
        assert!(echo.picture(1, 65_535, start).is_empty(), "nothing to count from, then");
        echo.press(1, true, start + 10 * MS);
        echo.press(2, false, start + 20 * MS);
        assert!(echo.picture(3, 65_535, start + 30 * MS).is_empty());
        assert_eq!(echo.picture(3, 1, start + 40 * MS), [20 * MS], "one that cannot see it itself");
        assert_eq!(echo.picture(1, 1, start + 45 * MS), [35 * MS]);
        assert!(echo.picture(1, 1, start + 50 * MS).is_empty());
    }

    #[test]
    fn what_is_never_shown_is_forgotten_and_the_count_starts_afresh() {
        let (echo, start) = (Echo::default(), Instant::now());
        echo.picture(1, 5, start);
        echo.press(1, true, start);
        echo.press(1, true, start + MS);
        echo.press(1, true, start + 3_500 * MS);
        assert_eq!(echo.unanswered(), 2);
        assert_eq!(echo.picture(1, 6, start + 3_550 * MS), [50 * MS]);
    }
}
