//! `playgate config print`: the annotated defaults.

use crate::config::print_defaults;
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use std::io::Write;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print every key with its default, unit and range, as a file for --config
    Print,
}

pub fn run(args: ConfigArgs) -> Result<ExitCode> {
    match args.action {
        Action::Print => {
            let mut out = std::io::stdout().lock();
            out.write_all(print_defaults().as_bytes())
                .and_then(|()| out.flush())
                .context("cannot write to standard output")?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
