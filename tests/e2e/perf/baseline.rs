//! What a gateway with its game costs beside the baseline's: both take turns under the same load, so that what else the
//! machine does is in both.

use super::WINDOW;
use crate::support::baseline;
use crate::support::figures::{median, report};
use crate::support::gateway::{Gateway, Options};
use crate::support::processes::cpu_seconds;
use crate::support::wait::{PATIENT, eventually};
use serde_json::json;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Instant;
use tokio::process::Command;

const VIEWERS: u32 = 20;
const ROUNDS: usize = 3;
const EMBER: &str =
    "[[games]]\nslug = \"ember\"\ntitle = \"Ember\"\nwidth = 640\nheight = 360\nfps = 30\nkbps = 1500\n";

/// CPU seconds that the gateway process uses in a second with viewers. The bots are always those of this build.
async fn gateway_cpu(program: PathBuf) -> f64 {
    let gateway = Gateway::with(Options { toml: EMBER.to_owned(), program, ..Default::default() }).await;
    let owner = gateway.guest().await;
    let session = owner.launch_running("ember").await;
    let visit = json!({ "sessionId": session, "role": "spectator", "origins": ["https://arcade.example"] });
    let embed = owner.post("/api/embeds", visit).await.expect(201);
    let mut bots = Command::new(env!("CARGO_BIN_EXE_playgate"))
        .args(["bots", "--url", &gateway.url, "--embed", embed["token"].as_str().expect("a token")])
        .args(["--viewers", &VIEWERS.to_string(), "--mode", "light", "--duration", "10m"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the bots start");
    eventually("all bots watch", PATIENT, async || {
        let viewers = owner.status(&session).await["viewers"].as_u64().unwrap_or_default();
        if viewers >= u64::from(VIEWERS) { Ok(()) } else { Err(viewers.to_string()) }
    })
    .await;
    let (cpu, begun) = (cpu_seconds(&[gateway.pid()]), Instant::now());
    tokio::time::sleep(WINDOW).await;
    let used = (cpu_seconds(&[gateway.pid()]) - cpu) / begun.elapsed().as_secs_f64();
    bots.kill().await.expect("the bots end");
    owner.stop(&session).await;
    gateway.finish().await;
    used
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures: bash tests/run perf"]
async fn the_cpu_of_a_gateway_beside_the_baselines() {
    let Some(before) = baseline::program() else { return };
    let now = Options::default().program;
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        theirs.push(gateway_cpu(before.clone()).await);
        ours.push(gateway_cpu(now.clone()).await);
    }
    let figures = json!({
        "viewers": VIEWERS, "cpus": median(&ours), "baseline_cpus": median(&theirs),
        "ratio": median(&ours) / median(&theirs), "rounds": ours, "baseline_rounds": theirs,
    });
    report("gateway-cpu-beside-baseline", figures);
}
