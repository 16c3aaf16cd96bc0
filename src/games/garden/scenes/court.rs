//! The court of water: arches, and the same arches upside down.

use super::props::{cypress, lantern, moon, person};
use crate::games::kit::brush::{glow, hills, line, rect, sky, stars, water};
use crate::games::kit::paint::Rgb;
use tiny_skia::{FillRule, Paint, PathBuilder, Pixmap, Transform};

const WATER: i32 = 372;

pub(super) fn paint(to: &mut Pixmap) {
    sky(
        to,
        &[
            (0.0, Rgb::hex(0x06162C)),
            (140.0, Rgb::hex(0x0E3350)),
            (260.0, Rgb::hex(0x2C6A80)),
            (372.0, Rgb::hex(0x86B7B2)),
        ],
    );
    stars(to, 17, 150, 230.0);
    moon(to, 640.0, 166.0, 46.0, Rgb::hex(0xFFF3D2));
    hills(to, 330.0, 20.0, 61, 4.0, Rgb::hex(0x3F7D8A));
    for (x, h) in
        [(420.0, 130.0), (455.0, 96.0), (840.0, 140.0), (806.0, 92.0), (130.0, 150.0), (1_150.0, 150.0)]
    {
        cypress(to, x, 362.0, h, Rgb::hex(0x1E5568));
    }
    arcade(to);
    person(to, 640.0, 371.0, 82.0, Rgb::hex(0x04101C));
    lantern(to, 664.0, 334.0, 19.0, 1.0);
    for x in [300.0, 980.0] {
        lantern(to, x, 196.0, 22.0, 0.9);
    }
    water(to, WATER, 0.96, Rgb::hex(0x0A3348), 0.35);
    rect(to, 0.0, WATER as f32 - 3.0, 1_280.0, 5.0, Rgb::hex(0x0B2433), 1.0);
    glow(to, 640.0, 560.0, 300.0, 0.3, Rgb::hex(0xFFF3D2), 0.16);
    for (y, half) in [(404.0, 120.0), (432.0, 210.0), (470.0, 300.0)] {
        line(to, &[(640.0 - half, y), (640.0 + half, y)], 1.4, Rgb::hex(0xBFE8F0), 0.16);
    }
}

/// Where a wall's first arch begins: the two walls mirror each other.
fn first(left: f32) -> f32 {
    if left < 0.0 { -20.0 } else { 790.0 }
}

/// The walls with their arches cut out, nearer and darker toward the edges.
fn arcade(to: &mut Pixmap) {
    let stone = Rgb::hex(0x123446);
    let lit = Rgb::hex(0x2A6274);
    let mut b = PathBuilder::new();
    for (left, right) in [(-20.0, 520.0), (760.0, 1_300.0)] {
        b.move_to(left, 118.0);
        b.line_to(right, 118.0);
        b.line_to(right, 372.0);
        b.line_to(left, 372.0);
        b.close();
        let mut x = first(left);
        while x + 120.0 <= right {
            // The other way round, so that it is a hole.
            b.move_to(x, 372.0);
            b.line_to(x, 240.0);
            b.cubic_to(x + 4.0, 196.0, x + 40.0, 176.0, x + 55.0, 164.0);
            b.cubic_to(x + 70.0, 176.0, x + 106.0, 196.0, x + 110.0, 240.0);
            b.line_to(x + 110.0, 372.0);
            b.close();
            x += 130.0;
        }
    }
    holes(to, b, stone);
    for (left, right) in [(-20.0, 520.0), (760.0, 1_300.0)] {
        rect(to, left, 108.0, right - left, 12.0, lit, 1.0);
        rect(to, left, 132.0, right - left, 4.0, lit, 0.6);
        let mut x = first(left);
        while x + 120.0 <= right {
            rect(to, x - 3.0, 240.0, 5.0, 132.0, lit, 0.55);
            rect(to, x - 12.0, 236.0, 14.0, 6.0, lit, 0.8);
            rect(to, x + 108.0, 236.0, 14.0, 6.0, lit, 0.8);
            x += 130.0;
        }
        let mut x = left;
        while x < right {
            rect(to, x, 94.0, 16.0, 14.0, stone, 1.0);
            x += 32.0;
        }
    }
}

fn holes(to: &mut Pixmap, b: PathBuilder, color: Rgb) {
    let Some(path) = b.finish() else { return };
    let mut paint = Paint { anti_alias: true, ..Paint::default() };
    paint.set_color(color.color(1.0));
    to.fill_path(&path, &paint, FillRule::EvenOdd, Transform::identity(), None);
}
