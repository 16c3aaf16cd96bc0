//! What fuzzing sees of reading archives. Called by `crate::fuzz` only.

use super::archive::unpack;
use crate::save_tree::{Foreign, SaveLimits, read};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs;
use std::io::Write;
use std::path::Path;

const LIMITS: SaveLimits = SaveLimits { max_entries: 20, max_bytes: 64 << 10 };

/// A tar that somebody brings as a save, and one that a game leaves: nothing of it lies outside the directory, leads outside
/// or exceeds the limits.
pub(crate) fn archive(data: &[u8], scratch: &Path) {
    let packed = scratch.join("save.tar.gz");
    let written = fs::create_dir_all(scratch.join("upload"))
        .and_then(|()| fs::create_dir_all(scratch.join("left")))
        .and_then(|()| {
            let mut file = GzEncoder::new(fs::File::create(&packed)?, Compression::none());
            file.write_all(data)?;
            file.finish()
        });
    if written.is_err() {
        return;
    }
    let uploaded = unpack(&packed, &scratch.join("upload/save"), LIMITS).is_ok();
    look_over(&scratch.join("upload"));
    let foreign = Foreign::LeaveOut { own: Path::new("/save") };
    let collected = read(data, &scratch.join("left/save"), LIMITS, foreign);
    look_over(&scratch.join("left"));
    // What is taken from a stranger is taken from a game, too, and nothing of it is left out.
    if uploaded {
        assert!(collected.is_ok_and(|left_out| left_out.is_empty()));
    }
}

fn look_over(scratch: &Path) {
    let save = scratch.join("save");
    let root = fs::canonicalize(scratch).map(|scratch| scratch.join("save"));
    let (mut entries, mut bytes) = (0, 0);
    below(&save, &mut |path, facts| {
        entries += 1;
        if facts.is_file() {
            bytes += facts.len();
        }
        // A link that leads nowhere is harmless.
        if let (true, Ok(root), Ok(led)) = (facts.is_symlink(), &root, fs::canonicalize(path)) {
            assert!(led.starts_with(root), "{} leads to {}", path.display(), led.display());
        }
        assert_eq!(mode_of(facts) & 0o7000, 0, "{}", path.display());
    });
    assert!(entries <= LIMITS.max_entries && bytes <= LIMITS.max_bytes, "{entries} entries, {bytes} bytes");
    let beside = fs::read_dir(scratch).map_or(0, Iterator::count);
    assert!(beside <= 1, "something lies outside");
}

fn mode_of(facts: &fs::Metadata) -> u32 {
    std::os::unix::fs::MetadataExt::mode(facts)
}

fn below(dir: &Path, visit: &mut impl FnMut(&Path, &fs::Metadata)) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(facts) = path.symlink_metadata() else { continue };
        visit(&path, &facts);
        if facts.is_dir() {
            below(&path, visit);
        }
    }
}
