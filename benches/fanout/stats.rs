//! Runs gathered to points: medians over the rounds, multiples of the floor of the same round.

use crate::facts::Facts;
use crate::load::Load;
use crate::run::Measured;
use crate::servers::Kind;
use serde::{Deserialize, Serialize};

/// CPUs.
const BUSY: f64 = 0.2;

/// One run of one round.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) round: usize,
    pub(crate) kind: Kind,
    #[serde(flatten)]
    pub(crate) load: Load,
    #[serde(flatten)]
    pub(crate) measured: Measured,
}

/// The medians of one server at one load.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Point {
    pub(crate) kind: Kind,
    #[serde(flatten)]
    pub(crate) load: Load,
    pub(crate) rounds: usize,
    /// Multiples of the floor's CPU per packet: the mean of the floors before and after, round by round.
    pub(crate) of_floor: f64,
    #[serde(flatten)]
    pub(crate) median: Measured,
}

/// All that was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) facts: Facts,
    pub(crate) rounds: usize,
    /// Measured in each run.
    pub(crate) seconds: f64,
    /// How long all of it took.
    pub(crate) took_s: f64,
    pub(crate) points: Vec<Point>,
    /// Servers that could not run, and why.
    pub(crate) failures: Vec<String>,
    pub(crate) samples: Vec<Sample>,
}

impl Results {
    pub(crate) fn point(&self, kind: Kind, load: Load) -> Option<&Point> {
        self.points.iter().find(|point| point.kind == kind && point.load == load)
    }

    /// CPUs that others kept busy meanwhile, in the median run.
    pub(crate) fn others(&self) -> f64 {
        median(self.samples.iter().map(|sample| sample.measured.others).collect())
    }

    /// Whether others had so much of the CPUs that the figures are spoiled.
    pub(crate) fn is_busy(&self) -> bool {
        self.others() > BUSY
    }

    /// The loads, in order.
    pub(crate) fn loads(&self) -> Vec<Load> {
        let mut loads: Vec<Load> = self.points.iter().map(|point| point.load).collect();
        loads.sort_by_key(|load| (std::cmp::Reverse(load.packets), load.viewers));
        loads.dedup();
        loads
    }
}

/// The points of all samples, by load and then in the order of servers.
pub(crate) fn points(samples: &[Sample]) -> Vec<Point> {
    let mut keys: Vec<(Load, Kind)> = samples.iter().map(|sample| (sample.load, sample.kind)).collect();
    keys.sort();
    keys.dedup();
    keys.into_iter()
        .map(|(load, kind)| {
            let mut point = point(samples, load, kind);
            point.median.rss_kib = per_viewer(samples, load, kind).unwrap_or(point.median.rss_kib);
            point
        })
        .collect()
}

/// Resident memory of each viewer after the first, in KiB: against a run with one viewer and the same packets, so that what
/// a session holds once for all its viewers is not counted as theirs.
fn per_viewer(samples: &[Sample], load: Load, kind: Kind) -> Option<f64> {
    let at_the_end = |viewers| {
        let runs =
            samples.iter().filter(|sample| sample.kind == kind && sample.load == Load { viewers, ..load });
        median(runs.map(|sample| sample.measured.rss_steps_kib[2] as f64).collect())
    };
    let grown = at_the_end(load.viewers) - at_the_end(1);
    (load.viewers > 1 && grown.is_finite()).then(|| grown / (load.viewers - 1) as f64)
}

fn point(samples: &[Sample], load: Load, kind: Kind) -> Point {
    let own: Vec<&Sample> =
        samples.iter().filter(|sample| sample.load == load && sample.kind == kind).collect();
    let of = |pick: fn(&Measured) -> f64| median(own.iter().map(|sample| pick(&sample.measured)).collect());
    let floor = |round: usize| {
        let floors: Vec<f64> = samples
            .iter()
            .filter(|sample| sample.round == round && sample.load == load && sample.kind == Kind::Floor)
            .map(|sample| sample.measured.cpu_us)
            .collect();
        floors.iter().sum::<f64>() / floors.len() as f64
    };
    let last = own.last().map(|sample| sample.measured.clone()).unwrap_or_default();
    let mut rounds: Vec<usize> = own.iter().map(|sample| sample.round).collect();
    rounds.dedup();
    Point {
        kind,
        load,
        rounds: rounds.len(),
        of_floor: median(own.iter().map(|sample| sample.measured.cpu_us / floor(sample.round)).collect()),
        median: Measured {
            cpu_us: of(|run| run.cpu_us),
            cpus: of(|run| run.cpus),
            delivered: of(|run| run.delivered),
            late: of(|run| run.late),
            p50_ms: of(|run| run.p50_ms),
            p99_ms: of(|run| run.p99_ms),
            rss_kib: of(|run| run.rss_kib),
            others: of(|run| run.others),
            ingest_drops: of(|run| run.ingest_drops as f64) as u64,
            allocations: Some(of(|run| run.allocations.unwrap_or(f64::NAN))).filter(|count| !count.is_nan()),
            // Not the median: one void run is one too many.
            viewer_drops: own.iter().map(|sample| sample.measured.viewer_drops).max().unwrap_or(0),
            ..last
        },
    }
}

/// Of an even number the mean of the middle two; NaN of none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.len().saturating_sub(1) / 2, values.len() / 2);
    match (values.get(low), values.get(high)) {
        (Some(low), Some(high)) => f64::midpoint(*low, *high),
        (None, _) | (_, None) => f64::NAN,
    }
}
