//! Whether a crowd at the door hurts who is inside: one player at play, and 200 prepared offers within a second. The server
//! has one core, everybody else the other.
//!
//! Each round takes a server of its own, measures the player's frames alone and then with the crowd coming in. A source
//! frame has four packets and every thirtieth is a key frame, so that joiners have something to start from.

use crate::load::{GAP, Outcome, TICKS, WARM_UP};
use crate::packages::Tools;
use crate::receivers::Receivers;
use crate::run::ages;
use crate::servers::{Kind, Server};
use crate::source::Source;
use crate::stats::median;
use crate::viewer::Viewer;
use rustix::thread::{CpuSet, sched_setaffinity};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Offers within a second.
const JOINERS: usize = 200;
const PACKETS: usize = 4;
const KEY_FRAME_EVERY: u32 = 30;
/// Frames of each half of a round.
const FRAMES: u32 = 240;
/// Joiners are all in within this long after the last offer.
const PATIENCE: Duration = Duration::from_secs(20);
/// The server's core, and that of source and viewers.
const CORES: [usize; 2] = [0, 1];
/// Of the player's p99 without joiners.
const MOST: f64 = 1.3;
/// Milliseconds of thread CPU time that one turn of a shard may give to joiners.
const TURN_MS: f64 = 1.0;
/// The relay's metric of those times: a histogram in seconds.
const METRIC: &str = "relay_joiners_cpu_seconds_bucket{";

/// What one round showed, in milliseconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Round {
    alone: Vec<f64>,
    crowded: Vec<f64>,
    /// From the first offer until the last joiner was connected.
    all_in_ms: f64,
    joined: usize,
    /// Least bound of the metric's buckets below which all turns of this round were; absent where there is no such metric.
    turn_ms: Option<f64>,
}

/// False: a goal is not held.
pub(crate) fn measure(kinds: &[Kind], tools: &Tools, rounds: usize) -> Outcome<bool> {
    let mut own = CpuSet::new();
    own.set(CORES[1]);
    // Threads that are started later stay there, too.
    sched_setaffinity(None, &own)?;
    let mut held = true;
    for kind in kinds {
        let mut all = Vec::new();
        for number in 1..=rounds {
            let round = round(*kind, tools)?;
            crate::tell(&format!(
                "{}, round {number}: player's p99 {:.2} ms alone, {:.2} ms with {} joiners, all in after {:.0} ms{}",
                kind.name(),
                percentile(&round.alone, 0.99),
                percentile(&round.crowded, 0.99),
                round.joined,
                round.all_in_ms,
                round.turn_ms.map(|ms| format!(", turns for joiners up to {ms:.2} ms")).unwrap_or_default()
            ));
            all.push(round);
        }
        held &= judge(*kind, &all);
    }
    Ok(held)
}

fn judge(kind: Kind, rounds: &[Round]) -> bool {
    let pooled = |pick: fn(&Round) -> &Vec<f64>| rounds.iter().flat_map(pick).copied().collect::<Vec<_>>();
    let (alone, crowded) = (pooled(|round| &round.alone), pooled(|round| &round.crowded));
    let of = |part| [percentile(&alone, part), percentile(&crowded, part)];
    let [without, with] = of(0.99);
    let ratio = with / without;
    let say = |held: bool, text: &str| {
        crate::tell(&format!("  {:<8} {}: {text}", if held { "held" } else { "NOT HELD" }, kind.name()));
        // The baseline shows what was before.
        held || kind != Kind::Relay
    };
    let [middle, middle_with] = of(0.5);
    let mut held = say(
        ratio <= MOST,
        &format!(
            "the player's frame delay with {JOINERS} joiners in a second: p99 {ratio:.2} x of without ({with:.2} beside \
             {without:.2} ms), p50 {middle_with:.2} beside {middle:.2} ms, goal {MOST}"
        ),
    );
    let joined = rounds.iter().map(|round| round.joined).min().unwrap_or(0);
    held &= say(joined == JOINERS, &format!("{joined} of {JOINERS} joiners got in, in the worst round"));
    let all_in = median(rounds.iter().map(|round| round.all_in_ms).collect());
    crate::tell(&format!("           {}: all in after {all_in:.0} ms", kind.name()));
    if let Some(turn) = rounds.iter().filter_map(|round| round.turn_ms).max_by(f64::total_cmp) {
        held &=
            say(turn <= TURN_MS, &format!("a shard's turn for joiners up to {turn:.2} ms, goal {TURN_MS}"));
    }
    held
}

fn round(kind: Kind, tools: &Tools) -> Outcome<Round> {
    let mut server = Server::start_on(kind, tools, CORES[0])?;
    let receivers = Receivers::start()?;
    // The player tells the server what browsers tell, so that its rate is known.
    server.connect(0..1, true, &receivers)?;
    let mut source = Source::new(&server.ingests, PACKETS)?.with_key_frames(KEY_FRAME_EVERY);
    source.send(0, WARM_UP)?;
    receivers.quiet(Duration::from_secs(2))?;

    let first = WARM_UP + GAP;
    receivers.begin((WARM_UP - 1) * TICKS, first, FRAMES, true)?;
    let starts = source.send(first, FRAMES)?;
    std::thread::sleep(Duration::from_millis(200));
    let alone = ages(&starts, &receivers.counts()?);

    let mut viewers = HashMap::new();
    let mut offers = Vec::new();
    for number in 0..JOINERS {
        let (viewer, offer) = Viewer::offering(true)?;
        viewers.insert(number, viewer);
        offers.push(offer);
    }
    let before = turns(&mut server)?;
    let (newest, first) = (first + FRAMES - 1, first + FRAMES + GAP);
    receivers.begin(newest * TICKS, first, FRAMES, true)?;
    let began = Instant::now();
    let (starts, joined) = std::thread::scope(|scope| {
        let door = scope
            .spawn(|| admit(&mut server, offers, viewers, &receivers).map_err(|error| error.to_string()));
        let starts = source.send(first, FRAMES);
        (starts, door.join().unwrap_or_else(|_| Err("a thread ended".to_owned())))
    });
    let (starts, all_in) = (starts?, joined?);
    std::thread::sleep(Duration::from_millis(200));
    let crowded = ages(&starts, &receivers.counts()?);
    let joined = receivers.now_connected().saturating_sub(1);
    let all_in_ms = all_in.duration_since(began).as_secs_f64() * 1000.0;
    let turn_ms = match (before, turns(&mut server)?) {
        (Some(before), Some(after)) => longest(&before, &after),
        (_, _) => None,
    };
    Ok(Round { alone, crowded, all_in_ms, joined, turn_ms })
}

/// Posts the offers over a second, hands each answer to its viewer and waits until all are in, for when that was.
fn admit(
    server: &mut Server,
    offers: Vec<String>,
    mut viewers: HashMap<usize, Viewer>,
    receivers: &Receivers,
) -> Outcome<Instant> {
    let count = offers.len();
    let began = Instant::now();
    let mut take = |number: usize, answer: String| -> Outcome<()> {
        let mut viewer = viewers.remove(&number).ok_or("an answer to nobody's offer")?;
        viewer.answered(answer, true)?;
        receivers.add(viewer)
    };
    let mut at = 0;
    let mut given = 0;
    for (number, offer) in offers.into_iter().enumerate() {
        let due = began + Duration::from_secs(1) * u32::try_from(number)? / u32::try_from(count)?;
        while let Some(reply) = server.answer_until(due)? {
            take(reply.0.unwrap_or(at), reply.1)?;
            at += 1;
            given += 1;
        }
        server.post(number, offer)?;
    }
    while given < count {
        let Some((number, answer)) = server.answer_until(began + PATIENCE)? else {
            return Err(format!("only {given} of {count} offers were answered").into());
        };
        take(number.unwrap_or(at), answer)?;
        at += 1;
        given += 1;
    }
    while receivers.now_connected() <= count && began.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(Instant::now())
}

/// How many turns were within each bound of the metric, in order.
type Turns = Vec<(f64, u64)>;

fn turns(server: &mut Server) -> Outcome<Option<Turns>> {
    let Some(text) = server.metrics()? else { return Ok(None) };
    let mut turns: HashMap<String, u64> = HashMap::new();
    for line in text.lines() {
        // With whatever stands before all names of a registry.
        let Some((_, rest)) = line.split_once(METRIC) else { continue };
        let Some(bound) = rest.split("le=\"").nth(1).and_then(|rest| rest.split('"').next()) else {
            continue;
        };
        let Some(count) = line.rsplit(' ').next().and_then(|count| count.parse::<u64>().ok()) else {
            continue;
        };
        *turns.entry(bound.to_owned()).or_default() += count;
    }
    let number = |bound: &str| if bound == "+Inf" { Some(f64::INFINITY) } else { bound.parse().ok() };
    let mut turns: Turns =
        turns.into_iter().filter_map(|(bound, count)| Some((number(&bound)?, count))).collect();
    turns.sort_by(|one, other| one.0.total_cmp(&other.0));
    Ok((!turns.is_empty()).then_some(turns))
}

/// The bound that held all turns between two looks, in milliseconds.
fn longest(before: &Turns, after: &Turns) -> Option<f64> {
    let new: Vec<(f64, u64)> = after
        .iter()
        .map(|(bound, count)| {
            let old = before.iter().find(|(at, _)| at == bound).map_or(0, |(_, count)| *count);
            (*bound, count - old)
        })
        .collect();
    let all = new.last()?.1;
    new.iter().find(|(_, count)| *count == all).map(|(bound, _)| bound * 1000.0)
}

fn percentile(values: &[f64], part: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let rank = (values.len() as f64 * part).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}
