//! `tests/artifacts/`: pictures of the pages and logs of failed runs. Not in the repository.

use std::path::PathBuf;

/// A file of that name, its folder made. Characters that are awkward in names become `-`.
pub(crate) fn path(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/artifacts");
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(name.replace([':', '/', ' '], "-"))
}

/// The running test's name, as far as the test runner tells it.
pub(crate) fn test_name() -> String {
    std::thread::current().name().unwrap_or("test").to_owned()
}
