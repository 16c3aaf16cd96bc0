//! Key frame requests to a session's source: those of all viewers merged into few, repeated until they are answered.

use std::time::{Duration, Instant};

/// The least time between two answered requests.
const MERGE: Duration = Duration::from_millis(200);
/// An unanswered request is repeated after this.
const REPEAT: Duration = Duration::from_millis(300);
/// After this many repeats a source is taken for dead or paused, and asked once a second.
const FAST_REPEATS: u32 = 10;
const SLOW_REPEAT: Duration = Duration::from_secs(1);

/// One session's key frame requests.
#[derive(Debug, Default)]
pub(super) struct KeyRequests {
    last: Option<Instant>,
    /// A viewer waits for a key frame.
    pending: bool,
    repeats: u32,
}

impl KeyRequests {
    /// A viewer needs a key frame.
    pub(super) fn request(&mut self) {
        self.pending = true;
    }

    /// A key frame has begun: it answers every request until now.
    pub(super) fn answered(&mut self) {
        self.pending = false;
        self.repeats = 0;
    }

    /// When to call [`Self::poll`] again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.pending.then_some(self.last? + self.pause())
    }

    /// Whether to ask the source now.
    pub(super) fn poll(&mut self, now: Instant) -> bool {
        if !self.pending || self.last.is_some_and(|last| now < last + self.pause()) {
            return false;
        }
        self.last = Some(now);
        self.repeats += 1;
        true
    }

    fn pause(&self) -> Duration {
        match self.repeats {
            0 => MERGE,
            1..=FAST_REPEATS => REPEAT,
            _ => SLOW_REPEAT,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn requests_are_merged_and_repeated_until_answered() {
        let (mut keys, start) = (KeyRequests::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        assert!(!keys.poll(at(0)));
        keys.request();
        assert!(keys.poll(at(0)), "at once");
        keys.request();
        assert!(!keys.poll(at(100)), "merged");
        assert_eq!(keys.deadline(), Some(at(300)));
        assert!(keys.poll(at(300)), "repeated");
        keys.answered();
        assert_eq!(keys.deadline(), None);
        keys.request();
        assert!(!keys.poll(at(400)), "not twice within 200 ms");
        assert!(keys.poll(at(500)));
    }

    proptest! {
        #[test]
        fn never_more_than_one_request_in_200_ms(events in proptest::collection::vec((0u64..60, any::<bool>()), 1..400)) {
            let (mut keys, mut now) = (KeyRequests::default(), Instant::now());
            let mut last: Option<Instant> = None;
            for (pause, answered) in events {
                now += Duration::from_millis(pause);
                if answered { keys.answered() } else { keys.request() }
                if keys.poll(now) {
                    prop_assert!(last.is_none_or(|last| now - last >= MERGE));
                    last = Some(now);
                }
            }
        }
    }
}
