//! Starts one game in a container.
//!
//! The steps are taken by a task of their own, which runs each of them to its end: a request that is merely dropped may
//! yet be done by the engine, behind the back of whoever cleans up. When nobody waits for the result any more, or a step
//! fails, everything made so far is removed.

use super::create::{Kind, Place, Plan};
use super::error::{DockerError, status_of};
use super::instance::{DockerInstance, Parts};
use super::names::Names;
use super::paths::SaveAt;
use super::site::{self, Leases};
use super::{Node, ports, remove, upload};
use crate::driver::{DriverEvent, Site, SiteRequest, StartSpec};
use bollard::Docker;
use bollard::errors::Error as EngineError;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{CreateContainerOptionsBuilder, StartContainerOptions};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

pub(super) async fn start(
    node: Arc<Node>,
    spec: StartSpec,
    site: Site,
    events: mpsc::Sender<DriverEvent>,
) -> Result<DockerInstance, DockerError> {
    let egress = spec.container.as_ref().ok_or(DockerError::NoContainer)?.egress;
    let (place, leases) = place(&node, site, egress).await?;
    let plan = Plan::new(&node, spec, place)?;
    let (sender, receiver) = oneshot::channel();
    tokio::spawn(carry_out(node, plan, leases, events, sender));
    match receiver.await {
        Ok(handover) => handover?.accept(),
        Err(_) => Err(DockerError::GivenUp),
    }
}

/// Where to live, and what keeps it taken.
async fn place(node: &Node, mut site: Site, egress: bool) -> Result<(Place, Leases), DockerError> {
    if site.address.is_none() {
        site = site::choose(node, &SiteRequest { egress, ports: Vec::new() }).await?;
    }
    let leases = Leases::of(&mut site);
    let Some(IpAddr::V4(address)) = site.address else { return Err(DockerError::Site) };
    Ok((Place { address, ports: site.ports }, leases))
}

type Answer = oneshot::Sender<Result<Handover, DockerError>>;

async fn carry_out(
    node: Arc<Node>,
    plan: Plan,
    leases: Leases,
    events: mpsc::Sender<DriverEvent>,
    mut answer: Answer,
) {
    let engine = &node.engine;
    // First, because it makes the volumes and copies into them what the image has in their places.
    let done = match create(engine, &plan.names.container, plan.container(&node)).await {
        Ok(container) => fill_and_start(&node, &plan, &container, &mut answer).await.map(|()| container),
        // What already bears this name is not ours to remove.
        Err(error) if is_conflict(&error) => {
            let _ = answer.send(Err(error));
            return;
        }
        Err(error) => Err(error),
    };
    match done {
        Ok(container) => {
            let parts = Parts {
                engine: engine.clone(),
                container,
                names: plan.names.clone(),
                save_path: plan.save_path(),
                leases,
            };
            let instance = DockerInstance::playing(parts, events);
            let handover = Handover { instance: Some(instance), engine: engine.clone(), names: plan.names };
            // Unheard, it is dropped and cleans up after itself.
            let _ = answer.send(Ok(handover));
        }
        Err(error) => {
            discard(engine, &plan.names).await;
            drop(leases);
            let _ = answer.send(Err(error));
        }
    }
}

async fn fill_and_start(
    node: &Node,
    plan: &Plan,
    container: &str,
    answer: &mut Answer,
) -> Result<(), DockerError> {
    heeded(answer)?;
    if let Kind::Game { save_at } = &plan.kind {
        fill(node, plan, save_at, answer).await?;
        heeded(answer)?;
    }
    run(&node.engine, container).await
}

async fn fill(node: &Node, plan: &Plan, save_at: &SaveAt, answer: &mut Answer) -> Result<(), DockerError> {
    let (engine, porter) = (&node.engine, plan.names.porter());
    create(engine, &porter, plan.porter(node, save_at)).await?;
    tokio::select! {
        filled = upload::fill(engine, &porter, save_at, &plan.spec.save_dir) => filled?,
        () = answer.closed() => return Err(DockerError::GivenUp),
    }
    remove::container(engine, &porter)
        .await
        .map_err(DockerError::engine("remove the container that carried the save in"))
}

/// Starts a container, new or ended.
pub(super) async fn run(engine: &Docker, container: &str) -> Result<(), DockerError> {
    engine
        .start_container(container, None::<StartContainerOptions>)
        .await
        .map_err(DockerError::engine("start the game's container"))
        .map_err(ports::refused)
}

/// The name is taken.
fn is_conflict(error: &DockerError) -> bool {
    matches!(error, DockerError::Engine { error, .. } if status_of(error) == Some(409))
}

/// Somebody still waits for the result.
fn heeded(answer: &Answer) -> Result<(), DockerError> {
    if answer.is_closed() { Err(DockerError::GivenUp) } else { Ok(()) }
}

async fn create(engine: &Docker, name: &str, body: ContainerCreateBody) -> Result<String, DockerError> {
    let options = CreateContainerOptionsBuilder::default().name(name).build();
    let made = engine
        .create_container(Some(options), body)
        .await
        .map_err(DockerError::engine("make the game's container"))?;
    Ok(made.id)
}

/// A started instance on its way to who asked for it. Not accepted, it is removed.
struct Handover {
    instance: Option<DockerInstance>,
    engine: Docker,
    names: Names,
}

impl Handover {
    fn accept(mut self) -> Result<DockerInstance, DockerError> {
        self.instance.take().ok_or(DockerError::GivenUp)
    }
}

impl Drop for Handover {
    fn drop(&mut self) {
        let Some(instance) = self.instance.take() else { return };
        let (engine, names) = (self.engine.clone(), self.names.clone());
        // Without a runtime this process ends, and the next gateway removes its strays.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                discard(&engine, &names).await;
                // Its address is free only now.
                drop(instance);
            });
        }
    }
}

async fn discard(engine: &Docker, names: &Names) {
    let removed: Result<(), EngineError> = remove::instance(engine, names).await;
    if let Err(error) = removed {
        tracing::warn!(container = names.container, %error, "what is left of a failed start stays behind");
    }
}
