//! The wall and the gate at dusk.

use super::props::{bush, cypress, lantern};
use crate::games::kit::brush::{disc, glow, hills, line, mist, polygon, rect, sky, stars, stroke};
use crate::games::kit::paint::Rgb;
use crate::games::kit::random::Random;
use tiny_skia::{PathBuilder, Pixmap};

pub(super) fn paint(to: &mut Pixmap) {
    sky(
        to,
        &[
            (0.0, Rgb::hex(0x2A2350)),
            (150.0, Rgb::hex(0x5D3B74)),
            (300.0, Rgb::hex(0xC0607A)),
            (390.0, Rgb::hex(0xF09A6A)),
            (450.0, Rgb::hex(0xFFD08A)),
        ],
    );
    stars(to, 3, 60, 190.0);
    glow(to, 690.0, 420.0, 560.0, 0.55, Rgb::hex(0xFFE0A0), 0.62);
    disc(to, 690.0, 400.0, 44.0, Rgb::hex(0xFFF0C4), 0.95);
    for (y, alpha, x, w) in
        [(150.0, 0.2, 120.0, 420.0), (205.0, 0.26, 760.0, 460.0), (262.0, 0.3, 300.0, 380.0)]
    {
        cloud(to, x, y, w, alpha);
    }
    hills(to, 398.0, 36.0, 2, 3.0, Rgb::hex(0xB05A72));
    hills(to, 430.0, 26.0, 14, 4.0, Rgb::hex(0x7C3F66));
    mist(to, 430.0, 40.0, Rgb::hex(0xFFC08A), 0.35);
    for (x, h) in [(505.0, 120.0), (540.0, 90.0), (870.0, 105.0), (905.0, 140.0), (938.0, 96.0)] {
        cypress(to, x, 462.0, h, Rgb::hex(0x532C55));
    }
    birds(to);
    wall(to);
    bars(to);
    for (x, h) in [(62.0, 400.0), (150.0, 330.0), (1_150.0, 350.0), (1_232.0, 430.0)] {
        cypress(to, x, 560.0, h, Rgb::hex(0x1B1030));
    }
    for (x, y, w, h, seed) in [
        (250.0, 562.0, 270.0, 66.0, 1),
        (70.0, 562.0, 330.0, 96.0, 2),
        (1_050.0, 562.0, 280.0, 72.0, 3),
        (1_230.0, 562.0, 290.0, 104.0, 4),
    ] {
        bush(to, x, y, w, h, seed, Rgb::hex(0x150C26));
    }
    rect(to, 0.0, 560.0, 1_280.0, 160.0, Rgb::hex(0x180E28), 1.0);
    polygon(to, &[(560.0, 560.0), (720.0, 560.0), (900.0, 720.0), (380.0, 720.0)], Rgb::hex(0x5A3450), 1.0);
    lantern(to, 729.0, 392.0, 44.0, 1.0);
}

fn cloud(to: &mut Pixmap, x: f32, y: f32, w: f32, alpha: f32) {
    for (dx, dy, part) in [(0.0, 0.0, 1.0), (0.18, -7.0, 0.5), (0.1, 8.0, 0.7)] {
        let (left, wide) = (x + w * dx, w * part);
        polygon(
            to,
            &[
                (left, y + dy),
                (left + wide * 0.3, y + dy - 4.0),
                (left + wide, y + dy),
                (left + wide * 0.6, y + dy + 4.0),
            ],
            Rgb::hex(0xFFB49A),
            alpha,
        );
    }
}

fn birds(to: &mut Pixmap) {
    for (x, y, s) in [(400.0, 214.0, 11.0), (432.0, 198.0, 8.0), (462.0, 224.0, 7.0), (980.0, 168.0, 8.0)] {
        let mut b = PathBuilder::new();
        b.move_to(x - s, y - s * 0.3);
        b.quad_to(x - s * 0.3, y - s * 0.6, x, y);
        b.quad_to(x + s * 0.3, y - s * 0.6, x + s, y - s * 0.35);
        stroke(to, b, 1.8, Rgb::hex(0x3A2450), 1.0);
    }
}

/// Two stretches of wall with coping stones and the pillars beside the gate.
fn wall(to: &mut Pixmap) {
    let (stone, dark) = (Rgb::hex(0x39224A), Rgb::hex(0x2A1840));
    for (x0, x1) in [(0.0, 520.0), (760.0, 1_280.0)] {
        rect(to, x0, 372.0, x1 - x0, 200.0, stone, 1.0);
        rect(to, x0, 362.0, x1 - x0, 12.0, Rgb::hex(0x5B3560), 1.0);
        let mut random = Random::new(x1 as u64);
        for row in 0..6 {
            let y = 380.0 + row as f32 * 30.0;
            let mut x = x0 - random.between(0.0, 40.0);
            while x < x1 {
                let w = random.between(38.0, 82.0);
                let shade = stone.mix(dark, random.unit()).mix(Rgb::hex(0x6B3E64), random.unit() * 0.25);
                let (left, right) = (x.max(x0), (x + w - 4.0).min(x1));
                if right > left {
                    rect(to, left, y, right - left, 26.0, shade, 1.0);
                }
                x += w;
            }
        }
    }
    for x in [492.0, 748.0] {
        rect(to, x, 310.0, 40.0, 256.0, Rgb::hex(0x311C46), 1.0);
        rect(to, x - 6.0, 300.0, 52.0, 14.0, Rgb::hex(0x643A64), 1.0);
        rect(to, x, 314.0, 6.0, 250.0, Rgb::hex(0x54305A), 1.0);
        disc(to, x + 20.0, 284.0, 17.0, Rgb::hex(0x311C46), 1.0);
    }
}

/// The iron gate: bars under an arch, and a fork worked into it.
fn bars(to: &mut Pixmap) {
    let iron = Rgb::hex(0x1C1030);
    let (left, right, foot) = (532.0, 748.0, 562.0);
    let top = |x: f32| {
        let along = (x - 640.0) / 108.0;
        330.0 - 78.0 * (1.0 - along * along).max(0.0).sqrt()
    };
    let mut arch = PathBuilder::new();
    arch.move_to(left, 330.0);
    let mut x = left;
    while x <= right {
        arch.line_to(x, top(x));
        x += 4.0;
    }
    stroke(to, arch, 6.0, iron, 1.0);
    let mut x = left + 12.0;
    while x < right {
        line(to, &[(x, top(x)), (x, foot)], 4.0, iron, 1.0);
        polygon(to, &[(x - 4.5, top(x)), (x, top(x) - 17.0), (x + 4.5, top(x))], iron, 1.0);
        x += 21.3;
    }
    for y in [372.0, 470.0, 540.0] {
        line(to, &[(left, y), (right, y)], 5.0, iron, 1.0);
    }
    for side in [-1.0_f32, 1.0] {
        for (spread, height) in [(70.0, 104.0), (38.0, 124.0)] {
            let mut b = PathBuilder::new();
            b.move_to(640.0, 470.0);
            b.cubic_to(640.0, 430.0, 640.0 + side * spread, 430.0, 640.0 + side * spread, 470.0 - height);
            stroke(to, b, 3.5, iron, 1.0);
        }
    }
    line(to, &[(640.0, 252.0), (640.0, foot)], 6.0, iron, 1.0);
}
