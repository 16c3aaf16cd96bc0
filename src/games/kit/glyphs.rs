//! Fonts and their letters, each drawn once and kept.
//!
//! Letters are placed at quarters of a pixel, so a cache entry is (font, letter, size, quarter).

use super::area::Area;
use super::paint::{Rgb, dot, scale};
use ab_glyph::{Font as _, FontRef, GlyphId, PxScale, ScaleFont as _, point};
use std::collections::HashMap;
use tiny_skia::Pixmap;

/// Most letters kept; a full cache starts again from nothing.
const CACHE_CAPACITY: usize = 2_048;

/// Coverage of one letter, relative to its origin on the base line.
pub(in crate::games) struct Glyph {
    left: i32,
    top: i32,
    width: i32,
    height: i32,
    coverage: Vec<u8>,
}

impl Glyph {
    fn empty() -> Self {
        Self { left: 0, top: 0, width: 0, height: 0, coverage: Vec::new() }
    }

    /// What the letter covers with its origin at (`x`, `y`).
    pub(in crate::games) fn area(&self, x: i32, y: i32) -> Area {
        Area::new(x + self.left, y + self.top, self.width, self.height)
    }

    /// Draws with the origin at (`x`, `y`).
    pub(in crate::games) fn draw(
        &self,
        to: &mut Pixmap,
        (x, y): (i32, i32),
        color: Rgb,
        alpha: u8,
        clip: Area,
    ) {
        let seen = self.area(x, y).clip(clip);
        for line in seen.y0..seen.y1 {
            for column in seen.x0..seen.x1 {
                let at = (line - y - self.top) * self.width + (column - x - self.left);
                dot(to, column, line, color, scale(self.coverage[at as usize], alpha));
            }
        }
    }
}

/// A font with its drawn letters.
pub(in crate::games) struct Glyphs {
    /// `None` cannot happen with the font inside the binary; then there is simply no text.
    font: Option<FontRef<'static>>,
    cache: HashMap<(u16, u32, u8), Glyph>,
    nothing: Glyph,
}

impl Glyphs {
    /// The light sans-serif both games are set in.
    pub(in crate::games) fn new() -> Self {
        Self {
            font: FontRef::try_from_slice(epaint_default_fonts::UBUNTU_LIGHT).ok(),
            cache: HashMap::new(),
            nothing: Glyph::empty(),
        }
    }

    /// The scale at which a letter's em square is `size` pixels.
    fn scale(font: &FontRef<'static>, size: f32) -> PxScale {
        let em = font.units_per_em().unwrap_or(1_000.0);
        PxScale::from(size * font.height_unscaled() / em)
    }

    pub(in crate::games) fn id(&self, letter: char) -> u16 {
        self.font.as_ref().map_or(0, |font| font.glyph_id(letter).0)
    }

    /// How far the pen moves, in pixels.
    pub(in crate::games) fn advance(&self, id: u16, size: f32) -> f32 {
        self.font.as_ref().map_or(0.0, |font| font.as_scaled(Self::scale(font, size)).h_advance(GlyphId(id)))
    }

    pub(in crate::games) fn kern(&self, before: u16, id: u16, size: f32) -> f32 {
        self.font
            .as_ref()
            .map_or(0.0, |font| font.as_scaled(Self::scale(font, size)).kern(GlyphId(before), GlyphId(id)))
    }

    /// The letter at `quarter` / 4 pixels right of its origin.
    pub(in crate::games) fn get(&mut self, id: u16, size: f32, quarter: u8) -> &Glyph {
        let Some(font) = &self.font else { return &self.nothing };
        if self.cache.len() >= CACHE_CAPACITY {
            self.cache.clear();
        }
        self.cache.entry((id, size.to_bits(), quarter)).or_insert_with(|| {
            let origin = point(f32::from(quarter) / 4.0, 0.0);
            let glyph = GlyphId(id).with_scale_and_position(Self::scale(font, size), origin);
            let Some(outline) = font.outline_glyph(glyph) else { return Glyph::empty() };
            let bounds = outline.px_bounds();
            let (width, height) = (bounds.width().ceil() as i32, bounds.height().ceil() as i32);
            let mut coverage = vec![0; (width * height) as usize];
            outline.draw(|x, y, c| {
                if let Some(cell) = coverage.get_mut((y as i32 * width + x as i32) as usize) {
                    *cell = (c.clamp(0.0, 1.0) * 255.0).round() as u8;
                }
            });
            Glyph { left: bounds.min.x as i32, top: bounds.min.y as i32, width, height, coverage }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_font_has_every_mark_the_texts_use() {
        let glyphs = Glyphs::new();
        for letter in "azAZ09.,:;?!\u{2018}\u{2019}\u{201C}\u{201D}\u{2014}\u{00D7}\u{00B7}-".chars() {
            assert_ne!(glyphs.id(letter), 0, "no {letter:?}");
        }
    }
}
