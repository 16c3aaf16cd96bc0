//! Input frames: one event of a keyboard, mouse, touch screen or gamepad, as sent on the data channels and, behind a
//! slot byte, on the runner's control channel.
//!
//! Big-endian, first byte the kind. `input` (reliable, ordered) carries keys, buttons, wheel, text, touch, relative
//! motion, heartbeat and release-all; `pointer` (unordered, no retransmits) carries [`InputFrame::PointerMove`] and
//! [`InputFrame::Pad`], full snapshots with a sequence number, of which a receiver drops the older ones.
//! Coordinates are 0-65535 over the picture's width and height.

/// Label of the reliable, ordered data channel.
pub const RELIABLE_LABEL: &str = "input";
/// Label of the unordered data channel without retransmits.
pub const POINTER_LABEL: &str = "pointer";
/// Longest frame, in bytes: text of 256 bytes and its kind.
pub const MAX_FRAME_BYTES: usize = 257;
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
    /// 0x04: UTF-8, 1-256 bytes.
    Text(String),
    /// 0x05: dx i16, dy i16 in the picture's pixels.
    PointerDelta { dx: i16, dy: i16 },
    /// 0x06: what is held is still held.
    Heartbeat,
    /// 0x07: lets go of everything (blur, hand-over).
    ReleaseAll,
    /// 0x08: contact u8, phase u8, x u16, y u16.
    Touch { contact: u8, phase: TouchPhase, x: u16, y: u16 },
    /// 0x09: pad u8, connected u8.
    PadPresence { pad: u8, connected: bool },
    /// 0x81: sequence u16, x u16, y u16.
    PointerMove { sequence: u16, x: u16, y: u16 },
    /// 0x82: sequence u16, then the snapshot.
    Pad { sequence: u16, state: PadState },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TouchPhase {
    Start,
    Move,
    End,
    Cancel,
}

/// A gamepad in the W3C standard layout: pad u8, buttons u32 (bit n is button n), axes 4 x i16 (left x, left y,
/// right x, right y; right and down positive), triggers 2 x u8 (buttons 6 and 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PadState {
    pub pad: u8,
    pub buttons: u32,
    pub axes: [i16; 4],
    pub triggers: [u8; 2],
}
