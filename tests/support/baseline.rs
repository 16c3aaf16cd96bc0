//! The build that figures are compared with: `tests/baseline` makes it, `tests/run perf` names it.

use std::path::PathBuf;

/// Its `playgate`; absent, and said so, where there is none.
pub(crate) fn program() -> Option<PathBuf> {
    let program = std::env::var_os("PLAYGATE_TEST_BASELINE").map(PathBuf::from).filter(|path| path.is_file());
    if program.is_none() {
        eprintln!("no ratio: PLAYGATE_TEST_BASELINE names no build (bash tests/run perf --baseline)");
    }
    program
}
