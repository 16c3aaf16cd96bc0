//! Figures against the container's own cgroup, as read from inside.

use super::stand::Stand;
use playgate::driver::{DriverEvent, Usage};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

/// Reads either kind of cgroup.
const FIGURES: &str = "figures() { \
    if [ -e /sys/fs/cgroup/cpu.stat ]; then \
      echo cpu=$(($(grep usage_usec /sys/fs/cgroup/cpu.stat | cut -d' ' -f2) * 1000)); \
      echo memory=$(($(cat /sys/fs/cgroup/memory.current) - $(grep ^inactive_file /sys/fs/cgroup/memory.stat | cut -d' ' -f2))); \
    else \
      echo cpu=$(cat /sys/fs/cgroup/cpuacct/cpuacct.usage); \
      echo memory=$(($(cat /sys/fs/cgroup/memory/memory.usage_in_bytes) - $(grep ^total_inactive_file /sys/fs/cgroup/memory/memory.stat | cut -d' ' -f2))); \
    fi; \
    echo tx=$(tr -s ' ' < /proc/net/dev | grep eth0 | cut -d' ' -f11); \
    }; ";

/// Some seconds of a core, whatever the core.
const BURN: &str = "while [ $(figures | grep cpu | cut -d= -f2) -lt 4000000000 ]; do \
    i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done; done; ";

/// The work is counted in CPU time; how long that takes is the machine's affair.
const A_BUSY_MACHINE: Duration = Duration::from_secs(180);

#[tokio::test]
async fn figures_are_those_of_the_containers_own_cgroup() {
    let stand = Stand::new().await;
    let [gateway, _] = stand.driver.gateways();
    let sink = TcpListener::bind((gateway, 0)).await.unwrap();
    let port = sink.local_addr().unwrap().port();
    let script = format!(
        "{FIGURES} head -c 50000000 /dev/zero > /tmp/held; head -c 5000000 /dev/zero | nc {gateway} {port}; \
         {BURN} figures; echo end; sleep 1000"
    );
    let game = stand.start(&script).await;
    let (mut stream, _) = sink.accept().await.unwrap();
    let mut received = Vec::new();
    stream.read_to_end(&mut received).await.unwrap();
    drop(stream);
    assert_eq!(received.len(), 5_000_000);
    let text = game.said_within("end", A_BUSY_MACHINE).await;
    let usage = game.instance.stop(Duration::ZERO).await.usage;
    near("CPU", usage.cpu_seconds, told(&text, "cpu") / 1e9);
    near("memory", usage.peak_memory_bytes as f64, told(&text, "memory"));
    near("sent", usage.network_tx_bytes as f64, told(&text, "tx"));
    assert!(usage.network_tx_bytes > 5_000_000 && usage.network_rx_bytes > 0, "{usage:?}");
}

#[tokio::test]
async fn a_game_that_ends_by_itself_is_missing_little_of_its_figures() {
    let stand = Stand::new().await;
    let mut game = stand.start(&format!("{FIGURES} {BURN} figures; exit 0")).await;
    let event = tokio::time::timeout(A_BUSY_MACHINE, game.events.recv()).await.unwrap();
    assert!(matches!(event, Some(DriverEvent::Exited { code: Some(0), .. })), "{event:?}");
    let usage: Usage = game.instance.stop(Duration::ZERO).await.usage;
    let text = game.said("memory").await;
    near("CPU", usage.cpu_seconds, told(&text, "cpu") / 1e9);
}

fn told(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).trim().parse().unwrap()
}

/// Within five per cent.
fn near(what: &str, ours: f64, theirs: f64) {
    assert!((ours - theirs).abs() <= theirs * 0.05, "{what}: {ours} is not {theirs}");
}
