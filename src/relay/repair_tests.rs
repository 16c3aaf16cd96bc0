//! Losses on either side of the relay, in virtual time: a session, one viewer of it and its real sealing, between a producer
//! that ignores key frame requests and a receiver that does what browsers do.
//!
//! A case is its seed. What must hold in each: no nonce meets two contents, and once the producer's next key frame is here
//! every frame is complete and nothing is asked for any more.

use super::virtual_time::{Camera, Event, Mark, Setup, World, packet};
use crate::netem::Shape;
use std::time::Duration;

/// Between two key frames of the producer.
const GROUP: Duration = Duration::from_secs(2);
const LENGTH: Duration = Duration::from_millis(10_500);

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
            let datagram = packet(mark, sequence, 60);
            sent.push(Sent { datagram, mark, at: start + case.spacing * part.into() });
            sequence = sequence.wrapping_add(1);
        }
    }
    sent
}

/// The producer's packets are given to the gateway by their times, not asked for.
struct Film;

impl Camera for Film {
    fn frame(&mut self, _: Duration, _: bool) -> (Vec<Vec<u8>>, Option<Duration>) {
        (Vec::new(), None)
    }
}

fn world(case: &Case) -> World<Film> {
    let lasts = |lasts: Duration| case.at..case.at + lasts;
    let never = Duration::ZERO..Duration::ZERO;
    let (cut, full) = match case.fault {
        Fault::DeadDownlink { lasts: time } => (lasts(time), never),
        Fault::FullSocket { lasts: time } => (never, lasts(time)),
        Fault::Lost { .. } | Fault::Late { .. } | Fault::Doubled { .. } | Fault::Reversed { .. } => {
            (never.clone(), never)
        }
    };
    let shape = Shape { delay: case.delay, ..Shape::CLEAR };
    let (seed, rtx, player, base) = (case.seed, case.rtx, case.player, case.base);
    World::new(Setup { seed, rtx, player, base, shape, cut, full }, Film)
}

/// When each of the producer's packets comes to the gateway, with what goes wrong before it. Gives when it was over.
fn film(case: &Case, sent: &[Sent], world: &mut World<Film>) -> Duration {
    let hit = sent.iter().position(|packet| packet.at >= case.at).expect("a packet");
    let mut over = sent[hit].at;
    // By time, and by order within it.
    let mut comes: Vec<(Duration, i64, usize)> = Vec::new();
    for (number, packet) in sent.iter().enumerate() {
        let behind = (number as u64).wrapping_sub(hit as u64);
        let (mut at, mut order) = (packet.at, number as i64);
        match case.fault {
            Fault::Lost { packets } if behind < packets => {
                over = over.max(at);
                continue;
            }
            Fault::Late { by } if behind == 0 => at += by,
            Fault::Doubled { after } if behind == 0 => comes.push((at + after, order, number)),
            Fault::Reversed { packets } if behind < packets => {
                // All come when the last of them does, the last one first.
                at = sent[hit + packets as usize - 1].at;
                order = -order;
                over = over.max(at);
            }
            Fault::DeadDownlink { lasts } | Fault::FullSocket { lasts } => over = case.at + lasts,
            Fault::Lost { .. } | Fault::Late { .. } | Fault::Doubled { .. } | Fault::Reversed { .. } => {}
        }
        comes.push((at, order, number));
    }
    comes.sort();
    for (place, (at, _, number)) in comes.iter().enumerate() {
        let together = comes.get(place + 1).is_some_and(|(next, _, _)| next == at);
        // One batch of the shard, as often as not.
        let alone = !together || case.seed.is_multiple_of(3);
        world.at(*at, Event::Ingest(sent[*number].datagram.clone(), alone));
    }
    over
}

/// Runs a case; gives how many packets were sent a second time on their own SSRC, or what is wrong.
fn run(case: Case) -> Result<usize, String> {
    let sent = produce(&case);
    let mut world = world(&case);
    let over = film(&case, &sent, &mut world);
    world.at(case.joins, Event::Join);
    world.run(LENGTH + Duration::from_secs(1));
    assert_eq!(world.unopened, 0, "{case:?}");
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
