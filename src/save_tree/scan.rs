//! What a save directory on a disk holds, in the order it is packed.

use super::left_out::Why;
use super::limits::MEASURED_TO;
use super::link;
use super::mtime::Mtime;
use super::{LeftOut, SaveLimits, SaveRefused, TreeError};
use std::fs::{self, FileType, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A directory's contents, without the directory itself.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(super) root: PathBuf,
    /// Parents before what is in them.
    pub(super) nodes: Vec<Node>,
    pub(super) limits: SaveLimits,
    pub(crate) left_out: LeftOut,
}

impl Tree {
    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}

#[derive(Debug)]
pub(super) struct Node {
    /// Relative to the root.
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
    pub(super) mode: u32,
    pub(super) mtime: Mtime,
}

#[derive(Debug)]
pub(super) enum Kind {
    Directory,
    File,
    Link(PathBuf),
}

/// Looks through `root`, which must be a directory; links in it are not followed.
pub(crate) fn scan(root: &Path, limits: SaveLimits) -> Result<Tree, TreeError> {
    let mut found = Found { nodes: Vec::new(), left_out: LeftOut::default(), entries: 0, bytes: 0, limits };
    // Not by recursion: a game may nest directories as deep as paths are long.
    let mut open = vec![PathBuf::new()];
    while let Some(below) = open.pop() {
        for item in fs::read_dir(root.join(&below))? {
            let path = below.join(item?.file_name());
            let metadata = fs::symlink_metadata(root.join(&path))?;
            if metadata.is_dir() {
                open.push(path.clone());
            }
            found.add(root, path, &metadata)?;
        }
        if found.is_measured() {
            break;
        }
    }
    let Found { mut nodes, left_out, entries, bytes, .. } = found;
    if entries > limits.max_entries {
        return Err(SaveRefused::TooManyFiles { entries, limit: limits.max_entries }.into());
    }
    if bytes > limits.max_bytes {
        return Err(SaveRefused::TooLarge { bytes, limit: limits.max_bytes }.into());
    }
    nodes.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Tree { root: root.to_owned(), nodes, limits, left_out })
}

struct Found {
    nodes: Vec<Node>,
    left_out: LeftOut,
    entries: usize,
    bytes: u64,
    limits: SaveLimits,
}

impl Found {
    /// Over its limits it is only measured.
    fn add(&mut self, root: &Path, path: PathBuf, metadata: &Metadata) -> Result<(), TreeError> {
        self.entries += 1;
        if metadata.is_file() {
            self.bytes = self.bytes.saturating_add(metadata.len());
        }
        if self.entries > self.limits.max_entries || self.bytes > self.limits.max_bytes {
            return Ok(());
        }
        let kind = match kind_of(root, &path, metadata)? {
            Ok(kind) => kind,
            Err(why) => {
                self.left_out.note(&path, why);
                return Ok(());
            }
        };
        let mode = kept_mode(metadata.mode(), metadata.is_dir());
        self.nodes.push(Node { path, kind, mode, mtime: Mtime::of(metadata) });
        Ok(())
    }

    /// True when it is so far over a limit that its size does not matter any more.
    fn is_measured(&self) -> bool {
        let files = u64::try_from(self.limits.max_entries).unwrap_or(u64::MAX).saturating_mul(MEASURED_TO);
        u64::try_from(self.entries).unwrap_or(u64::MAX) > files
            || self.bytes > self.limits.max_bytes.saturating_mul(MEASURED_TO)
    }
}

/// What is kept of an entry, or why it is not.
fn kind_of(root: &Path, path: &Path, metadata: &Metadata) -> io::Result<Result<Kind, Why>> {
    let kind = metadata.file_type();
    Ok(if kind.is_dir() {
        Ok(Kind::Directory)
    } else if kind.is_file() {
        Ok(Kind::File)
    } else if kind.is_symlink() {
        link::kept(path, &fs::read_link(root.join(path))?, root).map(Kind::Link).ok_or(Why::LinkOutside)
    } else {
        Err(why(kind))
    })
}

/// Read, write and run, for owner, group and others: set-uid, set-gid and sticky are not kept. The owner can always read a
/// file, and read, write and enter a directory.
pub(super) fn kept_mode(mode: u32, is_directory: bool) -> u32 {
    (mode & 0o777) | if is_directory { 0o700 } else { 0o400 }
}

fn why(kind: FileType) -> Why {
    if kind.is_socket() {
        Why::Socket
    } else if kind.is_fifo() {
        Why::Pipe
    } else if kind.is_block_device() || kind.is_char_device() {
        Why::Device
    } else {
        Why::Other
    }
}
