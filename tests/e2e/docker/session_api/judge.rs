//! Schemathesis judges the gateway by the contract's own document: every operation, its links, wrong requests too.

use super::client::folder;
use super::stand::Stand;
use crate::support::tools::tools;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

const WITHIN: Duration = Duration::from_secs(230);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemathesis_finds_nothing_that_the_contract_does_not_explain() {
    let stand = Stand::new("sessions.capacity = 20\nnode.cpus = 64.0\nsession_api.stop_grace_ms = 500").await;
    let dir = tempfile::tempdir().unwrap();
    let judge = Command::new(tools().join("python/bin/schemathesis"))
        .arg("--config-file")
        .arg(folder().join("schemathesis.toml"))
        .arg("run")
        .arg(folder().join("contract.yaml"))
        .args(["--url", &stand.api.base, "--no-color"])
        .arg("-H")
        .arg(format!("Authorization: Bearer {}", stand.api.token()))
        .env("SCHEMATHESIS_HOOKS", folder().join("hooks.py"))
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(WITHIN, judge).await.expect("schemathesis ends").unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    stand.finish().await;
}
