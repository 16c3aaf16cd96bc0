//! Losses on either side of the relay, in virtual time: a session, one viewer of it and its real sealing, between a producer
//! that ignores key frame requests and a receiver that does what browsers do.
//!
//! A case is its seed. What must hold in each: no nonce meets two contents, and once the producer's next key frame is here
//! every frame is complete and nothing is asked for any more.

#[path = "../../tests/support/receiver.rs"]
mod receiver;

use super::down_track::DownTrack;
use super::feedback::Reception;
use super::outbox::Outbox;
use super::peer::tests::connected;
use super::seal::{Sealer, TAG};
use super::session::Session;
use super::stats::{Metrics, Stats};
use super::viewer::{Given, Viewer};
use super::{Codec, IngestSpec, OpenSession, OpenedSession};
use crate::ids::{SessionId, ViewerId};
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use receiver::{Mark, Receiver};
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

const KEY: [u8; 16] = [7; 16];
const SALT: [u8; 12] = [9; 12];
/// Between two key frames of the producer.
const GROUP: Duration = Duration::from_secs(2);
const LENGTH: Duration = Duration::from_millis(10_500);
/// How often the receiver looks after its NACKs, and the shard after a viewer.
const TICK: Duration = Duration::from_millis(5);

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn ms(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_micros(from * 1000 + self.below((to - from) * 1000))
    }
}

/// What goes wrong, once.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    /// Packets in a row, from one on, that never reach the gateway.
    Lost {
        packets: u64,
    },
    Late {
        by: Duration,
    },
    Doubled {
        after: Duration,
    },
    /// So many packets in a row arrive in reverse order.
    Reversed {
        packets: u64,
    },
    /// Nothing reaches the viewer.
    DeadDownlink {
        lasts: Duration,
    },
    /// The relay's own socket takes nothing.
    FullSocket {
        lasts: Duration,
    },
}

impl Fault {
    fn of(random: &mut Random) -> Self {
        match random.below(6) {
            0 => Self::Lost { packets: [1, 2, 5, 20, 200, 1500][random.below(6) as usize] },
            1 => Self::Late { by: random.ms(2, 200) },
            2 => Self::Doubled { after: random.ms(0, 100) },
            3 => Self::Reversed { packets: 2 + random.below(9) },
            4 => Self::DeadDownlink { lasts: random.ms(200, 5000) },
            _ => Self::FullSocket { lasts: random.ms(1, 400) },
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Case {
    seed: u64,
    fault: Fault,
    /// When it begins.
    at: Duration,
    frame_time: Duration,
    /// Packets of an ordinary frame and of a key frame.
    frame: u16,
    key_frame: u16,
    /// Between two packets of a frame.
    spacing: Duration,
    /// One way between relay and viewer.
    delay: Duration,
    joins: Duration,
    rtx: bool,
    player: bool,
    base: u16,
    sequence: u16,
}

impl Case {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let frame = 1 + random.below(12) as u16;
        let mut fault = Fault::of(&mut random);
        if let Fault::Lost { packets } = &mut fault {
            // Three seconds at most.
            *packets = (*packets).min(u64::from(frame) * 90);
        }
        Self {
            seed,
            fault,
            at: random.ms(2100, 4300),
            frame_time: Duration::from_micros([16_667, 33_333][random.below(2) as usize]),
            frame,
            key_frame: 4 + random.below(40) as u16,
            spacing: Duration::from_micros([0, 0, 50, 300][random.below(4) as usize]),
            delay: random.ms(1, 80),
            joins: random.ms(0, 1900),
            rtx: random.below(4) > 0,
            player: random.below(2) == 0,
            base: [random.below(1 << 15) as u16, 65_000][random.below(2) as usize],
            sequence: random.next() as u16,
        }
    }
}

/// A packet as the producer sends it.
struct Sent {
    datagram: Vec<u8>,
    mark: Mark,
    at: Duration,
}

fn produce(case: &Case) -> Vec<Sent> {
    let (mut sent, mut sequence) = (Vec::new(), case.sequence);
    let frames = LENGTH.as_micros() / case.frame_time.as_micros();
    let group = (GROUP.as_micros() / case.frame_time.as_micros()) as u32;
    for frame in 0..frames as u32 {
        let key = frame % group == 0;
        let parts = if key { case.key_frame } else { case.frame };
        let start = case.frame_time * frame;
        for part in 0..parts {
            let mark = Mark { frame, part, parts, key };
            let mut datagram = vec![0x80, u8::from(mark.is_last()) << 7 | 96];
            datagram.extend(sequence.to_be_bytes());
            datagram.extend((frame.wrapping_mul(1500)).to_be_bytes());
            datagram.extend([0, 0, 0, 5]);
            datagram.extend(mark.payload(60));
            sent.push(Sent { datagram, mark, at: start + case.spacing * part.into() });
            sequence = sequence.wrapping_add(1);
        }
    }
    sent
}

/// What happens at a time, in order.
#[derive(Debug)]
enum Event {
    /// At the gateway, from the producer.
    Ingest(usize),
    /// At the viewer.
    Deliver(Vec<u8>),
    /// At the gateway, from the viewer.
    Nack(Vec<u16>),
    Report(u8, u32),
    Tick,
    ReportNow,
    Join,
}

struct World {
    case: Case,
    start: Instant,
    events: BTreeMap<(Duration, u64), Event>,
    order: u64,
    session: Session,
    _opened: OpenedSession,
    viewer: Viewer,
    out: Outbox,
    stats: Stats,
    receiver: Receiver,
    opener: LessSafeKey,
    /// Every datagram by SSRC and packet index.
    sealed: HashMap<(u32, u64), Vec<u8>>,
    newest: HashMap<u32, u64>,
    requests: usize,
    repeated: usize,
}

impl World {
    fn new(case: Case) -> Self {
        let start = Instant::now();
        let spec = OpenSession {
            session: SessionId::new(),
            video: IngestSpec { listen: None, codec: Codec::H264, payload_type: 96, rtcp: None },
            audio: None,
            allow: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
        };
        let (session, opened) = Session::open(spec, Ipv4Addr::LOCALHOST.into()).expect("a session");
        let sealer = Sealer::new(&KEY, SALT).expect("a key");
        let slot = case.player.then_some(0);
        let mut viewer = Viewer::new(start, ViewerId::new(), 1, slot, connected(start, case.rtx, sealer));
        viewer.track = DownTrack::new(start, case.base);
        Self {
            case,
            start,
            events: BTreeMap::new(),
            order: 0,
            session,
            _opened: opened,
            viewer,
            out: Outbox::default(),
            stats: Metrics::register(&mut prometheus_client::registry::Registry::default()).shard(0),
            receiver: Receiver::new(case.delay * 2),
            opener: LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &KEY).expect("a key")),
            sealed: HashMap::new(),
            newest: HashMap::new(),
            requests: 0,
            repeated: 0,
        }
    }

    fn at(&mut self, at: Duration, event: Event) {
        self.order += 1;
        self.events.insert((at, self.order), event);
    }

    /// Puts the producer's packets on their way, with what goes wrong before the gateway. Gives when it was over.
    fn film(&mut self, sent: &[Sent]) -> Duration {
        let case = self.case;
        let hit = sent.iter().position(|packet| packet.at >= case.at).expect("a packet");
        let mut over = sent[hit].at;
        for (number, packet) in sent.iter().enumerate() {
            let behind = (number as u64).wrapping_sub(hit as u64);
            let mut at = packet.at;
            match case.fault {
                Fault::Lost { packets } if behind < packets => {
                    over = over.max(at);
                    continue;
                }
                Fault::Late { by } if behind == 0 => at += by,
                Fault::Doubled { after } if behind == 0 => self.at(at + after, Event::Ingest(number)),
                Fault::Reversed { packets } if behind < packets => {
                    // All come when the last of them does, the last one first.
                    at = sent[hit + packets as usize - 1].at;
                    let order = packets - behind;
                    self.events.insert((at, order), Event::Ingest(number));
                    over = over.max(at);
                    continue;
                }
                Fault::DeadDownlink { lasts } | Fault::FullSocket { lasts } => over = case.at + lasts,
                Fault::Lost { .. } | Fault::Late { .. } | Fault::Doubled { .. } | Fault::Reversed { .. } => {}
            }
            self.order = self.order.max(1000);
            self.at(at, Event::Ingest(number));
        }
        over
    }

    fn run(&mut self, sent: &[Sent]) {
        let case = self.case;
        let mut tick = Duration::ZERO;
        while tick < LENGTH + Duration::from_secs(1) {
            self.at(tick, Event::Tick);
            tick += TICK;
        }
        for second in 1..12 {
            self.at(Duration::from_millis(second * 1000 + 137), Event::ReportNow);
        }
        self.at(case.joins, Event::Join);
        while let Some(((now, _), event)) = self.events.pop_first() {
            let instant = self.start + now;
            match event {
                Event::Join => {
                    if !self.viewer.join(instant, &self.session) {
                        self.requests += 1;
                    }
                }
                Event::Ingest(number) => {
                    let from = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
                    self.session.video_datagram(instant, from, &sent[number].datagram, &mut self.stats);
                    let more = self.events.first_key_value();
                    let together =
                        more.is_some_and(|((at, _), event)| *at == now && matches!(event, Event::Ingest(_)));
                    // One batch of the shard, as often as not.
                    if !together || self.case.seed.is_multiple_of(3) {
                        self.fan_out(now);
                    }
                }
                Event::Deliver(datagram) => self.deliver(now, &datagram),
                Event::Nack(sequences) => {
                    let ssrc = self.viewer.peer.video_ssrc();
                    let Self { viewer, session, out, stats, .. } = self;
                    viewer.lost(instant, &session.ring, ssrc, &sequences, out, stats);
                    self.flush(now, false);
                }
                Event::Report(lost, highest) => {
                    let ssrc = self.viewer.peer.video_ssrc();
                    let report = Reception { ssrc, lost, highest: highest as u16, last_report: 0, delay: 0 };
                    self.viewer.received(instant, 0, &self.session.ring, report, &mut self.stats);
                }
                Event::ReportNow => {
                    if let Some((lost, highest)) = self.receiver.report() {
                        self.at(now + case.delay, Event::Report(lost, highest));
                    }
                }
                Event::Tick => {
                    self.ask(now);
                    let Self { viewer, session, out, stats, .. } = self;
                    viewer.send_duplicates(instant, &session.ring, out, stats);
                    let video = viewer.catch_up(instant, session, out);
                    self.requests +=
                        usize::from(self.viewer.quality.take_request(instant, case.player).is_some());
                    self.flush(now, video);
                }
            }
        }
    }

    fn fan_out(&mut self, now: Duration) {
        let Self { viewer, session, out, .. } = self;
        let video = viewer.forward(self.start + now, session, Given::default(), out);
        self.session.fresh.clear();
        self.flush(now, video);
    }

    /// What the viewer has to send goes over its line.
    fn flush(&mut self, now: Duration, video: bool) {
        let case = self.case;
        let during = |lasts: Duration| now >= case.at && now < case.at + lasts;
        let full = matches!(case.fault, Fault::FullSocket { lasts } if during(lasts));
        let dead = matches!(case.fault, Fault::DeadDownlink { lasts } if during(lasts));
        let mut packets = Vec::new();
        let out = std::mem::take(&mut self.out);
        let needs_key_frame = self.viewer.hand_over(&out, video, &mut self.stats, |out, _| {
            // A full socket takes the first packet still.
            let taken = if full { out.len().min(1) } else { out.len() };
            packets.extend(out.runs(1, usize::MAX).take(taken).map(|(packet, _)| packet.to_vec()));
            out.len() - taken
        });
        self.requests += usize::from(needs_key_frame);
        for packet in packets {
            self.wire(&packet);
            if !dead {
                self.at(now + case.delay, Event::Deliver(packet));
            }
        }
    }

    /// Nothing leaves that uses a nonce a second time: a datagram of a number known already is the same one.
    fn wire(&mut self, datagram: &[u8]) {
        let (ssrc, index) = self.index(datagram);
        if let Some(before) = self.sealed.insert((ssrc, index), datagram.to_vec()) {
            assert_eq!(before, datagram, "seed {}: nonce reuse at {index}", self.case.seed);
            assert!(!self.case.rtx, "seed {}: a packet was sent twice", self.case.seed);
            self.repeated += 1;
        }
        let newest = self.newest.entry(ssrc).or_insert(index);
        *newest = index.max(*newest);
    }

    /// SSRC and packet index (RFC 3711 section 3.3.1), by the newest one.
    fn index(&self, datagram: &[u8]) -> (u32, u64) {
        let ssrc = u32::from_be_bytes(datagram[8..12].try_into().expect("an SSRC"));
        let sequence = u16::from_be_bytes([datagram[2], datagram[3]]);
        let Some(newest) = self.newest.get(&ssrc) else { return (ssrc, sequence.into()) };
        let ahead = sequence.wrapping_sub(*newest as u16);
        let index = if ahead < 1 << 15 {
            newest + u64::from(ahead)
        } else {
            newest.saturating_sub(u64::from(ahead.wrapping_neg()))
        };
        (ssrc, index)
    }

    fn deliver(&mut self, now: Duration, datagram: &[u8]) {
        let (ssrc, index) = self.index(datagram);
        let header = 12 + if datagram[0] & 0x10 == 0 { 0 } else { 4 + usize::from(datagram[15]) * 4 };
        let mut nonce = SALT;
        let place = (u128::from(ssrc) << 48) | u128::from(index);
        nonce.iter_mut().zip(place.to_be_bytes().into_iter().skip(4)).for_each(|(byte, over)| *byte ^= over);
        let (head, sealed) = datagram.split_at(header);
        let mut sealed = sealed.to_vec();
        let payload = self
            .opener
            .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(head), &mut sealed)
            .expect("a packet that opens");
        assert_eq!(payload.len(), datagram.len() - header - TAG);
        if ssrc == self.viewer.peer.video_ssrc() {
            self.receiver.packet(u16::from_be_bytes([datagram[2], datagram[3]]), payload, false);
        } else {
            self.receiver.packet(u16::from_be_bytes([payload[0], payload[1]]), &payload[2..], true);
        }
        self.ask(now);
    }

    fn ask(&mut self, now: Duration) {
        let sequences = self.receiver.nack(now);
        if !sequences.is_empty() {
            self.at(now + self.case.delay, Event::Nack(sequences));
        }
    }
}

/// Runs a case; gives how many packets were sent a second time on their own SSRC, or what is wrong.
fn run(case: Case) -> Result<usize, String> {
    let sent = produce(&case);
    let mut world = World::new(case);
    let over = world.film(&sent);
    world.run(&sent);
    let frames = sent.iter().map(|packet| packet.mark.frame).max().expect("frames");
    let first = sent.iter().find(|packet| packet.mark.key && packet.at > case.joins);
    let next = sent.iter().find(|packet| packet.mark.key && packet.mark.part == 0 && packet.at > over);
    let (first, next) = (first.expect("one"), next.expect("one"));
    let complete = |frame: &u32| world.receiver.complete.contains(frame);
    let broken: Vec<u32> = (first.mark.frame..=frames).filter(|frame| !complete(frame)).collect();
    let fail = |why: &str| {
        Err(format!(
            "{why}: frames {broken:?} of {frames} are not complete, next key frame {}, {case:?}",
            next.mark.frame
        ))
    };
    if broken.iter().any(|frame| *frame >= next.mark.frame) {
        return fail("broken after the next key frame");
    }
    match case.fault {
        Fault::Late { .. } | Fault::Doubled { .. } | Fault::Reversed { .. } => {
            if !broken.is_empty() {
                return fail("nothing was lost");
            }
        }
        Fault::Lost { packets } => {
            let hit = sent.iter().filter(|packet| packet.at >= case.at).take(packets as usize);
            let hit: Vec<u32> = hit.map(|packet| packet.mark.frame).collect();
            if broken.iter().any(|frame| !hit.contains(frame)) {
                return fail("more is broken than what was lost");
            }
        }
        Fault::DeadDownlink { .. } | Fault::FullSocket { .. } => {}
    }
    let settled =
        next.at + case.spacing * case.key_frame.into() + case.delay * 6 + Duration::from_millis(200);
    if world.receiver.missed_at.is_some_and(|at| at > settled) {
        return fail(&format!(
            "asked for at {:?}, {} in all",
            world.receiver.missed_at, world.receiver.asked
        ));
    }
    if world.requests > 4 {
        return fail(&format!("{} key frame requests", world.requests));
    }
    Ok(world.repeated)
}

fn campaign(seeds: std::ops::Range<u64>) {
    println!("seeds {seeds:?}");
    let (mut failures, mut repeated) = (Vec::new(), 0);
    for seed in seeds.clone() {
        match run(Case::new(seed)) {
            Ok(packets) => repeated += packets,
            Err(failure) => failures.push(failure),
        }
    }
    for failure in &failures {
        println!("{failure}");
    }
    assert!(failures.is_empty(), "{} of {} cases", failures.len(), seeds.end - seeds.start);
    assert!(repeated > 0, "viewers without RTX were repaired by the same datagrams");
}

#[test]
fn after_the_next_key_frame_every_frame_is_complete() {
    campaign(0..200);
}

mod long {
    #[test]
    #[ignore = "long: ten thousand seeded cases"]
    fn after_the_next_key_frame_every_frame_is_complete() {
        super::campaign(0..10_000);
    }
}
