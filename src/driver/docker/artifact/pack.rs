//! From the engine's tar to the one that is given out. Nothing in the first is trusted: a container may hold any name.
//!
//! What must hold of the second: every name begins with the artifact's own, is relative, and has no `..`; nothing lies
//! below a link; a hard link names a file that came before it in the same archive; no entry is a device or a pipe; no
//! file is given the rights of another user (set-uid, set-gid). Symbolic links are kept as they are: unpacked, they are
//! links, and what they lead to is the reader's own affair. What does not fit is left out and counted.

use crate::driver::docker::error::DockerError;
use crate::driver::{ArtifactError, DriverError};
use crate::plain_path::inside;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use tar::{Archive, Builder, Entry, EntryType, Header};

/// More are too large to be given out, whatever their sizes: each costs a header.
const MAX_ENTRIES: usize = 200_000;
const BUFFER_BYTES: usize = 64 * 1024;

/// A file with all of the archive in it, to be read from its beginning.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) file: File,
    pub(super) left_out: usize,
}

/// `name` is what the topmost entry will be called, and `limit` bounds the sum of the sizes in bytes.
///
/// `is_root`: the artifact is the container's root, of which the engine names everything with a slash before it.
pub(super) fn pack(
    from: impl Read,
    file: File,
    name: &str,
    is_root: bool,
    limit: u64,
) -> Result<Packed, ArtifactError> {
    let out = GzEncoder::new(BufWriter::with_capacity(BUFFER_BYTES, file), Compression::fast());
    let mut packer = Packer {
        tar: Builder::new(out),
        name: PathBuf::from(name),
        is_root,
        left: limit,
        files: HashSet::new(),
        links: HashSet::new(),
        left_out: 0,
    };
    let mut archive = Archive::new(from);
    for (index, entry) in archive.entries().map_err(broken)?.enumerate() {
        if index >= MAX_ENTRIES || !packer.take(entry.map_err(broken)?)? {
            return Err(ArtifactError::TooLarge { limit });
        }
    }
    // To the very end, which tells whether it is one.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(broken)?;
    let left_out = packer.left_out;
    let file = packer.finish().map_err(kept)?;
    Ok(Packed { file, left_out })
}

struct Packer<W: Write> {
    tar: Builder<W>,
    name: PathBuf,
    is_root: bool,
    /// Bytes that may still come.
    left: u64,
    files: HashSet<PathBuf>,
    links: HashSet<PathBuf>,
    left_out: usize,
}

impl<W: Write> Packer<W> {
    /// False when it is too much.
    fn take<R: Read>(&mut self, mut entry: Entry<'_, R>) -> Result<bool, ArtifactError> {
        let Some(to) = self.place(&entry.path_bytes()) else { return Ok(self.leave_out()) };
        if to.ancestors().any(|above| self.links.contains(above)) {
            return Ok(self.leave_out());
        }
        let kind = entry.header().entry_type();
        let mut header = plain(entry.header());
        if kind.is_dir() {
            header.set_entry_type(EntryType::Directory);
            self.tar.append_data(&mut header, &to, io::empty()).map_err(kept)?;
        } else if kind.is_file() || kind.is_gnu_sparse() {
            let size = entry.size();
            let Some(left) = self.left.checked_sub(size) else { return Ok(false) };
            self.left = left;
            header.set_entry_type(EntryType::Regular);
            header.set_size(size);
            // Short of what its header says, the archive is broken.
            let mut exactly = Exactly { from: &mut entry, left: size };
            self.tar.append_data(&mut header, &to, &mut exactly).map_err(broken)?;
            self.files.insert(to);
        } else if kind.is_symlink() {
            let Some(target) = entry.link_name_bytes() else { return Ok(self.leave_out()) };
            header.set_entry_type(EntryType::Symlink);
            self.tar.append_link(&mut header, &to, path(&target)).map_err(kept)?;
            self.links.insert(to);
        } else if kind.is_hard_link() {
            let target = entry.link_name_bytes().and_then(|target| self.place(&target));
            let Some(target) = target.filter(|target| self.files.contains(target)) else {
                return Ok(self.leave_out());
            };
            header.set_entry_type(EntryType::Link);
            self.tar.append_link(&mut header, &to, &target).map_err(kept)?;
            self.files.insert(to);
        } else {
            return Ok(self.leave_out());
        }
        Ok(true)
    }

    fn leave_out(&mut self) -> bool {
        self.left_out += 1;
        true
    }

    /// The engine's topmost name replaced by the artifact's own. `None` when it leads anywhere else.
    fn place(&self, name: &[u8]) -> Option<PathBuf> {
        let asked = path(name);
        let below: PathBuf = if self.is_root {
            inside(asked.strip_prefix("/").unwrap_or(asked))?
        } else {
            inside(asked)?.components().skip(1).collect()
        };
        Some(if below.as_os_str().is_empty() { self.name.clone() } else { self.name.join(below) })
    }
}

impl<W: Write> Packer<GzEncoder<BufWriter<W>>> {
    fn finish(self) -> io::Result<W> {
        let out = self.tar.into_inner()?.finish()?;
        out.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

/// Times, owners and plain rights; no more of a foreign header.
fn plain(from: &Header) -> Header {
    let mut header = Header::new_gnu();
    header.set_mode(from.mode().unwrap_or(0o644) & 0o777);
    header.set_uid(from.uid().unwrap_or_default());
    header.set_gid(from.gid().unwrap_or_default());
    header.set_mtime(from.mtime().unwrap_or_default());
    header.set_size(0);
    header
}

/// Fails at an end that comes too early.
struct Exactly<R> {
    from: R,
    left: u64,
}

impl<R: Read> Read for Exactly<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.from.read(&mut buffer[..most])?;
        if count == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= count as u64;
        Ok(count)
    }
}

fn path(bytes: &[u8]) -> &Path {
    use std::os::unix::ffi::OsStrExt;
    Path::new(std::ffi::OsStr::from_bytes(bytes))
}

fn broken(error: io::Error) -> ArtifactError {
    ArtifactError::Driver(DriverError::Other(format!("the engine's archive cannot be read: {error}")))
}

fn kept(error: io::Error) -> ArtifactError {
    ArtifactError::Driver(DockerError::Spool(error).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::io::Seek;

    struct Item<'a> {
        name: &'a str,
        kind: EntryType,
        data: &'a [u8],
        link: &'a str,
    }

    fn file<'a>(name: &'a str, data: &'a [u8]) -> Item<'a> {
        Item { name, kind: EntryType::Regular, data, link: "" }
    }

    fn other<'a>(name: &'a str, kind: EntryType, link: &'a str) -> Item<'a> {
        Item { name, kind, data: b"", link }
    }

    /// Names are written as they are, also such as no archiver would write.
    fn archive(items: &[Item]) -> Vec<u8> {
        let mut tar = Builder::new(Vec::new());
        for Item { name, kind, data, link } in items {
            let mut header = Header::new_gnu();
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o6755);
            header.set_size(data.len() as u64);
            header.set_cksum();
            tar.append(&header, *data).unwrap();
        }
        tar.into_inner().unwrap()
    }

    fn packed(items: &[Item], limit: u64) -> Result<Packed, ArtifactError> {
        pack(archive(items).as_slice(), tempfile::tempfile().unwrap(), "logs", false, limit)
    }

    /// `name`, `name -> target` or `name = linked`, and how much was left out.
    fn given(items: &[Item]) -> (Vec<String>, usize) {
        let mut packed = packed(items, 1 << 20).unwrap();
        packed.file.rewind().unwrap();
        let mut tar = Archive::new(GzDecoder::new(packed.file));
        let names = tar.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            assert_eq!(entry.header().mode().unwrap(), 0o755);
            let name = entry.path().unwrap().display().to_string();
            match (entry.header().entry_type(), entry.link_name().unwrap()) {
                (EntryType::Symlink, Some(target)) => format!("{name} -> {}", target.display()),
                (EntryType::Link, Some(target)) => format!("{name} = {}", target.display()),
                (_, _) => name,
            }
        });
        (names.collect(), packed.left_out)
    }

    #[test]
    fn everything_lies_below_the_artifacts_own_name() {
        let items = [
            other("nginx/", EntryType::Directory, ""),
            file("nginx/access.log", b"hello"),
            file("./nginx/deep/a", b""),
            other("nginx/current", EntryType::Symlink, "/etc/passwd"),
            other("nginx/copy", EntryType::Link, "nginx/access.log"),
        ];
        let expected = [
            "logs",
            "logs/access.log",
            "logs/deep/a",
            "logs/current -> /etc/passwd",
            "logs/copy = logs/access.log",
        ];
        assert_eq!(given(&items), (expected.map(str::to_owned).to_vec(), 0));
        assert_eq!(given(&[file("passwd", b"x")]), (vec!["logs".to_owned()], 0));
        assert_eq!(given(&[other("./", EntryType::Directory, "")]), (vec!["logs".to_owned()], 0));
    }

    #[test]
    fn what_would_escape_is_left_out() {
        let items = [
            file("../evil", b"x"),
            file("/evil", b"x"),
            file("nginx/../../evil", b"x"),
            other("nginx/null", EntryType::Char, ""),
            other("nginx/disk", EntryType::Block, ""),
            other("nginx/pipe", EntryType::Fifo, ""),
            other("nginx/hard", EntryType::Link, "/etc/shadow"),
            other("nginx/up", EntryType::Link, "../../etc/shadow"),
            other("nginx/later", EntryType::Link, "nginx/not-yet"),
            other("nginx/out", EntryType::Symlink, "/tmp"),
            file("nginx/out/evil", b"x"),
            other("nginx/through", EntryType::Link, "nginx/out"),
            file("nginx/not-yet", b"fine"),
        ];
        let expected = ["logs/out -> /tmp", "logs/not-yet"];
        assert_eq!(given(&items), (expected.map(str::to_owned).to_vec(), 11));
    }

    #[test]
    fn the_sum_of_the_sizes_is_bounded_and_links_cost_nothing() {
        let items = [file("a/1", b"12345"), file("a/2", b"67890"), other("a/3", EntryType::Link, "a/1")];
        assert!(packed(&items, 10).is_ok());
        assert!(matches!(packed(&items, 9), Err(ArtifactError::TooLarge { limit: 9 })));
    }

    #[test]
    fn an_archive_that_breaks_off_is_an_error() {
        let whole = archive(&[file("a", &[7; 4000])]);
        for cut in [600, 2000, 4000] {
            let result = pack(&whole[..cut], tempfile::tempfile().unwrap(), "a", false, 1 << 20);
            assert!(matches!(result, Err(ArtifactError::Driver(_))), "{cut}");
        }
    }

    #[test]
    fn what_was_given_out_is_what_was_in_it() {
        let noise: Vec<u8> =
            (0..200_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let mut packed = packed(&[file("a", &noise)], 1 << 20).unwrap();
        packed.file.rewind().unwrap();
        let mut tar = Archive::new(GzDecoder::new(packed.file));
        let mut entry = tar.entries().unwrap().next().unwrap().unwrap();
        let mut back = Vec::new();
        entry.read_to_end(&mut back).unwrap();
        assert!(back == noise);
    }
}
