//! Inside: hedges in rows, a path that forks and forks again, lanterns, a trellis with the old man.

use super::props::{bush, cypress, lantern, person, spark};
use crate::games::kit::brush::{disc, ellipse, glow, hills, line, mist, polygon, sky, stars, stroke};
use crate::games::kit::paint::Rgb;
use crate::games::kit::random::Random;
use tiny_skia::{PathBuilder, Pixmap};

pub(super) fn paint(to: &mut Pixmap) {
    sky(
        to,
        &[
            (0.0, Rgb::hex(0x0B1D33)),
            (170.0, Rgb::hex(0x1B4355)),
            (310.0, Rgb::hex(0x4F7F7C)),
            (380.0, Rgb::hex(0xA9B58A)),
        ],
    );
    stars(to, 9, 120, 240.0);
    glow(to, 520.0, 350.0, 480.0, 0.5, Rgb::hex(0xF5DFA0), 0.4);
    hills(to, 330.0, 30.0, 31, 3.0, Rgb::hex(0x4E7A78));
    hills(to, 356.0, 18.0, 32, 5.0, Rgb::hex(0x33605F));
    for (x, h) in
        [(300.0, 90.0), (330.0, 120.0), (362.0, 84.0), (690.0, 110.0), (722.0, 80.0), (840.0, 126.0)]
    {
        cypress(to, x, 372.0, h, Rgb::hex(0x24504F));
    }
    mist(to, 372.0, 44.0, Rgb::hex(0xC8D8B0), 0.34);
    ground(to);
    rows(to);
    trellis(to);
    gardener(to);
    lantern(to, 1_176.0, 300.0, 36.0, 1.0);
    bush(to, 60.0, 720.0, 440.0, 290.0, 71, Rgb::hex(0x051216));
    bush(to, 1_230.0, 720.0, 380.0, 230.0, 72, Rgb::hex(0x051216));
    lantern(to, 150.0, 420.0, 30.0, 0.9);
    line(to, &[(150.0, 440.0), (150.0, 540.0)], 4.0, Rgb::hex(0x051216), 1.0);
}

/// The old man with his hat and his string, his hands at the roses.
fn gardener(to: &mut Pixmap) {
    let dark = Rgb::hex(0x061318);
    person(to, 1_006.0, 484.0, 150.0, dark);
    ellipse(to, (1_006.0, 343.0, 26.0, 5.0), dark, 1.0);
    ellipse(to, (1_006.0, 337.0, 13.0, 10.0), dark, 1.0);
    line(to, &[(1_012.0, 378.0), (1_036.0, 396.0), (1_062.0, 370.0)], 10.0, dark, 1.0);
    line(to, &[(1_062.0, 370.0), (1_070.0, 392.0), (1_064.0, 410.0)], 1.5, Rgb::hex(0xC9C096), 0.9);
}

/// Lawn and gravel; the paths leave one another at every hedge.
fn ground(to: &mut Pixmap) {
    hills(to, 382.0, 4.0, 40, 2.0, Rgb::hex(0x17403F));
    hills(to, 452.0, 6.0, 41, 2.0, Rgb::hex(0x10302F));
    let gravel = Rgb::hex(0xC9C096);
    let way = |to: &mut Pixmap,
               from: (f32, f32),
               bend: (f32, f32),
               end: (f32, f32),
               widths: (f32, f32),
               alpha: f32| {
        let mut b = PathBuilder::new();
        b.move_to(from.0 - widths.0, from.1);
        b.quad_to(bend.0 - (widths.0 + widths.1) / 2.0, bend.1, end.0 - widths.1, end.1);
        b.line_to(end.0 + widths.1, end.1);
        b.quad_to(bend.0 + (widths.0 + widths.1) / 2.0, bend.1, from.0 + widths.0, from.1);
        b.close();
        crate::games::kit::brush::shape(to, b, gravel, alpha);
    };
    way(to, (560.0, 720.0), (560.0, 590.0), (556.0, 520.0), (170.0, 74.0), 1.0);
    way(to, (530.0, 530.0), (470.0, 480.0), (330.0, 440.0), (52.0, 22.0), 1.0);
    way(to, (584.0, 530.0), (640.0, 470.0), (770.0, 436.0), (52.0, 20.0), 1.0);
    way(to, (345.0, 443.0), (250.0, 420.0), (200.0, 402.0), (16.0, 7.0), 0.9);
    way(to, (335.0, 443.0), (400.0, 416.0), (430.0, 396.0), (16.0, 6.0), 0.9);
    way(to, (760.0, 440.0), (700.0, 414.0), (660.0, 396.0), (15.0, 5.0), 0.9);
    way(to, (770.0, 440.0), (850.0, 418.0), (900.0, 398.0), (15.0, 6.0), 0.9);
    for (x, y) in [(200.0, 396.0), (430.0, 390.0), (660.0, 390.0), (900.0, 392.0)] {
        spark(to, x, y - 8.0, 2.0);
    }
}

fn rows(to: &mut Pixmap) {
    for (x, y, w, h, seed, color) in [
        (285.0, 424.0, 80.0, 24.0, 51, 0x1B4A48),
        (560.0, 428.0, 150.0, 32.0, 52, 0x1B4A48),
        (782.0, 422.0, 80.0, 24.0, 53, 0x1B4A48),
        (130.0, 470.0, 280.0, 56.0, 54, 0x0F3435),
        (556.0, 500.0, 150.0, 62.0, 55, 0x0D2F31),
        (890.0, 474.0, 190.0, 50.0, 56, 0x0F3435),
    ] {
        bush(to, x, y, w, h, seed, Rgb::hex(color));
    }
}

/// An arch of laths with roses on it.
fn trellis(to: &mut Pixmap) {
    let wood = Rgb::hex(0x0A1C20);
    for x in [1_062.0, 1_098.0, 1_254.0, 1_290.0] {
        line(to, &[(x, 520.0), (x, 250.0)], 6.0, wood, 1.0);
    }
    for radius in [78.0, 114.0] {
        let mut b = PathBuilder::new();
        b.move_to(1_176.0 - radius, 252.0);
        b.cubic_to(
            1_176.0 - radius,
            250.0 - radius * 1.3,
            1_176.0 + radius,
            250.0 - radius * 1.3,
            1_176.0 + radius,
            252.0,
        );
        stroke(to, b, 6.0, wood, 1.0);
    }
    for y in [290.0, 340.0, 390.0, 440.0] {
        line(to, &[(1_062.0, y), (1_098.0, y - 14.0)], 4.0, wood, 1.0);
        line(to, &[(1_254.0, y), (1_290.0, y - 14.0)], 4.0, wood, 1.0);
    }
    let mut random = Random::new(77);
    for index in 0..120 {
        let turn = std::f32::consts::PI * random.unit();
        let (x, y) = if index % 2 == 0 {
            (
                1_176.0 - turn.cos() * random.between(80.0, 116.0),
                252.0 - turn.sin() * random.between(72.0, 112.0),
            )
        } else {
            let side = if random.unit() < 0.6 { 1_080.0 } else { 1_270.0 };
            (side + random.between(-24.0, 24.0), random.between(240.0, 470.0))
        };
        let leaf = Rgb::hex(0x12393A).mix(Rgb::hex(0x2B6A5A), random.unit());
        disc(to, x, y, random.between(4.0, 9.0), leaf, 1.0);
        if index % 4 == 0 {
            let rose = Rgb::hex(0xE88A8A).mix(Rgb::hex(0xFFD6C0), random.unit());
            disc(to, x, y, 6.0, rose, 1.0);
            disc(to, x + 1.0, y - 1.0, 2.6, Rgb::hex(0xB8485C), 0.8);
        }
    }
    polygon(to, &[(1_050.0, 520.0), (1_300.0, 520.0), (1_300.0, 530.0), (1_050.0, 530.0)], wood, 1.0);
}
