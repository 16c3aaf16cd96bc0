//! A version's archive: a save directory as one tar, compressed with gzip.
//!
//! Packing the same files gives the same bytes. What is kept of a directory, and how one is unpacked without trusting it, is
//! [`crate::save_tree`]'s.

use super::SaveError;
use crate::save_tree::{Foreign, LeftOut, SaveLimits, read, scan, write};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Write};
use std::path::Path;

/// A packed directory.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Packed {
    pub(super) sha256: [u8; 32],
    pub(super) bytes: u64,
}

/// What to do with a directory that holds nothing a save keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Empty {
    Pack,
    Skip,
}

/// Packs what is below `dir` into the new file `archive` and syncs it; also tells what is not kept. No archive is made of an
/// empty directory that is to be skipped.
pub(super) fn pack(
    dir: &Path,
    archive: &Path,
    limits: SaveLimits,
    empty: Empty,
) -> Result<(Option<Packed>, LeftOut), SaveError> {
    let mut tree = scan(dir, limits)?;
    let left_out = std::mem::take(&mut tree.left_out);
    if tree.is_empty() && empty == Empty::Skip {
        return Ok((None, left_out));
    }
    let file = OpenOptions::new().write(true).create_new(true).open(archive)?;
    let hashing = HashingWriter { inner: BufWriter::new(file), hash: new_hash(), bytes: 0 };
    let mut tar = tar::Builder::new(GzEncoder::new(hashing, Compression::default()));
    write(&tree, Path::new(""), None, &mut tar)?;
    let hashing = tar.into_inner()?.finish()?;
    let packed = Packed { sha256: digest(hashing.hash), bytes: hashing.bytes };
    let file = hashing.inner.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    Ok((Some(packed), left_out))
}

/// SHA-256 and size of a file.
pub(super) fn hash_file(path: &Path) -> io::Result<([u8; 32], u64)> {
    let mut writer = HashingWriter { inner: io::sink(), hash: new_hash(), bytes: 0 };
    io::copy(&mut File::open(path)?, &mut writer)?;
    Ok((digest(writer.hash), writer.bytes))
}

/// Unpacks into the new directory `target`. An archive that holds what a save does not keep is refused, as is one over the
/// limits; it is read once, and no further than they allow.
pub(super) fn unpack(archive: &Path, target: &Path, limits: SaveLimits) -> Result<(), SaveError> {
    let unpacked = GzDecoder::new(BufReader::new(File::open(archive)?));
    read(unpacked, target, limits, Foreign::Refuse)?;
    Ok(())
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
