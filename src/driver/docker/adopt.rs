//! Finds an earlier gateway's container again.

use super::error::{DockerError, unless_absent};
use super::instance::{DockerInstance, Parts};
use super::names::{NODE, Names, SAVE_PATH, SESSION, of_node};
use super::watch::Exit;
use super::{Node, site};
use crate::driver::{Adopted, DriverEvent, Ended, Usage};
use crate::model::ids::SessionId;
use crate::model::instance::InstanceRef;
use bollard::models::{ContainerInspectResponse, ContainerState, ContainerSummaryStateEnum};
use bollard::query_parameters::ListContainersOptionsBuilder;
use std::collections::HashMap;
use tokio::sync::mpsc;

/// `None` when it is not there any more, or is not this session's.
pub(super) async fn adopt(
    node: &Node,
    session: SessionId,
    container: &str,
    events: mpsc::Sender<DriverEvent>,
) -> Result<Option<Adopted>, DockerError> {
    let found = unless_absent(node.engine.inspect_container(container, None).await)
        .map_err(DockerError::engine("find a game of an earlier gateway"))?;
    let Some(found) = found else { return Ok(None) };
    let Some((names, save_path)) = identify(node, session, &found) else {
        tracing::warn!(%session, container, "a container with the id of a game's is not this node's, or not of this session");
        return Ok(None);
    };
    let state = found.state.clone().unwrap_or_default();
    let running = state.running.unwrap_or(false);
    let (site, leases) = site::found(node, &found, running);
    let id = found.id.unwrap_or_else(|| container.to_owned());
    let parts = Parts { engine: node.engine.clone(), container: id, names, save_path, leases };
    let instance = if running {
        DockerInstance::playing(parts, events)
    } else {
        DockerInstance::ended(parts, ended(&state))
    };
    Ok(Some(Adopted { instance: Box::new(instance), site, running }))
}

/// The container of a session that was started, by its labels.
pub(super) async fn find(node: &Node, session: SessionId) -> Result<Option<InstanceRef>, DockerError> {
    let mut filters = of_node(&node.name);
    filters.entry("label".to_owned()).or_default().push(format!("{SESSION}={session}"));
    let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
    let found = node
        .engine
        .list_containers(Some(options))
        .await
        .map_err(DockerError::engine("look for a game of an earlier gateway"))?;
    let started = found.into_iter().find(|container| {
        // The porter, and a game that was being filled, have never run.
        container.state.is_some_and(|state| state != ContainerSummaryStateEnum::CREATED)
    });
    Ok(started.and_then(|container| container.id).map(|container| InstanceRef::Container { container }))
}

/// By its labels, which nobody inside can change.
fn identify(
    node: &Node,
    session: SessionId,
    found: &ContainerInspectResponse,
) -> Option<(Names, Option<String>)> {
    let labels: &HashMap<String, String> = found.config.as_ref()?.labels.as_ref()?;
    let is = |label: &str, value: &str| labels.get(label).is_some_and(|found| found == value);
    if !is(NODE, &node.name) || !is(SESSION, &session.to_string()) {
        return None;
    }
    let container = found.name.as_ref()?.trim_start_matches('/').to_owned();
    Some((Names { container }, labels.get(SAVE_PATH).cloned()))
}

/// Its counters are gone: what it used is what the earlier gateway has noted.
fn ended(state: &ContainerState) -> Ended {
    let exit = Exit::of(state);
    Ended { usage: Usage::default(), exit_code: exit.code, out_of_memory: exit.out_of_memory }
}
