//! The `playgate` binary.

use clap::Parser;
use playgate::cli::Cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("playgate: {error:#}");
            ExitCode::FAILURE
        }
    }
}
