//! Morning outside the wall: an open gate, a road, a pear tree.

use super::props::{bush, cypress, draw_forks, forks, person};
use crate::games::kit::brush::{disc, glow, hills, line, mist, polygon, rect, shape, sky};
use crate::games::kit::paint::Rgb;
use crate::games::kit::random::Random;
use tiny_skia::{PathBuilder, Pixmap};

pub(super) fn paint(to: &mut Pixmap) {
    sky(
        to,
        &[
            (0.0, Rgb::hex(0x6F8FB8)),
            (140.0, Rgb::hex(0xB7B4C8)),
            (260.0, Rgb::hex(0xF3C9B4)),
            (350.0, Rgb::hex(0xFFE3B0)),
        ],
    );
    glow(to, 860.0, 340.0, 620.0, 0.6, Rgb::hex(0xFFF3C8), 0.7);
    disc(to, 860.0, 318.0, 38.0, Rgb::hex(0xFFFBE8), 1.0);
    hills(to, 338.0, 30.0, 141, 2.0, Rgb::hex(0xC9A0A4));
    hills(to, 366.0, 20.0, 142, 3.0, Rgb::hex(0xA98796));
    mist(to, 366.0, 34.0, Rgb::hex(0xFFEBD0), 0.6);
    hills(to, 394.0, 12.0, 143, 3.0, Rgb::hex(0x9C8B72));
    hills(to, 430.0, 8.0, 144, 3.0, Rgb::hex(0x7E7A58));
    road(to);
    for (x, h) in [(620.0, 74.0), (646.0, 96.0), (1_090.0, 84.0), (1_118.0, 62.0)] {
        cypress(to, x, 408.0, h, Rgb::hex(0x6E6658));
    }
    tree(to);
    wall(to);
    hills(to, 532.0, 10.0, 147, 8.0, Rgb::hex(0x3E3A34));
    bush(to, 1_220.0, 720.0, 340.0, 240.0, 150, Rgb::hex(0x332C30));
    person(to, 742.0, 480.0, 78.0, Rgb::hex(0x3A2B3A));
    polygon(to, &[(718.0, 482.0), (764.0, 482.0), (700.0, 500.0), (560.0, 512.0)], Rgb::hex(0x3A2B3A), 0.25);
}

fn road(to: &mut Pixmap) {
    let mut b = PathBuilder::new();
    b.move_to(420.0, 720.0);
    b.cubic_to(560.0, 560.0, 800.0, 520.0, 800.0, 470.0);
    b.cubic_to(800.0, 436.0, 900.0, 430.0, 880.0, 396.0);
    b.line_to(888.0, 396.0);
    b.cubic_to(920.0, 430.0, 850.0, 440.0, 860.0, 472.0);
    b.cubic_to(900.0, 540.0, 820.0, 600.0, 900.0, 720.0);
    b.close();
    shape(to, b, Rgb::hex(0xF2D9A8), 1.0);
}

fn wall(to: &mut Pixmap) {
    let stone = Rgb::hex(0x8A6F74);
    rect(to, 0.0, 362.0, 420.0, 190.0, stone, 1.0);
    rect(to, 0.0, 352.0, 420.0, 12.0, Rgb::hex(0xC9A79A), 1.0);
    let mut random = Random::new(31);
    for row in 0..6 {
        let mut x = -random.between(0.0, 40.0);
        while x < 420.0 {
            let w = random.between(36.0, 78.0);
            let shade = stone
                .mix(Rgb::hex(0xB8938C), random.unit() * 0.7)
                .mix(Rgb::hex(0x6B5664), random.unit() * 0.4);
            let right = (x + w - 4.0).min(420.0);
            rect(to, x, 370.0 + row as f32 * 30.0, right - x, 26.0, shade, 1.0);
            x += w;
        }
    }
    rect(to, 408.0, 306.0, 40.0, 250.0, Rgb::hex(0x7A6069), 1.0);
    rect(to, 402.0, 296.0, 52.0, 13.0, Rgb::hex(0xC9A79A), 1.0);
    rect(to, 440.0, 309.0, 8.0, 247.0, Rgb::hex(0xD8B49E), 1.0);
    disc(to, 428.0, 281.0, 16.0, Rgb::hex(0x7A6069), 1.0);
    // One wing of the gate, open toward the road.
    let iron = Rgb::hex(0x4A3A48);
    for i in 0..6 {
        let t = i as f32 / 5.0;
        let (x, top, foot) = (452.0 + 92.0 * t, 300.0 + 26.0 * t, 548.0 + 24.0 * t);
        line(to, &[(x, top), (x, foot)], 4.0, iron, 1.0);
        polygon(to, &[(x - 4.0, top), (x, top - 14.0), (x + 4.0, top)], iron, 1.0);
    }
    for (y0, y1) in [(338.0, 360.0), (440.0, 462.0), (534.0, 556.0)] {
        line(to, &[(450.0, y0), (546.0, y1)], 4.0, iron, 1.0);
    }
}

/// The pear tree that leans over the wall, in blossom.
fn tree(to: &mut Pixmap) {
    let mut random = Random::new(58);
    let bark = |depth: u32| Rgb::hex(0x4E3D40).mix(Rgb::hex(0x7A6262), 1.0 - depth as f32 / 6.0);
    let mut branches = Vec::new();
    forks((150.0, 392.0, 0.22), 82.0, 15.0, 6, &mut random, &mut branches);
    let tips = draw_forks(to, &branches, bark, |at| at);
    for (x, y) in tips {
        for _ in 0..6 {
            let white = Rgb::hex(0xFFF6EA).mix(Rgb::hex(0xF2C4BC), random.unit());
            disc(
                to,
                x + random.between(-13.0, 13.0),
                y + random.between(-11.0, 11.0),
                random.between(2.5, 6.0),
                white,
                0.92,
            );
        }
    }
}
