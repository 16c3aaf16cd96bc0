//! The pictures of the game, made once: the lake, lanterns, moths in every direction, sparks.

use super::beings::{Kind, Spot};
use crate::games::kit::area::Area;
use crate::games::kit::brush::{disc, ellipse, glow, hills, line, polygon, rect, sky, stars};
use crate::games::kit::paint::{Rgb, fill};
use crate::games::kit::random::Random;
use crate::games::kit::{HEIGHT, WIDTH};
use tiny_skia::Pixmap;

pub(super) const GOLD: Rgb = Rgb::hex(0xFFC766);
pub(super) const PALE: Rgb = Rgb::hex(0xFFF4D8);
pub(super) const COLD: Rgb = Rgb::hex(0x9FE3F2);
const TURNS: usize = 16;
const FLAPS: usize = 3;
const MOTH_SIZE: u32 = 60;

pub(super) struct Art {
    pub(super) lake: Pixmap,
    pub(super) dark_lantern: Pixmap,
    pub(super) lit_lantern: Pixmap,
    pub(super) lantern_light: Pixmap,
    pub(super) ember_light: Pixmap,
    pub(super) ember: Pixmap,
    pub(super) ghost: Pixmap,
    pub(super) flame: Pixmap,
    pub(super) no_flame: Pixmap,
    pub(super) warning: Pixmap,
    sparks: Vec<Pixmap>,
    moths: Vec<Pixmap>,
}

impl Art {
    pub(super) fn new() -> Self {
        let mut moths = Vec::with_capacity(3 * FLAPS * TURNS);
        for kind in [Kind::Drifter, Kind::Seeker, Kind::Dart] {
            for flap in 0..FLAPS {
                for turn in 0..TURNS {
                    moths.push(moth(kind, flap, turn));
                }
            }
        }
        let mut sparks = Vec::new();
        for color in [GOLD, PALE, COLD] {
            for radius in [1.5, 2.6, 3.8] {
                sparks.push(sprite(9, |to| disc(to, 4.5, 4.5, radius, color, 1.0)));
            }
        }
        Self {
            lake: lake(),
            dark_lantern: lantern(false),
            lit_lantern: lantern(true),
            lantern_light: light(150, Rgb::hex(0xFFB45A), 0.62),
            ember_light: light(190, Rgb::hex(0xFF9A48), 0.62),
            ember: ember(PALE, GOLD),
            ghost: ember(GOLD, Rgb::hex(0xE8743A)),
            flame: flame(true),
            no_flame: flame(false),
            warning: warning(),
            sparks,
            moths,
        }
    }

    pub(super) fn moth(&self, kind: Kind, age: u32, speed: Spot) -> &Pixmap {
        let turn = speed.x.atan2(-speed.y) / std::f32::consts::TAU * TURNS as f32;
        let turn = (turn.round() as i32).rem_euclid(TURNS as i32) as usize;
        let flap = [0, 1, 2, 1][(age / 4 % 4) as usize];
        &self.moths[(kind as usize * FLAPS + flap) * TURNS + turn]
    }

    /// The spark of a colour (0-2) at a part (0-1) of its life.
    pub(super) fn spark(&self, color: usize, part: f32) -> &Pixmap {
        let size = 2 - ((part * 3.0) as usize).min(2);
        &self.sparks[(color % 3) * 3 + size]
    }
}

fn sprite(size: u32, draw: impl FnOnce(&mut Pixmap)) -> Pixmap {
    sized(size, size, draw)
}

fn sized(width: u32, height: u32, draw: impl FnOnce(&mut Pixmap)) -> Pixmap {
    let mut pixmap = Pixmap::new(width, height).expect("a sprite of constant size");
    draw(&mut pixmap);
    pixmap
}

/// A light to be added: black where there is none.
fn light(size: u32, color: Rgb, strength: f32) -> Pixmap {
    sprite(size, |to| {
        to.fill(Rgb(0, 0, 0).color(1.0));
        let middle = size as f32 / 2.0;
        glow(to, middle, middle, middle, 1.0, color, strength);
    })
}

fn lake() -> Pixmap {
    sized(WIDTH, HEIGHT, |to| {
        sky(
            to,
            &[
                (0.0, Rgb::hex(0x10162F)),
                (80.0, Rgb::hex(0x2A2D55)),
                (92.0, Rgb::hex(0x1B2B4E)),
                (330.0, Rgb::hex(0x142443)),
                (720.0, Rgb::hex(0x0B1530)),
            ],
        );
        stars(to, 4, 40, 70.0);
        hills(to, 80.0, 9.0, 41, 3.0, Rgb::hex(0x0C1226));
        // Below the shore it is water again.
        for y in 92..HEIGHT as i32 {
            let t = (y - 92) as f32 / 628.0;
            let color = Rgb::hex(0x1C3058).mix(Rgb::hex(0x0B1530), t);
            fill(to, Area::new(0, y, WIDTH as i32, 1), color, 255);
        }
        rect(to, 0.0, 90.0, 1_280.0, 2.0, Rgb::hex(0x3C5684), 1.0);
        let mut random = Random::new(2);
        for _ in 0..46 {
            let (x, y) = (random.between(0.0, 1_280.0), random.between(104.0, 715.0));
            let half = random.between(24.0, 90.0);
            line(to, &[(x - half, y), (x + half, y)], 1.5, Rgb::hex(0x35558A), 0.34);
        }
        for (x, y, r) in [
            (40.0, 676.0, 46.0),
            (112.0, 706.0, 34.0),
            (20.0, 600.0, 26.0),
            (1_236.0, 660.0, 52.0),
            (1_168.0, 704.0, 36.0),
            (1_262.0, 572.0, 24.0),
            (1_250.0, 140.0, 26.0),
            (36.0, 150.0, 22.0),
        ] {
            pad_leaf(to, x, y, r);
        }
    })
}

fn pad_leaf(to: &mut Pixmap, x: f32, y: f32, r: f32) {
    ellipse(to, (x, y + r * 0.08, r * 1.04, r * 0.66), Rgb::hex(0x081226), 0.6);
    ellipse(to, (x, y, r, r * 0.62), Rgb::hex(0x1B4650), 1.0);
    ellipse(to, (x - r * 0.08, y - r * 0.06, r * 0.84, r * 0.5), Rgb::hex(0x225862), 1.0);
    polygon(to, &[(x, y), (x + r * 1.1, y - r * 0.22), (x + r * 1.1, y + r * 0.12)], Rgb::hex(0x14284C), 1.0);
}

/// A lantern on its little raft.
fn lantern(lit: bool) -> Pixmap {
    sized(60, 76, |to| {
        let (paper, inner, edge) = if lit {
            (Rgb::hex(0xFFAE4E), Rgb::hex(0xFFE29A), Rgb::hex(0x8A4A20))
        } else {
            (Rgb::hex(0x6C7AA8), Rgb::hex(0x8C9AC4), Rgb::hex(0x2B355C))
        };
        if !lit {
            ellipse(to, (30.0, 66.0, 26.0, 6.0), Rgb::hex(0x081022), 0.6);
        }
        polygon(to, &[(10.0, 58.0), (50.0, 58.0), (44.0, 66.0), (16.0, 66.0)], edge, 1.0);
        polygon(to, &[(14.0, 22.0), (46.0, 22.0), (42.0, 58.0), (18.0, 58.0)], paper, 1.0);
        polygon(to, &[(21.0, 26.0), (39.0, 26.0), (37.0, 54.0), (23.0, 54.0)], inner, 1.0);
        polygon(to, &[(11.0, 22.0), (49.0, 22.0), (40.0, 12.0), (20.0, 12.0)], edge, 1.0);
        line(to, &[(30.0, 22.0), (30.0, 58.0)], 1.5, edge, 0.6);
        line(to, &[(16.0, 40.0), (44.0, 40.0)], 1.5, edge, 0.6);
        if lit {
            ellipse(to, (30.0, 44.0, 5.0, 9.0), PALE, 1.0);
        }
    })
}

fn ember(core: Rgb, around: Rgb) -> Pixmap {
    sprite(36, |to| {
        disc(to, 18.0, 18.0, 15.0, around, 0.55);
        disc(to, 18.0, 18.0, 11.5, around, 1.0);
        disc(to, 18.0, 18.0, 7.0, core, 1.0);
    })
}

/// A life: a small flame, or its ash.
fn flame(alive: bool) -> Pixmap {
    sized(30, 38, |to| {
        let (outer, inner) = if alive { (GOLD, PALE) } else { (Rgb::hex(0x313A60), Rgb::hex(0x252D4E)) };
        let drop = |to: &mut Pixmap, scale: f32, color: Rgb| {
            let mut b = tiny_skia::PathBuilder::new();
            let (x, foot) = (15.0, 35.0);
            b.move_to(x, foot - 32.0 * scale);
            b.cubic_to(
                x + 6.0 * scale,
                foot - 22.0 * scale,
                x + 15.0 * scale,
                foot - 17.0 * scale,
                x + 12.0 * scale,
                foot - 8.0 * scale,
            );
            b.cubic_to(x + 9.0 * scale, foot, x - 9.0 * scale, foot, x - 12.0 * scale, foot - 8.0 * scale);
            b.cubic_to(
                x - 14.0 * scale,
                foot - 18.0 * scale,
                x - 4.0 * scale,
                foot - 22.0 * scale,
                x,
                foot - 32.0 * scale,
            );
            b.close();
            crate::games::kit::brush::shape(to, b, color, 1.0);
        };
        drop(to, 1.0, outer);
        drop(to, 0.52, inner);
    })
}

fn warning() -> Pixmap {
    sprite(44, |to| {
        polygon(to, &[(22.0, 2.0), (42.0, 40.0), (2.0, 40.0)], Rgb::hex(0xFF6B6B), 1.0);
        rect(to, 19.5, 14.0, 5.0, 14.0, PALE, 1.0);
        rect(to, 19.5, 31.0, 5.0, 5.0, PALE, 1.0);
    })
}

/// A moth seen from above, its head in the direction of `turn`.
fn moth(kind: Kind, flap: usize, turn: usize) -> Pixmap {
    let (wing, tip, body) = match kind {
        Kind::Drifter => (Rgb::hex(0x8FD3EE), Rgb::hex(0xE4F8FF), Rgb::hex(0x1E4A70)),
        Kind::Seeker => (Rgb::hex(0xE58AD8), Rgb::hex(0xFFE0FA), Rgb::hex(0x662060)),
        Kind::Dart => (Rgb::hex(0xFF7A70), Rgb::hex(0xFFE2D2), Rgb::hex(0x7A1F28)),
    };
    let angle = turn as f32 / TURNS as f32 * std::f32::consts::TAU;
    let (sin, cos) = angle.sin_cos();
    let middle = MOTH_SIZE as f32 / 2.0;
    let place = |(x, y): (f32, f32)| (middle + x * cos - y * sin, middle + x * sin + y * cos);
    let spread = [1.0, 0.78, 0.5][flap];
    sprite(MOTH_SIZE, |to| {
        for side in [-1.0, 1.0] {
            let w = side * spread;
            let upper = [(0.0, -6.0), (12.0 * w, -20.0), (26.0 * w, -18.0), (24.0 * w, -4.0), (8.0 * w, 3.0)];
            let lower = [(0.0, 0.0), (17.0 * w, 2.0), (20.0 * w, 14.0), (10.0 * w, 20.0), (1.0, 9.0)];
            polygon(to, &lower.map(place), wing.mix(body, 0.25), 1.0);
            polygon(to, &upper.map(place), wing, 1.0);
            let spot = place((19.0 * w, -13.0));
            disc(to, spot.0, spot.1, 3.4, tip, 1.0);
            let spot = place((13.0 * w, 10.0));
            disc(to, spot.0, spot.1, 2.4, tip, 0.9);
            line(to, &[place((0.0, -12.0)), place((side * 6.0, -22.0))], 1.6, tip, 1.0);
        }
        line(to, &[place((0.0, -12.0)), place((0.0, 12.0))], 6.0, body, 1.0);
        let head = place((0.0, -13.0));
        disc(to, head.0, head.1, 4.0, tip, 1.0);
    })
}
