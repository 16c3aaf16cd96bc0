//! Random save directories: made on a disk, read back from it, and compared whole. Knows nothing of Playgate.

use proptest::prelude::*;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// By relative path; parents come before what is in them.
pub(crate) type Tree = BTreeMap<PathBuf, Node>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    /// Permission bits; those of a link mean nothing.
    pub(crate) mode: u32,
    /// Seconds and nanoseconds since 1970.
    pub(crate) mtime: (i64, u32),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    File(Vec<u8>),
    Link(PathBuf),
}

const LINK_MODE: u32 = 0o777;
const MOST_NODES: usize = 16;
const MOST_LEVELS: usize = 6;

/// Up to some nodes, at most so deep, with names and targets of every kind.
pub(crate) fn trees() -> impl Strategy<Value = Tree> {
    proptest::collection::vec((any::<prop::sample::Index>(), name(), node()), 0..MOST_NODES).prop_map(plant)
}

/// A name as any file system takes it: 1 to 255 bytes without `/` and NUL.
fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "[a-c]{1,2}",
        2 => "[a-z]{1,6}\\.(tmp|new|part|partial|sav|bak)",
        2 => "[ -.0-~]{1,20}",
        1 => "[a-z]{101,255}",
        1 => "[äöü漢字]{1,20}(\n|=|\r)?[ä-ü]{0,5}",
    ]
    .prop_map(String::into_bytes)
    .boxed()
    .prop_union(proptest::collection::vec(1..=255_u8, 1..40).boxed())
    .or(proptest::collection::vec(128..=255_u8, 101..255).boxed())
    .prop_map(|mut bytes| {
        bytes.iter_mut().filter(|byte| **byte == b'/').for_each(|byte| *byte = b'_');
        bytes
    })
    .prop_filter("not a name", |bytes| !matches!(bytes.as_slice(), b"." | b".."))
}

/// What a node is, before it is known where.
#[derive(Debug, Clone)]
enum Seed {
    Directory,
    File(Vec<u8>),
    /// So many levels up, then down these.
    Link(prop::sample::Index, Vec<Vec<u8>>),
}

fn node() -> impl Strategy<Value = Sown> {
    let seed = prop_oneof![
        2 => Just(Seed::Directory),
        3 => proptest::collection::vec(any::<u8>(), 0..2000).prop_map(Seed::File),
        1 => (any::<prop::sample::Index>(), proptest::collection::vec(name(), 0..3)).prop_map(|(up, down)| Seed::Link(up, down)),
    ];
    let nanos = prop_oneof![Just(0_u32), 0..1_000_000_000_u32];
    (seed, 0..=0o777_u32, (-1_000_000_000..2_000_000_000_i64, nanos))
}

/// A node to be, its mode and its time.
type Sown = (Seed, u32, (i64, u32));

/// Puts each named node into one of the directories before it.
fn plant(nodes: Vec<(prop::sample::Index, Vec<u8>, Sown)>) -> Tree {
    let mut tree = Tree::new();
    let mut directories = vec![PathBuf::new()];
    for (parent, name, (seed, mode, mtime)) in nodes {
        let parent = parent.get(&directories).clone();
        let depth = parent.components().count();
        let path = parent.join(OsString::from_vec(name));
        if tree.contains_key(&path) {
            continue;
        }
        let (kind, mode) = match seed {
            // A save's owner can always read it, and look into and write its directories.
            Seed::Directory => (Kind::Directory, mode | 0o700),
            Seed::File(content) => (Kind::File(content), mode | 0o400),
            Seed::Link(up, down) => (Kind::Link(target(up.index(depth + 1), down)), LINK_MODE),
        };
        if kind == Kind::Directory && depth + 1 < MOST_LEVELS {
            directories.push(path.clone());
        }
        tree.insert(path, Node { kind, mode, mtime });
    }
    tree
}

fn target(up: usize, down: Vec<Vec<u8>>) -> PathBuf {
    let mut target: PathBuf = (0..up).map(|_| "..").collect();
    target.extend(down.into_iter().map(OsString::from_vec));
    if target.as_os_str().is_empty() { PathBuf::from(".") } else { target }
}

/// Makes the tree in the new directory `root`.
pub(crate) fn make(tree: &Tree, root: &Path) {
    fs::create_dir_all(root).unwrap();
    for (path, node) in tree {
        let at = root.join(path);
        match &node.kind {
            Kind::Directory => fs::create_dir(&at).unwrap(),
            Kind::File(content) => fs::write(&at, content).unwrap(),
            Kind::Link(target) => std::os::unix::fs::symlink(target, &at).unwrap(),
        }
    }
    // What is in a directory first: making it changes the directory's time.
    for (path, node) in tree.iter().rev() {
        let at = root.join(path);
        if !matches!(node.kind, Kind::Link(_)) {
            fs::set_permissions(&at, fs::Permissions::from_mode(node.mode)).unwrap();
        }
        let (seconds, nanos) = node.mtime;
        let time = Timespec { tv_sec: seconds, tv_nsec: nanos.into() };
        let times = Timestamps { last_access: time, last_modification: time };
        utimensat(CWD, &at, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    }
}

/// What is in a directory.
pub(crate) fn found(root: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut open = vec![PathBuf::new()];
    while let Some(below) = open.pop() {
        for item in fs::read_dir(root.join(&below)).unwrap() {
            let path = below.join(item.unwrap().file_name());
            let at = root.join(&path);
            let metadata = fs::symlink_metadata(&at).unwrap();
            let kind = if metadata.is_dir() {
                open.push(path.clone());
                Kind::Directory
            } else if metadata.is_symlink() {
                Kind::Link(fs::read_link(&at).unwrap())
            } else {
                assert!(metadata.is_file(), "{}", at.display());
                Kind::File(fs::read(&at).unwrap())
            };
            let mode = if metadata.is_symlink() { LINK_MODE } else { metadata.mode() & 0o7777 };
            let mtime = (metadata.mtime(), u32::try_from(metadata.mtime_nsec()).unwrap());
            tree.insert(path, Node { kind, mode, mtime });
        }
    }
    tree
}
