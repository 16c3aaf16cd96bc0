//! The data directory: who owns it and where things lie in it.
//!
//! A [`DataDir`] holds the lock, so what needs a directory of its own (the saves, the sessions) asks for one. The
//! lock is the kernel's and goes with the process, however it dies; the file itself means nothing.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    #[error("another gateway is running on {}; stop it, or give this one a --data-dir of its own", .0.display())]
    InUse(PathBuf),
    #[error("cannot use the data directory {}", .path.display())]
    Io { path: PathBuf, source: std::io::Error },
}

/// The locked data directory. The lock ends when it is dropped.
#[derive(Debug)]
pub struct DataDir {
    root: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the directory (mode 0700) when it is not there, and locks it against other gateways.
    pub fn lock(root: &Path) -> Result<Self, DataDirError> {
        let io = |source| DataDirError::Io { path: root.to_owned(), source };
        create_private(root).map_err(io)?;
        let root = root.canonicalize().map_err(io)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(root.join("gateway.lock"))
            .map_err(io)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { root, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(DataDirError::InUse(root)),
            Err(TryLockError::Error(source)) => Err(io(source)),
        }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The SQLite database's file.
    pub fn database(&self) -> PathBuf {
        database_in(&self.root)
    }

    /// Save archives.
    pub fn saves(&self) -> PathBuf {
        self.root.join("saves")
    }

    /// Working directories of running sessions.
    pub fn sessions(&self) -> PathBuf {
        self.root.join("sessions")
    }
}

/// The database of a data directory that a gateway may hold locked: its tokens can be changed all the same.
pub fn database_in(root: &Path) -> PathBuf {
    root.join("playgate.db")
}

/// Made for its owner only; one that is there already keeps its mode.
pub fn create_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    if path.is_dir() {
        return Ok(());
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_gateway_is_refused_until_the_first_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("data");
        let first = DataDir::lock(&root).unwrap();
        let error = DataDir::lock(&root).unwrap_err();
        assert!(matches!(error, DataDirError::InUse(_)), "{error}");
        assert!(error.to_string().contains("another gateway"), "{error}");
        drop(first);
        DataDir::lock(&root).unwrap();
    }
}
