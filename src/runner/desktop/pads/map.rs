//! A game's pad map: names of controls to names of keys and mouse buttons.
//!
//! A left stick the map says nothing of does what the cross does: most pads are held by the stick.

use super::Action;
use super::control::{Control, Stick};
use crate::runner::desktop::inject::keys;
use std::collections::{BTreeMap, BTreeSet};

/// What a stick moves instead of pressing keys.
const MOUSE_MOVE: &str = "mouse-move";

/// Names a control or a key that is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("pad_map: {0}")]
pub struct PadMapError(pub String);

/// What each control does.
#[derive(Debug, Clone, Default)]
pub struct PadMap {
    actions: BTreeMap<Control, Action>,
    /// Sticks that move the mouse.
    mouse: BTreeSet<Stick>,
}

impl PadMap {
    /// From the game's configuration, as names to names. Controls: `a`, `b`, `x`, `y`, `lb`, `rb`, `lt`, `rt`, `select`,
    /// `start`, `ls`, `rs`, `up`, `down`, `left`, `right`, `guide`, `left-stick-up` and so on for both sticks and four
    /// directions, and `left-stick` and `right-stick` as a whole. Keys: `KeyboardEvent.code`, `mouse-left`,
    /// `mouse-middle`, `mouse-right`; for a whole stick only `mouse-move`.
    pub fn new(names: &BTreeMap<String, String>) -> Result<Self, PadMapError> {
        let mut map = Self::default();
        for (control, key) in names {
            if let Some(stick) = Stick::BOTH.into_iter().find(|stick| stick.name() == control) {
                if key != MOUSE_MOVE {
                    let text = format!("{control} as a whole can only be {MOUSE_MOVE}, not {key:?}");
                    return Err(PadMapError(text));
                }
                map.mouse.insert(stick);
            } else {
                let known = Control::of_name(control).ok_or_else(|| unknown_control(control))?;
                map.actions.insert(known, action(control, key)?);
            }
        }
        map.check()?;
        map.let_the_left_stick_follow_the_cross();
        Ok(map)
    }

    /// True for a game that is not played by a map.
    pub fn is_empty(&self) -> bool {
        self.actions.is_empty() && self.mouse.is_empty()
    }

    pub(super) fn action(&self, control: Control) -> Option<Action> {
        self.actions.get(&control).copied()
    }

    pub(super) fn moves_mouse(&self, stick: Stick) -> bool {
        self.mouse.contains(&stick)
    }

    /// A stick cannot move the mouse and press keys.
    fn check(&self) -> Result<(), PadMapError> {
        for stick in &self.mouse {
            if let Some(twice) = stick.directions().iter().find(|control| self.actions.contains_key(control))
            {
                let text =
                    format!("{} is {MOUSE_MOVE} already, {} can do nothing", stick.name(), twice.name());
                return Err(PadMapError(text));
            }
        }
        Ok(())
    }

    fn let_the_left_stick_follow_the_cross(&mut self) {
        let directions = Stick::Left.directions();
        if self.moves_mouse(Stick::Left)
            || directions.iter().any(|control| self.actions.contains_key(control))
        {
            return;
        }
        let cross = [Control::Up, Control::Down, Control::Left, Control::Right];
        for (direction, arm) in directions.into_iter().zip(cross) {
            if let Some(action) = self.action(arm) {
                self.actions.insert(direction, action);
            }
        }
    }
}

fn action(control: &str, key: &str) -> Result<Action, PadMapError> {
    match key {
        "mouse-left" => Ok(Action::Button(1)),
        "mouse-middle" => Ok(Action::Button(2)),
        "mouse-right" => Ok(Action::Button(3)),
        MOUSE_MOVE => {
            Err(PadMapError(format!("only left-stick and right-stick can be {MOUSE_MOVE}, not {control}")))
        }
        code => keys::keycode_of_code(code).map(Action::Key).ok_or_else(|| {
            let text =
                "is no key; keys are named as in KeyboardEvent.code (Enter, KeyA, ArrowLeft, ShiftLeft)";
            PadMapError(format!("{control} = {code:?} {text}, or mouse-left, mouse-middle, mouse-right"))
        }),
    }
}

fn unknown_control(name: &str) -> PadMapError {
    let known: Vec<&str> =
        Control::all().map(Control::name).chain(Stick::BOTH.into_iter().map(Stick::name)).collect();
    PadMapError(format!("{name:?} is no control of a gamepad; controls are {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn map(names: &[(&str, &str)]) -> Result<PadMap, PadMapError> {
        PadMap::new(&names.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect())
    }

    #[test]
    fn names_are_read() {
        let map = map(&[("a", "Enter"), ("rt", "mouse-left"), ("right-stick", "mouse-move")]).expect("good");
        assert_eq!(map.action(Control::A), Some(Action::Key(36)));
        assert_eq!(map.action(Control::Rt), Some(Action::Button(1)));
        assert_eq!(map.action(Control::B), None);
        assert!(map.moves_mouse(Stick::Right) && !map.moves_mouse(Stick::Left));
        assert!(!map.is_empty() && PadMap::new(&BTreeMap::new()).expect("good").is_empty());
    }

    #[test]
    fn every_control_has_a_name_of_its_own() {
        let names: BTreeSet<&str> = Control::all().map(Control::name).collect();
        assert_eq!(names.len(), 25);
        for control in Control::all() {
            assert_eq!(Control::of_name(control.name()), Some(control));
        }
    }

    #[test]
    fn a_left_stick_without_a_word_follows_the_cross() {
        let followed = map(&[("left", "ArrowLeft")]).expect("good");
        assert_eq!(followed.action(Control::LeftStickLeft), followed.action(Control::Left));
        assert_eq!(followed.action(Control::LeftStickUp), None);
        let own = map(&[("left", "ArrowLeft"), ("left-stick-up", "KeyW")]).expect("good");
        assert_eq!(own.action(Control::LeftStickLeft), None);
        let mouse = map(&[("left", "ArrowLeft"), ("left-stick", "mouse-move")]).expect("good");
        assert_eq!(mouse.action(Control::LeftStickLeft), None);
    }

    #[test]
    fn what_is_not_known_or_said_twice_is_named() {
        for (names, words) in [
            (&[("z", "Enter")][..], ["\"z\"", "left-stick-up"]),
            (&[("a", "Return")], ["a = \"Return\"", "KeyboardEvent.code"]),
            (&[("a", "mouse-move")], ["mouse-move", "not a"]),
            (&[("left-stick", "KeyA")], ["left-stick", "KeyA"]),
            (&[("left-stick", "mouse-move"), ("left-stick-up", "KeyW")], ["mouse-move", "left-stick-up"]),
        ] {
            let error = map(names).expect_err("bad").to_string();
            assert!(
                words.iter().all(|word| error.contains(word)) && error.starts_with("pad_map: "),
                "{error}"
            );
        }
    }
}
