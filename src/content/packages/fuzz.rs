//! What fuzzing sees of unpacking packages. Called by `crate::fuzz` only.

use super::unpack::{UnpackLimits, unpack};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::path::Path;

const LIMITS: UnpackLimits = UnpackLimits { max_entries: 20, max_bytes: 256 << 10 };

/// A package's tar: nothing of it lies outside the directory, and no link of what is taken leads out.
pub(crate) fn archive(data: &[u8], scratch: &Path) {
    let (packed, outer) = (scratch.join("package.tar.gz"), scratch.join("into"));
    let target = outer.join("package");
    let written = std::fs::create_dir_all(&outer).and_then(|()| {
        let mut file = GzEncoder::new(std::fs::File::create(&packed)?, Compression::none());
        file.write_all(data)?;
        file.finish()
    });
    if written.is_err() {
        return;
    }
    let unpacked = unpack(&packed, &target, "start.sh", LIMITS);
    assert!(std::fs::read_dir(&outer).map_or(0, Iterator::count) <= 1, "something lies outside");
    if let Ok(unpacked) = unpacked {
        assert!(unpacked.bytes <= LIMITS.max_bytes);
        let inside = target.canonicalize();
        let launcher = target.join(&unpacked.top).join("start.sh").canonicalize();
        assert!(matches!((inside, launcher), (Ok(inside), Ok(launcher)) if launcher.starts_with(&inside)));
    }
}
