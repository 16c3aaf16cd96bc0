//! What a game in a container leaves, from one session to the next.

use super::stand::{save_version, until_status};
use crate::support::engine::{Engine, games, image_game};
use crate::support::http::Client;
use crate::support::tree::{self, Kind, Tree};
use std::path::{Path, PathBuf};

const SAVE_PATH: &str = "/home/player/saves";

/// A game that takes three seconds to save when it is asked to end. When it finds a save, it deletes it instead.
const SLOW_SAVER: &str = r#"
cd "$PLAYGATE_SAVE_DIR"
leave() {
  if [ -e first ]; then rm -rf ./*; exit 0; fi
  sleep 3
  echo 1 > older; touch -d @1000000000 older
  echo 2 > newer; touch -d @1000000100 newer
  ln -s older link; ln -s /etc/passwd outside
  printf '#!/bin/sh\n' > program; chmod 755 program
  echo 3 > x.new; mkdir empty
  echo 4 > first
  exit 0
}
trap leave TERM
while :; do sleep 0.1; done
"#;

/// What the running game finds in its save directory.
async fn finds(engine: &Engine, session: &str) -> Tree {
    let pid = engine.pid(&engine.container(session).await).await;
    tree::found(&PathBuf::from(format!("/proc/{pid}/root{SAVE_PATH}")))
}

async fn launch(player: &Client) -> String {
    let session = player.launch("saver").await;
    until_status(player, &session, "running").await;
    session
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_game_that_saves_slowly_keeps_its_save_whole_and_one_that_deletes_it_does_not_get_it_back() {
    let engine = Engine::connect().await;
    let more = format!(
        "width = 640\nheight = 480\ncontainer.command = [\"bash\", \"-c\", {SLOW_SAVER:?}]\n\
         container.save_path = {SAVE_PATH:?}\ncontainer.stop_grace_ms = 10000\ncontainer.memory_mb = 384"
    );
    let gateway = engine.gateway(&image_game("saver", &games().runner, &more)).await;
    let player = gateway.guest().await;

    let session = launch(&player).await;
    let environment = engine.environment(&engine.container(&session).await).await;
    assert_eq!(environment.get("PLAYGATE_STOP_GRACE_MS").map(String::as_str), Some("10000"));
    assert_eq!(finds(&engine, &session).await, Tree::new());
    let stopped = player.stop(&session).await;
    assert_eq!(stopped["save"]["status"], "stored", "{stopped:#}");
    let reason = "Not kept: `outside` (a link that may lead outside the save).";
    assert_eq!(stopped["save"]["reason"], reason);
    assert_eq!(player.status(&session).await["save"], stopped["save"]);

    let session = launch(&player).await;
    let found = finds(&engine, &session).await;
    let node = |name: &str| found.get(Path::new(name)).unwrap_or_else(|| panic!("no {name}: {found:?}"));
    assert_eq!((node("older").mtime, node("newer").mtime), ((1_000_000_000, 0), (1_000_000_100, 0)));
    assert_eq!(node("link").kind, Kind::Link("older".into()));
    assert_eq!((node("program").mode, &node("empty").kind), (0o755, &Kind::Directory));
    assert_eq!(node("x.new").kind, Kind::File(b"3\n".to_vec()));
    assert_eq!(found.len(), 7, "{found:?}");
    let before = save_version(&player, "saver").await.expect("a save is stored");
    let stopped = player.stop(&session).await;
    assert_eq!(stopped["save"]["status"], "stored", "{stopped:#}");
    assert_ne!(save_version(&player, "saver").await, Some(before), "nothing is a version, too");

    let session = launch(&player).await;
    assert_eq!(finds(&engine, &session).await, Tree::new(), "a deleted save came back");
    player.stop(&session).await;
    gateway.finish().await;
}
