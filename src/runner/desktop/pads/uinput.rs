//! Gamepads as devices of the kernel, for games that read pads themselves: one uinput device for each connected pad, with
//! the buttons and axes of an Xbox 360 controller (Linux Gamepad Specification).
//!
//! UNTESTED: no machine this was written on offers `/dev/uinput`. A container must be given that device, and a `/dev/input`
//! in which the new devices show up. There is no force feedback: a game's rumble is not passed on.

use super::{Deed, PadSink};
use evdev::uinput::VirtualDevice;
use evdev::{
    AbsInfo, AbsoluteAxisCode, AttributeSet, BusType, EventType, InputEvent, InputId, KeyCode, UinputAbsSetup,
};
use playgate_signaling::input::PadState;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io;
use std::time::Instant;

const DEVICE: &str = "/dev/uinput";
const NAME: &str = "Microsoft X-Box 360 pad";
/// Pads of all players together; more are left out, with a warning.
const MOST: usize = 16;

/// The standard layout's buttons that are buttons here too, by their index. Triggers and the cross are axes.
const BUTTONS: [(u32, KeyCode); 11] = [
    (0, KeyCode::BTN_SOUTH),
    (1, KeyCode::BTN_EAST),
    (2, KeyCode::BTN_NORTH),
    (3, KeyCode::BTN_WEST),
    (4, KeyCode::BTN_TL),
    (5, KeyCode::BTN_TR),
    (8, KeyCode::BTN_SELECT),
    (9, KeyCode::BTN_START),
    (10, KeyCode::BTN_THUMBL),
    (11, KeyCode::BTN_THUMBR),
    (16, KeyCode::BTN_MODE),
];
/// Bits of the cross: up, down, left, right.
const CROSS: [u32; 4] = [12, 13, 14, 15];

/// True when devices can be made.
pub(super) fn is_there() -> bool {
    OpenOptions::new().read(true).write(true).open(DEVICE).is_ok()
}

/// One device for each pad of each player.
#[derive(Default)]
pub(super) struct Devices {
    devices: BTreeMap<(u8, u8), VirtualDevice>,
}

impl Devices {
    fn make(&mut self, slot: u8, pad: u8) {
        if self.devices.contains_key(&(slot, pad)) {
            return;
        }
        if self.devices.len() >= MOST {
            tracing::warn!(slot, pad, "too many gamepads");
            return;
        }
        match device() {
            Ok(device) => {
                self.devices.insert((slot, pad), device);
            }
            Err(error) => tracing::warn!(%error, slot, pad, "cannot make a gamepad"),
        }
    }

    fn rest(&mut self, is_meant: impl Fn(u8) -> bool) {
        for ((slot, pad), device) in &mut self.devices {
            if is_meant(*slot) {
                emit(device, &PadState { pad: *pad, ..PadState::default() });
            }
        }
    }
}

impl PadSink for Devices {
    fn presence(&mut self, slot: u8, pad: u8, connected: bool) -> Vec<Deed> {
        if connected {
            self.make(slot, pad);
        } else {
            self.devices.remove(&(slot, pad));
        }
        Vec::new()
    }

    fn state(&mut self, slot: u8, state: &PadState, _now: Instant) -> Vec<Deed> {
        self.make(slot, state.pad);
        if let Some(device) = self.devices.get_mut(&(slot, state.pad)) {
            emit(device, state);
        }
        Vec::new()
    }

    fn release(&mut self, slot: u8) {
        self.rest(|player| player == slot);
    }

    fn release_all(&mut self) {
        self.rest(|_| true);
    }
}

fn emit(device: &mut VirtualDevice, state: &PadState) {
    if let Err(error) = device.emit(&events(state)) {
        tracing::debug!(%error, "a gamepad took no event");
    }
}

fn device() -> io::Result<VirtualDevice> {
    let buttons: AttributeSet<KeyCode> = BUTTONS.iter().map(|(_, key)| *key).collect();
    let stick = AbsInfo::new(0, -32_768, 32_767, 16, 128, 0);
    let trigger = AbsInfo::new(0, 0, 255, 0, 0, 0);
    let hat = AbsInfo::new(0, -1, 1, 0, 0, 0);
    let mut builder = VirtualDevice::builder()?
        .name(NAME)
        .input_id(InputId::new(BusType::BUS_USB, 0x045E, 0x028E, 0x0110))
        .with_keys(&buttons)?;
    for (axis, info) in [
        (AbsoluteAxisCode::ABS_X, stick),
        (AbsoluteAxisCode::ABS_Y, stick),
        (AbsoluteAxisCode::ABS_RX, stick),
        (AbsoluteAxisCode::ABS_RY, stick),
        (AbsoluteAxisCode::ABS_Z, trigger),
        (AbsoluteAxisCode::ABS_RZ, trigger),
        (AbsoluteAxisCode::ABS_HAT0X, hat),
        (AbsoluteAxisCode::ABS_HAT0Y, hat),
    ] {
        builder = builder.with_absolute_axis(&UinputAbsSetup::new(axis, info))?;
    }
    builder.build()
}

/// The whole pad; the kernel leaves out what has not changed.
fn events(state: &PadState) -> Vec<InputEvent> {
    let bit = |index: u32| i32::from(state.buttons & (1 << index) != 0);
    let [up, down, left, right] = CROSS.map(bit);
    let [left_x, left_y, right_x, right_y] = state.axes.map(i32::from);
    let [left_trigger, right_trigger] = state.triggers.map(i32::from);
    let axes = [
        (AbsoluteAxisCode::ABS_X, left_x),
        (AbsoluteAxisCode::ABS_Y, left_y),
        (AbsoluteAxisCode::ABS_RX, right_x),
        (AbsoluteAxisCode::ABS_RY, right_y),
        // A browser may know a trigger as a button only.
        (AbsoluteAxisCode::ABS_Z, left_trigger.max(255 * bit(6) * i32::from(left_trigger == 0))),
        (AbsoluteAxisCode::ABS_RZ, right_trigger.max(255 * bit(7) * i32::from(right_trigger == 0))),
        (AbsoluteAxisCode::ABS_HAT0X, right - left),
        (AbsoluteAxisCode::ABS_HAT0Y, down - up),
    ];
    let buttons = BUTTONS.iter().map(|(index, key)| InputEvent::new(EventType::KEY.0, key.0, bit(*index)));
    let axes = axes.iter().map(|(axis, value)| InputEvent::new(EventType::ABSOLUTE.0, axis.0, *value));
    buttons.chain(axes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_becomes_the_events_of_every_button_and_axis() {
        let state =
            PadState { pad: 0, buttons: 1 << 12 | 1 << 7 | 1, axes: [1, -2, 3, i16::MIN], triggers: [9, 0] };
        let events = events(&state);
        let value = |kind: EventType, code: u16| {
            events
                .iter()
                .find(|event| event.event_type() == kind && event.code() == code)
                .map(InputEvent::value)
        };
        assert_eq!(value(EventType::KEY, KeyCode::BTN_SOUTH.0), Some(1));
        assert_eq!(value(EventType::KEY, KeyCode::BTN_MODE.0), Some(0));
        for (axis, expected) in [
            (AbsoluteAxisCode::ABS_Y, -2),
            (AbsoluteAxisCode::ABS_RY, -32_768),
            (AbsoluteAxisCode::ABS_Z, 9),
            (AbsoluteAxisCode::ABS_RZ, 255),
            (AbsoluteAxisCode::ABS_HAT0X, 0),
            (AbsoluteAxisCode::ABS_HAT0Y, -1),
        ] {
            assert_eq!(value(EventType::ABSOLUTE, axis.0), Some(expected), "{axis:?}");
        }
    }
}
