//! `playgate-runner-gstreamer`: as `playgate runner`, with the encoders of GStreamer besides the built-in one.

use clap::{Parser, Subcommand};
use playgate::cli::runner::{self, RunnerArgs};
use std::process::ExitCode;

/// Playgate's runner with the encoders of GStreamer.
#[derive(Debug, Parser)]
#[command(name = "playgate-runner-gstreamer", version)]
struct Cli {
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Play a game under the runner contract (started by the gateway)
    Runner(RunnerArgs),
}

fn main() -> ExitCode {
    let Role::Runner(args) = Cli::parse().role;
    match runner::run(args, playgate_runner_gstreamer::find) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("playgate-runner-gstreamer: {error:#}");
            ExitCode::FAILURE
        }
    }
}
