//! *The Garden of Forking Paths*: a short visual novel, 30 ticks a second.
//!
//! Holds the journey (what is saved), the sheet (what is on the page) and the phase of the picture. A page whose text
//! is there and whose music has ended is perfectly still.

mod journey;
mod motes;
mod music;
mod scenes;
mod sheet;
mod story;
mod text_court;
mod text_endings;
mod text_gate;
mod text_heights;

use super::kit::area::Area;
use super::kit::glyphs::Glyphs;
use super::kit::paint;
use super::kit::presses::{Press, Presses};
use super::kit::synth::Synth;
use super::kit::{HEIGHT, WIDTH, smooth};
use super::{AUDIO_BLOCK, Game, GameError, Rect};
use journey::Journey;
use motes::Motes;
use playgate_signaling::input::InputFrame;
use sheet::Sheet;
use story::{Scene, Then};
use tiny_skia::Pixmap;

const FADE_TICKS: u32 = 22;
/// The choices come in this many ticks.
const EXTRAS_TICKS: u32 = 6;
/// Above this many, what changed is drawn as one area.
const CHANGED_CAPACITY: usize = 48;

/// What the picture is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The old page is cleared; the new scene is painted at the next tick, so that an input shows at once.
    Turn,
    Fade(u32),
    Reveal(u32),
    /// All of the text is there; choices come, motes go.
    Settle(u32),
    Still,
}

pub(super) struct Garden {
    journey: Journey,
    presses: Presses,
    glyphs: Glyphs,
    synth: Synth,
    seed: u64,
    scene: Scene,
    /// The painted scene with its panel: what lies under text and choices.
    base: Pixmap,
    /// The base of the scene before, while it fades.
    before: Option<Pixmap>,
    sheet: Sheet,
    motes: Motes,
    phase: Phase,
    /// Skip the reveal once the scene is there.
    hurry: bool,
    focus: Option<usize>,
    changed: Vec<Area>,
    dirty: bool,
}

impl Garden {
    pub(super) fn new(seed: u64, save: Option<&[u8]>) -> Result<Self, GameError> {
        let journey = save.map_or_else(|| Ok(Journey::new()), Journey::from_bytes)?;
        let mut glyphs = Glyphs::new();
        let sheet = Sheet::new(&mut glyphs, &journey);
        let scene = journey.page().map_or(Scene::Title, |page| page.scene);
        let mut game = Self {
            base: base(&mut glyphs, scene, &journey),
            motes: Motes::new(seed, scenes::tint(scene).1),
            focus: journey.page().is_none().then_some(0),
            journey,
            presses: Presses::new(),
            glyphs,
            synth: Synth::new(),
            seed,
            scene,
            before: None,
            sheet,
            phase: Phase::Settle(EXTRAS_TICKS),
            hurry: false,
            changed: vec![Area::ALL],
            dirty: false,
        };
        game.synth.play(music::phrase(scene));
        Ok(game)
    }

    /// The tick of the reveal that is drawn.
    fn shown(&self) -> u32 {
        match self.phase {
            Phase::Turn | Phase::Fade(_) => 0,
            Phase::Reveal(tick) => tick,
            Phase::Settle(_) | Phase::Still => self.sheet.length,
        }
    }

    fn press(&mut self, press: Press) {
        match press {
            Press::Hover(x, y) => {
                if let Some(index) = self.sheet.hit(x, y) {
                    self.focus_on(index);
                }
            }
            Press::Escape => self.leave_or_return(),
            Press::Back => {
                if self.journey.back() {
                    self.open(true);
                }
            }
            Press::Up
            | Press::Down
            | Press::Left
            | Press::Right
            | Press::Confirm
            | Press::Digit(_)
            | Press::Click(..) => match self.phase {
                Phase::Turn => self.hurry = true,
                Phase::Fade(_) | Phase::Reveal(_) => self.complete(),
                Phase::Settle(_) | Phase::Still => self.answer(press),
            },
        }
    }

    /// A press on a page whose text is all there.
    fn answer(&mut self, press: Press) {
        let count = self.sheet.pills.len();
        match press {
            Press::Confirm if count > 0 => match self.focus {
                Some(index) => self.choose(index),
                None => self.focus_on(0),
            },
            Press::Confirm | Press::Right | Press::Down if count == 0 => self.advance(),
            Press::Click(x, y) => match self.sheet.hit(x, y) {
                Some(index) => self.choose(index),
                None if count == 0 => self.advance(),
                None => {}
            },
            Press::Digit(digit) if usize::from(digit) <= count => self.choose(usize::from(digit) - 1),
            Press::Down | Press::Right if count > 0 => {
                self.focus_on(self.focus.map_or(0, |index| (index + 1) % count));
            }
            Press::Up | Press::Left if count > 0 => {
                self.focus_on(self.focus.map_or(count - 1, |index| (index + count - 1) % count));
            }
            Press::Up
            | Press::Down
            | Press::Left
            | Press::Right
            | Press::Confirm
            | Press::Digit(_)
            | Press::Hover(..)
            | Press::Back
            | Press::Escape => {}
        }
    }

    fn advance(&mut self) {
        if self.journey.advance() {
            self.synth.play(music::tick(69.0));
            self.open(false);
        }
    }

    fn choose(&mut self, index: usize) {
        match self.journey.page().map(|page| &page.then) {
            None if index == 0 && self.journey.can_continue() => self.journey.resume(),
            None => self.journey.begin(),
            Some(Then::End(_)) if index == 0 => self.journey.begin(),
            Some(Then::End(_)) => self.journey.show_title(),
            Some(Then::Choose(_) | Then::To(_) | Then::Depends(_)) => {
                if !self.journey.choose(index) {
                    return;
                }
            }
        }
        self.synth.play(music::chosen());
        self.open(false);
    }

    fn leave_or_return(&mut self) {
        if self.journey.page().is_some() {
            self.journey.show_title();
        } else if self.journey.can_continue() {
            self.journey.resume();
        } else {
            return;
        }
        self.open(true);
    }

    fn focus_on(&mut self, index: usize) {
        if self.focus != Some(index) && index < self.sheet.pills.len() {
            self.focus = Some(index);
            self.changed.push(self.sheet.extras());
            self.synth.play(music::tick(76.0));
        }
    }

    /// Makes the sheet of where the journey is now; `hurry` shows it without the reveal.
    fn open(&mut self, hurry: bool) {
        self.dirty = true;
        self.hurry = hurry;
        self.changed.push(self.sheet.area());
        self.sheet = Sheet::new(&mut self.glyphs, &self.journey);
        self.focus = self.journey.page().is_none().then_some(0);
        let scene = self.journey.page().map_or(Scene::Title, |page| page.scene);
        if scene == self.scene && self.phase != Phase::Turn {
            if matches!(self.phase, Phase::Fade(_)) {
                self.changed.push(Area::ALL);
            }
            self.before = None;
            self.start();
        } else {
            self.scene = scene;
            self.phase = Phase::Turn;
        }
    }

    /// Paints the new scene and lets it fade in.
    fn turn(&mut self) {
        let new = base(&mut self.glyphs, self.scene, &self.journey);
        self.before = Some(std::mem::replace(&mut self.base, new));
        self.motes = Motes::new(self.seed ^ self.scene as u64, scenes::tint(self.scene).1);
        self.synth.hush();
        self.synth.play(music::phrase(self.scene));
        self.phase = Phase::Fade(0);
    }

    fn start(&mut self) {
        self.phase = if self.hurry || self.sheet.length == 0 { Phase::Settle(0) } else { Phase::Reveal(0) };
        self.hurry = false;
        if matches!(self.phase, Phase::Settle(_)) {
            self.changed.push(self.sheet.area());
        }
    }

    /// Ends fade and reveal at once.
    fn complete(&mut self) {
        let area = if self.before.take().is_some() { Area::ALL } else { self.sheet.area() };
        self.changed.push(area);
        self.phase = Phase::Settle(0);
    }

    fn extras_alpha(&self) -> u8 {
        match self.phase {
            Phase::Turn | Phase::Fade(_) | Phase::Reveal(_) => 0,
            Phase::Settle(tick) => (tick.min(EXTRAS_TICKS) * 255 / EXTRAS_TICKS) as u8,
            Phase::Still => 255,
        }
    }

    fn compose(&mut self, picture: &mut Pixmap, area: Area) {
        paint::copy(&self.base, picture, area);
        if self.phase == Phase::Turn {
            return;
        }
        self.motes.draw(picture, area);
        let shown = self.shown();
        self.sheet.draw_text(&mut self.glyphs, picture, shown, area);
        self.sheet.draw_extras(picture, self.focus, self.extras_alpha(), area);
    }
}

/// A scene with its furniture. The sizes are constants, so that it always can be made.
fn base(glyphs: &mut Glyphs, scene: Scene, journey: &Journey) -> Pixmap {
    let mut picture = scenes::paint(scene, journey.endings()).expect("a picture of constant size");
    sheet::furnish(glyphs, &mut picture, journey);
    picture
}

impl Game for Garden {
    fn input(&mut self, _slot: u8, event: &InputFrame) {
        for press in self.presses.read(event) {
            self.press(press);
        }
    }

    fn tick(&mut self) {
        match self.phase {
            Phase::Turn => self.turn(),
            Phase::Fade(tick) if tick >= FADE_TICKS || self.hurry => {
                self.before = None;
                self.changed.push(Area::ALL);
                self.start();
            }
            Phase::Fade(tick) => self.phase = Phase::Fade(tick + 1),
            Phase::Reveal(tick) if tick >= self.sheet.length => {
                self.phase = Phase::Settle(0);
            }
            Phase::Reveal(tick) => {
                self.changed.push(self.sheet.changes(tick, tick + 1));
                self.phase = Phase::Reveal(tick + 1);
            }
            Phase::Settle(tick) => {
                self.phase = Phase::Settle(tick + 1);
                if tick < EXTRAS_TICKS {
                    self.changed.push(self.sheet.extras());
                } else if !self.motes.lit() {
                    self.phase = Phase::Still;
                }
            }
            Phase::Still => {}
        }
        match self.phase {
            Phase::Turn | Phase::Fade(_) => self.motes.quench(),
            Phase::Reveal(_) => self.motes.tick(true, &mut self.changed),
            Phase::Settle(_) | Phase::Still => self.motes.tick(false, &mut self.changed),
        }
        self.changed.retain(|area| !area.is_empty());
        if self.changed.len() > CHANGED_CAPACITY {
            let all = self.changed.iter().fold(Area::EMPTY, |all, area| all.union(*area));
            self.changed = vec![all];
        }
    }

    fn idle(&self) -> bool {
        self.phase == Phase::Still && self.changed.is_empty() && self.synth.silent()
    }

    fn draw(&mut self, picture: &mut Pixmap) -> Option<Rect> {
        if (picture.width(), picture.height()) != (WIDTH, HEIGHT) {
            return None;
        }
        if let (Phase::Fade(tick), Some(before)) = (self.phase, &self.before) {
            self.changed.clear();
            let t = smooth(tick as f32 / FADE_TICKS as f32);
            paint::mix(picture, before, &self.base, (t * 256.0) as u16);
            return Area::ALL.rect();
        }
        let changed = std::mem::take(&mut self.changed);
        let mut all = Area::EMPTY;
        for area in changed {
            self.compose(picture, area);
            all = all.union(area);
        }
        all.rect()
    }

    fn sound(&mut self, block: &mut [i16; AUDIO_BLOCK]) -> bool {
        self.synth.render(block)
    }

    fn save(&self) -> Vec<u8> {
        self.journey.to_bytes()
    }

    fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.dirty)
    }
}

/// The river with the reader's first question over it: the picture for a catalogue.
pub(super) fn still() -> Option<Pixmap> {
    scenes::paint(Scene::Fork, 0)
}
