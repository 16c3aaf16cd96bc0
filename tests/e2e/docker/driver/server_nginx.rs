//! An image that knows nothing of us: Debian's nginx, root, port 80.

use super::stand::Stand;
use crate::support::engine::games;
use crate::support::wait::{PATIENT, SOON, eventually};
use flate2::read::GzDecoder;
use futures_util::TryStreamExt;
use playgate::driver::{Driver, DriverEvent};
use std::io::Read;
use std::time::Duration;
use tar::Archive;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

async fn get(port: u16, path: &str) -> String {
    eventually("nginx answers", SOON, async || {
        let text = |error: std::io::Error| error.to_string();
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(text)?;
        let request = format!("GET {path} HTTP/1.0\r\nHost: here\r\n\r\n");
        stream.write_all(request.as_bytes()).await.map_err(text)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.map_err(text)?;
        if answer.is_empty() { Err("nothing yet".to_owned()) } else { Ok(answer) }
    })
    .await
}

#[tokio::test]
async fn an_unmodified_nginx_serves_fails_starts_again_and_gives_its_logs_out() {
    let stand = Stand::new().await;
    let image = games().nginx;
    let facts = stand.driver.image_facts(&image).await.unwrap();
    assert_eq!(facts.labels.get("org.example.kind").map(String::as_str), Some("web"));
    let mut spec = stand.server_spec("");
    let container = spec.container.as_mut().unwrap();
    container.image = image;
    container.command = Vec::new();
    let (ports, mut game) = stand.start_server(spec, &facts.ports).await;
    assert_eq!((ports.len(), ports[0].container), (1, 80));
    let answer = get(ports[0].host, "/?before").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    // It fails, and serves again at the same port.
    let options = bollard::query_parameters::KillContainerOptionsBuilder::default().signal("SIGKILL").build();
    stand.engine().kill_container(&game.container(), Some(options)).await.unwrap();
    assert!(matches!(game.event().await, DriverEvent::Exited { signal: Some(9), .. }));
    let (sender, mut events) = mpsc::channel(8);
    game.instance.restart(sender).await.unwrap();
    assert!(get(ports[0].host, "/?after").await.starts_with("HTTP/1.1 200"));

    let reference = game.instance.reference().unwrap();
    let logs = stand.driver.logs(&reference, true).await.unwrap().unwrap();
    let ended = game.instance.stop(Duration::from_secs(20)).await;
    assert_eq!(ended.exit_code, Some(0));
    assert!(ended.usage.network_rx_bytes > 0);
    assert_eq!(events.recv().await, None);
    tokio::time::timeout(PATIENT, logs.try_collect::<Vec<_>>()).await.expect("the logs end").unwrap();

    let stream = stand.driver.artifact(&reference, "/var/log/nginx", 100 << 20).await.unwrap();
    let bytes = stream.map_ok(|chunk| chunk.to_vec()).try_concat().await.unwrap();
    let mut archive = Archive::new(GzDecoder::new(bytes.as_slice()));
    let mut access = String::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.path().unwrap().as_os_str() == "nginx/access.log" {
            entry.read_to_string(&mut access).unwrap();
        }
    }
    assert!(access.contains("/?before") && access.contains("/?after"), "{access}");
    game.instance.remove().await.unwrap();
    assert_eq!(stand.things().await, Vec::<String>::new());
}
