//! The entries of a tar with their long names, link targets and times, read within bounds.
//!
//! Read by hand, because the `tar` crate reads an extension of any size into memory, and splits pax records at line ends,
//! which may be part of a name. Sparse files and files over 8 GiB are refused: no save has them.

use super::mtime::Mtime;
use super::{SaveRefused, TreeError};
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use tar::{Entry, EntryType};

/// Largest long name, link target or list of pax records before an entry, in bytes.
const MAX_EXTENSION_BYTES: u64 = 64 * 1024;

/// What was said before an entry about it.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    name: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    pax_name: Option<Vec<u8>>,
    pax_target: Option<Vec<u8>>,
    mtime: Option<Mtime>,
}

/// An entry with everything that was said of it.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) path: PathBuf,
    /// Of a link; empty when there is none.
    pub(super) target: PathBuf,
    pub(super) kind: EntryType,
    pub(super) mode: u32,
    pub(super) mtime: Mtime,
    pub(super) size: u64,
}

impl Extensions {
    /// Takes in an extension. False when the entry is none.
    pub(super) fn take_in<R: Read>(&mut self, entry: &mut Entry<R>) -> Result<bool, TreeError> {
        let kind = entry.header().entry_type();
        if kind.is_gnu_longname() {
            self.name = Some(terminated(content(entry)?));
        } else if kind.is_gnu_longlink() {
            self.target = Some(terminated(content(entry)?));
        } else if kind.is_pax_local_extensions() {
            self.pax(&content(entry)?)?;
        } else if kind.is_pax_global_extensions() {
            // About the archive, not about a file.
            content(entry)?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// The entry they are about. They are spent.
    pub(super) fn about<R: Read>(&mut self, entry: &Entry<R>) -> Result<Record, TreeError> {
        let said = std::mem::take(self);
        let header = entry.header();
        let name = said.name.or(said.pax_name).unwrap_or_else(|| header.path_bytes().into_owned());
        let target = said.target.or(said.pax_target);
        let target = target.or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned));
        let path = |bytes: Vec<u8>| PathBuf::from(OsStr::from_bytes(&bytes));
        Ok(Record {
            path: path(name),
            target: path(target.unwrap_or_default()),
            kind: header.entry_type(),
            mode: header.mode()?,
            mtime: said.mtime.unwrap_or_else(|| Mtime::of_header(header.mtime().unwrap_or(0))),
            size: header.entry_size()?,
        })
    }

    /// Records of the form `LENGTH KEY=VALUE\n`, the length that of all of it.
    fn pax(&mut self, mut records: &[u8]) -> Result<(), TreeError> {
        while !records.is_empty() && records[0] != 0 {
            let record =
                next(records).ok_or_else(|| SaveRefused::Unsafe("a pax record is broken".to_owned()))?;
            records = &records[record.length..];
            match record.key {
                b"path" => self.pax_name = Some(record.value.to_vec()),
                b"linkpath" => self.pax_target = Some(record.value.to_vec()),
                b"mtime" => self.mtime = Mtime::parse(record.value),
                b"size" => return Err(SaveRefused::Unsafe("a file is over 8 GiB".to_owned()).into()),
                key if key.starts_with(b"GNU.sparse.") => {
                    return Err(SaveRefused::Unsafe("it holds sparse files".to_owned()).into());
                }
                _ => {}
            }
        }
        Ok(())
    }
}

struct PaxRecord<'a> {
    key: &'a [u8],
    value: &'a [u8],
    /// Of all of it, in bytes.
    length: usize,
}

fn next(records: &[u8]) -> Option<PaxRecord<'_>> {
    // No length has more digits than this, and none is looked for further.
    let space = records.iter().take(8).position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(&records[..space]).ok()?.parse().ok()?;
    let record = records.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some(PaxRecord { key: &record[..equals], value: &record[equals + 1..], length })
}

fn content<R: Read>(entry: &mut Entry<R>) -> Result<Vec<u8>, TreeError> {
    let size = entry.header().entry_size()?;
    if size > MAX_EXTENSION_BYTES {
        return Err(SaveRefused::Unsafe("it holds a name that is too long".to_owned()).into());
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn terminated(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.last() == Some(&0) {
        bytes.pop();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pax_records_may_hold_line_ends_and_are_refused_when_broken() {
        let read = |records: &[u8]| {
            let mut extensions = Extensions::default();
            extensions.pax(records).map(|()| extensions)
        };
        let said = read(b"12 path=a\nb\n14 linkpath=c\n13 mtime=1.5\n13 other=yes\n").unwrap();
        assert_eq!((said.pax_name, said.pax_target), (Some(b"a\nb".to_vec()), Some(b"c".to_vec())));
        assert_eq!(said.mtime, Mtime::parse(b"1.5"));
        for broken in
            ["x", "5 a=b", "99 a=b\n", "0 a=b\n", "3 a=b\n", "6 a b\n", "-6 a=b\n", "00000000006 a=b\n"]
        {
            assert!(read(broken.as_bytes()).is_err(), "{broken}");
        }
        for refused in ["11 size=12\n", "22 GNU.sparse.major=1\n"] {
            assert!(read(refused.as_bytes()).is_err(), "{refused}");
        }
    }
}
