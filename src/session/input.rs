//! Who holds what: makes sure that every key pressed through a viewer is let go when that viewer cannot any more.
//!
//! Pure. Frames of viewers that share a control slot are merged: a key goes up when the last of them lets go. Sequence
//! numbers of snapshots are checked per viewer and given anew per slot, so that a viewer that comes back and counts
//! from nothing is not taken for an old one.

use crate::model::ids::ViewerId;
use playgate_signaling::input::{Control, Effect, HELD_TIMEOUT_MS, InputFrame, PadState, is_newer};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;
use tokio::time::Instant;

/// What goes to the runner: a control slot and a frame.
pub type Routed = (u8, InputFrame);

/// A viewer is believed to still hold what it held this long after its last frame.
pub const HELD_TIMEOUT: Duration = Duration::from_millis(HELD_TIMEOUT_MS);

/// Most controls one viewer can hold at once: more fingers than anybody has. Further presses are dropped.
const MAX_HELD: usize = 64;

#[derive(Debug, Default)]
pub struct HeldKeys {
    viewers: HashMap<ViewerId, Holder>,
    slots: HashMap<u8, Sequences>,
}

#[derive(Debug)]
struct Holder {
    slot: u8,
    held: BTreeSet<Control>,
    /// Pads that are not at rest.
    pads: BTreeMap<u8, PadState>,
    seen: Instant,
    pointer_sequence: Option<u16>,
    pad_sequence: BTreeMap<u8, u16>,
}

/// The last numbers given out in a slot.
#[derive(Debug, Default)]
struct Sequences {
    /// Where the slot's pointer is: buttons that are let go for a viewer are let go there.
    at: (u16, u16),
    pointer: u16,
    pads: BTreeMap<u8, u16>,
}

impl HeldKeys {
    /// A frame of a viewer in a control slot; gives what the runner must hear.
    pub fn frame(&mut self, now: Instant, viewer: ViewerId, slot: u8, frame: InputFrame) -> Vec<Routed> {
        let mut out = Vec::new();
        if self.viewers.get(&viewer).is_some_and(|holder| holder.slot != slot) {
            out = self.release(viewer);
        }
        let holder = self.viewers.entry(viewer).or_insert_with(|| Holder::new(slot, now));
        holder.seen = now;
        if let Some(at) = frame.pointer() {
            self.slots.entry(slot).or_default().at = at;
        }
        match frame.effect() {
            Effect::Press(control) => {
                if holder.held.len() < MAX_HELD || holder.held.contains(&control) {
                    holder.held.insert(control);
                    out.push((slot, frame));
                }
            }
            Effect::Release(control) => {
                holder.held.remove(&control);
                if !self.held_by_another(viewer, slot, control) {
                    out.push((slot, frame));
                }
            }
            Effect::ReleaseAll => out.extend(self.release(viewer)),
            Effect::Nothing => out.extend(self.passing(viewer, slot, frame)),
        }
        out
    }

    /// The viewer is gone, or its slot is: lets go of all it held and forgets its sequence numbers.
    pub fn gone(&mut self, viewer: ViewerId) -> Vec<Routed> {
        let out = self.release(viewer);
        self.viewers.remove(&viewer);
        out
    }

    /// Lets go of what is held by viewers that have been silent for too long.
    pub fn expire(&mut self, now: Instant) -> Vec<Routed> {
        let silent: Vec<ViewerId> = self
            .viewers
            .iter()
            .filter(|(_, holder)| holder.holds() && now >= holder.seen + HELD_TIMEOUT)
            .map(|(viewer, _)| *viewer)
            .collect();
        silent.into_iter().flat_map(|viewer| self.release(viewer)).collect()
    }

    /// When [`HeldKeys::expire`] has something to do next.
    pub fn deadline(&self) -> Option<Instant> {
        self.viewers.values().filter(|holder| holder.holds()).map(|holder| holder.seen + HELD_TIMEOUT).min()
    }

    /// Frames that press and release nothing.
    fn passing(&mut self, viewer: ViewerId, slot: u8, frame: InputFrame) -> Option<Routed> {
        let holder = self.viewers.get_mut(&viewer)?;
        let sequences = self.slots.entry(slot).or_default();
        let frame = match frame {
            InputFrame::PointerMove { sequence, x, y } => {
                if holder.pointer_sequence.is_some_and(|last| !is_newer(sequence, last)) {
                    return None;
                }
                holder.pointer_sequence = Some(sequence);
                sequences.pointer = sequences.pointer.wrapping_add(1);
                InputFrame::PointerMove { sequence: sequences.pointer, x, y }
            }
            InputFrame::Pad { sequence, state } => {
                if holder.pad_sequence.get(&state.pad).is_some_and(|last| !is_newer(sequence, *last)) {
                    return None;
                }
                holder.pad_sequence.insert(state.pad, sequence);
                if state.is_neutral() {
                    holder.pads.remove(&state.pad);
                } else {
                    holder.pads.insert(state.pad, state);
                }
                InputFrame::Pad { sequence: sequences.next_pad(state.pad), state }
            }
            // Between viewer and gateway only.
            InputFrame::Heartbeat => return None,
            InputFrame::Key { .. }
            | InputFrame::Button { .. }
            | InputFrame::Wheel { .. }
            | InputFrame::Text(_)
            | InputFrame::PointerDelta { .. }
            | InputFrame::ReleaseAll
            | InputFrame::Touch { .. }
            | InputFrame::PadPresence { .. } => frame,
        };
        Some((slot, frame))
    }

    fn release(&mut self, viewer: ViewerId) -> Vec<Routed> {
        let Some(holder) = self.viewers.get_mut(&viewer) else { return Vec::new() };
        let slot = holder.slot;
        let held = std::mem::take(&mut holder.held);
        let pads = std::mem::take(&mut holder.pads);
        let at = self.slots.entry(slot).or_default().at;
        let mut out: Vec<Routed> = held
            .into_iter()
            .filter(|control| !self.held_by_another(viewer, slot, *control))
            .map(|control| (slot, control.release(at)))
            .collect();
        let sequences = self.slots.entry(slot).or_default();
        out.extend(pads.into_keys().map(|pad| {
            let state = PadState { pad, ..PadState::default() };
            (slot, InputFrame::Pad { sequence: sequences.next_pad(pad), state })
        }));
        out
    }

    fn held_by_another(&self, viewer: ViewerId, slot: u8, control: Control) -> bool {
        self.viewers
            .iter()
            .any(|(other, holder)| *other != viewer && holder.slot == slot && holder.held.contains(&control))
    }
}

impl Holder {
    fn new(slot: u8, seen: Instant) -> Self {
        Self {
            slot,
            held: BTreeSet::new(),
            pads: BTreeMap::new(),
            seen,
            pointer_sequence: None,
            pad_sequence: BTreeMap::new(),
        }
    }

    fn holds(&self) -> bool {
        !self.held.is_empty() || !self.pads.is_empty()
    }
}

impl Sequences {
    fn next_pad(&mut self, pad: u8) -> u16 {
        let sequence = self.pads.entry(pad).or_default();
        *sequence = sequence.wrapping_add(1);
        *sequence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(usage: u16, down: bool) -> InputFrame {
        InputFrame::Key { usage, down }
    }

    fn pad(sequence: u16, buttons: u32) -> InputFrame {
        InputFrame::Pad { sequence, state: PadState { buttons, ..PadState::default() } }
    }

    #[test]
    fn keys_of_a_viewer_that_left_are_released_and_others_stay() {
        let (mut keys, now, viewer) = (HeldKeys::default(), Instant::now(), ViewerId::new());
        assert_eq!(keys.frame(now, viewer, 0, key(4, true)), [(0, key(4, true))]);
        keys.frame(now, viewer, 0, key(5, true));
        keys.frame(now, viewer, 0, key(5, false));
        assert_eq!(keys.gone(viewer), [(0, key(4, false))]);
        assert_eq!(keys.gone(viewer), []);
        assert_eq!(keys.deadline(), None);
    }

    #[test]
    fn a_button_is_let_go_where_the_pointer_is() {
        let (mut keys, now, viewer) = (HeldKeys::default(), Instant::now(), ViewerId::new());
        let button = |down, x, y| InputFrame::Button { button: 0, down, x, y };
        keys.frame(now, viewer, 0, button(true, 7, 8));
        keys.frame(now, viewer, 0, InputFrame::PointerMove { sequence: 1, x: 9, y: 10 });
        assert_eq!(keys.gone(viewer), [(0, button(false, 9, 10))]);
    }

    #[test]
    fn a_key_two_viewers_hold_goes_up_with_the_last_of_them() {
        let (mut keys, now) = (HeldKeys::default(), Instant::now());
        let (a, b) = (ViewerId::new(), ViewerId::new());
        keys.frame(now, a, 0, key(4, true));
        keys.frame(now, b, 0, key(4, true));
        assert_eq!(keys.frame(now, a, 0, InputFrame::ReleaseAll), []);
        assert_eq!(keys.frame(now, b, 0, key(4, false)), [(0, key(4, false))]);
    }

    #[test]
    fn silence_while_holding_releases_and_a_heartbeat_does_not() {
        let (mut keys, start, viewer) = (HeldKeys::default(), Instant::now(), ViewerId::new());
        keys.frame(start, viewer, 0, key(4, true));
        let later = start + HELD_TIMEOUT / 2;
        assert_eq!(keys.frame(later, viewer, 0, InputFrame::Heartbeat), []);
        assert_eq!(keys.expire(start + HELD_TIMEOUT), []);
        assert_eq!(keys.deadline(), Some(later + HELD_TIMEOUT));
        assert_eq!(keys.expire(later + HELD_TIMEOUT), [(0, key(4, false))]);
    }

    #[test]
    fn changing_the_slot_releases_in_the_old_one() {
        let (mut keys, now, viewer) = (HeldKeys::default(), Instant::now(), ViewerId::new());
        keys.frame(now, viewer, 0, key(4, true));
        assert_eq!(keys.frame(now, viewer, 1, key(5, true)), [(0, key(4, false)), (1, key(5, true))]);
    }

    #[test]
    fn old_snapshots_are_dropped_and_a_viewer_that_came_back_counts_anew() {
        let (mut keys, now, viewer) = (HeldKeys::default(), Instant::now(), ViewerId::new());
        let moved = |sequence| InputFrame::PointerMove { sequence, x: 1, y: 2 };
        assert_eq!(keys.frame(now, viewer, 0, moved(500)), [(0, moved(1))]);
        assert_eq!(keys.frame(now, viewer, 0, moved(499)), []);
        keys.gone(viewer);
        assert_eq!(keys.frame(now, viewer, 0, moved(1)), [(0, moved(2))]);
    }

    #[test]
    fn a_pad_that_was_left_pressed_comes_to_rest() {
        let (mut keys, now, viewer) = (HeldKeys::default(), Instant::now(), ViewerId::new());
        assert_eq!(keys.frame(now, viewer, 0, pad(9, 1)), [(0, pad(1, 1))]);
        assert_eq!(keys.expire(now + HELD_TIMEOUT), [(0, pad(2, 0))]);
        keys.frame(now, viewer, 0, pad(10, 0));
        assert_eq!(keys.gone(viewer), []);
    }
}
