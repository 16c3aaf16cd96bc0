//! The goals this relay is held to, and whether the figures hold them.

use crate::load::Load;
use crate::servers::Kind;
use crate::stats::Results;

/// At 120 viewers, and at fewer, where a frame's own cost is shared by fewer packets.
const OF_FLOOR: f64 = 1.15;
const OF_FLOOR_FEW: f64 = 1.4;
const JANUS: f64 = 10.0;
const JANUS_TUNED: f64 = 6.5;
/// Of the baseline's CPU per packet, where viewers report.
const BASELINE: f64 = 0.9;
/// Of one shard's CPU per packet.
const TWO_SHARDS: f64 = 1.1;
/// How many watch where one shard and two are compared.
pub(crate) const STRIPED: usize = 120;
const DELAY_FACTOR: f64 = 1.4;
const DELAY_MS: f64 = 0.3;
/// 150 KB.
const RSS_KIB: f64 = 150_000.0 / 1024.0;
/// What is left is upkeep: reports of viewers, timers.
const ALLOCATIONS: f64 = 0.05;
const MANY: f64 = 1.15;
/// Part of the packets that must have come.
const DELIVERED: f64 = 0.999;

/// One goal at one load.
#[derive(Debug)]
pub(crate) struct Goal {
    pub(crate) held: bool,
    pub(crate) text: String,
}

/// Every goal that the figures can answer.
pub(crate) fn check(results: &Results) -> Vec<Goal> {
    let mut goals = Vec::new();
    let mut goal = |held: bool, text: String| goals.push(Goal { held, text });
    let void: u64 = results.points.iter().map(|point| point.median.viewer_drops).sum();
    if void > 0 {
        goal(false, format!("receivers dropped {void} packets of their own: those runs are void"));
    }
    for load in fanouts(results) {
        let (Some(relay), Some(floor)) = (results.point(Kind::Relay, load), results.point(Kind::Floor, load))
        else {
            continue;
        };
        let at = at(load);
        let (ours, least) = (&relay.median, &floor.median);
        // What viewers say has to be read, which the floor does not.
        if !load.feedback {
            let most = if load.viewers >= 120 { OF_FLOOR } else { OF_FLOOR_FEW };
            goal(
                relay.of_floor <= most,
                format!("CPU per packet {at}: {:.2} x the floor, goal {most}", relay.of_floor),
            );
        }
        for (kind, factor) in [(Kind::Janus, JANUS), (Kind::JanusTuned, JANUS_TUNED)] {
            if let Some(janus) = results.point(kind, load) {
                let ratio = janus.of_floor / relay.of_floor;
                let name = kind.name();
                goal(
                    ratio >= factor,
                    format!("{name}'s CPU per packet {at}: {ratio:.1} x ours, goal {factor}"),
                );
            }
        }
        if let Some(baseline) = results.point(Kind::Baseline, load) {
            let before = &baseline.median;
            let ratio = relay.of_floor / baseline.of_floor;
            goal(
                !load.feedback || ratio <= BASELINE,
                format!(
                    "beside the baseline {at}: CPU per packet {ratio:.2} x{}, p99 of the delay {:.2} x, memory per viewer {:.2} x",
                    if load.feedback { format!(", goal {BASELINE}") } else { String::new() },
                    ours.p99_ms / before.p99_ms,
                    ours.rss_kib / before.rss_kib
                ),
            );
        }
        if let Some(striped) = results.point(Kind::RelayStriped, load) {
            let ratio = striped.of_floor / relay.of_floor;
            goal(
                ratio <= TWO_SHARDS && striped.median.delivered >= DELIVERED,
                format!(
                    "one session over two shards {at}: CPU per packet {ratio:.2} x that of one, goal {TWO_SHARDS}; {:.2} % delivered",
                    striped.median.delivered * 100.0
                ),
            );
        }
        let limit = DELAY_FACTOR * least.p99_ms + DELAY_MS;
        goal(
            ours.p99_ms <= limit,
            format!(
                "p99 of the delay {at}: {:.2} ms, goal {limit:.2} ms ({DELAY_FACTOR} x the floor's {:.2} + {DELAY_MS})",
                ours.p99_ms, least.p99_ms
            ),
        );
        goal(
            ours.rss_kib < RSS_KIB,
            format!("memory per viewer {at}: {:.0} KiB, goal below {RSS_KIB:.0}", ours.rss_kib),
        );
        if let Some(count) = ours.allocations {
            goal(
                count <= ALLOCATIONS,
                format!("allocations per packet {at}: {count:.3}, goal {ALLOCATIONS}"),
            );
        }
        goal(
            ours.delivered >= DELIVERED,
            format!("delivered {at}: {:.2} %, goal {:.1}", ours.delivered * 100.0, DELIVERED * 100.0),
        );
    }
    if let (Some(few), Some(many)) = (results.point(Kind::Relay, FEW), results.point(Kind::Relay, MOST)) {
        let ratio = many.median.cpu_us / few.median.cpu_us;
        let floors = results.point(Kind::Floor, FEW).zip(results.point(Kind::Floor, MOST));
        let floor = floors.map_or(f64::NAN, |(few, many)| many.median.cpu_us / few.median.cpu_us);
        goal(
            ratio <= MANY,
            format!(
                "CPU per packet at {} viewers, two packets a frame: {ratio:.2} x that at {}, goal {MANY} (the floor's own: {floor:.2})",
                MOST.viewers, FEW.viewers
            ),
        );
        goal(
            many.median.delivered >= DELIVERED,
            format!("delivered at {} viewers: {:.2} %", MOST.viewers, many.median.delivered * 100.0),
        );
    }
    goals
}

fn at(load: Load) -> String {
    format!("at {} viewers{}", load.viewers, if load.feedback { " who report" } else { "" })
}

/// Two packets a frame.
pub(crate) const FEW: Load = Load { packets: 2, viewers: 30, feedback: false };
pub(crate) const MOST: Load = Load { packets: 2, viewers: 500, feedback: false };

/// The loads the goals are about: from 30 viewers on, where there is a fan-out to speak of.
fn fanouts(results: &Results) -> Vec<Load> {
    results.loads().into_iter().filter(|load| load.packets > 2 && load.viewers >= 30).collect()
}
