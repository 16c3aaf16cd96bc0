//! Where a source's packets lie in the session's numbering when some of them take more than one place: a packet that was
//! split, or one that others were put in front of.
//!
//! A *position* counts the source's packets, an *index* what viewers are sent. Both count alike until the first packet is
//! wide; an ordinary source costs nothing.

use super::source::MAX_BACKWARD;
use std::collections::VecDeque;

/// The wide packets that a late packet may still come before.
#[derive(Debug, Default)]
pub(super) struct Widths {
    /// Position of a wide packet, and how many places beyond one each all packets up to it have taken; oldest first.
    wide: VecDeque<(u64, u64)>,
    /// The same of the packets before those.
    before: u64,
}

impl Widths {
    /// Places beyond one each that all packets have taken.
    pub(super) fn total(&self) -> u64 {
        self.wide.back().map_or(self.before, |(_, total)| *total)
    }

    /// The newest packet takes so many places more.
    pub(super) fn widen(&mut self, position: u64, by: u64) {
        let total = self.total() + by;
        match self.wide.back_mut() {
            Some((newest, known)) if *newest == position => *known = total,
            Some(_) | None => self.wide.push_back((position, total)),
        }
        let reach = position.saturating_sub(u64::from(MAX_BACKWARD));
        while let Some((_, total)) = self.wide.pop_front_if(|(oldest, _)| *oldest < reach) {
            self.before = total;
        }
    }

    /// The first index of a packet; of positions more than [`MAX_BACKWARD`] behind the newest, not to be asked.
    pub(super) fn index(&self, position: u64) -> u64 {
        let older = self.wide.partition_point(|(wide, _)| *wide < position);
        let last = older.checked_sub(1).and_then(|at| self.wide.get(at));
        position + last.map_or(self.before, |(_, total)| *total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn packets_within_reach_keep_the_place_they_were_given(widths in proptest::collection::vec(0u64..4, 1..2000)) {
            let (mut kept, mut given, mut next) = (Widths::default(), Vec::new(), 1000);
            for (position, more) in (1000..).zip(&widths) {
                prop_assert_eq!(kept.index(position), next);
                given.push((position, next));
                if *more > 0 {
                    kept.widen(position, *more);
                }
                next += 1 + more;
            }
            prop_assert!(kept.wide.len() <= usize::from(MAX_BACKWARD) + 1);
            for (position, index) in given.iter().rev().take(usize::from(MAX_BACKWARD) + 1) {
                prop_assert_eq!(kept.index(*position), *index);
            }
        }
    }
}
