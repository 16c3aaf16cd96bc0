//! What fuzzing sees of reading archives. Called by `crate::fuzz` only.

use super::archive::{SaveLimits, check, unpack};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::path::Path;

const LIMITS: SaveLimits = SaveLimits { max_entries: 20, max_bytes: 64 << 10 };

/// A tar that somebody brings as a save: nothing of it lies outside the directory nor exceeds the limits.
pub(crate) fn archive(data: &[u8], scratch: &Path) {
    let (packed, target) = (scratch.join("save.tar.gz"), scratch.join("into/save"));
    let written = std::fs::create_dir_all(scratch.join("into")).and_then(|()| {
        let mut file = GzEncoder::new(std::fs::File::create(&packed)?, Compression::none());
        file.write_all(data)?;
        file.finish()
    });
    if written.is_err() || check(&packed, LIMITS).is_err() {
        return;
    }
    let _ = unpack(&packed, &target, LIMITS);
    let (mut files, mut bytes) = (0, 0);
    below(&target, &mut |file| {
        files += 1;
        bytes += file.len();
        assert!(!file.is_symlink());
    });
    assert!(files <= LIMITS.max_entries && bytes <= LIMITS.max_bytes, "{files} files, {bytes} bytes");
    let beside = std::fs::read_dir(scratch.join("into")).map_or(0, Iterator::count);
    assert!(beside <= 1, "something lies outside");
}

fn below(dir: &Path, visit: &mut impl FnMut(&std::fs::Metadata)) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let Ok(facts) = entry.path().symlink_metadata() else { continue };
        if facts.is_dir() {
            below(&entry.path(), visit);
        } else {
            visit(&facts);
        }
    }
}
