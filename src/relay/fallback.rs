//! Who cannot do AES-GCM: their next offers are taken with the default list of SRTP profiles.

use std::collections::HashMap;
use std::time::{Duration, Instant};

const LIFE: Duration = Duration::from_secs(600);
/// Principals remembered. When full, those remembered longest make room.
const CAPACITY: usize = 4096;

/// Principals whose handshake failed with GCM alone.
#[derive(Debug, Default)]
pub(super) struct Fallback(HashMap<String, Instant>);

impl Fallback {
    pub(super) fn remember(&mut self, now: Instant, principal: &str) {
        if self.0.len() >= CAPACITY && !self.0.contains_key(principal) {
            self.0.retain(|_, at| now.saturating_duration_since(*at) < LIFE);
            let oldest = self.0.iter().min_by_key(|(_, at)| **at).map(|(name, _)| name.clone());
            if let Some(oldest) = oldest.filter(|_| self.0.len() >= CAPACITY) {
                self.0.remove(&oldest);
            }
        }
        self.0.insert(principal.to_owned(), now);
    }

    pub(super) fn applies(&self, now: Instant, principal: &str) -> bool {
        self.0.get(principal).is_some_and(|at| now.saturating_duration_since(*at) < LIFE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_is_remembered_for_ten_minutes() {
        let now = Instant::now();
        let mut fallback = Fallback::default();
        fallback.remember(now, "user:a");
        assert!(fallback.applies(now + Duration::from_secs(599), "user:a"));
        assert!(!fallback.applies(now + Duration::from_secs(600), "user:a"));
        assert!(!fallback.applies(now, "user:b"));
    }

    #[test]
    fn the_memory_is_bounded() {
        let now = Instant::now();
        let mut fallback = Fallback::default();
        for n in 0..CAPACITY as u64 + 10 {
            fallback.remember(now + Duration::from_millis(n), &n.to_string());
        }
        assert_eq!(fallback.0.len(), CAPACITY);
        assert!(!fallback.applies(now, "0"));
    }
}
