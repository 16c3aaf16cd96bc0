//! A check's verdicts for people and programs.

use super::judge::{Outcome, Verdict};
use serde::Serialize;
use std::fmt::Write as _;

/// What `playgate image check` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    pub image: String,
    /// No clause failed.
    pub passed: bool,
    pub verdicts: Vec<Verdict>,
    /// What an image that ended by itself wrote last.
    pub last_words: Vec<String>,
}

impl CheckReport {
    pub fn new(image: String, verdicts: Vec<Verdict>) -> Self {
        let passed = verdicts.iter().all(|verdict| verdict.outcome != Outcome::Fail);
        Self { image, passed, verdicts, last_words: Vec::new() }
    }

    /// The names of what failed.
    pub fn failed(&self) -> Vec<&'static str> {
        self.verdicts
            .iter()
            .filter(|verdict| verdict.outcome == Outcome::Fail)
            .map(|verdict| verdict.id)
            .collect()
    }

    /// A line a clause and a last one for the whole.
    pub fn table(&self) -> String {
        let width =
            |of: fn(&Verdict) -> &str| self.verdicts.iter().map(|line| of(line).chars().count()).max();
        let names = width(|line| line.id).unwrap_or_default();
        let measured = width(|line| &line.measured).unwrap_or_default();
        let mut text = String::new();
        for line in &self.verdicts {
            let _ = writeln!(
                text,
                "{:4}  {:names$}  {:measured$}  {} ({})",
                word(line.outcome),
                line.id,
                line.measured,
                line.expected,
                line.clause
            );
        }
        if !self.last_words.is_empty() {
            let _ = writeln!(text, "its last words:\n  {}", self.last_words.join("\n  "));
        }
        let failed = self.failed();
        let _ = if self.passed {
            writeln!(text, "{} keeps the runner contract", self.image)
        } else {
            writeln!(text, "{} breaks the runner contract: {}", self.image, failed.join(", "))
        };
        text
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::json!(self)
    }
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Warn => "warn",
        Outcome::Fail => "FAIL",
        Outcome::NotJudged => "-",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(id: &'static str, outcome: Outcome) -> Verdict {
        Verdict { id, outcome, measured: "1 s".to_owned(), expected: "less", clause: "stop" }
    }

    #[test]
    fn one_failure_breaks_the_contract_and_a_warning_does_not() {
        let report =
            CheckReport::new("x".to_owned(), vec![verdict("a", Outcome::Pass), verdict("b", Outcome::Warn)]);
        assert!(report.passed && report.table().contains("x keeps the runner contract"));
        let report = CheckReport::new(
            "x".to_owned(),
            vec![verdict("a", Outcome::Fail), verdict("b", Outcome::NotJudged)],
        );
        assert_eq!(report.table().lines().next(), Some("FAIL  a  1 s  less (stop)"));
        assert!(report.table().ends_with("x breaks the runner contract: a\n"));
        assert_eq!(report.json()["passed"], false);
        assert_eq!(report.json()["verdicts"][1]["outcome"], "not_judged");
    }
}
