//! One source to many viewers: this relay beside the least work that can be done, the `webrtc` crate, pion and Janus.
//!
//! `cargo bench --bench fanout` measures all of it (half an hour on a quiet machine) and writes `benches/results/fanout.*`;
//! `-- --quick` and `-- --brief` are shorter forms that write nothing. Servers run in turn, each run a process of its
//! own, the floor first and last; medians count. Everything stays in a network namespace of its own. Foreign servers are Debian's packages.

mod facts;
mod feedback;
mod floor;
mod goals;
mod isolation;
mod joiners;
mod load;
mod packages;
mod plot;
mod process;
mod protocol;
mod receivers;
mod run;
mod servers;
mod source;
mod stats;
mod table;
mod viewer;

use clap::Parser;
use load::{Load, Outcome};
use packages::Tools;
use servers::Kind;
use stats::{Results, Sample};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// Packets a frame, but for the comparison of 30 and 500 viewers.
const PACKETS: usize = 14;

/// CPU per packet, delay and memory of WebRTC relays.
#[derive(Debug, Parser)]
struct Args {
    /// One round at 1 and 30 viewers, and two packets a frame to 30 and 500: about four minutes.
    #[arg(long)]
    quick: bool,
    /// Three rounds of what the goals name: viewers that report, 120 viewers on one shard and on two, and two packets a frame
    /// to 30 and 500: about six minutes.
    #[arg(long, conflicts_with = "quick")]
    brief: bool,
    /// Rounds [default: 5; 3 when brief, 1 when quick].
    #[arg(long)]
    rounds: Option<usize>,
    /// Seconds measured in each run [default: 4; 2 when quick or brief].
    #[arg(long)]
    seconds: Option<f64>,
    /// Numbers of viewers at 14 packets a frame [default: 1,10,30,60,120].
    #[arg(long, value_delimiter = ',')]
    viewers: Vec<usize>,
    /// Servers beside the floor [default: all].
    #[arg(long, value_delimiter = ',')]
    servers: Vec<Kind>,
    /// Numbers of viewers that report as browsers do, at 14 packets a frame [default: 60,120, none when quick].
    #[arg(long, value_delimiter = ',')]
    feedback: Option<Vec<usize>>,
    /// Instead of all that: what 200 offers within a second do to a player's frames, beside the baseline (five rounds).
    #[arg(long)]
    joiners: bool,
    /// Leave out the comparison of 30 and 500 viewers at two packets a frame.
    #[arg(long)]
    no_many: bool,
    /// Fail when a goal of this relay is not held.
    #[arg(long)]
    assert: bool,
    /// Folder for table, JSON and plot [default: benches/results for the whole of it, none for the short forms].
    #[arg(long)]
    out: Option<PathBuf>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
    #[arg(long, hide = true)]
    serve: Option<Kind>,
    /// In a network namespace of our own already.
    #[arg(long, hide = true)]
    isolated: bool,
}

fn main() -> ExitCode {
    // Run as a test, by `cargo test --all-targets`, with a test's arguments.
    if !std::env::args().any(|arg| arg == "--bench" || arg == "--serve") {
        tell("measures under `cargo bench` only");
        return ExitCode::SUCCESS;
    }
    let args = Args::parse();
    let outcome = match args.serve {
        Some(kind) => servers::serve(kind).map(|()| true),
        None => measure(&args),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            tell(&format!("fanout: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// What is run: servers beside the floor at each load.
struct Plan {
    rounds: usize,
    seconds: f64,
    steps: Vec<(Load, Vec<Kind>)>,
}

impl Plan {
    fn new(args: &Args, able: &[Kind]) -> Self {
        let viewers = match (args.viewers.as_slice(), args.quick, args.brief) {
            ([], true, _) => vec![1, 30],
            ([], _, true) => vec![1, 120],
            ([], false, false) => vec![1, 10, 30, 60, 120],
            (given, ..) => given.to_vec(),
        };
        let speaking = match (&args.feedback, args.quick) {
            (Some(given), _) => given.clone(),
            (None, true) => Vec::new(),
            (None, false) => vec![60, 120],
        };
        let few = |kinds: &[Kind]| kinds.iter().copied().filter(|kind| able.contains(kind)).collect();
        let of = |viewers| match viewers {
            // One viewer when brief: only what this relay's memory is compared with.
            1 if args.brief => few(&[Kind::Relay]),
            goals::STRIPED => able.to_vec(),
            _ => able.iter().copied().filter(|kind| *kind != Kind::RelayStriped).collect(),
        };
        let load = |viewers, feedback| Load { packets: PACKETS, viewers, feedback };
        let mut steps: Vec<(Load, Vec<Kind>)> =
            viewers.into_iter().map(|viewers| (load(viewers, false), of(viewers))).collect();
        let pair = [Kind::Relay, Kind::Baseline];
        steps.extend(speaking.into_iter().map(|viewers| (load(viewers, true), few(&pair))));
        if !args.no_many && able.contains(&Kind::Relay) {
            steps.extend([goals::FEW, goals::MOST].map(|load| (load, vec![Kind::Relay])));
        }
        let default = match (args.quick, args.brief) {
            (true, _) => (1, 2.0),
            (_, true) => (3, 2.0),
            (false, false) => (5, 4.0),
        };
        Self { rounds: args.rounds.unwrap_or(default.0), seconds: args.seconds.unwrap_or(default.1), steps }
    }

    fn runs(&self) -> usize {
        self.rounds * self.steps.iter().map(|(_, kinds)| kinds.len() + 2).sum::<usize>()
    }

    /// A guess, in seconds: what is measured, the pauses, and the handshakes.
    fn guess(&self) -> f64 {
        let step = |(load, kinds): &(Load, Vec<Kind>)| {
            let handshakes = 0.02 * (load.viewers * kinds.len()) as f64;
            (kinds.len() + 2) as f64 * (self.seconds + 4.0) + handshakes
        };
        self.rounds as f64 * self.steps.iter().map(step).sum::<f64>()
    }
}

/// False: a goal that was to be asserted is not held.
fn measure(args: &Args) -> Outcome<bool> {
    let began = Instant::now();
    let wanted: Vec<Kind> = match args.servers.as_slice() {
        [] if args.joiners => vec![Kind::Relay, Kind::Baseline],
        [] if args.brief => vec![Kind::Relay, Kind::RelayStriped, Kind::Baseline, Kind::JanusTuned],
        [] => Kind::ALL.into_iter().filter(|kind| *kind != Kind::Floor).collect(),
        given => given.iter().copied().filter(|kind| *kind != Kind::Floor).collect(),
    };
    // First what may need the network.
    let (tools, able) = packages::prepare(&wanted)?;
    if !args.isolated {
        isolation::enter()?;
    }
    if args.joiners {
        let held = joiners::measure(&able, &tools, args.rounds.unwrap_or(5))?;
        return Ok(held || !args.assert);
    }
    let facts = facts::Facts::gather(packages::versions(&able), args.isolated);
    let plan = Plan::new(args, &able);
    tell(&format!("{} runs, about {:.0} s", plan.runs(), plan.guess()));
    let (samples, failures) = rounds(&plan, &tools);
    let points = stats::points(&samples);
    let (rounds, seconds) = (plan.rounds, plan.seconds);
    let took_s = began.elapsed().as_secs_f64();
    let results = Results { facts, rounds, seconds, took_s, points, failures, samples };
    let goals = goals::check(&results);
    let table = table::render(&results, &goals)?;
    std::io::stdout().write_all(table.as_bytes())?;
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/results");
    let is_whole = !args.quick
        && !args.brief
        && args.viewers.is_empty()
        && args.feedback.is_none()
        && args.servers.is_empty();
    if let Some(folder) = args.out.clone().or_else(|| is_whole.then_some(committed)) {
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("fanout.txt"), &table)?;
        std::fs::write(folder.join("fanout.json"), serde_json::to_string_pretty(&results)? + "\n")?;
        std::fs::write(folder.join("fanout.svg"), plot::render(&results)?)?;
    }
    tell(&format!("took {took_s:.0} s"));
    let broken = goals.iter().filter(|goal| !goal.held);
    let mut held = true;
    for goal in broken.filter(|_| args.assert) {
        held = false;
        tell(&format!("goal not held: {}", goal.text));
    }
    if !held && results.is_busy() {
        tell("others kept the machine busy: measure again when it is quiet");
    }
    Ok(held && (!args.assert || results.failures.is_empty()))
}

/// All rounds: at each load the floor, each server, the floor again.
fn rounds(plan: &Plan, tools: &Tools) -> (Vec<Sample>, Vec<String>) {
    let (mut samples, mut failures) = (Vec::new(), Vec::new());
    for round in 1..=plan.rounds {
        for (load, kinds) in &plan.steps {
            let order = [&[Kind::Floor], kinds.as_slice(), &[Kind::Floor]].concat();
            for kind in order {
                let speak = if load.feedback { " who report" } else { "" };
                let at = format!("{}, {} viewers{speak}, round {round}", kind.name(), load.viewers);
                match run::run(kind, *load, plan.seconds, tools) {
                    Ok(measured) => {
                        tell(&format!(
                            "{at}: {:.2} us, {:.1} % delivered, p99 {:.2} ms",
                            measured.cpu_us,
                            measured.delivered * 100.0,
                            measured.p99_ms
                        ));
                        samples.push(Sample { round, kind, load: *load, measured });
                    }
                    Err(error) => {
                        tell(&format!("{at}: {error}"));
                        failures.push(format!("{at}: {error}"));
                    }
                }
            }
        }
    }
    (samples, failures)
}

/// Says something to people, beside the table.
fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
