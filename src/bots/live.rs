//! What a run is doing, while it does it: on a terminal a table that is drawn over and over, elsewhere nothing.

use super::card::{Card, Mode, Phase};
use super::run::Run;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_millis(500);
/// Sessions shown one by one.
const LINES: usize = 12;

/// Sums of some bots.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    bots: usize,
    watching: usize,
    failed: usize,
    frames: u64,
    bytes: u64,
    missing: u64,
    freezes: u64,
    lost: u64,
    reconnects: u32,
}

/// Draws until it is dropped. Never on anything but a terminal.
pub async fn show(run: Arc<Run>) {
    if !std::io::stderr().is_terminal() {
        return std::future::pending().await;
    }
    let screen = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
    let style = |template: &str| {
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
    };
    let bar = |length: usize, template: &str| {
        let bar = screen.add(ProgressBar::new(length as u64));
        bar.set_style(style(template));
        bar
    };
    let joined = bar(run.cards.len(), "joined  {bar:40} {pos}/{len}  {msg}");
    let length = (run.plan.ramp + run.plan.duration).as_secs();
    let time = bar(usize::try_from(length).unwrap_or_default(), "time    {bar:40} {pos}/{len} s");
    let header = bar(1, "{msg}");
    header.set_message(format!(
        "{:>8} {:>6} {:>9} {:>8} {:>9} {:>8} {:>8} {:>6} {:>6}",
        "session", "bots", "watching", "fps", "kbit/s", "missing", "freezes", "lost", "again"
    ));
    let sessions: Vec<&[Arc<Card>]> = run.cards.chunks(run.plan.group().max(1)).collect();
    let lines: Vec<ProgressBar> = sessions.iter().take(LINES).map(|_| bar(1, "{msg}")).collect();
    let all = bar(1, "{msg}");
    let mut before = vec![Sums::default(); sessions.len() + 1];
    let mut last = Instant::now();
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        ticks.tick().await;
        let passed = last.elapsed().as_secs_f64().max(0.001);
        last = Instant::now();
        let total = Sums::of(&run.cards);
        joined.set_position((total.watching + total.failed) as u64);
        joined.set_message(if total.failed > 0 { format!("{} failed", total.failed) } else { String::new() });
        time.set_position(run.epoch.elapsed().as_secs().min(length));
        for ((number, cards), line) in sessions.iter().enumerate().zip(&lines) {
            let sums = Sums::of(cards);
            line.set_message(sums.line(&number.to_string(), before.get(number), passed));
            if let Some(slot) = before.get_mut(number) {
                *slot = sums;
            }
        }
        all.set_message(total.line("all", before.last(), passed));
        if let Some(slot) = before.last_mut() {
            *slot = total;
        }
    }
}

impl Sums {
    fn of(cards: &[Arc<Card>]) -> Self {
        let mut sums = Self { bots: cards.len(), ..Default::default() };
        for card in cards {
            card.with(|facts| {
                sums.watching += usize::from(facts.meter.first_frame.is_some());
                sums.failed += usize::from(facts.phase == Phase::Failed);
                sums.frames += match card.mode {
                    Mode::Full => facts.meter.seconds.iter().map(|second| u64::from(second.frames)).sum(),
                    Mode::Light => facts.meter.totals.whole,
                };
                sums.bytes += facts.meter.totals.bytes;
                sums.missing += facts.meter.totals.missing;
                sums.freezes += facts.meter.totals.freezes[2];
                sums.lost += facts.meter.totals.lost;
                sums.reconnects += facts.reconnects();
            });
        }
        sums
    }

    fn line(&self, name: &str, before: Option<&Self>, passed: f64) -> String {
        let before = before.copied().unwrap_or_default();
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / passed;
        let fps = rate(self.frames, before.frames) / self.watching.max(1) as f64;
        format!(
            "{name:>8} {:>6} {:>9} {fps:>8.1} {:>9.0} {:>8} {:>8} {:>6} {:>6}",
            self.bots,
            self.watching,
            rate(self.bytes, before.bytes) * 8.0 / 1000.0,
            self.missing,
            self.freezes,
            self.lost,
            self.reconnects
        )
    }
}
