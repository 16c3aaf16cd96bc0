//! What a run is expected to show: `NAME<=VALUE`, also with `>=`, `<`, `>` and `=`, where the name is that of a figure
//! ([`super::report::summary::METRICS`]) and the value may have a unit.
//!
//! Units: `ms`, `s` and `m` for times (milliseconds where none is given), `%` for shares, `kbps` and `Mbps` for rates. A
//! figure that was not measured holds no expectation.

use super::report::summary::{METRICS, Metric, Summary, Unit, metric};
use std::str::FromStr;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpectError {
    #[error("`{0}`: an expectation is NAME<=VALUE, also with >=, <, > or =")]
    Shape(String),
    #[error("there is no figure `{name}`; there are: {}", names())]
    Name { name: String },
    #[error("`{value}` is no value of {name}: {wanted}")]
    Value { name: &'static str, value: String, wanted: &'static str },
}

/// One threshold.
#[derive(Debug, Clone)]
pub struct Expectation {
    pub text: String,
    metric: &'static Metric,
    relation: Relation,
    limit: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    AtMost,
    AtLeast,
    Below,
    Above,
    Equal,
}

/// Whether an expectation held.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    pub text: String,
    /// What was measured, for people.
    pub value: String,
    pub held: bool,
}

impl FromStr for Expectation {
    type Err = ExpectError;

    fn from_str(text: &str) -> Result<Self, ExpectError> {
        let text = text.trim();
        let shape = || ExpectError::Shape(text.to_owned());
        let relations = [
            ("<=", Relation::AtMost),
            (">=", Relation::AtLeast),
            ("<", Relation::Below),
            (">", Relation::Above),
            ("=", Relation::Equal),
        ];
        let (name, relation, value) = relations
            .iter()
            .find_map(|(sign, relation)| {
                let (name, value) = text.split_once(sign)?;
                Some((name.trim(), *relation, value.trim()))
            })
            .ok_or_else(shape)?;
        let metric = metric(name).ok_or_else(|| ExpectError::Name { name: name.to_owned() })?;
        let limit = limit(metric, value)?;
        Ok(Self { text: text.to_owned(), metric, relation, limit })
    }
}

impl Expectation {
    #[must_use]
    pub fn check(&self, summary: &Summary) -> Verdict {
        let measured = (self.metric.of)(summary);
        let held = measured.is_some_and(|value| match self.relation {
            Relation::AtMost => value <= self.limit,
            Relation::AtLeast => value >= self.limit,
            Relation::Below => value < self.limit,
            Relation::Above => value > self.limit,
            Relation::Equal => (value - self.limit).abs() < 1e-9,
        });
        let value = measured.map_or_else(|| "not measured".to_owned(), |value| self.metric.unit.show(value));
        Verdict { text: self.text.clone(), value, held }
    }
}

fn limit(metric: &'static Metric, value: &str) -> Result<f64, ExpectError> {
    let split = value.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(value.len());
    let (number, unit) = value.split_at(split);
    let (factor, wanted) = match (metric.unit, unit.trim()) {
        (Unit::Ms, "" | "ms") => (Some(1.0), ""),
        (Unit::Ms, "s") => (Some(1000.0), ""),
        (Unit::Ms, "m") => (Some(60_000.0), ""),
        (Unit::Percent, "" | "%") | (Unit::Count | Unit::Fps | Unit::Index, "") => (Some(1.0), ""),
        (Unit::Kbps, "" | "kbps") => (Some(1.0), ""),
        (Unit::Kbps, "Mbps") => (Some(1000.0), ""),
        (Unit::Ms, _) => (None, "a time, like 800ms or 1.5s"),
        (Unit::Percent, _) => (None, "a share, like 0.1%"),
        (Unit::Kbps, _) => (None, "a rate, like 800kbps or 2Mbps"),
        (Unit::Count | Unit::Fps | Unit::Index, _) => (None, "a number"),
    };
    let wrong = |wanted| ExpectError::Value { name: metric.name, value: value.to_owned(), wanted };
    let factor = factor.ok_or_else(|| wrong(wanted))?;
    let number: f64 = number.parse().map_err(|_| wrong("a number, with its unit"))?;
    Ok(number * factor)
}

fn names() -> String {
    METRICS.iter().map(|metric| metric.name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn summary() -> Summary {
        let mut summary = Summary::default();
        (1..=100).for_each(|ms| summary.first_frame.record(Duration::from_millis(ms * 10)));
        summary
    }

    fn held(text: &str) -> bool {
        text.parse::<Expectation>().unwrap().check(&summary()).held
    }

    #[test]
    fn thresholds_are_read_with_their_units() {
        assert!(
            held("first-frame-p50<=800ms") && held("first-frame-p50 <= 0.8s") && held("first-frame-p50>=400")
        );
        assert!(
            !held("first-frame-p50<=0.4s") && held("first-frame-p95>900ms") && held("first-frame-p95<1m")
        );
        assert!(held("freezes-200ms<=0") && held("freezes-200ms=0") && !held("failed-bots>0"));
    }

    #[test]
    fn what_was_not_measured_holds_nothing() {
        let verdict = "glass-p95<=100ms".parse::<Expectation>().unwrap().check(&summary());
        assert_eq!((verdict.held, verdict.value.as_str()), (false, "not measured"));
        assert!(!held("missing-frames<=100%"));
    }

    #[test]
    fn what_is_no_expectation_is_refused_with_words() {
        let refused = |text: &str| text.parse::<Expectation>().unwrap_err();
        assert!(matches!(refused("first-frame-p95"), ExpectError::Shape(_)));
        assert!(refused("frist-frame<=1s").to_string().contains("first-frame-p95"));
        for text in [
            "first-frame-p95<=1h",
            "loss<=1ms",
            "kbps-min>=1%",
            "frames-min>=many",
            "frames-min>=",
            "fps-min>=1.2.3",
        ] {
            assert!(matches!(refused(text), ExpectError::Value { .. }), "{text}");
        }
    }

    #[test]
    fn every_figure_has_a_name_of_its_own_and_a_meaning() {
        let mut names: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), METRICS.len());
        assert!(METRICS.iter().all(|metric| !metric.means.is_empty()));
    }

    proptest! {
        #[test]
        fn any_text_is_an_expectation_or_refused(text in ".{0,60}") {
            let _ = text.parse::<Expectation>();
        }
    }
}
