//! Pads as keys and mouse. Pure: says what goes down and up and how far the mouse goes; time is given.
//!
//! A control goes down well out and comes up well in, so that a trembling thumb does not hammer. A stick that moves the
//! mouse does so evenly in time, whatever the rate of its snapshots: the caller asks again at [`Mapped::deadline`].

use super::control::{BUTTONS, Control, Stick};
use super::{Deed, PadMap, PadSink};
use playgate_signaling::input::PadState;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Of 32767: a direction is pressed from here on, and let go of below the other.
const STICK_DOWN: i32 = 16_000;
const STICK_UP: i32 = 11_000;
/// Of 255, for triggers.
const TRIGGER_DOWN: u8 = 96;
const TRIGGER_UP: u8 = 48;
/// A stick nearer to the middle than this part of its way does not move the mouse.
const DEAD: f32 = 0.15;
/// Between two motions of the mouse.
const STEP: Duration = Duration::from_millis(8);
/// Time that was slept over is not made good beyond this.
const MOST: Duration = Duration::from_millis(50);
/// Index of the left trigger among the buttons; the right one is the next.
const LEFT_TRIGGER: usize = 6;

/// Player and pad.
type Key = (u8, u8);

pub(super) struct Mapped {
    map: PadMap,
    /// Pixels a second of a stick pushed all the way: the screen's width.
    speed: f32,
    held: BTreeMap<Key, BTreeSet<Control>>,
    /// Where the sticks that move the mouse are, as a velocity of at most 1.
    pushed: BTreeMap<(Key, Stick), (f32, f32)>,
    last: Option<Instant>,
    rest: (f32, f32),
}

impl Mapped {
    pub(super) fn new(map: PadMap, width: u32) -> Self {
        let speed = f32::from(u16::try_from(width).unwrap_or(u16::MAX));
        Self { map, speed, held: BTreeMap::new(), pushed: BTreeMap::new(), last: None, rest: (0.0, 0.0) }
    }

    fn forget(&mut self, is_gone: impl Fn(&Key) -> bool) {
        self.held.retain(|key, _| !is_gone(key));
        self.pushed.retain(|(key, _), _| !is_gone(key));
        self.settle();
    }

    /// Nothing is left of a motion when the last stick rests.
    fn settle(&mut self) {
        if self.pushed.is_empty() {
            self.last = None;
            self.rest = (0.0, 0.0);
        }
    }
}

impl PadSink for Mapped {
    fn presence(&mut self, slot: u8, pad: u8, connected: bool) -> Vec<Deed> {
        // A pad that was just connected is in nobody's hand; one that is gone lets go.
        let _ = connected;
        self.state(slot, &PadState { pad, ..PadState::default() }, Instant::now())
    }

    fn state(&mut self, slot: u8, state: &PadState, now: Instant) -> Vec<Deed> {
        let key = (slot, state.pad);
        let before = self.held.remove(&key).unwrap_or_default();
        let after: BTreeSet<Control> = Control::all()
            .filter(|control| self.map.action(*control).is_some())
            .filter(|control| is_down(*control, state, before.contains(control)))
            .collect();
        let deed = |control: &Control, down| {
            let action = self.map.action(*control)?;
            Some(Deed { pad: state.pad, control: *control, action, down })
        };
        let up = before.difference(&after).filter_map(|control| deed(control, false));
        let down = after.difference(&before).filter_map(|control| deed(control, true));
        let deeds = up.chain(down).collect();
        if !after.is_empty() {
            self.held.insert(key, after);
        }
        for stick in Stick::BOTH.into_iter().filter(|stick| self.map.moves_mouse(*stick)) {
            match velocity(stick.place(state.axes)) {
                Some(velocity) => self.pushed.insert((key, stick), velocity),
                None => self.pushed.remove(&(key, stick)),
            };
        }
        if !self.pushed.is_empty() {
            self.last.get_or_insert(now);
        }
        self.settle();
        deeds
    }

    fn release(&mut self, slot: u8) {
        self.forget(|(player, _)| *player == slot);
    }

    fn release_all(&mut self) {
        self.forget(|_| true);
    }

    fn moved(&mut self, now: Instant) -> (i16, i16) {
        let Some(last) = self.last else { return (0, 0) };
        let spent = now.saturating_duration_since(last);
        if spent < STEP {
            return (0, 0);
        }
        self.last = Some(now);
        let way = self.speed * spent.min(MOST).as_secs_f32();
        let (x, y) = self.pushed.values().fold(self.rest, |(x, y), (vx, vy)| (x + vx * way, y + vy * way));
        self.rest = (x.fract(), y.fract());
        (whole(x), whole(y))
    }

    fn deadline(&self) -> Option<Instant> {
        self.last.map(|last| last + STEP)
    }
}

fn is_down(control: Control, state: &PadState, was_down: bool) -> bool {
    if let Some(index) = BUTTONS.iter().position(|button| *button == control) {
        let pressed = state.buttons & (1 << index) != 0;
        let trigger = index.checked_sub(LEFT_TRIGGER).and_then(|which| state.triggers.get(which));
        let far = if was_down { TRIGGER_UP } else { TRIGGER_DOWN };
        return pressed || trigger.is_some_and(|trigger| *trigger >= far);
    }
    let far = if was_down { STICK_UP } else { STICK_DOWN };
    Stick::BOTH.into_iter().any(|stick| {
        let (x, y) = stick.place(state.axes);
        let (x, y) = (i32::from(x), i32::from(y));
        stick
            .directions()
            .into_iter()
            .zip([-y, y, -x, x])
            .any(|(direction, out)| direction == control && out >= far)
    })
}

/// A stick's push as a velocity: slow near the middle, for aiming, 1 all the way out. `None` at rest.
fn velocity((x, y): (i16, i16)) -> Option<(f32, f32)> {
    let (x, y) = (f32::from(x) / 32_767.0, f32::from(y) / 32_767.0);
    let out = x.hypot(y);
    if out < DEAD {
        return None;
    }
    let share = ((out.min(1.0) - DEAD) / (1.0 - DEAD)).powi(2);
    Some((x / out * share, y / out * share))
}

/// Towards zero; what is left stays in the remainder.
fn whole(way: f32) -> i16 {
    #[expect(clippy::cast_possible_truncation, reason = "clamped to what fits")]
    let whole = way.trunc().clamp(-32_767.0, 32_767.0) as i16;
    whole
}

#[cfg(test)]
mod tests {
    use super::super::Action;
    use super::*;

    fn mapped(names: &[(&str, &str)]) -> Mapped {
        let names = names.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        Mapped::new(PadMap::new(&names).expect("good"), 1000)
    }

    fn downs(deeds: &[Deed]) -> Vec<(Control, bool)> {
        deeds.iter().map(|deed| (deed.control, deed.down)).collect()
    }

    #[test]
    fn buttons_go_down_and_up_once() {
        let (mut pads, now) =
            (mapped(&[("a", "Enter"), ("b", "Enter"), ("guide", "Escape")]), Instant::now());
        let pressed = PadState { buttons: 0b11 | 1 << 16, ..PadState::default() };
        let deeds = pads.state(0, &pressed, now);
        assert_eq!(downs(&deeds), [(Control::A, true), (Control::B, true), (Control::Guide, true)]);
        assert_eq!(deeds[0].action, Action::Key(36));
        assert!(pads.state(0, &pressed, now).is_empty());
        assert_eq!(pads.state(1, &pressed, now).len(), 3, "another player's pad is another pad");
        let deeds = pads.state(0, &PadState { buttons: 0b10, ..PadState::default() }, now);
        assert_eq!(downs(&deeds), [(Control::A, false), (Control::Guide, false)]);
        assert_eq!(downs(&pads.presence(0, 0, false)), [(Control::B, false)]);
        pads.release_all();
        assert!(pads.held.is_empty());
    }

    #[test]
    fn a_trembling_thumb_presses_once() {
        let (mut pads, now) = (mapped(&[("left", "ArrowLeft"), ("rt", "mouse-left")]), Instant::now());
        let mut stick =
            |x| downs(&pads.state(0, &PadState { axes: [x, 0, 0, 0], ..PadState::default() }, now));
        assert!(stick(-15_000).is_empty());
        assert_eq!(stick(-16_500), [(Control::LeftStickLeft, true)]);
        assert!(stick(-12_000).is_empty() && stick(-17_000).is_empty());
        assert_eq!(stick(i16::MIN), []);
        assert_eq!(stick(-9_000), [(Control::LeftStickLeft, false)]);
        let mut trigger =
            |far| downs(&pads.state(0, &PadState { triggers: [0, far], ..PadState::default() }, now));
        assert!(trigger(95).is_empty());
        assert_eq!(trigger(96), [(Control::Rt, true)]);
        assert!(trigger(48).is_empty());
        assert_eq!(trigger(47), [(Control::Rt, false)]);
    }

    #[test]
    fn a_stick_moves_the_mouse_by_time_and_not_by_snapshots() {
        let mut pads = mapped(&[("right-stick", "mouse-move")]);
        let begun = Instant::now();
        let pushed = PadState { axes: [0, 0, 32_767, 0], ..PadState::default() };
        assert_eq!(pads.deadline(), None);
        let mut way = 0;
        for ms in 0..=1000 {
            let now = begun + Duration::from_millis(ms);
            pads.state(0, &pushed, now);
            way += i32::from(pads.moved(now).0);
        }
        assert!((990..=1000).contains(&way), "the screen's width in a second: {way}");
        assert!(pads.deadline().is_some());
        let later = begun + Duration::from_secs(60);
        assert!(pads.moved(later).0 <= 50, "a stall is not made good");
        pads.state(0, &PadState { axes: [0, 0, 3000, -3000], ..PadState::default() }, later);
        assert_eq!((pads.deadline(), pads.moved(later)), (None, (0, 0)), "near the middle it rests");
        pads.state(0, &pushed, later);
        pads.release(0);
        assert_eq!(pads.deadline(), None);
    }

    #[test]
    fn a_stick_is_slower_near_the_middle() {
        let (slow, _) = velocity((16_000, 0)).expect("moves");
        assert!(slow > 0.0 && slow < 0.25, "{slow}");
        let (x, y) = velocity((i16::MIN, i16::MIN)).expect("moves");
        assert!(x.hypot(y) <= 1.001 && x < 0.0 && y < 0.0);
    }
}
