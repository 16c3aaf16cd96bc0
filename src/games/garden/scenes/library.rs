//! The house of books: shelves to both sides that rise into the evening.

use super::props::{lantern, person};
use crate::games::kit::brush::{glow, line, polygon, sky, stars};
use crate::games::kit::paint::Rgb;
use crate::games::kit::random::Random;
use tiny_skia::Pixmap;

const FAR_X: [f32; 2] = [520.0, 760.0];
const VANISH: (f32, f32) = (640.0, 395.0);

pub(super) fn paint(to: &mut Pixmap) {
    sky(
        to,
        &[
            (0.0, Rgb::hex(0x141233)),
            (190.0, Rgb::hex(0x33264F)),
            (330.0, Rgb::hex(0x8A5560)),
            (420.0, Rgb::hex(0xE3A06C)),
        ],
    );
    stars(to, 5, 150, 320.0);
    glow(to, 640.0, 400.0, 330.0, 1.0, Rgb::hex(0xFFD090), 0.6);
    floor(to);
    for side in [-1.0, 1.0] {
        shelves(to, side);
    }
    ladder(to);
    loose_pages(to);
    person(to, 640.0, 492.0, 96.0, Rgb::hex(0x1C0E10));
    lantern(to, 668.0, 448.0, 22.0, 1.0);
}

/// From distance along the wall (0 near, 1 far) and height over the floor to the picture.
fn at(side: f32, depth: f32, up: f32) -> (f32, f32) {
    let near = (640.0 + side * 700.0, 395.0);
    let far = (640.0 + side * (FAR_X[1] - 640.0), VANISH.1);
    let part = 1.0 - (1.0 - depth) * (1.0 - depth);
    let size = 1.0 + (0.17 - 1.0) * part;
    (near.0 + (far.0 - near.0) * part, 395.0 + (360.0 - up) * size)
}

fn floor(to: &mut Pixmap) {
    let (l, r) = (at(-1.0, 1.0, 0.0), at(1.0, 1.0, 0.0));
    polygon(to, &[l, r, (1_340.0, 755.0), (-60.0, 755.0)], Rgb::hex(0x3A1F1E), 1.0);
    for i in 0..9 {
        let x = i as f32 / 8.0;
        let far = l.0 + (r.0 - l.0) * x;
        line(to, &[(far, l.1), (-200.0 + 1_680.0 * x, 740.0)], 1.5, Rgb::hex(0x5A3328), 0.8);
    }
    polygon(to, &[(600.0, l.1), (680.0, l.1), (860.0, 720.0), (420.0, 720.0)], Rgb::hex(0x7A3A34), 0.75);
    glow(to, 640.0, 480.0, 260.0, 0.35, Rgb::hex(0xFFC070), 0.5);
}

fn shelves(to: &mut Pixmap, side: f32) {
    let rows = 15;
    let pitch = 96.0;
    let top = pitch * rows as f32;
    polygon(
        to,
        &[at(side, 0.0, 0.0), at(side, 1.0, 0.0), at(side, 1.0, top), at(side, 0.0, top)],
        Rgb::hex(0x1D0F12),
        1.0,
    );
    let mut random = Random::new(if side < 0.0 { 101 } else { 202 });
    for row in 0..rows {
        let base = row as f32 * pitch;
        let mut depth = 0.0;
        while depth < 0.985 {
            let thick = random.between(0.006, 0.016);
            let tall = random.between(0.62, 0.88) * pitch;
            let end = (depth + thick).min(1.0);
            if random.unit() < 0.93 {
                let hue = BOOKS[random.below(BOOKS.len() as u32) as usize];
                let fade = (row as f32 / rows as f32).powf(0.7);
                let lit = depth * 0.62 * (1.0 - fade);
                let color = Rgb::hex(hue).mix(Rgb::hex(0x1B1430), fade * 0.85).mix(Rgb::hex(0xFFB870), lit);
                polygon(
                    to,
                    &[
                        at(side, depth, base + 8.0),
                        at(side, end, base + 8.0),
                        at(side, end, base + tall),
                        at(side, depth, base + tall),
                    ],
                    color,
                    1.0,
                );
            }
            depth = end + 0.0012;
        }
        let edge = Rgb::hex(0x6B3F2C).mix(Rgb::hex(0x241A36), row as f32 / rows as f32);
        polygon(
            to,
            &[at(side, 0.0, base), at(side, 1.0, base), at(side, 1.0, base + 8.0), at(side, 0.0, base + 8.0)],
            edge,
            1.0,
        );
    }
    // The green book.
    if side > 0.0 {
        let base = 3.0 * pitch;
        let spine = [
            at(side, 0.3, base + 8.0),
            at(side, 0.309, base + 8.0),
            at(side, 0.309, base + 84.0),
            at(side, 0.3, base + 84.0),
        ];
        glow(to, spine[0].0, spine[0].1 - 28.0, 80.0, 1.0, Rgb::hex(0x9AF0B0), 0.5);
        polygon(to, &spine, Rgb::hex(0x5FC88A), 1.0);
    }
}

const BOOKS: [u32; 8] = [0x6E2B2B, 0x8A4B2E, 0x3D2A44, 0x2E3E52, 0x7A5A30, 0x4A2030, 0x5B3A2A, 0x39402E];

fn ladder(to: &mut Pixmap) {
    let wood = Rgb::hex(0x0F070A);
    let (foot, head) = ((300.0, 640.0), (356.0, 90.0));
    for dx in [0.0, 46.0] {
        line(to, &[(foot.0 + dx, foot.1), (head.0 + dx * 0.7, head.1)], 6.0, wood, 1.0);
    }
    for i in 1..15 {
        let t = i as f32 / 15.0;
        let x = foot.0 + (head.0 - foot.0) * t;
        let y = foot.1 + (head.1 - foot.1) * t;
        line(to, &[(x, y), (x + 46.0 - 14.0 * t, y)], 4.0, wood, 1.0);
    }
}

/// Sheets that drift up between the shelves.
fn loose_pages(to: &mut Pixmap) {
    let mut random = Random::new(6);
    for _ in 0..16 {
        let (x, y) = (random.between(505.0, 775.0), random.between(30.0, 390.0));
        let (w, h) = (random.between(6.0, 13.0), random.between(3.0, 9.0));
        let tilt = random.between(-5.0, 5.0);
        let pale = Rgb::hex(0xFFF0D2);
        polygon(to, &[(x, y), (x + w, y + tilt), (x + w + 2.0, y + tilt + h), (x + 2.0, y + h)], pale, 0.85);
    }
}
