//! The report of a run: a summary for people, JSON for programs, a page for whoever was not there.

pub mod html;
pub mod machine;
pub mod outcome;
pub mod summary;
pub mod svg;

use super::expect::Verdict;
use super::run::Run;
use crate::bots::meter::Second;
use machine::Machine;
use outcome::{Outcome, spread};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::time::Duration;
use summary::{METRICS, Summary};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Bots named one by one in the summary for people.
const NAMED: usize = 20;

/// What a run showed.
#[derive(Debug)]
pub struct Report {
    pub game: String,
    pub plan: Vec<(&'static str, String)>,
    /// UTC, ISO 8601.
    pub begun: String,
    pub took: Duration,
    pub summary: Summary,
    pub verdicts: Vec<Verdict>,
    /// Packets the kernel dropped at the bots' own sockets; `None` where it does not tell.
    pub drops: Option<u64>,
    pub machine: Machine,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Passed,
    /// A bot failed, or an expectation did not hold.
    Failed,
    /// The bots could not keep up: the run says nothing of the gateway.
    Void,
}

impl Report {
    /// Takes everything from a run that is over.
    #[must_use]
    pub fn of(run: &Run) -> Self {
        let summary = Summary::of(run.cards.iter().map(|card| Outcome::of(card)).collect());
        let verdicts = run.plan.expect.iter().map(|expected| expected.check(&summary)).collect();
        let begun = OffsetDateTime::from(run.begun);
        let begun = begun.replace_nanosecond(0).unwrap_or(begun).format(&Rfc3339).unwrap_or_default();
        Self {
            game: run.plan.what().to_owned(),
            plan: run.plan.facts(),
            begun,
            took: run.epoch.elapsed(),
            summary,
            verdicts,
            drops: run.drops.total(),
            machine: Machine::read(),
        }
    }

    #[must_use]
    pub fn ending(&self) -> Ending {
        if self.drops.is_some_and(|drops| drops > 0) {
            return Ending::Void;
        }
        let held = self.verdicts.iter().all(|verdict| verdict.held);
        let whole = self.summary.failed() == 0 && !self.summary.bots.is_empty();
        if held && whole { Ending::Passed } else { Ending::Failed }
    }

    /// What the ending means, in a line.
    #[must_use]
    pub fn ending_line(&self) -> String {
        let broken = self.verdicts.iter().filter(|verdict| !verdict.held).count();
        match self.ending() {
            Ending::Void => format!(
                "VOID: the kernel dropped {} packets at the bots' own sockets; this run says nothing about the gateway",
                self.drops.unwrap_or_default()
            ),
            Ending::Failed => format!(
                "FAILED: {} of {} bots failed, {broken} of {} expectations did not hold",
                self.summary.failed(),
                self.summary.bots.len(),
                self.verdicts.len()
            ),
            Ending::Passed if self.verdicts.is_empty() => {
                format!("passed: {} bots got in and got their frames", self.summary.bots.len())
            }
            Ending::Passed => {
                let (bots, held) = (self.summary.bots.len(), self.verdicts.len());
                format!("passed: {bots} bots, all {held} expectations held")
            }
        }
    }

    /// The summary for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        let summary = &self.summary;
        let _ = writeln!(
            out,
            "{}: {} bots, {} of them full, {:.0} s",
            self.game,
            summary.bots.len(),
            summary.full(),
            self.took.as_secs_f64()
        );
        for (metric, value) in METRICS.iter().filter_map(|metric| Some((metric, (metric.of)(summary)?))) {
            let _ = writeln!(out, "  {:<26} {:>14}", metric.name, metric.unit.show(value));
        }
        if let Some(drops) = self.drops {
            let _ = writeln!(out, "  {:<26} {drops:>14}", "dropped-by-the-bots");
        }
        let failed = summary.bots.iter().filter_map(|bot| Some((bot, bot.error.as_ref()?)));
        for (bot, error) in failed.take(NAMED) {
            let _ = writeln!(
                out,
                "  bot {} ({} of session {}): {error}",
                bot.index,
                bot.kind_name(),
                bot.session
            );
        }
        if summary.failed() > NAMED {
            let _ = writeln!(out, "  and {} more", summary.failed() - NAMED);
        }
        for verdict in &self.verdicts {
            let word = if verdict.held { "held" } else { "DID NOT HOLD" };
            let _ = writeln!(out, "  {word}: {} ({})", verdict.text, verdict.value);
        }
        let _ = writeln!(out, "{}", self.ending_line());
        out
    }

    /// Everything, for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let summary = &self.summary;
        let figures: Map<String, Value> = METRICS
            .iter()
            .map(|metric| (metric.name.to_owned(), json!((metric.of)(summary).map(rounded))))
            .collect();
        let plan: Map<String, Value> =
            self.plan.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        let expectations: Vec<Value> = self
            .verdicts
            .iter()
            .map(|verdict| json!({ "text": verdict.text, "measured": verdict.value, "held": verdict.held }))
            .collect();
        json!({
            "passed": self.ending() == Ending::Passed,
            "void": self.ending() == Ending::Void,
            "begun": self.begun,
            "tookMs": rounded(self.took.as_secs_f64() * 1000.0),
            "plan": plan,
            "machine": self.machine.json(),
            "droppedByTheBots": self.drops,
            "expectations": expectations,
            "figures": figures,
            "spreads": {
                "firstFrameMs": spread(&summary.first_frame),
                "frameGapMs": spread(&summary.gaps),
                "firstPacketDelayMs": spread(&summary.first_delay),
                "lastPacketDelayMs": spread(&summary.last_delay),
                "nackToPacketMs": spread(&summary.repair),
                "glassToGlassMs": spread(&summary.glass),
                "inputToPictureMs": spread(&summary.input),
            },
            "fairnessBySession": summary.fairness.iter().copied().map(rounded).collect::<Vec<_>>(),
            "bots": summary.bots.iter().map(Outcome::json).collect::<Vec<_>>(),
        })
    }
}

fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
