use super::super::ring;
use super::behind::GATHERED;
use super::link::BURST;
use super::*;
use proptest::prelude::*;

const PAYLOAD: usize = 1132;
/// On the link: [`PAYLOAD`] and what is around it.
const PACKET: usize = 1200;
const FRAME: Duration = Duration::from_millis(16);
const TRIP: Duration = Duration::from_millis(40);

/// A session's packets and one viewer of it.
struct Stand {
    ring: Ring,
    newest: u64,
    timestamp: u32,
    now: Instant,
    pacer: Pacer,
    /// Indices in the order they were sent, and when.
    sent: Vec<(Instant, u64)>,
    again: Vec<(Instant, u64, Why)>,
    gave_up: usize,
}

impl Stand {
    fn new(rate: Option<f64>) -> Self {
        let now = Instant::now();
        let mut pacer = Pacer::new(now, 100);
        pacer.learn(rate);
        Self {
            ring: Ring::new(ring::VIDEO),
            newest: 0,
            timestamp: 0,
            now,
            pacer,
            sent: Vec::new(),
            again: Vec::new(),
            gave_up: 0,
        }
    }

    /// Joins with the group that begins at index 1.
    fn join(&mut self) -> bool {
        let video = Video { ring: &self.ring, newest: self.newest, frame_time: FRAME };
        self.pacer.join(self.now, (self.newest > 0).then_some(KeyFrame { start: 1, missing: 0 }), video)
    }

    /// A frame of so many packets is in the ring; nothing is sent yet. Gives its packets, and the key frame it is.
    fn keep(&mut self, packets: u64, key: bool) -> (Vec<u64>, Option<KeyFrame>) {
        self.timestamp += 1500;
        let start = self.newest + 1;
        let indices: Vec<u64> = (start..start + packets).collect();
        for index in &indices {
            self.ring.insert(*index, self.timestamp, false, &[0; PAYLOAD]);
        }
        self.newest += packets;
        (indices, key.then_some(KeyFrame { start, missing: 0 }))
    }

    /// A frame comes, and what is to be sent of it is.
    fn frame(&mut self, packets: u64, key: bool) {
        let (indices, key_frame) = self.keep(packets, key);
        let bytes = indices.len() * PACKET;
        let video = Video { ring: &self.ring, newest: self.newest, frame_time: FRAME };
        self.pacer.arrived(self.now, Arrived { indices: &indices, bytes, key_frame }, video);
        for index in indices {
            if self.pacer.wants(index) {
                self.send(index);
            }
        }
        self.step();
    }

    fn send(&mut self, index: u64) {
        self.pacer.sent(index);
        self.sent.push((self.now, index));
    }

    /// Sends what is due now.
    fn step(&mut self) {
        while let Some((numbered, why)) = self.pacer.again(self.now, &self.ring, true) {
            self.again.push((self.now, numbered.index, why));
        }
        match self.pacer.due(self.now, Video { ring: &self.ring, newest: self.newest, frame_time: FRAME }) {
            Due::Send(piece) => piece.for_each(|index| self.send(index)),
            Due::GaveUp => self.gave_up += 1,
        }
    }

    /// Lets time pass, with every deadline on the way.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.pacer.deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            let before = (self.pacer.deadline(), self.sent.len(), self.again.len());
            self.step();
            let after = (self.pacer.deadline(), self.sent.len(), self.again.len());
            assert_ne!(before, after, "a deadline at which nothing happens");
        }
        self.now = end;
    }

    fn indices(&self) -> Vec<u64> {
        self.sent.iter().map(|(_, index)| *index).collect()
    }

    /// Asks for packets by their indices, which count from 1 and have numbers from 100 on.
    fn ask(&mut self, indices: Range<u64>) -> usize {
        let ask = |index: &u64| {
            let lost = self.pacer.track().find((index + 99) as u16).expect("a number");
            assert_eq!(lost.index, *index);
            self.pacer.ask(self.now, lost, TRIP) == Repair::Due
        };
        indices.filter(ask).count()
    }
}

#[test]
fn a_joiner_without_a_group_waits_for_a_key_frame() {
    let mut stand = Stand::new(None);
    assert!(!stand.join());
    stand.frame(5, false);
    assert_eq!((stand.sent.len(), stand.pacer.deadline()), (0, None));
    stand.frame(5, true);
    assert_eq!(stand.indices(), [6, 7, 8, 9, 10]);
    stand.frame(3, false);
    assert_eq!((stand.sent.len(), stand.pacer.deadline()), (8, None));
}

#[test]
fn what_fits_is_sent_at_once_and_sets_no_timer() {
    for rate in [None, Some(20e6)] {
        let mut stand = Stand::new(rate);
        stand.frame(5, true);
        for frames in 1..=600 {
            stand.pass(FRAME);
            stand.frame(14, false);
            assert_eq!((stand.sent.len(), stand.pacer.deadline()), (5 + frames * 14, None), "{rate:?}");
        }
    }
}

#[test]
fn a_group_is_joined_at_the_rate_of_the_link_or_at_half_a_second_where_nothing_is_known() {
    for (rate, most) in [(Some(4e6), 400), (None, 100)] {
        let mut stand = Stand::new(rate);
        stand.keep(50, true);
        (0..10).for_each(|_| drop(stand.keep(10, false)));
        assert!(stand.join());
        let start = stand.now;
        stand.step();
        stand.pass(Duration::from_secs(1));
        assert_eq!(stand.indices(), (1..=150).collect::<Vec<_>>());
        let took = (stand.sent[149].0 - start).as_millis();
        assert!((most * 3 / 4..=most).contains(&took), "{rate:?}: {took} ms for 180 KB");
        assert_eq!(stand.pacer.deadline(), None, "live");
    }
    let mut large = Stand::new(None);
    (0..16).for_each(|at| drop(large.keep(50, at == 0)));
    assert!(large.join());
    let start = large.now;
    large.step();
    large.pass(Duration::from_secs(1));
    let took = large.sent[799].0 - start;
    assert!(took <= GATHERED + FRAME && took > GATHERED / 2, "{took:?} for 960 KB on an unknown link");
}

#[test]
fn a_group_that_the_link_does_not_carry_soon_is_not_joined() {
    let mut stand = Stand::new(Some(2e6));
    (0..11).for_each(|at| drop(stand.keep(10, at == 0)));
    assert!(!stand.join());
    stand.frame(10, true);
    assert!(!stand.sent.is_empty());
}

#[test]
fn who_waited_gets_the_key_frame_at_the_rate_of_the_link() {
    let mut stand = Stand::new(Some(1.5e6));
    stand.frame(50, true);
    assert!(stand.sent.len() <= 8, "{} of 50 packets at once", stand.sent.len());
    let start = stand.now;
    stand.pass(Duration::from_secs(1));
    let took = (stand.sent[49].0 - start).as_millis();
    assert!((270..=320).contains(&took), "{took} ms for 60 KB at 1.5 Mbit/s, of which 40 ms at once");
}

#[test]
fn a_key_frame_is_spread_and_the_end_of_the_frame_before_it_goes_out_at_once() {
    let mut stand = Stand::new(None);
    stand.frame(5, true);
    stand.pass(FRAME);
    let (before, _) = stand.keep(2, false);
    let (key, key_frame) = stand.keep(40, true);
    let indices = [before, key].concat();
    let video = Video { ring: &stand.ring, newest: stand.newest, frame_time: FRAME };
    stand.pacer.arrived(stand.now, Arrived { indices: &indices, bytes: 42 * PACKET, key_frame }, video);
    assert_eq!(indices.iter().filter(|index| stand.pacer.wants(**index)).count(), 2);
    stand.send(6);
    stand.send(7);
    stand.step();
    let at_once = stand.sent.len() - 7;
    assert!((10..=15).contains(&at_once), "{at_once} of 40 packets at once");
    let start = stand.now;
    stand.pass(FRAME);
    assert_eq!(stand.sent.len(), 47);
    assert!(stand.sent[46].0 - start <= Duration::from_millis(5), "within a burst");
}

#[test]
fn more_than_the_link_carries_is_spread_and_what_comes_late_goes_ahead() {
    let mut stand = Stand::new(Some(4e6));
    stand.frame(4, true);
    stand.pass(FRAME * 4);
    stand.frame(40, false);
    let at_once = stand.sent.len() - 4;
    assert!((13..=18).contains(&at_once), "{at_once} of 40 packets: 20 KB are 40 ms");
    stand.frame(2, false);
    assert_eq!(stand.sent.len() - 4, at_once, "behind the others");
    stand.pass(FRAME * 8);
    assert_eq!(stand.indices(), (1..=46).collect::<Vec<_>>());
    assert_eq!(stand.pacer.deadline(), None);
}

#[test]
fn a_key_frame_that_was_begun_is_sent_whole_and_then_too_much_ends_in_one_request() {
    let mut stand = Stand::new(Some(1.5e6));
    stand.frame(50, true);
    let mut frames = 0;
    while stand.gave_up == 0 && frames < 600 {
        stand.pass(FRAME);
        stand.frame(6, false);
        frames += 1;
    }
    assert!(stand.indices().starts_with(&(1..=50).collect::<Vec<_>>()), "the key frame is whole");
    assert!((15..60).contains(&frames), "given up after {frames} frames of 3.6 Mbit/s on 1.5");
    let sent = stand.sent.len();
    stand.pass(FRAME);
    stand.frame(6, false);
    assert_eq!((stand.sent.len(), stand.gave_up, stand.pacer.deadline()), (sent, 1, None));
    stand.frame(3, true);
    let start = stand.newest - 2;
    assert!(stand.indices().ends_with(&[start, start + 1, start + 2]));
    assert_eq!(stand.pacer.track().packet_index(start), 100 + sent as u64, "no hole");
}

#[test]
fn a_newer_key_frame_replaces_what_waits_but_not_a_key_frame_that_was_begun() {
    let mut stand = Stand::new(Some(1.5e6));
    stand.frame(50, true);
    for _ in 0..5 {
        stand.pass(FRAME);
        stand.frame(2, false);
    }
    stand.frame(10, true);
    stand.pass(Duration::from_secs(1));
    let whole: Vec<u64> = (1..=50).chain(61..=70).collect();
    assert_eq!(stand.indices(), whole, "the frames between the key frames are left out");
    assert_eq!(stand.pacer.track().packet_index(61), 150);
}

#[test]
fn retransmissions_keep_to_the_rate_and_their_copies_do_not_delay_anything() {
    let mut stand = Stand::new(Some(1.5e6));
    stand.frame(4, true);
    for _ in 0..10 {
        stand.pass(FRAME * 4);
        stand.frame(4, false);
    }
    let start = stand.now;
    assert_eq!(stand.ask(1..41), 40);
    stand.pass(Duration::from_secs(1));
    let lost: Vec<_> = stand.again.iter().filter(|(_, _, why)| *why == Why::Lost).collect();
    assert_eq!(lost.len(), 40);
    let took = (lost[39].0 - start).as_millis();
    assert!((200..=280).contains(&took), "{took} ms for 48 KB at 1.5 Mbit/s");
    let copies = stand.again.len() - 40;
    assert!((1..20).contains(&copies), "{copies} copies: the last ones had room");
}

#[test]
fn an_outage_is_more_than_the_link_repairs_in_half_a_second() {
    for (rate, packets) in [(None, 160), (Some(20e6), 160), (Some(5e6), 73), (Some(1.5e6), 24)] {
        let mut stand = Stand::new(None);
        stand.frame(200, true);
        stand.pass(Duration::from_secs(1));
        stand.pacer.learn(rate);
        let sequences: Vec<u16> = (100..100 + packets + 1).collect();
        assert!(stand.pacer.is_outage(&stand.ring, &sequences), "{rate:?}");
        assert!(!stand.pacer.is_outage(&stand.ring, &sequences[1..]), "{rate:?}");
    }
}

#[test]
fn a_skip_ends_repairs() {
    let mut stand = Stand::new(Some(1e6));
    stand.frame(30, true);
    stand.pass(Duration::from_secs(1));
    assert!(stand.ask(1..31) > 0);
    stand.pacer.skip();
    stand.step();
    assert_eq!((stand.again.len(), stand.pacer.deadline()), (0, None));
}

fn report(highest: u64, last_report: u32) -> Reception {
    Reception { ssrc: 1, lost: 0, highest: highest as u16, last_report, delay: 0 }
}

/// A viewer that has reported once and is then sent packets until it has to report again.
fn held() -> Stand {
    let mut stand = Stand::new(None);
    stand.frame(40, true);
    stand.pass(FRAME);
    stand.pacer.track_mut().reported(139);
    assert_eq!(stand.pacer.heard(stand.now, report(139, 1)), Heard::Nothing);
    for _ in 0..400 {
        stand.pass(Duration::from_millis(2));
        stand.frame(50, false);
    }
    assert!(stand.pacer.is_held());
    assert!(stand.pacer.track().next_packet() - 139 <= 1 << 14);
    stand
}

#[test]
fn numbers_run_no_further_ahead_of_reports_than_a_receiver_can_follow() {
    let mut stand = held();
    let mut tries = 0;
    // Ten minutes at 3000 packets a second, none of which arrive.
    for frame in 0..36_000 {
        stand.pass(FRAME);
        tries += usize::from(stand.pacer.tries_again(stand.now));
        stand.frame(50, frame % 100 == 0);
        assert!(stand.pacer.track().next_packet() - 139 < (1 << 15) - 1024);
    }
    assert!(stand.pacer.is_held() && tries == 3, "{tries}");
    assert_eq!(stand.pacer.heard(stand.now, report(139, 2)), Heard::Lost, "only a new connection helps");
}

#[test]
fn who_is_heard_again_goes_on_with_the_next_key_frame() {
    let mut stand = held();
    let last = stand.pacer.track().next_packet();
    stand.frame(10, true);
    assert_eq!(stand.pacer.track().next_packet(), last, "held");
    assert_eq!(stand.pacer.heard(stand.now, report(139, 1)), Heard::Nothing, "nothing has reached it");
    assert_eq!(stand.pacer.heard(stand.now, report(139, 2)), Heard::Again, "a sender report has");
    stand.frame(10, true);
    assert_eq!(stand.pacer.track().next_packet(), last + 10);
    stand.pacer.track_mut().reported((last + 9) as u16);
    stand.pacer.heard(stand.now, report(last + 9, 3));
    assert_eq!(stand.pacer.track().unreported(), 0);
    assert_eq!(held().pacer.reached(), Heard::Again, "or sound has");
}

#[derive(Debug, Clone)]
enum Event {
    Frame(u64),
    KeyFrame(u64),
    Lost(u64, u64),
    Skip,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        10 => (1u64..12).prop_map(Event::Frame),
        1 => (12u64..60).prop_map(Event::Frame),
        1 => (1u64..170).prop_map(Event::KeyFrame),
        2 => (1u64..60, 1u64..60).prop_map(|(back, count)| Event::Lost(back, count)),
        1 => Just(Event::Skip),
    ]
}

proptest! {
    #[test]
    fn a_known_link_is_never_sent_more_than_its_rate_and_a_burst_and_no_index_twice(
        rate in 1e6..30e6,
        events in proptest::collection::vec((event(), 1u64..40), 1..150),
    ) {
        let mut stand = Stand::new(Some(rate));
        stand.frame(3, true);
        for (event, pause) in events {
            match event {
                Event::Frame(packets) => stand.frame(packets, false),
                Event::KeyFrame(packets) => stand.frame(packets, true),
                Event::Lost(back, count) => {
                    let newest = stand.pacer.track().next_packet().saturating_sub(back);
                    for packet in newest.saturating_sub(count)..newest {
                        if let Some(lost) = stand.pacer.track().find(packet as u16) {
                            stand.pacer.ask(stand.now, lost, TRIP);
                        }
                    }
                    stand.step();
                }
                Event::Skip => stand.pacer.skip(),
            }
            stand.pass(Duration::from_millis(pause));
        }
        let indices: std::collections::HashSet<u64> = stand.sent.iter().map(|(_, index)| *index).collect();
        prop_assert_eq!(indices.len(), stand.sent.len());
        let mut all: Vec<Instant> = stand.sent.iter().map(|(at, _)| *at).collect();
        all.extend(stand.again.iter().map(|(at, _, _)| *at));
        all.sort();
        // A burst, and a packet that began within it.
        let burst = (rate * BURST.as_secs_f64() / 8.0).max(5200.0) + PACKET as f64 + 1.0;
        for (from, began) in all.iter().enumerate() {
            for (to, at) in all.iter().enumerate().skip(from) {
                let bytes = (to + 1 - from) * PACKET;
                let most = burst + rate / 8.0 * (*at - *began).as_secs_f64();
                prop_assert!(bytes as f64 <= most, "{bytes} of {most} from {from} to {to}");
            }
        }
    }
}
