//! The title: a tree of paths over dark water, with a light at its root.

use super::props::{FLAME, draw_forks, forks, lantern, person, spark};
use crate::games::kit::brush::{glow, hills, sky, stars};
use crate::games::kit::paint::Rgb;
use crate::games::kit::random::Random;
use tiny_skia::Pixmap;

pub(super) fn paint(to: &mut Pixmap, endings: u8) {
    sky(
        to,
        &[
            (0.0, Rgb::hex(0x090D22)),
            (300.0, Rgb::hex(0x1A2244)),
            (560.0, Rgb::hex(0x3B3560)),
            (640.0, Rgb::hex(0x5A4468)),
        ],
    );
    stars(to, 11, 210, 470.0);
    glow(to, 905.0, 560.0, 520.0, 0.9, Rgb::hex(0xE8A068), 0.33);
    hills(to, 596.0, 26.0, 5, 5.0, Rgb::hex(0x2C2A50));
    hills(to, 626.0, 16.0, 8, 4.0, Rgb::hex(0x1B1D3C));
    let mut random = Random::new(44);
    let bark = |depth: u32| Rgb::hex(0x0C0F22).mix(Rgb::hex(0x6F5560), 1.0 - depth as f32 / 7.0);
    let mut branches = Vec::new();
    forks((905.0, 668.0, 0.0), 128.0, 17.0, 6, &mut random, &mut branches);
    let mut tips = draw_forks(to, &branches, bark, |at| at);
    hills(to, 664.0, 7.0, 21, 5.0, Rgb::hex(0x0D1026));
    tips.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Seven tips spread over the crown wait for the seven endings.
    for index in 0..7_usize {
        let Some(&(x, y)) = tips.get(index * tips.len().saturating_sub(1) / 6) else { continue };
        if endings & (1 << index) != 0 {
            lantern(to, x, y + 16.0, 26.0, 1.0);
        } else {
            spark(to, x, y, 1.6);
        }
    }
    for (index, &(x, y)) in tips.iter().enumerate() {
        if index % 3 == 1 {
            glow(to, x, y, 26.0, 1.0, FLAME, 0.35);
        }
    }
    glow(to, 838.0, 668.0, 110.0, 0.12, FLAME, 0.7);
    person(to, 822.0, 670.0, 74.0, Rgb::hex(0x06081A));
    lantern(to, 844.0, 634.0, 17.0, 1.0);
}
