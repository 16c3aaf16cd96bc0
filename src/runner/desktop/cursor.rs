//! The mouse pointer's shape, apart from the picture: the player's own machine draws it, so it never lags.
//!
//! Pure: an X cursor in, a message out. Shapes are bounded, since browsers refuse large ones.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use playgate_signaling::runner::RunnerMessage;
use tiny_skia::{IntSize, Pixmap};

/// Longest edge of a shape that is sent, in pixels; a larger one is sent at half, a third, ... of its size.
const EDGE: usize = 64;
/// What the screen shows where the game says nothing: it is named so that it is not mistaken for a shape of the game's.
pub(super) const DEFAULT_NAME: &str = "playgate-default";
/// Names under which toolkits ask for the ordinary arrow: the player's own is nicer than a picture of one.
const ARROWS: [&str; 5] = [DEFAULT_NAME, "default", "left_ptr", "arrow", "top_left_arrow"];

/// A cursor as XFixes tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) width: u16,
    pub(super) height: u16,
    pub(super) hotspot_x: u16,
    pub(super) hotspot_y: u16,
    /// Premultiplied ARGB, a number a pixel.
    pub(super) pixels: Vec<u32>,
    pub(super) name: Vec<u8>,
}

impl Shape {
    /// What the gateway is told.
    pub(super) fn message(&self) -> RunnerMessage {
        let visible =
            |png, hotspot_x, hotspot_y| RunnerMessage::Cursor { visible: true, png, hotspot_x, hotspot_y };
        if ARROWS.iter().any(|name| name.as_bytes() == self.name) {
            return visible(None, 0, 0);
        }
        if self.pixels.iter().all(|pixel| pixel >> 24 == 0) {
            return RunnerMessage::Cursor { visible: false, png: None, hotspot_x: 0, hotspot_y: 0 };
        }
        match self.png() {
            Some((png, hotspot_x, hotspot_y)) => visible(Some(png), hotspot_x, hotspot_y),
            None => visible(None, 0, 0),
        }
    }

    fn png(&self) -> Option<(String, u16, u16)> {
        let (width, height) = (usize::from(self.width), usize::from(self.height));
        if self.pixels.len() != width * height {
            return None;
        }
        let step = width.max(height).div_ceil(EDGE).max(1);
        let (columns, rows) = ((width / step).max(1), (height / step).max(1));
        let mut rgba = Vec::with_capacity(columns * rows * 4);
        for row in 0..rows {
            for column in 0..columns {
                rgba.extend_from_slice(&self.mean(column * step, row * step, step));
            }
        }
        let size = IntSize::from_wh(u32::try_from(columns).ok()?, u32::try_from(rows).ok()?)?;
        let png = Pixmap::from_vec(rgba, size)?.encode_png().ok()?;
        let scaled = |hotspot: u16| hotspot / u16::try_from(step).unwrap_or(1);
        Some((BASE64_STANDARD.encode(png), scaled(self.hotspot_x), scaled(self.hotspot_y)))
    }

    /// Premultiplied RGBA, the mean of a square.
    fn mean(&self, x: usize, y: usize, step: usize) -> [u8; 4] {
        let (width, height) = (usize::from(self.width), usize::from(self.height));
        let (mut sum, mut count) = ([0_u32; 4], 0);
        for row in y..(y + step).min(height) {
            for pixel in &self.pixels[row * width + x..row * width + (x + step).min(width)] {
                let [alpha, red, green, blue] = pixel.to_be_bytes();
                for (sum, byte) in sum.iter_mut().zip([red, green, blue, alpha]) {
                    *sum += u32::from(byte);
                }
                count += 1;
            }
        }
        let [red, green, blue, alpha] = sum.map(|sum| u8::try_from(sum / u32::max(count, 1)).unwrap_or(255));
        // Premultiplied colours are never above their alpha; a shape that breaks this would be refused.
        [red.min(alpha), green.min(alpha), blue.min(alpha), alpha]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(width: u16, height: u16, pixel: u32, name: &str) -> Shape {
        let pixels = vec![pixel; usize::from(width) * usize::from(height)];
        Shape { width, height, hotspot_x: 9, hotspot_y: 4, pixels, name: name.as_bytes().to_vec() }
    }

    fn decoded(message: &RunnerMessage) -> (Pixmap, u16, u16) {
        let RunnerMessage::Cursor { visible: true, png: Some(png), hotspot_x, hotspot_y } = message else {
            panic!("a picture: {message:?}")
        };
        let bytes = BASE64_STANDARD.decode(png).expect("base64");
        (Pixmap::decode_png(&bytes).expect("png"), *hotspot_x, *hotspot_y)
    }

    #[test]
    fn a_shape_keeps_its_colours_and_its_hotspot() {
        let (picture, x, y) = decoded(&shape(16, 24, 0xFFFF_8000, "").message());
        assert_eq!((picture.width(), picture.height(), x, y), (16, 24, 9, 4));
        let pixel = picture.pixel(3, 3).expect("inside");
        assert_eq!((pixel.red(), pixel.green(), pixel.blue(), pixel.alpha()), (255, 128, 0, 255));
    }

    #[test]
    fn a_transparent_or_empty_shape_is_hidden() {
        let hidden = RunnerMessage::Cursor { visible: false, png: None, hotspot_x: 0, hotspot_y: 0 };
        assert_eq!(shape(16, 16, 0x00FF_FFFF, "").message(), hidden);
        assert_eq!(shape(0, 0, 0, "").message(), hidden);
    }

    #[test]
    fn the_ordinary_arrow_is_the_players_own() {
        let arrow = RunnerMessage::Cursor { visible: true, png: None, hotspot_x: 0, hotspot_y: 0 };
        assert_eq!(shape(16, 16, 0xFF00_0000, "left_ptr").message(), arrow);
        assert_eq!(shape(1, 1, 0, DEFAULT_NAME).message(), arrow);
    }

    #[test]
    fn a_large_shape_is_made_smaller_with_its_hotspot() {
        let (picture, x, y) = decoded(&shape(200, 100, 0x8040_4040, "").message());
        assert!(picture.width() <= 64 && picture.height() <= 64);
        assert_eq!((x, y), (2, 1));
    }
}
