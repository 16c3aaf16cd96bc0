//! What Playgate is held to, beside the better mode of Selkies in the same run.

use crate::case::Condition;
use crate::contestant::Kind;
use crate::results::Results;

/// One goal.
#[derive(Debug)]
pub(crate) struct Goal {
    pub(crate) held: bool,
    pub(crate) text: String,
}

/// Every goal that the figures can answer.
pub(crate) fn check(results: &Results) -> Vec<Goal> {
    let mut goals = Goals { results, goals: Vec::new() };
    for kind in results.kinds().into_iter().filter(|kind| kind.is_ours()) {
        for condition in results.conditions() {
            match condition {
                Condition::Clear => goals.clear(kind),
                Condition::Lossy => goals.keys(kind, condition, "moving", [0.9, 1.0]),
                Condition::Narrow(mbps) => goals.narrow(kind, mbps),
            }
        }
    }
    goals.goals
}

struct Goals<'a> {
    results: &'a Results,
    goals: Vec<Goal>,
}

impl Goals<'_> {
    fn clear(&mut self, kind: Kind) {
        let condition = Condition::Clear;
        let results = self.results;
        let (keys, cpu) = if kind == Kind::X264enc { (0.8, 0.9) } else { (1.0, 1.3) };
        self.keys(kind, condition, "moving", [keys, keys]);
        self.least(kind, condition, "moving", "shown_share", 0.99);
        self.most(kind, condition, "moving", "evenness_ms", 1.5);
        let of = |kind| results.single(kind, condition, "moving", "server_percent");
        self.beside(kind, "server's CPU, moving", of(kind), results.better(of), cpu);
        let of = |kind| results.key(kind, condition, "still", 50.0);
        self.beside(kind, "key to picture, still, median", of(kind), results.better(of), 0.5);
        self.least(kind, condition, "still", "psnr_db", 46.0);
        // As measured for 2.6 % and 3 kbit/s.
        self.most(kind, condition, "idle", "server_percent", 4.0);
        self.most(kind, condition, "idle", "kbps", 10.0);
    }

    fn narrow(&mut self, kind: Kind, mbps: u32) {
        let condition = Condition::Narrow(mbps);
        self.least(kind, condition, "moving", "kbps", f64::from(mbps) * 800.0);
        self.least(kind, condition, "moving", "shown_per_s", if mbps <= 2 { 30.0 } else { 45.0 });
        self.keys(kind, condition, "moving", [1.0, 1.0]);
    }

    /// Median and 99th percentile beside the better mode's.
    fn keys(&mut self, kind: Kind, condition: Condition, case: &str, most: [f64; 2]) {
        let results = self.results;
        for (percent, most) in [50.0, 99.0].into_iter().zip(most) {
            let of = |kind| results.key(kind, condition, case, percent);
            let what = format!("key to picture, {case}, p{percent}, {}", condition.name());
            self.beside(kind, &what, of(kind), results.better(of), most);
        }
    }

    fn beside(&mut self, kind: Kind, what: &str, ours: Option<f64>, theirs: Option<f64>, most: f64) {
        let (Some(ours), Some(theirs)) = (ours, theirs) else { return };
        let ratio = ours / theirs;
        let text =
            format!("{}: {what}: {ratio:.2} x ({ours:.1} beside {theirs:.1}), goal {most}", kind.name());
        self.goals.push(Goal { held: ratio <= most, text });
    }

    fn least(&mut self, kind: Kind, condition: Condition, case: &str, name: &str, least: f64) {
        let Some(value) = self.results.single(kind, condition, case, name) else { return };
        let text = format!(
            "{}: {name}, {case}, {}: {value:.2}, goal {least} or more",
            kind.name(),
            condition.name()
        );
        self.goals.push(Goal { held: value >= least, text });
    }

    fn most(&mut self, kind: Kind, condition: Condition, case: &str, name: &str, most: f64) {
        let Some(value) = self.results.single(kind, condition, case, name) else { return };
        let text =
            format!("{}: {name}, {case}, {}: {value:.2}, goal {most} or less", kind.name(), condition.name());
        self.goals.push(Goal { held: value <= most, text });
    }
}
