//! Things that stand in several scenes: trees, lanterns, people, the moon.

use crate::games::kit::brush::{disc, ellipse, glow, line, polygon, rect, shape, stroke};
use crate::games::kit::paint::Rgb;
use crate::games::kit::random::Random;
use tiny_skia::{PathBuilder, Pixmap};

pub(super) const FLAME: Rgb = Rgb::hex(0xFFC774);
const FLAME_CORE: Rgb = Rgb::hex(0xFFF1CF);

/// A slender tree, `height` tall, standing at (`x`, `base`).
pub(super) fn cypress(to: &mut Pixmap, x: f32, base: f32, height: f32, color: Rgb) {
    let w = height * 0.105;
    let mut b = PathBuilder::new();
    b.move_to(x, base - height);
    b.cubic_to(x + w * 0.5, base - height * 0.75, x + w * 1.25, base - height * 0.4, x + w * 0.7, base);
    b.line_to(x - w * 0.7, base);
    b.cubic_to(x - w * 1.2, base - height * 0.38, x - w * 0.55, base - height * 0.75, x, base - height);
    b.close();
    shape(to, b, color, 1.0);
    let mut random = Random::new((x * 31.0) as u64);
    for _ in 0..26 {
        let up = random.unit();
        let side = (random.unit() - 0.5) * 2.0 * w * (1.12 - up).min(0.92);
        let y = base - height * up * 0.95;
        polygon(to, &[(x + side, y), (x + side * 1.22, y - 13.0), (x + side * 0.8, y - 2.0)], color, 1.0);
    }
}

/// A leafy mound standing on `base`, filled down to it.
pub(super) fn bush(to: &mut Pixmap, x: f32, base: f32, width: f32, height: f32, seed: u64, color: Rgb) {
    let mut random = Random::new(seed);
    let half = width * 0.5;
    let rise = |along: f32| height * (1.0 - along.abs().powf(2.4));
    let mut points = vec![(x - half, base)];
    let count = (width / 8.0) as i32;
    for index in 0..=count {
        let along = index as f32 / count as f32 * 2.0 - 1.0;
        let (px, py) = (x + along * half, base - rise(along));
        points.push((px, py));
        let r = random.between(height * 0.04, height * 0.1).clamp(3.0, 15.0);
        disc(to, px, (py + r * 0.4).min(base - r), r, color, 1.0);
    }
    points.push((x + half, base));
    polygon(to, &points, color, 1.0);
}

/// A piece of a branch: start, bend, end, and how many forks are still to come.
pub(super) struct Branch {
    pub(super) points: [(f32, f32); 3],
    pub(super) depth: u32,
    pub(super) width: f32,
}

/// Grows a forking tree from (x, y) in the direction of `angle` (0 is up).
pub(super) fn forks(
    (x, y, angle): (f32, f32, f32),
    length: f32,
    width: f32,
    depth: u32,
    random: &mut Random,
    out: &mut Vec<Branch>,
) {
    let (ex, ey) = (x + angle.sin() * length, y - angle.cos() * length);
    let bend = random.between(-0.18, 0.18) * length;
    let middle = ((x + ex) / 2.0 + angle.cos() * bend, (y + ey) / 2.0 + angle.sin() * bend);
    out.push(Branch { points: [(x, y), middle, (ex, ey)], depth, width });
    if depth == 0 {
        return;
    }
    let open = random.between(0.24, 0.42);
    for side in [-1.0, 1.0] {
        let turn = angle * 0.94 + side * open + random.between(-0.07, 0.07);
        let next = length * random.between(0.7, 0.86);
        forks((ex, ey, turn), next, width * 0.7, depth - 1, random, out);
    }
}

/// Draws branches; gives the tips.
pub(super) fn draw_forks(
    to: &mut Pixmap,
    branches: &[Branch],
    color: impl Fn(u32) -> Rgb,
    place: impl Fn((f32, f32)) -> (f32, f32),
) -> Vec<(f32, f32)> {
    let mut tips = Vec::new();
    for branch in branches {
        let [start, middle, end] = branch.points.map(&place);
        let mut b = PathBuilder::new();
        b.move_to(start.0, start.1);
        b.quad_to(middle.0, middle.1, end.0, end.1);
        stroke(to, b, branch.width, color(branch.depth), 1.0);
        if branch.depth == 0 {
            tips.push(end);
        }
    }
    tips
}

/// A paper lantern hanging at (`x`, `y`), `size` tall, with its light around it.
pub(super) fn lantern(to: &mut Pixmap, x: f32, y: f32, size: f32, light: f32) {
    glow(to, x, y, size * 5.5, 1.0, FLAME, 0.5 * light);
    glow(to, x, y, size * 2.0, 1.0, FLAME, 0.75 * light);
    let dark = Rgb::hex(0x2A1A18);
    rect(to, x - size * 0.24, y - size * 0.62, size * 0.48, size * 0.12, dark, 1.0);
    rect(to, x - size * 0.24, y + size * 0.5, size * 0.48, size * 0.12, dark, 1.0);
    ellipse(to, (x, y, size * 0.4, size * 0.54), Rgb::hex(0xF0A24A), 1.0);
    ellipse(to, (x, y + size * 0.06, size * 0.27, size * 0.42), FLAME, 1.0);
    ellipse(to, (x, y + size * 0.12, size * 0.13, size * 0.24), FLAME_CORE, 1.0);
    line(to, &[(x, y - size * 0.62), (x, y - size * 0.95)], (size * 0.05).max(1.0), dark, 1.0);
}

/// A small far light.
pub(super) fn spark(to: &mut Pixmap, x: f32, y: f32, size: f32) {
    glow(to, x, y, size * 6.0, 1.0, FLAME, 0.7);
    disc(to, x, y, size, FLAME_CORE, 1.0);
}

/// The moon with its halo.
pub(super) fn moon(to: &mut Pixmap, x: f32, y: f32, r: f32, color: Rgb) {
    glow(to, x, y, r * 7.0, 1.0, color, 0.34);
    glow(to, x, y, r * 2.6, 1.0, color, 0.5);
    disc(to, x, y, r, color, 1.0);
    let sea = color.mix(Rgb::hex(0x8B8FA8), 0.28);
    for (dx, dy, s) in [(-0.32, -0.22, 0.26), (0.1, -0.4, 0.15), (0.25, 0.12, 0.22), (-0.2, 0.3, 0.16)] {
        disc(to, x + dx * r, y + dy * r, s * r, sea, 0.5);
    }
}

/// Somebody standing in a long coat, `height` tall, feet at (`x`, `y`).
pub(super) fn person(to: &mut Pixmap, x: f32, y: f32, height: f32, color: Rgb) {
    let h = height;
    disc(to, x, y - h * 0.89, h * 0.085, color, 1.0);
    let mut b = PathBuilder::new();
    b.move_to(x - h * 0.05, y - h * 0.8);
    b.cubic_to(x - h * 0.17, y - h * 0.74, x - h * 0.15, y - h * 0.45, x - h * 0.19, y - h * 0.16);
    b.line_to(x + h * 0.17, y - h * 0.16);
    b.cubic_to(x + h * 0.14, y - h * 0.45, x + h * 0.17, y - h * 0.74, x + h * 0.05, y - h * 0.8);
    b.close();
    shape(to, b, color, 1.0);
    rect(to, x - h * 0.1, y - h * 0.17, h * 0.07, h * 0.17, color, 1.0);
    rect(to, x + h * 0.03, y - h * 0.17, h * 0.07, h * 0.17, color, 1.0);
}
