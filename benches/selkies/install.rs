//! Selkies from PyPI, in a Python environment of its own in the cache, by version.

use crate::Outcome;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(crate) const VERSION: &str = "2.1.0";

/// The `selkies` to start; the error says what is missing.
pub(crate) fn selkies() -> Outcome<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache =
        cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"))).ok_or("no HOME")?;
    let folder = cache.join("playgate-ci/tools").join(format!("selkies-{VERSION}"));
    let program = folder.join("bin/selkies");
    // Written last.
    let whole = folder.join("whole");
    if !whole.is_file() {
        crate::tell(&format!("installing selkies {VERSION} in {}", folder.display()));
        let _ = std::fs::remove_dir_all(&folder);
        if let Some(parent) = folder.parent() {
            std::fs::create_dir_all(parent)?;
        }
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        let package = format!("selkies=={VERSION}");
        run(Command::new(folder.join("bin/pip"))
            .args(["install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"])
            .arg(package))?;
        std::fs::write(&whole, "")?;
    }
    Ok(program)
}

/// The second runner, beside the `playgate` that this bench was built with.
pub(crate) fn gstreamer_runner(given: Option<&Path>) -> Outcome<PathBuf> {
    let beside = Path::new(env!("CARGO_BIN_EXE_playgate")).with_file_name("playgate-runner-gstreamer");
    let runner = given.map_or(beside, Path::to_owned);
    if runner.is_file() { Ok(runner) } else { Err(format!("{} is not built", runner.display()).into()) }
}

fn run(command: &mut Command) -> Outcome<()> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{:?}: {}", command.get_program(), said.lines().last().unwrap_or_default()).into())
}
