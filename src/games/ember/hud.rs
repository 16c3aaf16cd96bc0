//! Numbers and words over the game.

use super::art::{Art, COLD, GOLD, PALE};
use super::view::Canvas;
use super::world::{CHAIN_TICKS, World};
use crate::games::kit::area::Area;
use crate::games::kit::brush;
use crate::games::kit::ease_out;
use crate::games::kit::glyphs::Glyphs;
use crate::games::kit::paint::Rgb;
use crate::games::kit::text::{self, Align, Block, Style};
use tiny_skia::Pixmap;

const LARGE: Style = Style { size: 44.0, line: 50.0, tracking: 0.5, align: Align::Left };
const SMALL: Style = Style { size: 30.0, line: 40.0, tracking: 0.3, align: Align::Center };
const NAME: Style = Style { size: 128.0, line: 140.0, tracking: 6.0, align: Align::Center };
const HEAD: Style = Style { size: 62.0, line: 72.0, tracking: 1.0, align: Align::Center };
const POP: Style = Style { size: 30.0, line: 36.0, tracking: 0.0, align: Align::Center };
const DIM: Rgb = Rgb::hex(0xA9B4DA);

/// What stands over the game.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Banner {
    None,
    Title { best: u32 },
    Over { score: u32, best: u32, record: bool, ticks: u32 },
}

/// A banner drawn once and kept while its words are the same.
#[derive(Default)]
pub(super) struct Kept {
    words: Vec<String>,
    sprite: Option<Pixmap>,
}

fn put(canvas: &mut Canvas<'_>, block: &Block, color: Rgb, alpha: u8) {
    block.draw(canvas.glyphs, canvas.picture, color, alpha, Area::ALL);
    canvas.touched.push(block.area);
}

/// Score, chain, night and flames along the top; numbers that rise where points were made.
pub(super) fn status(canvas: &mut Canvas<'_>, art: &Art, world: &World) {
    let score = text::lay(canvas.glyphs, &grouped(world.score), (36, 12), 300, LARGE);
    put(canvas, &score, PALE, 255);
    if world.chain > 0 {
        let label = format!("\u{00D7}{}", world.factor());
        let color = GOLD.mix(Rgb::hex(0xFF7A58), (world.factor() - 1) as f32 / 7.0);
        let block = text::lay(canvas.glyphs, &label, (280, 12), 120, LARGE);
        put(canvas, &block, color, 255);
        canvas.bar(Area::new(350, 36, 120, 8), Rgb::hex(0x2E3868));
        let left = 120 * world.chain_left.min(CHAIN_TICKS) as i32 / CHAIN_TICKS as i32;
        canvas.bar(Area::new(350, 36, left, 8), color);
    }
    let night = format!("Night {} \u{00B7} {} of {} lanterns", world.night, world.lit, world.goal());
    let block = text::lay(canvas.glyphs, &night, (490, 18), 620, SMALL);
    put(canvas, &block, DIM, 255);
    for flame in 0..3 {
        let sprite = if flame < world.flames { &art.flame } else { &art.no_flame };
        canvas.lay(sprite, 1_130 + 38 * flame as i32, 18, 255);
    }
    for pop in &world.pops {
        let at = (pop.at.x as i32 - 60, pop.at.y as i32 - 56 - (pop.age as i32) / 2);
        let block = text::lay(canvas.glyphs, &format!("+{}", pop.points), at, 120, POP);
        let alpha = 255 - (pop.age.saturating_sub(24) * 12).min(255) as u8;
        put(canvas, &block, if pop.points >= 100 { PALE } else { GOLD }, alpha);
    }
}

/// The name of a night as it begins.
pub(super) fn night(canvas: &mut Canvas<'_>, world: &World) {
    const SHOWN: u32 = 110;
    if world.night_age >= SHOWN {
        return;
    }
    let (age, left) = (world.night_age as f32, (SHOWN - world.night_age) as f32);
    let alpha = (ease_out(age / 16.0).min(left / 24.0) * 255.0).min(255.0) as u8;
    let rise = ((1.0 - ease_out(age / 24.0)) * 30.0) as i32;
    let head = text::lay(canvas.glyphs, &format!("Night {}", world.night), (0, 190 + rise), 1_280, HEAD);
    put(canvas, &head, PALE, alpha);
    let words = if world.night == 1 {
        "light the lanterns, dash through the moths".to_owned()
    } else {
        format!("{} lanterns, and more wings", world.goal())
    };
    let line = text::lay(canvas.glyphs, &words, (0, 268 + rise), 1_280, SMALL);
    put(canvas, &line, COLD, alpha);
}

/// The title or the end of a game.
pub(super) fn banner(canvas: &mut Canvas<'_>, kept: &mut Kept, banner: Banner) {
    let (words, alpha) = match banner {
        Banner::None => return,
        Banner::Title { best } => {
            let last = if best > 0 { format!("best {}", grouped(best)) } else { String::new() };
            (vec!["Ember".to_owned(), "Space, a tap or A to begin".to_owned(), last], 1.0)
        }
        Banner::Over { score, best, record, ticks } => {
            let last = if record { "your best yet".to_owned() } else { format!("best {}", grouped(best)) };
            let head = format!("{} points", grouped(score));
            (vec![head, last, "Space, a tap or A to burn again".to_owned()], ticks as f32 / 20.0)
        }
    };
    let title = matches!(banner, Banner::Title { .. });
    if kept.words != words || kept.sprite.is_none() {
        kept.sprite = poster(canvas.glyphs, &words, title);
        kept.words = words;
    }
    if let Some(sprite) = &kept.sprite {
        let rise = ((1.0 - ease_out(alpha)) * 40.0) as i32;
        canvas.lay(sprite, 260, 206 + rise, (alpha.min(1.0) * 255.0) as u8);
    }
}

fn poster(glyphs: &mut Glyphs, words: &[String], title: bool) -> Option<Pixmap> {
    let (width, height) = (760, if title { 316 } else { 252 });
    let mut sprite = Pixmap::new(width, height)?;
    let all = (0.0, 0.0, width as f32, height as f32);
    let clip = Area::new(0, 0, width as i32, height as i32);
    // The title stands free, so that the game behind it is seen.
    if title {
        brush::panel(&mut sprite, (172.0, 174.0, 416.0, 58.0), 29.0, Rgb::hex(0x0A1026), 0.7);
    } else {
        brush::panel(&mut sprite, all, 20.0, Rgb::hex(0x0A1026), 0.84);
        brush::frame(&mut sprite, all, 20.0, GOLD, 0.5);
    }
    let (head, tops) = if title { (NAME, [4, 180, 240]) } else { (HEAD, [26, 112, 172]) };
    let colors = [GOLD, PALE, DIM];
    for (index, line) in words.iter().enumerate().take(3) {
        let style = if index == 0 { head } else { SMALL };
        let block = text::lay(glyphs, line, (0, tops[index]), width as i32, style);
        block.draw(glyphs, &mut sprite, colors[index], 255, clip);
    }
    Some(sprite)
}

/// 12345 as 12 345.
fn grouped(number: u32) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn long_numbers_are_grouped_by_threes() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(1_234), "1 234");
        assert_eq!(grouped(1_234_567), "1 234 567");
    }
}
