//! *Ember*: an arcade game, 60 ticks a second. One ember, a lake at night, lanterns to light, moths to dash through.
//!
//! Holds the phase of the game, the best score (what is saved) and the glue between world, view and sound.

mod art;
mod beings;
mod brood;
mod controls;
mod hud;
mod pilot;
mod sounds;
mod view;
mod world;

use super::kit::synth::Synth;
use super::{AUDIO_BLOCK, Game, GameError, Rect};
use controls::Controls;
use playgate_signaling::input::InputFrame;
use serde::{Deserialize, Serialize};
use tiny_skia::Pixmap;
use view::View;
use world::World;

const SAVE_VERSION: u32 = 1;
const SAVE_LIMIT: usize = 4 * 1024;
/// After a game ends a press starts the next one only after this many ticks: the last dash was not meant for it.
const REST_TICKS: u32 = 40;
/// The title comes back when nobody starts again for this many ticks.
const LINGER_TICKS: u32 = 1_800;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The game plays itself behind the title.
    Title,
    Playing,
    Over(u32),
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Save {
    version: u32,
    best: u32,
    games: u32,
}

pub(super) struct Ember {
    phase: Phase,
    world: World,
    controls: Controls,
    view: View,
    synth: Synth,
    beat: sounds::Beat,
    seed: u64,
    best: u32,
    games: u32,
    /// The game that just ended was the best.
    record: bool,
    dirty: bool,
}

impl Ember {
    pub(super) fn new(seed: u64, save: Option<&[u8]>) -> Result<Self, GameError> {
        let save = match save {
            None => Save::default(),
            Some(bytes) if bytes.len() > SAVE_LIMIT => {
                return Err(GameError::BadSave("it is too long".to_owned()));
            }
            Some(bytes) => {
                let save: Save =
                    serde_json::from_slice(bytes).map_err(|e| GameError::BadSave(e.to_string()))?;
                if save.version != SAVE_VERSION {
                    return Err(GameError::BadSave(format!("its version is {}", save.version)));
                }
                save
            }
        };
        Ok(Self {
            phase: Phase::Title,
            world: World::new(seed),
            controls: Controls::new(),
            view: View::new(),
            synth: Synth::new(),
            beat: sounds::Beat::new(),
            seed,
            best: save.best,
            games: save.games,
            record: false,
            dirty: false,
        })
    }

    fn start(&mut self) {
        self.games = self.games.wrapping_add(1);
        self.world = World::new(self.seed ^ u64::from(self.games).wrapping_mul(0x9E37_79B9));
        self.phase = Phase::Playing;
        self.record = false;
        self.controls.forget_presses();
        self.synth.play(sounds::start());
    }

    fn end(&mut self) {
        self.phase = Phase::Over(0);
        self.record = self.world.score > self.best;
        self.best = self.best.max(self.world.score);
        self.dirty = true;
        self.synth.hush();
        self.synth.play(sounds::over(self.record));
    }

    fn back_to_title(&mut self) {
        self.phase = Phase::Title;
        self.world = World::new(self.seed ^ 0x7177);
        self.synth.hush();
    }

    fn tick_title(&mut self) {
        let steering = pilot::steer(&self.world);
        self.world.tick(steering);
        if self.world.ended() {
            self.world = World::new(self.seed ^ u64::from(self.world.ticks));
        }
        // The attract game is not heard.
        self.world.events.clear();
        if self.controls.take_start() {
            self.start();
        }
    }

    fn tick_playing(&mut self) {
        let steering = self.controls.steering(self.world.ember.at);
        self.world.tick(steering);
        for event in std::mem::take(&mut self.world.events) {
            self.synth.play(sounds::of(event));
        }
        let notes = self.beat.tick(self.world.night);
        self.synth.play(notes);
        if self.world.ended() {
            self.end();
        } else if self.controls.take_leave() {
            // Given up games count too.
            self.end();
            self.back_to_title();
        }
    }

    fn tick_over(&mut self, ticks: u32) {
        self.world.tick(beings::Steering::default());
        self.world.events.clear();
        self.phase = Phase::Over(ticks + 1);
        let (start, leave) = (self.controls.take_start(), self.controls.take_leave());
        if start && ticks >= REST_TICKS {
            self.start();
        } else if leave || ticks >= LINGER_TICKS {
            self.back_to_title();
        }
    }
}

impl Game for Ember {
    fn input(&mut self, _slot: u8, event: &InputFrame) {
        self.controls.read(event);
    }

    fn tick(&mut self) {
        match self.phase {
            Phase::Title => self.tick_title(),
            Phase::Playing => self.tick_playing(),
            Phase::Over(ticks) => self.tick_over(ticks),
        }
    }

    /// Never: the lake always moves.
    fn idle(&self) -> bool {
        false
    }

    fn draw(&mut self, picture: &mut Pixmap) -> Option<Rect> {
        let banner = match self.phase {
            Phase::Title => hud::Banner::Title { best: self.best },
            Phase::Playing => hud::Banner::None,
            Phase::Over(ticks) => {
                hud::Banner::Over { score: self.world.score, best: self.best, record: self.record, ticks }
            }
        };
        self.view.draw(picture, &self.world, banner)
    }

    fn sound(&mut self, block: &mut [i16; AUDIO_BLOCK]) -> bool {
        self.synth.render(block)
    }

    fn save(&self) -> Vec<u8> {
        let save = Save { version: SAVE_VERSION, best: self.best, games: self.games };
        serde_json::to_vec(&save).unwrap_or_default()
    }

    fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.dirty)
    }
}

/// A moment of play, for the catalogue.
pub(super) fn still() -> Option<Pixmap> {
    let mut picture = Pixmap::new(super::kit::WIDTH, super::kit::HEIGHT)?;
    let mut world = World::new(5);
    for _ in 0..1_500 {
        world.tick(pilot::steer(&world));
        world.events.clear();
    }
    View::new().draw(&mut picture, &world, hud::Banner::None)?;
    Some(picture)
}
