//! A client that was generated from the contract walks through the whole life of a session.

use super::stand::{LOCATION, Stand};
use crate::support::tools::{npm, ours, run, tools};
use tokio::process::Command;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g28_a_client_generated_from_the_contract_walks_through_the_whole_life_of_a_session() {
    let stand = Stand::new("session_api.retention_s = 10").await;
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(tools().join("node_modules"), dir.path().join("node_modules")).unwrap();
    for file in ["client.ts", "package.json", "tsconfig.json"] {
        std::fs::copy(ours("tests/session_api").join(file), dir.path().join(file)).unwrap();
    }
    let contract = ours("tests/session_api/contract.yaml");
    run(
        npm("openapi-typescript").arg(&contract).args(["-o", "contract.d.ts"]).current_dir(dir.path()),
        "openapi-typescript",
    )
    .await;
    run(npm("tsc").arg("-p").arg(".").current_dir(dir.path()), "tsc --strict").await;
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
