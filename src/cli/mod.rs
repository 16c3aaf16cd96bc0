//! The roles of the binary: arguments in, one call out.

pub mod config;
pub mod serve;
pub mod token;

use crate::config::LogConfig;
use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use std::future::Future;
use std::io::Write;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// Launches games and streams them to browsers over WebRTC.
#[derive(Debug, Parser)]
#[command(name = "playgate", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    serve: serve::ServeArgs,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Run the gateway (also without a subcommand)
    Serve(serve::ServeArgs),
    /// Mint, list and revoke tokens
    Token(token::TokenArgs),
    /// Print the version
    Version,
    // MERGE: Runner(runner::RunnerArgs), Bots(bots::BotsArgs), Config(config::ConfigArgs)
}

impl Cli {
    /// Runs the chosen role to its end.
    pub fn run(self) -> Result<ExitCode> {
        match self.role.unwrap_or(Role::Serve(self.serve)) {
            Role::Serve(args) => block_on(serve::run(args)),
            Role::Token(args) => block_on(token::run(args)),
            Role::Version => {
                say(&format!("playgate {}", env!("CARGO_PKG_VERSION")))?;
                Ok(ExitCode::SUCCESS)
            } // MERGE: Role::Runner(args) => ..., Role::Bots(args) => block_on(bots::run(args)), Role::Config(args) => ...
        }
    }
}

fn block_on(work: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    tokio::runtime::Runtime::new().context("cannot start the runtime")?.block_on(work)
}

/// A line on standard output: what was asked for. Everything else goes to standard error.
fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).context("cannot write to standard output")
}

/// Logs on standard error. `RUST_LOG` wins over the configuration.
fn init_logs(config: &LogConfig) -> Result<()> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(filter) if !filter.is_empty() => filter,
        Ok(_) | Err(_) => config.filter.clone(),
    };
    let filter = EnvFilter::try_new(&filter).with_context(|| format!("log.filter `{filter}`"))?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let set = if config.json { logs.json().try_init() } else { logs.try_init() };
    // Somebody set up logging before us: a test.
    drop(set);
    Ok(())
}
