//! What the engine builds from, as a stream: Dockerfile, base, game, runner.
//!
//! A thread writes the tar; [`QUEUE`] chunks wait between it and the connection, then it waits. Dropping the stream ends
//! the thread.

use super::dockerfile::{DIR, ROOTFS, RUNNER_FILE, copy_name};
use super::progress::Progress;
use super::{BaseSource, BuildError, BuildPlan};
use bytes::Bytes;
use futures_util::Stream;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;

pub(super) const DOCKERFILE: &str = "Dockerfile";
/// Chunks of [`CHUNK`] bytes waiting for the connection; when it is full the writing thread waits.
const QUEUE: usize = 8;
const CHUNK: usize = 256 * 1024;

/// The runner's file; a stripped copy is deleted when this is dropped.
#[derive(Debug)]
pub(super) struct Runner {
    path: PathBuf,
    temporary: bool,
}

impl Runner {
    /// Without symbols where `strip` is there and can do it: a third of the size. Else as it is.
    pub(super) async fn prepare(program: &Path) -> Result<Self, BuildError> {
        let path = std::env::temp_dir().join(format!("playgate-runner-{}", uuid::Uuid::new_v4().simple()));
        let stripped = Self { path, temporary: true };
        let done = tokio::process::Command::new("strip")
            .arg("-o")
            .args([&stripped.path, program])
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status()
            .await;
        match done {
            Ok(status) if status.success() => Ok(stripped),
            Ok(_) | Err(_) => Ok(Self { path: program.to_owned(), temporary: false }),
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        if self.temporary {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Everything that goes into the context, found to be there.
#[derive(Debug)]
pub(super) struct Source {
    dockerfile: String,
    /// Name in the context and path on this machine, directories with everything in them.
    parts: Vec<(String, PathBuf)>,
    bytes: u64,
    _runner: Runner,
}

impl Source {
    pub(super) fn of(plan: &BuildPlan, dockerfile: String, runner: Runner) -> Result<Self, BuildError> {
        let mut parts = Vec::new();
        if let BaseSource::Rootfs(path) = &plan.base {
            parts.push((ROOTFS.to_owned(), path.clone()));
        }
        parts.extend(plan.dir.iter().map(|dir| (DIR.to_owned(), dir.clone())));
        parts.extend(
            plan.copies.iter().enumerate().map(|(index, copy)| (copy_name(index), copy.from.clone())),
        );
        parts.push((RUNNER_FILE.to_owned(), runner.path.clone()));
        let mut bytes = 0;
        for (name, path) in &parts {
            bytes += size(path, name == DIR).map_err(|source| failed(&path.display().to_string(), source))?;
        }
        Ok(Self { dockerfile, parts, bytes, _runner: runner })
    }

    /// About what will be sent.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn stream(self, progress: Progress) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
        let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(QUEUE);
        tokio::task::spawn_blocking(move || {
            let chunks = Chunks { sender: sender.clone(), progress };
            if let Err(error) = self.write(BufWriter::with_capacity(CHUNK, chunks)) {
                // Nobody listens any more when the stream itself was dropped.
                let _ = sender.blocking_send(Err(error));
            }
        });
        futures_util::stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)))
    }

    fn write(&self, out: impl Write) -> io::Result<()> {
        let mut archive = tar::Builder::new(out);
        archive.follow_symlinks(false);
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(self.dockerfile.len()).unwrap_or(u64::MAX));
        header.set_mode(0o644);
        archive.append_data(&mut header, DOCKERFILE, self.dockerfile.as_bytes())?;
        for (name, path) in &self.parts {
            // The parts themselves may be links of this machine; what lies in a directory stays as it is.
            let path = path.canonicalize()?;
            if name == RUNNER_FILE {
                let mut file = std::fs::File::open(&path)?;
                let mut header = tar::Header::new_gnu();
                header.set_metadata(&file.metadata()?);
                header.set_mode(0o755);
                archive.append_data(&mut header, name, &mut file)?;
            } else if path.is_dir() {
                archive.append_dir_all(name, &path)?;
            } else {
                archive.append_path_with_name(&path, name)?;
            }
        }
        archive.into_inner()?.flush()
    }
}

/// Passes bytes on to the connection's task.
struct Chunks {
    sender: mpsc::Sender<io::Result<Bytes>>,
    progress: Progress,
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.sender.blocking_send(Ok(Bytes::copy_from_slice(bytes))).map_err(gone)?;
        self.progress.sent(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) fn failed(path: &str, source: io::Error) -> BuildError {
    BuildError::Source { path: path.to_owned(), source }
}

/// Of a file, or of everything in a directory.
fn size(path: &Path, must_be_directory: bool) -> io::Result<u64> {
    let found = std::fs::metadata(path)?;
    if !found.is_dir() {
        return if must_be_directory { Err(io::ErrorKind::NotADirectory.into()) } else { Ok(found.len()) };
    }
    let mut bytes = 0;
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        bytes += if kind.is_dir() { size(&entry.path(), false)? } else { entry.metadata()?.len() };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::CopySpec;
    use super::*;
    use futures_util::StreamExt;
    use std::collections::BTreeMap;
    use std::io::Read;

    fn plan(dir: &Path) -> BuildPlan {
        BuildPlan {
            base: BaseSource::Rootfs(dir.join("base.tar")),
            tag: "x".to_owned(),
            generic: false,
            slim: false,
            packages: Vec::new(),
            dir: Some(dir.join("game")),
            copies: vec![CopySpec { from: dir.join("fix.patch"), to: "/tmp/fix".to_owned() }],
            runs: Vec::new(),
            env: Vec::new(),
            command: vec!["./start".to_owned()],
            runner: std::env::current_exe().unwrap(),
            gstreamer: false,
            no_cache: false,
            verbose: false,
        }
    }

    fn runner(dir: &Path) -> Runner {
        Runner { path: dir.join("the-runner"), temporary: false }
    }

    #[tokio::test]
    async fn base_game_copies_and_runner_are_streamed_whole() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path();
        std::fs::create_dir_all(at.join("game/data")).unwrap();
        // More than the queue holds: the writer has to wait for the reader.
        let large = vec![7_u8; CHUNK * (QUEUE + 4) + 3];
        for (name, bytes) in [
            ("base.tar", &large[..]),
            ("game/data/level", b"one"),
            ("fix.patch", b"fix"),
            ("the-runner", b"elf"),
        ] {
            std::fs::write(at.join(name), bytes).unwrap();
        }
        std::os::unix::fs::symlink("data/level", at.join("game/start")).unwrap();
        let source = Source::of(&plan(at), "FROM scratch\n".to_owned(), runner(at)).unwrap();
        assert_eq!(source.bytes(), u64::try_from(large.len()).unwrap() + 3 + 10 + 3 + 3);
        let chunks: Vec<_> = source.stream(Progress::silent()).collect().await;
        let bytes: Vec<u8> = chunks.into_iter().flat_map(|chunk| chunk.unwrap().to_vec()).collect();
        let mut found = BTreeMap::new();
        for entry in tar::Archive::new(&bytes[..]).entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().display().to_string();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            if name == RUNNER_FILE {
                assert_eq!(entry.header().mode().unwrap(), 0o755, "the runner can be started");
            }
            if let Some(target) = entry.link_name().unwrap() {
                content = target.display().to_string().into_bytes();
            }
            found.insert(name.trim_end_matches('/').to_owned(), content);
        }
        assert_eq!(found["Dockerfile"], b"FROM scratch\n");
        assert!(found["rootfs"] == large, "the base is whole");
        assert_eq!(found["dir/data/level"], b"one");
        assert_eq!(found["dir/start"], b"data/level", "a link stays a link");
        assert_eq!(found["copy-0"], b"fix");
        assert_eq!(found["runner"], b"elf");
    }

    #[test]
    fn what_is_not_there_is_named_before_anything_is_sent() {
        let dir = tempfile::tempdir().unwrap();
        let error = Source::of(&plan(dir.path()), String::new(), runner(dir.path())).unwrap_err();
        assert!(error.to_string().contains("base.tar"), "{error}");
    }

    #[tokio::test]
    async fn a_runner_that_cannot_be_stripped_goes_as_it_is() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let runner = Runner::prepare(&file).await.unwrap();
        assert_eq!(runner.path, file);
        drop(runner);
        assert!(file.exists());
    }
}
