//! The drifting lights that keep a page alive while its text appears. Where they are depends on the tick alone; on a
//! still page there are none.

use crate::games::kit::area::Area;
use crate::games::kit::brush;
use crate::games::kit::paint::{self, Rgb};
use crate::games::kit::random::Random;
use tiny_skia::Pixmap;

const COUNT: usize = 10;
const SIZE: u32 = 26;

pub(super) struct Motes {
    sprite: Option<Pixmap>,
    /// Middle of the wandering, its two speeds and its beginning.
    ways: [[f32; 5]; COUNT],
    tick: u32,
    /// 0 is none, 1 is all of their light.
    level: f32,
}

impl Motes {
    pub(super) fn new(seed: u64, light: Rgb) -> Self {
        let mut random = Random::new(seed);
        let ways = std::array::from_fn(|index| {
            let x = (index as f32 + random.unit()) * 1_200.0 / COUNT as f32 + 30.0;
            [
                x,
                random.between(90.0, 430.0),
                random.between(0.008, 0.02),
                random.between(0.01, 0.025),
                random.between(0.0, 6.3),
            ]
        });
        let sprite = Pixmap::new(SIZE, SIZE).map(|mut sprite| {
            sprite.fill(Rgb(0, 0, 0).color(1.0));
            let middle = SIZE as f32 / 2.0;
            brush::glow(&mut sprite, middle, middle, middle, 1.0, light, 0.75);
            brush::disc(&mut sprite, middle, middle, 1.7, light, 0.95);
            sprite
        });
        Self { sprite, ways, tick: 0, level: 0.0 }
    }

    pub(super) fn lit(&self) -> bool {
        self.level > 0.0
    }

    /// Goes on for a tick; gives what is to be drawn again.
    pub(super) fn tick(&mut self, awake: bool, changed: &mut Vec<Area>) {
        let before = self.lit().then(|| self.areas());
        self.tick += 1;
        self.level = (self.level + if awake { 0.05 } else { -0.07 }).clamp(0.0, 1.0);
        if self.lit() || before.is_some() {
            let after = self.areas();
            for (index, area) in after.into_iter().enumerate() {
                changed.push(before.map_or(area, |before| before[index].union(area)));
            }
        }
    }

    /// Puts them out at once.
    pub(super) fn quench(&mut self) {
        self.level = 0.0;
    }

    pub(super) fn draw(&self, to: &mut Pixmap, clip: Area) {
        let Some(sprite) = &self.sprite else { return };
        if !self.lit() {
            return;
        }
        for (index, area) in self.areas().into_iter().enumerate() {
            let blink = 0.6 + 0.4 * (self.tick as f32 * 0.09 + index as f32 * 1.7).sin();
            paint::add(to, sprite, area.x0, area.y0, (self.level * blink * 255.0) as u8, clip);
        }
    }

    fn areas(&self) -> [Area; COUNT] {
        let t = self.tick as f32;
        self.ways.map(|[x, y, a, b, start]| {
            let x = x + (t * a + start).sin() * 46.0 + (t * b * 1.7).sin() * 12.0;
            let y = y + (t * b + start * 2.0).cos() * 30.0 - (t * 0.12).min(40.0);
            let half = SIZE as i32 / 2;
            Area::new(x as i32 - half, y as i32 - half, SIZE as i32, SIZE as i32)
        })
    }
}
