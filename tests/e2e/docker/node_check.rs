//! `playgate node check --image`: what a container on the node's internal bridge really reaches.

use serde_json::Value;
use std::net::TcpListener;
use std::process::{Command, Output};

/// Any image with a C library (`tests/games/build` makes it).
const IMAGE: &str = "playgate-test-base";

/// An internal network as the gateway makes it, removed when dropped.
struct Network {
    name: String,
    third: u8,
}

impl Network {
    fn make() -> Self {
        let third = u8::try_from(std::process::id() % 250).unwrap();
        let network = Self { name: format!("playgate-check-{}-game", std::process::id()), third };
        let subnet = network.subnet();
        let made = docker(&["network", "create", "--internal", "--subnet", &subnet, &network.name]);
        assert!(made.status.success(), "{made:?}");
        network
    }

    fn subnet(&self) -> String {
        format!("10.214.{}.0/24", self.third)
    }

    fn gateway(&self) -> String {
        format!("10.214.{}.1", self.third)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        docker(&["network", "rm", &self.name]);
    }
}

fn docker(words: &[&str]) -> Output {
    Command::new("docker").args(words).output().unwrap()
}

#[test]
fn a_container_reaches_what_listens_everywhere_or_on_its_bridge() {
    let network = Network::make();
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("playgate.toml");
    let text = format!(
        "[node]\nname = \"check-{}\"\n[docker]\nsubnet = \"{}\"\n",
        std::process::id(),
        network.subnet()
    );
    std::fs::write(&config, text).unwrap();
    let everywhere = TcpListener::bind("0.0.0.0:0").unwrap();
    let bridge = TcpListener::bind(format!("{}:0", network.gateway())).unwrap();

    let check = Command::new(env!("CARGO_BIN_EXE_playgate"))
        .args(["node", "check", "--json", "--image", IMAGE, "--config"])
        .arg(&config)
        .arg("--data-dir")
        .arg(dir.path())
        .output()
        .unwrap();
    assert_eq!(check.status.code(), Some(1), "{check:?}");
    let body: Value = serde_json::from_slice(&check.stdout).unwrap();
    for listener in [&everywhere, &bridge] {
        let address = listener.local_addr().unwrap().to_string();
        let sockets = body["sockets"].as_array().unwrap();
        let found = sockets.iter().find(|socket| socket["address"] == address.as_str()).unwrap();
        assert_eq!((&found["proved"], &found["finding"]), (&true.into(), &true.into()), "{found}");
    }
    let left =
        docker(&["ps", "-aq", "--filter", &format!("label=playgate.node=check-{}", std::process::id())]);
    assert_eq!(String::from_utf8_lossy(&left.stdout), "", "no container stays behind");
}
