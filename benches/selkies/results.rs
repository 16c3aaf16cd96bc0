//! All rounds put together.

use crate::case::{Cases, Condition, Figures};
use crate::contestant::Kind;
use serde::{Deserialize, Serialize};

/// What one contestant showed under one condition in one round.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) round: usize,
    pub(crate) kind: Kind,
    pub(crate) condition: Condition,
    pub(crate) cases: Cases,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) facts: Vec<String>,
    pub(crate) rounds: usize,
    /// Who was left out or failed, and why.
    pub(crate) missing: Vec<String>,
    pub(crate) samples: Vec<Sample>,
}

impl Results {
    /// Who has figures.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = self.samples.iter().map(|sample| sample.kind).collect();
        kinds.sort();
        kinds.dedup();
        kinds
    }

    /// In the order of the samples.
    pub(crate) fn conditions(&self) -> Vec<Condition> {
        let mut conditions: Vec<Condition> = self.samples.iter().map(|sample| sample.condition).collect();
        conditions.sort();
        conditions.dedup();
        conditions
    }

    fn figures(&self, kind: Kind, condition: Condition, case: &str) -> impl Iterator<Item = &Figures> {
        let samples =
            self.samples.iter().filter(move |sample| sample.kind == kind && sample.condition == condition);
        samples.filter_map(move |sample| sample.cases.get(case))
    }

    /// A single figure's median over the rounds.
    pub(crate) fn single(&self, kind: Kind, condition: Condition, case: &str, name: &str) -> Option<f64> {
        let values =
            self.figures(kind, condition, case).filter_map(|figures| figures.single.get(name).copied());
        percentile(values.collect(), 50.0)
    }

    /// A percentile of the latencies of all rounds.
    pub(crate) fn key(&self, kind: Kind, condition: Condition, case: &str, percent: f64) -> Option<f64> {
        let all = self.figures(kind, condition, case).flat_map(|figures| figures.key_ms.iter().copied());
        percentile(all.collect(), percent)
    }

    /// The same of the pictures' ages.
    pub(crate) fn age(&self, kind: Kind, condition: Condition, case: &str, percent: f64) -> Option<f64> {
        let all = self.figures(kind, condition, case).flat_map(|figures| figures.age_ms.iter().copied());
        percentile(all.collect(), percent)
    }

    /// The lowest value of the two modes of Selkies.
    pub(crate) fn better(&self, value: impl Fn(Kind) -> Option<f64>) -> Option<f64> {
        [Kind::SelkiesWebsocket, Kind::SelkiesWebrtc].into_iter().filter_map(value).min_by(f64::total_cmp)
    }
}

/// Between the two nearest values.
pub(crate) fn percentile(mut values: Vec<f64>, percent: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let at = percent / 100.0 * (values.len().checked_sub(1)? as f64);
    let (low, high) = (values.get(at.floor() as usize)?, values.get(at.ceil() as usize)?);
    Some(low + (high - low) * at.fract())
}

/// Facts of the machine.
pub(crate) fn facts() -> Vec<String> {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.split_once(':'));
        line.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let version = |program: &str| {
        let output = std::process::Command::new(program).arg("--version").output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    let assembler = if version("nasm").is_empty() { "without nasm" } else { "with nasm" };
    vec![
        field(&read("/proc/cpuinfo"), "model name"),
        format!("{} cores", std::thread::available_parallelism().map_or(0, usize::from)),
        format!("Linux {}", read("/proc/sys/kernel/osrelease").trim()),
        format!("load {} before", read("/proc/loadavg").split(' ').next().unwrap_or_default()),
        format!("profile {}, {assembler}", if cfg!(debug_assertions) { "dev" } else { "release" }),
        version("chromium"),
        format!("selkies {}", crate::install::VERSION),
    ]
}
