//! Input frames: one event of a keyboard, mouse, touch screen or gamepad, as sent on the data channels and, behind a
//! slot byte, on the runner's control channel.
//!
//! Big-endian, first byte the kind. `input` (reliable, ordered) carries keys, buttons, wheel, text, touch, relative
//! motion, heartbeat and release-all; `pointer` (unordered, no retransmits) carries [`InputFrame::PointerMove`] and
//! [`InputFrame::Pad`], full snapshots with a sequence number, of which a receiver drops the older ones.
//! Coordinates are 0-65535 over the picture's width and height.
//!
//! Every value has exactly one encoding and every accepted byte string exactly one value: booleans are 0 or 1, lengths
//! are exact. What does not fit is an [`InputError`]; nothing here panics on any bytes.

/// Label of the reliable, ordered data channel.
pub const RELIABLE_LABEL: &str = "input";
/// Label of the unordered data channel without retransmits.
pub const POINTER_LABEL: &str = "pointer";
/// Longest frame, in bytes: text of 256 bytes and its kind.
pub const MAX_FRAME_BYTES: usize = 257;
/// Longest text of one frame, in bytes of UTF-8.
pub const MAX_TEXT_BYTES: usize = MAX_FRAME_BYTES - 1;
/// Highest mouse button.
pub const MAX_BUTTON: u8 = 4;
/// Highest touch contact.
pub const MAX_CONTACT: u8 = 15;
/// Highest gamepad.
pub const MAX_PAD: u8 = 3;
/// A client that holds anything repeats [`InputFrame::Heartbeat`] this often, in milliseconds.
pub const HEARTBEAT_MS: u64 = 250;
/// Held keys are released when no frame came for this long, in milliseconds.
pub const HELD_TIMEOUT_MS: u64 = 1_500;

/// One input event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputFrame {
    /// 0x01: USB HID usage (page 0x07) u16, down u8.
    Key { usage: u16, down: bool },
    /// 0x02: button u8 (0 left, 1 middle, 2 right, 3 back, 4 forward), down u8, x u16, y u16.
    Button { button: u8, down: bool, x: u16, y: u16 },
    /// 0x03: dx i16, dy i16 in 1/120 notches, down and right positive.
    Wheel { dx: i16, dy: i16 },
    /// 0x04: UTF-8, 1-256 bytes, no control characters but newline and tab.
    Text(String),
    /// 0x05: dx i16, dy i16 in the picture's pixels.
    PointerDelta { dx: i16, dy: i16 },
    /// 0x06: what is held is still held.
    Heartbeat,
    /// 0x07: lets go of everything (blur, hand-over).
    ReleaseAll,
    /// 0x08: contact u8 (0-15), phase u8, x u16, y u16.
    Touch { contact: u8, phase: TouchPhase, x: u16, y: u16 },
    /// 0x09: pad u8 (0-3), connected u8.
    PadPresence { pad: u8, connected: bool },
    /// 0x81: sequence u16, x u16, y u16.
    PointerMove { sequence: u16, x: u16, y: u16 },
    /// 0x82: sequence u16, then the snapshot.
    Pad { sequence: u16, state: PadState },
}

/// On the wire 0, 1, 2, 3 in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TouchPhase {
    Start,
    Move,
    End,
    Cancel,
}

/// A gamepad in the W3C standard layout: pad u8 (0-3), buttons u32 (bit n is button n), axes 4 x i16 (left x, left y,
/// right x, right y; right and down positive), triggers 2 x u8 (buttons 6 and 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PadState {
    pub pad: u8,
    pub buttons: u32,
    pub axes: [i16; 4],
    pub triggers: [u8; 2],
}

/// Why bytes are no input frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    #[error("an input frame has at least one byte")]
    Empty,
    #[error("unknown kind {0:#04x}")]
    UnknownKind(u8),
    #[error("kind {kind:#04x} cannot have {length} bytes")]
    Length { kind: u8, length: usize },
    #[error("{field} cannot be {value}")]
    OutOfRange { field: &'static str, value: u8 },
    #[error("text is not UTF-8")]
    NotUtf8,
    #[error("text holds a control character")]
    ControlCharacter,
}

/// Something that can be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Control {
    /// USB HID usage, page 0x07.
    Key(u16),
    Button(u8),
    Contact(u8),
}

/// What an event does to held controls. A pad's snapshot replaces the whole pad and is not told here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Press(Control),
    Release(Control),
    ReleaseAll,
    Nothing,
}

mod kind {
    pub(super) const KEY: u8 = 0x01;
    pub(super) const BUTTON: u8 = 0x02;
    pub(super) const WHEEL: u8 = 0x03;
    pub(super) const TEXT: u8 = 0x04;
    pub(super) const POINTER_DELTA: u8 = 0x05;
    pub(super) const HEARTBEAT: u8 = 0x06;
    pub(super) const RELEASE_ALL: u8 = 0x07;
    pub(super) const TOUCH: u8 = 0x08;
    pub(super) const PAD_PRESENCE: u8 = 0x09;
    pub(super) const POINTER_MOVE: u8 = 0x81;
    pub(super) const PAD: u8 = 0x82;
}

impl InputFrame {
    /// Reads one frame; `bytes` must be exactly one.
    pub fn decode(bytes: &[u8]) -> Result<Self, InputError> {
        let (&kind, body) = bytes.split_first().ok_or(InputError::Empty)?;
        let wrong_length = || InputError::Length { kind, length: bytes.len() };
        match kind {
            kind::KEY => {
                let [u0, u1, down] = exact(body).ok_or_else(wrong_length)?;
                Ok(Self::Key { usage: u16::from_be_bytes([u0, u1]), down: boolean("down", down)? })
            }
            kind::BUTTON => {
                let [button, down, x0, x1, y0, y1] = exact(body).ok_or_else(wrong_length)?;
                Ok(Self::Button {
                    button: at_most("button", button, MAX_BUTTON)?,
                    down: boolean("down", down)?,
                    x: u16::from_be_bytes([x0, x1]),
                    y: u16::from_be_bytes([y0, y1]),
                })
            }
            kind::WHEEL => {
                let [x0, x1, y0, y1] = exact(body).ok_or_else(wrong_length)?;
                Ok(Self::Wheel { dx: i16::from_be_bytes([x0, x1]), dy: i16::from_be_bytes([y0, y1]) })
            }
            kind::TEXT => {
                if body.is_empty() || body.len() > MAX_TEXT_BYTES {
                    return Err(wrong_length());
                }
                let text = std::str::from_utf8(body).map_err(|_| InputError::NotUtf8)?;
                if !text.chars().all(is_text) {
                    return Err(InputError::ControlCharacter);
                }
                Ok(Self::Text(text.to_owned()))
            }
            kind::POINTER_DELTA => {
                let [x0, x1, y0, y1] = exact(body).ok_or_else(wrong_length)?;
                Ok(Self::PointerDelta { dx: i16::from_be_bytes([x0, x1]), dy: i16::from_be_bytes([y0, y1]) })
            }
            kind::HEARTBEAT => exact::<0>(body).map(|_| Self::Heartbeat).ok_or_else(wrong_length),
            kind::RELEASE_ALL => exact::<0>(body).map(|_| Self::ReleaseAll).ok_or_else(wrong_length),
            kind::TOUCH => {
                let [contact, phase, x0, x1, y0, y1] = exact(body).ok_or_else(wrong_length)?;
                Ok(Self::Touch {
                    contact: at_most("contact", contact, MAX_CONTACT)?,
                    phase: TouchPhase::from_byte(phase)?,
                    x: u16::from_be_bytes([x0, x1]),
                    y: u16::from_be_bytes([y0, y1]),
                })
            }
            kind::PAD_PRESENCE => {
                let [pad, connected] = exact(body).ok_or_else(wrong_length)?;
                Ok(Self::PadPresence {
                    pad: at_most("pad", pad, MAX_PAD)?,
                    connected: boolean("connected", connected)?,
                })
            }
            kind::POINTER_MOVE => {
                let [s0, s1, x0, x1, y0, y1] = exact(body).ok_or_else(wrong_length)?;
                Ok(Self::PointerMove {
                    sequence: u16::from_be_bytes([s0, s1]),
                    x: u16::from_be_bytes([x0, x1]),
                    y: u16::from_be_bytes([y0, y1]),
                })
            }
            kind::PAD => {
                let [s0, s1, pad, b0, b1, b2, b3, lx0, lx1, ly0, ly1, rx0, rx1, ry0, ry1, left, right] =
                    exact(body).ok_or_else(wrong_length)?;
                Ok(Self::Pad {
                    sequence: u16::from_be_bytes([s0, s1]),
                    state: PadState {
                        pad: at_most("pad", pad, MAX_PAD)?,
                        buttons: u32::from_be_bytes([b0, b1, b2, b3]),
                        axes: [[lx0, lx1], [ly0, ly1], [rx0, rx1], [ry0, ry1]].map(i16::from_be_bytes),
                        triggers: [left, right],
                    },
                })
            }
            unknown => Err(InputError::UnknownKind(unknown)),
        }
    }

    /// Appends the frame's bytes. A value out of its range (see the variants) gives bytes that [`Self::decode`]
    /// refuses.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Key { usage, down } => {
                out.push(kind::KEY);
                out.extend(usage.to_be_bytes());
                out.push(u8::from(*down));
            }
            Self::Button { button, down, x, y } => {
                out.extend([kind::BUTTON, *button, u8::from(*down)]);
                out.extend(x.to_be_bytes());
                out.extend(y.to_be_bytes());
            }
            Self::Wheel { dx, dy } => {
                out.push(kind::WHEEL);
                out.extend(dx.to_be_bytes());
                out.extend(dy.to_be_bytes());
            }
            Self::Text(text) => {
                out.push(kind::TEXT);
                out.extend(text.as_bytes());
            }
            Self::PointerDelta { dx, dy } => {
                out.push(kind::POINTER_DELTA);
                out.extend(dx.to_be_bytes());
                out.extend(dy.to_be_bytes());
            }
            Self::Heartbeat => out.push(kind::HEARTBEAT),
            Self::ReleaseAll => out.push(kind::RELEASE_ALL),
            Self::Touch { contact, phase, x, y } => {
                out.extend([kind::TOUCH, *contact, phase.to_byte()]);
                out.extend(x.to_be_bytes());
                out.extend(y.to_be_bytes());
            }
            Self::PadPresence { pad, connected } => {
                out.extend([kind::PAD_PRESENCE, *pad, u8::from(*connected)]);
            }
            Self::PointerMove { sequence, x, y } => {
                out.push(kind::POINTER_MOVE);
                out.extend(sequence.to_be_bytes());
                out.extend(x.to_be_bytes());
                out.extend(y.to_be_bytes());
            }
            Self::Pad { sequence, state } => {
                out.push(kind::PAD);
                out.extend(sequence.to_be_bytes());
                out.push(state.pad);
                out.extend(state.buttons.to_be_bytes());
                for axis in state.axes {
                    out.extend(axis.to_be_bytes());
                }
                out.extend(state.triggers);
            }
        }
    }

    /// The frame's bytes in a buffer of their own.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(18);
        self.encode(&mut out);
        out
    }

    /// What the event presses or releases.
    pub fn effect(&self) -> Effect {
        match self {
            Self::Key { usage, down } => Effect::of(Control::Key(*usage), *down),
            Self::Button { button, down, .. } => Effect::of(Control::Button(*button), *down),
            Self::Touch { contact, phase, .. } => match phase {
                TouchPhase::Start => Effect::Press(Control::Contact(*contact)),
                TouchPhase::Move => Effect::Nothing,
                TouchPhase::End | TouchPhase::Cancel => Effect::Release(Control::Contact(*contact)),
            },
            Self::ReleaseAll => Effect::ReleaseAll,
            Self::Wheel { .. }
            | Self::Text(_)
            | Self::PointerDelta { .. }
            | Self::Heartbeat
            | Self::PadPresence { .. }
            | Self::PointerMove { .. }
            | Self::Pad { .. } => Effect::Nothing,
        }
    }

    /// True for what may travel on the unordered channel: snapshots, of which only the newest counts.
    pub fn is_snapshot(&self) -> bool {
        matches!(self, Self::PointerMove { .. } | Self::Pad { .. })
    }

    /// Where it puts the pointer.
    pub fn pointer(&self) -> Option<(u16, u16)> {
        match self {
            Self::Button { x, y, .. } | Self::PointerMove { x, y, .. } | Self::Touch { x, y, .. } => {
                Some((*x, *y))
            }
            Self::Key { .. }
            | Self::Wheel { .. }
            | Self::Text(_)
            | Self::PointerDelta { .. }
            | Self::Heartbeat
            | Self::ReleaseAll
            | Self::PadPresence { .. }
            | Self::Pad { .. } => None,
        }
    }

    /// True when a person did something: what extends "still there". Heartbeats and release-all come by themselves.
    pub fn is_activity(&self) -> bool {
        !matches!(self, Self::Heartbeat | Self::ReleaseAll)
    }
}

impl Control {
    /// The frame that lets go of it; of a button, with the pointer at `at`.
    pub fn release(self, at: (u16, u16)) -> InputFrame {
        let (x, y) = at;
        match self {
            Self::Key(usage) => InputFrame::Key { usage, down: false },
            Self::Button(button) => InputFrame::Button { button, down: false, x, y },
            Self::Contact(contact) => InputFrame::Touch { contact, phase: TouchPhase::Cancel, x, y },
        }
    }
}

impl Effect {
    fn of(control: Control, down: bool) -> Self {
        if down { Self::Press(control) } else { Self::Release(control) }
    }
}

impl TouchPhase {
    fn from_byte(value: u8) -> Result<Self, InputError> {
        match value {
            0 => Ok(Self::Start),
            1 => Ok(Self::Move),
            2 => Ok(Self::End),
            3 => Ok(Self::Cancel),
            value => Err(InputError::OutOfRange { field: "phase", value }),
        }
    }

    fn to_byte(self) -> u8 {
        match self {
            Self::Start => 0,
            Self::Move => 1,
            Self::End => 2,
            Self::Cancel => 3,
        }
    }
}

impl PadState {
    /// True when nothing is pressed and every stick rests.
    pub fn is_neutral(&self) -> bool {
        self.buttons == 0 && self.axes == [0; 4] && self.triggers == [0; 2]
    }
}

/// True when the snapshot numbered `sequence` is newer than the one numbered `last` (serial arithmetic, RFC 1982).
pub fn is_newer(sequence: u16, last: u16) -> bool {
    let ahead = sequence.wrapping_sub(last);
    ahead != 0 && ahead < 0x8000
}

fn exact<const N: usize>(body: &[u8]) -> Option<[u8; N]> {
    body.try_into().ok()
}

fn boolean(field: &'static str, value: u8) -> Result<bool, InputError> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        value => Err(InputError::OutOfRange { field, value }),
    }
}

fn at_most(field: &'static str, value: u8, highest: u8) -> Result<u8, InputError> {
    if value <= highest { Ok(value) } else { Err(InputError::OutOfRange { field, value }) }
}

fn is_text(character: char) -> bool {
    !character.is_control() || character == '\n' || character == '\t'
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn phase() -> impl Strategy<Value = TouchPhase> {
        prop_oneof![
            Just(TouchPhase::Start),
            Just(TouchPhase::Move),
            Just(TouchPhase::End),
            Just(TouchPhase::Cancel)
        ]
    }

    fn pad_state() -> impl Strategy<Value = PadState> {
        (0..=MAX_PAD, any::<u32>(), any::<[i16; 4]>(), any::<[u8; 2]>())
            .prop_map(|(pad, buttons, axes, triggers)| PadState { pad, buttons, axes, triggers })
    }

    fn text() -> impl Strategy<Value = String> {
        proptest::collection::vec(any::<char>().prop_filter("text", |c| is_text(*c)), 1..=64)
            .prop_map(String::from_iter)
    }

    fn frame() -> impl Strategy<Value = InputFrame> {
        prop_oneof![
            (any::<u16>(), any::<bool>()).prop_map(|(usage, down)| InputFrame::Key { usage, down }),
            (0..=MAX_BUTTON, any::<bool>(), any::<u16>(), any::<u16>())
                .prop_map(|(button, down, x, y)| InputFrame::Button { button, down, x, y }),
            (any::<i16>(), any::<i16>()).prop_map(|(dx, dy)| InputFrame::Wheel { dx, dy }),
            text().prop_map(InputFrame::Text),
            (any::<i16>(), any::<i16>()).prop_map(|(dx, dy)| InputFrame::PointerDelta { dx, dy }),
            Just(InputFrame::Heartbeat),
            Just(InputFrame::ReleaseAll),
            (0..=MAX_CONTACT, phase(), any::<u16>(), any::<u16>())
                .prop_map(|(contact, phase, x, y)| InputFrame::Touch { contact, phase, x, y }),
            (0..=MAX_PAD, any::<bool>())
                .prop_map(|(pad, connected)| InputFrame::PadPresence { pad, connected }),
            (any::<u16>(), any::<u16>(), any::<u16>()).prop_map(|(sequence, x, y)| InputFrame::PointerMove {
                sequence,
                x,
                y
            }),
            (any::<u16>(), pad_state()).prop_map(|(sequence, state)| InputFrame::Pad { sequence, state }),
        ]
    }

    proptest! {
        #[test]
        fn every_frame_survives_the_wire(frame in frame()) {
            let bytes = frame.to_bytes();
            prop_assert!(bytes.len() <= MAX_FRAME_BYTES);
            prop_assert_eq!(InputFrame::decode(&bytes), Ok(frame));
        }

        #[test]
        fn accepted_bytes_are_the_only_encoding(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(frame) = InputFrame::decode(&bytes) {
                prop_assert_eq!(frame.to_bytes(), bytes);
            }
        }

        #[test]
        fn damaged_frames_are_refused_or_read_exactly(frame in frame(), at in any::<usize>(), value: u8) {
            let mut bytes = frame.to_bytes();
            let at = at % bytes.len();
            bytes[at] = value;
            if let Ok(frame) = InputFrame::decode(&bytes) {
                prop_assert_eq!(frame.to_bytes(), bytes);
            }
        }

        #[test]
        fn a_frame_cut_short_or_too_long_is_refused(frame in frame().prop_filter("fixed", |f| !matches!(f, InputFrame::Text(_)))) {
            let mut bytes = frame.to_bytes();
            bytes.push(0);
            prop_assert!(InputFrame::decode(&bytes).is_err());
            bytes.truncate(bytes.len() - 2);
            prop_assert!(InputFrame::decode(&bytes).is_err());
        }

        #[test]
        fn of_two_numbers_at_most_one_is_newer(a: u16, b: u16) {
            prop_assert!(!(is_newer(a, b) && is_newer(b, a)));
            prop_assert!(!is_newer(a, a));
            prop_assert!(is_newer(a.wrapping_add(1), a));
        }
    }

    /// The bytes other implementations (the page) are written against.
    #[test]
    fn layout_is_as_documented() {
        let examples: [(InputFrame, &[u8]); 11] = [
            (InputFrame::Key { usage: 0x2C, down: true }, &[0x01, 0, 0x2C, 1]),
            (
                InputFrame::Button { button: 2, down: false, x: 0x1234, y: 0xFFFF },
                &[0x02, 2, 0, 0x12, 0x34, 0xFF, 0xFF],
            ),
            (InputFrame::Wheel { dx: 0, dy: -120 }, &[0x03, 0, 0, 0xFF, 0x88]),
            (InputFrame::Text("é\n".to_owned()), &[0x04, 0xC3, 0xA9, 0x0A]),
            (InputFrame::PointerDelta { dx: -1, dy: 256 }, &[0x05, 0xFF, 0xFF, 1, 0]),
            (InputFrame::Heartbeat, &[0x06]),
            (InputFrame::ReleaseAll, &[0x07]),
            (
                InputFrame::Touch { contact: 15, phase: TouchPhase::Cancel, x: 1, y: 2 },
                &[0x08, 15, 3, 0, 1, 0, 2],
            ),
            (InputFrame::PadPresence { pad: 3, connected: true }, &[0x09, 3, 1]),
            (InputFrame::PointerMove { sequence: 258, x: 3, y: 4 }, &[0x81, 1, 2, 0, 3, 0, 4]),
            (
                InputFrame::Pad {
                    sequence: 1,
                    state: PadState { pad: 1, buttons: 0x0001_0002, axes: [1, -1, 0, 0], triggers: [9, 255] },
                },
                &[0x82, 0, 1, 1, 0, 1, 0, 2, 0, 1, 0xFF, 0xFF, 0, 0, 0, 0, 9, 255],
            ),
        ];
        for (frame, bytes) in examples {
            assert_eq!(frame.to_bytes(), bytes);
            assert_eq!(InputFrame::decode(bytes), Ok(frame));
        }
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        assert_eq!(InputFrame::decode(&[]), Err(InputError::Empty));
        assert_eq!(InputFrame::decode(&[0x55, 1]), Err(InputError::UnknownKind(0x55)));
        assert_eq!(InputFrame::decode(&[0x06, 0]), Err(InputError::Length { kind: 6, length: 2 }));
        assert_eq!(
            InputFrame::decode(&[0x01, 0, 4, 2]),
            Err(InputError::OutOfRange { field: "down", value: 2 })
        );
        assert_eq!(
            InputFrame::decode(&[0x02, 5, 1, 0, 0, 0, 0]),
            Err(InputError::OutOfRange { field: "button", value: 5 })
        );
        assert_eq!(
            InputFrame::decode(&[0x08, 16, 0, 0, 0, 0, 0]),
            Err(InputError::OutOfRange { field: "contact", value: 16 })
        );
        assert_eq!(
            InputFrame::decode(&[0x08, 0, 4, 0, 0, 0, 0]),
            Err(InputError::OutOfRange { field: "phase", value: 4 })
        );
        assert_eq!(InputFrame::decode(&[0x09, 4, 1]), Err(InputError::OutOfRange { field: "pad", value: 4 }));
        assert_eq!(InputFrame::decode(&[0x04, 0xFF]), Err(InputError::NotUtf8));
        assert_eq!(InputFrame::decode(b"\x04a\x1b[A"), Err(InputError::ControlCharacter));
        assert_eq!(InputFrame::decode(&[0x04]), Err(InputError::Length { kind: 4, length: 1 }));
        assert_eq!(InputFrame::decode(&[0x04; 258]), Err(InputError::Length { kind: 4, length: 258 }));
    }

    #[test]
    fn presses_and_releases_are_told() {
        let key = InputFrame::Key { usage: 4, down: true };
        assert_eq!(key.effect(), Effect::Press(Control::Key(4)));
        for control in [Control::Key(4), Control::Button(1), Control::Contact(7)] {
            assert_eq!(control.release((0, 0)).effect(), Effect::Release(control));
        }
        assert_eq!(InputFrame::ReleaseAll.effect(), Effect::ReleaseAll);
        assert_eq!(InputFrame::Heartbeat.effect(), Effect::Nothing);
    }
}
