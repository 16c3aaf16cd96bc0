//! Many starts at once.

use super::stand::Stand;
use crate::support::engine::LONG;
use crate::support::wait::eventually;
use bollard::query_parameters::ListContainersOptionsBuilder;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

const STARTS: usize = 200;
const CAPACITY: usize = 50;

/// Containers of this node that run.
async fn running(stand: &Stand) -> usize {
    let filter = HashMap::from([("label".to_owned(), vec![format!("playgate.node={}", stand.engine.node)])]);
    let options = ListContainersOptionsBuilder::default().filters(&filter).build();
    stand.engine.docker.list_containers(Some(options)).await.unwrap().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_200_concurrent_starts_exactly_as_many_succeed_as_there_is_room_for() {
    let stand = Stand::new(&format!(
        "sessions.capacity = {CAPACITY}\nnode.cpus = 64.0\nnode.memory_mb = 65536\nsession_api.starts_per_minute = 1000"
    ))
    .await;
    let http = reqwest::Client::builder().timeout(Duration::from_secs(180)).build().unwrap();
    let starts = (0..STARTS).map(|number| {
        let request = http.post(format!("{}/session", stand.api.base)).bearer_auth(stand.api.token());
        let request = request.json(&Stand::request(&number.to_string()));
        async move {
            let answer = request.send().await.unwrap();
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            (status, headers, answer.json::<Value>().await.unwrap())
        }
    });
    let answers = futures_util::future::join_all(starts).await;
    let (started, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|(status, ..)| *status == 201);
    for (status, headers, body) in &refused {
        assert_eq!((*status, &body["code"]), (420, &Value::from("CAPACITY_UNAVAILABLE")), "{body:#}");
        let seconds: u64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=60).contains(&seconds));
    }
    assert_eq!((started.len(), refused.len()), (CAPACITY, STARTS - CAPACITY));
    let ports: HashSet<u64> =
        started.iter().map(|(_, _, body)| body["ports"][0]["host"].as_u64().unwrap()).collect();
    assert_eq!(ports.len(), CAPACITY, "ports are distinct");
    assert_eq!(running(&stand).await, CAPACITY);
    let stops = started.iter().map(|(_, _, body)| {
        let path = format!("/session/{}", body["id"].as_str().unwrap());
        let api = stand.api.clone();
        async move { api.delete(&path).await.status.as_u16() }
    });
    let stopped = futures_util::future::join_all(stops).await;
    assert!(stopped.iter().all(|status| *status == 204), "{stopped:?}");
    eventually("nothing is left running", LONG, async || match running(&stand).await {
        0 => Ok(()),
        count => Err(format!("{count} run")),
    })
    .await;
    let room = stand.api.get("/available-location/nginx").await.expect(200);
    assert_eq!(room["locations"].as_array().unwrap().len(), 1, "there is room again");
    stand.finish().await;
}
