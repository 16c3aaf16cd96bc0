//! The engine, as far as images need it: connecting, and reading single files out of an image.

use crate::driver::docker::{self, DockerError};
use bollard::Docker;
use bollard::errors::Error;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    CreateContainerOptions, DownloadFromContainerOptions, RemoveContainerOptions,
};
use futures_util::StreamExt;
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// A build answers when its whole context has arrived, which may be gigabytes.
const TIMEOUT: Duration = Duration::from_secs(3600);
/// Largest file read out of an image; a library is a few MiB.
const MAX_FILE: usize = 64 << 20;
/// Symbolic links followed before a path is given up.
const MAX_LINKS: usize = 8;

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("no Docker engine answers at {host}")]
    Unreachable {
        host: String,
        #[source]
        source: Error,
    },
    #[error(transparent)]
    Host(#[from] DockerError),
    #[error("the engine has no image {0}: pull or build it first")]
    NoImage(String),
    #[error("the engine refuses: {0}")]
    Refused(#[from] Error),
    #[error("cannot read {path} in the image: {message}")]
    Unreadable { path: String, message: String },
}

/// Connects and negotiates the API's version. `host` as in the configuration's `docker.host`.
pub async fn connect(host: Option<&str>) -> Result<Docker, EngineError> {
    let host = format!("unix://{}", docker::socket(host)?);
    let unreachable = |source| EngineError::Unreachable { host: host.clone(), source };
    let docker = Docker::connect_with_host(&host).map_err(unreachable)?;
    let docker =
        docker.with_timeout(Duration::from_secs(10)).negotiate_version().await.map_err(unreachable)?;
    Ok(docker.with_timeout(TIMEOUT))
}

/// An image opened for reading: a container of it that never runs. [`ImageFiles::close`] removes it.
pub struct ImageFiles<'a> {
    docker: &'a Docker,
    container: String,
}

impl<'a> ImageFiles<'a> {
    pub async fn open(docker: &'a Docker, image: &str) -> Result<Self, EngineError> {
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            // An image without a command needs one to become a container; it is never run.
            cmd: Some(vec!["/never-run".to_owned()]),
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptions {
            name: Some(format!("playgate-image-files-{}", uuid::Uuid::new_v4().simple())),
            ..CreateContainerOptions::default()
        };
        match docker.create_container(Some(options), body).await {
            Ok(made) => Ok(Self { docker, container: made.id }),
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => {
                Err(EngineError::NoImage(image.to_owned()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The file's bytes, symbolic links followed; `None` when there is no such file.
    pub async fn read(&self, path: &str) -> Result<Option<Vec<u8>>, EngineError> {
        let mut path = PathBuf::from(path);
        for _ in 0..MAX_LINKS {
            let Some(archive) = self.archive(&path).await? else { return Ok(None) };
            let found = first_entry(&archive).map_err(|error| unreadable(&path, &error.to_string()))?;
            match found {
                Found::File(bytes) => return Ok(Some(bytes)),
                Found::Link(target) => path = resolve(&path, &target),
                Found::Other => return Ok(None),
            }
        }
        Err(unreadable(&path, "too many symbolic links"))
    }

    pub async fn close(self) -> Result<(), EngineError> {
        let options = RemoveContainerOptions { force: true, v: true, ..RemoveContainerOptions::default() };
        Ok(self.docker.remove_container(&self.container, Some(options)).await?)
    }

    /// What the archive API gives of a path: a tar.
    async fn archive(&self, path: &Path) -> Result<Option<Vec<u8>>, EngineError> {
        let options = DownloadFromContainerOptions { path: path.to_string_lossy().into_owned() };
        let mut stream = std::pin::pin!(self.docker.download_from_container(&self.container, Some(options)));
        let mut bytes = Vec::new();
        while let Some(chunk) = stream.next().await {
            match chunk {
                Ok(chunk) if bytes.len() + chunk.len() > MAX_FILE => {
                    return Err(unreadable(path, "it is too large"));
                }
                Ok(chunk) => bytes.extend_from_slice(&chunk),
                Err(Error::DockerResponseServerError { status_code: 404, .. }) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(bytes))
    }
}

fn unreadable(path: &Path, message: &str) -> EngineError {
    EngineError::Unreadable { path: path.display().to_string(), message: message.to_owned() }
}

enum Found {
    File(Vec<u8>),
    Link(PathBuf),
    Other,
}

fn first_entry(archive: &[u8]) -> std::io::Result<Found> {
    let mut archive = tar::Archive::new(archive);
    let Some(entry) = archive.entries()?.next() else { return Ok(Found::Other) };
    let mut entry = entry?;
    let kind = entry.header().entry_type();
    if kind.is_symlink() {
        return Ok(entry.link_name()?.map_or(Found::Other, |target| Found::Link(target.into_owned())));
    }
    if !kind.is_file() {
        return Ok(Found::Other);
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes)?;
    Ok(Found::File(bytes))
}

/// Where a link at `path` points: `..` never climbs above the root.
fn resolve(path: &Path, target: &Path) -> PathBuf {
    let mut at =
        if target.is_absolute() { PathBuf::from("/") } else { path.parent().unwrap_or(path).to_owned() };
    for part in target.components() {
        match part {
            Component::Normal(name) => at.push(name),
            Component::ParentDir => {
                at.pop();
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_as_the_file_system_would() {
        let library = Path::new("/usr/lib/x86_64-linux-gnu/libstdc++.so.6");
        assert_eq!(
            resolve(library, Path::new("libstdc++.so.6.0.30")),
            Path::new("/usr/lib/x86_64-linux-gnu/libstdc++.so.6.0.30")
        );
        assert_eq!(resolve(library, Path::new("/lib/x")), Path::new("/lib/x"));
        assert_eq!(resolve(library, Path::new("../../../../../etc/x")), Path::new("/etc/x"));
    }
}
