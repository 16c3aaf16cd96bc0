//! The save directory: one file, `save.bin`, whole at every moment.
//!
//! Written as a new file, flushed, renamed, and the directory flushed. One thread owns the writing, so that neither game
//! nor control channel ever waits for a disk; of several saves that wait, only the newest is written.

use super::Event;
use super::signal::Signal;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::mpsc;

const FILE: &str = "save.bin";
const NEW: &str = "save.bin.new";
/// Largest save that is read: a built-in game's is a few kilobytes.
const MAX_BYTES: u64 = 64 << 20;

/// What waits for the writer.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// Newest wins.
    pub(super) bytes: Option<Vec<u8>>,
    /// Of a program, which writes its save itself: say when the directory has come to rest.
    pub(super) flush: bool,
    /// Write what is there, then end.
    pub(super) end: bool,
}

/// The save of an earlier run, if there is one.
pub(super) fn load(directory: &Path) -> io::Result<Option<Vec<u8>>> {
    std::fs::create_dir_all(directory)?;
    let file = match File::open(directory.join(FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_BYTES {
        return Err(io::Error::other("the file is larger than 64 MiB"));
    }
    Ok(Some(bytes))
}

/// Replaces the save; at any crash either the old or the new one is there, complete.
pub(super) fn write(directory: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = directory.join(NEW);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, directory.join(FILE))?;
    File::open(directory)?.sync_all()
}

/// The writer thread's body; ends when told to.
pub(super) fn run(directory: &Path, inbox: &Arc<Signal<Inbox>>, events: &mpsc::Sender<Event>) {
    let mut written: Option<Vec<u8>> = None;
    loop {
        let (bytes, end) = inbox.wait(
            None,
            |inbox| inbox.bytes.is_some() || inbox.end,
            |inbox| (inbox.bytes.take(), inbox.end),
        );
        if let Some(bytes) = bytes {
            let result = if written.as_ref() == Some(&bytes) { Ok(()) } else { write(directory, &bytes) };
            let event = match result {
                Ok(()) => {
                    written = Some(bytes);
                    Event::Saved
                }
                Err(error) => Event::SaveFailed(error),
            };
            let _ = events.blocking_send(event);
        } else if end {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_save_is_replaced_whole_and_read_back() {
        let directory = tempfile::tempdir().expect("directory");
        let inside = directory.path().join("new");
        assert_eq!(load(&inside).expect("reads"), None);
        write(&inside, b"one").expect("writes");
        write(&inside, b"two").expect("writes");
        assert_eq!(load(&inside).expect("reads").as_deref(), Some(&b"two"[..]));
        let names: Vec<_> =
            std::fs::read_dir(&inside).expect("lists").map(|e| e.expect("entry").file_name()).collect();
        assert_eq!(names, ["save.bin"]);
    }

    #[test]
    fn a_half_written_new_file_does_not_count() {
        let directory = tempfile::tempdir().expect("directory");
        write(directory.path(), b"good").expect("writes");
        std::fs::write(directory.path().join(NEW), b"ha").expect("writes");
        assert_eq!(load(directory.path()).expect("reads").as_deref(), Some(&b"good"[..]));
        write(directory.path(), b"better").expect("writes over it");
        assert_eq!(load(directory.path()).expect("reads").as_deref(), Some(&b"better"[..]));
    }
}
