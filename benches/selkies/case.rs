//! What is measured: lines, scenes, and the figures of each.

use crate::Outcome;
use crate::contestant::Stage;
use crate::cpu;
use crate::judge::{self, Picture, Seen};
use crate::program::STRETCH;
use crate::program::scene::{Painter, Scene};
use playgate::netem::{Direction, Loss, Queue, Rate, Shape};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A line's queue holds this much.
const QUEUE: Duration = Duration::from_millis(100);
/// Until the rate fits a line that has changed.
const SETTLE: Duration = Duration::from_secs(8);
/// After the last change the picture has this long to become good.
const REFINE: Duration = Duration::from_millis(500);
const IDLE: Duration = Duration::from_secs(5);
/// Pictures of the moving scene that are compared with what was drawn.
const SNAPS: usize = 5;

/// What lies between server and browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Condition {
    Clear,
    /// A round trip of 40 ms, one packet in a hundred lost each way.
    Lossy,
    /// So many Mbit/s, a round trip of 20 ms.
    Narrow(u32),
}

impl Condition {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Clear => "clear line".to_owned(),
            Self::Lossy => "40 ms, 1 % loss".to_owned(),
            Self::Narrow(mbps) => format!("{mbps} Mbit/s, 20 ms"),
        }
    }

    pub(crate) fn shape(self) -> Shape {
        let away = |ms| Shape { delay: Duration::from_millis(ms), ..Shape::CLEAR };
        match self {
            Self::Clear => Shape::CLEAR,
            Self::Lossy => Shape { loss: Loss::Independent(0.01), ..away(20) },
            Self::Narrow(mbps) => {
                let bits_per_second = u64::from(mbps) * 1_000_000;
                Shape { rate: Some(Rate { bits_per_second, queue: Queue::Time(QUEUE) }), ..away(10) }
            }
        }
    }
}

/// One contestant's figures under one condition in one round. Latencies and ages are all of them, in milliseconds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// From a key in the page to the picture that knows of it.
    pub(crate) key_ms: Vec<f64>,
    /// From drawing to showing.
    pub(crate) age_ms: Vec<f64>,
    /// Single figures by name.
    pub(crate) single: BTreeMap<String, f64>,
}

/// By what is measured: `still`, `moving`, `corners`, `idle`.
pub(crate) type Cases = BTreeMap<String, Figures>;

/// How long things take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Presses of keys in each scene.
    pub(crate) presses: usize,
    /// Requests that a picture is drawn in.
    pub(crate) requests: u16,
}

/// Measures a contestant under one condition.
pub(crate) async fn measure(
    stage: &mut Stage,
    painter: &mut Painter,
    condition: Condition,
    pace: Pace,
) -> Outcome<Cases> {
    let mut cases = Cases::new();
    if let Some(line) = &stage.line {
        for direction in Direction::BOTH {
            line.set(direction, condition.shape());
        }
    }
    stage.control.requests(pace.requests)?;
    if condition == Condition::Clear {
        stage.control.show(Scene::Still)?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        cases.insert("still".to_owned(), still(stage, painter, pace).await?);
        cases.insert("idle".to_owned(), idle(stage).await?);
        cases
            .insert("corners".to_owned(), moving(stage, Scene::Corners, pace, Duration::from_secs(2)).await?);
        let mut figures = moving(stage, Scene::Moving, pace, Duration::from_secs(3)).await?;
        let mut snaps = Vec::new();
        for _ in 0..SNAPS {
            snaps.extend(judge::psnr(&stage.page, painter, Scene::Moving).await?);
        }
        snaps.sort_by(f64::total_cmp);
        if let Some(middle) = snaps.get(snaps.len() / 2) {
            figures.single.insert("psnr_db".to_owned(), *middle);
        }
        cases.insert("moving".to_owned(), figures);
    } else {
        if condition == Condition::Lossy {
            stage.control.show(Scene::Still)?;
            tokio::time::sleep(Duration::from_secs(2)).await;
            cases.insert("still".to_owned(), still(stage, painter, pace).await?);
        }
        cases.insert("moving".to_owned(), moving(stage, Scene::Moving, pace, SETTLE).await?);
    }
    Ok(cases)
}

/// Presses keys before a screen that otherwise stands still, then judges the picture that is left.
async fn still(stage: &mut Stage, painter: &mut Painter, pace: Pace) -> Outcome<Figures> {
    judge::take(&stage.page).await?;
    press(stage, pace.presses).await;
    tokio::time::sleep(REFINE).await;
    let quality = judge::psnr(&stage.page, painter, Scene::Still).await?;
    let seen = judge::take(&stage.page).await?;
    let mut figures = Figures { key_ms: latencies(&seen), ..Figures::default() };
    figures.single.extend(quality.map(|db| ("psnr_db".to_owned(), db)));
    Ok(figures)
}

/// What standing still costs.
async fn idle(stage: &mut Stage) -> Outcome<Figures> {
    tokio::time::sleep(Duration::from_secs(3)).await;
    let window = Window::open(stage)?;
    tokio::time::sleep(IDLE).await;
    let mut figures = Figures::default();
    window.close(stage, &mut figures)?;
    Ok(figures)
}

/// Presses keys while pictures go by.
async fn moving(stage: &mut Stage, scene: Scene, pace: Pace, settle: Duration) -> Outcome<Figures> {
    stage.control.show(scene)?;
    tokio::time::sleep(settle).await;
    judge::take(&stage.page).await?;
    let (drawn, window) = (stage.control.drawn()?, Window::open(stage)?);
    press(stage, pace.presses).await;
    let mut figures = Figures::default();
    let seconds = window.close(stage, &mut figures)?;
    let drawn = f64::from(stage.control.drawn()?.wrapping_sub(drawn));
    // Until the last key has been seen.
    tokio::time::sleep(Duration::from_millis(700)).await;
    let seen = judge::take(&stage.page).await?;
    figures.key_ms = latencies(&seen);
    let until = seen.pictures.first().map_or(0.0, |first| first.shown) + seconds * 1000.0;
    let pictures: Vec<Picture> =
        seen.pictures.iter().filter(|picture| picture.shown <= until).copied().collect();
    figures.age_ms = pictures.iter().map(|picture| picture.age).collect();
    let shown = shown(&pictures);
    let mut figure = |name: &str, value: f64| figures.single.insert(name.to_owned(), value);
    figure("shown_share", shown / drawn);
    figure("shown_per_s", shown / seconds);
    figure("evenness_ms", evenness(&pictures));
    figure("longest_ms", intervals(&pictures).into_iter().fold(0.0, f64::max));
    figure("torn", pictures.iter().filter(|picture| picture.torn).count() as f64);
    figure("looked_at", pictures.len() as f64);
    figure("unread", seen.unread as f64);
    figure("width", pictures.last().map_or(0.0, |picture| f64::from(picture.width)));
    Ok(figures)
}

/// CPU time and bytes from one moment to another.
struct Window {
    began: Instant,
    spent: cpu::Spent,
    bytes: Option<u64>,
}

impl Window {
    fn open(stage: &Stage) -> Outcome<Self> {
        let bytes = stage.line.as_ref().map(|line| line.counters(Direction::Down).bytes);
        let spent = cpu::spent(&stage.roots(), stage.control.pid)?;
        Ok(Self { began: Instant::now(), spent, bytes })
    }

    /// Gives how many seconds it was open.
    fn close(self, stage: &Stage, figures: &mut Figures) -> Outcome<f64> {
        let seconds = self.began.elapsed().as_secs_f64();
        let now = Self::open(stage)?;
        let mut figure = |name: &str, value: f64| figures.single.insert(name.to_owned(), value);
        let percent = |after: u64, before: u64| after.saturating_sub(before) as f64 / 1e7 / seconds;
        figure("server_percent", percent(now.spent.server, self.spent.server));
        figure("screen_percent", percent(now.spent.screen, self.spent.screen));
        figure("program_percent", percent(now.spent.program, self.spent.program));
        if let (Some(after), Some(before)) = (now.bytes, self.bytes) {
            figure("kbps", after.saturating_sub(before) as f64 * 8.0 / 1000.0 / seconds);
        }
        Ok(seconds)
    }
}

/// Types keys, at moments that have nothing to do with the pictures'.
async fn press(stage: &Stage, presses: usize) {
    for number in 0..presses {
        stage.page.keys("x").await;
        let pause = 90 + number * 37 % 83;
        tokio::time::sleep(Duration::from_millis(pause as u64)).await;
    }
}

/// For each key the time to the first picture that knows of it.
fn latencies(seen: &Seen) -> Vec<f64> {
    // The last picture knows all of them, however many keys there were before the first of these.
    let Some(last) = seen.pictures.last() else { return Vec::new() };
    let base = last.keys.wrapping_sub(seen.keys.len() as u8);
    let mut latencies = Vec::new();
    for (index, key) in seen.keys.iter().enumerate() {
        let wanted = index + 1;
        let knows = |picture: &&Picture| {
            let count = usize::from(picture.keys.wrapping_sub(base));
            // The count of keys is modulo 256, and no more than that are ever under way.
            picture.shown >= *key && count.wrapping_sub(wanted) & 0xFF < 0x80
        };
        latencies.extend(seen.pictures.iter().find(knows).map(|picture| picture.shown - key));
    }
    latencies
}

/// Pictures shown, with those that came and went between two looks of the judge.
fn shown(pictures: &[Picture]) -> f64 {
    let between = pictures.windows(2).map(|pair| match pair {
        [one, other] => {
            let new = u64::from(other.number.wrapping_sub(one.number));
            other.presented.saturating_sub(one.presented).min(new)
        }
        _ => 0,
    });
    let first = u64::from(!pictures.is_empty());
    (first + between.sum::<u64>()) as f64
}

/// Between pictures of different numbers, in milliseconds.
pub(crate) fn intervals(pictures: &[Picture]) -> Vec<f64> {
    let mut intervals = Vec::new();
    let mut last: Option<&Picture> = None;
    for picture in pictures {
        match last {
            Some(before) if before.number == picture.number => continue,
            Some(before) => intervals.push(picture.shown - before.shown),
            None => {}
        }
        last = Some(picture);
    }
    intervals
}

/// The standard deviation of those intervals while the program keeps its beat: the middle one of all stretches.
fn evenness(pictures: &[Picture]) -> f64 {
    let stretches = pictures.chunk_by(|one, other| one.number / STRETCH == other.number / STRETCH);
    let mut deviations: Vec<f64> = stretches.map(|stretch| deviation(&intervals(stretch))).collect();
    deviations.sort_by(f64::total_cmp);
    deviations.get(deviations.len() / 2).copied().unwrap_or(0.0)
}

fn deviation(values: &[f64]) -> f64 {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt()
}
