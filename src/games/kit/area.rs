//! Rectangles with signed corners, for clipping and for collecting what changed.

use super::{HEIGHT, WIDTH};
use crate::games::Rect;

/// Pixels `x0..x1`, `y0..y1`; may lie outside the picture, may be empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::games) struct Area {
    pub(in crate::games) x0: i32,
    pub(in crate::games) y0: i32,
    pub(in crate::games) x1: i32,
    pub(in crate::games) y1: i32,
}

impl Area {
    pub(in crate::games) const EMPTY: Self = Self { x0: 0, y0: 0, x1: 0, y1: 0 };
    pub(in crate::games) const ALL: Self = Self { x0: 0, y0: 0, x1: WIDTH as i32, y1: HEIGHT as i32 };

    pub(in crate::games) const fn new(x: i32, y: i32, width: i32, height: i32) -> Self {
        Self { x0: x, y0: y, x1: x + width, y1: y + height }
    }

    pub(in crate::games) const fn is_empty(self) -> bool {
        self.x0 >= self.x1 || self.y0 >= self.y1
    }

    pub(in crate::games) fn union(self, other: Self) -> Self {
        if self.is_empty() {
            return other;
        }
        if other.is_empty() {
            return self;
        }
        Self {
            x0: self.x0.min(other.x0),
            y0: self.y0.min(other.y0),
            x1: self.x1.max(other.x1),
            y1: self.y1.max(other.y1),
        }
    }

    pub(in crate::games) fn clip(self, other: Self) -> Self {
        Self {
            x0: self.x0.max(other.x0),
            y0: self.y0.max(other.y0),
            x1: self.x1.min(other.x1),
            y1: self.y1.min(other.y1),
        }
    }

    pub(in crate::games) fn holds(self, x: i32, y: i32) -> bool {
        (self.x0..self.x1).contains(&x) && (self.y0..self.y1).contains(&y)
    }

    /// The part inside the picture, if any.
    pub(in crate::games) fn rect(self) -> Option<Rect> {
        let seen = self.clip(Self::ALL);
        (!seen.is_empty()).then(|| Rect {
            x: seen.x0 as u32,
            y: seen.y0 as u32,
            width: (seen.x1 - seen.x0) as u32,
            height: (seen.y1 - seen.y0) as u32,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_union_with_nothing_is_the_other_and_a_rect_stays_inside_the_picture() {
        let a = Area::new(-10, 700, 40, 40);
        assert_eq!(Area::EMPTY.union(a), a);
        assert_eq!(a.rect(), Some(Rect { x: 0, y: 700, width: 30, height: 20 }));
        assert_eq!(Area::new(2_000, 0, 5, 5).rect(), None);
    }
}
