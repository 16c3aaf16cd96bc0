//! Losses on both sides of a real relay, with real sockets: a producer that ignores key frame requests, and viewers that ask
//! for what is missing as browsers do.

use crate::receiver::{Mark, Receiver};
use crate::relay_viewer::{Stage, Traits, Watcher, event, run};
use playgate::model::ids::SessionId;
use playgate::netem::{Direction, Proxy, ProxyConfig, Shape};
use playgate::relay::{AddViewer, OpenedSession, RelayEvent};
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtcp::receiver_report::ReceiverReport;
use rtc::rtcp::reception_report::ReceptionReport;
use rtc::rtcp::transport_feedbacks::transport_layer_nack::{
    TransportLayerNack, nack_pairs_from_sequence_numbers,
};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const LINK: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const FRAME: Duration = Duration::from_micros(16_667);
/// Frames from one key frame to the next: 2 s.
const GROUP: u32 = 120;

/// What goes wrong, once, at this frame.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// One packet before the gateway.
    Lost,
    Late(Duration),
    Doubled,
    Reordered,
    /// Nothing reaches the viewer.
    DeadDownlink(Duration),
}

/// Sends frames at their times, a key frame every two seconds, whatever it is asked for.
struct Producer {
    socket: UdpSocket,
    to: SocketAddr,
    sequence: u16,
    frame: u32,
    late: Option<(Instant, Vec<u8>)>,
}

impl Producer {
    fn new(to: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        Self { socket, to, sequence: 65_000, frame: 0, late: None }
    }

    /// Sends one frame, with what goes wrong with the second packet of it.
    fn frame(&mut self, now: Instant, fault: Fault) {
        if let Some((_, datagram)) = self.late.take_if(|(at, _)| *at <= now) {
            self.send(&datagram);
        }
        let key = self.frame.is_multiple_of(GROUP);
        let parts = if key { 20 } else { 5 };
        let mut held = None;
        for part in 0..parts {
            let mark = Mark { frame: self.frame, part, parts, key };
            let mut datagram = vec![0x80, u8::from(mark.is_last()) << 7 | 96];
            datagram.extend(self.sequence.to_be_bytes());
            datagram.extend((self.frame.wrapping_mul(1500)).to_be_bytes());
            datagram.extend([0, 0, 0, 5]);
            datagram.extend(mark.payload(900));
            self.sequence = self.sequence.wrapping_add(1);
            match fault {
                Fault::Lost if part == 1 => continue,
                Fault::Late(by) if part == 1 => {
                    self.late = Some((now + by, datagram));
                    continue;
                }
                Fault::Reordered if part == 1 => {
                    held = Some(datagram);
                    continue;
                }
                Fault::Doubled if part == 1 => self.send(&datagram),
                Fault::None
                | Fault::Lost
                | Fault::Late(_)
                | Fault::Reordered
                | Fault::Doubled
                | Fault::DeadDownlink(_) => {}
            }
            self.send(&datagram);
            if let Some(held) = held.take_if(|_| part == 3) {
                self.send(&held);
            }
        }
        self.frame += 1;
    }

    fn send(&self, datagram: &[u8]) {
        self.socket.send_to(datagram, self.to).expect("sent");
    }
}

/// A viewer and what it makes of its packets.
struct Player {
    watcher: Watcher,
    receiver: Receiver,
    start: Instant,
    read: usize,
    report_at: Duration,
    ssrc: u32,
}

impl Player {
    /// Connects to a session. The candidate's port is replaced by `port`.
    async fn connect(
        stage: &Stage,
        session: SessionId,
        opened: &mut OpenedSession,
        traits: Traits,
        port: Option<u16>,
    ) -> Self {
        // Once more for who has no AES-GCM.
        for _ in 0..2 {
            let watcher = Watcher::new(traits.clone()).await;
            let spec =
                AddViewer { session, viewer: watcher.id, slot: None, offer: watcher.offer(false).await };
            let answer = stage.relay.add_viewer(spec).await.expect("answered");
            let relay = stage.relay.candidates()[0].port();
            let hop = port.unwrap_or(relay);
            let answer = answer.replace(&format!(" {relay} typ host"), &format!(" {hop} typ host"));
            assert_eq!(answer.contains("a=fmtp:103 apt=102"), !traits.no_rtx, "{answer}");
            watcher.accept(answer).await;
            let end = event(opened, |event| {
                matches!(event, RelayEvent::ViewerConnected { .. } | RelayEvent::ViewerGone { .. })
            });
            if matches!(end.await, RelayEvent::ViewerConnected { .. }) {
                watcher.connected().await;
                let receiver = Receiver::new(Duration::from_millis(40));
                let report_at = Duration::from_secs(1);
                return Self { watcher, receiver, start: Instant::now(), read: 0, report_at, ssrc: 0 };
            }
        }
        panic!("no connection");
    }

    /// Takes what has come, asks for what is missing, reports. A browser asks with the packet that shows the hole, not when
    /// the frame is whole: a key frame behind a hole ends it too late.
    async fn step(&mut self) {
        let (now, mut missing) = (self.start.elapsed(), Vec::new());
        {
            let video = self.watcher.seen.video.lock().expect("lock");
            for packet in &video[self.read..] {
                self.ssrc = packet.header.ssrc;
                self.receiver.packet(packet.header.sequence_number, &packet.payload, false);
                missing.extend(self.receiver.nack(now));
            }
            self.read = video.len();
        }
        let Some(track) = self.watcher.seen.track().filter(|_| self.read > 0) else { return };
        missing.extend(self.receiver.nack(now));
        if !missing.is_empty() {
            let nacks = nack_pairs_from_sequence_numbers(&missing);
            let nack = TransportLayerNack { sender_ssrc: 1, media_ssrc: self.ssrc, nacks };
            track.write_rtcp(vec![Box::new(nack)]).await.expect("sent");
        }
        if std::mem::take(&mut self.receiver.wants_key_frame) {
            let pli = PictureLossIndication { sender_ssrc: 1, media_ssrc: self.ssrc };
            track.write_rtcp(vec![Box::new(pli)]).await.expect("sent");
        }
        if now >= self.report_at {
            self.report_at = now + Duration::from_secs(1);
            if let Some((fraction_lost, last_sequence_number)) = self.receiver.report() {
                let report = ReceptionReport {
                    ssrc: self.ssrc,
                    fraction_lost,
                    last_sequence_number,
                    ..Default::default()
                };
                let report = ReceiverReport { ssrc: 1, reports: vec![report], ..Default::default() };
                track.write_rtcp(vec![Box::new(report)]).await.expect("sent");
            }
        }
    }
}

/// Ticks with every frame of a producer.
fn frame_clock() -> tokio::time::Interval {
    let mut clock = tokio::time::interval(FRAME);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    clock
}

/// One viewer behind a line, and one fault at frame 150. Gives what is not complete of what begins with the next key frame.
async fn incomplete_after(fault: Fault) -> Vec<u32> {
    let stage = Stage::reached_at(vec![IpAddr::V4(LINK)]);
    let port = stage.relay.candidates()[0].port();
    let [listen, to] = [LINK, Ipv4Addr::LOCALHOST].map(|ip| SocketAddr::from((ip, port)));
    let proxy = Proxy::start(ProxyConfig::new(listen, to)).expect("127.0.0.2 is this machine's too");
    let delayed = Shape { delay: Duration::from_millis(10), ..Shape::CLEAR };
    proxy.set(Direction::Up, delayed);
    proxy.set(Direction::Down, delayed);
    let (session, mut opened) = stage.open().await;
    let mut player = Player::connect(&stage, session, &mut opened, Traits::default(), None).await;
    let mut producer = Producer::new(opened.rtp_video);
    const AT: u32 = 150;
    let over = match fault {
        Fault::DeadDownlink(lasts) => AT + (lasts.as_micros() / FRAME.as_micros()) as u32 + 1,
        Fault::None | Fault::Lost | Fault::Late(_) | Fault::Doubled | Fault::Reordered => AT,
    };
    let next = (over / GROUP + 1) * GROUP;
    let frames = next + GROUP + 30;
    let mut clock = frame_clock();
    for frame in 0..frames {
        clock.tick().await;
        producer.frame(Instant::now(), if frame == AT { fault } else { Fault::None });
        if let Fault::DeadDownlink(_) = fault {
            if frame == AT {
                proxy.set(Direction::Down, Shape::CUT);
            } else if frame == over {
                proxy.set(Direction::Down, delayed);
            }
        }
        player.step().await;
    }
    let start = Instant::now();
    let missing = |player: &Player| {
        (next..frames).filter(|frame| !player.receiver.complete.contains(frame)).collect::<Vec<_>>()
    };
    while !missing(&player).is_empty() && start.elapsed() < Duration::from_secs(2) {
        player.step().await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    missing(&player)
}

#[test]
fn after_the_next_key_frame_every_frame_of_six_real_cases_is_complete() {
    run(async {
        let faults = [
            Fault::Lost,
            Fault::Late(Duration::from_millis(40)),
            Fault::Doubled,
            Fault::Reordered,
            Fault::DeadDownlink(Duration::from_millis(1500)),
            Fault::DeadDownlink(Duration::from_secs(5)),
        ];
        let cases = faults.map(|fault| (fault, tokio::spawn(incomplete_after(fault))));
        let mut broken = Vec::new();
        for (fault, case) in cases {
            let incomplete = case.await.expect("a case");
            println!("{fault:?}: {} frames incomplete", incomplete.len());
            if !incomplete.is_empty() {
                broken.push((fault, incomplete));
            }
        }
        assert!(broken.is_empty(), "{broken:?}");
    });
}

#[test]
fn a_viewer_with_nack_and_without_rtx_gets_the_same_ciphertext_again() {
    run(async {
        let kinds = [("AES-GCM, sealed here", false), ("AES-CM, sealed by the crate", true)];
        let cases = kinds.map(|(name, only_aes_cm)| (name, tokio::spawn(without_rtx(only_aes_cm))));
        for (name, case) in cases {
            let outcome = case.await.expect("a case");
            println!("{name}: {outcome:?}");
            assert!(outcome.lost > 20 && outcome.repeated > 20, "{name}: {outcome:?}");
            assert_eq!(outcome.changed, 0, "{name}: a number was sent with two contents");
            assert!(outcome.complete * 100 >= outcome.frames * 98, "{name}: {outcome:?}");
        }
    });
}

#[derive(Debug)]
struct Outcome {
    frames: usize,
    complete: usize,
    lost: usize,
    /// Packets that were sent more than once, the same.
    repeated: usize,
    /// And not the same.
    changed: usize,
}

/// Ten seconds at 1 % loss.
async fn without_rtx(only_aes_cm: bool) -> Outcome {
    const FRAMES: u32 = 600;
    let stage = Stage::new();
    let hop = Hop::start(stage.relay.candidates()[0]);
    let (session, mut opened) = stage.open().await;
    let traits = Traits { no_rtx: true, only_aes_cm, ..Traits::default() };
    let mut player = Player::connect(&stage, session, &mut opened, traits, Some(hop.port)).await;
    hop.lossy.store(true, Ordering::Relaxed);
    let mut producer = Producer::new(opened.rtp_video);
    let mut clock = frame_clock();
    for _ in 0..FRAMES {
        clock.tick().await;
        producer.frame(Instant::now(), Fault::None);
        player.step().await;
    }
    let start = Instant::now();
    while player.receiver.complete.len() < FRAMES as usize && start.elapsed() < Duration::from_secs(1) {
        player.step().await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Outcome {
        frames: FRAMES as usize,
        complete: player.receiver.complete.len(),
        lost: hop.lost.load(Ordering::Relaxed),
        repeated: hop.repeated.load(Ordering::Relaxed),
        changed: hop.changed.load(Ordering::Relaxed),
    }
}

/// A way to the relay that remembers every media datagram towards the viewer, and loses one in a hundred when told to.
struct Hop {
    port: u16,
    lossy: Arc<AtomicBool>,
    lost: Arc<AtomicUsize>,
    repeated: Arc<AtomicUsize>,
    changed: Arc<AtomicUsize>,
}

impl Hop {
    fn start(relay: SocketAddr) -> Self {
        let outside = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let inside = UdpSocket::bind("127.0.0.1:0").expect("a port");
        inside.connect(relay).expect("connected");
        let hop = Self {
            port: outside.local_addr().expect("an address").port(),
            lossy: Arc::default(),
            lost: Arc::default(),
            repeated: Arc::default(),
            changed: Arc::default(),
        };
        let client = Arc::new(Mutex::new(None));
        let (outside_in, inside_out, seen) = (
            outside.try_clone().expect("a socket"),
            inside.try_clone().expect("a socket"),
            Arc::clone(&client),
        );
        std::thread::spawn(move || {
            let mut buffer = [0; 2000];
            while let Ok((len, from)) = outside_in.recv_from(&mut buffer) {
                *seen.lock().expect("lock") = Some(from);
                let _ = inside_out.send(&buffer[..len]);
            }
        });
        let (lossy, lost) = (Arc::clone(&hop.lossy), Arc::clone(&hop.lost));
        let (repeated, changed) = (Arc::clone(&hop.repeated), Arc::clone(&hop.changed));
        std::thread::spawn(move || {
            let mut buffer = [0; 2000];
            let mut known: HashMap<[u8; 6], Vec<u8>> = HashMap::new();
            let mut random = 1u32;
            while let Ok(len) = inside.recv(&mut buffer) {
                let datagram = &buffer[..len];
                // SRTP by its first byte (RFC 7983), and not SRTCP (RFC 5761 section 4).
                if let [128..=191, kind, s0, s1, _, _, _, _, c0, c1, c2, c3, ..] = datagram
                    && !(192..=223).contains(kind)
                {
                    let number = [*s0, *s1, *c0, *c1, *c2, *c3];
                    match known.insert(number, datagram.to_vec()) {
                        Some(before) if before == datagram => repeated.fetch_add(1, Ordering::Relaxed),
                        Some(_) => changed.fetch_add(1, Ordering::Relaxed),
                        None => 0,
                    };
                    // Numerical Recipes' generator.
                    random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    if lossy.load(Ordering::Relaxed) && (random >> 16).is_multiple_of(100) {
                        lost.fetch_add(1, Ordering::Relaxed);
                        continue;
                    }
                }
                if let Some(to) = *client.lock().expect("lock") {
                    let _ = outside.send_to(datagram, to);
                }
            }
        });
        hop
    }
}
