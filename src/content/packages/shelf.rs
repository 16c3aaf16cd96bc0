//! The unpacked packages on disk: which are whole, which was used when, which are in use.
//!
//! A package is `packages/SHA256/` with its manifest and `tree/TOP/`. It comes by one rename and goes by one, so what lies
//! there is whole; the manifest's modification time is when it was used last, and survives a restart.

use super::super::{PackageLease, Sha256};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const MANIFEST: &str = "manifest.json";
const TREE: &str = "tree";

/// What is known of a package. Written when its tree is whole and on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// The top-level directory.
    pub(super) top: String,
    /// On disk.
    pub(super) bytes: u64,
}

/// Not shared by itself: its owner locks it.
#[derive(Debug)]
pub(super) struct Shelf {
    dir: PathBuf,
    packages: HashMap<Sha256, OnShelf>,
    /// Of the last use: uses are ordered even within one tick of the file system's clock.
    last_use: SystemTime,
}

#[derive(Debug)]
struct OnShelf {
    manifest: Manifest,
    used: SystemTime,
    hold: Arc<()>,
}

/// Where the tree of a package goes in the directory that is still being filled.
pub(super) fn tree_in(staging: &Path) -> PathBuf {
    staging.join(TREE)
}

impl Shelf {
    /// Reads what an earlier process left in `dir`; removes what is not whole.
    pub(super) fn open(dir: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&dir)?;
        let mut shelf = Self { dir, packages: HashMap::new(), last_use: SystemTime::UNIX_EPOCH };
        for item in fs::read_dir(&shelf.dir)? {
            let item = item?;
            let sha256 = item.file_name().to_str().and_then(Sha256::parse);
            match sha256.and_then(|sha256| Some((sha256, whole(&item.path())?))) {
                Some((sha256, package)) => {
                    shelf.last_use = shelf.last_use.max(package.used);
                    shelf.packages.insert(sha256, package);
                }
                None => remove(&item.path())?,
            }
        }
        Ok(shelf)
    }

    pub(super) fn has(&self, sha256: &Sha256) -> bool {
        self.packages.contains_key(sha256)
    }

    /// Uses a package: it is kept as long as the lease, and goes later than those used before.
    pub(super) fn lease(&mut self, sha256: &Sha256) -> Option<PackageLease> {
        let now = SystemTime::now().max(self.last_use + Duration::from_micros(1));
        let path = self.path(sha256);
        let package = self.packages.get_mut(sha256)?;
        package.used = now;
        self.last_use = now;
        // Without it only the order after a restart would be another.
        if let Err(error) = touch(&path.join(MANIFEST), now) {
            tracing::warn!(%error, "a package's use cannot be noted");
        }
        let dir = tree_in(&path).join(&package.manifest.top);
        Some(PackageLease { dir, hold: package.hold.clone() })
    }

    /// Of the packages in use, on disk.
    pub(super) fn bytes_in_use(&self) -> u64 {
        self.packages.values().filter(|package| package.in_use()).map(|package| package.manifest.bytes).sum()
    }

    /// Takes the least recently used ones out of here until `bytes` more fit in `budget`; what is in use stays. They lie in
    /// `trash` afterwards, by names of `name`. `None`, and nothing is taken, when it cannot fit.
    pub(super) fn make_room(
        &mut self,
        bytes: u64,
        budget: u64,
        mut trash: impl FnMut(&Sha256) -> PathBuf,
    ) -> io::Result<Option<Vec<PathBuf>>> {
        if self.bytes_in_use().saturating_add(bytes) > budget {
            return Ok(None);
        }
        let mut total: u64 = self.packages.values().map(|package| package.manifest.bytes).sum();
        let idle = self.packages.iter().filter(|(_, package)| !package.in_use());
        let mut idle: Vec<_> = idle.map(|(sha256, package)| (package.used, *sha256)).collect();
        idle.sort_by_key(|(used, _)| *used);
        let mut gone = Vec::new();
        for (_, sha256) in idle {
            if total.saturating_add(bytes) <= budget {
                break;
            }
            let grave = trash(&sha256);
            fs::rename(self.path(&sha256), &grave)?;
            gone.push(grave);
            total -= self.packages.remove(&sha256).map_or(0, |package| package.manifest.bytes);
        }
        Ok(Some(gone))
    }

    /// Moves the filled directory `staging` here.
    pub(super) fn put(&mut self, sha256: Sha256, staging: &Path, manifest: Manifest) -> io::Result<()> {
        fs::rename(staging, self.path(&sha256))?;
        File::open(&self.dir)?.sync_all()?;
        let package = OnShelf { manifest, used: self.last_use, hold: Arc::new(()) };
        self.packages.insert(sha256, package);
        Ok(())
    }

    fn path(&self, sha256: &Sha256) -> PathBuf {
        self.dir.join(sha256.to_string())
    }
}

impl OnShelf {
    fn in_use(&self) -> bool {
        Arc::strong_count(&self.hold) > 1
    }
}

/// Writes the manifest, when the tree is whole, and waits until both are on disk.
pub(super) fn seal(staging: &Path, manifest: &Manifest) -> io::Result<()> {
    let dir = File::open(staging)?;
    // One call for thousands of files. The manifest comes after: a crash never leaves it with half a tree.
    rustix::fs::syncfs(&dir)?;
    let mut file = File::create_new(staging.join(MANIFEST))?;
    file.write_all(&serde_json::to_vec(manifest)?)?;
    file.sync_all()?;
    dir.sync_all()
}

/// Removes a file or a directory with what is in it. That it is gone already is fine.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(there) if there.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn whole(path: &Path) -> Option<OnShelf> {
    let file = path.join(MANIFEST);
    let manifest: Manifest = serde_json::from_slice(&fs::read(&file).ok()?).ok()?;
    let used = fs::metadata(&file).ok()?.modified().ok()?;
    let there = tree_in(path).join(&manifest.top).is_dir();
    there.then(|| OnShelf { manifest, used, hold: Arc::new(()) })
}

fn touch(path: &Path, at: SystemTime) -> io::Result<()> {
    File::options().write(true).open(path)?.set_modified(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place {
        root: tempfile::TempDir,
        shelf: Shelf,
    }

    fn sha(byte: u8) -> Sha256 {
        Sha256([byte; 32])
    }

    impl Place {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            let shelf = Shelf::open(root.path().join("packages")).unwrap();
            Self { root, shelf }
        }

        fn put(&mut self, byte: u8, bytes: u64) {
            let staging = self.root.path().join("staging");
            fs::create_dir_all(tree_in(&staging).join("top")).unwrap();
            let manifest = Manifest { top: "top".to_owned(), bytes };
            seal(&staging, &manifest).unwrap();
            self.shelf.put(sha(byte), &staging, manifest).unwrap();
        }

        fn room(&mut self, bytes: u64, budget: u64) -> Option<usize> {
            let root = self.root.path().to_owned();
            let gone = self.shelf.make_room(bytes, budget, |sha256| root.join(format!("gone-{sha256}")));
            gone.unwrap().map(|gone| gone.len())
        }

        fn reopen(&mut self) {
            self.shelf = Shelf::open(self.root.path().join("packages")).unwrap();
        }
    }

    #[test]
    fn the_least_recently_used_goes_first_also_after_a_restart() {
        let mut place = Place::new();
        for byte in 1..=3 {
            place.put(byte, 10);
            drop(place.shelf.lease(&sha(byte)).unwrap());
        }
        drop(place.shelf.lease(&sha(1)).unwrap());
        place.reopen();
        assert_eq!(place.room(10, 30), Some(1));
        assert!(!place.shelf.has(&sha(2)), "the one unused for longest is gone");
        assert!(place.shelf.has(&sha(1)) && place.shelf.has(&sha(3)));
    }

    #[test]
    fn what_is_in_use_stays_and_too_much_takes_nothing() {
        let mut place = Place::new();
        place.put(1, 10);
        place.put(2, 10);
        let lease = place.shelf.lease(&sha(1)).unwrap();
        assert_eq!(place.room(25, 30), None);
        assert!(place.shelf.has(&sha(2)), "nothing is taken in vain");
        assert_eq!(place.room(20, 30), Some(1));
        assert!(place.shelf.has(&sha(1)) && lease.dir.is_dir());
    }

    #[test]
    fn only_whole_ones_count_after_a_restart() {
        let mut place = Place::new();
        place.put(1, 10);
        place.put(2, 10);
        place.put(3, 10);
        let packages = place.root.path().join("packages");
        fs::remove_file(packages.join(sha(2).to_string()).join(MANIFEST)).unwrap();
        fs::write(packages.join(sha(3).to_string()).join(MANIFEST), "{").unwrap();
        fs::write(packages.join("a stray"), "").unwrap();
        place.reopen();
        assert!(place.shelf.has(&sha(1)) && !place.shelf.has(&sha(2)) && !place.shelf.has(&sha(3)));
        assert_eq!(fs::read_dir(packages).unwrap().count(), 1);
    }
}
