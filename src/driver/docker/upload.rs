//! The restored save on its way into the volumes, as a stream of tar.
//!
//! A thread reads the files; the request's body drinks from a channel of a few chunks, so that a large save is never in
//! memory. When the request ends early, the channel's other end is gone and the thread ends with it.

use super::create::{PORTER_DIR, PORTER_HOME, PORTER_SAVE};
use super::error::DockerError;
use super::paths::{GID, SaveAt, UID};
use crate::save_tree::{Owner, SaveLimits, TreeError, scan, write};
use bollard::Docker;
use bollard::query_parameters::UploadToContainerOptionsBuilder;
use bytes::Bytes;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
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
        let packed = pack(&mut out, &save_at, &save_dir).map_err(|error| match error {
            TreeError::Io(error) => error,
            TreeError::Refused(refused) => io::Error::other(refused),
        });
        let packed = packed.and_then(|()| out.flush());
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

const PLAYER: Owner = Owner { uid: UID, gid: GID };

/// Both volumes' topmost directories, the way to the save, and the save.
fn pack(out: impl Write, save_at: &SaveAt, save_dir: &Path) -> Result<(), TreeError> {
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
        write(&scan(save_dir, SaveLimits::NONE)?, &to, Some(PLAYER), &mut tar)?;
    }
    Ok(tar.finish()?)
}

fn directory(tar: &mut Builder<impl Write>, to: &Path) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Directory);
    header.set_mode(0o755);
    header.set_size(0);
    header.set_uid(PLAYER.uid);
    header.set_gid(PLAYER.gid);
    header.set_mtime(0);
    tar.append_data(&mut header, to, io::empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::save_tree::{Foreign, read, sample};
    use proptest::prelude::*;
    use std::fs;

    /// What is restored into a container and collected from it, without an engine between.
    fn through_a_container(save_at: &SaveAt, save_dir: &Path, scratch: &Path) -> PathBuf {
        let mut bytes = Vec::new();
        pack(&mut bytes, save_at, save_dir).unwrap();
        let volumes = scratch.join("volumes");
        let foreign = Foreign::LeaveOut { own: Path::new("/porter") };
        let left_out = read(bytes.as_slice(), &volumes, SaveLimits::NONE, foreign).unwrap();
        assert!(left_out.is_empty(), "{left_out}");
        match save_at {
            SaveAt::Own => volumes.join(PORTER_SAVE),
            SaveAt::Home(below) => volumes.join(PORTER_HOME).join(below),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]
        #[test]
        fn any_save_goes_in_and_comes_out_the_same(tree in sample::trees(), own in any::<bool>()) {
            let dir = tempfile::tempdir().unwrap();
            let save_dir = dir.path().join("save");
            sample::make(&tree, &save_dir);
            let save_at = if own { SaveAt::Own } else { SaveAt::Home("a/b".into()) };
            let came_out = through_a_container(&save_at, &save_dir, dir.path());
            prop_assert_eq!(sample::found(&came_out), tree);
        }
    }

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
