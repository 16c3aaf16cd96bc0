//! Turns input frames into the few things a menu or a story understands, once per press: repeats of a held key or pad
//! button are not presses.

use playgate_signaling::input::{InputFrame, PadState, TouchPhase};

/// One intention of the player. Positions are pixels of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::games) enum Press {
    Up,
    Down,
    Left,
    Right,
    Confirm,
    Back,
    Escape,
    /// 1-9.
    Digit(u8),
    Hover(i32, i32),
    Click(i32, i32),
}

/// USB HID usages of page 7.
pub(in crate::games) mod key {
    pub(in crate::games) const A: u16 = 0x04;
    pub(in crate::games) const D: u16 = 0x07;
    pub(in crate::games) const S: u16 = 0x16;
    pub(in crate::games) const W: u16 = 0x1A;
    pub(in crate::games) const DIGIT_1: u16 = 0x1E;
    pub(in crate::games) const DIGIT_9: u16 = 0x26;
    pub(in crate::games) const ENTER: u16 = 0x28;
    pub(in crate::games) const ESCAPE: u16 = 0x29;
    pub(in crate::games) const BACKSPACE: u16 = 0x2A;
    pub(in crate::games) const SPACE: u16 = 0x2C;
    pub(in crate::games) const PAGE_UP: u16 = 0x4B;
    pub(in crate::games) const PAGE_DOWN: u16 = 0x4E;
    pub(in crate::games) const RIGHT: u16 = 0x4F;
    pub(in crate::games) const LEFT: u16 = 0x50;
    pub(in crate::games) const DOWN: u16 = 0x51;
    pub(in crate::games) const UP: u16 = 0x52;
    pub(in crate::games) const KEYPAD_ENTER: u16 = 0x58;
}

/// Bits of a pad's buttons in the W3C standard layout.
pub(in crate::games) mod pad {
    pub(in crate::games) const A: u32 = 1;
    pub(in crate::games) const B: u32 = 1 << 1;
    pub(in crate::games) const START: u32 = 1 << 9;
    pub(in crate::games) const UP: u32 = 1 << 12;
    pub(in crate::games) const DOWN: u32 = 1 << 13;
    pub(in crate::games) const LEFT: u32 = 1 << 14;
    pub(in crate::games) const RIGHT: u32 = 1 << 15;
}

/// A stick counts as pushed from here and as let go below half of it.
const STICK_PUSHED: i16 = 18_000;

/// Which keys and buttons are down.
pub(in crate::games) struct Presses {
    keys: [bool; 256],
    /// Buttons of up to four pads, the left stick folded into the bits of the d-pad.
    pads: [u32; 4],
}

impl Presses {
    pub(in crate::games) fn new() -> Self {
        Self { keys: [false; 256], pads: [0; 4] }
    }

    /// What the player meant by the event; mostly nothing or one press.
    pub(in crate::games) fn read(&mut self, event: &InputFrame) -> Vec<Press> {
        match event {
            InputFrame::Key { usage, down } => self.key(*usage, *down).into_iter().collect(),
            InputFrame::Button { button: 0, down: true, x, y }
            | InputFrame::Touch { phase: TouchPhase::Start, x, y, .. } => {
                let (x, y) = pixel(*x, *y);
                vec![Press::Click(x, y)]
            }
            InputFrame::PointerMove { x, y, .. } => {
                let (x, y) = pixel(*x, *y);
                vec![Press::Hover(x, y)]
            }
            InputFrame::Pad { state, .. } => self.pad(state),
            InputFrame::PadPresence { pad, .. } => {
                self.pads[usize::from(*pad) % 4] = 0;
                Vec::new()
            }
            InputFrame::ReleaseAll => {
                *self = Self::new();
                Vec::new()
            }
            InputFrame::Button { .. }
            | InputFrame::Touch { .. }
            | InputFrame::Wheel { .. }
            | InputFrame::Text(_)
            | InputFrame::PointerDelta { .. }
            | InputFrame::Heartbeat => Vec::new(),
        }
    }

    fn key(&mut self, usage: u16, down: bool) -> Option<Press> {
        let held = self.keys.get_mut(usize::from(usage))?;
        if std::mem::replace(held, down) || !down {
            return None;
        }
        match usage {
            key::ENTER | key::KEYPAD_ENTER | key::SPACE | key::PAGE_DOWN => Some(Press::Confirm),
            key::BACKSPACE | key::PAGE_UP => Some(Press::Back),
            key::ESCAPE => Some(Press::Escape),
            key::UP | key::W => Some(Press::Up),
            key::DOWN | key::S => Some(Press::Down),
            key::LEFT | key::A => Some(Press::Left),
            key::RIGHT | key::D => Some(Press::Right),
            key::DIGIT_1..=key::DIGIT_9 => Some(Press::Digit((usage - key::DIGIT_1) as u8 + 1)),
            _ => None,
        }
    }

    fn pad(&mut self, state: &PadState) -> Vec<Press> {
        let before = &mut self.pads[usize::from(state.pad) % 4];
        let [x, y, ..] = state.axes;
        let mut now = state.buttons;
        for (bit, push) in
            [(pad::LEFT, x.saturating_neg()), (pad::RIGHT, x), (pad::UP, y.saturating_neg()), (pad::DOWN, y)]
        {
            let enough = if *before & bit == 0 { STICK_PUSHED } else { STICK_PUSHED / 2 };
            if push > enough {
                now |= bit;
            }
        }
        let new = now & !*before;
        *before = now;
        let meanings = [
            (pad::A, Press::Confirm),
            (pad::B, Press::Back),
            (pad::START, Press::Escape),
            (pad::UP, Press::Up),
            (pad::DOWN, Press::Down),
            (pad::LEFT, Press::Left),
            (pad::RIGHT, Press::Right),
        ];
        meanings.into_iter().filter(|(bit, _)| new & bit != 0).map(|(_, press)| press).collect()
    }
}

/// From the wire's 0-65535 to pixels.
pub(in crate::games) fn pixel(x: u16, y: u16) -> (i32, i32) {
    let one = |value: u16, size: u32| ((u32::from(value) * size) >> 16) as i32;
    (one(x, super::WIDTH), one(y, super::HEIGHT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_key_is_one_press_until_it_is_let_go() {
        let mut presses = Presses::new();
        let down = InputFrame::Key { usage: key::ENTER, down: true };
        assert_eq!(presses.read(&down), [Press::Confirm]);
        assert_eq!(presses.read(&down), []);
        presses.read(&InputFrame::ReleaseAll);
        assert_eq!(presses.read(&down), [Press::Confirm]);
    }

    #[test]
    fn a_stick_counts_once_per_push_with_room_to_tremble() {
        let mut presses = Presses::new();
        let mut push = |y: i16| {
            let state = PadState { axes: [0, y, 0, 0], ..PadState::default() };
            presses.read(&InputFrame::Pad { sequence: 0, state })
        };
        assert_eq!(push(25_000), [Press::Down]);
        assert_eq!(push(15_000), []);
        assert_eq!(push(25_000), []);
        assert_eq!(push(0), []);
        assert_eq!(push(i16::MIN), [Press::Up]);
    }
}
