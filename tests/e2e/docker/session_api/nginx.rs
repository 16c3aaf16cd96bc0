//! An image that knows nothing of us: root, port 80, its logs in files.

use super::stand::{LOCATION, REGION, Stand, TAGS};
use crate::support::engine::LONG;
use crate::support::wait::eventually;
use serde_json::{Value, json};
use std::io::Read;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn debians_nginx_runs_unmodified_and_gives_its_logs_back() {
    let stand = Stand::new("").await;
    let mut request = Stand::request("match/1 é");
    request["env"] = json!({ "WHERE": "${GAMEYE_HOST}" });
    request["labels"] = json!({ "mode": "ranked" });
    let started = stand.start(request).await;
    assert_eq!(started["id"], "match/1 é");
    let host = started["host"].as_str().unwrap();
    let port = started["ports"][0]["host"].as_u64().unwrap();
    assert_eq!(started["ports"], json!([{ "type": "tcp", "container": 80, "host": port }]));
    assert!((20_000..=30_000).contains(&port), "G24");

    let page = eventually("nginx answers", LONG, async || {
        let answer = stand.api.http().get(format!("http://{host}:{port}/")).send().await;
        answer.map_err(|error| error.to_string())
    })
    .await;
    assert!(page.text().await.unwrap().contains("Welcome to nginx"));

    let described = stand.describe("match%2F1%20%C3%A9").await.expect(200);
    assert_eq!(
        [&described["status"], &described["location"], &described["tag"], &described["port"]["80/tcp"]],
        [&json!("running"), &json!(LOCATION), &json!(TAGS[1]), &json!(port)]
    );
    let label =
        |name: &str| serde_json::from_str::<Value>(described["labels"][name].as_str().unwrap()).unwrap();
    assert_eq!(label("tags"), json!({ "mode": "ranked" }), "rule 12");
    assert_eq!(label("gameye")["region"], REGION);
    assert_eq!(described["labels"]["org.example.kind"], "web");
    let env = label("env");
    assert_eq!(
        [&env["WHERE"], &env["GAMEYE_SESSION_ID"], &env["GAMEYE_PORT_TCP_80"]],
        [&json!(host), &json!("match/1 é"), &json!(port.to_string())]
    );
    // The process inside has them too.
    let session = stand.engine.docker.list_containers(None).await.unwrap();
    let container = session
        .iter()
        .find(|one| {
            one.labels.as_ref().and_then(|labels| labels.get("playgate.node")) == Some(&stand.engine.node)
        })
        .and_then(|one| one.id.clone())
        .unwrap();
    let inside = stand.engine.environment(&container).await;
    assert_eq!(inside["GAMEYE_SESSION_ID"], "match/1 é");
    assert!(!inside.keys().any(|name| name.starts_with("PLAYGATE_")), "{inside:?}");

    let artifacts = "/artifacts?session=match%2F1%20%C3%A9&path=/var/log/nginx";
    stand.api.get(artifacts).await.expect(404);
    assert_eq!(stand.api.delete("/session/match%2F1%20%C3%A9").await.status, 204);
    stand.becomes("match%2F1%20%C3%A9", "exited").await;
    let answer = stand
        .api
        .http()
        .get(format!("{}{artifacts}", stand.api.base))
        .bearer_auth(stand.api.token())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let headers = answer.headers().clone();
    assert_eq!(headers["content-type"], "application/x-tar", "G15");
    assert!(headers["content-disposition"].to_str().unwrap().contains("nginx.tar.gz"));
    assert!(!headers.contains_key("content-encoding"));
    let bytes = answer.bytes().await.unwrap();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes.as_ref()));
    let mut log = String::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.path().unwrap().ends_with("nginx/access.log") {
            entry.read_to_string(&mut log).unwrap();
        }
    }
    assert!(log.contains("\"GET / HTTP/1.1\" 200"), "{log}");
    stand.finish().await;
}
