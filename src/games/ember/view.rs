//! Draws a world: what was touched last time is restored from the still lake, then everything that moves is laid over.
//! The cost follows what moves, not the size of the picture.

use super::art::{Art, COLD, GOLD};
use super::hud::{self, Banner, Kept};
use super::world::{DASH_REST, World};
use crate::games::Rect;
use crate::games::kit::area::Area;
use crate::games::kit::glyphs::Glyphs;
use crate::games::kit::paint::{self, Rgb};
use crate::games::kit::{HEIGHT, WIDTH};
use tiny_skia::Pixmap;

/// The picture being drawn and what was touched in it.
pub(super) struct Canvas<'a> {
    pub(super) picture: &'a mut Pixmap,
    pub(super) glyphs: &'a mut Glyphs,
    pub(super) touched: &'a mut Vec<Area>,
}

impl Canvas<'_> {
    fn touch(&mut self, sprite: &Pixmap, x: i32, y: i32) {
        self.touched.push(Area::new(x, y, sprite.width() as i32, sprite.height() as i32));
    }

    /// Lays a sprite over, upper left corner at (`x`, `y`).
    pub(super) fn lay(&mut self, sprite: &Pixmap, x: i32, y: i32, alpha: u8) {
        self.touch(sprite, x, y);
        paint::over(self.picture, sprite, x, y, alpha, Area::ALL);
    }

    fn lay_middle(&mut self, sprite: &Pixmap, x: f32, y: f32, alpha: u8) {
        let (x, y) = (x as i32 - sprite.width() as i32 / 2, y as i32 - sprite.height() as i32 / 2);
        self.lay(sprite, x, y, alpha);
    }

    fn shine(&mut self, sprite: &Pixmap, x: f32, y: f32, alpha: u8) {
        let (x, y) = (x as i32 - sprite.width() as i32 / 2, y as i32 - sprite.height() as i32 / 2);
        self.touch(sprite, x, y);
        paint::add(self.picture, sprite, x, y, alpha, Area::ALL);
    }

    pub(super) fn bar(&mut self, area: Area, color: Rgb) {
        self.touched.push(area);
        paint::fill(self.picture, area, color, 255);
    }
}

pub(super) struct View {
    art: Art,
    glyphs: Glyphs,
    kept: Kept,
    /// What the last picture has over the lake; `None` before the first.
    last: Option<Vec<Area>>,
}

impl View {
    pub(super) fn new() -> Self {
        Self { art: Art::new(), glyphs: Glyphs::new(), kept: Kept::default(), last: None }
    }

    pub(super) fn draw(&mut self, picture: &mut Pixmap, world: &World, banner: Banner) -> Option<Rect> {
        if (picture.width(), picture.height()) != (WIDTH, HEIGHT) {
            return None;
        }
        let before = self.last.take().unwrap_or_else(|| vec![Area::ALL]);
        for area in &before {
            paint::copy(&self.art.lake, picture, *area);
        }
        let mut touched = Vec::with_capacity(before.len());
        let canvas = &mut Canvas { picture, glyphs: &mut self.glyphs, touched: &mut touched };
        lanterns(canvas, &self.art, world);
        rings(canvas, world);
        sparks(canvas, &self.art, world);
        if world.flames > 0 {
            ember(canvas, &self.art, world);
        }
        moths(canvas, &self.art, world);
        hurt(canvas, world);
        if matches!(banner, Banner::Title { .. }) {
            hud::banner(canvas, &mut self.kept, banner);
        } else {
            hud::status(canvas, &self.art, world);
            hud::night(canvas, world);
            hud::banner(canvas, &mut self.kept, banner);
        }
        let all = before.iter().chain(&touched).fold(Area::EMPTY, |all, area| all.union(*area));
        self.last = Some(touched);
        all.rect()
    }
}

fn lanterns(canvas: &mut Canvas<'_>, art: &Art, world: &World) {
    for lantern in &world.lanterns {
        let bob = (world.ticks as f32 * 0.05 + lantern.at.x).sin() * 2.5;
        let (x, y) = (lantern.at.x, lantern.at.y + bob);
        match lantern.lit {
            None => {
                let alpha = (lantern.age * 20).min(255) as u8;
                canvas.lay_middle(&art.dark_lantern, x, y, alpha);
            }
            Some(ticks) => {
                let left = 1.0 - ticks as f32 / 46.0;
                canvas.shine(&art.lantern_light, x, y, (left * 255.0) as u8);
                canvas.lay_middle(&art.lit_lantern, x, y, (left * 1.6 * 255.0).min(255.0) as u8);
            }
        }
    }
}

fn rings(canvas: &mut Canvas<'_>, world: &World) {
    for ring in &world.rings {
        let t = ring.age as f32 / 20.0;
        let r = 16.0 + 62.0 * (1.0 - (1.0 - t) * (1.0 - t));
        let color = if ring.cold { COLD } else { GOLD };
        let Some(path) = tiny_skia::PathBuilder::from_circle(ring.at.x, ring.at.y, r) else { continue };
        let mut paint = tiny_skia::Paint { anti_alias: true, ..tiny_skia::Paint::default() };
        paint.set_color(color.color(0.8 * (1.0 - t)));
        let stroke = tiny_skia::Stroke { width: 5.0 * (1.0 - t) + 1.0, ..tiny_skia::Stroke::default() };
        canvas.picture.stroke_path(&path, &paint, &stroke, tiny_skia::Transform::identity(), None);
        let half = r as i32 + 5;
        canvas.touched.push(Area::new(ring.at.x as i32 - half, ring.at.y as i32 - half, half * 2, half * 2));
    }
}

fn sparks(canvas: &mut Canvas<'_>, art: &Art, world: &World) {
    for particle in &world.particles {
        let part = particle.age as f32 / particle.life.max(1) as f32;
        canvas.lay_middle(art.spark(particle.color, part), particle.at.x, particle.at.y, 255);
    }
}

fn ember(canvas: &mut Canvas<'_>, art: &Art, world: &World) {
    let ember = &world.ember;
    canvas.shine(&art.ember_light, ember.at.x, ember.at.y, if ember.dash > 0 { 255 } else { 190 });
    let reach = if ember.dash > 0 || ember.rest > DASH_REST - 20 { 12 } else { 5 };
    for (index, at) in world.trail.iter().enumerate().take(reach).skip(1) {
        let alpha = 150 - (index as i32 * 12).min(140);
        canvas.lay_middle(&art.ghost, at.x, at.y, alpha as u8);
    }
    // Blinks while nothing can hurt it.
    if ember.hurt % 12 < 7 {
        canvas.lay_middle(&art.ember, ember.at.x, ember.at.y, 255);
    }
    if ember.rest > 0 {
        let (x, y) = (ember.at.x as i32 - 20, ember.at.y as i32 + 24);
        canvas.bar(Area::new(x, y, 40, 4), Rgb::hex(0x22305C));
        let ready = 40 - 40 * ember.rest.min(DASH_REST) as i32 / DASH_REST as i32;
        canvas.bar(Area::new(x, y, ready, 4), GOLD);
    }
}

fn moths(canvas: &mut Canvas<'_>, art: &Art, world: &World) {
    for moth in &world.moths {
        let sprite = art.moth(moth.kind, moth.age, moth.speed);
        canvas.lay_middle(sprite, moth.at.x, moth.at.y, 255);
        let waits = moth.kind == super::beings::Kind::Dart && moth.age < 46;
        if waits && moth.age % 12 < 8 {
            let x = moth.at.x.clamp(50.0, WIDTH as f32 - 50.0);
            let y = moth.at.y.clamp(130.0, HEIGHT as f32 - 50.0);
            canvas.lay_middle(&art.warning, x, y, 255);
        }
    }
}

/// The edges of the picture glow for a moment.
fn hurt(canvas: &mut Canvas<'_>, world: &World) {
    let fresh = world.ember.hurt.saturating_sub(78);
    if fresh == 0 {
        return;
    }
    let (w, h, thick) = (WIDTH as i32, HEIGHT as i32, fresh as i32);
    for area in [
        Area::new(0, 0, w, thick),
        Area::new(0, h - thick, w, thick),
        Area::new(0, 0, thick, h),
        Area::new(w - thick, 0, thick, h),
    ] {
        canvas.bar(area, Rgb::hex(0xD84A3A));
    }
}
