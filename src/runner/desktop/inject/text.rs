//! Text as key presses. What the layout has is typed with its keys; every other character gets a spare key of the
//! keyboard, of which the longest unused is given away. Pure: says what to do, and the caller does it.
//!
//! A client looks a key's meaning up after it was told of the change. A spare key therefore keeps a meaning for at least
//! [`SETTLE`] after it was pressed, or the client would read the next one.

use super::hands::Modifiers;
use super::keys;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// How long a client may take to look a key up. Text of more different foreign characters than there are spare keys (13 on
/// Xvfb's keyboard) is typed at this pace.
const SETTLE: Duration = Duration::from_millis(100);
/// Left on the keyboard for others who remap keys.
const LEAVE_FREE: usize = 1;
const NO_SYMBOL: u32 = 0;
const SHIFT_L: u32 = 0xFFE1;

/// How one character is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stroke {
    Key(u8),
    Shifted {
        shift: u8,
        key: u8,
    },
    /// Give the key this meaning first, not before `wait` has passed; then press it.
    Spare {
        key: u8,
        keysym: Option<u32>,
        wait: Duration,
    },
    /// There is no spare key on this keyboard.
    Impossible,
}

/// A key and the level its meaning is on: 0 alone, 1 with Shift.
type Place = (u8, usize);

#[derive(Debug)]
pub(super) struct Keyboard {
    places: BTreeMap<u32, Place>,
    shift: Option<u8>,
    /// The longest unused first.
    spare: VecDeque<Spare>,
}

#[derive(Debug)]
struct Spare {
    key: u8,
    keysym: u32,
    used: Option<Instant>,
}

impl Keyboard {
    /// From the server's own table: `per_key` meanings for each key from `first` on.
    pub(super) fn new(first: u8, per_key: usize, keysyms: &[u32]) -> Self {
        let mut keyboard = Self { places: BTreeMap::new(), shift: None, spare: VecDeque::new() };
        for (key, meanings) in (first..=u8::MAX).zip(keysyms.chunks_exact(per_key.max(1))) {
            if meanings.iter().all(|keysym| *keysym == NO_SYMBOL) {
                if !keys::is_a_key(key) {
                    keyboard.spare.push_back(Spare { key, keysym: NO_SYMBOL, used: None });
                }
                continue;
            }
            for (level, keysym) in meanings.iter().take(2).enumerate() {
                // The first key with a meaning is the main block's.
                keyboard.places.entry(*keysym).or_insert((key, level));
            }
        }
        keyboard.shift = keyboard.places.get(&SHIFT_L).map(|(key, _)| *key);
        keyboard.spare.truncate(keyboard.spare.len().saturating_sub(LEAVE_FREE));
        keyboard
    }

    /// How to type the character now. `busy` keys are held by somebody: typing them would let go of them.
    pub(super) fn stroke(
        &mut self,
        character: char,
        modifiers: Modifiers,
        busy: impl Fn(u8) -> bool,
        now: Instant,
    ) -> Stroke {
        let keysym = keysym(character);
        let place = self.places.get(&keysym).copied().filter(|(key, _)| !busy(*key));
        let cased = modifiers.caps_lock && character.is_alphabetic();
        match (place, self.shift) {
            (Some((key, 0)), _) if !modifiers.shift && !cased => Stroke::Key(key),
            (Some((key, 1)), _) if modifiers.shift && !cased => Stroke::Key(key),
            (Some((key, 1)), Some(shift)) if !cased => Stroke::Shifted { shift, key },
            (Some(_) | None, _) => self.spare(keysym, now),
        }
    }

    fn spare(&mut self, keysym: u32, now: Instant) -> Stroke {
        let known = self.spare.iter().position(|spare| spare.keysym == keysym);
        let taken = match known {
            Some(index) => self.spare.remove(index),
            None => self.spare.pop_front(),
        };
        let Some(Spare { key, used, .. }) = taken else { return Stroke::Impossible };
        let wait = match (known, used) {
            (None, Some(used)) => (used + SETTLE).saturating_duration_since(now),
            (Some(_), _) | (None, None) => Duration::ZERO,
        };
        self.spare.push_back(Spare { key, keysym, used: Some(now + wait) });
        Stroke::Spare { key, keysym: known.is_none().then_some(keysym), wait }
    }
}

/// X Window System Protocol, appendix A: Latin-1 is itself, everything else of Unicode behind 0x0100_0000.
fn keysym(character: char) -> u32 {
    match character {
        '\n' => 0xFF0D,
        '\t' => 0xFF09,
        ' '..='~' | '\u{A0}'..='\u{FF}' => u32::from(character),
        _ => 0x0100_0000 | u32::from(character),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Modifiers = Modifiers { shift: false, caps_lock: false };

    /// Shift, `a`, `1`, Return, and four keys that mean nothing (of which one stays free).
    fn keyboard() -> Keyboard {
        let mut keysyms = [0; 2 * 8];
        for (key, meanings) in [(0, [SHIFT_L, 0]), (1, [0x61, 0x41]), (2, [0x31, 0x21]), (3, [0xFF0D, 0])] {
            keysyms[key * 2..key * 2 + 2].copy_from_slice(&meanings);
        }
        Keyboard::new(230, 2, &keysyms)
    }

    fn spare(key: u8, keysym: Option<u32>, wait_ms: u64) -> Stroke {
        Stroke::Spare { key, keysym, wait: Duration::from_millis(wait_ms) }
    }

    #[test]
    fn what_the_layout_has_is_typed_with_its_keys() {
        let (mut keyboard, now) = (keyboard(), Instant::now());
        let mut stroke = |character| keyboard.stroke(character, PLAIN, |_| false, now);
        assert_eq!(stroke('a'), Stroke::Key(231));
        assert_eq!(stroke('A'), Stroke::Shifted { shift: 230, key: 231 });
        assert_eq!(stroke('!'), Stroke::Shifted { shift: 230, key: 232 });
        assert_eq!(stroke('\n'), Stroke::Key(233));
    }

    #[test]
    fn held_modifiers_and_held_keys_do_not_change_the_text() {
        let (mut keyboard, now) = (keyboard(), Instant::now());
        let shift = Modifiers { shift: true, caps_lock: false };
        let caps = Modifiers { shift: false, caps_lock: true };
        assert_eq!(keyboard.stroke('A', shift, |_| false, now), Stroke::Key(231));
        assert_eq!(keyboard.stroke('1', caps, |_| false, now), Stroke::Key(232));
        assert_eq!(keyboard.stroke('a', shift, |_| false, now), spare(234, Some(0x61), 0));
        assert_eq!(keyboard.stroke('a', caps, |_| false, now), spare(234, None, 0));
        assert_eq!(keyboard.stroke('1', PLAIN, |key| key == 232, now), spare(235, Some(0x31), 0));
    }

    #[test]
    fn other_characters_get_spare_keys_which_are_reused_in_turn_and_not_too_soon() {
        let (mut keyboard, now) = (keyboard(), Instant::now());
        let mut stroke = |character, at| keyboard.stroke(character, PLAIN, |_| false, at);
        assert_eq!(stroke('ä', now), spare(234, Some(0xE4), 0));
        assert_eq!(stroke('€', now), spare(235, Some(0x0100_20AC), 0));
        assert_eq!(stroke('ä', now), spare(234, None, 0), "it still has its key");
        assert_eq!(stroke('日', now), spare(236, Some(0x0100_65E5), 0));
        assert_eq!(
            stroke('本', now),
            spare(235, Some(0x0100_672C), 100),
            "the longest unused, once it was read"
        );
        let later = now + Duration::from_secs(1);
        assert_eq!(stroke('語', later), spare(234, Some(0x0100_8A9E), 0));
    }

    #[test]
    fn a_keyboard_without_spare_keys_types_what_it_can() {
        let mut keyboard = Keyboard::new(38, 2, &[0x61, 0x41]);
        let now = Instant::now();
        assert_eq!(keyboard.stroke('a', PLAIN, |_| false, now), Stroke::Key(38));
        assert_eq!(keyboard.stroke('ä', PLAIN, |_| false, now), Stroke::Impossible);
        let empty = Keyboard::new(8, 0, &[]).stroke('a', PLAIN, |_| false, now);
        assert_eq!(empty, Stroke::Impossible);
    }
}
