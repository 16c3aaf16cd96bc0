//! A scanned save directory as a tar.
//!
//! The same files give the same bytes. GNU headers; names and link targets that do not fit go before them as GNU long names
//! (raw bytes, so also such as are not UTF-8), times that a header cannot hold as pax records.

use super::mtime::Mtime;
use super::scan::{Kind, Node, Tree};
use super::{SaveRefused, TreeError};
use rustix::fs::OFlags;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use tar::{Builder, EntryType, Header};

/// Whose the files are where they are unpacked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner {
    pub(crate) uid: u64,
    pub(crate) gid: u64,
}

/// Writes what is in the tree below `prefix`.
pub(crate) fn write<W: Write>(
    tree: &Tree,
    prefix: &Path,
    owner: Option<Owner>,
    tar: &mut Builder<W>,
) -> Result<(), TreeError> {
    let mut bytes = 0_u64;
    for node in &tree.nodes {
        let mut header = Header::new_gnu();
        header.set_mode(node.mode);
        header.set_size(0);
        if let Some(Owner { uid, gid }) = owner {
            header.set_uid(uid);
            header.set_gid(gid);
        }
        let name = prefix.join(&node.path);
        match &node.kind {
            Kind::Directory => {
                header.set_entry_type(EntryType::Directory);
                append(tar, header, &name, node.mtime, io::empty())?;
            }
            Kind::Link(target) => {
                header.set_entry_type(EntryType::Symlink);
                set_target(tar, &mut header, target)?;
                append(tar, header, &name, node.mtime, io::empty())?;
            }
            Kind::File => {
                let (file, size) = open(tree, node)?;
                bytes = bytes.saturating_add(size);
                let limit = tree.limits.max_bytes;
                if bytes > limit {
                    return Err(SaveRefused::TooLarge { bytes, limit }.into());
                }
                header.set_entry_type(EntryType::Regular);
                header.set_size(size);
                // A file that shrinks or grows meanwhile would shift what follows it in the archive.
                let exact = ExactReader { inner: file.take(size), left: size };
                append(tar, header, &name, node.mtime, exact)?;
            }
        }
    }
    Ok(())
}

/// Never through a link, and never a pipe that waits for a writer.
fn open(tree: &Tree, node: &Node) -> io::Result<(fs::File, u64)> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(tree.root.join(&node.path))?;
    let metadata = file.metadata()?;
    if metadata.is_file() {
        Ok((file, metadata.len()))
    } else {
        Err(io::Error::other("a save file was replaced"))
    }
}

fn append<W: Write>(
    tar: &mut Builder<W>,
    mut header: Header,
    name: &Path,
    mtime: Mtime,
    data: impl Read,
) -> io::Result<()> {
    let name = name.as_os_str().as_bytes();
    if let Some(time) = mtime.pax() {
        tar.append_pax_extensions([("mtime", time.as_bytes())])?;
    }
    let field = &mut header.as_old_mut().name;
    let short = name.len().min(field.len());
    field[..short].copy_from_slice(&name[..short]);
    if short < name.len() {
        append_long(tar, EntryType::GNULongName, name)?;
    }
    header.set_mtime(mtime.header());
    header.set_cksum();
    tar.append(&header, data)
}

fn set_target<W: Write>(tar: &mut Builder<W>, header: &mut Header, target: &Path) -> io::Result<()> {
    let target = target.as_os_str().as_bytes();
    let field = &mut header.as_old_mut().linkname;
    let short = target.len().min(field.len());
    field[..short].copy_from_slice(&target[..short]);
    if short < target.len() { append_long(tar, EntryType::GNULongLink, target) } else { Ok(()) }
}

/// As GNU tar writes it: an entry before the entry whose name it is.
fn append_long<W: Write>(tar: &mut Builder<W>, kind: EntryType, name: &[u8]) -> io::Result<()> {
    let mut header = Header::new_gnu();
    let own = b"././@LongLink";
    header.as_old_mut().name[..own.len()].copy_from_slice(own);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(name.len() as u64 + 1);
    header.set_entry_type(kind);
    header.set_cksum();
    tar.append(&header, name.chain(&b"\0"[..]))
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
