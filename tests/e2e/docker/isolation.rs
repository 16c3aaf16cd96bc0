//! What a container can and cannot, asked from its inside.

use super::stand::{EMBER, counter, counts_on, joined};
use crate::support::engine::{Engine, built_in_game, games, image_game};
use crate::support::gateway::Gateway;
use std::collections::BTreeSet;

/// A probe never shows a picture: its session stays `starting` as long as this.
const PATIENCE: &str = "sessions.launch_timeout_s = 300\n";

/// Where a game may write; everything else is read-only or somebody else's.
const WRITABLE: [&str; 6] = ["/home/player", "/save", "/tmp", "/run", "/dev/shm", "/dev/mqueue"];

fn probe() -> String {
    image_game("probe", &games().probe, "")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_game_has_no_capability_and_writes_only_where_it_may() {
    let engine = Engine::connect().await;
    let gateway = engine.gateway(&format!("{PATIENCE}{}", probe())).await;
    let player = gateway.guest().await;
    let session = player.launch("probe").await;
    let container = engine.container(&session).await;
    let status = engine.ask(&container, "cat /proc/self/status").await;
    let of = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        line.map(str::trim).unwrap_or_default().to_owned()
    };
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(u64::from_str_radix(&of(set), 16), Ok(0), "{set} {status}");
    }
    assert_eq!((of("NoNewPrivs:"), of("Seccomp:")), ("1".to_owned(), "2".to_owned()), "{status}");
    assert_eq!(of("Uid:"), "1000\t1000\t1000\t1000");
    let found = engine
        .ask(&container, "find / -path /proc -prune -o -writable -not -type l -print 2>/dev/null")
        .await;
    let wrong: Vec<&str> = found
        .lines()
        .filter(|path| !WRITABLE.iter().any(|allowed| path.starts_with(allowed)))
        // Devices that everybody may write to, and the shell's own terminal.
        .filter(|path| !path.starts_with("/dev/"))
        .collect();
    assert!(wrong.is_empty(), "a game can write to {wrong:?}");
    let said = engine
        .ask(
            &container,
            "for d in / /etc /usr/bin /var /game /proc/sys /sys; do touch $d/x && echo wrote $d; done",
        )
        .await;
    assert!(!said.contains("wrote"), "{said}");
    let said = engine
        .ask(&container, "for d in $HOME $PLAYGATE_SAVE_DIR /tmp /run; do touch $d/x && echo wrote $d; done")
        .await;
    assert_eq!(said.matches("wrote").count(), 4, "{said}");
    player.stop(&session).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_game_reaches_no_other_game_and_of_the_gateway_one_port() {
    let engine = Engine::connect().await;
    let gateway = engine.gateway(&format!("{PATIENCE}{}", probe())).await;
    let (one, two) = tokio::join!(gateway.guest(), gateway.guest());
    let (first, second) = tokio::join!(one.launch("probe"), two.launch("probe"));
    let (first_box, second_box) = (engine.container(&first).await, engine.container(&second).await);
    // Its shell answers us, so it is there to be reached.
    assert!(engine.ask(&second_box, "echo here").await.contains("here"));
    let neighbour = engine.address(&second_box).await;
    let said = engine.ask(&first_box, &connect(&neighbour.to_string(), 7777)).await;
    assert!(said.contains("closed"), "{said}");

    let environment = engine.environment(&first_box).await;
    let (host, private) = host_and_port(&environment["PLAYGATE_CONTROL_URL"]);
    let said = engine.ask(&first_box, &connect(&host, private)).await;
    assert!(said.contains("opened"), "{said}");
    let ports = listening(&gateway);
    assert!(ports.contains(&gateway.port()) && ports.contains(&private), "{ports:?}");
    for port in ports.into_iter().filter(|port| *port != private) {
        let said = engine.ask(&first_box, &connect(&host, port)).await;
        assert!(said.contains("closed"), "port {port} of the gateway is open to games: {said}");
    }
    // Metrics are for this machine only.
    for path in ["/metrics", "/", "/api/nodes"] {
        let said = engine.ask(&first_box, &request(&host, private, path, "")).await;
        assert!(said.contains(" 404 ") || said.contains(" 401 "), "{path}: {said}");
    }
    let network = format!("playgate-{}-game", engine.node);
    let network = engine.docker.inspect_network(&network, None).await.unwrap();
    assert_eq!(network.internal, Some(true), "without egress the engine forwards nothing: {network:?}");
    one.stop(&first).await;
    two.stop(&second).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_sessions_token_and_address_change_nothing() {
    let engine = Engine::connect().await;
    let toml = format!("{PATIENCE}{}{}", probe(), built_in_game("box", EMBER, ""));
    let gateway = engine.gateway(&toml).await;
    let (player, attacker) = tokio::join!(gateway.guest(), gateway.guest());
    let session = player.launch_running("box").await;
    let view = joined(&player, &session).await;
    let before = counter(&view).await;
    let own = attacker.launch("probe").await;
    let (victim, probe) = (engine.container(&session).await, engine.container(&own).await);
    let (theirs, ours) = (engine.environment(&victim).await, engine.environment(&probe).await);
    let (host, port) = host_and_port(&theirs["PLAYGATE_CONTROL_URL"]);

    let header = format!("Authorization: Bearer {}\\r\\n", ours["PLAYGATE_TOKEN"]);
    let said = engine.ask(&probe, &request(&host, port, &format!("/runner/{session}"), &header)).await;
    assert!(said.contains(" 404 ") || said.contains(" 401 "), "{said}");

    let (host, port) = theirs["PLAYGATE_RTP_VIDEO"].rsplit_once(':').expect("host and port");
    // RTP of version 2 with the payload type of video: an SSRC of its own, numbers that go on.
    let flood = format!(
        "exec 4<>/dev/udp/{host}/{port}; for i in $(seq 0 499); do \
         printf \"\\\\x80\\\\x60\\\\x00\\\\x$(printf %02x $((i % 256)))\\\\x00\\\\x00\\\\x00\\\\x01\\\\x0a\\\\x0b\\\\x0c\\\\x0d\\\\x65junkjunkjunk\" >&4; \
         done; echo sent"
    );
    let said = engine.ask(&probe, &flood).await;
    assert!(said.contains("sent"), "{said}");
    let after = counts_on(&view, before + 60).await;
    let seen = view.viewer.stats();
    assert_eq!((seen.damaged, seen.lost, seen.ended), (0, 0, false), "{seen:?} at frame {after}");
    view.viewer.close().await;
    attacker.stop(&own).await;
    player.stop(&session).await;
    gateway.finish().await;
}

/// Says `opened` or `closed`.
fn connect(host: &str, port: u16) -> String {
    format!("timeout 3 bash -c 'exec 3<>/dev/tcp/{host}/{port}' 2>/dev/null && echo opened || echo closed")
}

/// A request's answer, its head.
fn request(host: &str, port: u16, path: &str, headers: &str) -> String {
    format!(
        "exec 3<>/dev/tcp/{host}/{port}; printf 'GET {path} HTTP/1.1\\r\\nHost: {host}\\r\\n{headers}Connection: Upgrade\\r\\n\
         Upgrade: websocket\\r\\nSec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\\r\\n\\r\\n' >&3; \
         timeout 5 head -n 1 <&3"
    )
}

fn host_and_port(url: &str) -> (String, u16) {
    let rest = url.split("://").nth(1).unwrap_or(url);
    let (host, port) = rest.split('/').next().and_then(|at| at.rsplit_once(':')).expect("host and port");
    (host.to_owned(), port.parse().unwrap())
}

/// Every TCP port the gateway listens on.
fn listening(gateway: &Gateway) -> BTreeSet<u16> {
    let pid = gateway.pid();
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let sockets: BTreeSet<String> = descriptors
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let tables =
        ["tcp", "tcp6"].map(|name| std::fs::read_to_string(format!("/proc/{pid}/net/{name}")).unwrap());
    let rows = tables.iter().flat_map(|table| table.lines().skip(1));
    rows.filter_map(|row| {
        let fields: Vec<&str> = row.split_whitespace().collect();
        // State 0A is LISTEN.
        let mine = *fields.get(3)? == "0A" && sockets.contains(*fields.get(9)?);
        let port = fields.get(1)?.rsplit_once(':')?.1;
        mine.then(|| u16::from_str_radix(port, 16).ok()).flatten()
    })
    .collect()
}
