//! A save on its way out of a stopped container: unpacked beside its place, then put there in one move.
//!
//! Whatever fails (the engine, the archive, a full disk, a save over its limits) leaves the place as it was.

use super::chunks;
use super::error::{DockerError, status_of};
use crate::driver::CollectError;
use crate::save_tree::{Foreign, LeftOut, SaveLimits, SaveRefused, TreeError, read};
use bollard::Docker;
use bollard::query_parameters::DownloadFromContainerOptionsBuilder;
use futures_util::StreamExt;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Replaces `target` by what is at `save_path` of the container: by an empty directory when the game has removed its own,
/// which was there when it was started. Tells what is not kept. The engine gives times to the second.
pub(super) async fn collect(
    engine: &Docker,
    container: &str,
    save_path: &str,
    target: &Path,
    limits: SaveLimits,
) -> Result<LeftOut, CollectError> {
    let path = format!("{}/.", save_path.trim_end_matches('/'));
    let options = DownloadFromContainerOptionsBuilder::default().path(&path).build();
    let mut body = Box::pin(engine.download_from_container(container, Some(options)));
    let first = match body.next().await {
        Some(Err(error)) if status_of(&error) == Some(404) => {
            is_there(engine, container).await?;
            let target = target.to_owned();
            let emptied =
                tokio::task::spawn_blocking(move || replace(&target, |staging| Ok(fs::create_dir(staging)?)));
            return emptied.await.map_err(joined)?.map(|()| LeftOut::default()).map_err(failed);
        }
        Some(Err(error)) => return Err(DockerError::Engine { what: "give the save out", error }.into()),
        first => first,
    };
    let (target, own) = (target.to_owned(), PathBuf::from(save_path));
    let collected = chunks::read_blocking(first, body, move |from| unpack(from, &target, limits, &own)).await;
    collected.map_err(joined)?.map_err(failed)
}

/// An error when there is no container any more.
async fn is_there(engine: &Docker, container: &str) -> Result<(), CollectError> {
    match engine.inspect_container(container, None).await {
        Ok(_) => Ok(()),
        Err(error) if status_of(&error) == Some(404) => Err(SaveRefused::Gone.into()),
        Err(error) => Err(DockerError::Engine { what: "give the save out", error }.into()),
    }
}

fn failed(error: TreeError) -> CollectError {
    match error {
        TreeError::Io(error) => DockerError::TakeSave(error).into(),
        TreeError::Refused(refused) => refused.into(),
    }
}

fn joined(error: tokio::task::JoinError) -> CollectError {
    DockerError::TakeSave(io::Error::other(error)).into()
}

fn unpack(from: impl Read, target: &Path, limits: SaveLimits, own: &Path) -> Result<LeftOut, TreeError> {
    replace(target, |staging| read(from, staging, limits, Foreign::LeaveOut { own }))
}

/// Puts what `make` makes in the place of `target`, or leaves `target` as it was.
fn replace<T>(target: &Path, make: impl FnOnce(&Path) -> Result<T, TreeError>) -> Result<T, TreeError> {
    let staging = beside(target, "collecting");
    let result = make(&staging).and_then(|made| {
        swap(&staging, target, &beside(target, "replaced"))?;
        Ok(made)
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

/// A free name in the same directory.
fn beside(target: &Path, what: &str) -> PathBuf {
    target.with_extension(format!("{what}-{}", Uuid::new_v4()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpacked(archive: &[u8], target: &Path) -> Result<LeftOut, TreeError> {
        unpack(archive, target, SaveLimits::default(), Path::new("/save"))
    }

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
        unpacked(&tar_of("new", b"new"), &target).unwrap();
        assert_eq!(names(&target), ["new"]);
        assert_eq!(names(dir.path()), ["save"]);
        let fresh = dir.path().join("fresh");
        unpacked(&tar_of("new", b"new"), &fresh).unwrap();
        assert_eq!(names(&fresh), ["new"]);
    }

    #[test]
    fn a_failure_leaves_the_old_save_and_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("save");
        fs::create_dir(&target).unwrap();
        fs::write(target.join("old"), "old").unwrap();
        let whole = tar_of("new", &[1; 4000]);
        unpacked(&whole[..1000], &target).unwrap_err();
        assert_eq!(names(&target), ["old"]);
        assert_eq!(names(dir.path()), ["save"]);
    }
}
