//! The fixtures themselves, without Playgate: when these fail, nothing else in `docker` means anything.

use super::private_engine::PrivateEngine;
use crate::support::engine::{Engine, games};
use crate::support::namespace;
use crate::support::valve::Valve;
use bollard::Docker;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{CreateContainerOptions, StartContainerOptions};
use std::collections::HashMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const SESSION: &str = "00000000-0000-4000-8000-000000000001";

/// A probe that is labelled as a session's container.
async fn start_probe(docker: &Docker, node: &str) -> String {
    let labels = [("playgate.node", node), ("playgate.session", SESSION)];
    let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let body = ContainerCreateBody {
        image: Some(games().probe),
        labels: Some(labels.collect::<HashMap<_, _>>()),
        ..ContainerCreateBody::default()
    };
    let id = docker.create_container(None::<CreateContainerOptions>, body).await.unwrap().id;
    docker.start_container(&id, None::<StartContainerOptions>).await.unwrap();
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_is_found_answers_and_goes_with_its_node() {
    let engine = Engine::connect().await;
    let id = start_probe(&engine.docker, &engine.node).await;
    assert_eq!(engine.container(SESSION).await, id);
    assert!(engine.ask(&id, "echo here").await.contains("here"));
    assert!(engine.cgroup_cpu_seconds(&id).await > 0.0);
    assert!(engine.environment(&id).await.contains_key("PATH"));
    let docker = engine.docker.clone();
    drop(engine);
    let options = None::<bollard::query_parameters::InspectContainerOptions>;
    assert!(docker.inspect_container(&id, options).await.is_err(), "it goes with its node");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_engine_runs_containers_and_is_restarted() {
    if !namespace::entered("docker::harness::a_private_engine_runs_containers_and_is_restarted") {
        return;
    }
    let mut private = PrivateEngine::start().await;
    private.bring(&games().probe).await;
    let engine = Engine::at(Some(private.host())).await;
    let id = start_probe(&engine.docker, &engine.node).await;
    assert!(engine.ask(&id, "echo here").await.contains("here"));
    private.restart().await;
    let state =
        engine.docker.inspect_container(&id, None::<bollard::query_parameters::InspectContainerOptions>);
    assert_eq!(state.await.unwrap().state.and_then(|state| state.running), Some(false));
    drop(engine);
    private.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_valve_holds_what_is_too_much_and_lets_it_through_when_opened() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.write_all(&vec![7; 1 << 20]).await.unwrap();
    });
    let valve = Valve::before(&address).await;
    valve.allow(100_000);
    let mut client = TcpStream::connect(&valve.address).await.unwrap();
    let mut first = vec![0; 100_000];
    client.read_exact(&mut first).await.unwrap();
    valve.open();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
    assert_eq!(first.len() + rest.len(), 1 << 20);
    assert_eq!(valve.connections(), 1);
}
