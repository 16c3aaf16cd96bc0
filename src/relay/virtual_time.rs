//! A session, one viewer of it and its real sealing, in virtual time: between a source and an emulated line, at whose end a
//! receiver does what browsers do. What its tests have in common: `repair_tests`, `line_tests`.

#[path = "../../tests/support/receiver.rs"]
mod receiver;

pub(super) use receiver::Mark;

use super::feedback::Reception;
use super::outbox::Outbox;
use super::pacer::Pacer;
use super::peer::tests::connected;
use super::seal::{Sealer, TAG};
use super::session::Session;
use super::stats::{Cause, Metrics, Stats};
use super::viewer::{Given, Viewer};
use super::{Codec, IngestSpec, OpenSession, OpenedSession};
use crate::model::ids::{SessionId, ViewerId};
use crate::netem::{Fate, Shape, Shaper};
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use receiver::Receiver;
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::time::{Duration, Instant};

const KEY: [u8; 16] = [7; 16];
const SALT: [u8; 12] = [9; 12];
/// How often the receiver looks after its NACKs without cause.
const LOOK: Duration = Duration::from_millis(5);
const REPORTS: Duration = Duration::from_secs(1);

/// The viewer and its line.
#[derive(Debug, Clone)]
pub(super) struct Setup {
    pub(super) seed: u64,
    pub(super) rtx: bool,
    pub(super) player: bool,
    /// The first sequence number.
    pub(super) base: u16,
    /// Towards the viewer. What it says takes the shape's delay, and is never lost.
    pub(super) shape: Shape,
    /// While nothing reaches the viewer.
    pub(super) cut: Range<Duration>,
    /// While the relay's own socket takes one packet at a time.
    pub(super) full: Range<Duration>,
}

/// A packet as it left the relay.
#[derive(Debug, Clone, Copy)]
pub(super) struct OnTheWire {
    pub(super) at: Duration,
    /// With IP and UDP.
    pub(super) bytes: usize,
    /// How long it waits for the line and is on it; `None`: lost, or the queue was full.
    pub(super) queued: Option<Duration>,
    pub(super) overflow: bool,
}

/// What happens at a time, in order.
#[derive(Debug)]
pub(super) enum Event {
    /// At the gateway, from the source. True: it is alone in its batch.
    Ingest(Vec<u8>, bool),
    /// The source is asked for its next frame.
    Frame,
    /// At the viewer.
    Deliver(Vec<u8>),
    /// At the gateway, from the viewer.
    Nack(Vec<u16>),
    /// PLI.
    PictureLoss,
    Report {
        lost: u8,
        highest: u32,
        sender_report: u32,
    },
    /// The shard looks after the viewer.
    Serve,
    Look,
    ReportNow,
    Join,
    /// What the viewer's link is known to carry, in bit/s.
    Learn(Option<f64>),
}

/// A source that makes frames when it is asked.
pub(super) trait Camera {
    /// The packets of the next frame, and when to ask again; `requested`: a key frame was.
    fn frame(&mut self, now: Duration, requested: bool) -> (Vec<Vec<u8>>, Option<Duration>);
}

pub(super) struct World<C> {
    setup: Setup,
    start: Instant,
    events: BTreeMap<(Duration, u64), Event>,
    order: u64,
    serve_at: Option<Duration>,
    session: Session,
    _opened: OpenedSession,
    pub(super) viewer: Viewer,
    out: Outbox,
    stats: Stats,
    shaper: Shaper,
    pub(super) camera: C,
    requested: bool,
    pub(super) receiver: Receiver,
    opener: LessSafeKey,
    /// Every datagram by SSRC and packet index.
    sealed: HashMap<(u32, u64), Vec<u8>>,
    /// The newest packet index of each SSRC, as the relay sent and as the viewer received.
    newest: HashMap<u32, u64>,
    received: HashMap<u32, u64>,
    /// How many sender reports have reached the viewer.
    sender_reports: u32,
    pub(super) requests: usize,
    /// Datagrams sent a second time as they were.
    pub(super) repeated: usize,
    /// Packets that the viewer could not open.
    pub(super) unopened: usize,
    pub(super) wire: Vec<OnTheWire>,
    /// When each frame was complete.
    pub(super) complete: BTreeMap<u32, Duration>,
}

impl<C: Camera> World<C> {
    pub(super) fn new(setup: Setup, camera: C) -> Self {
        let start = Instant::now();
        let spec = OpenSession {
            session: SessionId::new(),
            video: IngestSpec { listen: None, codec: Codec::H264, payload_type: 96, rtcp: None },
            audio: None,
            allow: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
        };
        let (session, opened) = Session::open(spec, Ipv4Addr::LOCALHOST.into()).expect("a session");
        let sealer = Sealer::new(&KEY, SALT).expect("a key");
        let slot = setup.player.then_some(0);
        let mut viewer = Viewer::new(start, ViewerId::new(), 1, slot, connected(start, setup.rtx, sealer));
        viewer.pacer = Pacer::new(start, setup.base);
        Self {
            shaper: Shaper::new(setup.seed),
            receiver: Receiver::new(setup.shape.delay * 2),
            setup,
            start,
            events: BTreeMap::new(),
            order: 0,
            serve_at: None,
            session,
            _opened: opened,
            viewer,
            out: Outbox::default(),
            stats: Metrics::register(&mut prometheus_client::registry::Registry::default()).shard(0),
            camera,
            requested: false,
            opener: LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &KEY).expect("a key")),
            sealed: HashMap::new(),
            newest: HashMap::new(),
            received: HashMap::new(),
            sender_reports: 0,
            requests: 0,
            repeated: 0,
            unopened: 0,
            wire: Vec::new(),
            complete: BTreeMap::new(),
        }
    }

    pub(super) fn at(&mut self, at: Duration, event: Event) {
        self.order += 1;
        self.events.insert((at, self.order), event);
    }

    /// Runs until then.
    pub(super) fn run(&mut self, end: Duration) {
        self.at(Duration::ZERO, Event::Look);
        self.at(Duration::from_millis(1137), Event::ReportNow);
        while let Some(((now, _), event)) = self.events.pop_first().filter(|((at, _), _)| *at <= end) {
            self.step(now, event);
            let busy = self.viewer.is_busy();
            let at = self.viewer.deadline(self.start + now).filter(|_| busy).map(|at| at - self.start);
            if let Some(at) = at.filter(|at| self.serve_at.is_none_or(|serve_at| *at < serve_at)) {
                self.serve_at = Some(at);
                self.at(at, Event::Serve);
            }
        }
    }

    fn step(&mut self, now: Duration, event: Event) {
        let instant = self.start + now;
        match event {
            Event::Join => self.requested |= !self.viewer.join(instant, &self.session),
            Event::Ingest(datagram, alone) => {
                self.ingest(now, &datagram);
                if alone {
                    self.fan_out(now);
                }
            }
            Event::Frame => {
                let requested = std::mem::take(&mut self.requested);
                let (packets, next) = self.camera.frame(now, requested);
                packets.iter().for_each(|packet| self.ingest(now, packet));
                self.fan_out(now);
                if let Some(next) = next {
                    self.at(next, Event::Frame);
                }
            }
            Event::Deliver(datagram) => self.deliver(now, &datagram),
            Event::Nack(sequences) => {
                let ssrc = self.viewer.peer.video_ssrc();
                self.viewer.lost(instant, &self.session.ring, ssrc, &sequences, &mut self.stats);
                self.serve(now);
            }
            Event::PictureLoss => {
                self.viewer.quality.request_key_frame(Cause::Viewer);
                self.serve(now);
            }
            Event::Report { lost, highest, sender_report } => {
                let ssrc = self.viewer.peer.video_ssrc();
                let report =
                    Reception { ssrc, lost, highest: highest as u16, last_report: sender_report, delay: 0 };
                // The round trip in 1/65536 s, as the viewer would measure it.
                let ntp = sender_report + (self.setup.shape.delay * 2).as_micros() as u32 / 15;
                assert!(self.viewer.received(instant, ntp, &self.session.ring, report, &mut self.stats));
                self.serve(now);
            }
            Event::ReportNow => {
                self.sender_reports += u32::from(!self.setup.cut.contains(&now)) << 16;
                let sender_report = self.sender_reports;
                if let Some((lost, highest)) = self.receiver.report() {
                    let report = Event::Report { lost, highest, sender_report };
                    self.at(now + self.setup.shape.delay, report);
                }
                self.at(now + REPORTS, Event::ReportNow);
            }
            Event::Look => {
                self.ask(now);
                self.at(now + LOOK, Event::Look);
            }
            Event::Serve => {
                if self.serve_at.is_some_and(|at| at <= now) {
                    self.serve_at = None;
                }
                let _ = self.viewer.report_due(instant);
                self.serve(now);
            }
            Event::Learn(rate) => self.viewer.pacer.learn(rate),
        }
    }

    fn ingest(&mut self, now: Duration, datagram: &[u8]) {
        let from = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
        self.session.video_datagram(self.start + now, from, datagram, &mut self.stats);
    }

    /// Sends what has come to the viewer, as a shard does.
    fn fan_out(&mut self, now: Duration) {
        self.flush(now, false);
        let Self { viewer, session, out, stats, .. } = self;
        let video = viewer.forward(self.start + now, session, Given::default(), out, stats);
        self.session.fresh.clear();
        self.flush(now, video);
    }

    /// Looks after the viewer, as a shard does.
    fn serve(&mut self, now: Duration) {
        let instant = self.start + now;
        self.flush(now, false);
        let Self { viewer, session, out, stats, .. } = self;
        viewer.send_again(instant, &session.ring, out, stats);
        let video = viewer.catch_up(instant, session, out, stats);
        self.flush(now, video);
    }

    /// What the viewer has to send goes over its line.
    fn flush(&mut self, now: Duration, video: bool) {
        let full = self.setup.full.contains(&now);
        let mut packets = Vec::new();
        let out = std::mem::take(&mut self.out);
        self.viewer.hand_over(&out, video, &mut self.stats, |out, _| {
            // A full socket takes the first packet still.
            let taken = if full { out.len().min(1) } else { out.len() };
            packets.extend(out.runs(1, usize::MAX).take(taken).map(|(packet, _)| packet.to_vec()));
            out.len() - taken
        });
        if self.viewer.take_request(self.start + now).is_some() {
            self.requests += 1;
            self.requested = true;
        }
        for packet in packets {
            self.leave(now, packet);
        }
    }

    /// Nothing leaves that uses a nonce a second time: a datagram of a number known already is the same one.
    fn leave(&mut self, now: Duration, datagram: Vec<u8>) {
        let (ssrc, index) = index(&self.newest, &datagram);
        if let Some(before) = self.sealed.insert((ssrc, index), datagram.clone()) {
            assert_eq!(before, datagram, "seed {}: nonce reuse at {index}", self.setup.seed);
            assert!(!self.setup.rtx, "seed {}: a packet was sent twice", self.setup.seed);
            self.repeated += 1;
        }
        let newest = self.newest.entry(ssrc).or_insert(index);
        *newest = index.max(*newest);
        let fate = self.shaper.offer(&self.setup.shape, self.start + now, datagram.len());
        let (queued, overflow) = match fate {
            Fate::Delivered { at, .. } => (Some(at - self.start - now - self.setup.shape.delay), false),
            Fate::Lost => (None, false),
            Fate::Overflow => (None, true),
        };
        self.wire.push(OnTheWire { at: now, bytes: datagram.len() + 28, queued, overflow });
        if let Fate::Delivered { at, .. } = fate
            && !self.setup.cut.contains(&now)
        {
            self.at(at - self.start, Event::Deliver(datagram));
        }
    }

    fn deliver(&mut self, now: Duration, datagram: &[u8]) {
        let (ssrc, index) = index(&self.received, datagram);
        let header = 12 + if datagram[0] & 0x10 == 0 { 0 } else { 4 + usize::from(datagram[15]) * 4 };
        let mut nonce = SALT;
        let place = (u128::from(ssrc) << 48) | u128::from(index);
        nonce.iter_mut().zip(place.to_be_bytes().into_iter().skip(4)).for_each(|(byte, over)| *byte ^= over);
        let (head, sealed) = datagram.split_at(header);
        let mut sealed = sealed.to_vec();
        let opened =
            self.opener.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(head), &mut sealed);
        let Ok(payload) = opened else {
            self.unopened += 1;
            return;
        };
        let newest = self.received.entry(ssrc).or_insert(index);
        *newest = index.max(*newest);
        assert_eq!(payload.len(), datagram.len() - header - TAG);
        if ssrc == self.viewer.peer.video_ssrc() {
            self.receiver.packet(u16::from_be_bytes([datagram[2], datagram[3]]), payload, false);
        } else {
            self.receiver.packet(u16::from_be_bytes([payload[0], payload[1]]), &payload[2..], true);
        }
        let frame = u32::from_be_bytes(payload[payload.len() - 9..][..4].try_into().expect("a mark"));
        if self.receiver.complete.contains(&frame) {
            self.complete.entry(frame).or_insert(now);
        }
        self.ask(now);
    }

    fn ask(&mut self, now: Duration) {
        if std::mem::take(&mut self.receiver.wants_key_frame) {
            self.at(now + self.setup.shape.delay, Event::PictureLoss);
        }
        let sequences = self.receiver.nack(now);
        if !sequences.is_empty() {
            self.at(now + self.setup.shape.delay, Event::Nack(sequences));
        }
    }
}

/// SSRC and packet index (RFC 3711 section 3.3.1), by the newest one.
fn index(newest: &HashMap<u32, u64>, datagram: &[u8]) -> (u32, u64) {
    let ssrc = u32::from_be_bytes(datagram[8..12].try_into().expect("an SSRC"));
    let sequence = u16::from_be_bytes([datagram[2], datagram[3]]);
    let Some(newest) = newest.get(&ssrc) else { return (ssrc, sequence.into()) };
    let ahead = sequence.wrapping_sub(*newest as u16);
    let index = if ahead < 1 << 15 {
        newest + u64::from(ahead)
    } else {
        newest.saturating_sub(u64::from(ahead.wrapping_neg()))
    };
    (ssrc, index)
}

/// A packet of a test stream, in RTP.
pub(super) fn packet(mark: Mark, sequence: u16, len: usize) -> Vec<u8> {
    let mut datagram = vec![0x80, u8::from(mark.is_last()) << 7 | 96];
    datagram.extend(sequence.to_be_bytes());
    datagram.extend((mark.frame.wrapping_mul(1500)).to_be_bytes());
    datagram.extend([0, 0, 0, 5]);
    datagram.extend(mark.payload(len));
    datagram
}
