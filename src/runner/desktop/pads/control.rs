//! The controls of a gamepad in the W3C standard layout (Gamepad, section "Remapping") and their names in a pad map.

/// A button, or a stick pushed in a direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Control {
    A,
    B,
    X,
    Y,
    Lb,
    Rb,
    Lt,
    Rt,
    Select,
    Start,
    Ls,
    Rs,
    Up,
    Down,
    Left,
    Right,
    Guide,
    LeftStickUp,
    LeftStickDown,
    LeftStickLeft,
    LeftStickRight,
    RightStickUp,
    RightStickDown,
    RightStickLeft,
    RightStickRight,
}

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stick {
    Left,
    Right,
}

/// The buttons in the standard layout's order.
pub(super) const BUTTONS: [Control; 17] = [
    Control::A,
    Control::B,
    Control::X,
    Control::Y,
    Control::Lb,
    Control::Rb,
    Control::Lt,
    Control::Rt,
    Control::Select,
    Control::Start,
    Control::Ls,
    Control::Rs,
    Control::Up,
    Control::Down,
    Control::Left,
    Control::Right,
    Control::Guide,
];

/// Up, down, left, right.
const DIRECTIONS: [[Control; 4]; 2] = [
    [Control::LeftStickUp, Control::LeftStickDown, Control::LeftStickLeft, Control::LeftStickRight],
    [Control::RightStickUp, Control::RightStickDown, Control::RightStickLeft, Control::RightStickRight],
];

impl Control {
    pub(super) fn all() -> impl Iterator<Item = Self> {
        BUTTONS.into_iter().chain(DIRECTIONS.into_iter().flatten())
    }

    pub(super) fn of_name(name: &str) -> Option<Self> {
        Self::all().find(|control| control.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
            Self::X => "x",
            Self::Y => "y",
            Self::Lb => "lb",
            Self::Rb => "rb",
            Self::Lt => "lt",
            Self::Rt => "rt",
            Self::Select => "select",
            Self::Start => "start",
            Self::Ls => "ls",
            Self::Rs => "rs",
            Self::Up => "up",
            Self::Down => "down",
            Self::Left => "left",
            Self::Right => "right",
            Self::Guide => "guide",
            Self::LeftStickUp => "left-stick-up",
            Self::LeftStickDown => "left-stick-down",
            Self::LeftStickLeft => "left-stick-left",
            Self::LeftStickRight => "left-stick-right",
            Self::RightStickUp => "right-stick-up",
            Self::RightStickDown => "right-stick-down",
            Self::RightStickLeft => "right-stick-left",
            Self::RightStickRight => "right-stick-right",
        }
    }
}

impl Stick {
    pub(super) const BOTH: [Self; 2] = [Self::Left, Self::Right];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Left => "left-stick",
            Self::Right => "right-stick",
        }
    }

    /// Up, down, left, right.
    pub(super) fn directions(self) -> [Control; 4] {
        match self {
            Self::Left => DIRECTIONS[0],
            Self::Right => DIRECTIONS[1],
        }
    }

    /// Where it is; right and down positive.
    pub(super) fn place(self, axes: [i16; 4]) -> (i16, i16) {
        let [left_x, left_y, right_x, right_y] = axes;
        match self {
            Self::Left => (left_x, left_y),
            Self::Right => (right_x, right_y),
        }
    }
}
