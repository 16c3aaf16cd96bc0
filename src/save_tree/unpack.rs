//! Unpacks a tar below a new directory. Nothing in it is trusted.
//!
//! Directories and files are made first; symbolic links last, when nothing is written any more; then the directories get
//! their modes and times. Every directory is one made here, so a path never leads through a link.

use super::left_out::Why;
use super::limits::MEASURED_TO;
use super::link;
use super::mtime::Mtime;
use super::records::{Extensions, Record};
use super::scan::kept_mode;
use super::{LeftOut, SaveLimits, SaveRefused, TreeError};
use crate::plain_path::inside;
use rustix::fs::{AtFlags, CWD, futimens, utimensat};
use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tar::{Archive, EntryType};

/// An archive ends within this many bytes after its last entry (GNU tar fills up to 10 KiB).
const MAX_TAIL_BYTES: u64 = 1 << 20;

/// What becomes of an entry that a save does not keep.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Foreign<'a> {
    /// The archive is refused: no archive of ours has one. A save over its limits is refused unmeasured.
    Refuse,
    /// Left out and named: a game may have it beside its save. `own` is the save directory as the game knows it.
    LeaveOut { own: &'a Path },
}

/// Unpacks into the directory `target`, which is made, and reads `from` to its end. What is there after an error is for the
/// caller to remove.
pub(crate) fn read(
    mut from: impl Read,
    target: &Path,
    limits: SaveLimits,
    foreign: Foreign<'_>,
) -> Result<LeftOut, TreeError> {
    fs::create_dir(target)?;
    let mut unpacker = Unpacker::new(target, limits, foreign);
    let mut extensions = Extensions::default();
    let mut headers = 0_u64;
    for entry in Archive::new(&mut from).entries()?.raw(true) {
        let mut entry = entry?;
        headers += 1;
        if extensions.take_in(&mut entry)? {
            // An entry has three extensions at most.
            if headers > unpacker.most_entries().saturating_mul(4) {
                return Err(unpacker.too_many());
            }
            continue;
        }
        let record = extensions.about(&entry)?;
        unpacker.take(record, &mut entry)?;
        if unpacker.is_measured() {
            break;
        }
    }
    unpacker.within_limits()?;
    // To the very end, which tells whether it is one.
    if io::copy(&mut from.take(MAX_TAIL_BYTES + 1), &mut io::sink())? > MAX_TAIL_BYTES {
        return Err(SaveRefused::Unsafe("there is something after its end".to_owned()).into());
    }
    unpacker.finish()
}

struct Unpacker<'a> {
    target: &'a Path,
    limits: SaveLimits,
    foreign: Foreign<'a>,
    /// Made here, relative to the target; those on the way to an entry count as entries, too.
    directories: HashSet<PathBuf>,
    /// Modes and times of those that have an entry.
    told: HashMap<PathBuf, (u32, Mtime)>,
    links: HashMap<PathBuf, (PathBuf, Mtime)>,
    left_out: LeftOut,
    entries: usize,
    bytes: u64,
}

impl<'a> Unpacker<'a> {
    fn new(target: &'a Path, limits: SaveLimits, foreign: Foreign<'a>) -> Self {
        let directories = HashSet::from([PathBuf::new()]);
        Self {
            target,
            limits,
            foreign,
            directories,
            told: HashMap::new(),
            links: HashMap::new(),
            left_out: LeftOut::default(),
            entries: 0,
            bytes: 0,
        }
    }

    fn take(&mut self, record: Record, content: &mut impl Read) -> Result<(), TreeError> {
        let Some(path) = inside(&record.path) else {
            return Err(refused(&record.path, "leads outside"));
        };
        let kind = record.kind;
        if path.as_os_str().is_empty() {
            // The save directory itself.
            return if kind.is_dir() { Ok(()) } else { Err(refused(&record.path, "is no name")) };
        }
        self.entries += 1;
        // Also of what has no content: it is read all the same.
        self.bytes = self.bytes.saturating_add(record.size);
        if self.is_over() {
            return match self.foreign {
                Foreign::Refuse => self.within_limits(),
                // It is only measured from here on.
                Foreign::LeaveOut { .. } => Ok(()),
            };
        }
        if kind.is_dir() {
            self.make_directory(&path, 1)?;
            self.told.insert(path, (record.mode, record.mtime));
            Ok(())
        } else if kind.is_file() {
            self.write(content, &path, &record)
        } else if kind == EntryType::Symlink {
            self.symbolic_link(path, &record)
        } else if kind == EntryType::Link {
            self.hard_link(path, &record)
        } else {
            self.leave_out(&path, why(kind))
        }
    }

    fn write(&mut self, from: &mut impl Read, path: &Path, record: &Record) -> Result<(), TreeError> {
        self.make_parent(path)?;
        let to = self.target.join(path);
        let opened = OpenOptions::new().write(true).create_new(true).open(to);
        let mut file = opened.map_err(|error| clash(path, error))?;
        io::copy(from, &mut file)?;
        file.set_permissions(Permissions::from_mode(kept_mode(record.mode, false)))?;
        Ok(futimens(&file, &record.mtime.timestamps()).map_err(io::Error::from)?)
    }

    /// Noted, and made when nothing is written any more.
    fn symbolic_link(&mut self, path: PathBuf, record: &Record) -> Result<(), TreeError> {
        let target = match self.foreign {
            Foreign::Refuse => link::stays_inside(&path, &record.target).then(|| record.target.clone()),
            Foreign::LeaveOut { own } => link::kept(&path, &record.target, own),
        };
        let Some(target) = target else { return self.leave_out(&path, Why::LinkOutside) };
        // Now, while there is no link on the way.
        self.make_parent(&path)?;
        if self.links.insert(path.clone(), (target, record.mtime)).is_some() {
            return Err(refused(&path, "is there twice"));
        }
        Ok(())
    }

    /// A file of its own with the same content, or a symbolic link of its own to the same target.
    fn hard_link(&mut self, path: PathBuf, record: &Record) -> Result<(), TreeError> {
        let Some(first) = inside(&record.target) else {
            return self.leave_out(&path, Why::HardLinkOutside);
        };
        if let Some((target, mtime)) = self.links.get(&first).cloned() {
            let (kind, mode, size) = (EntryType::Symlink, 0o777, 0);
            let own = Record { path: path.clone(), target, kind, mode, mtime, size };
            return self.symbolic_link(path, &own);
        }
        let source = self.target.join(first);
        let Ok(metadata) = fs::symlink_metadata(&source) else {
            return self.leave_out(&path, Why::HardLinkOutside);
        };
        if !metadata.is_file() {
            return self.leave_out(&path, Why::HardLinkOutside);
        }
        self.bytes = self.bytes.saturating_add(metadata.len());
        if self.is_over() {
            return if let Foreign::Refuse = self.foreign { self.within_limits() } else { Ok(()) };
        }
        self.write(&mut File::open(source)?, &path, record)
    }

    fn leave_out(&mut self, path: &Path, why: Why) -> Result<(), TreeError> {
        match self.foreign {
            Foreign::Refuse => Err(refused(path, "is neither a file, a directory nor a link inside")),
            Foreign::LeaveOut { .. } => {
                self.left_out.note(path, why);
                Ok(())
            }
        }
    }

    fn make_parent(&mut self, path: &Path) -> Result<(), TreeError> {
        path.parent().map_or(Ok(()), |parent| self.make_directory(parent, 0))
    }

    /// With those on the way to it, of which `counted` are counted as entries already. Each is made once, so that long paths
    /// cost no more than their length.
    fn make_directory(&mut self, path: &Path, counted: usize) -> Result<(), TreeError> {
        let missing: Vec<&Path> =
            path.ancestors().take_while(|ancestor| !self.directories.contains(*ancestor)).collect();
        self.entries = self.entries.saturating_add(missing.len().saturating_sub(counted));
        if self.entries > self.limits.max_entries {
            return Err(self.too_many());
        }
        for directory in missing.into_iter().rev() {
            fs::create_dir(self.target.join(directory)).map_err(|error| clash(directory, error))?;
            self.directories.insert(directory.to_owned());
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.entries > self.limits.max_entries || self.bytes > self.limits.max_bytes
    }

    /// True when it is so far over a limit that its size does not matter any more.
    fn is_measured(&self) -> bool {
        let files = self.most_entries().saturating_mul(MEASURED_TO);
        u64::try_from(self.entries).unwrap_or(u64::MAX) > files
            || self.bytes > self.limits.max_bytes.saturating_mul(MEASURED_TO)
    }

    fn within_limits(&self) -> Result<(), TreeError> {
        let SaveLimits { max_entries, max_bytes: limit } = self.limits;
        if self.entries > max_entries {
            return Err(self.too_many());
        }
        let bytes = self.bytes;
        if bytes > limit { Err(SaveRefused::TooLarge { bytes, limit }.into()) } else { Ok(()) }
    }

    fn most_entries(&self) -> u64 {
        u64::try_from(self.limits.max_entries).unwrap_or(u64::MAX)
    }

    fn too_many(&self) -> TreeError {
        SaveRefused::TooManyFiles { entries: self.entries, limit: self.limits.max_entries }.into()
    }

    /// The links, then what the making of links and files has changed: modes and times of directories.
    fn finish(self) -> Result<LeftOut, TreeError> {
        for (path, (target, mtime)) in &self.links {
            let at = self.target.join(path);
            std::os::unix::fs::symlink(target, &at).map_err(|error| clash(path, error))?;
            set_time(&at, *mtime)?;
        }
        for (path, (mode, mtime)) in &self.told {
            let at = self.target.join(path);
            fs::set_permissions(&at, Permissions::from_mode(kept_mode(*mode, true)))?;
            set_time(&at, *mtime)?;
        }
        Ok(self.left_out)
    }
}

fn set_time(at: &Path, mtime: Mtime) -> io::Result<()> {
    Ok(utimensat(CWD, at, &mtime.timestamps(), AtFlags::SYMLINK_NOFOLLOW)?)
}

/// An archive that has two things in one place, or a name that is none.
fn clash(path: &Path, error: io::Error) -> TreeError {
    let kind = error.kind();
    if matches!(kind, io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory) {
        refused(path, "is there twice")
    } else if kind == io::ErrorKind::InvalidInput {
        refused(path, "is no name")
    } else {
        error.into()
    }
}

fn refused(path: &Path, what: &str) -> TreeError {
    let name: String = path.to_string_lossy().chars().take(100).flat_map(char::escape_debug).collect();
    SaveRefused::Unsafe(format!("`{name}` {what}")).into()
}

fn why(kind: EntryType) -> Why {
    if kind.is_fifo() {
        Why::Pipe
    } else if kind.is_character_special() || kind.is_block_special() {
        Why::Device
    } else {
        Why::Other
    }
}
