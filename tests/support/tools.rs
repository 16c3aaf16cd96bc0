//! What `tests/session_api/tools` has installed: the compiler of TypeScript and what else judges us from outside.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// For a compiler, and for a session's life with its retention.
const WITHIN: Duration = Duration::from_secs(150);

/// The folder with `node_modules` and `python`.
pub(crate) fn tools() -> PathBuf {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../session-api-tools");
    let text = std::fs::read_to_string(&file);
    let text = text
        .unwrap_or_else(|error| panic!("{}: {error}: bash tests/session_api/tools makes it", file.display()));
    PathBuf::from(text.trim())
}

/// A program of npm's.
pub(crate) fn npm(name: &str) -> Command {
    Command::new(tools().join("node_modules/.bin").join(name))
}

/// A file or folder of this repository.
pub(crate) fn ours(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Runs it to its end, which has to be a good one.
pub(crate) async fn run(command: &mut Command, what: &str) {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output =
        tokio::time::timeout(WITHIN, output).await.unwrap_or_else(|_| panic!("{what} takes too long"));
    let output = output.unwrap_or_else(|error| panic!("{what}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{what}:\n{}\n{}", text(&output.stdout), text(&output.stderr));
}
