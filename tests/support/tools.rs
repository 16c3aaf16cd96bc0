//! What other people's programs judge us by, as `tests/session_api/tools` has installed it.

use std::path::{Path, PathBuf};

/// The folder with `python` and `node_modules`.
pub(crate) fn tools() -> PathBuf {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../session-api-tools");
    let text = std::fs::read_to_string(&file);
    let text = text
        .unwrap_or_else(|error| panic!("{}: {error}: bash tests/session_api/tools makes it", file.display()));
    PathBuf::from(text.trim())
}
