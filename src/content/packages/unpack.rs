//! A package's archive, unpacked so that nothing of it leaves its directory.
//!
//! The archive is what its SHA-256 says, yet trusted with nothing: only files, directories and links inside, only so many
//! and so much, whatever its headers claim. Symbolic links are made last, so that nothing is ever written through one.

use super::super::ContentError;
use crate::plain_path;
use flate2::read::MultiGzDecoder;
use std::cell::Cell;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use tar::{Archive, Entry, EntryType};

/// What a file or a directory takes of a disk at least, in bytes.
const BLOCK: u64 = 4096;
/// Bytes of headers (long names, attributes) before one entry.
const MAX_HEADERS: u64 = 256 * 1024;
/// Copied between two looks at the limit, in bytes.
const CHUNK: usize = 64 * 1024;

const DIR_MODE: u32 = 0o755;
const FILE_MODE: u32 = 0o644;
const EXECUTABLE_MODE: u32 = 0o755;

/// What one package may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct UnpackLimits {
    pub(super) max_entries: u64,
    /// On disk, whole blocks.
    pub(super) max_bytes: u64,
}

/// What was unpacked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unpacked {
    /// The one top-level directory.
    pub(super) top: String,
    /// On disk, whole blocks.
    pub(super) bytes: u64,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum UnpackError {
    #[error("{0}")]
    Unsafe(String),
    #[error("{0}")]
    TooLarge(String),
    /// Of our own disk.
    #[error(transparent)]
    Io(io::Error),
}

impl UnpackError {
    pub(super) fn of(self, url: &str) -> ContentError {
        let url = url.to_owned();
        match self {
            Self::Unsafe(detail) => ContentError::Unsafe { url, detail },
            Self::TooLarge(detail) => ContentError::TooLarge { url, detail },
            Self::Io(error) => {
                ContentError::Other(format!("the package at {url} cannot be unpacked here: {error}"))
            }
        }
    }
}

/// Unpacks into the new directory `target`, world-readable, and makes `launcher` executable. Blocks.
pub(super) fn unpack(
    archive: &Path,
    target: &Path,
    launcher: &str,
    limits: UnpackLimits,
) -> Result<Unpacked, UnpackError> {
    make_dir(target).map_err(UnpackError::Io)?;
    let file = File::open(archive).map_err(UnpackError::Io)?;
    let allowance = Rc::new(Cell::new(0));
    let reader = Metered { inner: MultiGzDecoder::new(BufReader::new(file)), allowance: allowance.clone() };
    let mut unpacker = Unpacker { target, limits, allowance, bytes: 0, top: None, links: Vec::new() };
    unpacker.entries(&mut Archive::new(reader))?;
    unpacker.symbolic_links()?;
    let Some(top) = unpacker.top else {
        return Err(refuse("it is empty"));
    };
    ready_launcher(&target.join(&top), launcher)?;
    Ok(Unpacked { top, bytes: unpacker.bytes })
}

/// Checks that the launcher is a file inside `dir`, and makes it executable.
pub(super) fn ready_launcher(dir: &Path, launcher: &str) -> Result<(), UnpackError> {
    let missing = || refuse(format!("its directory has no file `{launcher}`"));
    let path = inside(Path::new(launcher)).map_err(|_| missing())?;
    let root = dir.canonicalize().map_err(UnpackError::Io)?;
    let file = root.join(path).canonicalize().map_err(|_| missing())?;
    if !file.starts_with(&root) || !file.is_file() {
        return Err(missing());
    }
    let mode = file.metadata().map_err(UnpackError::Io)?.permissions().mode();
    if mode & 0o777 == EXECUTABLE_MODE {
        return Ok(());
    }
    fs::set_permissions(file, Permissions::from_mode(EXECUTABLE_MODE)).map_err(UnpackError::Io)
}

struct Unpacker<'a> {
    target: &'a Path,
    limits: UnpackLimits,
    /// Bytes that may still be read from the archive before somebody looks.
    allowance: Rc<Cell<u64>>,
    bytes: u64,
    top: Option<String>,
    /// Where, and its target as written.
    links: Vec<(PathBuf, PathBuf)>,
}

type Reader = Metered<MultiGzDecoder<BufReader<File>>>;

impl Unpacker<'_> {
    fn entries(&mut self, archive: &mut Archive<Reader>) -> Result<(), UnpackError> {
        self.allowance.set(MAX_HEADERS);
        let mut count = 0;
        for entry in archive.entries().map_err(broken)? {
            let entry = entry.map_err(broken)?;
            count += 1;
            if count > self.limits.max_entries {
                let most = self.limits.max_entries;
                return Err(UnpackError::TooLarge(format!("it has more than {most} entries")));
            }
            self.entry(entry)?;
            self.allowance.set(MAX_HEADERS);
        }
        Ok(())
    }

    fn entry(&mut self, mut entry: Entry<'_, Reader>) -> Result<(), UnpackError> {
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            return Ok(());
        }
        let written = entry.path().map_err(broken)?.into_owned();
        let path = inside(&written)?;
        if path.as_os_str().is_empty() {
            return Ok(());
        }
        let is_dir = kind.is_dir();
        self.enter(&path, is_dir)?;
        let destination = self.target.join(&path);
        self.parents(&path)?;
        if is_dir {
            self.directory(&destination)
        } else if kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse() {
            let executable = entry.header().mode().map_err(broken)? & 0o111 != 0;
            self.file(&mut entry, &destination, &path, executable)
        } else if kind.is_symlink() {
            self.links.push((path, link_target(&entry)?));
            Ok(())
        } else if kind.is_hard_link() {
            self.hard_link(&entry, &destination, &path)
        } else {
            Err(refuse(format!("`{}` is a {}", path.display(), name_of(kind))))
        }
    }

    /// Everything lies below one directory.
    fn enter(&mut self, path: &Path, is_dir: bool) -> Result<(), UnpackError> {
        let mut components = path.components();
        let first = components.next().and_then(|first| first.as_os_str().to_str().map(str::to_owned));
        let Some(first) = first else {
            return Err(refuse("the name of its top-level directory is not UTF-8"));
        };
        if components.next().is_none() && !is_dir {
            return Err(refuse(format!("`{first}` lies beside its top-level directory")));
        }
        match &self.top {
            Some(top) if *top != first => {
                Err(refuse(format!("it has more than one top-level directory: `{top}` and `{first}`")))
            }
            Some(_) => Ok(()),
            None => {
                self.top = Some(first);
                Ok(())
            }
        }
    }

    /// Directories that the archive did not name.
    fn parents(&mut self, path: &Path) -> Result<(), UnpackError> {
        let parents: Vec<_> = path.ancestors().skip(1).filter(|path| !path.as_os_str().is_empty()).collect();
        for parent in parents.into_iter().rev() {
            self.directory(&self.target.join(parent))?;
        }
        Ok(())
    }

    fn directory(&mut self, path: &Path) -> Result<(), UnpackError> {
        match fs::symlink_metadata(path) {
            Ok(there) if there.is_dir() => Ok(()),
            Ok(_) => Err(refuse("a file and a directory have the same name")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.take(BLOCK)?;
                make_dir(path).map_err(ours)
            }
            Err(error) => Err(ours(error)),
        }
    }

    fn file(
        &mut self,
        entry: &mut Entry<'_, Reader>,
        destination: &Path,
        path: &Path,
        executable: bool,
    ) -> Result<(), UnpackError> {
        self.take(BLOCK)?;
        let mode = if executable { EXECUTABLE_MODE } else { FILE_MODE };
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(destination);
        let mut file = file.map_err(|error| twice(error, path))?;
        // Whatever our umask is, and without the bits that would make it run as somebody else.
        file.set_permissions(Permissions::from_mode(mode)).map_err(UnpackError::Io)?;
        let mut buffer = vec![0; CHUNK];
        let mut size = 0;
        loop {
            self.allowance.set(CHUNK as u64 + MAX_HEADERS);
            let read = entry.read(&mut buffer).map_err(broken)?;
            if read == 0 {
                return Ok(());
            }
            let before = blocks(size);
            size += read as u64;
            self.take((blocks(size) - before) * BLOCK)?;
            file.write_all(&buffer[..read]).map_err(UnpackError::Io)?;
        }
    }

    /// Only of a file that the archive brought before. Symbolic links are not there yet, so none is followed.
    fn hard_link(
        &mut self,
        entry: &Entry<'_, Reader>,
        destination: &Path,
        path: &Path,
    ) -> Result<(), UnpackError> {
        let original = inside(&link_target(entry)?)?;
        let file = self.target.join(&original);
        if !fs::symlink_metadata(&file).is_ok_and(|there| there.is_file()) {
            let (link, original) = (path.display(), original.display());
            return Err(refuse(format!("`{link}` is a link to `{original}`, which is no file before it")));
        }
        fs::hard_link(file, destination).map_err(|error| twice(error, path))
    }

    fn symbolic_links(&mut self) -> Result<(), UnpackError> {
        let links = std::mem::take(&mut self.links);
        for (path, target) in &links {
            if target.is_absolute() {
                return Err(leads_out(path, target));
            }
            let parent = self.target.join(path.parent().unwrap_or(Path::new("")));
            // A parent that became a link meanwhile would carry this one elsewhere.
            let real = self.real_root()?.join(path.parent().unwrap_or(Path::new("")));
            if parent.canonicalize().map_err(ours)? != real {
                return Err(refuse(format!("`{}` lies below a link", path.display())));
            }
            let made = std::os::unix::fs::symlink(target, self.target.join(path));
            made.map_err(|error| twice(error, path))?;
        }
        let Some(top) = self.top.as_ref().filter(|_| !links.is_empty()) else { return Ok(()) };
        let top = self.real_root()?.join(top);
        for (path, target) in &links {
            match self.target.join(path).canonicalize() {
                Ok(end) if end.starts_with(&top) => {}
                Ok(_) => return Err(leads_out(path, target)),
                Err(_) => {
                    return Err(refuse(format!(
                        "the link `{}` leads nowhere: `{}`",
                        path.display(),
                        target.display()
                    )));
                }
            }
        }
        Ok(())
    }

    fn real_root(&self) -> Result<PathBuf, UnpackError> {
        self.target.canonicalize().map_err(UnpackError::Io)
    }

    fn take(&mut self, bytes: u64) -> Result<(), UnpackError> {
        self.bytes += bytes;
        if self.bytes > self.limits.max_bytes {
            let most = self.limits.max_bytes / (1024 * 1024);
            return Err(UnpackError::TooLarge(format!(
                "unpacked it is larger than the {most} MiB left for it"
            )));
        }
        Ok(())
    }
}

/// Refuses to read more than somebody allowed: headers are read into memory as long as they claim to be.
struct Metered<R> {
    inner: R,
    allowance: Rc<Cell<u64>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let left = self.allowance.get().checked_sub(read as u64);
        self.allowance.set(left.ok_or_else(|| io::Error::other("its headers are too large"))?);
        Ok(read)
    }
}

/// The path without `.`; refused when it leads outside.
fn inside(path: &Path) -> Result<PathBuf, UnpackError> {
    plain_path::inside(path).ok_or_else(|| refuse(format!("`{}` leads outside", path.display())))
}

fn link_target(entry: &Entry<'_, Reader>) -> Result<PathBuf, UnpackError> {
    let target = entry.link_name().map_err(broken)?;
    target.map(std::borrow::Cow::into_owned).ok_or_else(|| refuse("a link has no target"))
}

fn blocks(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK)
}

fn make_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(DIR_MODE).create(path)?;
    fs::set_permissions(path, Permissions::from_mode(DIR_MODE))
}

fn refuse(detail: impl Into<String>) -> UnpackError {
    UnpackError::Unsafe(detail.into())
}

fn leads_out(path: &Path, target: &Path) -> UnpackError {
    refuse(format!("the link `{}` leads outside: `{}`", path.display(), target.display()))
}

/// An archive that cannot be read. That our own disk fails while reading looks the same.
fn broken(error: io::Error) -> UnpackError {
    refuse(format!("it is no whole tar.gz: {error}"))
}

fn twice(error: io::Error, path: &Path) -> UnpackError {
    if error.kind() == io::ErrorKind::AlreadyExists {
        return refuse(format!("`{}` is in it twice", path.display()));
    }
    ours(error)
}

/// Names our file system does not take are the archive's fault, everything else is ours.
fn ours(error: io::Error) -> UnpackError {
    if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidFilename) {
        return refuse(format!("it has a name that cannot be used: {error}"));
    }
    UnpackError::Io(error)
}

fn name_of(kind: EntryType) -> &'static str {
    if kind.is_character_special() || kind.is_block_special() {
        "device"
    } else if kind.is_fifo() {
        "fifo"
    } else {
        "thing of an unknown kind"
    }
}
