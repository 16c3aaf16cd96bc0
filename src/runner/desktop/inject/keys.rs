//! Keys by their three names: USB HID usage (page 0x07, HID Usage Tables 1.5 section 10), `KeyboardEvent.code` (UI Events
//! KeyboardEvent code Values) and the number the Linux input subsystem has for them, of which the X server's is 8 more.

/// The X server's numbers start here: evdev's plus 8.
const X_OFFSET: u8 = 8;

/// Usage, evdev number, code.
const KEYS: [(u16, u8, &str); 134] = [
    (0x04, 30, "KeyA"),
    (0x05, 48, "KeyB"),
    (0x06, 46, "KeyC"),
    (0x07, 32, "KeyD"),
    (0x08, 18, "KeyE"),
    (0x09, 33, "KeyF"),
    (0x0A, 34, "KeyG"),
    (0x0B, 35, "KeyH"),
    (0x0C, 23, "KeyI"),
    (0x0D, 36, "KeyJ"),
    (0x0E, 37, "KeyK"),
    (0x0F, 38, "KeyL"),
    (0x10, 50, "KeyM"),
    (0x11, 49, "KeyN"),
    (0x12, 24, "KeyO"),
    (0x13, 25, "KeyP"),
    (0x14, 16, "KeyQ"),
    (0x15, 19, "KeyR"),
    (0x16, 31, "KeyS"),
    (0x17, 20, "KeyT"),
    (0x18, 22, "KeyU"),
    (0x19, 47, "KeyV"),
    (0x1A, 17, "KeyW"),
    (0x1B, 45, "KeyX"),
    (0x1C, 21, "KeyY"),
    (0x1D, 44, "KeyZ"),
    (0x1E, 2, "Digit1"),
    (0x1F, 3, "Digit2"),
    (0x20, 4, "Digit3"),
    (0x21, 5, "Digit4"),
    (0x22, 6, "Digit5"),
    (0x23, 7, "Digit6"),
    (0x24, 8, "Digit7"),
    (0x25, 9, "Digit8"),
    (0x26, 10, "Digit9"),
    (0x27, 11, "Digit0"),
    (0x28, 28, "Enter"),
    (0x29, 1, "Escape"),
    (0x2A, 14, "Backspace"),
    (0x2B, 15, "Tab"),
    (0x2C, 57, "Space"),
    (0x2D, 12, "Minus"),
    (0x2E, 13, "Equal"),
    (0x2F, 26, "BracketLeft"),
    (0x30, 27, "BracketRight"),
    (0x31, 43, "Backslash"),
    // The same key on keyboards that are not American.
    (0x32, 43, "Backslash"),
    (0x33, 39, "Semicolon"),
    (0x34, 40, "Quote"),
    (0x35, 41, "Backquote"),
    (0x36, 51, "Comma"),
    (0x37, 52, "Period"),
    (0x38, 53, "Slash"),
    (0x39, 58, "CapsLock"),
    (0x3A, 59, "F1"),
    (0x3B, 60, "F2"),
    (0x3C, 61, "F3"),
    (0x3D, 62, "F4"),
    (0x3E, 63, "F5"),
    (0x3F, 64, "F6"),
    (0x40, 65, "F7"),
    (0x41, 66, "F8"),
    (0x42, 67, "F9"),
    (0x43, 68, "F10"),
    (0x44, 87, "F11"),
    (0x45, 88, "F12"),
    (0x46, 99, "PrintScreen"),
    (0x47, 70, "ScrollLock"),
    (0x48, 119, "Pause"),
    (0x49, 110, "Insert"),
    (0x4A, 102, "Home"),
    (0x4B, 104, "PageUp"),
    (0x4C, 111, "Delete"),
    (0x4D, 107, "End"),
    (0x4E, 109, "PageDown"),
    (0x4F, 106, "ArrowRight"),
    (0x50, 105, "ArrowLeft"),
    (0x51, 108, "ArrowDown"),
    (0x52, 103, "ArrowUp"),
    (0x53, 69, "NumLock"),
    (0x54, 98, "NumpadDivide"),
    (0x55, 55, "NumpadMultiply"),
    (0x56, 74, "NumpadSubtract"),
    (0x57, 78, "NumpadAdd"),
    (0x58, 96, "NumpadEnter"),
    (0x59, 79, "Numpad1"),
    (0x5A, 80, "Numpad2"),
    (0x5B, 81, "Numpad3"),
    (0x5C, 75, "Numpad4"),
    (0x5D, 76, "Numpad5"),
    (0x5E, 77, "Numpad6"),
    (0x5F, 71, "Numpad7"),
    (0x60, 72, "Numpad8"),
    (0x61, 73, "Numpad9"),
    (0x62, 82, "Numpad0"),
    (0x63, 83, "NumpadDecimal"),
    (0x64, 86, "IntlBackslash"),
    (0x65, 127, "ContextMenu"),
    (0x66, 116, "Power"),
    (0x67, 117, "NumpadEqual"),
    (0x68, 183, "F13"),
    (0x69, 184, "F14"),
    (0x6A, 185, "F15"),
    (0x6B, 186, "F16"),
    (0x6C, 187, "F17"),
    (0x6D, 188, "F18"),
    (0x6E, 189, "F19"),
    (0x6F, 190, "F20"),
    (0x70, 191, "F21"),
    (0x71, 192, "F22"),
    (0x72, 193, "F23"),
    (0x73, 194, "F24"),
    (0x7F, 113, "AudioVolumeMute"),
    (0x80, 115, "AudioVolumeUp"),
    (0x81, 114, "AudioVolumeDown"),
    (0x85, 121, "NumpadComma"),
    (0x87, 89, "IntlRo"),
    (0x88, 93, "KanaMode"),
    (0x89, 124, "IntlYen"),
    (0x8A, 92, "Convert"),
    (0x8B, 94, "NonConvert"),
    (0x90, 122, "Lang1"),
    (0x91, 123, "Lang2"),
    (0x92, 90, "Lang3"),
    (0x93, 91, "Lang4"),
    (0x94, 85, "Lang5"),
    (0xE0, 29, "ControlLeft"),
    (0xE1, 42, "ShiftLeft"),
    (0xE2, 56, "AltLeft"),
    (0xE3, 125, "MetaLeft"),
    (0xE4, 97, "ControlRight"),
    (0xE5, 54, "ShiftRight"),
    (0xE6, 100, "AltRight"),
    (0xE7, 126, "MetaRight"),
];

/// The X server's number of the key with this usage; `None`: no keyboard has it.
pub(super) fn keycode_of_usage(usage: u16) -> Option<u8> {
    KEYS.iter().find(|(known, ..)| *known == usage).map(|(_, evdev, _)| evdev + X_OFFSET)
}

/// The X server's number of the key with this `KeyboardEvent.code`.
pub(in super::super) fn keycode_of_code(code: &str) -> Option<u8> {
    KEYS.iter().find(|(.., known)| *known == code).map(|(_, evdev, _)| evdev + X_OFFSET)
}

/// True for a number that a key of the table has, whether this server's layout gives it a meaning or not.
pub(super) fn is_a_key(keycode: u8) -> bool {
    KEYS.iter().any(|(_, evdev, _)| evdev + X_OFFSET == keycode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_lead_to_the_same_key() {
        for (usage, code, keycode) in
            [(0x04, "KeyA", 38), (0x28, "Enter", 36), (0x52, "ArrowUp", 111), (0xE1, "ShiftLeft", 50)]
        {
            assert_eq!(keycode_of_usage(usage), Some(keycode));
            assert_eq!(keycode_of_code(code), Some(keycode));
            assert!(is_a_key(keycode));
        }
        assert_eq!(keycode_of_usage(0), None);
        assert_eq!(keycode_of_usage(0xFFFF), None);
        assert_eq!(keycode_of_code("keya"), None);
        assert!(!is_a_key(255));
    }

    #[test]
    fn no_usage_is_there_twice_and_no_two_keys_share_a_number() {
        let usages: BTreeSet<u16> = KEYS.iter().map(|(usage, ..)| *usage).collect();
        assert_eq!(usages.len(), KEYS.len());
        let numbers: BTreeSet<u8> = KEYS.iter().map(|(_, number, _)| *number).collect();
        let codes: BTreeSet<&str> = KEYS.iter().map(|(.., code)| *code).collect();
        assert_eq!(numbers.len(), codes.len());
    }
}
