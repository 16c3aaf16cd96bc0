//! Buffers of pictures that change hands: whoever draws fills one that nobody reads and hands it over; nothing is copied
//! but what that buffer missed.
//!
//! Invariants: a picture that was handed over is never changed while anybody holds it. At most [`MOST`] buffers.

use super::damage::Damage;
use super::i420::I420;
use std::sync::Arc;

/// One is being encoded, one waits, one is drawn; and one more for an encoder that looks at two.
const MOST: usize = 4;

/// The buffers of one source of pictures.
#[derive(Debug)]
pub(super) struct Pictures {
    latest: Arc<I420>,
    /// The others, each with what has changed since it was the latest.
    others: Vec<(Arc<I420>, Damage)>,
}

impl Pictures {
    /// The first picture is black.
    pub(super) fn new(width: u32, height: u32) -> Self {
        Self { latest: Arc::new(I420::new(width, height)), others: Vec::with_capacity(MOST) }
    }

    /// Gives `draw` the latest picture in a buffer of its own, to change it within `damage`; true when it did. `None` when it
    /// failed or all buffers are in use: the latest picture stays what it was.
    pub(super) fn draw<E>(
        &mut self,
        damage: &Damage,
        draw: impl FnOnce(&mut I420) -> Result<(), E>,
    ) -> Result<Option<Arc<I420>>, E> {
        let Some((mut buffer, missed)) = self.free() else { return Ok(None) };
        let Some(picture) = Arc::get_mut(&mut buffer) else { return Ok(None) };
        for rect in missed.rects().iter().filter(|rect| !damage.covers(**rect)) {
            picture.copy_rect(&self.latest, *rect);
        }
        let drawn = draw(picture);
        if let Err(error) = drawn {
            // Whatever was drawn before it failed.
            self.others.push((buffer, damage.clone()));
            return Err(error);
        }
        for (_, missed) in &mut self.others {
            missed.join(damage);
        }
        let before = std::mem::replace(&mut self.latest, buffer);
        self.others.push((before, damage.clone()));
        Ok(Some(Arc::clone(&self.latest)))
    }

    fn free(&mut self) -> Option<(Arc<I420>, Damage)> {
        if let Some(at) = self.others.iter().position(|(buffer, _)| Arc::strong_count(buffer) == 1) {
            return Some(self.others.swap_remove(at));
        }
        let another = self.others.len() + 1 < MOST;
        another.then(|| (Arc::new(I420::clone(&self.latest)), Damage::default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::games::Rect;
    use proptest::prelude::*;
    use std::convert::Infallible;

    fn paint(pictures: &mut Pictures, rect: Rect, value: u8) -> Option<Arc<I420>> {
        let damage = Damage::of(rect);
        let pixels = vec![value; 64 * 64 * 4];
        pictures
            .draw(&damage, |picture| {
                picture.update(&pixels, 64 * 4, rect);
                Ok::<_, Infallible>(())
            })
            .expect("draws")
    }

    proptest! {
        /// However long others hold pictures, each is what all that was drawn so far makes it, and stays that.
        #[test]
        fn every_picture_is_whole_and_none_changes_in_another_hand(
            steps in prop::collection::vec((0..60_u32, 0..60_u32, 1..64_u32, 1..64_u32, any::<u8>(), 0..3_usize), 1..40),
        ) {
            let mut pictures = Pictures::new(64, 64);
            let mut whole = I420::new(64, 64);
            let mut held: Vec<(Arc<I420>, I420)> = Vec::new();
            for (x, y, width, height, value, held_at_most) in steps {
                let rect = Rect { x: x & !1, y: y & !1, width: width.next_multiple_of(2), height: height.next_multiple_of(2) };
                let picture = paint(&mut pictures, rect, value).expect("a buffer is free");
                whole.update(&vec![value; 64 * 64 * 4], 64 * 4, rect);
                prop_assert!(*picture == whole);
                held.push((picture, whole.clone()));
                held.drain(..held.len().saturating_sub(held_at_most));
                for (picture, then) in &held {
                    prop_assert!(**picture == *then);
                }
            }
        }
    }

    #[test]
    fn buffers_are_bounded_and_come_back() {
        let mut pictures = Pictures::new(64, 64);
        let rect = Rect { x: 0, y: 0, width: 8, height: 8 };
        let mut held: Vec<_> = (0..4).map(|value| paint(&mut pictures, rect, value)).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(paint(&mut pictures, rect, 9).is_none(), "all are in other hands");
        held.clear();
        assert!(paint(&mut pictures, rect, 9).is_some());
    }

    #[test]
    fn what_failed_leaves_the_latest_picture_as_it_was() {
        let mut pictures = Pictures::new(64, 64);
        let rect = Rect { x: 0, y: 0, width: 64, height: 64 };
        let before = paint(&mut pictures, rect, 200).expect("a buffer");
        let failed = pictures.draw(&Damage::of(rect), |picture| {
            picture.update(&[7; 64 * 64 * 4], 64 * 4, rect);
            Err(())
        });
        assert!(failed.is_err() && *pictures.latest == *before);
        // The buffer with the failed picture in it is brought up to date before it is used again.
        let corner = Rect { x: 0, y: 0, width: 2, height: 2 };
        for value in [1, 2, 3] {
            let after = paint(&mut pictures, corner, value).expect("a buffer");
            let mut whole = I420::clone(&before);
            whole.update(&[value; 64 * 64 * 4], 64 * 4, corner);
            assert!(*after == whole);
        }
    }
}
