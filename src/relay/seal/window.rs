//! Which packet indices of a stream are sealed: the newest ones exactly, all older ones taken as sealed.

/// Indices told apart behind the newest; late packets of a source come at most 512 late (`super::super::source`).
const SPAN: u64 = 1024;
const WORDS: usize = (SPAN / 64) as usize;

/// A sliding window over the indices of one stream.
#[derive(Debug, Default)]
pub(in crate::relay) struct Window {
    /// The index after the newest.
    end: u64,
    seen: [u64; WORDS],
}

impl Window {
    /// Marks an index. False: it was marked before, or lies before the window.
    pub(in crate::relay) fn admit(&mut self, index: u64) -> bool {
        if index >= self.end {
            self.advance(index + 1);
        } else if self.end - index > SPAN {
            return false;
        }
        let (word, bit) = place(index);
        let Some(word) = self.seen.get_mut(word) else { return false };
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    fn advance(&mut self, end: u64) {
        if end - self.end >= SPAN {
            self.seen = [0; WORDS];
        } else {
            for index in self.end..end {
                let (word, bit) = place(index);
                if let Some(word) = self.seen.get_mut(word) {
                    *word &= !bit;
                }
            }
        }
        self.end = end;
    }
}

fn place(index: u64) -> (usize, u64) {
    (usize::try_from(index % SPAN / 64).unwrap_or(0), 1 << (index % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn late_packets_pass_once_and_old_ones_never() {
        let mut window = Window::default();
        assert!(window.admit(5000));
        assert!(!window.admit(5000));
        assert!(window.admit(4400) && !window.admit(4400));
        assert!(!window.admit(5000 - SPAN));
        assert!(window.admit(5001 - SPAN));
    }

    proptest! {
        #[test]
        fn no_index_is_admitted_twice(steps in proptest::collection::vec((0u64..3000, any::<bool>()), 1..500)) {
            let (mut window, mut admitted, mut newest) = (Window::default(), HashSet::new(), 100_000u64);
            for (step, forward) in steps {
                let index = if forward { newest += step; newest } else { newest - step };
                let within = newest - index < SPAN;
                let new = window.admit(index);
                prop_assert!(!new || admitted.insert(index), "{} twice", index);
                if within && !new {
                    prop_assert!(admitted.contains(&index), "{} was refused for nothing", index);
                }
            }
        }
    }
}
