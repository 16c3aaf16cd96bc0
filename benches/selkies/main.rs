//! Playgate beside Selkies: the same X11 program, streamed by each in turns to the same browser.
//!
//! `cargo bench --bench selkies` measures all of it (half an hour on a quiet machine) and writes
//! `benches/results/selkies.*`; `-- --brief` takes a few minutes and writes nothing. Each turn starts a server, a browser
//! and, as root, an emulated line between them afresh. Selkies comes from PyPI, into the cache; what cannot be had is left
//! out and named.

#![expect(clippy::unwrap_used, reason = "the tests' helpers end the bench as their assertions end a test")]

mod case;
mod contestant;
mod cpu;
mod drift;
mod goals;
mod install;
mod judge;
mod program;
mod results;
mod roles;
mod steps;
#[path = "../../tests/support/mod.rs"]
#[expect(dead_code, reason = "the end-to-end tests use the rest")]
mod support;
mod table;

use case::{Condition, Pace};
use clap::{Parser, ValueEnum};
use contestant::{Kind, Stage, Tools};
use futures_util::FutureExt;
use program::scene::Painter;
use results::{Results, Sample};
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use support::line::{self, Line};

pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// One contestant's turn takes no longer: a server that hangs is a failed turn.
const TURN: Duration = Duration::from_secs(400);

/// Key to picture, evenness, CPU and bytes beside Selkies.
#[derive(Debug, Parser)]
struct Args {
    /// One round on a clear line, a lossy one and one of 5 Mbit/s: about five minutes.
    #[arg(long)]
    brief: bool,
    /// Rounds [default: 3; 1 when brief].
    #[arg(long)]
    rounds: Option<usize>,
    /// Who takes part [default: all].
    #[arg(long, value_delimiter = ',')]
    contestants: Vec<Kind>,
    /// Lines of so many Mbit/s [default: 2,3,5,8; 5 when brief].
    #[arg(long, value_delimiter = ',')]
    lines: Option<Vec<u32>>,
    /// Leave out the clear and the lossy line.
    #[arg(long)]
    only_lines: bool,
    /// Requests in which the program draws a picture, over 5 ms when more than one.
    #[arg(long, default_value_t = 1)]
    requests: u16,
    /// Keys pressed in each scene [default: 60; 40 when brief].
    #[arg(long)]
    presses: Option<usize>,
    /// Instead of all that: so many minutes of the moving scene on a line of 5 Mbit/s, and how the pictures' age changes.
    #[arg(long, value_name = "MINUTES")]
    drift: Option<u32>,
    /// Instead of all that: a line that falls from 8 to 1 Mbit/s and comes back, five times; key frames and freezes.
    #[arg(long, conflicts_with = "drift")]
    steps: bool,
    /// Where the runner with GStreamer's encoders is.
    #[arg(long)]
    gstreamer_runner: Option<PathBuf>,
    /// Fail when a goal is not held.
    #[arg(long)]
    assert: bool,
    /// Folder for table and JSON [default: benches/results for the whole of it, none for shorter forms].
    #[arg(long)]
    out: Option<PathBuf>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    if let Some(code) = roles::other(&arguments) {
        return code;
    }
    // Run as a test, by `cargo test --all-targets`, with a test's arguments.
    if !arguments.iter().any(|argument| argument == "--bench") {
        tell("measures under `cargo bench` only");
        return ExitCode::SUCCESS;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tell(&format!("selkies: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(measure(&Args::parse())) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            tell(&format!("selkies: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// False: a goal that was to be asserted is not held, or a turn failed.
async fn measure(args: &Args) -> Outcome<bool> {
    let began = Instant::now();
    let mut results = Results { facts: results::facts(), ..Results::default() };
    let (tools, kinds) = prepare(args, &mut results.missing);
    if let Some(minutes) = args.drift {
        return drift::measure(&kinds, &tools, minutes).await;
    }
    if args.steps {
        return steps::measure(&kinds, &tools).await;
    }
    let mut conditions = if args.only_lines { Vec::new() } else { vec![Condition::Clear, Condition::Lossy] };
    let narrow = args.lines.clone().unwrap_or_else(|| if args.brief { vec![5] } else { vec![2, 3, 5, 8] });
    conditions.extend(narrow.into_iter().map(Condition::Narrow));
    if !line::available() {
        results.missing.push("lines: only root makes them".to_owned());
        conditions.retain(|condition| *condition == Condition::Clear);
    }
    results.rounds = args.rounds.unwrap_or(if args.brief { 1 } else { 3 });
    let presses = args.presses.unwrap_or(if args.brief { 40 } else { 60 });
    let pace = Pace { presses, requests: args.requests };
    let mut painter = Painter::new();
    let mut whole = true;
    for round in 1..=results.rounds {
        for kind in &kinds {
            let outcome = turn(*kind, &tools, &conditions, pace, &mut painter, |condition, cases| {
                results.samples.push(Sample { round, kind: *kind, condition, cases });
            });
            // The tests' helpers panic; another contestant's turn does not suffer from that.
            let outcome = AssertUnwindSafe(tokio::time::timeout(TURN, outcome)).catch_unwind().await;
            let failure = match outcome {
                Ok(Ok(Ok(()))) => continue,
                Ok(Ok(Err(error))) => error.to_string(),
                Ok(Err(_)) => format!("its turn took more than {TURN:?}"),
                Err(_) => "a helper gave up (see above)".to_owned(),
            };
            whole = false;
            let failure = format!("{}, round {round}: {failure}", kind.name());
            tell(&failure);
            results.missing.push(failure);
        }
    }
    let goals = goals::check(&results);
    let table = table::render(&results, &goals)?;
    std::io::stdout().write_all(table.as_bytes())?;
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/results");
    let is_whole = !args.brief && !args.only_lines && args.lines.is_none() && args.contestants.is_empty();
    if let Some(folder) = args.out.clone().or_else(|| is_whole.then_some(committed)) {
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("selkies.txt"), &table)?;
        std::fs::write(folder.join("selkies.json"), serde_json::to_string(&results)? + "\n")?;
    }
    tell(&format!("took {:.0} s", began.elapsed().as_secs_f64()));
    let held = goals.iter().all(|goal| goal.held);
    Ok(!args.assert || (held && whole))
}

/// Who can take part.
fn prepare(args: &Args, missing: &mut Vec<String>) -> (Tools, Vec<Kind>) {
    let wanted =
        if args.contestants.is_empty() { Kind::value_variants() } else { args.contestants.as_slice() };
    let mut tools = Tools::default();
    let mut able = Vec::new();
    for kind in wanted {
        let outcome = match kind {
            Kind::Openh264 => Ok(()),
            Kind::X264enc => {
                let found = install::gstreamer_runner(args.gstreamer_runner.as_deref());
                found.map(|runner| tools.gstreamer = Some(runner))
            }
            Kind::SelkiesWebsocket | Kind::SelkiesWebrtc if tools.selkies.is_some() => Ok(()),
            Kind::SelkiesWebsocket | Kind::SelkiesWebrtc => {
                install::selkies().map(|program| tools.selkies = Some(program))
            }
        };
        match outcome {
            Ok(()) => able.push(*kind),
            Err(error) => {
                tell(&format!("{} is left out: {error}", kind.name()));
                missing.push(format!("{}: {error}", kind.name()));
            }
        }
    }
    (tools, able)
}

/// A contestant from its start to its end, under each condition.
async fn turn(
    kind: Kind,
    tools: &Tools,
    conditions: &[Condition],
    pace: Pace,
    painter: &mut Painter,
    mut measured: impl FnMut(Condition, case::Cases),
) -> Outcome<()> {
    let line = line::available().then(|| Line::to_new_namespace(1));
    let mut stage = Stage::start(kind, tools, line).await?;
    let mut outcome = Ok(());
    for condition in conditions {
        match case::measure(&mut stage, painter, *condition, pace).await {
            Ok(cases) => {
                tell(&format!("{}, {}: {}", kind.name(), condition.name(), brief(&cases)));
                measured(*condition, cases);
            }
            Err(error) => {
                outcome = Err(error);
                break;
            }
        }
    }
    stage.end().await;
    outcome
}

/// A line for people who wait.
fn brief(cases: &case::Cases) -> String {
    let case = |(name, figures): (&String, &case::Figures)| {
        let middle = results::percentile(figures.key_ms.clone(), 50.0);
        let key = middle.map(|ms| format!("{name} {ms:.1} ms"));
        let shown = figures.single.get("shown_per_s").map(|shown| format!("{name} {shown:.1} pictures/s"));
        [key, shown].into_iter().flatten().collect::<Vec<_>>().join(", ")
    };
    cases.iter().map(case).filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; ")
}

/// Says something to people, beside the table.
fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
