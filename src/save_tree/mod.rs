//! A save directory as a tree: scanned from a disk, written as a tar, read from a tar. Both drivers and the save store use it.
//!
//! Kept exactly: names (any bytes, any length), contents, permission bits, modification times to the nanosecond, empty
//! directories, symbolic links that stay inside the save, hard links as files of their own.
//!
//! Kept with a change: an absolute link to a place inside the save becomes a relative one, because the save may lie
//! elsewhere next time. Set-uid, set-gid and sticky bits are dropped. The owner can always read a file, and read, write
//! and enter a directory, so that the save can be stored and removed again.
//!
//! Left out and named ([`LeftOut`]): links that may lead outside, sockets, pipes, devices. The times and mode of the save
//! directory itself are not kept.
//!
//! Invariants: unpacking writes only below its target; no symbolic link exists there until everything else is written, so
//! nothing is ever written through one; time and memory are linear in what is read, and bounded by [`SaveLimits`].
//!
//! Does not: know sessions, versions, drivers or engines.

mod left_out;
mod limits;
mod link;
mod mtime;
mod pack;
mod records;
#[cfg(test)]
#[path = "../../tests/support/tree.rs"]
pub(crate) mod sample;
mod scan;
mod unpack;

pub use left_out::LeftOut;
pub use limits::{SaveLimits, SaveRefused};
pub(crate) use pack::{Owner, write};
pub(crate) use scan::scan;
pub(crate) use unpack::{Foreign, read};

use std::io;

/// Why a tree cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// May pass: a disk that is full, a connection that broke.
    #[error(transparent)]
    Io(io::Error),
    /// Never passes.
    #[error(transparent)]
    Refused(#[from] SaveRefused),
}

impl From<io::Error> for TreeError {
    fn from(error: io::Error) -> Self {
        // The path is longer than this system takes (PATH_MAX, NAME_MAX): it will be as long the next time.
        if error.kind() == io::ErrorKind::InvalidFilename {
            Self::Refused(SaveRefused::NameTooLong)
        } else {
            Self::Io(error)
        }
    }
}

#[cfg(test)]
mod tests;
