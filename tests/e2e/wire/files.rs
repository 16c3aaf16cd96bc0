//! File descriptors: connections never take them all (A2).

use crate::support::gateway::{Gateway, Options};
use crate::support::processes::of_session;
use crate::support::wait::{SOON, eventually};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::net::TcpStream;

/// More than the gateway may have files.
const IDLE: usize = 1100;

fn limits(pid: u32) -> (String, String) {
    let text = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let mut numbers = line.split_whitespace().map(str::to_owned);
    (numbers.next().unwrap(), numbers.next().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_in_any_number_lock_no_one_out() {
    let own = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: own.maximum, maximum: own.maximum }).unwrap();
    let gateway = Gateway::with(Options { files: Some((1024, 1024)), ..Options::default() }).await;
    let idle: Vec<TcpStream> =
        (0..IDLE).map(|_| TcpStream::connect(("127.0.0.1", gateway.port())).unwrap()).collect();
    // A client with a connection of its own, and one that has none yet.
    for _ in 0..3 {
        gateway.client().get("/api/health").await.expect(200);
    }
    let player = gateway.guest().await;
    let session = player.launch_running(crate::GARDEN).await;
    player.stop(&session).await;
    let warned = gateway.log().iter().filter(|line| line.contains("nearly as many connections")).count();
    assert_eq!(warned, 1, "one warning, not one for each");
    let operator = gateway.client().with_token(&gateway.mint(&["--operator"]).await);
    let request = operator.http().get(format!("{}/metrics", gateway.url)).bearer_auth(operator.token());
    let metrics = request.send().await.unwrap().text().await.unwrap();
    let evicted =
        metrics.lines().find_map(|line| line.strip_prefix("playgate_http_connections_evicted_total "));
    assert!(
        evicted.and_then(|count| count.parse::<usize>().ok()).is_some_and(|count| count >= IDLE - 1024),
        "{metrics}"
    );
    drop(idle);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_soft_limit_of_files_is_raised_for_the_gateway_and_not_for_games() {
    let gateway = Gateway::with(Options { files: Some((512, 2000)), ..Options::default() }).await;
    assert_eq!(limits(gateway.pid()), ("2000".to_owned(), "2000".to_owned()));
    let player = gateway.guest().await;
    let session = player.launch_running(crate::GARDEN).await;
    eventually("the game has the limit the gateway was started with", SOON, async || {
        let limits: Vec<_> = of_session(&session).into_iter().map(limits).collect();
        let fits = !limits.is_empty() && limits.iter().all(|(soft, hard)| soft == "512" && hard == "2000");
        if fits { Ok(()) } else { Err(format!("{limits:?}")) }
    })
    .await;
    player.stop(&session).await;
    gateway.finish().await;
}
