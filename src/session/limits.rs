//! What holds launches back: how often one user may ask, and how many sessions this node runs.

use crate::ids::UserId;
use dashmap::DashMap;
use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

const WINDOW: Duration = Duration::from_secs(60);
/// Users remembered before those without a recent launch are forgotten.
const MANY_USERS: usize = 1024;

/// At most so many launches per user in any minute (contract rule 8).
#[derive(Debug)]
pub struct LaunchLimiter {
    per_minute: usize,
    recent: DashMap<UserId, VecDeque<Instant>>,
}

impl LaunchLimiter {
    pub fn new(per_minute: u32) -> Self {
        Self { per_minute: usize::try_from(per_minute).unwrap_or(usize::MAX), recent: DashMap::new() }
    }

    /// Counts one launch, or tells how long to wait. A refused one does not count.
    pub fn check(&self, now: Instant, user: &UserId) -> Result<(), Duration> {
        if self.recent.len() > MANY_USERS {
            self.recent.retain(|_, times| times.back().is_some_and(|last| now < *last + WINDOW));
        }
        let mut times = self.recent.entry(user.clone()).or_default();
        while times.front().is_some_and(|first| now >= *first + WINDOW) {
            times.pop_front();
        }
        if times.len() < self.per_minute {
            times.push_back(now);
            return Ok(());
        }
        Err(times.front().map_or(WINDOW, |first| *first + WINDOW - now))
    }
}

/// How many sessions run here, and which games of one instance are taken.
#[derive(Debug, Clone)]
pub struct Capacity {
    most: usize,
    used: Arc<Mutex<Used>>,
}

#[derive(Debug, Default)]
struct Used {
    sessions: usize,
    exclusive: HashSet<String>,
    closed: bool,
}

/// Room for one session, given back when dropped.
#[derive(Debug)]
pub struct Permit {
    exclusive: Option<String>,
    used: Arc<Mutex<Used>>,
}

impl Capacity {
    /// 0: one per core.
    pub fn new(most: u32) -> Self {
        let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let most = if most == 0 { cores() } else { usize::try_from(most).unwrap_or(usize::MAX) };
        Self { most, used: Arc::default() }
    }

    /// `exclusive` names a game of which there can be one session only.
    pub fn reserve(&self, exclusive: Option<&str>) -> Option<Permit> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.closed || used.sessions >= self.most {
            return None;
        }
        if exclusive.is_some_and(|game| !used.exclusive.insert(game.to_owned())) {
            return None;
        }
        used.sessions += 1;
        Some(Permit { exclusive: exclusive.map(str::to_owned), used: Arc::clone(&self.used) })
    }

    /// No more room for anybody.
    pub fn close(&self) {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.sessions -= 1;
        if let Some(game) = &self.exclusive {
            used.exclusive.remove(game);
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
        assert_eq!(limiter.check(start, &a), Ok(()));
        assert_eq!(limiter.check(start + 20 * second, &a), Ok(()));
        assert_eq!(limiter.check(start + 30 * second, &a), Err(30 * second));
        assert_eq!(limiter.check(start + 30 * second, &b), Ok(()));
        assert_eq!(limiter.check(start + 60 * second, &a), Ok(()));
        assert_eq!(limiter.check(start + 61 * second, &a), Err(19 * second));
    }

    #[test]
    fn room_comes_back_with_the_permit() {
        let capacity = Capacity::new(2);
        let first = capacity.reserve(Some("camera"));
        assert!(first.is_some() && capacity.reserve(Some("camera")).is_none());
        let second = capacity.reserve(None);
        assert!(second.is_some() && capacity.reserve(None).is_none());
        drop(first);
        assert!(capacity.reserve(Some("camera")).is_some());
        capacity.close();
        assert!(capacity.reserve(None).is_none());
    }
}
