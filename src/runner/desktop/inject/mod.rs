//! Input into the X server by XTEST: keys, buttons, wheel, pointer, text, touch, gamepads by their map.
//!
//! One connection of its own, used by one thread. Whatever is held is known by player and device, so that nothing stays
//! down when a player lets go, and nothing comes up that another still holds. Keys are physical ones: the usage is the
//! key's place, and what it writes is the server's layout, which is American; other characters come as text.

mod hands;
mod held;
pub(super) mod keys;
mod pointer;
mod text;

use super::pads::{self, Action, Deed, PadMap, PadSink};
use super::x;
use hands::Hands;
use held::{By, Held, Holder, Thing};
use playgate_signaling::input::{InputFrame, TouchPhase};
use playgate_signaling::message::PointerMode;
use pointer::{Finger, Wheel};
use std::path::Path;
use std::time::Instant;
use text::{Keyboard, Stroke};

#[derive(Debug, thiserror::Error)]
pub enum InjectError {
    #[error("the X server is gone: {0}")]
    Gone(String),
    #[error(transparent)]
    Connect(#[from] x::XError),
    #[error("the X server has no XTEST extension")]
    NoXtest,
}

/// One connection that types, points and clicks.
pub struct Injector {
    hands: Hands,
    held: Held,
    keyboard: Keyboard,
    wheel: Wheel,
    finger: Finger,
    pads: Box<dyn PadSink>,
    width: u32,
    height: u32,
    /// The pointer was last moved by a way, not to a place: where a button was pressed means nothing.
    relative: bool,
    /// Characters that could not be typed.
    untyped: u64,
}

impl Injector {
    /// `display` as in `DISPLAY`, `authority` as in `XAUTHORITY` (absent: this process's own); width and height are the
    /// screen's, in pixels. An empty map gives the game pads of its own where the machine can make them.
    pub fn connect(
        display: &str,
        authority: Option<&Path>,
        width: u32,
        height: u32,
        pads: PadMap,
    ) -> Result<Self, InjectError> {
        let (connection, screen) = x::connect(display, authority)?;
        let hands = Hands::new(connection, screen)?;
        let (first, per_key, keysyms) = hands.keyboard()?;
        Ok(Self {
            hands,
            held: Held::default(),
            keyboard: Keyboard::new(first, per_key, &keysyms),
            wheel: Wheel::default(),
            finger: Finger::default(),
            pads: pads::sink(pads, width),
            width,
            height,
            relative: false,
            untyped: 0,
        })
    }

    /// What the game says its pointer is, before any input: with a relative one, the first click would otherwise jerk it.
    pub fn set_pointer(&mut self, mode: PointerMode) {
        self.relative = mode == PointerMode::Relative;
    }

    /// Characters so far that this keyboard had no way to type.
    pub fn untyped(&self) -> u64 {
        self.untyped
    }

    /// Does what the frame says; what a game cannot have (a pad without a map) does nothing. Flushes.
    pub fn apply(&mut self, slot: u8, frame: &InputFrame) -> Result<(), InjectError> {
        match frame {
            InputFrame::Key { usage, down } => match keys::keycode_of_usage(*usage) {
                Some(key) => self.hold(Thing::Key(key), Holder { slot, by: By::Key(*usage) }, *down)?,
                None => tracing::debug!(usage, "no key of this keyboard"),
            },
            InputFrame::Button { button, down, x, y } => self.button(slot, *button, *down, *x, *y)?,
            InputFrame::Wheel { dx, dy } => {
                for (button, clicks) in self.wheel.turn(*dx, *dy) {
                    for _ in 0..clicks {
                        self.hands.tap(button)?;
                    }
                }
            }
            InputFrame::Text(text) => self.text(text)?,
            InputFrame::PointerDelta { dx, dy } => {
                self.relative = true;
                self.hands.move_by(*dx, *dy)?;
            }
            InputFrame::PointerMove { sequence: _, x, y } => self.point(*x, *y)?,
            InputFrame::Touch { contact, phase, x, y } => self.touch(slot, *contact, *phase, *x, *y)?,
            InputFrame::PadPresence { pad, connected } => {
                let deeds = self.pads.presence(slot, *pad, *connected);
                self.deeds(slot, &deeds)?;
            }
            InputFrame::Pad { sequence: _, state } => {
                let deeds = self.pads.state(slot, state, Instant::now());
                self.deeds(slot, &deeds)?;
            }
            InputFrame::ReleaseAll => {
                self.pads.release(slot);
                self.finger.forget(slot);
                self.release(|holder| holder.slot == slot)?;
            }
            InputFrame::Heartbeat => {}
        }
        self.hands.flush()
    }

    /// Lets go of everything of every player: input was lost, or nobody is there to let go.
    pub fn release_all(&mut self) -> Result<(), InjectError> {
        self.pads.release_all();
        self.finger = Finger::default();
        self.release(|_| true)?;
        self.hands.flush()
    }

    /// Moves the mouse of sticks that are held, as far as is due; tells when it wants to be called again, which
    /// [`Self::apply`] may change. `None`: no stick is held.
    pub fn tick(&mut self, now: Instant) -> Result<Option<Instant>, InjectError> {
        let (dx, dy) = self.pads.moved(now);
        if (dx, dy) != (0, 0) {
            self.relative = true;
            self.hands.move_by(dx, dy)?;
            self.hands.flush()?;
        }
        Ok(self.pads.deadline())
    }

    fn hold(&mut self, thing: Thing, holder: Holder, down: bool) -> Result<(), InjectError> {
        let acts = if down { self.held.press(thing, holder) } else { self.held.release(thing, holder) };
        if acts { self.hands.set(thing, down) } else { Ok(()) }
    }

    fn release(&mut self, lets_go: impl Fn(&Holder) -> bool) -> Result<(), InjectError> {
        self.held.release_where(lets_go).into_iter().try_for_each(|thing| self.hands.set(thing, false))
    }

    fn point(&mut self, x: u16, y: u16) -> Result<(), InjectError> {
        self.relative = false;
        self.hands.move_to(pointer::pixel(x, self.width), pointer::pixel(y, self.height))
    }

    fn button(&mut self, slot: u8, button: u8, down: bool, x: u16, y: u16) -> Result<(), InjectError> {
        let Some(button) = pointer::button(button) else { return Ok(()) };
        if !self.relative {
            self.point(x, y)?;
        }
        self.hold(button, Holder { slot, by: By::Button }, down)
    }

    fn touch(&mut self, slot: u8, contact: u8, phase: TouchPhase, x: u16, y: u16) -> Result<(), InjectError> {
        let finger = Holder { slot, by: By::Touch };
        match phase {
            TouchPhase::Start if self.finger.start(slot, contact) => {
                self.point(x, y)?;
                self.hold(Thing::Button(1), finger, true)
            }
            TouchPhase::Move if self.finger.leads(slot, contact) => self.point(x, y),
            TouchPhase::End if self.finger.end(slot, contact) => {
                self.point(x, y)?;
                self.hold(Thing::Button(1), finger, false)
            }
            TouchPhase::Cancel if self.finger.end(slot, contact) => {
                self.hold(Thing::Button(1), finger, false)
            }
            TouchPhase::Start | TouchPhase::Move | TouchPhase::End | TouchPhase::Cancel => Ok(()),
        }
    }

    fn deeds(&mut self, slot: u8, deeds: &[Deed]) -> Result<(), InjectError> {
        for Deed { pad, control, action, down } in deeds {
            let thing = match action {
                Action::Key(key) => Thing::Key(*key),
                Action::Button(button) => Thing::Button(*button),
            };
            self.hold(thing, Holder { slot, by: By::Pad(*pad, *control) }, *down)?;
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), InjectError> {
        let modifiers = self.hands.modifiers()?;
        for character in text.chars() {
            let held = &self.held;
            let busy = |key| held.is_held(Thing::Key(key));
            match self.keyboard.stroke(character, modifiers, busy, Instant::now()) {
                Stroke::Key(key) => self.hands.tap(Thing::Key(key))?,
                Stroke::Shifted { shift, key } => {
                    self.hands.set(Thing::Key(shift), true)?;
                    self.hands.tap(Thing::Key(key))?;
                    self.hands.set(Thing::Key(shift), false)?;
                }
                Stroke::Spare { key, keysym, wait } => {
                    if !wait.is_zero() {
                        self.hands.flush()?;
                        // Only in a text of more different foreign characters than there are spare keys.
                        std::thread::sleep(wait);
                    }
                    if let Some(keysym) = keysym {
                        self.hands.remap(key, keysym)?;
                    }
                    self.hands.tap(Thing::Key(key))?;
                }
                Stroke::Impossible => self.untyped += 1,
            }
        }
        Ok(())
    }
}
