//! `playgate bots`: arguments, files, and the exit code.

use crate::bots::BotsPlan;
use crate::bots::card::Mode;
use crate::bots::expect::Expectation;
use crate::bots::input_plan::{InputPlan, PlanError, duration};
use crate::bots::live;
use crate::bots::report::summary::METRICS;
use crate::bots::report::{Ending, Report, html};
use crate::bots::run::Run;
use crate::bots::secret::Secret;
use anyhow::Context;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// A run whose bots could not keep up with their own sockets.
const VOID: u8 = 3;
/// Interrupted twice.
const INTERRUPTED: i32 = 130;
/// `--json` and `--report` without a file name, or `-`.
const STDOUT: &str = "-";

/// Headless players: launch, invite, watch, play, measure.
///
/// Exits with 0 when every bot got in and every expectation held, 1 when not, 2 for wrong arguments, and 3 when the kernel
/// dropped packets at the bots' own sockets: such a run is void.
#[derive(Debug, Clone, clap::Args)]
#[command(after_long_help = figures())]
pub struct BotsArgs {
    /// Address of the gateway, as `playgate serve` prints it
    #[arg(long)]
    pub url: String,
    /// Game to launch
    #[arg(long, required_unless_present = "embed")]
    pub game: Option<String>,
    /// Visit what this embed token is for instead: every one of --viewers exchanges it for a grant of its own
    #[arg(long, value_name = "TOKEN", conflicts_with_all = ["game", "sessions", "players", "token"])]
    pub embed: Option<Secret>,
    /// Sessions at once, each launched by a bot of its own
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub sessions: u32,
    /// Bots invited to each session, besides; with --embed, all of them
    #[arg(long, value_name = "M", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub viewers: u32,
    /// How many of these are invited to play; the others watch
    #[arg(long, value_name = "P", default_value_t = 0)]
    pub players: u32,
    /// Bots start evenly over this time
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    pub ramp: Duration,
    /// How long each bot watches after its first frame: 500ms, 30s, 5m
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub duration: Duration,
    /// Where what is random begins
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub seed: u64,
    /// What those who play do, like `key:right every 1s; random every 500ms`, or a file with that: @FILE
    #[arg(long, value_name = "PLAN", default_value = "", value_parser = input)]
    pub input: Input,
    /// A user's token (one session then); without it each session is a new guest's
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<String>,
    /// full: decode everything; light: judge by headers, and open one packet in 64
    #[arg(long, value_enum, default_value_t = ModeArg::Full)]
    pub mode: ModeArg,
    /// Every Kth bot is full, whatever the mode
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub full_every: u32,
    /// A threshold, like `first-frame-p95<=800ms`; may be given again. The names are at the end of --help
    #[arg(long, value_name = "NAME<=VALUE")]
    pub expect: Vec<Expectation>,
    /// Write JSON, to standard output when no file is named
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = STDOUT)]
    pub json: Option<PathBuf>,
    /// Write a page with plots
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
    /// Take any TLS certificate
    #[arg(long)]
    pub insecure: bool,
}

/// A plan, and as it was written.
#[derive(Debug, Clone)]
pub struct Input {
    text: String,
    plan: InputPlan,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ModeArg {
    Full,
    Light,
}

/// Runs the bots; the summary goes to standard output, unless the JSON does.
pub async fn run(args: BotsArgs) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        args.token.is_none() || args.sessions == 1,
        "a user has one session at a time: --token goes with --sessions 1"
    );
    anyhow::ensure!(args.embed.is_none() || args.viewers > 0, "--embed wants --viewers: how many visit it");
    anyhow::ensure!(args.players <= args.viewers, "--players is a part of --viewers");
    let bots = u64::from(args.sessions) * (u64::from(args.viewers) + 1);
    anyhow::ensure!(bots <= 20_000, "{bots} bots are too many for one process");
    let run = Run::new(plan(&args))?;
    let interrupts = tokio::spawn(interrupts(Arc::clone(&run)));
    tokio::select! {
        () = run.play() => {}
        () = live::show(Arc::clone(&run)) => {}
    }
    interrupts.abort();
    let report = Report::of(&run);
    let json_to = args.json.as_deref();
    if json_to != Some(Path::new(STDOUT)) {
        std::io::stdout().write_all(report.text().as_bytes())?;
    }
    if let Some(path) = json_to {
        write(path, &format!("{:#}\n", report.json()))?;
    }
    if let Some(path) = &args.report {
        write(path, &html::page(&report))?;
    }
    Ok(match report.ending() {
        Ending::Passed => ExitCode::SUCCESS,
        Ending::Failed => ExitCode::FAILURE,
        Ending::Void => {
            eprintln!("playgate: {}", report.ending_line());
            ExitCode::from(VOID)
        }
    })
}

fn input(text: &str) -> Result<Input, String> {
    let text = match text.strip_prefix('@') {
        Some(path) => {
            std::fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"))?
        }
        None => text.to_owned(),
    };
    let plan = text.parse().map_err(|error: PlanError| error.to_string())?;
    Ok(Input { text, plan })
}

fn plan(args: &BotsArgs) -> BotsPlan {
    BotsPlan {
        url: args.url.clone(),
        game: args.game.clone().unwrap_or_default(),
        embed: args.embed.clone(),
        sessions: args.sessions,
        viewers: args.viewers,
        players: args.players,
        ramp: args.ramp,
        duration: args.duration,
        seed: args.seed,
        input: args.input.plan.clone(),
        input_text: args.input.text.clone(),
        token: args.token.clone(),
        mode: match args.mode {
            ModeArg::Full => Mode::Full,
            ModeArg::Light => Mode::Light,
        },
        full_every: args.full_every,
        expect: args.expect.clone(),
        insecure: args.insecure,
    }
}

/// The first interrupt ends the run in order, with its report; the second at once.
async fn interrupts(run: Arc<Run>) {
    if tokio::signal::ctrl_c().await.is_ok() {
        run.stop();
    }
    if tokio::signal::ctrl_c().await.is_ok() {
        std::process::exit(INTERRUPTED);
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    if path == Path::new(STDOUT) {
        return Ok(std::io::stdout().write_all(text.as_bytes())?);
    }
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn figures() -> String {
    let mut text =
        "Figures for --expect (times in ms, s or m; shares in %; rates in kbps or Mbps):\n".to_owned();
    for metric in METRICS {
        let _ = writeln!(text, "  {:<26} {}", metric.name, metric.means);
    }
    text
}
