//! Keys, mouse, touch and pad, folded into one steering. What was used last leads.

use super::beings::{Spot, Steering};
use crate::games::kit::presses::{key, pad, pixel};
use playgate_signaling::input::{InputFrame, PadState, TouchPhase};

/// The ember slows down when it is this near to the pointer, in pixels.
const ARRIVE: f32 = 70.0;
const DEAD_ZONE: f32 = 0.2;

#[derive(Default)]
pub(super) struct Controls {
    up: bool,
    down: bool,
    left: bool,
    right: bool,
    /// Keys that start or dash, to ignore their repeats.
    fire: [bool; 3],
    stick: Spot,
    buttons: u32,
    pointer: Option<Spot>,
    finger: Option<u8>,
    dash: bool,
    start: bool,
    leave: bool,
}

impl Controls {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn read(&mut self, event: &InputFrame) {
        match event {
            InputFrame::Key { usage, down } => self.key(*usage, *down),
            InputFrame::Button { button, down, x, y } => {
                self.pointer = Some(spot(*x, *y));
                if *button == 0 && *down {
                    self.fire();
                }
            }
            InputFrame::PointerMove { x, y, .. } => self.pointer = Some(spot(*x, *y)),
            InputFrame::Touch { contact, phase, x, y } => self.touch(*contact, *phase, spot(*x, *y)),
            InputFrame::Pad { state, .. } => self.pad(state),
            InputFrame::PadPresence { .. } => (self.stick, self.buttons) = (Spot::default(), 0),
            InputFrame::ReleaseAll => *self = Self::new(),
            InputFrame::Wheel { .. }
            | InputFrame::Text(_)
            | InputFrame::PointerDelta { .. }
            | InputFrame::Heartbeat => {}
        }
    }

    fn fire(&mut self) {
        (self.dash, self.start) = (true, true);
    }

    fn key(&mut self, usage: u16, down: bool) {
        let held = match usage {
            key::UP | key::W => &mut self.up,
            key::DOWN | key::S => &mut self.down,
            key::LEFT | key::A => &mut self.left,
            key::RIGHT | key::D => &mut self.right,
            key::SPACE => &mut self.fire[0],
            key::ENTER => &mut self.fire[1],
            key::KEYPAD_ENTER => &mut self.fire[2],
            key::ESCAPE => {
                self.leave |= down;
                return;
            }
            _ => return,
        };
        let new = !std::mem::replace(held, down) && down;
        if new && matches!(usage, key::SPACE | key::ENTER | key::KEYPAD_ENTER) {
            self.fire();
        } else if new {
            self.pointer = None;
        }
    }

    fn touch(&mut self, contact: u8, phase: TouchPhase, at: Spot) {
        match phase {
            TouchPhase::Start => {
                // A second finger dashes without changing the course.
                if self.finger.is_none() {
                    self.finger = Some(contact);
                    self.pointer = Some(at);
                }
                self.fire();
            }
            TouchPhase::Move if self.finger == Some(contact) => self.pointer = Some(at),
            TouchPhase::Move => {}
            TouchPhase::End | TouchPhase::Cancel if self.finger == Some(contact) => {
                (self.finger, self.pointer) = (None, None);
            }
            TouchPhase::End | TouchPhase::Cancel => {}
        }
    }

    fn pad(&mut self, state: &PadState) {
        let new = state.buttons & !self.buttons;
        self.buttons = state.buttons;
        let [x, y, ..] = state.axes;
        let stick = Spot { x: f32::from(x) / 32_767.0, y: f32::from(y) / 32_767.0 };
        self.stick = if stick.length() < DEAD_ZONE { Spot::default() } else { stick };
        if self.stick != Spot::default() || state.buttons >> 12 & 15 != 0 {
            self.pointer = None;
        }
        if new & (pad::A | pad::START) != 0 {
            self.fire();
        }
        self.leave |= new & pad::B != 0;
    }

    /// What the player wants now; a dash is given once.
    pub(super) fn steering(&mut self, ember: Spot) -> Steering {
        let dash = std::mem::take(&mut self.dash);
        let axis = |less: bool, more: bool| f32::from(i8::from(more) - i8::from(less));
        let bit = |bit: u32| self.buttons & bit != 0;
        let keys = Spot {
            x: axis(self.left || bit(pad::LEFT), self.right || bit(pad::RIGHT)),
            y: axis(self.up || bit(pad::UP), self.down || bit(pad::DOWN)),
        };
        let push = if keys != Spot::default() {
            keys
        } else if self.stick != Spot::default() {
            self.stick
        } else if let Some(pointer) = self.pointer {
            let way = ember.to(pointer);
            let length = way.length();
            if length < 6.0 { Spot::default() } else { way.scaled((length / ARRIVE).min(1.0) / length) }
        } else {
            Spot::default()
        };
        Steering { push, dash }
    }

    pub(super) fn take_start(&mut self) -> bool {
        std::mem::take(&mut self.start)
    }

    pub(super) fn take_leave(&mut self) -> bool {
        std::mem::take(&mut self.leave)
    }

    /// Presses before a game are not dashes in it.
    pub(super) fn forget_presses(&mut self) {
        (self.dash, self.start, self.leave) = (false, false, false);
    }
}

fn spot(x: u16, y: u16) -> Spot {
    let (x, y) = pixel(x, y);
    Spot { x: x as f32, y: y as f32 }
}
