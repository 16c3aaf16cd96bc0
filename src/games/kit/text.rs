//! Lines of text: broken to a width, placed, drawn whole or letter by letter.

use super::area::Area;
use super::glyphs::Glyphs;
use super::paint::Rgb;
use tiny_skia::Pixmap;

/// How a text is set.
#[derive(Debug, Clone, Copy)]
pub(in crate::games) struct Style {
    /// Size of the em square, in pixels.
    pub(in crate::games) size: f32,
    /// From base line to base line, in pixels.
    pub(in crate::games) line: f32,
    /// Added after every letter, in pixels.
    pub(in crate::games) tracking: f32,
    pub(in crate::games) align: Align,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::games) enum Align {
    Left,
    Center,
}

/// A placed letter.
#[derive(Debug, Clone)]
pub(in crate::games) struct Letter {
    id: u16,
    quarter: u8,
    x: i32,
    y: i32,
    pub(in crate::games) letter: char,
    pub(in crate::games) area: Area,
}

/// A text with every letter in its place.
#[derive(Debug, Clone)]
pub(in crate::games) struct Block {
    pub(in crate::games) letters: Vec<Letter>,
    pub(in crate::games) area: Area,
    #[cfg_attr(not(test), expect(dead_code, reason = "only tests ask whether a text fits"))]
    pub(in crate::games) lines: usize,
    size: f32,
}

/// Sets `text` between `left` and `left + width`, the first base line at `top + size`. Breaks at spaces and `\n`.
pub(in crate::games) fn lay(
    glyphs: &mut Glyphs,
    text: &str,
    (left, top): (i32, i32),
    width: i32,
    style: Style,
) -> Block {
    let lines = break_lines(glyphs, text, width as f32, style);
    let mut block = Block { letters: Vec::new(), area: Area::EMPTY, lines: lines.len(), size: style.size };
    for (index, line) in lines.iter().enumerate() {
        let slack = width as f32 - measure(glyphs, line, style);
        let indent = match style.align {
            Align::Left => 0.0,
            Align::Center => slack / 2.0,
        };
        let y = (top as f32 + style.size + style.line * index as f32).round() as i32;
        place(glyphs, line, left as f32 + indent, y, style, &mut block);
    }
    block
}

fn place(glyphs: &mut Glyphs, line: &str, start: f32, y: i32, style: Style, block: &mut Block) {
    let mut pen = start;
    let mut before = None;
    for letter in line.chars() {
        let id = glyphs.id(letter);
        pen += before.map_or(0.0, |before| glyphs.kern(before, id, style.size));
        let steps = (pen * 4.0).round() as i32;
        let (x, quarter) = (steps.div_euclid(4), steps.rem_euclid(4) as u8);
        let area = glyphs.get(id, style.size, quarter).area(x, y);
        block.area = block.area.union(area);
        block.letters.push(Letter { id, quarter, x, y, letter, area });
        pen += glyphs.advance(id, style.size) + style.tracking;
        before = Some(id);
    }
}

/// Width of one line, in pixels.
pub(in crate::games) fn measure(glyphs: &Glyphs, line: &str, style: Style) -> f32 {
    let mut width = 0.0;
    let mut before = None;
    for letter in line.chars() {
        let id = glyphs.id(letter);
        width += before.map_or(0.0, |before| glyphs.kern(before, id, style.size) + style.tracking);
        width += glyphs.advance(id, style.size);
        before = Some(id);
    }
    width
}

fn break_lines(glyphs: &Glyphs, text: &str, width: f32, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            let tried = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
            if line.is_empty() || measure(glyphs, &tried, style) <= width {
                line = tried;
            } else {
                lines.push(std::mem::replace(&mut line, word.to_owned()));
            }
        }
        lines.push(line);
    }
    lines
}

impl Block {
    /// Draws one letter.
    pub(in crate::games) fn draw_letter(
        &self,
        index: usize,
        glyphs: &mut Glyphs,
        to: &mut Pixmap,
        color: Rgb,
        alpha: u8,
        clip: Area,
    ) {
        let Some(at) = self.letters.get(index) else { return };
        if !at.area.clip(clip).is_empty() {
            glyphs.get(at.id, self.size, at.quarter).draw(to, (at.x, at.y), color, alpha, clip);
        }
    }

    /// Draws all letters.
    pub(in crate::games) fn draw(
        &self,
        glyphs: &mut Glyphs,
        to: &mut Pixmap,
        color: Rgb,
        alpha: u8,
        clip: Area,
    ) {
        for index in 0..self.letters.len() {
            self.draw_letter(index, glyphs, to, color, alpha, clip);
        }
    }
}
