//! Pictures as the encoder takes them: I420 of limited range (16-235), with the colour matrix that [`Matrix::of`] chooses.
//! The encoder writes the picture's own [`Matrix`] into its VUI.
//!
//! Converts only the rectangle that changed. Plain loops over whole pixels in 32-bit lanes, which the compiler vectorises;
//! they are compiled once for each vector unit and chosen at run time, because the one that every x86-64 has makes them four
//! times as slow as AVX2 does.

use crate::games::Rect;
use fearless_simd::{Level, dispatch};
use openh264::formats::YUVSource;

/// Bits behind the point of a [`Weights`] factor.
const POINT: u32 = 15;

/// How colours become luma and chroma.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matrix {
    /// ITU-R BT.601, of pictures below HD.
    Bt601,
    /// ITU-R BT.709, of HD.
    Bt709,
}

impl Matrix {
    /// The matrix of a drawn picture of this size. A picture made smaller afterwards keeps the one it was drawn with.
    pub fn of(_width: u32, height: u32) -> Self {
        if height < 720 { Self::Bt601 } else { Self::Bt709 }
    }

    /// The standards' factors in [`POINT`] fixed point. Chroma factors add up to nothing, so that grey stays grey.
    fn weights(self) -> Weights {
        match self {
            Self::Bt601 => {
                Weights { y: [8414, 16519, 3208], u: [-4857, -9535, 14392], v: [14392, -12051, -2341] }
            }
            Self::Bt709 => {
                Weights { y: [5983, 20127, 2032], u: [-3298, -11094, 14392], v: [14392, -13073, -1319] }
            }
        }
    }
}

/// Factors of red, green and blue, each below 2^15.
#[derive(Clone, Copy)]
struct Weights {
    y: [i32; 3],
    u: [i32; 3],
    v: [i32; 3],
}

/// An I420 picture of even width and height.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct I420 {
    width: usize,
    height: usize,
    matrix: Matrix,
    y: Vec<u8>,
    u: Vec<u8>,
    v: Vec<u8>,
}

impl I420 {
    /// Black. Odd sizes are rounded down, zero sizes up.
    pub fn new(width: u32, height: u32) -> Self {
        let matrix = Matrix::of(width, height);
        let width = (usize::try_from(width).unwrap_or(2) & !1).max(2);
        let height = (usize::try_from(height).unwrap_or(2) & !1).max(2);
        Self {
            width,
            height,
            matrix,
            y: vec![16; width * height],
            u: vec![128; width * height / 4],
            v: vec![128; width * height / 4],
        }
    }

    /// Takes one rectangle (widened to even edges, clipped) over from another picture of the same size.
    pub fn copy_rect(&mut self, other: &Self, rect: Rect) {
        let area = self.area(rect);
        if area.is_empty() || (self.width, self.height) != (other.width, other.height) {
            return;
        }
        let Area { left, top, right, bottom } = area;
        let half = Area { left: left / 2, top: top / 2, right: right / 2, bottom: bottom / 2 };
        copy_rows(&mut self.y, &other.y, self.width, area);
        copy_rows(&mut self.u, &other.u, self.width / 2, half);
        copy_rows(&mut self.v, &other.v, self.width / 2, half);
    }

    /// Shows one colour only.
    pub fn is_plain(&self) -> bool {
        [&self.y, &self.u, &self.v]
            .iter()
            .all(|plane| plane.iter().all(|sample| Some(sample) == plane.first()))
    }

    /// Width and height in pixels, both even.
    pub fn size(&self) -> (u32, u32) {
        let pixels = |edge: usize| u32::try_from(edge).unwrap_or(u32::MAX);
        (pixels(self.width), pixels(self.height))
    }

    /// Luma of `width` bytes a row, then both planes of chroma of half of that; no padding.
    pub fn planes(&self) -> [&[u8]; 3] {
        [&self.y, &self.u, &self.v]
    }

    pub fn pixels(&self) -> u32 {
        u32::try_from(self.width * self.height).unwrap_or(u32::MAX)
    }

    /// What the encoder's VUI has to say.
    pub fn matrix(&self) -> Matrix {
        self.matrix
    }

    /// A black picture of half the width and height, for the same colours.
    pub fn half_black(&self) -> Self {
        let half = |edge: usize| u32::try_from(edge / 2).unwrap_or(0);
        Self { matrix: self.matrix, ..Self::new(half(self.width), half(self.height)) }
    }

    /// Fills a picture of half the size with the means of four pixels each.
    pub fn halve_into(&self, half: &mut Self) {
        let (width, small) = (self.width, half.width);
        halve(&self.y, width, &mut half.y, small);
        halve(&self.u, width / 2, &mut half.u, small / 2);
        halve(&self.v, width / 2, &mut half.v, small / 2);
    }

    /// Converts one rectangle (widened to even edges, clipped) of an RGBA picture of `stride` bytes a row.
    pub fn update(&mut self, rgba: &[u8], stride: usize, rect: Rect) {
        let area = self.area(rect);
        if area.is_empty() || rgba.len() < stride * area.bottom || stride < area.right * 4 {
            return;
        }
        self.convert::<0, 2>(&rgba[area.top * stride + area.left * 4..], stride, area);
    }

    /// Converts a rectangle whose pixels, and no others, are in `bgrx`, row after row. The rectangle has even edges
    /// (see [`Self::widened`]); with any other nothing happens.
    pub fn update_bgrx(&mut self, bgrx: &[u8], rect: Rect) {
        let area = self.area(rect);
        if area.is_empty() || self.widened(rect) != rect {
            return;
        }
        let stride = (area.right - area.left) * 4;
        if bgrx.len() >= stride * (area.bottom - area.top) {
            self.convert::<2, 0>(bgrx, stride, area);
        }
    }

    /// The rectangle with even edges that holds `rect`, as far as it is in the picture; zero-sized when nothing is.
    pub fn widened(&self, rect: Rect) -> Rect {
        let area = self.area(rect);
        let pixels = |value: usize| u32::try_from(value).unwrap_or(0);
        if area.is_empty() {
            return Rect { x: 0, y: 0, width: 0, height: 0 };
        }
        Rect {
            x: pixels(area.left),
            y: pixels(area.top),
            width: pixels(area.right - area.left),
            height: pixels(area.bottom - area.top),
        }
    }

    fn area(&self, rect: Rect) -> Area {
        let edge = |value: u32| usize::try_from(value).unwrap_or(usize::MAX);
        Area {
            left: edge(rect.x).min(self.width) & !1,
            top: edge(rect.y).min(self.height) & !1,
            right: (edge(rect.x.saturating_add(rect.width)).min(self.width) + 1) & !1,
            bottom: (edge(rect.y.saturating_add(rect.height)).min(self.height) + 1) & !1,
        }
    }

    /// `pixels` begins with the area's first one; `RED` and `BLUE` are the bytes of a pixel that hold these.
    fn convert<const RED: usize, const BLUE: usize>(&mut self, pixels: &[u8], stride: usize, area: Area) {
        dispatch!(Level::new(), _simd => self.convert_rows::<RED, BLUE>(pixels, stride, area));
    }

    #[inline(always)]
    fn convert_rows<const RED: usize, const BLUE: usize>(
        &mut self,
        pixels: &[u8],
        stride: usize,
        area: Area,
    ) {
        let Area { left, top, right, bottom } = area;
        let (length, weights) = ((right - left) * 4, self.matrix.weights());
        for row in (top..bottom).step_by(2) {
            let start = (row - top) * stride;
            let upper = &pixels[start..start + length];
            let lower = &pixels[start + stride..start + stride + length];
            let luma = &mut self.y[row * self.width + left..row * self.width + right];
            luma_row::<RED, BLUE>(weights, upper, luma);
            let below = (row + 1) * self.width;
            luma_row::<RED, BLUE>(weights, lower, &mut self.y[below + left..below + right]);
            let chroma = row / 2 * (self.width / 2);
            let range = chroma + left / 2..chroma + right / 2;
            let (u, v) = (&mut self.u[range.clone()], &mut self.v[range]);
            chroma_row::<RED, BLUE>(weights, upper, lower, u, v);
        }
    }
}

fn copy_rows(to: &mut [u8], from: &[u8], stride: usize, area: Area) {
    for row in area.top..area.bottom {
        let range = row * stride + area.left..row * stride + area.right;
        to[range.clone()].copy_from_slice(&from[range]);
    }
}

fn halve(plane: &[u8], width: usize, out: &mut [u8], small: usize) {
    for (rows, out) in plane.chunks_exact(width * 2).zip(out.chunks_exact_mut(small)) {
        let (upper, lower) = rows.split_at(width);
        for ((upper, lower), out) in upper.chunks_exact(2).zip(lower.chunks_exact(2)).zip(out) {
            let sum: u16 = upper.iter().chain(lower).map(|value| u16::from(*value)).sum();
            *out = u8::try_from((sum + 2) / 4).unwrap_or(u8::MAX);
        }
    }
}

/// A rectangle inside the picture, with even edges.
#[derive(Clone, Copy)]
struct Area {
    left: usize,
    top: usize,
    right: usize,
    bottom: usize,
}

impl Area {
    fn is_empty(self) -> bool {
        self.left >= self.right || self.top >= self.bottom
    }
}

#[inline(always)]
fn luma_row<const RED: usize, const BLUE: usize>(weights: Weights, pixels: &[u8], out: &mut [u8]) {
    let [red, green, blue] = weights.y;
    for (pixel, out) in pixels.as_chunks::<4>().0.iter().zip(out) {
        let pixel = u32::from_le_bytes(*pixel);
        let byte = |at: usize| (pixel >> (8 * at) & 0xFF).cast_signed();
        let sum = red * byte(RED) + green * byte(1) + blue * byte(BLUE);
        *out = narrow((sum + (16 << POINT) + (1 << (POINT - 1))) >> POINT);
    }
}

/// The mean of two by two pixels. Two channels are added up in one word, 16 bits each.
#[inline(always)]
fn chroma_row<const RED: usize, const BLUE: usize>(
    weights: Weights,
    upper: &[u8],
    lower: &[u8],
    u: &mut [u8],
    v: &mut [u8],
) {
    const OUTER: u64 = 0x00FF_00FF_00FF_00FF;
    let rows = upper.as_chunks::<8>().0.iter().zip(lower.as_chunks::<8>().0);
    for (((upper, lower), u), v) in rows.zip(u).zip(v) {
        let (upper, lower) = (u64::from_le_bytes(*upper), u64::from_le_bytes(*lower));
        let outer = both((upper & OUTER) + (lower & OUTER));
        let inner = both((upper >> 8 & OUTER) + (lower >> 8 & OUTER));
        let sum = |at: usize| (outer >> (8 * at) & 0xFFFF).cast_signed();
        let (red, green, blue) = (sum(RED), (inner & 0xFFFF).cast_signed(), sum(BLUE));
        // Sums of four: two more bits.
        let chroma = |[r, g, b]: [i32; 3]| {
            narrow(
                (r * red + g * green + b * blue + (128 << (POINT + 2)) + (1 << (POINT + 1))) >> (POINT + 2),
            )
        };
        *u = chroma(weights.u);
        *v = chroma(weights.v);
    }
}

/// The sum of a word's halves, which does not overflow: a channel of four pixels takes ten bits.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
fn both(word: u64) -> u32 {
    (word as u32).wrapping_add((word >> 32) as u32)
}

#[inline(always)]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is 16-240; a checked conversion would not vectorise"
)]
fn narrow(value: i32) -> u8 {
    value as u8
}

impl YUVSource for I420 {
    fn dimensions(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    fn strides(&self) -> (usize, usize, usize) {
        (self.width, self.width / 2, self.width / 2)
    }

    fn y(&self) -> &[u8] {
        &self.y
    }

    fn u(&self) -> &[u8] {
        &self.u
    }

    fn v(&self) -> &[u8] {
        &self.v
    }
}

#[cfg(test)]
#[path = "i420_tests.rs"]
mod tests;
