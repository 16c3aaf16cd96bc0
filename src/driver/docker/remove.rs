//! Removes what is not needed any more: one instance's objects, or strays of this node's.
//!
//! What is already gone is as good as removed. Networks stay.

use super::Node;
use super::error::{DockerError, status_of, unless_absent};
use super::names::{Names, SESSION, of_node};
use crate::model::ids::SessionId;
use bollard::Docker;
use bollard::errors::Error as EngineError;
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveVolumeOptions,
};
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use tokio::time::Instant;

/// How long an engine that is away, or busy with the same object, is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);

/// The containers, playing or not, and their volumes.
pub(super) async fn instance(engine: &Docker, names: &Names) -> Result<(), EngineError> {
    container(engine, &names.porter()).await?;
    container(engine, &names.container).await?;
    volume(engine, &names.home()).await?;
    volume(engine, &names.save()).await
}

/// Volumes without a name of ours (an image may ask for such) go with it.
pub(super) async fn container(engine: &Docker, name: &str) -> Result<(), EngineError> {
    let tries = Tries::new();
    loop {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        if tries.done(engine.remove_container(name, Some(options)).await)? {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn volume(engine: &Docker, name: &str) -> Result<(), EngineError> {
    let tries = Tries::new();
    loop {
        if tries.done(engine.remove_volume(name, None::<RemoveVolumeOptions>).await)? {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Tries again while the engine is away, or has not finished with the object (409).
struct Tries {
    deadline: Instant,
}

impl Tries {
    fn new() -> Self {
        Self { deadline: Instant::now() + PATIENCE }
    }

    /// False: not yet.
    fn done(&self, removed: Result<(), EngineError>) -> Result<bool, EngineError> {
        match unless_absent(removed) {
            Ok(_) => Ok(true),
            Err(error) => {
                let passes = matches!(status_of(&error), None | Some(409));
                if passes && Instant::now() < self.deadline { Ok(false) } else { Err(error) }
            }
        }
    }
}

/// Everything of this node's that belongs to no session of `keep`; gives how many sessions' it was.
pub(super) async fn strays(node: &Node, keep: &HashSet<SessionId>) -> Result<usize, DockerError> {
    let engine = &node.engine;
    let filters = of_node(&node.name);
    let mut sessions = HashSet::new();

    let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
    let containers =
        engine.list_containers(Some(options)).await.map_err(DockerError::engine("list its containers"))?;
    for found in containers {
        let session = session_of(found.labels.as_ref());
        if let Some(id) = found.id
            && is_stray(&session, keep)
        {
            container(engine, &id).await.map_err(DockerError::engine("remove a stray container"))?;
            sessions.insert(session);
        }
    }

    let options = ListVolumesOptionsBuilder::default().filters(&filters).build();
    let volumes =
        engine.list_volumes(Some(options)).await.map_err(DockerError::engine("list its volumes"))?;
    for found in volumes.volumes.unwrap_or_default() {
        let session = session_of(Some(&found.labels));
        if is_stray(&session, keep) {
            volume(engine, &found.name).await.map_err(DockerError::engine("remove a stray volume"))?;
            sessions.insert(session);
        }
    }
    Ok(sessions.len())
}

/// As labelled, a session's id or not.
fn session_of(labels: Option<&HashMap<String, String>>) -> String {
    labels.and_then(|labels| labels.get(SESSION)).cloned().unwrap_or_default()
}

fn is_stray(session: &str, keep: &HashSet<SessionId>) -> bool {
    session.parse().map_or(true, |session| !keep.contains(&session))
}
