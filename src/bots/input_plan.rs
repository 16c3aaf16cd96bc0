//! What a playing bot does with keyboard and mouse: a small text, read once, and played from a seed.
//!
//! A plan is a list of lines, split by `;` or a new line; `#` begins a comment. A line is `ACTION [hold TIME] every TIME
//! [after TIME]`, its words in this order:
//!
//! | action | what it does |
//! |---|---|
//! | `key:right` | presses a key: a letter, a digit, `up` `down` `left` `right` `enter` `space` `escape` `tab` `backspace` `shift` `control` `alt` |
//! | `button:left` | presses a mouse button (`left`, `middle`, `right`), `button:left@0.5,0.25` at this share of the picture |
//! | `move` | moves the pointer somewhere, `move:0.5,0.25` there |
//! | `wheel:up`, `wheel:down` | one notch |
//! | `random` | presses one of the arrow keys, space and enter |
//!
//! Times are `20ms`, `1s`, `2m`. What is pressed is held for 80 ms where nothing else is said. `random` and `move` draw from
//! the bot's seed: the same seed does the same.

use playgate_signaling::input::InputFrame;
use std::collections::VecDeque;
use std::str::FromStr;
use std::time::{Duration, Instant};

const HOLD: Duration = Duration::from_millis(80);
/// No line is played more often than this.
const SHORTEST: Duration = Duration::from_millis(5);
const MAX_LINES: usize = 64;
/// What `random` presses: USB HID usages (page 0x07).
const RANDOM_KEYS: [u16; 6] = [0x4f, 0x50, 0x51, 0x52, 0x2c, 0x28];

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    #[error("`{0}`: a line is `ACTION [hold TIME] every TIME [after TIME]`")]
    Shape(String),
    #[error("`{0}` is no action: key:NAME, button:NAME[@X,Y], move[:X,Y], wheel:up, wheel:down, random")]
    Action(String),
    #[error("`{0}` is no key")]
    Key(String),
    #[error("`{0}` is no place: two shares of the picture, 0 to 1, like 0.5,0.25")]
    Place(String),
    #[error("{0}")]
    Time(String),
    #[error("a plan has at most {MAX_LINES} lines")]
    TooLong,
}

/// What to do, over and over.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct InputPlan {
    lines: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq)]
struct Line {
    action: Action,
    hold: Duration,
    every: Duration,
    after: Duration,
}

#[derive(Debug, Clone, PartialEq)]
enum Action {
    Key(u16),
    Button(u8, Option<(u16, u16)>),
    Move(Option<(u16, u16)>),
    Wheel(i16),
    Random,
}

impl InputPlan {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

impl FromStr for InputPlan {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let lines = text
            .split(['\n', ';'])
            .map(|line| line.split('#').next().unwrap_or_default().trim())
            .filter(|line| !line.is_empty())
            .map(line)
            .collect::<Result<Vec<_>, _>>()?;
        if lines.len() > MAX_LINES { Err(PlanError::TooLong) } else { Ok(Self { lines }) }
    }
}

fn line(text: &str) -> Result<Line, PlanError> {
    let mut words = text.split_whitespace();
    let action = action(words.next().unwrap_or_default())?;
    let (mut hold, mut every, mut after) = (HOLD, None, None);
    let mut last = 0;
    while let Some(word) = words.next() {
        let shape = || PlanError::Shape(text.to_owned());
        let time = duration(words.next().ok_or_else(shape)?).map_err(PlanError::Time)?;
        let place = match word {
            "hold" => 1,
            "every" => 2,
            "after" => 3,
            _ => return Err(shape()),
        };
        if place <= last {
            return Err(shape());
        }
        last = place;
        match place {
            1 => hold = time,
            2 => every = Some(time.max(SHORTEST)),
            _ => after = Some(time),
        }
    }
    let every = every.ok_or_else(|| PlanError::Shape(text.to_owned()))?;
    Ok(Line { action, hold, every, after: after.unwrap_or(every) })
}

fn action(text: &str) -> Result<Action, PlanError> {
    let wrong = || PlanError::Action(text.to_owned());
    let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
    match (kind, rest) {
        ("random", "") => Ok(Action::Random),
        ("move", "") => Ok(Action::Move(None)),
        ("move", at) => Ok(Action::Move(Some(place(at)?))),
        ("wheel", "up") => Ok(Action::Wheel(-120)),
        ("wheel", "down") => Ok(Action::Wheel(120)),
        ("key", name) => Ok(Action::Key(key(name)?)),
        ("button", rest) => {
            let (name, at) = rest.split_once('@').map_or((rest, None), |(name, at)| (name, Some(at)));
            let button =
                ["left", "middle", "right"].iter().position(|known| *known == name).ok_or_else(wrong)?;
            let at = at.map(place).transpose()?;
            Ok(Action::Button(u8::try_from(button).unwrap_or_default(), at))
        }
        _ => Err(wrong()),
    }
}

/// A USB HID usage of page 0x07.
fn key(name: &str) -> Result<u16, PlanError> {
    if let [byte] = *name.as_bytes() {
        match byte.to_ascii_lowercase() {
            letter @ b'a'..=b'z' => return Ok(0x04 + u16::from(letter - b'a')),
            b'0' => return Ok(0x27),
            digit @ b'1'..=b'9' => return Ok(0x1e + u16::from(digit - b'1')),
            _ => {}
        }
    }
    Ok(match name {
        "enter" => 0x28,
        "escape" => 0x29,
        "backspace" => 0x2a,
        "tab" => 0x2b,
        "space" => 0x2c,
        "right" => 0x4f,
        "left" => 0x50,
        "down" => 0x51,
        "up" => 0x52,
        "control" => 0xe0,
        "shift" => 0xe1,
        "alt" => 0xe2,
        _ => return Err(PlanError::Key(name.to_owned())),
    })
}

fn place(text: &str) -> Result<(u16, u16), PlanError> {
    let wrong = || PlanError::Place(text.to_owned());
    let share = |text: &str| {
        let share: f64 = text.trim().parse().map_err(|_| wrong())?;
        if !(0.0..=1.0).contains(&share) {
            return Err(wrong());
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 65535")]
        let at = (share * 65_535.0).round() as u16;
        Ok(at)
    };
    let (x, y) = text.split_once(',').ok_or_else(wrong)?;
    Ok((share(x)?, share(y)?))
}

/// A number with `ms`, `s` or `m`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().map_err(|_| format!("`{text}` does not start with a number"))?;
    let milliseconds = match unit {
        "ms" => number,
        "s" => number.saturating_mul(1_000),
        "m" => number.saturating_mul(60_000),
        other => return Err(format!("unknown unit `{other}`: use ms, s or m")),
    };
    Ok(Duration::from_millis(milliseconds))
}

/// A plan being played.
#[derive(Debug)]
pub struct Script {
    lines: Vec<(Line, Instant)>,
    /// What is let go of, soonest first.
    releases: VecDeque<(Instant, InputFrame)>,
    random: u64,
    sequence: u16,
}

impl Script {
    #[must_use]
    pub fn new(plan: &InputPlan, seed: u64, now: Instant) -> Self {
        let lines = plan.lines.iter().map(|line| (line.clone(), now + line.after)).collect();
        Self { lines, releases: VecDeque::new(), random: seed, sequence: 0 }
    }

    /// When something is to be done next.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        let presses = self.lines.iter().map(|(_, at)| *at);
        presses.chain(self.releases.front().map(|(at, _)| *at)).min()
    }

    /// What is to be sent now.
    pub fn frames(&mut self, now: Instant) -> Vec<InputFrame> {
        let mut frames = Vec::new();
        while let Some((_, frame)) = self.releases.pop_front_if(|(at, _)| *at <= now) {
            frames.push(frame);
        }
        for at in 0..self.lines.len() {
            let Some((line, due)) = self.lines.get_mut(at).filter(|(_, due)| *due <= now) else { continue };
            // What was slept through is left out.
            *due += line.every;
            if *due < now {
                *due = now + line.every;
            }
            let (action, hold) = (line.action.clone(), line.hold);
            let (press, release) = self.act(&action);
            frames.push(press);
            if let Some(release) = release {
                let at = self.releases.partition_point(|(other, _)| *other <= now + hold);
                self.releases.insert(at, (now + hold, release));
            }
        }
        frames
    }

    fn act(&mut self, action: &Action) -> (InputFrame, Option<InputFrame>) {
        let key =
            |usage| (InputFrame::Key { usage, down: true }, Some(InputFrame::Key { usage, down: false }));
        match *action {
            Action::Key(usage) => key(usage),
            Action::Random => {
                let at = usize::try_from(self.draw() % RANDOM_KEYS.len() as u64).unwrap_or_default();
                key(RANDOM_KEYS.get(at).copied().unwrap_or(RANDOM_KEYS[0]))
            }
            Action::Button(button, at) => {
                let (x, y) = at.unwrap_or((32_768, 32_768));
                let frame = |down| InputFrame::Button { button, down, x, y };
                (frame(true), Some(frame(false)))
            }
            Action::Move(at) => {
                let drawn = self.draw().to_be_bytes();
                let [x0, x1, y0, y1, ..] = drawn;
                let (x, y) = at.unwrap_or((u16::from_be_bytes([x0, x1]), u16::from_be_bytes([y0, y1])));
                self.sequence = self.sequence.wrapping_add(1);
                (InputFrame::PointerMove { sequence: self.sequence, x, y }, None)
            }
            Action::Wheel(dy) => (InputFrame::Wheel { dx: 0, dy }, None),
        }
    }

    /// SplitMix64.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn played(plan: &str, seed: u64, ms: u64) -> Vec<(u64, InputFrame)> {
        let start = Instant::now();
        let mut script = Script::new(&plan.parse().unwrap(), seed, start);
        let mut out = Vec::new();
        while let Some(due) = script.due().filter(|due| *due <= start + Duration::from_millis(ms)) {
            let at = u64::try_from((due - start).as_millis()).unwrap();
            out.extend(script.frames(due).into_iter().map(|frame| (at, frame)));
        }
        out
    }

    #[test]
    fn a_key_is_pressed_and_let_go_of() {
        let frames = played("key:right every 1s", 1, 2_500);
        let key = |down| InputFrame::Key { usage: 0x4f, down };
        assert_eq!(frames, [(1000, key(true)), (1080, key(false)), (2000, key(true)), (2080, key(false))]);
    }

    #[test]
    fn lines_are_played_side_by_side() {
        let frames = played(
            "key:a hold 10ms every 1s after 0ms # jump\n button:right@1,0 every 700ms; wheel:up every 2s",
            1,
            800,
        );
        let button = |down| InputFrame::Button { button: 2, down, x: 65_535, y: 0 };
        let key = |down| InputFrame::Key { usage: 4, down };
        assert_eq!(frames, [(0, key(true)), (10, key(false)), (700, button(true)), (780, button(false))]);
    }

    #[test]
    fn the_same_seed_does_the_same() {
        let plan = "random every 100ms; move every 50ms";
        assert_eq!(played(plan, 7, 2_000), played(plan, 7, 2_000));
        assert_ne!(played(plan, 7, 2_000), played(plan, 8, 2_000));
    }

    #[test]
    fn what_was_slept_through_is_left_out() {
        let start = Instant::now();
        let mut script = Script::new(&"wheel:down every 10ms".parse().unwrap(), 0, start);
        assert_eq!(script.frames(start + Duration::from_secs(9)).len(), 1);
    }

    #[test]
    fn what_is_no_plan_is_refused_with_words() {
        let refused = |text: &str| text.parse::<InputPlan>().unwrap_err();
        for text in [
            "key:right",
            "key:right every",
            "key:right each 1s",
            "key:a every 1s hold 1s",
            "key:a every 1s every 1s",
        ] {
            assert!(matches!(refused(text), PlanError::Shape(_)), "{text}");
        }
        for text in ["jump every 1s", "wheel:left every 1s", "button:fourth every 1s", "random:x every 1s"] {
            assert!(matches!(refused(text), PlanError::Action(_)), "{text}");
        }
        assert_eq!(refused("key:hyper every 1s"), PlanError::Key("hyper".to_owned()));
        assert!(matches!(refused("move:2,0 every 1s"), PlanError::Place(_)));
        assert!(matches!(refused("key:a every 1h"), PlanError::Time(_)));
        assert_eq!(refused(&"random every 1s;".repeat(65)), PlanError::TooLong);
        assert!(
            "".parse::<InputPlan>().unwrap().is_empty()
                && " # none\n;".parse::<InputPlan>().unwrap().is_empty()
        );
    }

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["30", "s", "1h", "-1s", ""] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_plan_or_refused(text in ".{0,80}") {
            let _ = text.parse::<InputPlan>();
        }
    }
}
