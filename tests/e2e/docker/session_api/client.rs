//! A client that was generated from the contract walks through the whole life of a session.

use super::stand::{LOCATION, Stand};
use crate::support::tools::tools;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// Generating, checking the types, and a session's life with its retention.
const WITHIN: Duration = Duration::from_secs(150);

/// `tests/session_api`.
pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/session_api")
}

async fn run(command: &mut Command, what: &str) {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output =
        tokio::time::timeout(WITHIN, output).await.unwrap_or_else(|_| panic!("{what} takes too long"));
    let output = output.unwrap_or_else(|error| panic!("{what}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{what}:\n{}\n{}", text(&output.stdout), text(&output.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g28_a_client_generated_from_the_contract_walks_through_the_whole_life_of_a_session() {
    let stand = Stand::new("session_api.retention_s = 10").await;
    let dir = tempfile::tempdir().unwrap();
    let bin = |name: &str| tools().join("node_modules/.bin").join(name);
    std::os::unix::fs::symlink(tools().join("node_modules"), dir.path().join("node_modules")).unwrap();
    for file in ["client.ts", "package.json", "tsconfig.json"] {
        std::fs::copy(folder().join(file), dir.path().join(file)).unwrap();
    }
    let contract = folder().join("contract.yaml");
    run(
        Command::new(bin("openapi-typescript"))
            .arg(&contract)
            .args(["-o", "contract.d.ts"])
            .current_dir(dir.path()),
        "openapi-typescript",
    )
    .await;
    run(Command::new(bin("tsc")).arg("-p").arg(".").current_dir(dir.path()), "tsc --strict").await;
    run(
        Command::new("node")
            .arg("out/client.js")
            .env("SESSION_API_URL", &stand.api.base)
            .env("SESSION_API_TOKEN", stand.api.token())
            .env("SESSION_API_LOCATION", LOCATION)
            .current_dir(dir.path()),
        "the generated client",
    )
    .await;
    let left = stand.api.get("/session?all=true").await.expect(200);
    assert_eq!(left["sessions"].as_array().unwrap().len(), 0, "{left:#}");
    stand.finish().await;
}
