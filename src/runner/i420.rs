//! Pictures as the encoder takes them: I420, BT.601, limited range (16-235), which is what the encoder's VUI says.
//!
//! Converts only the rectangle that changed. Plain loops over equal-length slices, so that the compiler vectorises them.

use crate::games::Rect;
use openh264::formats::YUVSource;

/// An I420 picture of even width and height.
#[derive(Debug, Clone)]
pub struct I420 {
    width: usize,
    height: usize,
    y: Vec<u8>,
    u: Vec<u8>,
    v: Vec<u8>,
}

impl I420 {
    /// Black. Odd sizes are rounded down, zero sizes up.
    pub fn new(width: u32, height: u32) -> Self {
        let width = (usize::try_from(width).unwrap_or(2) & !1).max(2);
        let height = (usize::try_from(height).unwrap_or(2) & !1).max(2);
        Self {
            width,
            height,
            y: vec![16; width * height],
            u: vec![128; width * height / 4],
            v: vec![128; width * height / 4],
        }
    }

    /// Takes over another picture of the same size without a new allocation.
    pub fn copy_from(&mut self, other: &Self) {
        self.clone_from(other);
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

    /// A black picture of half the width and height.
    pub fn half_black(&self) -> Self {
        let half = |edge: usize| u32::try_from(edge / 2).unwrap_or(0);
        Self::new(half(self.width), half(self.height))
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
        let Area { left, top, right, bottom } = area;
        let length = (right - left) * 4;
        for row in (top..bottom).step_by(2) {
            let start = (row - top) * stride;
            let upper = &pixels[start..start + length];
            let lower = &pixels[start + stride..start + stride + length];
            luma_row::<RED, BLUE>(upper, &mut self.y[row * self.width + left..row * self.width + right]);
            let below = (row + 1) * self.width;
            luma_row::<RED, BLUE>(lower, &mut self.y[below + left..below + right]);
            let chroma = row / 2 * (self.width / 2);
            let range = chroma + left / 2..chroma + right / 2;
            chroma_row::<RED, BLUE>(upper, lower, &mut self.u[range.clone()], &mut self.v[range]);
        }
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

fn luma_row<const RED: usize, const BLUE: usize>(pixels: &[u8], out: &mut [u8]) {
    for (pixel, out) in pixels.chunks_exact(4).zip(out) {
        let sum = 66 * u16::from(pixel[RED]) + 129 * u16::from(pixel[1]) + 25 * u16::from(pixel[BLUE]);
        // At most 220 * 255 + 128, so it fits; after the shift and offset at most 235.
        *out = narrow(((sum + 128) >> 8) + 16);
    }
}

/// The mean of two by two pixels.
fn chroma_row<const RED: usize, const BLUE: usize>(upper: &[u8], lower: &[u8], u: &mut [u8], v: &mut [u8]) {
    for (((a, b), u), v) in upper.chunks_exact(8).zip(lower.chunks_exact(8)).zip(u).zip(v) {
        let mean = |c: usize| {
            (i32::from(a[c]) + i32::from(a[c + 4]) + i32::from(b[c]) + i32::from(b[c + 4]) + 2) >> 2
        };
        let (red, green, blue) = (mean(RED), mean(1), mean(BLUE));
        *u = clamp(((-38 * red - 74 * green + 112 * blue + 128) >> 8) + 128);
        *v = clamp(((112 * red - 94 * green - 18 * blue + 128) >> 8) + 128);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the value is at most 235; a checked conversion would not vectorise"
)]
fn narrow(value: u16) -> u8 {
    value as u8
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is 16-240; a checked conversion would not vectorise"
)]
fn clamp(value: i32) -> u8 {
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
mod tests {
    use super::*;

    fn picture(width: usize, height: usize, mut seed: u32) -> Vec<u8> {
        let mut out = Vec::new();
        for _ in 0..width * height {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let [a, b, c, _] = seed.to_be_bytes();
            out.extend_from_slice(&[a, b, c, 255]);
        }
        out
    }

    fn whole(width: u32, height: u32) -> Rect {
        Rect { x: 0, y: 0, width, height }
    }

    /// ITU-R BT.601 in floating point.
    fn reference(r: f64, g: f64, b: f64) -> [f64; 3] {
        [
            16.0 + (65.481 * r + 128.553 * g + 24.966 * b) / 255.0,
            128.0 + (-37.797 * r - 74.203 * g + 112.0 * b) / 255.0,
            128.0 + (112.0 * r - 93.786 * g - 18.214 * b) / 255.0,
        ]
    }

    #[test]
    fn half_a_picture_has_the_means_of_its_pixels() {
        let mut picture = I420::new(6, 4);
        picture.y = (0..24).collect();
        picture.u = vec![10, 20, 30, 40, 50, 60];
        let mut half = picture.half_black();
        assert_eq!((half.width, half.height), (2, 2), "edges stay even");
        picture.halve_into(&mut half);
        // (0 + 1 + 6 + 7) / 4, rounded.
        assert_eq!(half.y, [4, 6, 16, 18]);
        assert_eq!(half.u, [30], "one of the two rows of chroma and two of three columns");
    }

    #[test]
    fn agrees_with_the_standard_within_rounding() {
        let (width, height) = (64, 32);
        let rgba = picture(width, height, 1);
        let mut frame = I420::new(64, 32);
        frame.update(&rgba, width * 4, whole(64, 32));
        let at = |x: usize, y: usize, c: usize| f64::from(rgba[(y * width + x) * 4 + c]);
        for y in 0..height {
            for x in 0..width {
                let want = reference(at(x, y, 0), at(x, y, 1), at(x, y, 2))[0];
                assert!((f64::from(frame.y[y * width + x]) - want).abs() <= 1.5, "luma {x},{y}");
                let mean = |c| {
                    let (x, y) = (x & !1, y & !1);
                    (at(x, y, c) + at(x + 1, y, c) + at(x, y + 1, c) + at(x + 1, y + 1, c)) / 4.0
                };
                let want = reference(mean(0), mean(1), mean(2));
                let index = y / 2 * width / 2 + x / 2;
                assert!((f64::from(frame.u[index]) - want[1]).abs() <= 1.5, "u {x},{y}");
                assert!((f64::from(frame.v[index]) - want[2]).abs() <= 1.5, "v {x},{y}");
            }
        }
    }

    #[test]
    fn black_white_and_primaries_stay_in_the_limited_range() {
        for (rgb, y) in [
            ([0, 0, 0], 16),
            ([255, 255, 255], 235),
            ([255, 0, 0], 82),
            ([0, 255, 0], 144),
            ([0, 0, 255], 41),
        ] {
            let rgba: Vec<u8> = (0..4).flat_map(|_| [rgb[0], rgb[1], rgb[2], 255]).collect();
            let mut frame = I420::new(2, 2);
            frame.update(&rgba, 8, whole(2, 2));
            assert_eq!(frame.y, [y; 4]);
            assert!((16..=240).contains(&frame.u[0]) && (16..=240).contains(&frame.v[0]));
        }
    }

    #[test]
    fn only_the_rectangle_changes_widened_to_even_edges() {
        let rgba = picture(16, 16, 5);
        let mut all = I420::new(16, 16);
        all.update(&rgba, 64, whole(16, 16));
        let mut part = I420::new(16, 16);
        part.update(&rgba, 64, Rect { x: 3, y: 5, width: 4, height: 2 });
        for y in 0..16 {
            for x in 0..16 {
                let inside = (2..8).contains(&x) && (4..8).contains(&y);
                assert_eq!(part.y[y * 16 + x], if inside { all.y[y * 16 + x] } else { 16 }, "{x},{y}");
            }
        }
    }

    #[test]
    fn a_part_in_the_screens_order_of_bytes_gives_the_same_picture() {
        let rgba = picture(16, 16, 9);
        let mut whole_picture = I420::new(16, 16);
        whole_picture.update(&rgba, 64, Rect { x: 4, y: 2, width: 6, height: 8 });
        let mut part = I420::new(16, 16);
        let rect = part.widened(Rect { x: 5, y: 3, width: 4, height: 7 });
        assert_eq!(rect, Rect { x: 4, y: 2, width: 6, height: 8 });
        let mut bgrx = Vec::new();
        for y in 2..10 {
            for pixel in rgba[y * 64 + 16..y * 64 + 40].chunks_exact(4) {
                bgrx.extend_from_slice(&[pixel[2], pixel[1], pixel[0], 0]);
            }
        }
        part.update_bgrx(&bgrx, rect);
        assert_eq!((&part.y, &part.u, &part.v), (&whole_picture.y, &whole_picture.u, &whole_picture.v));
        // Too few bytes, and a rectangle that is not even, change nothing.
        part.update_bgrx(&bgrx[..20], whole(16, 16));
        part.update_bgrx(&bgrx, Rect { x: 5, y: 2, width: 6, height: 8 });
        assert_eq!(part.y, whole_picture.y);
    }

    #[test]
    fn rectangles_outside_and_short_pictures_change_nothing() {
        let mut frame = I420::new(16, 16);
        let before = frame.y.clone();
        frame.update(&[255; 10], 64, whole(16, 16));
        frame.update(&picture(16, 16, 5), 64, Rect { x: 40, y: 40, width: u32::MAX, height: u32::MAX });
        assert_eq!(frame.y, before);
    }
}
