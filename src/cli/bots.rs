//! `playgate bots`: arguments, and the exit code.

use crate::bots::{self, BotsPlan};
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

/// Headless players: launch, watch, decode, count. Exits with 0 only when every bot got its frames.
#[derive(Debug, Clone, clap::Args)]
pub struct BotsArgs {
    /// Address of the gateway, as `playgate serve` prints it
    #[arg(long)]
    pub url: String,
    /// Game to launch
    #[arg(long)]
    pub game: String,
    /// Bots at once
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub sessions: u32,
    /// How long each bot counts frames: 500ms, 30s, 5m
    #[arg(long, default_value = "30s", value_parser = duration)]
    pub duration: Duration,
    /// A user's token (one session then); without it each bot signs in as a new guest
    #[arg(long)]
    pub token: Option<String>,
    /// Take any TLS certificate
    #[arg(long)]
    pub insecure: bool,
    /// Fewer decoded frames than this are a failure
    #[arg(long)]
    pub expect_frames: Option<u64>,
    /// Press a key once a second
    #[arg(long)]
    pub keys: bool,
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

/// Runs the bots, prints the summary to standard output.
pub async fn run(args: BotsArgs) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        args.token.is_none() || args.sessions == 1,
        "a user has one session at a time: --token goes with --sessions 1"
    );
    let plan = BotsPlan {
        url: args.url,
        game: args.game,
        sessions: args.sessions,
        duration: args.duration,
        token: args.token,
        insecure: args.insecure,
        expect_frames: args.expect_frames,
        keys: args.keys,
    };
    let report = bots::run(&plan).await?;
    let text = if args.json { format!("{:#}\n", report.json()) } else { report.table() };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A number with `ms`, `s` or `m`.
fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().map_err(|_| format!("`{text}` does not start with a number"))?;
    let milliseconds = match unit {
        "ms" => number,
        "s" => number.saturating_mul(1_000),
        "m" => number.saturating_mul(60_000),
        other => return Err(format!("unknown unit `{other}`: use ms, s or m")),
    };
    Ok(Duration::from_millis(milliseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["30", "s", "1h", "-1s", ""] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
