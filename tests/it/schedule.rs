//! A gateway's own node: announced, shown to operators, opened and closed by `playgate node` beside it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use playgate::app::{App, RunningApp, ledger_over, open_store};
use playgate::auth::Auth;
use playgate::config::Config;
use playgate::content::{Content, ContentError, ContentSource, Progress, Ready};
use playgate::model::nodes::Announcement;
use playgate::node::health::HealthRules;
use playgate::node::heart::{EngineProbe, HeartParts, NodeHeart};
use playgate::store::database_in;
use playgate::telemetry::Machine;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;

fn config(dir: &Path) -> Config {
    let mut config = Config {
        data_dir: dir.to_owned(),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        ..Config::default()
    };
    config.sessions.capacity = 3;
    config.node.region = Some("europe".to_owned());
    config
}

async fn start(dir: &Path) -> RunningApp {
    App::default().start(config(dir)).await.unwrap()
}

async fn operator(dir: &Path) -> String {
    let store = open_store(&database_in(dir)).await.unwrap();
    let auth = Auth::open(&config(dir), ledger_over(store)).unwrap();
    auth.mint_operator(Duration::from_secs(600), None).await.unwrap().token
}

async fn only_node(app: &RunningApp, token: &str) -> Value {
    let request = Client::builder().no_proxy().build().unwrap().get(format!("{}/api/nodes", app.base_url));
    let answer = request.bearer_auth(token).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["nodes"].as_array().unwrap().len(), 1, "{body}");
    body["nodes"][0].clone()
}

fn playgate(dir: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_playgate"))
        .arg("node")
        .args(words)
        .arg("--data-dir")
        .arg(dir)
        .current_dir(dir)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn a_gateway_announces_its_node_and_an_operator_closes_and_opens_it() {
    let dir = tempfile::tempdir().unwrap();
    let app = start(dir.path()).await;
    let token = operator(dir.path()).await;
    let node = only_node(&app, &token).await;
    let name = node["name"].as_str().unwrap().to_owned();
    assert!(name.starts_with("node-"), "{node}");
    assert_eq!(
        (&node["health"], &node["state"], &node["region"]),
        (&json!("healthy"), &json!("open"), &json!("europe"))
    );
    assert_eq!((&node["capacity"]["sessions"], &node["reserved"]["sessions"]), (&json!(3), &json!(0)));
    let cached = node["cachedGames"].as_array().unwrap();
    assert!(cached.contains(&json!("garden-of-forking-paths")), "built-in games are always there: {node}");

    let listed = playgate(dir.path(), &["list"]);
    assert!(listed.status.success() && said(&listed).contains(&format!("{name}  healthy")), "{listed:?}");
    let listed: Value = serde_json::from_slice(&playgate(dir.path(), &["list", "--json"]).stdout).unwrap();
    assert_eq!(
        (&listed["nodes"][0]["name"], &listed["nodes"][0]["capacity"]),
        (&node["name"], &node["capacity"])
    );

    for (word, state) in [("drain", "draining"), ("cordon", "cordoned")] {
        let output = playgate(dir.path(), &[word, &name]);
        assert!(output.status.success() && said(&output).contains("takes no new sessions"), "{output:?}");
        assert_eq!(only_node(&app, &token).await["state"], state);
    }
    app.stop().await;
    let again = start(dir.path()).await;
    let node = only_node(&again, &token).await;
    assert_eq!(
        (&node["name"], &node["state"]),
        (&json!(name), &json!("cordoned")),
        "a restart opens nothing"
    );
    assert!(playgate(dir.path(), &["uncordon", &name]).status.success());
    assert_eq!(only_node(&again, &token).await["state"], "open");
    again.stop().await;

    let unknown = playgate(dir.path(), &["cordon", "elsewhere"]);
    assert!(!unknown.status.success());
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("there is no node elsewhere"), "{unknown:?}");
}

#[test]
fn what_listens_beyond_loopback_is_told_and_fails_the_check() {
    let dir = tempfile::tempdir().unwrap();
    let open = TcpListener::bind("0.0.0.0:0").unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let output = playgate(dir.path(), &["check", "--json"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let body: Value = serde_json::from_slice(&output.stdout).unwrap();
    let find = |listener: &TcpListener| {
        let port = listener.local_addr().unwrap().port().to_string();
        let sockets = body["sockets"].as_array().unwrap();
        let of_port = |socket: &&Value| socket["address"].as_str().unwrap().ends_with(&format!(":{port}"));
        sockets.iter().filter(|socket| socket["transport"] == "tcp").find(of_port).cloned()
    };
    assert_eq!(find(&closed), None);
    let found = find(&open).unwrap();
    assert_eq!((&found["pid"], &found["whose"]), (&json!(std::process::id()), &json!("other")));
    assert_eq!((&found["internal"], &found["open"]), (&json!(true), &json!(true)));
    assert_eq!((&found["proved"], &found["finding"]), (&Value::Null, &json!(true)));
    let text = said(&playgate(dir.path(), &["check"]));
    assert!(
        text.contains("in reach") && text.contains(&format!(":{}", open.local_addr().unwrap().port())),
        "{text}"
    );
}

struct Down(AtomicBool);

#[async_trait::async_trait]
impl EngineProbe for Down {
    async fn ping(&self) -> bool {
        !self.0.load(Ordering::Relaxed)
    }
}

/// Has one image only.
struct OneImage;

#[async_trait::async_trait]
impl ContentSource for OneImage {
    async fn fetch(&self, _: &Content, _: &watch::Sender<Progress>) -> Result<Ready, ContentError> {
        Err(ContentError::Other("nothing is fetched here".to_owned()))
    }

    async fn is_cached(&self, content: &Content) -> bool {
        *content == image("here:1")
    }
}

fn image(reference: &str) -> Content {
    Content::Image { reference: reference.to_owned() }
}

#[tokio::test]
async fn a_heart_notes_load_and_cached_games_and_survives_the_loss_of_its_row() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("test.db");
    let store = open_store(&path).await.unwrap();
    let probe = Arc::new(Down(AtomicBool::new(false)));
    let parts = HeartParts {
        store: store.clone(),
        node: Announcement { name: "here".to_owned(), capacity: 1, ..Announcement::default() },
        probe: probe.clone(),
        content: Some(Arc::new(OneImage)),
        games: vec![
            ("built-in".to_owned(), None),
            ("cached".to_owned(), Some(image("here:1"))),
            ("far".to_owned(), Some(image("far:1"))),
        ],
        machine: Arc::new(Machine::new("/".into())),
        rules: HealthRules::default(),
    };
    let mut heart = NodeHeart::announce(parts, 1).await.unwrap();
    assert!(!store.nodes().await.unwrap()[0].healthy, "nobody asked yet");
    heart.tick(2).await.unwrap();
    let node = store.nodes().await.unwrap().remove(0);
    assert!(node.healthy);
    assert_eq!(node.cached, BTreeSet::from(["built-in".to_owned(), "cached".to_owned()]));
    assert!(node.load.memory_percent > 0.0);
    assert_eq!(node.seen_at, 2);

    probe.0.store(true, Ordering::Relaxed);
    for now in 3..6 {
        heart.tick(now).await.unwrap();
    }
    let node = store.nodes().await.unwrap().remove(0);
    assert_eq!((node.healthy, node.seen_at, node.cached.len()), (false, 5, 2), "silence forgets no game");

    let other = sqlx::sqlite::SqlitePool::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    sqlx::query("DELETE FROM nodes").execute(&other).await.unwrap();
    heart.tick(6).await.unwrap();
    let node = store.nodes().await.unwrap().remove(0);
    assert_eq!((node.said.name.as_str(), node.healthy), ("here", false));
}
