//! The top of the tower: an arch, a bell, and the whole garden like the veins of a leaf.

use super::props::{FLAME, draw_forks, forks, lantern, moon, spark};
use crate::games::kit::brush::{ellipse, glow, hills, line, mist, rect, shape, sky, stars, stroke};
use crate::games::kit::paint::Rgb;
use crate::games::kit::random::Random;
use tiny_skia::{FillRule, Paint, PathBuilder, Pixmap, Transform};

pub(super) fn paint(to: &mut Pixmap) {
    sky(
        to,
        &[
            (0.0, Rgb::hex(0x0A0B28)),
            (150.0, Rgb::hex(0x232358)),
            (240.0, Rgb::hex(0x55437E)),
            (300.0, Rgb::hex(0xA8708E)),
        ],
    );
    stars(to, 29, 190, 250.0);
    moon(to, 910.0, 128.0, 40.0, Rgb::hex(0xFFEFD6));
    hills(to, 286.0, 16.0, 95, 3.0, Rgb::hex(0x5E4A82));
    train(to);
    hills(to, 306.0, 5.0, 96, 3.0, Rgb::hex(0x2A2656));
    mist(to, 308.0, 26.0, Rgb::hex(0xC89AB0), 0.3);
    veins(to);
    arch(to);
    bell(to);
    lantern(to, 1_010.0, 396.0, 34.0, 1.0);
    line(to, &[(1_010.0, 300.0), (1_010.0, 366.0)], 2.0, Rgb::hex(0x0A0818), 1.0);
}

/// The garden from above: a fan of paths, flattened by the distance, and the walkers on it.
fn veins(to: &mut Pixmap) {
    let mut random = Random::new(12);
    let mut branches = Vec::new();
    forks((640.0, 640.0, 0.0), 118.0, 8.0, 6, &mut random, &mut branches);
    for side in [-1.0, 1.0] {
        forks((640.0, 600.0, side * 0.8), 122.0, 7.0, 6, &mut random, &mut branches);
    }
    let path = |depth: u32| Rgb::hex(0x4A4680).mix(Rgb::hex(0xD8C8E0), depth as f32 / 6.0);
    // As seen from a height: rows come closer together the farther they are.
    let flat = |(x, y): (f32, f32)| {
        let away = ((640.0 - y) / 560.0).clamp(0.0, 1.2);
        let near = 1.0 / (1.0 + away * 1.15);
        (640.0 + (x - 640.0) * (0.7 + 1.1 * near), 318.0 + 236.0 * (near - 0.42) / 0.58)
    };
    let tips = draw_forks(to, &branches, path, flat);
    for (index, (x, y)) in tips.into_iter().enumerate() {
        if index % 4 == 0 {
            spark(to, x, y - 4.0, 1.8);
        } else if index % 4 == 2 {
            line(to, &[(x, y), (x, y - 6.0)], 2.4, Rgb::hex(0x0D0C26), 1.0);
        }
    }
}

fn train(to: &mut Pixmap) {
    line(to, &[(250.0, 287.0), (1_030.0, 281.0)], 2.0, Rgb::hex(0x241F4A), 1.0);
    for car in 0..7 {
        let x = 470.0 + car as f32 * 46.0;
        rect(to, x, 272.0 - car as f32 * 0.3, 42.0, 12.0, Rgb::hex(0x1A1638), 1.0);
        for window in 0..5 {
            rect(
                to,
                x + 4.0 + window as f32 * 7.6,
                275.0 - car as f32 * 0.3,
                5.0,
                5.0,
                Rgb::hex(0xFFE2A0),
                1.0,
            );
        }
    }
    glow(to, 632.0, 278.0, 220.0, 0.2, FLAME, 0.6);
}

/// The dark room with its arched opening.
fn arch(to: &mut Pixmap) {
    let mut b = PathBuilder::new();
    b.move_to(0.0, 0.0);
    b.line_to(1_280.0, 0.0);
    b.line_to(1_280.0, 720.0);
    b.line_to(0.0, 720.0);
    b.close();
    b.move_to(236.0, 520.0);
    b.line_to(236.0, 240.0);
    b.cubic_to(240.0, 60.0, 470.0, 20.0, 640.0, 14.0);
    b.cubic_to(810.0, 20.0, 1_040.0, 60.0, 1_044.0, 240.0);
    b.line_to(1_044.0, 520.0);
    b.close();
    if let Some(path) = b.finish() {
        let mut paint = Paint { anti_alias: true, ..Paint::default() };
        paint.set_color(Rgb::hex(0x100D24).color(1.0));
        to.fill_path(&path, &paint, FillRule::EvenOdd, Transform::identity(), None);
    }
    let mut rim = PathBuilder::new();
    rim.move_to(232.0, 520.0);
    rim.line_to(232.0, 240.0);
    rim.cubic_to(236.0, 56.0, 468.0, 16.0, 640.0, 10.0);
    rim.cubic_to(812.0, 16.0, 1_044.0, 56.0, 1_048.0, 240.0);
    rim.line_to(1_048.0, 520.0);
    stroke(to, rim, 7.0, Rgb::hex(0x3A2F58), 1.0);
    rect(to, 200.0, 516.0, 880.0, 22.0, Rgb::hex(0x2A2244), 1.0);
    rect(to, 200.0, 512.0, 880.0, 5.0, Rgb::hex(0x6A5A80), 1.0);
    let mut random = Random::new(3);
    for _ in 0..70 {
        let left = random.unit() < 0.5;
        let x = if left { random.between(-20.0, 190.0) } else { random.between(1_062.0, 1_270.0) };
        let y = (random.unit() * 24.0).floor() * 30.0;
        rect(to, x, y, random.between(40.0, 70.0).min(210.0 - x.min(150.0)), 27.0, Rgb::hex(0x1B1633), 0.8);
    }
}

fn bell(to: &mut Pixmap) {
    let bronze = Rgb::hex(0x0C0A1C);
    line(to, &[(400.0, -4.0), (400.0, 60.0)], 8.0, bronze, 1.0);
    let mut b = PathBuilder::new();
    b.move_to(372.0, 62.0);
    b.cubic_to(376.0, 40.0, 424.0, 40.0, 428.0, 62.0);
    b.cubic_to(436.0, 110.0, 440.0, 140.0, 464.0, 162.0);
    b.line_to(336.0, 162.0);
    b.cubic_to(360.0, 140.0, 364.0, 110.0, 372.0, 62.0);
    b.close();
    shape(to, b, bronze, 1.0);
    line(to, &[(340.0, 156.0), (460.0, 156.0)], 3.0, Rgb::hex(0x6A5A80), 0.8);
    line(to, &[(384.0, 64.0), (374.0, 124.0)], 3.0, Rgb::hex(0x6A5A80), 0.5);
    ellipse(to, (400.0, 168.0, 11.0, 10.0), bronze, 1.0);
    line(to, &[(400.0, 176.0), (398.0, 330.0), (402.0, 512.0)], 3.5, Rgb::hex(0x1D1830), 1.0);
    ellipse(to, (402.0, 470.0, 5.0, 12.0), Rgb::hex(0x3A2F58), 1.0);
}
