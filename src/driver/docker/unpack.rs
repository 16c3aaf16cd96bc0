//! Unpacks the tar of a save that a game has left: nothing in it is trusted.
//!
//! Only plain files and directories, only below the target, only so many and so much. Links and devices are left out: a
//! game may keep them beside its save, a save is none of them. A hard link to a file of the same archive is that file.

use super::error::DockerError;
use crate::plain_path::inside;
use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use tar::{Archive, EntryType};

/// What one save may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Files and directories.
    pub(super) entries: usize,
    /// Sum of the files' sizes.
    pub(super) bytes: u64,
}

/// As much as the save store takes.
pub(super) const LIMITS: Limits = Limits { entries: 10_000, bytes: 512 * 1024 * 1024 };

/// Unpacks into the directory `target`, which is made. Gives how many entries were left out.
pub(super) fn unpack(from: impl Read, target: &Path, limits: Limits) -> Result<usize, DockerError> {
    fs::create_dir(target).map_err(DockerError::TakeSave)?;
    let mut archive = Archive::new(from);
    let mut left = limits.bytes;
    let mut left_out = 0;
    for (index, entry) in archive.entries().map_err(DockerError::TakeSave)?.enumerate() {
        if index >= limits.entries {
            return Err(DockerError::TooManyFiles(limits.entries));
        }
        let mut entry = entry.map_err(DockerError::TakeSave)?;
        let to = target.join(safe(&entry.path().map_err(DockerError::TakeSave)?)?);
        let kind = entry.header().entry_type();
        if kind.is_dir() {
            fs::create_dir_all(&to).map_err(DockerError::TakeSave)?;
        } else if kind.is_file() {
            left = write(&mut entry, &to, left, limits)?;
        } else if kind == EntryType::Link {
            let linked = entry.link_name().map_err(DockerError::TakeSave)?;
            let source = linked.and_then(|path| safe(&path).ok()).map(|path| target.join(path));
            match source.and_then(|path| fs::File::open(path).ok()) {
                Some(mut source) => left = write(&mut source, &to, left, limits)?,
                None => left_out += 1,
            }
        } else {
            left_out += 1;
        }
    }
    Ok(left_out)
}

/// Gives what is left of the bytes.
fn write(from: &mut impl Read, to: &Path, left: u64, limits: Limits) -> Result<u64, DockerError> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).map_err(DockerError::TakeSave)?;
    }
    // Nothing here is a link, and nothing is written twice.
    let mut file = OpenOptions::new().write(true).create_new(true).open(to).map_err(DockerError::TakeSave)?;
    // What is really written counts, whatever the header says.
    let mut bounded = from.take(left.saturating_add(1));
    let written = io::copy(&mut bounded, &mut file).map_err(DockerError::TakeSave)?;
    left.checked_sub(written).ok_or(DockerError::TooLarge(limits.bytes))
}

fn safe(path: &Path) -> Result<PathBuf, DockerError> {
    inside(path).ok_or_else(|| DockerError::Unsafe(path.display().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tar::{Builder, Header};

    enum Item<'a> {
        File(&'a str, &'a [u8]),
        Dir(&'a str),
        Special(&'a str, EntryType, &'a str),
    }

    /// Names are written as they are, also such as no archiver would write.
    fn archive(items: &[Item]) -> Vec<u8> {
        let mut tar = Builder::new(Vec::new());
        for item in items {
            let (name, kind, data, link) = match item {
                Item::File(name, data) => (name, EntryType::Regular, *data, ""),
                Item::Dir(name) => (name, EntryType::Directory, &b""[..], ""),
                Item::Special(name, kind, link) => (name, *kind, &b""[..], *link),
            };
            let mut header = Header::new_gnu();
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
            header.set_entry_type(kind);
            header.set_mode(0o644);
            header.set_size(data.len() as u64);
            header.set_cksum();
            tar.append(&header, data).unwrap();
        }
        tar.into_inner().unwrap()
    }

    fn unpacked(items: &[Item], limits: Limits) -> (tempfile::TempDir, Result<usize, DockerError>) {
        let dir = tempfile::tempdir().unwrap();
        let result = unpack(archive(items).as_slice(), &dir.path().join("save"), limits);
        (dir, result)
    }

    #[test]
    fn files_and_directories_come_out_as_they_were() {
        let items =
            [Item::Dir("./"), Item::Dir("./a"), Item::File("./a/b/c.bin", b"hello"), Item::File("d", b"")];
        let (dir, result) = unpacked(&items, LIMITS);
        assert_eq!(result.unwrap(), 0);
        assert_eq!(fs::read(dir.path().join("save/a/b/c.bin")).unwrap(), b"hello");
        assert_eq!(fs::read(dir.path().join("save/d")).unwrap(), b"");
    }

    #[test]
    fn nothing_leads_outside() {
        for name in ["../evil", "/evil", "a/../../evil", "./.."] {
            let (dir, result) = unpacked(&[Item::File(name, b"x")], LIMITS);
            assert!(matches!(result, Err(DockerError::Unsafe(_))), "{name}: {result:?}");
            assert!(!dir.path().join("evil").exists());
        }
    }

    #[test]
    fn links_and_devices_are_left_out_and_nothing_is_written_through_them() {
        let items = [
            Item::Special("out", EntryType::Symlink, "/tmp"),
            Item::File("out/evil", b"x"),
            Item::Special("hard", EntryType::Link, "/etc/passwd"),
            Item::Special("null", EntryType::Char, ""),
            Item::Special("pipe", EntryType::Fifo, ""),
        ];
        let (dir, result) = unpacked(&items, LIMITS);
        assert_eq!(result.unwrap(), 4);
        assert!(dir.path().join("save/out").symlink_metadata().unwrap().is_dir());
        assert!(!dir.path().join("save/hard").exists() && !dir.path().join("save/null").exists());
    }

    #[test]
    fn a_hard_link_within_the_save_is_the_file_itself() {
        let items = [Item::File("./new", b"hello"), Item::Special("./backup", EntryType::Link, "./new")];
        let (dir, result) = unpacked(&items, LIMITS);
        assert_eq!(result.unwrap(), 0);
        assert_eq!(fs::read(dir.path().join("save/backup")).unwrap(), b"hello");
    }

    #[test]
    fn a_save_has_its_bounds() {
        let items = [Item::File("a", b"12345"), Item::File("b", b"67890")];
        let (_dir, result) = unpacked(&items, Limits { entries: 9, bytes: 9 });
        assert!(matches!(result, Err(DockerError::TooLarge(9))), "{result:?}");
        let (_dir, result) = unpacked(&items, Limits { entries: 1, bytes: 99 });
        assert!(matches!(result, Err(DockerError::TooManyFiles(1))), "{result:?}");
        let (_dir, result) = unpacked(&items, Limits { entries: 2, bytes: 10 });
        assert_eq!(result.unwrap(), 0);
    }

    #[test]
    fn an_archive_that_breaks_off_is_an_error() {
        let whole = archive(&[Item::File("a", &[7; 4000])]);
        let dir = tempfile::tempdir().unwrap();
        assert!(unpack(&whole[..2000], &dir.path().join("save"), LIMITS).is_err());
    }
}
