//! `playgate runner`: arguments in, one call out. Everything else comes from the environment the gateway gives.

use super::{block_on, with_logs};
use crate::runner::encoder::FindEncoder;
use crate::runner::{self, HostedGame, RunnerError, Settings};
use crate::telemetry::LogOf;
use playgate_signaling::runner::env;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::process::ExitCode;

/// Runs a built-in game, or any program that opens a window, under the runner contract. Started by the gateway; the
/// environment says where the gateway is.
///
/// Exit codes: 0 ended as asked, 2 wrong arguments or environment, 3 the save cannot be used, 4 the save could not be
/// written, 5 the game or an encoder failed, 6 the gateway is gone, 7 no media can be sent. A program that ends by itself
/// gives its own code, 128 and the number when a signal ended it.
#[derive(Debug, Clone, clap::Args)]
pub struct RunnerArgs {
    /// The built-in game to run.
    #[arg(long, value_name = "SLUG", required_unless_present = "command")]
    pub game: Option<String>,
    /// Start of the game's randomness; by default a random one.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Draw the measuring marker into the picture.
    #[arg(long)]
    pub marker: bool,
    /// The program to run on a screen of its own, and its arguments.
    #[arg(last = true, value_name = "COMMAND", conflicts_with_all = ["game", "seed", "marker"])]
    pub command: Vec<OsString>,
}

/// A gateway reads what this process writes: it has given it a session, and standard error is its pipe.
fn is_child() -> bool {
    std::env::var_os(env::SESSION_ID).is_some() && !std::io::stderr().is_terminal()
}

/// The whole of a runner's process, with the encoder that `find` has for its game: logs, and a runtime until the gateway, a signal or the game ends
/// it; what went wrong is said on standard error.
pub fn run(args: RunnerArgs, find: FindEncoder) -> anyhow::Result<ExitCode> {
    let of = if is_child() { LogOf::Child } else { LogOf::Process };
    block_on(with_logs(of, judged(args, find)))
}

async fn judged(args: RunnerArgs, find: FindEncoder) -> anyhow::Result<ExitCode> {
    match host(args, find).await {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            let source =
                std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
            tracing::error!("{error}{source}");
            Ok(ExitCode::from(error.exit_code()))
        }
    }
}

async fn host(args: RunnerArgs, find: FindEncoder) -> Result<(), RunnerError> {
    let settings = Settings::from_env()?;
    let encoders = find(settings.encoder.as_deref())?;
    let loss = settings.on_gateway_loss;
    let stop = async move {
        match runner::stop_cause(loss).await {
            Ok(cause) => cause,
            // Without signal handlers the default action ends the process anyway.
            Err(error) => {
                tracing::warn!(%error, "cannot wait for signals");
                std::future::pending().await
            }
        }
    };
    let Some(slug) = &args.game else {
        return runner::run_program_with(settings, args.command, encoders, stop).await;
    };
    let mut random = [0; 8];
    let seed = match args.seed {
        Some(seed) => seed,
        None => {
            aws_lc_rs::rand::fill(&mut random).map_err(|_| std::io::Error::other("no random numbers"))?;
            u64::from_be_bytes(random)
        }
    };
    let game = HostedGame::built_in(slug, seed)?;
    runner::run_with(settings, game, args.marker, encoders, stop).await
}
