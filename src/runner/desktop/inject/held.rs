//! Who holds what. A key that two players hold, or one by keyboard and by pad, goes down once and comes up with the last
//! of them. Pure.
//!
//! Bounded by what can be held: keys and buttons of the server times the holders, which are bytes.

use super::super::pads::Control;
use std::collections::{BTreeMap, BTreeSet};

/// What the X server knows as down or up, by its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Thing {
    Key(u8),
    Button(u8),
}

/// A player's finger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Holder {
    pub(super) slot: u8,
    pub(super) by: By,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum By {
    /// Two usages may name one key.
    Key(u16),
    Button,
    Touch,
    Pad(u8, Control),
}

#[derive(Debug, Default)]
pub(super) struct Held {
    things: BTreeMap<Thing, BTreeSet<Holder>>,
}

impl Held {
    /// True when it has to go down now: nobody held it before.
    pub(super) fn press(&mut self, thing: Thing, holder: Holder) -> bool {
        let holders = self.things.entry(thing).or_default();
        let first = holders.is_empty();
        holders.insert(holder);
        first
    }

    /// True when it has to come up now: nobody else holds it.
    pub(super) fn release(&mut self, thing: Thing, holder: Holder) -> bool {
        let Some(holders) = self.things.get_mut(&thing) else { return false };
        let last = holders.remove(&holder) && holders.is_empty();
        if holders.is_empty() {
            self.things.remove(&thing);
        }
        last
    }

    /// Everything that has to come up when these holders let go.
    pub(super) fn release_where(&mut self, lets_go: impl Fn(&Holder) -> bool) -> Vec<Thing> {
        let mut out = Vec::new();
        self.things.retain(|thing, holders| {
            holders.retain(|holder| !lets_go(holder));
            if holders.is_empty() {
                out.push(*thing);
            }
            !holders.is_empty()
        });
        out
    }

    pub(super) fn is_held(&self, thing: Thing) -> bool {
        self.things.contains_key(&thing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ENTER: Thing = Thing::Key(36);

    fn player(slot: u8) -> Holder {
        Holder { slot, by: By::Key(0x28) }
    }

    #[test]
    fn a_key_of_two_players_goes_down_with_the_first_and_up_with_the_last() {
        let mut held = Held::default();
        assert!(held.press(ENTER, player(0)));
        assert!(!held.press(ENTER, player(0)), "a repeat presses nothing");
        assert!(!held.press(ENTER, player(1)));
        assert!(!held.release(ENTER, player(0)));
        assert!(!held.release(ENTER, player(0)), "it was let go of already");
        assert!(held.is_held(ENTER));
        assert!(held.release(ENTER, player(1)));
        assert!(!held.is_held(ENTER));
    }

    #[test]
    fn one_player_by_keyboard_and_pad_holds_twice() {
        let mut held = Held::default();
        let pad = Holder { slot: 0, by: By::Pad(0, Control::A) };
        assert!(held.press(ENTER, player(0)));
        assert!(!held.press(ENTER, pad));
        assert!(!held.release(ENTER, player(0)));
        assert!(held.release(ENTER, pad));
    }

    #[test]
    fn a_player_who_lets_go_of_everything_takes_nothing_from_the_other() {
        let mut held = Held::default();
        held.press(ENTER, player(0));
        held.press(ENTER, player(1));
        held.press(Thing::Button(1), Holder { slot: 0, by: By::Button });
        assert_eq!(held.release_where(|holder| holder.slot == 0), [Thing::Button(1)]);
        assert_eq!(held.release_where(|_| true), [ENTER]);
    }

    proptest! {
        #[test]
        fn whatever_is_pressed_comes_up_exactly_once(
            events in proptest::collection::vec((0..4_u8, 0..3_u8, any::<bool>()), 0..60)
        ) {
            let mut held = Held::default();
            let mut down = BTreeSet::new();
            for (key, slot, press) in events {
                let thing = Thing::Key(key);
                if press {
                    if held.press(thing, player(slot)) {
                        prop_assert!(down.insert(thing));
                    }
                } else if held.release(thing, player(slot)) {
                    prop_assert!(down.remove(&thing));
                }
            }
            for thing in held.release_where(|_| true) {
                prop_assert!(down.remove(&thing));
            }
            prop_assert!(down.is_empty());
        }
    }
}
