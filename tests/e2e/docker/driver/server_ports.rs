//! Published ports: who gets which, who reaches them, and how they outlive a gateway.

use super::stand::{Stand, printed, tcp, udp};
use crate::support::wait::{SOON, eventually};
use playgate::driver::{Driver, DriverError, DriverEvent, Site, SiteRequest};
use playgate::model::ids::SessionId;
use playgate::model::instance::{Port, Protocol};
use std::collections::HashSet;
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::mpsc;

/// What a server at this port of the machine says to whoever connects.
pub(super) async fn heard(port: u16) -> String {
    eventually(&format!("somebody answers at {port}"), SOON, async || {
        let mut text = String::new();
        let mut stream =
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| error.to_string())?;
        // The engine's proxy takes connections before the server does.
        stream.read_to_string(&mut text).await.map_err(|error| error.to_string())?;
        if text.is_empty() { Err("nothing said".to_owned()) } else { Ok(text.trim_end().to_owned()) }
    })
    .await
}

fn request(count: u16) -> SiteRequest {
    SiteRequest { egress: true, ports: (0..count).map(|step| tcp(7000 + step)).collect() }
}

#[tokio::test]
async fn every_exposed_port_is_reached_at_its_own_port_of_this_machine() {
    let stand = Stand::new().await;
    // Nothing in a busybox answers by UDP; but the kernel counts what came for a port where nobody listens.
    let spec = stand.server_spec(
        "nc -ll -p 7000 -e /bin/echo one & nc -ll -p 7001 -e /bin/echo two & \
         until [ $(grep ^Udp: /proc/net/snmp | tail -n 1 | cut -d' ' -f3) -gt 0 ]; do sleep 0.05; done; \
         echo it came; wait",
    );
    let (ports, game) = stand.start_server(spec, &[tcp(7000), tcp(7001), udp(7000)]).await;
    assert!(ports.iter().all(|port| (20_000..=30_000).contains(&port.host)), "{ports:?}");
    assert_eq!(ports.iter().map(|port| port.host).collect::<HashSet<_>>().len(), 3);
    assert_eq!(heard(ports[0].host).await, "one");
    assert_eq!(heard(ports[1].host).await, "two");
    assert_eq!((ports[2].protocol, ports[2].container), (Protocol::Udp, 7000));
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    socket.connect((Ipv4Addr::LOCALHOST, ports[2].host)).await.unwrap();
    eventually("what was sent by UDP arrives", SOON, async || {
        socket.send(b"ping").await.map_err(|error| error.to_string())?;
        let text = printed(stand.engine(), &game.container()).await;
        if text.contains("it came") { Ok(()) } else { Err(text) }
    })
    .await;
    game.instance.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn racing_starts_get_ports_of_their_own() {
    let stand = Stand::new().await;
    let one = async |name: &str| {
        let spec = stand.server_spec(&format!("exec nc -ll -p 7000 -e /bin/echo {name}"));
        let (ports, game) = stand.start_server(spec, &[tcp(7000), udp(7000)]).await;
        assert_eq!(heard(ports[0].host).await, name);
        (ports, game)
    };
    let (a, b, c, d, e) = tokio::join!(one("a"), one("b"), one("c"), one("d"), one("e"));
    let all: Vec<u16> =
        [&a, &b, &c, &d, &e].iter().flat_map(|(ports, _)| ports).map(|port| port.host).collect();
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), 10, "{all:?}");
    for (_, game) in [a, b, c, d, e] {
        game.instance.stop(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn a_port_that_was_taken_meanwhile_fails_the_start_clearly_and_leaves_nothing() {
    let stand = Stand::new().await;
    let site = stand.driver.site(SessionId::new(), &request(1)).await.unwrap();
    let taken = site.ports[0].host;
    let thief = TcpListener::bind((Ipv4Addr::LOCALHOST, taken)).unwrap();
    let (sender, mut events) = mpsc::channel::<DriverEvent>(8);
    let spec = stand.server_spec("sleep 1000");
    let error = stand.driver.start(spec.clone(), site, sender).await.map(|_| ()).unwrap_err();
    assert!(matches!(&error, DriverError::PortTaken(text) if text.contains(&taken.to_string())), "{error}");
    assert_eq!(events.recv().await, None);
    assert_eq!(stand.things().await, Vec::<String>::new());
    // Another site does.
    let (ports, game) = stand.start_server(spec, &request(1).ports).await;
    assert_ne!(ports[0].host, taken);
    drop(thief);
    game.instance.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn ports_of_anybodys_containers_are_passed_over_and_unused_ones_come_back() {
    let stand = Stand::new().await;
    let (ports, game) = stand.start_server(stand.server_spec("sleep 1000"), &request(2).ports).await;
    // Another gateway of this machine, which knows of no lease of ours: a range of these alone.
    let mut hosting = stand.hosting.clone();
    let low = ports.iter().map(|port| port.host).min().unwrap();
    hosting.ports = low..=low + 20;
    let other = playgate::driver::DockerDriver::connect(&stand.config, &stand.node, &hosting).await.unwrap();
    for _ in 0..3 {
        let mut sites: Vec<Site> = Vec::new();
        while let Ok(site) = other.site(SessionId::new(), &request(1)).await {
            sites.push(site);
        }
        let lent: HashSet<u16> = sites.iter().map(|site| site.ports[0].host).collect();
        assert_eq!(lent.len(), sites.len());
        assert!(lent.len() > 3, "{lent:?}");
        assert!(ports.iter().all(|port| !lent.contains(&port.host)), "{ports:?} {lent:?}");
    }
    game.instance.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn an_adopted_server_has_its_ports_back_playing_or_ended() {
    let stand = Stand::new().await;
    let spec = stand.server_spec("exec nc -ll -p 7000 -e /bin/echo still");
    let (ports, game) = stand.start_server(spec, &[tcp(7000), udp(7000)]).await;
    heard(ports[0].host).await;
    let (session, reference) = (game.session, game.instance.reference().unwrap());
    drop(game);

    let only = |ports: &[Port]| {
        let mut hosting = stand.hosting.clone();
        let hosts: Vec<u16> = ports.iter().map(|port| port.host).collect();
        hosting.ports = *hosts.iter().min().unwrap()..=*hosts.iter().max().unwrap();
        hosting
    };
    for playing in [true, false] {
        let next =
            playgate::driver::DockerDriver::connect(&stand.config, &stand.node, &only(&ports)).await.unwrap();
        let (sender, _events) = mpsc::channel(8);
        let adopted = next.adopt(session, &reference, sender).await.unwrap().unwrap();
        assert_eq!(adopted.running, playing);
        assert_eq!(adopted.site.ports, ports);
        // They are lent to nobody else, though an ended one has published nothing.
        let mut sites = Vec::new();
        while let Ok(site) = next.site(SessionId::new(), &request(1)).await {
            sites.push(site);
        }
        assert!(sites.iter().all(|site| ports.iter().all(|port| port.host != site.ports[0].host)));
        adopted.instance.stop(Duration::ZERO).await;
        if !playing {
            let (sender, _events) = mpsc::channel(8);
            adopted.instance.restart(sender).await.unwrap();
            assert_eq!(heard(ports[0].host).await, "still");
            adopted.instance.stop(Duration::ZERO).await;
        }
    }
}

#[tokio::test]
async fn an_internal_container_publishes_nothing_and_says_so_when_asked() {
    let stand = Stand::new().await;
    let inside = SiteRequest { egress: false, ports: vec![tcp(80)] };
    let error = stand.driver.site(SessionId::new(), &inside).await.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("egress"), "{error}");
    let site = stand.driver.site(SessionId::new(), &request(1)).await.unwrap();
    let (sender, _events) = mpsc::channel(8);
    let started = stand.driver.start(stand.spec("sleep 1000"), site, sender).await.map(|_| ());
    assert!(started.unwrap_err().to_string().contains("egress"));
    assert_eq!(stand.things().await, Vec::<String>::new());
}
