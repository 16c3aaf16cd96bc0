//! The emulated line: what it does to datagrams, and to a real viewer of a real relay.

use crate::relay_viewer::{Stage, Traits, Watcher, event, run, until};
use crate::rtp_source::RtpSource;
use playgate::model::ids::SessionId;
use playgate::netem::{
    Direction, Jitter, Loss, OVERHEAD_BYTES, Proxy, ProxyConfig, Queue, Rate, Reorder, Shape,
};
use playgate::relay::{OpenedSession, RelayEvent};
use rtc::rtcp::transport_feedbacks::transport_layer_nack::{NackPair, TransportLayerNack};
use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const MS: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(20);

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket
}

/// Sends back what it gets, and remembers from whom.
struct Echo {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<BTreeSet<SocketAddr>>>,
}

impl Echo {
    fn start() -> Self {
        let socket = socket();
        socket.set_read_timeout(Some(20 * MS)).expect("a timeout");
        let address = socket.local_addr().expect("an address");
        let ended = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ended);
        let thread = std::thread::spawn(move || {
            let (mut from_whom, mut buffer) = (BTreeSet::new(), [0; 2000]);
            while !end.load(Ordering::Relaxed) {
                if let Ok((len, from)) = socket.recv_from(&mut buffer) {
                    from_whom.insert(from);
                    socket.send_to(&buffer[..len], from).expect("sent");
                }
            }
            from_whom
        });
        Self { address, ended, thread: Some(thread) }
    }

    /// A proxy before it.
    fn proxy(&self, change: impl FnOnce(&mut ProxyConfig)) -> Proxy {
        let mut config = ProxyConfig::new("127.0.0.2:0".parse().expect("address"), self.address);
        change(&mut config);
        Proxy::start(config).expect("a proxy")
    }

    fn end(mut self) -> BTreeSet<SocketAddr> {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.take().expect("running").join().expect("ended")
    }
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "waited for {what}");
        std::thread::sleep(2 * MS);
    }
}

fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = [0; 2000];
    let (len, _) = socket.recv_from(&mut buffer).expect("something comes");
    buffer[..len].to_vec()
}

#[test]
fn every_client_has_an_address_of_its_own_behind_the_link() {
    let echo = Echo::start();
    let proxy = echo.proxy(|_| {});
    let clients = [socket(), socket(), socket()];
    for round in 0..50_u8 {
        for (number, client) in clients.iter().enumerate() {
            client.send_to(&[number as u8, round], proxy.address()).expect("sent");
        }
        for (number, client) in clients.iter().enumerate() {
            assert_eq!(receive(client), [number as u8, round]);
        }
    }
    for direction in [Direction::Up, Direction::Down] {
        wait_until("the counts", || proxy.counters(direction).delivered == 150);
        let counters = proxy.counters(direction);
        assert_eq!((counters.packets, counters.bytes, counters.delivered_bytes), (150, 300, 300));
        assert_eq!((counters.lost, counters.overflow, counters.queued, counters.dropped), (0, 0, 0, 0));
    }
    assert_eq!((proxy.clients(), proxy.refused()), (3, 0));
    drop(proxy);
    assert_eq!(echo.end().len(), 3);
}

#[test]
fn nothing_arrives_before_its_time() {
    let echo = Echo::start();
    let proxy = echo.proxy(|config| {
        config.up.delay = 20 * MS;
        config.down = Shape {
            delay: 10 * MS,
            jitter: Some(Jitter { most: 5 * MS, keeps_order: true }),
            ..Shape::CLEAR
        };
    });
    let client = socket();
    let mut over = Vec::new();
    for number in 0..50_u8 {
        let sent = Instant::now();
        client.send_to(&[number], proxy.address()).expect("sent");
        assert_eq!(receive(&client), [number]);
        over.push(sent.elapsed().checked_sub(30 * MS).expect("not earlier than 20 and 10 ms"));
    }
    over.sort();
    println!(
        "after 30 ms and up to 5 of jitter: p50 {:?}, p90 {:?}, worst {:?}",
        over[25], over[45], over[49]
    );
    drop(proxy);
    echo.end();
}

#[test]
fn a_link_is_cut_and_mended_while_it_runs() {
    let echo = Echo::start();
    let proxy = echo.proxy(|_| {});
    let client = socket();
    client.send_to(&[1], proxy.address()).expect("sent");
    assert_eq!(receive(&client), [1]);
    proxy.set(Direction::Down, Shape::CUT);
    assert_eq!(proxy.shape(Direction::Down), Shape::CUT);
    for _ in 0..10 {
        client.send_to(&[2], proxy.address()).expect("sent");
    }
    wait_until("the losses", || proxy.counters(Direction::Down).lost == 10);
    proxy.set(Direction::Down, Shape::CLEAR);
    client.send_to(&[3], proxy.address()).expect("sent");
    assert_eq!(receive(&client), [3]);
    proxy.set(Direction::Up, Shape { duplicate: 1.0, ..Shape::CLEAR });
    client.send_to(&[4], proxy.address()).expect("sent");
    assert_eq!((receive(&client), receive(&client)), (vec![4], vec![4]));
    assert_eq!(proxy.counters(Direction::Up).duplicated, 1);
    drop(proxy);
    echo.end();
}

#[test]
fn packets_held_back_are_passed_by_others() {
    let echo = Echo::start();
    let reorder = Some(Reorder { share: 0.2, by: 30 * MS });
    let proxy = echo.proxy(|config| config.up = Shape { reorder, ..Shape::CLEAR });
    let client = socket();
    for number in 0..100_u8 {
        client.send_to(&[number], proxy.address()).expect("sent");
    }
    let order: Vec<u8> = (0..100).map(|_| receive(&client)[0]).collect();
    assert!(!order.is_sorted());
    let held = proxy.counters(Direction::Up).reordered;
    assert!((5..50).contains(&held), "{held}");
    drop(proxy);
    echo.end();
}

#[test]
fn an_idle_client_is_forgotten_and_known_again() {
    let echo = Echo::start();
    let proxy = echo.proxy(|config| config.idle = 30 * MS);
    let client = socket();
    client.send_to(&[1], proxy.address()).expect("sent");
    assert_eq!(receive(&client), [1]);
    wait_until("forgetting", || proxy.clients() == 0);
    client.send_to(&[2], proxy.address()).expect("sent");
    assert_eq!(receive(&client), [2]);
    drop(proxy);
    assert_eq!(echo.end().len(), 2, "from another address");
}

#[test]
fn one_client_too_many_is_refused_and_counted() {
    let echo = Echo::start();
    let proxy = echo.proxy(|_| {});
    let clients: Vec<UdpSocket> = (0..257).map(|_| socket()).collect();
    for (number, client) in clients.iter().enumerate() {
        client.send_to(&[1], proxy.address()).expect("sent");
        if number < 256 {
            receive(client);
        }
    }
    wait_until("the refusal", || proxy.refused() == 1);
    assert_eq!(proxy.clients(), 256);
    drop(proxy);
    echo.end();
}

/// A relay behind a proxy, a session on it, and a viewer that is connected through it.
struct Scene {
    stage: Stage,
    proxy: Proxy,
    watcher: Watcher,
    source: RtpSource,
    _opened: OpenedSession,
    _session: SessionId,
}

impl Scene {
    async fn new() -> Self {
        let stage = Stage::reached_at(vec!["127.0.0.2".parse().expect("address")]);
        let listen = stage.relay.candidates()[0];
        let proxy = Proxy::start(ProxyConfig::new(listen, SocketAddr::from(([127, 0, 0, 1], listen.port()))))
            .expect("a proxy");
        let (session, mut opened) = stage.open().await;
        let watcher = Watcher::new(Traits::default()).await;
        watcher.watch(&stage, session, Some(0)).await.expect("answered");
        event(&mut opened, |event| matches!(event, RelayEvent::ViewerConnected { .. })).await;
        let mut source = RtpSource::video(opened.rtp_video);
        source.key_frame(5);
        until("the first frame", || watcher.seen.video_count() >= source.sent.len()).await;
        Self { stage, proxy, watcher, source, _opened: opened, _session: session }
    }

    /// Asks again for what is missing, as a browser does.
    async fn nack(&self) {
        let (ssrc, missing) = {
            let video = self.watcher.seen.video.lock().expect("lock");
            let first = video[0].header.sequence_number;
            let seen: BTreeSet<u16> =
                video.iter().map(|packet| packet.header.sequence_number.wrapping_sub(first)).collect();
            // Of the tail, too: this source stops.
            let sent = u16::try_from(self.source.sent.len()).expect("few");
            let missing = (0..sent).filter(|offset| !seen.contains(offset)).take(100);
            (video[0].header.ssrc, missing.map(|offset| offset.wrapping_add(first)).collect::<Vec<_>>())
        };
        if missing.is_empty() {
            return;
        }
        let nacks = missing.into_iter().map(NackPair::new).collect();
        let nack = TransportLayerNack { sender_ssrc: 1, media_ssrc: ssrc, nacks };
        self.watcher.seen.track().expect("a track").write_rtcp(vec![Box::new(nack)]).await.expect("sent");
    }
}

#[test]
fn a_viewer_behind_a_clear_link_gets_every_packet() {
    run(async {
        let mut scene = Scene::new().await;
        for _ in 0..60 {
            scene.source.frame(5);
            until("each frame", || scene.watcher.seen.video_count() >= scene.source.sent.len()).await;
        }
        assert!(scene.watcher.seen.pictures() == scene.source.sent, "complete and in order");
        assert_eq!(scene.stage.counted("retransmits"), 0);
        assert_eq!(scene.proxy.clients(), 1);
        assert!(scene.proxy.counters(Direction::Down).packets >= 305);
    });
}

#[test]
fn frames_that_lose_packets_on_the_link_are_repaired() {
    run(async {
        let mut scene = Scene::new().await;
        let shape = Shape { loss: Loss::Independent(0.05), delay: 5 * MS, ..Shape::CLEAR };
        scene.proxy.set(Direction::Up, shape);
        scene.proxy.set(Direction::Down, shape);
        for _ in 0..150 {
            scene.source.frame(5);
            tokio::time::sleep(4 * MS).await;
        }
        let begun = Instant::now();
        while scene.watcher.seen.pictures() != scene.source.sent {
            assert!(begun.elapsed() < PATIENCE, "{} of them", scene.watcher.seen.pictures().len());
            scene.nack().await;
            tokio::time::sleep(30 * MS).await;
        }
        assert!(scene.proxy.counters(Direction::Down).lost > 10);
        assert!(scene.stage.counted("retransmits") > 10);
    });
}

#[test]
fn what_passes_a_slow_link_is_below_its_rate() {
    run(async {
        let mut scene = Scene::new().await;
        let bits_per_second = 2_000_000;
        let rate = Some(Rate { bits_per_second, queue: Queue::Time(50 * MS) });
        let counters = || scene.proxy.counters(Direction::Down);
        let (begun, before) = (Instant::now(), counters());
        scene.proxy.set(Direction::Down, Shape { rate, ..Shape::CLEAR });
        for _ in 0..100 {
            // About 5 Mbit/s.
            scene.source.frame(6);
            tokio::time::sleep(10 * MS).await;
        }
        let passed = {
            let now = counters();
            let bytes = now.delivered_bytes - before.delivered_bytes;
            bytes + (now.delivered - before.delivered) * OVERHEAD_BYTES
        };
        // A packet may have been on its way when the rate came.
        let most = begun.elapsed().as_secs_f64() * bits_per_second as f64 / 8.0 + 1500.0;
        assert!((passed as f64) < most, "{passed} bytes, at most {most}");
        assert!(counters().overflow > 50, "{:?}", counters());
        assert_eq!(counters().dropped, 0);
    });
}
