//! What else this program is: the gateway of a contestant, what that gateway takes for its runner, and the program.

use crate::{Outcome, program};
use clap::Parser;
use playgate::cli::Cli;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// What plays in the place of a built-in game. Left in a gateway's `HOME`, which its runners inherit.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Game {
    pub(crate) runner: PathBuf,
    /// For a runner that has several.
    pub(crate) encoder: Option<String>,
    /// This program.
    pub(crate) program: PathBuf,
    /// The bench's socket.
    pub(crate) control: PathBuf,
}

const FILE: &str = "game.json";
/// By which a runner with several encoders is told which one.
const ENCODER: &str = "PLAYGATE_ENCODER";

impl Game {
    pub(crate) fn leave_at(&self, home: &Path) -> Outcome<()> {
        Ok(std::fs::write(home.join(FILE), serde_json::to_vec(self)?)?)
    }

    fn found() -> Outcome<Self> {
        let home = PathBuf::from(std::env::var_os("HOME").ok_or("no HOME")?);
        Ok(serde_json::from_slice(&std::fs::read(home.join(FILE))?)?)
    }
}

/// Plays another role if the arguments say so.
pub(crate) fn other(arguments: &[OsString]) -> Option<ExitCode> {
    let failed = |error: Box<dyn std::error::Error>| {
        crate::tell(&format!("selkies: {error}"));
        ExitCode::FAILURE
    };
    match arguments.get(1)?.to_str()? {
        "program" => {
            let control = arguments.get(2).map(PathBuf::from).unwrap_or_default();
            Some(program::run(&control).map_or_else(failed, |()| ExitCode::SUCCESS))
        }
        // Returns only when it cannot become one.
        "runner" => Some(failed(become_runner())),
        "serve" | "thumbnail" => Some(Cli::parse().run().unwrap_or_else(|error| failed(error.into()))),
        _ => None,
    }
}

fn become_runner() -> Box<dyn std::error::Error> {
    let game = match Game::found() {
        Ok(game) => game,
        Err(error) => return error,
    };
    let mut command = Command::new(&game.runner);
    if let Some(encoder) = &game.encoder {
        command.env(ENCODER, encoder);
    }
    command.args(["runner", "--"]).arg(&game.program).arg("program").arg(&game.control);
    command.exec().into()
}
