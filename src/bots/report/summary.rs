//! A run in figures: every figure has a name, a unit and one meaning, the same in the summary, the JSON, the page and
//! `--expect`.

use super::outcome::Outcome;
use crate::bots::card::{Mode, Step};
use crate::bots::spread::{Spread, jain, quantile};
use std::time::Duration;

/// All bots together.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    pub bots: Vec<Outcome>,
    pub first_frame: Spread,
    pub launch_to_frame: Spread,
    pub gaps: Spread,
    pub first_delay: Spread,
    pub last_delay: Spread,
    pub repair: Spread,
    pub glass: Spread,
    pub input: Spread,
    /// Of each session whose viewers saw something together, Jain's index.
    pub fairness: Vec<f64>,
}

/// What a figure counts in. Times are kept in milliseconds, shares in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Count,
    Ms,
    Percent,
    Kbps,
    Fps,
    /// 0 to 1.
    Index,
}

/// One figure.
pub struct Metric {
    pub name: &'static str,
    pub unit: Unit,
    pub means: &'static str,
    pub of: fn(&Summary) -> Option<f64>,
}

impl std::fmt::Debug for Metric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metric").field("name", &self.name).field("unit", &self.unit).finish_non_exhaustive()
    }
}

macro_rules! metrics {
    ($($name:literal $unit:ident $means:literal $of:expr;)*) => {
        &[$(Metric { name: $name, unit: Unit::$unit, means: $means, of: $of }),*]
    };
}

/// Every figure there is.
pub const METRICS: &[Metric] = metrics! {
    "failed-bots" Count "bots that did not get in, got no frame, or were put out" |s| some(s.failed());
    "reconnects" Count "signaling dialled again, ICE restarts and new offers, of all bots" |s| Some(s.sum(|b| u64::from(b.reconnects())));
    "first-frame-p50" Ms "from setting out to join to the first frame (a median)" |s| at(&s.first_frame, 0.5);
    "first-frame-p95" Ms "the same, 95 of 100 bots" |s| at(&s.first_frame, 0.95);
    "first-frame-max" Ms "the same, the slowest" |s| at(&s.first_frame, 1.0);
    "launch-to-frame-p50" Ms "owners: from the launch request to the first frame" |s| at(&s.launch_to_frame, 0.5);
    "launch-to-frame-max" Ms "the same, the slowest" |s| at(&s.launch_to_frame, 1.0);
    "frames-min" Count "frames shown (light: whole) to the bot with the fewest" |s| s.over(|b| Some(b.frames() as f64)).into_iter().reduce(f64::min);
    "fps-min" Fps "frames a second of the bot with the fewest" |s| s.over(|b| Some(b.fps())).into_iter().reduce(f64::min);
    "fps-p50" Fps "frames a second, the median of the bots" |s| quantile(s.over(|b| Some(b.fps())), 0.5);
    "missing-frames" Percent "frames that never became whole, of all" |s| share(s.sum(|b| b.totals.missing), s.sum(|b| b.totals.missing + b.totals.whole));
    "late-frames" Percent "frames whole more than 100 ms behind the best, of all" |s| share(s.sum(|b| b.totals.late), s.sum(|b| b.totals.missing + b.totals.whole));
    "freezes-50ms" Count "pictures that stood more than 50 ms longer than they should" |s| Some(s.sum(|b| b.totals.freezes[0]));
    "freezes-100ms" Count "more than 100 ms" |s| Some(s.sum(|b| b.totals.freezes[1]));
    "freezes-200ms" Count "more than 200 ms" |s| Some(s.sum(|b| b.totals.freezes[2]));
    "frozen" Percent "time in freezes over 50 ms, of the time watched" |s| share(s.seconds(|b| b.totals.frozen), s.seconds(|b| b.watched));
    "loss" Percent "video packets that never came, of all" |s| share(s.sum(|b| b.totals.lost), s.sum(|b| b.totals.lost + b.totals.packets));
    "repaired" Percent "video packets that came late or by retransmission, of all" |s| share(s.sum(|b| b.totals.repaired), s.sum(|b| b.totals.lost + b.totals.packets));
    "nack-p50" Ms "from asking for a packet to its coming" |s| at(&s.repair, 0.5);
    "nack-p95" Ms "the same, 95 of 100" |s| at(&s.repair, 0.95);
    "frame-gap-p95" Ms "between two pictures, 95 of 100" |s| at(&s.gaps, 0.95);
    "frame-gap-p99" Ms "the same, 99 of 100" |s| at(&s.gaps, 0.99);
    "first-packet-delay-p95" Ms "of a frame's first packet, behind the best seen" |s| at(&s.first_delay, 0.95);
    "first-packet-delay-p99" Ms "the same, 99 of 100" |s| at(&s.first_delay, 0.99);
    "last-packet-delay-p50" Ms "of a frame's last packet, behind the best seen" |s| at(&s.last_delay, 0.5);
    "last-packet-delay-p95" Ms "the same, 95 of 100" |s| at(&s.last_delay, 0.95);
    "last-packet-delay-p99" Ms "the same, 99 of 100" |s| at(&s.last_delay, 0.99);
    "glass-p50" Ms "full bots: from drawn by the game to decoded (needs `runner.marker`)" |s| at(&s.glass, 0.5);
    "glass-p95" Ms "the same, 95 of 100" |s| at(&s.glass, 0.95);
    "glass-p99" Ms "the same, 99 of 100" |s| at(&s.glass, 0.99);
    "input-p50" Ms "full bots: from a press to the decoded picture that shows it (needs `runner.marker`)" |s| at(&s.input, 0.5);
    "input-p95" Ms "the same, 95 of 100" |s| at(&s.input, 0.95);
    "input-max" Ms "the same, the slowest" |s| at(&s.input, 1.0);
    "kbps-min" Kbps "video to the bot with the least, UDP payload" |s| s.over(|b| Some(b.kbps())).into_iter().reduce(f64::min);
    "kbps-p50" Kbps "the same, the median of the bots" |s| quantile(s.over(|b| Some(b.kbps())), 0.5);
    "fairness-min" Index "Jain's index of the bytes to a session's viewers, the least fair session" |s| s.fairness.iter().copied().reduce(f64::min);
    "packets-that-did-not-open" Count "light bots: packets whose seal did not hold" |s| Some(s.sum(|b| b.sealed));
};

/// The figure of this name.
#[must_use]
pub fn metric(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}

impl Unit {
    /// A value for people.
    #[must_use]
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Count => format!("{value:.0}"),
            Self::Ms if value < 10.0 => format!("{value:.2} ms"),
            Self::Ms if value < 100.0 => format!("{value:.1} ms"),
            Self::Ms => format!("{value:.0} ms"),
            Self::Percent => format!("{value:.3} %"),
            Self::Kbps => format!("{value:.0} kbit/s"),
            Self::Fps => format!("{value:.1}"),
            Self::Index => format!("{value:.4}"),
        }
    }
}

impl Summary {
    #[must_use]
    pub fn of(bots: Vec<Outcome>) -> Self {
        let mut summary = Self::default();
        for bot in &bots {
            if let Some(time) = bot.first_frame {
                summary.first_frame.record(time);
            }
            if let Some(time) = bot.launch_to_frame() {
                summary.launch_to_frame.record(time);
            }
            summary.gaps.merge(&bot.gaps);
            summary.first_delay.merge(&bot.first_delay);
            summary.last_delay.merge(&bot.last_delay);
            summary.repair.merge(&bot.repair);
            summary.glass.merge(&bot.glass);
            summary.input.merge(&bot.input);
        }
        summary.bots = bots;
        summary.fairness = summary.sessions().iter().filter_map(|bots| fairness(bots)).collect();
        summary
    }

    /// The bots of each session, those that failed left out.
    #[must_use]
    pub fn sessions(&self) -> Vec<Vec<&Outcome>> {
        let mut sessions: Vec<Vec<&Outcome>> = Vec::new();
        for bot in &self.bots {
            let at = usize::try_from(bot.session).unwrap_or_default();
            if sessions.len() <= at {
                sessions.resize_with(at + 1, Vec::new);
            }
            if let Some(session) = sessions.get_mut(at).filter(|_| bot.error.is_none()) {
                session.push(bot);
            }
        }
        sessions
    }

    #[must_use]
    pub fn failed(&self) -> usize {
        self.bots.iter().filter(|bot| bot.error.is_some()).count()
    }

    #[must_use]
    pub fn full(&self) -> usize {
        self.bots.iter().filter(|bot| bot.mode == Mode::Full).count()
    }

    fn sum(&self, pick: fn(&Outcome) -> u64) -> f64 {
        self.bots.iter().map(pick).sum::<u64>() as f64
    }

    fn seconds(&self, pick: fn(&Outcome) -> Duration) -> f64 {
        self.bots.iter().map(pick).sum::<Duration>().as_secs_f64()
    }

    /// A value of every bot that has it.
    #[must_use]
    pub fn over(&self, pick: impl Fn(&Outcome) -> Option<f64>) -> Vec<f64> {
        self.bots.iter().filter_map(pick).collect()
    }

    /// How long a step took from the bots' beginnings.
    #[must_use]
    pub fn step(&self, step: Step) -> Vec<f64> {
        self.over(|bot| bot.step(step).map(|time| time.as_secs_f64() * 1000.0))
    }
}

/// Jain's index over the bytes of the seconds that all of a session's bots watched.
#[must_use]
pub fn fairness(bots: &[&Outcome]) -> Option<f64> {
    let (from, to) = together(bots).filter(|_| bots.len() > 1)?;
    let bytes = |bot: &&Outcome| {
        bot.seconds.get(from..to).unwrap_or_default().iter().map(|second| f64::from(second.bytes)).sum()
    };
    jain(&bots.iter().map(bytes).collect::<Vec<f64>>())
}

/// The whole seconds in which all of these bots had been given something and were not at their end.
#[must_use]
pub fn together(bots: &[&Outcome]) -> Option<(usize, usize)> {
    let something = |second: &super::Second| second.bytes > 0;
    let from = bots.iter().filter_map(|bot| bot.seconds.iter().position(something)).max()?;
    let to = bots.iter().filter_map(|bot| bot.seconds.iter().rposition(something)).min()?;
    (from + 2 < to).then_some((from + 2, to))
}

fn some(count: usize) -> Option<f64> {
    Some(count as f64)
}

fn at(spread: &Spread, share: f64) -> Option<f64> {
    spread.quantile(share).map(|time| time.as_secs_f64() * 1000.0)
}

fn share(part: f64, all: f64) -> Option<f64> {
    (all > 0.0).then(|| part / all * 100.0)
}
