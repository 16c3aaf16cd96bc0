//! The wheel's remainders, the wire's coordinates, and the one finger of a touch screen. Pure.
//!
//! XTEST has no touch: the first finger is the left button with its motion, further fingers do nothing.

use super::held::Thing;

/// One notch on the wire.
const NOTCH: i32 = 120;
/// Clicks of one frame; nobody turns a wheel faster.
const MAX_CLICKS: i32 = 30;

/// Gathers parts of notches until they are whole.
#[derive(Debug, Default)]
pub(super) struct Wheel {
    x: i32,
    y: i32,
}

impl Wheel {
    /// The buttons to click and how often; down and right are positive.
    pub(super) fn turn(&mut self, dx: i16, dy: i16) -> [(Thing, i32); 2] {
        let (x, y) = (gather(&mut self.x, dx), gather(&mut self.y, dy));
        [
            (Thing::Button(if y < 0 { 4 } else { 5 }), y.abs()),
            (Thing::Button(if x < 0 { 6 } else { 7 }), x.abs()),
        ]
    }
}

fn gather(rest: &mut i32, delta: i16) -> i32 {
    let delta = i32::from(delta);
    // Turning back does not first undo what was never a click.
    if delta != 0 && rest.signum() != delta.signum() {
        *rest = 0;
    }
    *rest += delta;
    let clicks = *rest / NOTCH;
    *rest %= NOTCH;
    clicks.clamp(-MAX_CLICKS, MAX_CLICKS)
}

/// The pixel under a place on the wire (0-65535) on a side of `size` pixels.
pub(super) fn pixel(place: u16, size: u32) -> i16 {
    let pixel = u64::from(place) * u64::from(size) / 65536;
    i16::try_from(pixel).unwrap_or(i16::MAX)
}

/// The X server's number of a button of the wire; 4-7 are the wheel there.
pub(super) fn button(wire: u8) -> Option<Thing> {
    let number = match wire {
        0 => 1,
        1 => 2,
        2 => 3,
        3 => 8,
        4 => 9,
        _ => return None,
    };
    Some(Thing::Button(number))
}

/// Which finger is the mouse.
#[derive(Debug, Default)]
pub(super) struct Finger {
    /// Player and contact.
    leading: Option<(u8, u8)>,
}

impl Finger {
    /// True when this finger leads from now on.
    pub(super) fn start(&mut self, slot: u8, contact: u8) -> bool {
        let free = self.leading.is_none_or(|leading| leading == (slot, contact));
        if free {
            self.leading = Some((slot, contact));
        }
        free
    }

    pub(super) fn leads(&self, slot: u8, contact: u8) -> bool {
        self.leading == Some((slot, contact))
    }

    /// True when it was the leading one.
    pub(super) fn end(&mut self, slot: u8, contact: u8) -> bool {
        let led = self.leads(slot, contact);
        if led {
            self.leading = None;
        }
        led
    }

    pub(super) fn forget(&mut self, slot: u8) {
        if self.leading.is_some_and(|(leader, _)| leader == slot) {
            self.leading = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_notch_gather_and_turning_back_starts_afresh() {
        let mut wheel = Wheel::default();
        assert_eq!(wheel.turn(0, 60)[0].1, 0);
        assert_eq!(wheel.turn(0, 60)[0], (Thing::Button(5), 1));
        assert_eq!(wheel.turn(0, 100)[0].1, 0);
        assert_eq!(wheel.turn(0, -119)[0].1, 0);
        assert_eq!(wheel.turn(0, -1)[0], (Thing::Button(4), 1));
        assert_eq!(wheel.turn(250, 0)[1], (Thing::Button(7), 2));
        assert_eq!(wheel.turn(-120, 0)[1], (Thing::Button(6), 1));
        assert_eq!(wheel.turn(0, i16::MIN)[0], (Thing::Button(4), MAX_CLICKS));
    }

    #[test]
    fn the_wire_covers_every_pixel_and_no_more() {
        assert_eq!((pixel(0, 1280), pixel(32768, 1280), pixel(65535, 1280)), (0, 640, 1279));
        assert_eq!(pixel(65535, u32::MAX), i16::MAX);
    }

    #[test]
    fn only_the_first_finger_is_the_mouse() {
        let mut finger = Finger::default();
        assert!(finger.start(0, 0));
        assert!(!finger.start(0, 1));
        assert!(!finger.start(1, 0));
        assert!(finger.leads(0, 0) && !finger.leads(0, 1));
        assert!(!finger.end(0, 1));
        assert!(finger.end(0, 0));
        assert!(finger.start(0, 1));
        finger.forget(1);
        assert!(finger.leads(0, 1));
        finger.forget(0);
        assert!(!finger.leads(0, 1));
    }
}
