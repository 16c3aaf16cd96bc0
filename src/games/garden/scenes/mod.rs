//! The painted places: each a function that fills a picture once. What lies below y = 470 is mostly under the text.

mod court;
mod dawn;
mod fork;
mod garden;
mod gate;
mod library;
mod props;
mod river;
mod title;
mod tower;

use super::story::Scene;
use crate::games::kit::paint::Rgb;
use crate::games::kit::{HEIGHT, WIDTH, brush};
use tiny_skia::Pixmap;

/// Paints a scene; the title shows a light for every ending found.
pub(super) fn paint(scene: Scene, endings: u8) -> Option<Pixmap> {
    let mut picture = Pixmap::new(WIDTH, HEIGHT)?;
    picture.fill(Rgb(0, 0, 0).color(1.0));
    let to = &mut picture;
    match scene {
        Scene::Title => title::paint(to, endings),
        Scene::Gate => gate::paint(to),
        Scene::Garden => garden::paint(to),
        Scene::Library => library::paint(to),
        Scene::Court => court::paint(to),
        Scene::Fork => fork::paint(to),
        Scene::Tower => tower::paint(to),
        Scene::River => river::paint(to),
        Scene::Dawn => dawn::paint(to),
    }
    brush::vignette(to, if scene == Scene::Dawn { 0.3 } else { 0.55 });
    Some(picture)
}

/// The colours of a scene's text panel and of its moving lights.
pub(super) fn tint(scene: Scene) -> (Rgb, Rgb) {
    let (panel, light) = match scene {
        Scene::Title => (0x0C1020, 0xFFD792),
        Scene::Gate => (0x1A1026, 0xFFC98A),
        Scene::Garden => (0x07161C, 0xD9F0A0),
        Scene::Library => (0x160C0C, 0xFFD9A0),
        Scene::Court => (0x06141F, 0xBFE8F0),
        Scene::Fork => (0x080D20, 0xD9F0A0),
        Scene::Tower => (0x0B0A20, 0xFFD792),
        Scene::River => (0x050F1C, 0xCFE4FF),
        Scene::Dawn => (0x2A1726, 0xFFE9C4),
    };
    (Rgb::hex(panel), Rgb::hex(light))
}
