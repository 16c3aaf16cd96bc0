//! The roles of the binary: arguments in, one call out.

pub mod bots;
pub mod config;
pub mod embed;
pub mod image;
pub mod node;
pub mod runner;
pub mod serve;
mod store;
mod thumbnail;
pub mod token;

use crate::config::LogConfig;
use crate::runner::encoder;
use crate::telemetry::{self, LogOf};
use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use std::future::Future;
use std::io::Write;
use std::process::ExitCode;

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
    /// Show nodes, close them for sessions, check what games can reach
    Node(node::NodeArgs),
    /// Print the version
    Version,
    /// Play a game under the runner contract (started by the gateway)
    Runner(runner::RunnerArgs),
    /// Make a JPEG of a key frame (started by the gateway)
    #[command(hide = true)]
    Thumbnail,
    /// Headless players: launch, watch, decode, count
    Bots(bots::BotsArgs),
    /// Show what a site owner pastes to show a stream
    Embed(embed::EmbedArgs),
    /// Make images of games, and judge whether an image keeps the runner contract
    Image(image::ImageArgs),
    /// Show the configuration's defaults
    Config(config::ConfigArgs),
}

impl Cli {
    /// Runs the chosen role to its end.
    pub fn run(self) -> Result<ExitCode> {
        match self.role.unwrap_or(Role::Serve(self.serve)) {
            Role::Serve(args) => block_on(serve::run(args)),
            Role::Token(args) => block_on(token::run(args)),
            Role::Node(args) => block_on(node::run(args)),
            Role::Version => {
                say(&format!("playgate {}", env!("CARGO_PKG_VERSION")))?;
                Ok(ExitCode::SUCCESS)
            }
            Role::Runner(args) => runner::run(args, encoder::built_in),
            Role::Thumbnail => thumbnail::run(),
            Role::Bots(args) => block_on(with_logs(LogOf::Process, bots::run(args))),
            Role::Embed(args) => embed::run(args),
            Role::Image(args) => block_on(with_logs(LogOf::Process, image::run(args))),
            Role::Config(args) => config::run(args),
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

/// Roles without a configuration log by its defaults, or as `RUST_LOG` says.
async fn with_logs(of: LogOf, work: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    telemetry::init(&LogConfig::default(), of)?;
    work.await
}
