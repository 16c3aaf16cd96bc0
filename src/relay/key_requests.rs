//! Key frame requests to a session's source: those of all viewers merged into few, repeated until they are answered.
//!
//! Each request has a number, with which a runner knows it by whichever way it comes. Numbers rise, also from one opening of
//! a session's media to the next while its runner plays on.

use std::time::{Duration, Instant, SystemTime};

/// The least time between two answered requests.
const MERGE: Duration = Duration::from_millis(200);
/// An unanswered request is repeated after this.
const REPEAT: Duration = Duration::from_millis(300);
/// After this many repeats a source is taken for dead or paused, and asked once a second.
const FAST_REPEATS: u32 = 10;
const SLOW_REPEAT: Duration = Duration::from_secs(1);

/// One session's key frame requests.
#[derive(Debug)]
pub(super) struct KeyRequests {
    /// Of the last request.
    number: u64,
    last: Option<Instant>,
    /// A viewer waits for a key frame.
    pending: bool,
    repeats: u32,
}

impl KeyRequests {
    /// Numbers from the microseconds of the clock on: requests are rarer than that. Fits the 53 bits that JSON readers keep.
    pub(super) fn new(now: SystemTime) -> Self {
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let number = u64::try_from(since.as_micros()).unwrap_or(0);
        Self { number, last: None, pending: false, repeats: 0 }
    }

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

    /// The number of the request to send now.
    pub(super) fn poll(&mut self, now: Instant) -> Option<u64> {
        if !self.pending || self.last.is_some_and(|last| now < last + self.pause()) {
            return None;
        }
        self.last = Some(now);
        self.repeats += 1;
        self.number += 1;
        Some(self.number)
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
    fn requests_are_merged_numbered_and_repeated_until_answered() {
        let (mut keys, start) = (KeyRequests::new(SystemTime::UNIX_EPOCH), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(keys.poll(at(0)), None);
        keys.request();
        assert_eq!(keys.poll(at(0)), Some(1), "at once");
        keys.request();
        assert_eq!(keys.poll(at(100)), None, "merged");
        assert_eq!(keys.deadline(), Some(at(300)));
        assert_eq!(keys.poll(at(300)), Some(2), "repeated: the first, or its answer, was lost");
        keys.answered();
        assert_eq!(keys.deadline(), None);
        keys.request();
        assert_eq!(keys.poll(at(400)), None, "not twice within 200 ms");
        assert_eq!(keys.poll(at(500)), Some(3));
    }

    proptest! {
        #[test]
        fn never_more_than_one_request_in_200_ms(events in proptest::collection::vec((0u64..60, any::<bool>()), 1..400)) {
            let (mut keys, mut now) = (KeyRequests::new(SystemTime::UNIX_EPOCH), Instant::now());
            let mut last: Option<Instant> = None;
            for (pause, answered) in events {
                now += Duration::from_millis(pause);
                if answered { keys.answered() } else { keys.request() }
                if keys.poll(now).is_some() {
                    prop_assert!(last.is_none_or(|last| now - last >= MERGE));
                    last = Some(now);
                }
            }
        }
    }
}
