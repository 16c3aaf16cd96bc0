//! Files without a name for archives on their way out: nothing is left of them when they are closed, however that comes.

use crate::driver::ByteStream;
use crate::driver::docker::error::DockerError;
use bytes::BytesMut;
use futures_util::{StreamExt, stream};
use rustix::fs::{Mode, OFlags};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

/// Archives at once, whether they are being packed or read: so much disk they may have together, each the limit of one
/// artifact. Further ones wait for [`PATIENCE`], then they are refused.
const AT_ONCE: usize = 16;
const PATIENCE: Duration = Duration::from_secs(30);
const CHUNK_BYTES: usize = 64 * 1024;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::driver::docker) struct Spool {
    dir: PathBuf,
    room: Arc<Semaphore>,
}

impl Spool {
    /// `dir` is on a disk, and is made when it is not there.
    pub(in crate::driver::docker) fn new(dir: PathBuf) -> Self {
        Self { dir, room: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    pub(super) async fn room(&self) -> Result<OwnedSemaphorePermit, DockerError> {
        match tokio::time::timeout(PATIENCE, Arc::clone(&self.room).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(DockerError::Busy),
        }
    }

    /// Of this user's alone, and without a name.
    pub(super) fn file(&self) -> Result<File, DockerError> {
        std::fs::create_dir_all(&self.dir).map_err(DockerError::Spool)?;
        let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
        match rustix::fs::open(&self.dir, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => Ok(file.into()),
            // A file system that cannot do it.
            Err(_) => self.named_for_a_moment().map_err(DockerError::Spool),
        }
    }

    fn named_for_a_moment(&self) -> io::Result<File> {
        let path = self.dir.join(format!("artifact-{}", Uuid::new_v4()));
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        std::fs::remove_file(&path)?;
        Ok(file)
    }
}

/// From the file's beginning, read as it is taken. `room` is given back with it.
pub(super) fn stream(file: File, room: OwnedSemaphorePermit) -> ByteStream {
    let state = (tokio::fs::File::from_std(file), room, false);
    stream::try_unfold(state, |(mut file, room, begun)| async move {
        if !begun {
            file.rewind().await?;
        }
        let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
        let count = file.read_buf(&mut chunk).await?;
        Ok((count > 0).then(|| (chunk.freeze(), (file, room, true))))
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::TryStreamExt;
    use std::io::Write;

    #[tokio::test]
    async fn a_file_has_no_name_and_comes_out_as_it_went_in() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::new(dir.path().join("spool"));
        for named in [false, true] {
            let mut file = if named { spool.named_for_a_moment().unwrap() } else { spool.file().unwrap() };
            let text = "x".repeat(3 * CHUNK_BYTES + 1);
            file.write_all(text.as_bytes()).unwrap();
            assert_eq!(std::fs::read_dir(dir.path().join("spool")).unwrap().count(), 0);
            let stream = stream(file, spool.room().await.unwrap());
            assert_eq!(spool.room.available_permits(), AT_ONCE - 1);
            let back = stream.map_ok(|chunk| chunk.to_vec()).try_concat().await.unwrap();
            assert!(back == text.as_bytes());
            assert_eq!(spool.room.available_permits(), AT_ONCE);
        }
    }
}
