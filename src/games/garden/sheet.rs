//! What lies over a scene on one page: the text with the moment of each letter, the choices, the marks.
//!
//! A sheet is made once a page; drawing it at its end gives the same pixels whether it was watched or restored.

use super::journey::Journey;
use super::scenes;
use super::story::{self, Ending, Page, Scene, Then};
use crate::games::kit::WIDTH;
use crate::games::kit::area::Area;
use crate::games::kit::brush;
use crate::games::kit::glyphs::Glyphs;
use crate::games::kit::paint::{self, Rgb};
use crate::games::kit::text::{self, Align, Block, Style};
use tiny_skia::Pixmap;

pub(super) const TEXT: Style = Style { size: 33.0, line: 46.0, tracking: 0.2, align: Align::Left };
const LABEL: Style = Style { size: 31.0, line: 40.0, tracking: 0.2, align: Align::Left };
const NUMBER: Style = Style { size: 30.0, line: 40.0, tracking: 0.0, align: Align::Center };
const HEADING: Style = Style { size: 46.0, line: 56.0, tracking: 1.0, align: Align::Center };
const SMALL: Style = Style { size: 30.0, line: 40.0, tracking: 0.4, align: Align::Center };
const TITLE: Style = Style { size: 76.0, line: 90.0, tracking: 1.0, align: Align::Left };
const INK: Rgb = Rgb::hex(0xF7F1E4);
const GOLD: Rgb = Rgb::hex(0xFFD792);
/// Where the panel of the text is: x, y, width, height.
pub(super) const PANEL: (f32, f32, f32, f32) = (90.0, 482.0, 1_100.0, 212.0);
pub(super) const TEXT_AT: (i32, i32) = (132, 501);
pub(super) const TEXT_WIDTH: i32 = 1_016;
/// A letter's fade lasts this many ticks.
const LETTER_TICKS: u32 = 4;

/// One thing to choose, drawn beforehand in both its states.
pub(super) struct Pill {
    pub(super) area: Area,
    plain: Pixmap,
    focused: Pixmap,
}

pub(super) struct Sheet {
    text: Option<Block>,
    /// The tick at which each letter begins to show.
    moments: Vec<u32>,
    pub(super) pills: Vec<Pill>,
    /// Cards and marks that come with the choices.
    marks: Vec<(Pixmap, i32, i32)>,
    /// Ticks until all of the text is there.
    pub(super) length: u32,
}

impl Sheet {
    pub(super) fn new(glyphs: &mut Glyphs, journey: &Journey) -> Self {
        match journey.page() {
            None => Self::title(glyphs, journey),
            Some(page) => Self::page(glyphs, page, journey),
        }
    }

    fn title(glyphs: &mut Glyphs, journey: &Journey) -> Self {
        let labels: &[&str] = if journey.can_continue() { &["Continue", "Begin anew"] } else { &["Begin"] };
        let pills = labels.iter().enumerate().filter_map(|(index, label)| {
            let area = Area::new(98, 420 + index as i32 * 74, 300, 60);
            Pill::new(glyphs, label, None, area, scenes::tint(Scene::Title).0)
        });
        Self { pills: pills.collect(), text: None, moments: Vec::new(), marks: Vec::new(), length: 0 }
    }

    fn page(glyphs: &mut Glyphs, page: &'static Page, journey: &Journey) -> Self {
        let block = text::lay(glyphs, page.text, TEXT_AT, TEXT_WIDTH, TEXT);
        let (moments, length) = moments(&block);
        let tint = scenes::tint(page.scene).0;
        let mut marks = Vec::new();
        let labels: Vec<&str> = match page.then {
            Then::End(ending) => {
                marks.extend(card(glyphs, ending, journey.endings(), tint));
                vec!["Walk in again, from the gate", "Back to the first leaf"]
            }
            Then::Choose(_) => {
                story::offered(page, journey.flags()).iter().map(|choice| choice.label).collect()
            }
            Then::To(_) | Then::Depends(_) => {
                marks.extend(caret());
                Vec::new()
            }
        };
        Self { pills: stack(glyphs, &labels, tint), text: Some(block), moments, marks, length }
    }

    /// Everything the sheet can touch.
    pub(super) fn area(&self) -> Area {
        let text = self.text.as_ref().map_or(Area::EMPTY, |block| block.area);
        self.extras().union(text)
    }

    /// The choices and marks.
    pub(super) fn extras(&self) -> Area {
        let pills = self.pills.iter().fold(Area::EMPTY, |all, pill| all.union(pill.area));
        self.marks.iter().fold(pills, |all, (mark, x, y)| {
            all.union(Area::new(*x, *y, mark.width() as i32, mark.height() as i32))
        })
    }

    /// What changes between two ticks of the reveal.
    pub(super) fn changes(&self, from: u32, to: u32) -> Area {
        let Some(block) = &self.text else { return Area::EMPTY };
        let pairs = block.letters.iter().zip(&self.moments);
        pairs
            .filter(|(_, moment)| strength(from, **moment) != strength(to, **moment))
            .fold(Area::EMPTY, |all, (letter, _)| all.union(letter.area))
    }

    pub(super) fn draw_text(&self, glyphs: &mut Glyphs, to: &mut Pixmap, tick: u32, clip: Area) {
        let Some(block) = &self.text else { return };
        for (index, moment) in self.moments.iter().enumerate() {
            let alpha = strength(tick, *moment);
            if alpha > 0 {
                block.draw_letter(index, glyphs, to, INK, alpha, clip);
            }
        }
    }

    pub(super) fn draw_extras(&self, to: &mut Pixmap, focus: Option<usize>, alpha: u8, clip: Area) {
        for (mark, x, y) in &self.marks {
            paint::over(to, mark, *x, *y, alpha, clip);
        }
        for (index, pill) in self.pills.iter().enumerate() {
            let sprite = if focus == Some(index) { &pill.focused } else { &pill.plain };
            paint::over(to, sprite, pill.area.x0, pill.area.y0, alpha, clip);
        }
    }

    /// The choice at a point.
    pub(super) fn hit(&self, x: i32, y: i32) -> Option<usize> {
        self.pills.iter().position(|pill| pill.area.holds(x, y))
    }

    #[cfg(test)]
    pub(super) fn text_lines(&self) -> usize {
        self.text.as_ref().map_or(0, |block| block.lines)
    }
}

/// How much of a letter shows, 0-255.
fn strength(tick: u32, moment: u32) -> u8 {
    (tick.saturating_sub(moment).min(LETTER_TICKS) * 255 / LETTER_TICKS) as u8
}

/// Three letters in two ticks, with a breath at commas and a longer one at full stops.
fn moments(block: &Block) -> (Vec<u32>, u32) {
    let mut thirds = 0;
    let mut moments = Vec::with_capacity(block.letters.len());
    for letter in &block.letters {
        moments.push(thirds / 3);
        thirds += match letter.letter {
            ',' | ';' | ':' => 14,
            '.' | '!' | '?' => 26,
            _ => 2,
        };
    }
    let end = moments.last().map_or(0, |last| last + LETTER_TICKS);
    (moments, end)
}

impl Pill {
    fn new(glyphs: &mut Glyphs, label: &str, number: Option<usize>, area: Area, tint: Rgb) -> Option<Self> {
        let size = ((area.x1 - area.x0), (area.y1 - area.y0));
        let mut draw = |focused: bool| {
            let mut sprite = Pixmap::new(size.0 as u32, size.1 as u32)?;
            let all = (0.0, 0.0, size.0 as f32, size.1 as f32);
            let clip = Area::new(0, 0, size.0, size.1);
            let (ink, edge) = if focused { (Rgb::hex(0x2A1808), GOLD) } else { (INK, GOLD) };
            if focused {
                brush::panel(&mut sprite, all, 12.0, GOLD, 0.97);
            } else {
                brush::panel(&mut sprite, all, 12.0, tint, 0.86);
                brush::frame(&mut sprite, all, 12.0, edge, 0.55);
            }
            let left = if number.is_some() { 66 } else { 28 };
            let block = text::lay(glyphs, label, (left, 9), size.0 - left, LABEL);
            block.draw(glyphs, &mut sprite, ink, 255, clip);
            if let Some(number) = number {
                let digit = text::lay(glyphs, &number.to_string(), (14, 9), 36, NUMBER);
                digit.draw(glyphs, &mut sprite, if focused { ink } else { GOLD }, 255, clip);
                brush::rect(&mut sprite, 52.0, 16.0, 1.5, size.1 as f32 - 32.0, edge, 0.5);
            }
            Some(sprite)
        };
        Some(Self { area, plain: draw(false)?, focused: draw(true)? })
    }
}

/// The choices, one above the other, over the panel.
fn stack(glyphs: &mut Glyphs, labels: &[&str], tint: Rgb) -> Vec<Pill> {
    const HEIGHT: i32 = 60;
    const STEP: i32 = 72;
    let widest = labels.iter().map(|label| text::measure(glyphs, label, LABEL)).fold(0.0, f32::max);
    let width = widest.ceil() as i32 + 66 + 34;
    let top = 468 - STEP * labels.len() as i32;
    let place =
        |index: usize| Area::new((WIDTH as i32 - width) / 2, top + STEP * index as i32, width, HEIGHT);
    labels
        .iter()
        .enumerate()
        .filter_map(|(index, label)| Pill::new(glyphs, label, Some(index + 1), place(index), tint))
        .collect()
}

/// The small mark that says: there is more.
fn caret() -> Option<(Pixmap, i32, i32)> {
    let mut sprite = Pixmap::new(24, 16)?;
    brush::polygon(&mut sprite, &[(2.0, 2.0), (22.0, 2.0), (12.0, 14.0)], GOLD, 0.9);
    Some((sprite, 1_148, 668))
}

/// The name of an ending and how many are found.
fn card(glyphs: &mut Glyphs, ending: Ending, found: u8, tint: Rgb) -> Option<(Pixmap, i32, i32)> {
    let (width, height) = (620, 138);
    let mut sprite = Pixmap::new(width, height)?;
    let all = (0.0, 0.0, width as f32, height as f32);
    brush::panel(&mut sprite, all, 14.0, tint, 0.8);
    brush::frame(&mut sprite, all, 14.0, GOLD, 0.5);
    let clip = Area::new(0, 0, width as i32, height as i32);
    let name = text::lay(glyphs, ending.name(), (0, 14), width as i32, HEADING);
    name.draw(glyphs, &mut sprite, GOLD, 255, clip);
    let count = format!("an ending \u{00B7} {} of {} found", found.count_ones(), Ending::ALL.len());
    let count = text::lay(glyphs, &count, (0, 80), width as i32, SMALL);
    count.draw(glyphs, &mut sprite, INK, 255, clip);
    Some((sprite, (WIDTH as i32 - width as i32) / 2, 56))
}

/// Lays what never moves over a painted scene: the panel, or the title's lettering.
pub(super) fn furnish(glyphs: &mut Glyphs, backdrop: &mut Pixmap, journey: &Journey) {
    let Some(page) = journey.page() else {
        let title = text::lay(glyphs, "The Garden of\nForking Paths", (96, 118), 760, TITLE);
        title.draw(glyphs, backdrop, Rgb::hex(0xFFF3DA), 255, Area::ALL);
        let under = Style { align: Align::Left, ..SMALL };
        let line = text::lay(glyphs, "an evening, and seven ways out of it", (100, 322), 700, under);
        line.draw(glyphs, backdrop, GOLD, 255, Area::ALL);
        if journey.endings() != 0 {
            let found = format!("{} of {} endings found", journey.endings().count_ones(), Ending::ALL.len());
            let line = text::lay(glyphs, &found, (100, 594), 700, under);
            line.draw(glyphs, backdrop, Rgb::hex(0xC9BFD8), 255, Area::ALL);
        }
        return;
    };
    let (tint, light) = scenes::tint(page.scene);
    brush::panel(backdrop, PANEL, 14.0, tint, 0.84);
    brush::frame(backdrop, PANEL, 14.0, light, 0.22);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_fits_its_panel_and_every_choice_the_picture() {
        let mut glyphs = Glyphs::new();
        let inside = Area::new(TEXT_AT.0, PANEL.1 as i32 + 8, TEXT_WIDTH, PANEL.3 as i32 - 16);
        for page in story::pages() {
            let journey = Journey::new();
            let sheet = Sheet::page(&mut glyphs, page, &journey);
            assert!(sheet.text_lines() <= 4, "{} has {} lines", page.id, sheet.text_lines());
            let text = sheet.text.as_ref().map_or(Area::EMPTY, |block| block.area);
            assert_eq!(text.union(inside), inside, "{} leaves its panel", page.id);
            assert_eq!(sheet.extras().clip(Area::ALL), sheet.extras(), "{}", page.id);
            if let Then::Choose(choices) = page.then {
                let labels: Vec<_> = choices.iter().map(|choice| choice.label).collect();
                for pill in stack(&mut glyphs, &labels, GOLD) {
                    assert_eq!(pill.area.clip(Area::ALL), pill.area);
                    assert!(pill.area.x1 - pill.area.x0 < 1_000, "{} is too wide", page.id);
                }
            }
        }
    }
}
