//! The pictures. A picture is a function of its scene and number, so that the bench can draw what a viewer should have
//! seen.

use super::marker::{BAND_CELLS, BANDS, CELL, COLUMNS, Marker, ROWS};
use super::{HEIGHT, WIDTH};

/// The world that the moving scene looks at: wraps at both edges.
const WORLD: (u32, u32) = (2048, 1024);
/// Pixels by which the view moves with each picture.
const SPEED: (u32, u32) = (5, 2);
const SPRITES: u32 = 16;
const RADIUS: i32 = 36;
/// Below the marker: what a key changes in the still scene, and the first moving corner.
const PANEL: Area = Area { x: 0, y: 32, width: 320, height: 96 };
const CORNER: Area = Area { x: 960, y: 624, width: 320, height: 96 };

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scene {
    /// Changes with each key only.
    Still,
    /// All of it moves.
    Moving,
    /// Two small corners move.
    Corners,
}

impl Scene {
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Still, Self::Moving, Self::Corners].into_iter().find(|scene| scene.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Still => "still",
            Self::Moving => "moving",
            Self::Corners => "corners",
        }
    }
}

/// A part of the picture, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Area {
    pub(crate) x: u32,
    pub(crate) y: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl Area {
    const WHOLE: Self = Self { x: 0, y: 0, width: WIDTH, height: HEIGHT };
    /// The marker and the panel below it.
    const TOP: Self = Self { x: 0, y: 0, width: COLUMNS * CELL, height: PANEL.y + PANEL.height };

    /// The same in `count` stripes.
    pub(crate) fn bands(self, count: u16) -> Vec<Self> {
        let count = u32::from(count).min(self.height).max(1);
        let edge = |number| self.y + self.height * number / count;
        (0..count)
            .map(|number| Self { y: edge(number), height: edge(number + 1) - edge(number), ..self })
            .collect()
    }
}

/// Draws into memory: four bytes a pixel, blue first.
pub(crate) struct Painter {
    world: Vec<u8>,
    pixels: Vec<u8>,
}

impl Painter {
    pub(crate) fn new() -> Self {
        Self { world: world(), pixels: vec![0; (WIDTH * HEIGHT * 4) as usize] }
    }

    pub(crate) fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Gives what has changed since the picture before.
    pub(crate) fn paint(&mut self, scene: Scene, marker: Marker, whole: bool) -> Vec<Area> {
        let frame = u32::from(marker.frame);
        let areas = match scene {
            Scene::Moving => {
                self.copy_world(Area::WHOLE, frame * SPEED.0, frame * SPEED.1);
                for number in 0..SPRITES {
                    self.sprite(number, frame);
                }
                vec![Area::WHOLE]
            }
            Scene::Still | Scene::Corners => {
                if whole {
                    self.copy_world(Area::WHOLE, 0, 0);
                }
                if scene == Scene::Still {
                    self.fill(PANEL, hue(u32::from(marker.keys) * 37));
                } else {
                    self.copy_world(PANEL, frame * SPEED.0, frame * SPEED.1);
                    self.copy_world(CORNER, frame * SPEED.0, frame * SPEED.1);
                }
                match (whole, scene) {
                    (true, _) => vec![Area::WHOLE],
                    (false, Scene::Corners) => vec![Area::TOP, CORNER],
                    (false, Scene::Still | Scene::Moving) => vec![Area::TOP],
                }
            }
        };
        self.mark(marker);
        if areas.contains(&Area::WHOLE) {
            self.mark_bands(marker.frame.to_be_bytes()[1]);
        }
        areas
    }

    fn mark(&mut self, marker: Marker) {
        let bits = marker.bits();
        for index in 0..COLUMNS * ROWS {
            let white = bits >> (COLUMNS * ROWS - 1 - index) & 1 == 1;
            let (x, y) = (index % COLUMNS * CELL, index / COLUMNS * CELL);
            self.fill(Area { x, y, width: CELL, height: CELL }, gray(white));
        }
    }

    fn mark_bands(&mut self, number: u8) {
        for band in 0..BANDS {
            for cell in 0..BAND_CELLS {
                let white = number >> (BAND_CELLS - 1 - cell) & 1 == 1;
                let x = WIDTH - (BAND_CELLS - cell) * CELL;
                // In the middle of the band.
                let y = HEIGHT * band / BANDS + (HEIGHT / BANDS - CELL) / 2;
                self.fill(Area { x, y, width: CELL, height: CELL }, gray(white));
            }
        }
    }

    fn fill(&mut self, area: Area, color: [u8; 4]) {
        for y in area.y..area.y + area.height {
            let start = ((y * WIDTH + area.x) * 4) as usize;
            let row = self.pixels.get_mut(start..start + (area.width * 4) as usize).unwrap_or_default();
            row.as_chunks_mut::<4>().0.fill(color);
        }
    }

    /// What lies at this place of the world.
    fn copy_world(&mut self, area: Area, left: u32, top: u32) {
        for y in area.y..area.y + area.height {
            let from = ((top + y) % WORLD.1 * WORLD.0 * 4) as usize;
            let world = self.world.get(from..from + (WORLD.0 * 4) as usize).unwrap_or_default();
            let to = ((y * WIDTH + area.x) * 4) as usize;
            let row = self.pixels.get_mut(to..to + (area.width * 4) as usize).unwrap_or_default();
            let start = (left + area.x) % WORLD.0;
            let first = ((WORLD.0 - start).min(area.width) * 4) as usize;
            let start = (start * 4) as usize;
            let (one, other) = row.split_at_mut(first);
            one.copy_from_slice(world.get(start..start + one.len()).unwrap_or_default());
            other.copy_from_slice(world.get(..other.len()).unwrap_or_default());
        }
    }

    /// A disc that goes its own way.
    fn sprite(&mut self, number: u32, frame: u32) {
        let phase = f64::from(number) * 0.77;
        let at = f64::from(frame) / 40.0;
        let along = |size: u32, pace: f64| {
            let middle = f64::from(size) / 2.0;
            (middle + (middle - 60.0) * (at * pace + phase).sin()) as i32
        };
        let (x, y) = (along(WIDTH, 1.0 + phase / 9.0), along(HEIGHT, 1.3 + phase / 7.0));
        let color = hue(number * 67);
        for dy in -RADIUS..=RADIUS {
            let half = f64::from(RADIUS * RADIUS - dy * dy).sqrt() as i32;
            let (Ok(left), Ok(row)) = (u32::try_from((x - half).max(0)), u32::try_from(y + dy)) else {
                continue;
            };
            let width = u32::try_from(2 * half + 1).unwrap_or_default().min(WIDTH.saturating_sub(left));
            if row < HEIGHT {
                self.fill(Area { x: left, y: row, width, height: 1 }, color);
            }
        }
    }
}

fn gray(white: bool) -> [u8; 4] {
    let level = if white { 235 } else { 16 };
    [level, level, level, 0]
}

fn hue(step: u32) -> [u8; 4] {
    let level = |offset: u32| ((step * 5 + offset * 85) % 200 + 40) as u8;
    [level(0), level(1), level(2), 0]
}

/// A landscape: soft noise in two sizes, hills, tiles with edges, and grain, as a game's picture has them.
fn world() -> Vec<u8> {
    let mut pixels = Vec::with_capacity((WORLD.0 * WORLD.1 * 4) as usize);
    for y in 0..WORLD.1 {
        for x in 0..WORLD.0 {
            let soft = noise(x, y, 128) * 0.6 + noise(x, y, 32) * 0.3;
            let grain = f64::from(hash(x / 2, y / 2) & 0xFF) / 255.0;
            let edge = if x % 128 < 3 || y % 128 < 3 { 0.25 } else { 0.0 };
            let tile = if (x / 64 + y / 64) % 5 == 0 { 0.12 } else { 0.0 };
            let level = (soft + grain * 0.06 - edge + tile).clamp(0.0, 1.0);
            let tint = f64::from((x / 256 + y / 256 * 3) % 7) / 7.0;
            let color = |share: f64| (30.0 + level * (120.0 + 90.0 * share)) as u8;
            pixels.extend([color(tint), color(1.0 - tint), color(0.5 + tint / 2.0), 0]);
        }
    }
    pixels
}

/// Value noise of this grain, from 0 to 1; wraps with the world.
fn noise(x: u32, y: u32, size: u32) -> f64 {
    let (columns, rows) = (WORLD.0 / size, WORLD.1 / size);
    let corner =
        |dx, dy| f64::from(hash((x / size + dx) % columns, (y / size + dy) % rows + size) & 0xFF) / 255.0;
    let ease = |at: u32| {
        let part = f64::from(at % size) / f64::from(size);
        part * part * (3.0 - 2.0 * part)
    };
    let (right, down) = (ease(x), ease(y));
    let mix = |one: f64, other: f64, part: f64| one + (other - one) * part;
    mix(mix(corner(0, 0), corner(1, 0), right), mix(corner(0, 1), corner(1, 1), right), down)
}

fn hash(x: u32, y: u32) -> u32 {
    let mut value = x.wrapping_mul(0x9E37_79B1) ^ y.wrapping_mul(0x85EB_CA77);
    value ^= value >> 15;
    value = value.wrapping_mul(0x2C1B_3C6D);
    value ^ value >> 13
}
