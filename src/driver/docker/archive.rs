//! A save on its way out of a stopped container: unpacked beside its place, then put there in one move.
//!
//! Whatever fails (the engine, the archive, a full disk) leaves the place as it was.

use super::chunks;
use super::error::{DockerError, status_of};
use super::unpack::{LIMITS, unpack};
use bollard::Docker;
use bollard::query_parameters::DownloadFromContainerOptionsBuilder;
use futures_util::StreamExt;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Replaces `target` by what is at `save_path` of the container. A container without that path leaves `target` alone.
pub(super) async fn collect(
    engine: &Docker,
    container: &str,
    save_path: &str,
    target: &Path,
) -> Result<(), DockerError> {
    let path = format!("{}/.", save_path.trim_end_matches('/'));
    let options = DownloadFromContainerOptionsBuilder::default().path(&path).build();
    let mut body = Box::pin(engine.download_from_container(container, Some(options)));
    let first = match body.next().await {
        Some(Err(error)) if status_of(&error) == Some(404) => {
            return absent(engine, container).await;
        }
        Some(Err(error)) => return Err(DockerError::Engine { what: "give the save out", error }),
        first => first,
    };
    let target = target.to_owned();
    let left_out = chunks::read_blocking(first, body, move |from| replace(from, &target))
        .await
        .map_err(|failed| DockerError::TakeSave(io::Error::other(failed)))??;
    if left_out > 0 {
        tracing::debug!(container, left_out, "a save holds links or devices, which are not kept");
    }
    Ok(())
}

/// There is no save: because the game has left none, or because there is no container any more.
async fn absent(engine: &Docker, container: &str) -> Result<(), DockerError> {
    match engine.inspect_container(container, None).await {
        Ok(_) => Ok(()),
        Err(error) if status_of(&error) == Some(404) => Err(DockerError::Gone),
        Err(error) => Err(DockerError::Engine { what: "give the save out", error }),
    }
}

fn replace(mut from: impl Read, target: &Path) -> Result<usize, DockerError> {
    let staging = beside(target, "collecting");
    let result = unpack(&mut from, &staging, LIMITS).and_then(|left_out| {
        // To the very end, which tells whether it is one.
        io::copy(&mut from, &mut io::sink())
            .and_then(|_| swap(&staging, target, &beside(target, "replaced")))
            .map(|()| left_out)
            .map_err(DockerError::TakeSave)
    });
    if result.is_err() {
        let _ = fs::remove_dir_all(&staging);
    }
    result
}

fn swap(staging: &Path, target: &Path, aside: &Path) -> io::Result<()> {
    let replaces = match fs::rename(target, aside) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(error),
    };
    if let Err(error) = fs::rename(staging, target) {
        if replaces {
            fs::rename(aside, target)?;
        }
        return Err(error);
    }
    if replaces && let Err(error) = fs::remove_dir_all(aside) {
        tracing::debug!(%error, "what a save has replaced stays behind");
    }
    Ok(())
}

/// A name that nobody has, in the same directory.
fn beside(target: &Path, what: &str) -> PathBuf {
    target.with_extension(format!("{what}-{}", Uuid::new_v4()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tar_of(name: &str, data: &[u8]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, data).unwrap();
        tar.into_inner().unwrap()
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_new_save_takes_the_place_of_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("save");
        fs::create_dir(&target).unwrap();
        fs::write(target.join("old"), "old").unwrap();
        replace(tar_of("new", b"new").as_slice(), &target).unwrap();
        assert_eq!(names(&target), ["new"]);
        assert_eq!(names(dir.path()), ["save"]);
        let fresh = dir.path().join("fresh");
        replace(tar_of("new", b"new").as_slice(), &fresh).unwrap();
        assert_eq!(names(&fresh), ["new"]);
    }

    #[test]
    fn a_failure_leaves_the_old_save_and_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("save");
        fs::create_dir(&target).unwrap();
        fs::write(target.join("old"), "old").unwrap();
        let whole = tar_of("new", &[1; 4000]);
        replace(&whole[..1000], &target).unwrap_err();
        assert_eq!(names(&target), ["old"]);
        assert_eq!(names(dir.path()), ["save"]);
    }
}
