//! Painting of still scenes: skies, glows, hills, trees, lanterns, mist, water. Slow and done once a scene.

use super::area::Area;
use super::paint::{Rgb, fill};
use super::random::Random;
use super::{HEIGHT, WIDTH, smooth};
use tiny_skia::{FillRule, LineCap, LineJoin, Paint, Path, PathBuilder, Pixmap, Stroke, Transform};

fn paint(color: Rgb, alpha: f32) -> Paint<'static> {
    let mut paint = Paint { anti_alias: true, ..Paint::default() };
    paint.set_color(color.color(alpha.clamp(0.0, 1.0)));
    paint
}

/// Vertical gradient over the whole width: stops are (y, colour), rising.
pub(in crate::games) fn sky(to: &mut Pixmap, stops: &[(f32, Rgb)]) {
    for y in 0..HEIGHT as i32 {
        fill(to, Area::new(0, y, WIDTH as i32, 1), gradient(stops, y as f32), 255);
    }
}

/// The colour at `at` between rising stops.
pub(in crate::games) fn gradient(stops: &[(f32, Rgb)], at: f32) -> Rgb {
    let mut before = stops.first().copied().unwrap_or((0.0, Rgb(0, 0, 0)));
    for &(y, color) in stops {
        if at < y {
            let span = (y - before.0).max(1.0);
            return before.1.mix(color, smooth((at - before.0) / span));
        }
        before = (y, color);
    }
    before.1
}

/// Light that falls off from (`x`, `y`) and ends at radius `r`; `strength` 0-1. Wide when `squash` is below 1.
pub(in crate::games) fn glow(
    to: &mut Pixmap,
    x: f32,
    y: f32,
    r: f32,
    squash: f32,
    color: Rgb,
    strength: f32,
) {
    let (x0, x1) = ((x - r).max(0.0) as i32, (x + r).min(to.width() as f32) as i32);
    let (y0, y1) = ((y - r * squash).max(0.0) as i32, (y + r * squash).min(to.height() as f32) as i32);
    let width = to.width() as usize;
    let data = to.data_mut();
    for line in y0..y1 {
        for column in x0..x1 {
            let dx = (column as f32 + 0.5 - x) / r;
            let dy = (line as f32 + 0.5 - y) / (r * squash);
            let away = dx * dx + dy * dy;
            if away >= 1.0 {
                continue;
            }
            let light = (1.0 - away) * (1.0 - away) * (1.0 - away.sqrt()) * strength;
            let at = (line as usize * width + column as usize) * 4;
            for (channel, value) in data[at..at + 3].iter_mut().zip([color.0, color.1, color.2]) {
                // Screen, not addition: bright places do not burn out.
                let add = f32::from(value) * light;
                *channel = (f32::from(*channel) + add * (255.0 - f32::from(*channel)) / 255.0).round() as u8;
            }
        }
    }
}

pub(in crate::games) fn disc(to: &mut Pixmap, x: f32, y: f32, r: f32, color: Rgb, alpha: f32) {
    if let Some(path) = PathBuilder::from_circle(x, y, r) {
        to.fill_path(&path, &paint(color, alpha), FillRule::Winding, Transform::identity(), None);
    }
}

pub(in crate::games) fn ellipse(to: &mut Pixmap, area: (f32, f32, f32, f32), color: Rgb, alpha: f32) {
    let (x, y, rx, ry) = area;
    let Some(rect) = tiny_skia::Rect::from_xywh(x - rx, y - ry, rx * 2.0, ry * 2.0) else { return };
    if let Some(path) = PathBuilder::from_oval(rect) {
        to.fill_path(&path, &paint(color, alpha), FillRule::Winding, Transform::identity(), None);
    }
}

pub(in crate::games) fn rect(to: &mut Pixmap, x: f32, y: f32, w: f32, h: f32, color: Rgb, alpha: f32) {
    polygon(to, &[(x, y), (x + w, y), (x + w, y + h), (x, y + h)], color, alpha);
}

pub(in crate::games) fn polygon(to: &mut Pixmap, points: &[(f32, f32)], color: Rgb, alpha: f32) {
    let mut builder = PathBuilder::new();
    for (index, &(x, y)) in points.iter().enumerate() {
        if index == 0 {
            builder.move_to(x, y);
        } else {
            builder.line_to(x, y);
        }
    }
    builder.close();
    shape(to, builder, color, alpha);
}

/// Fills whatever was built.
pub(in crate::games) fn shape(to: &mut Pixmap, builder: PathBuilder, color: Rgb, alpha: f32) {
    if let Some(path) = builder.finish() {
        to.fill_path(&path, &paint(color, alpha), FillRule::Winding, Transform::identity(), None);
    }
}

pub(in crate::games) fn line(to: &mut Pixmap, points: &[(f32, f32)], width: f32, color: Rgb, alpha: f32) {
    let mut builder = PathBuilder::new();
    for (index, &(x, y)) in points.iter().enumerate() {
        if index == 0 {
            builder.move_to(x, y);
        } else {
            builder.line_to(x, y);
        }
    }
    stroke(to, builder, width, color, alpha);
}

/// Strokes whatever was built, with round ends.
pub(in crate::games) fn stroke(to: &mut Pixmap, builder: PathBuilder, width: f32, color: Rgb, alpha: f32) {
    let Some(path) = builder.finish() else { return };
    let stroke = Stroke { width, line_cap: LineCap::Round, line_join: LineJoin::Round, ..Stroke::default() };
    to.stroke_path(&path, &paint(color, alpha), &stroke, Transform::identity(), None);
}

/// A rectangle with round corners.
pub(in crate::games) fn rounded(x: f32, y: f32, w: f32, h: f32, r: f32) -> Option<Path> {
    let bend = r * 0.447_7;
    let mut b = PathBuilder::new();
    b.move_to(x + r, y);
    b.line_to(x + w - r, y);
    b.cubic_to(x + w - bend, y, x + w, y + bend, x + w, y + r);
    b.line_to(x + w, y + h - r);
    b.cubic_to(x + w, y + h - bend, x + w - bend, y + h, x + w - r, y + h);
    b.line_to(x + r, y + h);
    b.cubic_to(x + bend, y + h, x, y + h - bend, x, y + h - r);
    b.line_to(x, y + r);
    b.cubic_to(x, y + bend, x + bend, y, x + r, y);
    b.close();
    b.finish()
}

pub(in crate::games) fn panel(to: &mut Pixmap, at: (f32, f32, f32, f32), r: f32, color: Rgb, alpha: f32) {
    if let Some(path) = rounded(at.0, at.1, at.2, at.3, r) {
        to.fill_path(&path, &paint(color, alpha), FillRule::Winding, Transform::identity(), None);
    }
}

pub(in crate::games) fn frame(to: &mut Pixmap, at: (f32, f32, f32, f32), r: f32, color: Rgb, alpha: f32) {
    if let Some(path) = rounded(at.0 + 0.5, at.1 + 0.5, at.2 - 1.0, at.3 - 1.0, r) {
        let stroke = Stroke { width: 1.5, ..Stroke::default() };
        to.stroke_path(&path, &paint(color, alpha), &stroke, Transform::identity(), None);
    }
}

/// A ridge from edge to edge, filled down to the bottom: three waves and a little roughness by `seed`.
pub(in crate::games) fn hills(to: &mut Pixmap, y: f32, height: f32, seed: u64, rough: f32, color: Rgb) {
    let mut random = Random::new(seed);
    let phases: [f32; 3] = std::array::from_fn(|_| random.between(0.0, std::f32::consts::TAU));
    let mut points = vec![(-4.0, HEIGHT as f32)];
    let mut x = -4.0;
    while x <= WIDTH as f32 + 8.0 {
        let wave = (x * 0.004_1 + phases[0]).sin() * 0.6
            + (x * 0.009_7 + phases[1]).sin() * 0.3
            + (x * 0.023 + phases[2]).sin() * 0.1;
        points.push((x, y - height * wave - random.between(0.0, rough)));
        x += 6.0;
    }
    points.push((WIDTH as f32 + 8.0, HEIGHT as f32));
    polygon(to, &points, color, 1.0);
}

/// A band of mist with soft edges, strongest at `y`.
pub(in crate::games) fn mist(to: &mut Pixmap, y: f32, half: f32, color: Rgb, alpha: f32) {
    for line in (y - half).max(0.0) as i32..(y + half).min(HEIGHT as f32) as i32 {
        let near = 1.0 - ((line as f32 - y) / half).abs();
        let cover = (smooth(near) * alpha * 255.0) as u8;
        fill(to, Area::new(0, line, WIDTH as i32, 1), color, cover);
    }
}

/// Stars above `bottom`, fewer and fainter towards it.
pub(in crate::games) fn stars(to: &mut Pixmap, seed: u64, count: u32, bottom: f32) {
    let mut random = Random::new(seed);
    for _ in 0..count {
        let (x, y) = (random.between(0.0, WIDTH as f32), random.between(0.0, bottom));
        let depth = 1.0 - y / bottom;
        let alpha = random.between(0.15, 0.9) * (0.25 + 0.75 * depth);
        let size = if random.unit() > 0.93 { 1.7 } else { random.between(0.6, 1.1) };
        disc(to, x, y, size, Rgb::hex(0xFFF6E0), alpha);
    }
}

/// Darkens the corners.
pub(in crate::games) fn vignette(to: &mut Pixmap, strength: f32) {
    let (w, h) = (WIDTH as f32, HEIGHT as f32);
    let width = to.width() as usize;
    for (index, pixel) in to.data_mut().as_chunks_mut::<4>().0.iter_mut().enumerate() {
        let dx = ((index % width) as f32 / w - 0.5) * 2.0;
        let dy = ((index / width) as f32 / h - 0.5) * 2.0;
        let keep = 1.0 - smooth((dx * dx * 0.6 + dy * dy * 0.5) - 0.25) * strength;
        for channel in &mut pixel[..3] {
            *channel = (f32::from(*channel) * keep) as u8;
        }
    }
}

/// Mirrors what is above `y` into the water below it: squeezed, rippled, tinted.
pub(in crate::games) fn water(to: &mut Pixmap, y: i32, squeeze: f32, tint: Rgb, depth: f32) {
    let above = to.clone();
    let (w, h) = (WIDTH as i32, HEIGHT as i32);
    for line in y..h {
        let away = (line - y) as f32;
        let from = (y as f32 - 1.0 - away * squeeze).max(0.0) as i32;
        let sway = (away * (0.42 - away * 0.000_5)).sin() * (0.7 + away * 0.011);
        let dim = (0.28 + depth * away / (h - y) as f32).min(0.94);
        for x in 0..w {
            let source = (x + sway as i32).clamp(0, w - 1);
            let at = ((from * w + source) * 4) as usize;
            let into = ((line * w + x) * 4) as usize;
            let seen = Rgb(above.data()[at], above.data()[at + 1], above.data()[at + 2]).mix(tint, dim);
            to.data_mut()[into..into + 3].copy_from_slice(&[seen.0, seen.1, seen.2]);
        }
    }
}
