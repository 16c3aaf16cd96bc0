//! Deadlines of viewers and sessions, in a heap: nothing is ticked that is not due.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::Hash;
use std::time::Instant;

/// At most one deadline for each key.
#[derive(Debug)]
pub(super) struct Timers<K> {
    heap: BinaryHeap<Reverse<(Instant, K)>>,
    current: HashMap<K, Instant>,
}

impl<K: Copy + Ord + Hash> Timers<K> {
    pub(super) fn new() -> Self {
        Self { heap: BinaryHeap::new(), current: HashMap::new() }
    }

    /// Replaces the key's deadline.
    pub(super) fn set(&mut self, key: K, at: Option<Instant>) {
        let Some(at) = at else {
            self.current.remove(&key);
            return;
        };
        if self.current.insert(key, at) == Some(at) {
            return;
        }
        self.heap.push(Reverse((at, key)));
        // Replaced deadlines stay in the heap until they are due; not too many of them.
        if self.heap.len() > 1024 + 4 * self.current.len() {
            self.heap = self.current.iter().map(|(key, at)| Reverse((*at, *key))).collect();
        }
    }

    /// The next deadline.
    pub(super) fn next(&mut self) -> Option<Instant> {
        while let Some(Reverse((at, key))) = self.heap.peek().copied() {
            if self.current.get(&key) == Some(&at) {
                return Some(at);
            }
            self.heap.pop();
        }
        None
    }

    /// Takes one key whose deadline has come.
    pub(super) fn due(&mut self, now: Instant) -> Option<K> {
        if self.next()? > now {
            return None;
        }
        let Reverse((_, key)) = self.heap.pop()?;
        self.current.remove(&key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    proptest! {
        #[test]
        fn every_latest_deadline_comes_once_and_in_order(sets in proptest::collection::vec((0u8..10, proptest::option::of(0u64..1000)), 0..200)) {
            let start = Instant::now();
            let mut timers = Timers::new();
            let mut expected = HashMap::new();
            for (key, at) in sets {
                let at = at.map(|ms| start + Duration::from_millis(ms));
                timers.set(key, at);
                match at {
                    Some(at) => { expected.insert(key, at); }
                    None => { expected.remove(&key); }
                }
            }
            let mut last = start;
            while let Some(at) = timers.next() {
                prop_assert!(at >= last);
                last = at;
                let key = timers.due(at).expect("due");
                prop_assert_eq!(expected.remove(&key), Some(at));
            }
            prop_assert!(expected.is_empty());
        }
    }
}
