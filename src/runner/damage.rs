//! Where a picture changed: a few rectangles with even edges.
//!
//! Invariants: at most [`MOST`] rectangles. Each is worth being treated apart: two that cost less as one are one. They may
//! overlap a little.

use crate::games::Rect;

/// Most rectangles that are told apart; of more, the two that waste least as one become one.
const MOST: usize = 8;
/// What it costs to treat a rectangle apart, in pixels: a request to the X server, and beginning with its rows.
const APART: u64 = 8192;

/// A set of rectangles, which grows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Damage(Vec<Rect>);

impl Damage {
    /// One rectangle, and nothing if that is empty.
    pub(super) fn of(rect: Rect) -> Self {
        let mut damage = Self::default();
        damage.add(rect);
        damage
    }

    /// Widens the rectangle to even edges and takes it in.
    pub(super) fn add(&mut self, rect: Rect) {
        let Some(mut rect) = even(rect) else { return };
        // What was joined may be worth joining with others.
        while let Some(at) = self.0.iter().position(|other| waste(*other, rect) <= APART.cast_signed()) {
            rect = hull(self.0.swap_remove(at), rect);
        }
        self.0.push(rect);
        if self.0.len() > MOST {
            self.join_cheapest();
        }
    }

    /// Takes in everything of another.
    pub(super) fn join(&mut self, other: &Self) {
        for rect in &other.0 {
            self.add(*rect);
        }
    }

    pub(super) fn rects(&self) -> &[Rect] {
        &self.0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Pixels of all rectangles together.
    pub(super) fn pixels(&self) -> u64 {
        self.0.iter().map(|rect| area(*rect)).sum()
    }

    /// The same in a picture of half the width and height.
    pub(super) fn halved(&self) -> Self {
        let mut halved = Self::default();
        for &Rect { x, y, width, height } in &self.0 {
            let (right, bottom) = ((x + width).div_ceil(2), (y + height).div_ceil(2));
            halved.add(Rect { x: x / 2, y: y / 2, width: right - x / 2, height: bottom - y / 2 });
        }
        halved
    }

    /// True when one of the rectangles holds all of this one.
    pub(super) fn covers(&self, rect: Rect) -> bool {
        self.0.iter().any(|own| hull(*own, rect) == *own)
    }

    fn join_cheapest(&mut self) {
        let pairs = (0..self.0.len()).flat_map(|first| (0..first).map(move |second| (first, second)));
        let Some((first, second)) = pairs.min_by_key(|&(a, b)| waste(self.0[a], self.0[b])) else { return };
        // The second index is the smaller one: it stays where it is.
        let (one, other) = (self.0.swap_remove(first), self.0.swap_remove(second));
        self.add(hull(one, other));
    }
}

/// Pixels that one rectangle around both costs more than both apart; below zero where they overlap.
fn waste(one: Rect, other: Rect) -> i64 {
    area(hull(one, other)).cast_signed() - area(one).cast_signed() - area(other).cast_signed()
}

fn area(rect: Rect) -> u64 {
    u64::from(rect.width) * u64::from(rect.height)
}

/// The smallest rectangle that holds both.
fn hull(one: Rect, other: Rect) -> Rect {
    let (x, y) = (one.x.min(other.x), one.y.min(other.y));
    let right = (one.x + one.width).max(other.x + other.width);
    let bottom = (one.y + one.height).max(other.y + other.height);
    Rect { x, y, width: right - x, height: bottom - y }
}

/// With even edges, and within what any picture may have; `None` when there is nothing of it.
fn even(rect: Rect) -> Option<Rect> {
    const FAR: u32 = 1 << 16;
    let span = |start: u32, length: u32| {
        let end = start.saturating_add(length).min(FAR).next_multiple_of(2);
        (start & !1, end.saturating_sub(start & !1))
    };
    let ((x, width), (y, height)) = (span(rect.x, rect.width), span(rect.y, rect.height));
    (rect.width > 0 && rect.height > 0 && width > 0 && height > 0).then_some(Rect { x, y, width, height })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rect(x: u32, y: u32, width: u32, height: u32) -> Rect {
        Rect { x, y, width, height }
    }

    #[test]
    fn far_corners_stay_apart_and_neighbours_become_one() {
        let mut damage = Damage::of(rect(1, 1, 40, 30));
        damage.add(rect(1200, 680, 41, 30));
        assert_eq!(damage.rects(), [rect(0, 0, 42, 32), rect(1200, 680, 42, 30)]);
        damage.add(rect(60, 0, 10, 10));
        assert_eq!(damage.rects(), [rect(1200, 680, 42, 30), rect(0, 0, 70, 32)]);
        damage.add(rect(0, 0, 0, 10));
        assert_eq!(damage.pixels(), 42 * 30 + 70 * 32);
    }

    #[test]
    fn half_the_size_is_covered_to_even_edges() {
        let mut damage = Damage::of(rect(2, 6, 4, 2));
        damage.add(rect(900, 500, 10, 10));
        assert_eq!(damage.halved().rects(), [rect(0, 2, 4, 2), rect(450, 250, 6, 6)]);
    }

    #[test]
    fn bands_of_one_picture_become_that_picture() {
        let mut damage = Damage::default();
        for band in 0..16 {
            damage.add(rect(0, (band * 7 % 16) * 45, 1280, 45));
        }
        assert_eq!(damage.rects(), [rect(0, 0, 1280, 720)]);
    }

    proptest! {
        #[test]
        fn everything_is_covered_by_few_rectangles_with_even_edges(
            rects in prop::collection::vec((0..3000_u32, 0..3000_u32, 1..900_u32, 1..900_u32), 1..60),
        ) {
            let mut damage = Damage::default();
            for &(x, y, width, height) in &rects {
                damage.add(rect(x, y, width, height));
            }
            prop_assert!(damage.rects().len() <= MOST);
            for own in damage.rects() {
                prop_assert!([own.x, own.y, own.width, own.height].iter().all(|edge| edge % 2 == 0));
            }
            for (x, y, width, height) in rects {
                prop_assert!(damage.covers(rect(x, y, width, height)));
            }
        }

        #[test]
        fn any_numbers_are_taken(rects in prop::collection::vec((any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>()), 0..20)) {
            let mut damage = Damage::default();
            for (x, y, width, height) in rects {
                damage.add(rect(x, y, width, height));
            }
            prop_assert!(damage.rects().len() <= MOST);
        }
    }
}
