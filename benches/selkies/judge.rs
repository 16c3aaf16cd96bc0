//! The judge in the page: what was shown and when, and which keys came in.

use crate::Outcome;
use crate::program::marker;
use crate::program::scene::{Painter, Scene};
use crate::program::{HEIGHT, WIDTH};
use crate::support::chrome::Chrome;
use crate::support::page::Page;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::time::{Duration, Instant};

pub(crate) const SCRIPT: &str = include_str!("judge.js");
/// A marker's time comes round again.
const DAY: f64 = (1 << 24) as f64;

/// A picture that was shown. Times are milliseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Picture {
    pub(crate) shown: f64,
    /// Pictures presented so far, this one included.
    pub(crate) presented: u64,
    pub(crate) number: u16,
    pub(crate) keys: u8,
    /// From when it was drawn until it was shown, in milliseconds.
    pub(crate) age: f64,
    /// Of two pictures.
    pub(crate) torn: bool,
    pub(crate) width: u32,
}

/// What the judge saw in a while.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) pictures: Vec<Picture>,
    pub(crate) keys: Vec<f64>,
    /// Pictures without a readable marker.
    pub(crate) unread: u64,
}

#[derive(Deserialize)]
struct Raw {
    pictures: Vec<[f64; 7]>,
    keys: Vec<f64>,
    unread: u64,
}

pub(crate) async fn take(page: &Chrome) -> Outcome<Seen> {
    let raw: Raw = serde_json::from_value(page.run("return window.judge.take()").await?)?;
    let pictures = raw.pictures.into_iter().map(|[shown, presented, number, keys, drawn, torn, width]| {
        let age = (shown * 10.0 - drawn).rem_euclid(DAY);
        // The browser's clock and the machine's may differ by a little.
        let age = if age > DAY / 2.0 { age - DAY } else { age };
        Picture {
            shown,
            presented: presented as u64,
            number: number as u16,
            keys: keys as u8,
            age: age / 10.0,
            torn: torn > 0.0,
            width: width as u32,
        }
    });
    let mut pictures: Vec<Picture> = pictures.collect();
    // Reading them takes more or less long.
    pictures.sort_by(|one, other| one.shown.total_cmp(&other.shown));
    Ok(Seen { pictures, keys: raw.keys, unread: raw.unread })
}

/// Waits until a picture of the program is shown.
pub(crate) async fn until_picture(page: &Chrome, patience: Duration) -> Outcome<()> {
    let began = Instant::now();
    while began.elapsed() < patience {
        // Readable whether or not another one comes.
        let script = "return window.judge.snap().then(seen => seen.number ?? -1, () => -1)";
        if page.run(script).await?.as_f64().is_some_and(|number| number >= 0.0) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err("no picture".into())
}

/// Luma PSNR of what is shown now against what was drawn, in decibels; the marker, which tells the time, is left out.
pub(crate) async fn psnr(page: &Chrome, painter: &mut Painter, scene: Scene) -> Outcome<Option<f64>> {
    #[derive(Deserialize)]
    struct Snap {
        number: Option<u16>,
        keys: Option<u8>,
        luma: String,
    }
    let snap: Snap = serde_json::from_value(page.run("return window.judge.snap()").await?)?;
    let (Some(frame), Some(keys)) = (snap.number, snap.keys) else { return Ok(None) };
    let seen = STANDARD.decode(snap.luma)?;
    painter.paint(scene, marker::Marker { frame, keys, time: 0 }, true);
    let (mut sum, mut count) = (0.0, 0.0);
    for (at, (pixel, seen)) in painter.pixels().as_chunks::<4>().0.iter().zip(&seen).enumerate() {
        let (x, y) = (at as u32 % WIDTH, at as u32 / WIDTH);
        if y < marker::ROWS * marker::CELL || is_band_mark(x) {
            continue;
        }
        let [blue, green, red, _] = pixel.map(f64::from);
        let wanted = (0.2126 * red + 0.7152 * green + 0.0722 * blue).round();
        sum += (wanted - f64::from(*seen)).powi(2);
        count += 1.0;
    }
    debug_assert_eq!(seen.len(), (WIDTH * HEIGHT) as usize);
    // A picture without any error is as good as eight bits can tell.
    Ok(Some(10.0 * (255.0_f64.powi(2) / (sum / count).max(0.01)).log10()))
}

/// The still scene draws the bands' marks once, with a number that nobody knows.
fn is_band_mark(x: u32) -> bool {
    x >= WIDTH - marker::BAND_CELLS * marker::CELL
}
