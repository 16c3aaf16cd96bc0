//! The river: one white street of moonlight, a boat on this bank, a lamp on the other.

use super::props::{bush, cypress, moon, spark};
use crate::games::kit::brush::{ellipse, glow, hills, line, mist, rect, shape, sky, stars, stroke, water};
use crate::games::kit::paint::Rgb;
use crate::games::kit::random::Random;
use tiny_skia::{PathBuilder, Pixmap};

const WATER: i32 = 300;

pub(super) fn paint(to: &mut Pixmap) {
    sky(
        to,
        &[
            (0.0, Rgb::hex(0x050D22)),
            (130.0, Rgb::hex(0x10284C)),
            (230.0, Rgb::hex(0x2E5378)),
            (300.0, Rgb::hex(0x7E9DB0)),
        ],
    );
    stars(to, 37, 190, 220.0);
    moon(to, 420.0, 112.0, 50.0, Rgb::hex(0xFFF5E0));
    hills(to, 268.0, 24.0, 111, 3.0, Rgb::hex(0x3E6484));
    hills(to, 290.0, 8.0, 112, 5.0, Rgb::hex(0x1C3A58));
    for (x, h) in
        [(90.0, 96.0), (124.0, 130.0), (690.0, 100.0), (1_120.0, 140.0), (1_156.0, 104.0), (1_230.0, 128.0)]
    {
        cypress(to, x, 298.0, h, Rgb::hex(0x15304C));
    }
    platform(to);
    mist(to, 292.0, 22.0, Rgb::hex(0xB8D0E0), 0.3);
    water(to, WATER, 0.72, Rgb::hex(0x0B2440), 0.3);
    street(to);
    boat(to);
    for (x, y, w, h, seed) in [(50.0, 720.0, 400.0, 240.0, 121), (1_220.0, 720.0, 420.0, 250.0, 122)] {
        bush(to, x, y, w, h, seed, Rgb::hex(0x040B18));
    }
    reeds(to);
}

fn platform(to: &mut Pixmap) {
    let dark = Rgb::hex(0x0A1A30);
    rect(to, 890.0, 284.0, 260.0, 14.0, dark, 1.0);
    line(to, &[(1_074.0, 284.0), (1_074.0, 186.0)], 4.0, dark, 1.0);
    line(to, &[(1_074.0, 190.0), (1_040.0, 190.0)], 3.0, dark, 1.0);
    glow(to, 1_040.0, 214.0, 150.0, 0.9, Rgb::hex(0xFFC870), 0.85);
    spark(to, 1_040.0, 199.0, 4.0);
    ellipse(to, (1_122.0, 210.0, 15.0, 15.0), dark, 1.0);
    ellipse(to, (1_122.0, 210.0, 12.0, 12.0), Rgb::hex(0xFFE9C0), 1.0);
    line(to, &[(1_122.0, 210.0), (1_122.0, 202.0)], 1.6, dark, 1.0);
    line(to, &[(1_122.0, 210.0), (1_116.0, 213.0)], 1.6, dark, 1.0);
    line(to, &[(1_122.0, 225.0), (1_122.0, 284.0)], 4.0, dark, 1.0);
    // The bench, and somebody on it.
    rect(to, 986.0, 266.0, 60.0, 4.0, dark, 1.0);
    rect(to, 990.0, 268.0, 4.0, 16.0, dark, 1.0);
    rect(to, 1_038.0, 268.0, 4.0, 16.0, dark, 1.0);
    ellipse(to, (1_014.0, 236.0, 6.5, 7.0), dark, 1.0);
    let mut b = PathBuilder::new();
    b.move_to(1_002.0, 268.0);
    b.cubic_to(1_001.0, 250.0, 1_005.0, 244.0, 1_014.0, 243.0);
    b.cubic_to(1_023.0, 244.0, 1_027.0, 250.0, 1_026.0, 268.0);
    b.close();
    shape(to, b, dark, 1.0);
    rect(to, 1_050.0, 266.0, 17.0, 18.0, Rgb::hex(0x14243A), 1.0);
    rect(to, 1_055.0, 262.0, 7.0, 4.0, dark, 1.0);
}

/// Moonlight on the water.
fn street(to: &mut Pixmap) {
    let mut random = Random::new(9);
    let mut y = 304.0;
    while y < 560.0 {
        let away = (y - 300.0) / 260.0;
        for _ in 0..3 {
            let x = 420.0 + random.between(-1.0, 1.0) * (14.0 + 70.0 * away);
            let half = random.between(4.0, 14.0 + 36.0 * away);
            ellipse(to, (x, y, half, 0.9 + 1.5 * away), Rgb::hex(0xFFF5E0), random.between(0.35, 0.85));
        }
        y += 5.0 + 5.0 * away;
    }
    glow(to, 420.0, 400.0, 240.0, 0.9, Rgb::hex(0xFFF5E0), 0.2);
}

fn boat(to: &mut Pixmap) {
    let dark = Rgb::hex(0x050C1A);
    ellipse(to, (634.0, 474.0, 150.0, 9.0), Rgb::hex(0x061226), 0.7);
    let mut b = PathBuilder::new();
    b.move_to(484.0, 424.0);
    b.cubic_to(534.0, 448.0, 724.0, 450.0, 790.0, 416.0);
    b.cubic_to(770.0, 462.0, 734.0, 474.0, 634.0, 474.0);
    b.cubic_to(554.0, 474.0, 506.0, 464.0, 484.0, 424.0);
    b.close();
    shape(to, b, dark, 1.0);
    let mut rim = PathBuilder::new();
    rim.move_to(486.0, 425.0);
    rim.cubic_to(536.0, 449.0, 724.0, 451.0, 788.0, 417.0);
    stroke(to, rim, 2.5, Rgb::hex(0x7E9DB0), 0.8);
    line(to, &[(584.0, 446.0), (700.0, 446.0)], 6.0, Rgb::hex(0x12263E), 1.0);
    // The rope and its leaves.
    let mut rope = PathBuilder::new();
    rope.move_to(790.0, 420.0);
    rope.quad_to(874.0, 470.0, 954.0, 416.0);
    stroke(to, rope, 2.5, Rgb::hex(0x2A4A48), 1.0);
    for (x, y) in [(820.0, 432.0), (846.0, 444.0), (874.0, 444.0), (906.0, 440.0), (932.0, 428.0)] {
        ellipse(to, (x, y - 4.0, 6.0, 2.8), Rgb::hex(0x4F8A6C), 1.0);
        ellipse(to, (x + 5.0, y + 3.0, 5.0, 2.4), Rgb::hex(0x3A6E5C), 1.0);
    }
    rect(to, 948.0, 396.0, 14.0, 90.0, dark, 1.0);
    rect(to, 948.0, 396.0, 14.0, 4.0, Rgb::hex(0x7E9DB0), 0.6);
}

fn reeds(to: &mut Pixmap) {
    let mut random = Random::new(15);
    for index in 0..44 {
        let x = if index % 2 == 0 { random.between(0.0, 230.0) } else { random.between(1_030.0, 1_280.0) };
        let (h, lean) = (random.between(60.0, 190.0), random.between(-26.0, 26.0));
        let mut b = PathBuilder::new();
        b.move_to(x, 600.0);
        b.quad_to(x, 600.0 - h * 0.6, x + lean, 600.0 - h);
        stroke(to, b, 2.4, Rgb::hex(0x040B18), 1.0);
        if index % 5 == 0 {
            ellipse(to, (x + lean, 600.0 - h, 3.6, 13.0), Rgb::hex(0x0A1826), 1.0);
        }
    }
}
