//! Files of a container that has ended, as a gzip-compressed tar (contract rule 15, G15, G16).
//!
//! The engine's tar is read once, as fast as it comes, judged entry by entry ([`pack`]) and written compressed to a file
//! without a name; only then is the first byte given out. So the size is known, an archive that breaks off never looks like
//! an answer, and a slow reader costs disk, not memory, and does not hold the container: the engine locks it until the last
//! byte of an archive has been read.
//!
//! Symbolic links on the way to the artifact are resolved by the engine, inside the container's own root; a path that is
//! itself a link is what the link leads to.

mod pack;
mod path;
mod spool;

use super::error::{DockerError, status_of};
use super::look::{container_of_node, plays};
use super::{Node, chunks};
use crate::driver::{ArtifactError, ByteStream};
use bollard::Docker;
use bollard::query_parameters::{ContainerArchiveInfoOptionsBuilder, DownloadFromContainerOptionsBuilder};
use futures_util::StreamExt;
use path::ArtifactPath;
use std::time::Duration;

pub(super) use spool::Spool;

/// The engine's mark of a symbolic link in a file's mode (Go's `ModeSymlink`).
const SYMLINK: u32 = 1 << 27;
/// An engine that gives nothing for so long has failed: others wait for the spool.
const STALL: Duration = Duration::from_secs(60);

/// `limit` bounds the sum of the files' sizes, in bytes.
pub(super) async fn fetch(
    node: &Node,
    container: &str,
    path: &str,
    limit: u64,
) -> Result<ByteStream, ArtifactError> {
    let asked = ArtifactPath::parse(path).ok_or_else(|| {
        ArtifactError::NotFound(format!("`{path}` is no path of a container: it must begin with a slash"))
    })?;
    let found = container_of_node(node, container).await.map_err(driver)?;
    let found = found.ok_or_else(|| {
        ArtifactError::NotFound("the container is not there any more, and its files with it".to_owned())
    })?;
    if plays(&found) {
        let text = "the container still runs: its files can be had once it has stopped";
        return Err(ArtifactError::NotFound(text.to_owned()));
    }
    let id = found.id.unwrap_or_else(|| container.to_owned());
    let at = resolve(&node.engine, &id, &asked).await?;
    let room = node.spool.room().await.map_err(driver)?;

    let is_root = at == "/";
    let options = DownloadFromContainerOptionsBuilder::default().path(&at).build();
    let body = node.engine.download_from_container(&id, Some(options));
    let mut body = Box::pin(unless_stalled(body));
    let first = match body.next().await {
        Some(Err(error)) => return Err(refused(error, &asked)),
        first => first,
    };
    let (file, name) = (node.spool.file().map_err(driver)?, asked.name().to_owned());
    let packed =
        chunks::read_blocking(first, body, move |from| pack::pack(from, file, &name, is_root, limit))
            .await
            .map_err(|failed| driver(DockerError::Spool(std::io::Error::other(failed))))??;
    if packed.left_out > 0 {
        tracing::debug!(
            container = id,
            left_out = packed.left_out,
            "an artifact holds what is not given out"
        );
    }
    Ok(spool::stream(packed.file, room))
}

/// Where the artifact is: the path itself, or where it leads.
async fn resolve(engine: &Docker, container: &str, asked: &ArtifactPath) -> Result<String, ArtifactError> {
    let options = ContainerArchiveInfoOptionsBuilder::default().path(asked.as_str()).build();
    let stat = engine
        .get_container_archive_info(container, Some(options))
        .await
        .map_err(|error| refused(error, asked))?;
    if stat.file_mode & SYMLINK == 0 {
        return Ok(asked.as_str().to_owned());
    }
    // Evaluated by the engine to its end, inside the container's root.
    let target = ArtifactPath::parse(&stat.link_target).ok_or_else(|| missing(asked))?;
    Ok(target.as_str().to_owned())
}

/// Ends with an error when nothing comes for [`STALL`].
fn unless_stalled<T, E: From<std::io::Error>>(
    body: impl futures_util::Stream<Item = Result<T, E>>,
) -> impl futures_util::Stream<Item = Result<T, E>> {
    let body = Box::pin(body);
    futures_util::stream::unfold(Some(body), |body| async move {
        let mut body = body?;
        match tokio::time::timeout(STALL, body.next()).await {
            Ok(next) => next.map(|next| (next, Some(body))),
            Err(_) => Some((Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()), None)),
        }
    })
}

fn missing(asked: &ArtifactPath) -> ArtifactError {
    ArtifactError::NotFound(format!("there is no `{}` in the container", asked.as_str()))
}

fn refused(error: bollard::errors::Error, asked: &ArtifactPath) -> ArtifactError {
    match status_of(&error) {
        // The latter is a file that is asked for as a folder.
        Some(404 | 400) => missing(asked),
        Some(_) | None => driver(DockerError::Engine { what: "give an artifact out", error }),
    }
}

fn driver(error: DockerError) -> ArtifactError {
    ArtifactError::Driver(error.into())
}
