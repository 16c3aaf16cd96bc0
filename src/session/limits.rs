//! What holds launches back here, whatever room the nodes have: how often one user may ask, which games are taken, and
//! a gateway that shuts down.

use crate::model::ids::UserId;
use dashmap::DashMap;
use std::collections::{HashSet, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

const WINDOW: Duration = Duration::from_secs(60);
/// Users remembered before those without a recent launch are forgotten.
const MANY_USERS: usize = 1024;

/// At most so many launches per user in any minute (contract rule 8), or starts per organisation (rule 5).
#[derive(Debug)]
pub struct LaunchLimiter<K: Eq + Hash = UserId> {
    per_minute: usize,
    recent: DashMap<K, VecDeque<Instant>>,
}

impl<K: Eq + Hash + Clone> LaunchLimiter<K> {
    pub fn new(per_minute: u32) -> Self {
        Self { per_minute: usize::try_from(per_minute).unwrap_or(usize::MAX), recent: DashMap::new() }
    }

    /// Counts one launch, or tells how long to wait. One that is refused, here or later, does not count.
    pub fn take(&self, now: Instant, user: &K) -> Result<Slip<'_, K>, Duration> {
        if self.recent.len() > MANY_USERS {
            self.recent.retain(|_, times| times.back().is_some_and(|last| now < *last + WINDOW));
        }
        let mut times = self.recent.entry(user.clone()).or_default();
        while times.front().is_some_and(|first| now >= *first + WINDOW) {
            times.pop_front();
        }
        if times.len() < self.per_minute {
            times.push_back(now);
            return Ok(Slip { limiter: self, user: user.clone(), at: now, is_spent: false });
        }
        Err(times.front().map_or(WINDOW, |first| *first + WINDOW - now))
    }
}

/// A launch that was counted. It counts no more when it is dropped without having been [spent](Slip::spend).
#[derive(Debug)]
#[must_use]
pub struct Slip<'a, K: Eq + Hash> {
    limiter: &'a LaunchLimiter<K>,
    user: K,
    at: Instant,
    is_spent: bool,
}

impl<K: Eq + Hash> Slip<'_, K> {
    /// The session is entered.
    pub fn spend(mut self) {
        self.is_spent = true;
    }
}

impl<K: Eq + Hash> Drop for Slip<'_, K> {
    fn drop(&mut self) {
        if self.is_spent {
            return;
        }
        if let Some(mut times) = self.limiter.recent.get_mut(&self.user)
            && let Some(place) = times.iter().rposition(|at| *at == self.at)
        {
            times.remove(place);
        }
    }
}

/// Which games of one instance are taken, and whether anybody is let in at all.
#[derive(Debug, Clone, Default)]
pub struct Doors {
    used: Arc<Mutex<Used>>,
}

#[derive(Debug, Default)]
struct Used {
    exclusive: HashSet<String>,
    closed: bool,
}

/// Let in; gives an exclusive game back when dropped.
#[derive(Debug)]
pub struct Permit {
    exclusive: Option<String>,
    used: Arc<Mutex<Used>>,
}

impl Doors {
    /// `exclusive` names a game of which there can be one session only.
    pub fn enter(&self, exclusive: Option<&str>) -> Option<Permit> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.closed || exclusive.is_some_and(|game| !used.exclusive.insert(game.to_owned())) {
            return None;
        }
        Some(Permit { exclusive: exclusive.map(str::to_owned), used: Arc::clone(&self.used) })
    }

    /// Nobody is let in any more.
    pub fn close(&self) {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(game) = &self.exclusive {
            self.used.lock().unwrap_or_else(PoisonError::into_inner).exclusive.remove(game);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn launches_are_counted_per_user_over_any_minute() {
        let (limiter, start) = (LaunchLimiter::new(2), Instant::now());
        let (a, b) = (UserId("a".to_owned()), UserId("b".to_owned()));
        let second = Duration::from_secs(1);
        let launch = |at, user| limiter.take(at, user).map(Slip::spend);
        assert_eq!(launch(start, &a), Ok(()));
        assert_eq!(launch(start + 20 * second, &a), Ok(()));
        assert_eq!(launch(start + 30 * second, &a), Err(30 * second));
        assert_eq!(launch(start + 30 * second, &b), Ok(()));
        assert_eq!(launch(start + 60 * second, &a), Ok(()));
        assert_eq!(launch(start + 61 * second, &a), Err(19 * second));
    }

    #[test]
    fn a_launch_that_did_not_come_about_does_not_count() {
        let (limiter, now) = (LaunchLimiter::new(1), Instant::now());
        for _ in 0..3 {
            drop(limiter.take(now, &1).expect("none counts"));
        }
        limiter.take(now, &1).expect("none counts").spend();
        assert_eq!(limiter.take(now, &1).err(), Some(WINDOW));
    }

    #[test]
    fn an_exclusive_game_comes_back_with_the_permit_and_closed_doors_stay_closed() {
        let doors = Doors::default();
        let first = doors.enter(Some("camera"));
        assert!(first.is_some() && doors.enter(Some("camera")).is_none());
        assert!(doors.enter(None).is_some() && doors.enter(Some("screen")).is_some());
        drop(first);
        assert!(doors.enter(Some("camera")).is_some());
        doors.close();
        assert!(doors.enter(None).is_none());
    }
}
