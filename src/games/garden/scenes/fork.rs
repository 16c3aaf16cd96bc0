//! The last fork at night: a great moon, the tower on its hill, the river below.

use super::props::{bush, cypress, lantern, moon, person, spark};
use crate::games::kit::brush::{glow, hills, line, mist, polygon, rect, shape, sky, stars};
use crate::games::kit::paint::Rgb;
use tiny_skia::{PathBuilder, Pixmap};

pub(super) fn paint(to: &mut Pixmap) {
    sky(
        to,
        &[
            (0.0, Rgb::hex(0x070B20)),
            (200.0, Rgb::hex(0x152350)),
            (340.0, Rgb::hex(0x3B4F86)),
            (420.0, Rgb::hex(0x8D93B8)),
        ],
    );
    stars(to, 23, 200, 330.0);
    moon(to, 716.0, 208.0, 84.0, Rgb::hex(0xFFF4DC));
    hills(to, 392.0, 22.0, 81, 3.0, Rgb::hex(0x46598E));
    tower_hill(to);
    river(to);
    mist(to, 428.0, 40.0, Rgb::hex(0xB8C0E0), 0.3);
    for (x, h, y) in
        [(560.0, 150.0, 452.0), (600.0, 112.0, 448.0), (848.0, 120.0, 446.0), (884.0, 168.0, 450.0)]
    {
        cypress(to, x, y, h, Rgb::hex(0x1B2A58));
    }
    hills(to, 452.0, 6.0, 83, 3.0, Rgb::hex(0x141F44));
    paths(to);
    for (x, h) in [(40.0, 430.0), (128.0, 340.0), (1_160.0, 360.0), (1_246.0, 450.0)] {
        cypress(to, x, 600.0, h, Rgb::hex(0x070C20));
    }
    bush(to, 80.0, 720.0, 420.0, 240.0, 91, Rgb::hex(0x060A1A));
    bush(to, 1_210.0, 720.0, 400.0, 240.0, 92, Rgb::hex(0x060A1A));
    glow(to, 652.0, 478.0, 120.0, 0.16, Rgb::hex(0xFFD090), 0.8);
    person(to, 640.0, 478.0, 96.0, Rgb::hex(0x050816));
    lantern(to, 666.0, 434.0, 20.0, 1.0);
}

fn tower_hill(to: &mut Pixmap) {
    let far = Rgb::hex(0x27386E);
    let mut b = PathBuilder::new();
    b.move_to(90.0, 460.0);
    b.cubic_to(220.0, 400.0, 260.0, 340.0, 330.0, 330.0);
    b.cubic_to(410.0, 340.0, 460.0, 410.0, 600.0, 460.0);
    b.close();
    shape(to, b, far, 1.0);
    rect(to, 308.0, 168.0, 44.0, 176.0, far, 1.0);
    rect(to, 302.0, 160.0, 56.0, 12.0, far, 1.0);
    polygon(to, &[(300.0, 162.0), (330.0, 96.0), (360.0, 162.0)], Rgb::hex(0x1F2E60), 1.0);
    rect(to, 308.0, 172.0, 9.0, 170.0, Rgb::hex(0x1F2E60), 1.0);
    glow(to, 330.0, 200.0, 60.0, 1.0, Rgb::hex(0xFFD090), 0.7);
    rect(to, 323.0, 188.0, 14.0, 24.0, Rgb::hex(0xFFDFA0), 1.0);
}

fn river(to: &mut Pixmap) {
    let mut b = PathBuilder::new();
    b.move_to(880.0, 420.0);
    b.cubic_to(1_000.0, 418.0, 900.0, 436.0, 1_010.0, 446.0);
    b.cubic_to(1_130.0, 456.0, 1_160.0, 470.0, 1_290.0, 520.0);
    b.line_to(1_290.0, 452.0);
    b.cubic_to(1_180.0, 436.0, 1_100.0, 432.0, 1_060.0, 420.0);
    b.close();
    hills(to, 430.0, 10.0, 87, 2.0, Rgb::hex(0x22325F));
    shape(to, b, Rgb::hex(0x9FB2E0), 0.9);
    for (x, y, w) in [(980.0, 430.0, 60.0), (1_080.0, 444.0, 80.0), (1_180.0, 462.0, 90.0)] {
        line(to, &[(x, y), (x + w, y)], 2.0, Rgb::hex(0xFFF4DC), 0.7);
    }
    spark(to, 1_136.0, 420.0, 2.2);
}

fn paths(to: &mut Pixmap) {
    let gravel = Rgb::hex(0xA9B0CE);
    let mut b = PathBuilder::new();
    b.move_to(430.0, 720.0);
    b.cubic_to(560.0, 600.0, 606.0, 530.0, 600.0, 486.0);
    b.cubic_to(590.0, 456.0, 430.0, 452.0, 372.0, 400.0);
    b.line_to(380.0, 398.0);
    b.cubic_to(450.0, 440.0, 590.0, 438.0, 640.0, 462.0);
    b.cubic_to(700.0, 440.0, 900.0, 462.0, 1_010.0, 448.0);
    b.line_to(1_022.0, 452.0);
    b.cubic_to(910.0, 476.0, 720.0, 456.0, 686.0, 486.0);
    b.cubic_to(680.0, 530.0, 740.0, 600.0, 860.0, 720.0);
    b.close();
    shape(to, b, gravel, 0.8);
}
