//! Copying, blending and filling of rectangles of pixels: the fast half of drawing. All clip; none can fail.
//!
//! Pictures are opaque; sprites are premultiplied RGBA, as [`Pixmap`] keeps them.

use super::area::Area;
use tiny_skia::Pixmap;

/// A colour without alpha.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::games) struct Rgb(pub(in crate::games) u8, pub(in crate::games) u8, pub(in crate::games) u8);

impl Rgb {
    /// From `0xRRGGBB`.
    pub(in crate::games) const fn hex(value: u32) -> Self {
        Self((value >> 16) as u8, (value >> 8) as u8, value as u8)
    }

    /// `t` = 0 gives `self`, 1 gives `other`.
    pub(in crate::games) fn mix(self, other: Self, t: f32) -> Self {
        let t = t.clamp(0.0, 1.0);
        let one = |a: u8, b: u8| (f32::from(a) + (f32::from(b) - f32::from(a)) * t).round() as u8;
        Self(one(self.0, other.0), one(self.1, other.1), one(self.2, other.2))
    }

    pub(in crate::games) fn color(self, alpha: f32) -> tiny_skia::Color {
        let mut color = tiny_skia::Color::from_rgba8(self.0, self.1, self.2, 255);
        color.set_alpha(alpha);
        color
    }
}

/// `a * b / 255`, rounded.
pub(in crate::games) fn scale(a: u8, b: u8) -> u8 {
    let product = u32::from(a) * u32::from(b) + 128;
    ((product + (product >> 8)) >> 8) as u8
}

fn bounds(picture: &Pixmap) -> Area {
    Area::new(0, 0, picture.width() as i32, picture.height() as i32)
}

/// The bytes of pixels `x0..x1` of row `y`; the caller has clipped.
fn row(picture: &mut Pixmap, y: i32, x0: i32, x1: i32) -> &mut [u8] {
    let start = (y as usize * picture.width() as usize + x0 as usize) * 4;
    let length = (x1 - x0) as usize * 4;
    &mut picture.data_mut()[start..start + length]
}

fn row_of(picture: &Pixmap, y: i32, x0: i32, x1: i32) -> &[u8] {
    let start = (y as usize * picture.width() as usize + x0 as usize) * 4;
    let length = (x1 - x0) as usize * 4;
    &picture.data()[start..start + length]
}

/// Copies an area from one picture to the same place of another.
pub(in crate::games) fn copy(from: &Pixmap, to: &mut Pixmap, area: Area) {
    let area = area.clip(bounds(from)).clip(bounds(to));
    if area.is_empty() {
        return;
    }
    for y in area.y0..area.y1 {
        row(to, y, area.x0, area.x1).copy_from_slice(row_of(from, y, area.x0, area.x1));
    }
}

/// Lays a sprite over the picture with its upper left corner at (`x`, `y`).
pub(in crate::games) fn over(to: &mut Pixmap, sprite: &Pixmap, x: i32, y: i32, alpha: u8, clip: Area) {
    blit(to, sprite, x, y, clip, |under, top| {
        if top[3] == 0 {
            return;
        }
        if top[3] == 255 && alpha == 255 {
            *under = *top;
            return;
        }
        let top = times(*top, alpha);
        let rest = times(*under, 255 - top[3]);
        // Premultiplied: the sum cannot pass 255 by more than the rounding.
        *under = std::array::from_fn(|i| rest[i].saturating_add(top[i]));
    });
}

/// Adds a sprite's light to the picture.
pub(in crate::games) fn add(to: &mut Pixmap, sprite: &Pixmap, x: i32, y: i32, alpha: u8, clip: Area) {
    blit(to, sprite, x, y, clip, |under, top| {
        if u32::from_le_bytes(*top) & 0x00FF_FFFF == 0 {
            return;
        }
        let top = times(*top, alpha);
        *under = [
            under[0].saturating_add(top[0]),
            under[1].saturating_add(top[1]),
            under[2].saturating_add(top[2]),
            255,
        ];
    });
}

/// All four channels by `factor` / 255, two at a time.
fn times(pixel: [u8; 4], factor: u8) -> [u8; 4] {
    if factor == 255 {
        return pixel;
    }
    const PAIR: u32 = 0x00FF_00FF;
    let (pixel, factor) = (u32::from_le_bytes(pixel), u32::from(factor));
    let round = |pair: u32| (pair + ((pair >> 8) & PAIR)) >> 8 & PAIR;
    let even = round((pixel & PAIR) * factor + 0x0080_0080);
    let odd = round((pixel >> 8 & PAIR) * factor + 0x0080_0080);
    (even | odd << 8).to_le_bytes()
}

fn blit(
    to: &mut Pixmap,
    sprite: &Pixmap,
    x: i32,
    y: i32,
    clip: Area,
    mut pixel: impl FnMut(&mut [u8; 4], &[u8; 4]),
) {
    let area = Area::new(x, y, sprite.width() as i32, sprite.height() as i32).clip(clip).clip(bounds(to));
    if area.is_empty() {
        return;
    }
    for line in area.y0..area.y1 {
        let top = row_of(sprite, line - y, area.x0 - x, area.x1 - x).as_chunks::<4>().0;
        let under = row(to, line, area.x0, area.x1).as_chunks_mut::<4>().0;
        for (u, t) in under.iter_mut().zip(top) {
            pixel(u, t);
        }
    }
}

/// Fills an area with one colour.
pub(in crate::games) fn fill(to: &mut Pixmap, area: Area, color: Rgb, alpha: u8) {
    let area = area.clip(bounds(to));
    if area.is_empty() {
        return;
    }
    let rest = 255 - alpha;
    let light = [scale(color.0, alpha), scale(color.1, alpha), scale(color.2, alpha)];
    for y in area.y0..area.y1 {
        for under in row(to, y, area.x0, area.x1).as_chunks_mut::<4>().0 {
            for (u, l) in under.iter_mut().zip(light) {
                *u = scale(*u, rest).saturating_add(l);
            }
            under[3] = 255;
        }
    }
}

/// Writes the mixture of two pictures of the same size: `t` = 0 gives `a`, 256 gives `b`.
pub(in crate::games) fn mix(to: &mut Pixmap, a: &Pixmap, b: &Pixmap, t: u16) {
    let t = t.min(256);
    let pairs = a.data().iter().zip(b.data());
    for (out, (&a, &b)) in to.data_mut().iter_mut().zip(pairs) {
        *out = ((u16::from(a) * (256 - t) + u16::from(b) * t) >> 8).min(255) as u8;
    }
}

/// The picture at half its size, every pixel the mean of four.
pub(in crate::games) fn halved(from: &Pixmap) -> Option<Pixmap> {
    let mut to = Pixmap::new(from.width() / 2, from.height() / 2)?;
    let (width, stride) = (to.width() as usize, from.width() as usize * 4);
    let data = from.data();
    for (index, pixel) in to.data_mut().as_chunks_mut::<4>().0.iter_mut().enumerate() {
        let at = index / width * 2 * stride + index % width * 8;
        for (channel, value) in pixel.iter_mut().enumerate() {
            let four = [at, at + 4, at + stride, at + stride + 4].map(|at| u32::from(data[at + channel]));
            *value = (four.iter().sum::<u32>() / 4) as u8;
        }
    }
    Some(to)
}

/// Blends a colour over one pixel by its coverage.
pub(in crate::games) fn dot(to: &mut Pixmap, x: i32, y: i32, color: Rgb, coverage: u8) {
    if coverage == 0 || !bounds(to).holds(x, y) {
        return;
    }
    let under = row(to, y, x, x + 1);
    let rest = 255 - coverage;
    under[0] = scale(under[0], rest).saturating_add(scale(color.0, coverage));
    under[1] = scale(under[1], rest).saturating_add(scale(color.1, coverage));
    under[2] = scale(under[2], rest).saturating_add(scale(color.2, coverage));
    under[3] = scale(under[3], rest).saturating_add(coverage);
}
