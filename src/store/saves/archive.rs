//! A save directory as one compressed tar, and back.
//!
//! Packing the same files gives the same bytes: entries sorted, no times, no owners. Unpacking trusts nothing: only
//! plain files and directories, only below the target, only so many and so much.

use super::SaveError;
use crate::plain_path::inside;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use tar::EntryType;

/// What one save may hold, unpacked.
#[derive(Debug, Clone, Copy)]
pub struct SaveLimits {
    /// Files and directories.
    pub max_entries: usize,
    /// Sum of the files' sizes.
    pub max_bytes: u64,
}

impl Default for SaveLimits {
    fn default() -> Self {
        Self { max_entries: 10_000, max_bytes: 512 * 1024 * 1024 }
    }
}

/// Names of files that a game is still writing, by the habit of writing new, then renaming.
const UNFINISHED: [&str; 4] = ["tmp", "new", "part", "partial"];

/// A packed directory.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Packed {
    pub(super) sha256: [u8; 32],
    pub(super) bytes: u64,
}

/// Packs what is below `dir` into the new file `archive` and syncs it. `None`, and no file, when there is nothing.
/// Links, devices and unfinished files are left out.
pub(super) fn pack(dir: &Path, archive: &Path, limits: SaveLimits) -> Result<Option<Packed>, SaveError> {
    let mut entries = Vec::new();
    collect(dir, Path::new(""), &mut entries, limits)?;
    if !entries.iter().any(|entry| entry.is_file) {
        return Ok(None);
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    let file = OpenOptions::new().write(true).create_new(true).open(archive)?;
    let hashing = HashingWriter { inner: BufWriter::new(file), hash: new_hash(), bytes: 0 };
    let mut tar = tar::Builder::new(GzEncoder::new(hashing, Compression::default()));
    let mut left = limits.max_bytes;
    for entry in &entries {
        append(&mut tar, dir, entry, &mut left)?;
    }
    let hashing = tar.into_inner()?.finish()?;
    let packed = Packed { sha256: digest(hashing.hash), bytes: hashing.bytes };
    let file = hashing.inner.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    Ok(Some(packed))
}

struct Entry {
    path: PathBuf,
    is_file: bool,
}

fn collect(root: &Path, below: &Path, entries: &mut Vec<Entry>, limits: SaveLimits) -> Result<(), SaveError> {
    for item in fs::read_dir(root.join(below))? {
        let item = item?;
        let path = below.join(item.file_name());
        // Of the entry itself: links are not followed.
        let kind = item.file_type()?;
        let unfinished = path
            .extension()
            .is_some_and(|extension| UNFINISHED.iter().any(|unfinished| extension == *unfinished));
        if (!kind.is_file() && !kind.is_dir()) || (kind.is_file() && unfinished) {
            continue;
        }
        entries.push(Entry { path: path.clone(), is_file: kind.is_file() });
        if entries.len() > limits.max_entries {
            return Err(SaveError::TooManyFiles(limits.max_entries));
        }
        if kind.is_dir() {
            collect(root, &path, entries, limits)?;
        }
    }
    Ok(())
}

fn append<W: Write>(
    tar: &mut tar::Builder<W>,
    dir: &Path,
    entry: &Entry,
    left: &mut u64,
) -> Result<(), SaveError> {
    let mut header = tar::Header::new_gnu();
    header.set_mtime(0);
    if !entry.is_file {
        header.set_entry_type(EntryType::Directory);
        header.set_mode(0o755);
        header.set_size(0);
        return Ok(tar.append_data(&mut header, &entry.path, io::empty())?);
    }
    let file = File::open(dir.join(&entry.path))?;
    let size = file.metadata()?.len();
    *left = left.checked_sub(size).ok_or(SaveError::TooLarge)?;
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(size);
    // A file that shrinks or grows meanwhile would shift what follows it in the archive.
    let mut exact = ExactReader { inner: BufReader::new(file).take(size), left: size };
    tar.append_data(&mut header, &entry.path, &mut exact)?;
    Ok(())
}

/// Refuses to end early.
struct ExactReader<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for ExactReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self.left.saturating_sub(read as u64);
        if read == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a save file became shorter"));
        }
        Ok(read)
    }
}

/// SHA-256 and size of a file.
pub(super) fn hash_file(path: &Path) -> io::Result<([u8; 32], u64)> {
    let mut writer = HashingWriter { inner: io::sink(), hash: new_hash(), bytes: 0 };
    io::copy(&mut File::open(path)?, &mut writer)?;
    Ok((digest(writer.hash), writer.bytes))
}

/// Largest name or attribute list an archive from outside may carry beside an entry.
const MAX_EXTENSION_BYTES: u64 = 64 * 1024;

/// Reads a foreign archive through once without keeping anything of it: what unpacking would read into memory, or go on
/// reading for ever, is refused here.
pub(super) fn check(archive: &Path, limits: SaveLimits) -> Result<(), SaveError> {
    // Each entry may have a header, two extensions with headers of their own, and padding.
    let per_entry = 2 * (MAX_EXTENSION_BYTES + 1024) + 1024;
    let most = (limits.max_entries as u64).saturating_mul(per_entry).saturating_add(limits.max_bytes);
    let unpacked = GzDecoder::new(BufReader::new(File::open(archive)?)).take(most);
    let mut tar = tar::Archive::new(unpacked);
    let mut headers = 0;
    for entry in tar.entries()?.raw(true) {
        let entry = entry?;
        let kind = entry.header().entry_type();
        let is_extension = kind.is_gnu_longname()
            || kind.is_gnu_longlink()
            || kind.is_pax_local_extensions()
            || kind.is_pax_global_extensions();
        if is_extension && entry.header().entry_size()? > MAX_EXTENSION_BYTES {
            return Err(SaveError::Unsafe("it holds a name that is too long".to_owned()));
        }
        headers += 1;
        if headers > limits.max_entries.saturating_mul(3) {
            return Err(SaveError::TooManyFiles(limits.max_entries));
        }
    }
    // Behind the last entry is the checksum.
    io::copy(&mut tar.into_inner(), &mut io::sink())?;
    Ok(())
}

/// Unpacks into the new directory `target`.
pub(super) fn unpack(archive: &Path, target: &Path, limits: SaveLimits) -> Result<(), SaveError> {
    fs::create_dir_all(target)?;
    let mut tar = tar::Archive::new(GzDecoder::new(BufReader::new(File::open(archive)?)));
    let mut left = limits.max_bytes;
    for (index, entry) in tar.entries()?.enumerate() {
        if index >= limits.max_entries {
            return Err(SaveError::TooManyFiles(limits.max_entries));
        }
        let mut entry = entry?;
        let path = safe(&entry.path()?)?;
        let kind = entry.header().entry_type();
        let destination = target.join(&path);
        if kind.is_dir() {
            fs::create_dir_all(&destination)?;
        } else if kind.is_file() {
            left = left.checked_sub(entry.size()).ok_or(SaveError::TooLarge)?;
            if let Some(parent) = destination.parent() {
                fs::create_dir_all(parent)?;
            }
            let mut file = OpenOptions::new().write(true).create_new(true).open(&destination)?;
            io::copy(&mut entry, &mut file)?;
        } else {
            return Err(SaveError::Unsafe(format!("`{}` is neither file nor directory", path.display())));
        }
    }
    Ok(())
}

fn safe(path: &Path) -> Result<PathBuf, SaveError> {
    inside(path).ok_or_else(|| SaveError::Unsafe(format!("`{}` leads outside", path.display())))
}

struct HashingWriter<W> {
    inner: W,
    hash: aws_lc_rs::digest::Context,
    bytes: u64,
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.hash.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn new_hash() -> aws_lc_rs::digest::Context {
    aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256)
}

fn digest(hash: aws_lc_rs::digest::Context) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(hash.finish().as_ref());
    out
}
