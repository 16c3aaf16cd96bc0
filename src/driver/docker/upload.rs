//! The restored save on its way into the volumes, as a stream of tar.
//!
//! A thread reads the files; the request's body drinks from a channel of a few chunks, so that a large save is never in
//! memory. When the request ends early, the channel's other end is gone and the thread ends with it.

use super::create::{PORTER_DIR, PORTER_HOME, PORTER_SAVE};
use super::error::DockerError;
use super::paths::{GID, SaveAt, UID};
use bollard::Docker;
use bollard::query_parameters::UploadToContainerOptionsBuilder;
use bytes::Bytes;
use std::fs;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use tar::{Builder, EntryType, Header};
use tokio::sync::mpsc;

/// Chunks between the thread and the request: when full, the thread waits.
const CHUNKS: usize = 8;
const CHUNK_BYTES: usize = 64 * 1024;

/// Makes the volumes the player's own and fills in the save.
pub(super) async fn fill(
    engine: &Docker,
    porter: &str,
    save_at: &SaveAt,
    save_dir: &Path,
) -> Result<(), DockerError> {
    let (sender, mut chunks) = mpsc::channel(CHUNKS);
    let (save_at, save_dir) = (save_at.clone(), save_dir.to_owned());
    let packing = tokio::task::spawn_blocking(move || {
        let mut out = BufWriter::with_capacity(CHUNK_BYTES, ChunkWriter(sender.clone()));
        let packed = pack(&mut out, &save_at, &save_dir).and_then(|()| out.flush());
        if let Err(error) = &packed {
            // The body must not look whole.
            let _ = sender.blocking_send(Err(io::Error::new(error.kind(), error.to_string())));
        }
        packed
    });
    let body =
        bollard::body_try_stream(futures_util::stream::poll_fn(move |context| chunks.poll_recv(context)));
    let options = UploadToContainerOptionsBuilder::default().path(PORTER_DIR).build();
    let sent = engine.upload_to_container(porter, Some(options), body).await;
    match packing.await {
        // A request that failed closes the channel: then the engine's reason is the one to tell.
        Ok(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => Err(DockerError::PutSave(error)),
        Ok(Ok(()) | Err(_)) => sent.map_err(DockerError::engine("take the save in")),
        Err(failed) => Err(DockerError::PutSave(io::Error::other(failed))),
    }
}

struct ChunkWriter(mpsc::Sender<Result<Bytes, io::Error>>);

impl Write for ChunkWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let chunk = Bytes::copy_from_slice(buffer);
        self.0.blocking_send(Ok(chunk)).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Both volumes' topmost directories, the way to the save, and the save.
fn pack(out: impl Write, save_at: &SaveAt, save_dir: &Path) -> io::Result<()> {
    let mut tar = Builder::new(out);
    directory(&mut tar, Path::new(PORTER_HOME))?;
    let mut to = PathBuf::from(PORTER_HOME);
    match save_at {
        SaveAt::Own => {
            to = PathBuf::from(PORTER_SAVE);
            directory(&mut tar, &to)?;
        }
        SaveAt::Home(below) => {
            for part in below {
                to.push(part);
                directory(&mut tar, &to)?;
            }
        }
    }
    if save_dir.is_dir() {
        tree(&mut tar, save_dir, &to)?;
    }
    tar.finish()
}

fn tree(tar: &mut Builder<impl Write>, from: &Path, to: &Path) -> io::Result<()> {
    for item in fs::read_dir(from)? {
        let item = item?;
        let to = to.join(item.file_name());
        // Of the entry itself: links are not followed, and not taken along.
        let kind = item.file_type()?;
        if kind.is_dir() {
            directory(tar, &to)?;
            tree(tar, &item.path(), &to)?;
        } else if kind.is_file() {
            file(tar, &item.path(), &to)?;
        }
    }
    Ok(())
}

fn directory(tar: &mut Builder<impl Write>, to: &Path) -> io::Result<()> {
    let mut header = header(EntryType::Directory, 0o755, 0);
    tar.append_data(&mut header, to, io::empty())
}

fn file(tar: &mut Builder<impl Write>, from: &Path, to: &Path) -> io::Result<()> {
    let file = fs::File::open(from)?;
    let metadata = file.metadata()?;
    let mut header = header(EntryType::Regular, 0o644, metadata.len());
    // Some games tell the newest save by its time.
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    header.set_mtime(modified.map_or(0, |time| time.as_secs()));
    tar.append_data(&mut header, to, file.take(metadata.len()))
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(UID);
    header.set_gid(GID);
    header.set_mtime(0);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(save_at: &SaveAt, save_dir: &Path) -> Vec<(String, u64)> {
        let mut bytes = Vec::new();
        pack(&mut bytes, save_at, save_dir).unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let entries = archive.entries().unwrap().map(Result::unwrap);
        entries
            .map(|entry| (entry.path().unwrap().display().to_string(), entry.header().uid().unwrap()))
            .collect()
    }

    #[test]
    fn every_directory_on_the_way_is_the_players() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("deep")).unwrap();
        fs::write(dir.path().join("deep/save.bin"), "hi").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).unwrap();
        let own = |paths: &[&str]| paths.iter().map(|path| ((*path).to_owned(), UID)).collect::<Vec<_>>();
        assert_eq!(
            entries(&SaveAt::Own, dir.path()),
            own(&["home", "save", "save/deep", "save/deep/save.bin"])
        );
        assert_eq!(
            entries(&SaveAt::Home("a/b".into()), dir.path()),
            own(&["home", "home/a", "home/a/b", "home/a/b/deep", "home/a/b/deep/save.bin"])
        );
        assert_eq!(entries(&SaveAt::Home(PathBuf::new()), Path::new("/nowhere")), own(&["home"]));
    }
}
