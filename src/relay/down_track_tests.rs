use super::*;
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};

fn at(start: u64) -> KeyFrame {
    KeyFrame { start, missing: 0 }
}

fn after_missing(start: u64, missing: u64) -> KeyFrame {
    KeyFrame { start, missing }
}

fn live(base: u16, start: u64) -> DownTrack {
    let mut track = DownTrack::new(base);
    track.resume(at(start));
    track
}

/// Sends a packet; gives its number.
fn send(track: &mut DownTrack, index: u64) -> u64 {
    let packet = track.packet_index(index);
    track.sent(index);
    packet
}

fn found(track: &DownTrack, packet: u64) -> Option<u64> {
    let found = track.find(packet as u16);
    assert!(found.is_none_or(|found| found.packet == packet));
    found.map(|found| found.index)
}

#[test]
fn the_first_packet_has_the_first_number_and_what_the_source_lost_keeps_its_own() {
    let mut track = live(100, 60);
    assert!(track.may_send(60) && !track.may_send(59));
    assert_eq!(send(&mut track, 60), 100);
    assert_eq!(send(&mut track, 62), 102, "what the source lost keeps its number");
    assert_eq!(send(&mut track, 61), 101, "and is sent under it when it comes late");
    assert_eq!(found(&track, 101), Some(61));
    assert_eq!(found(&track, 99), None, "before the first");
    assert_eq!(found(&track, 103), None, "after the last");
}

#[test]
fn a_skip_leaves_no_hole_and_nothing_before_it_is_found_again() {
    let mut track = live(0, 10);
    send(&mut track, 10);
    track.resume(at(20));
    assert!(!track.may_send(15), "late, from before the boundary");
    assert_eq!(send(&mut track, 20), 1, "the next number");
    assert_eq!(found(&track, 0), None, "what came before is of no use any more");
    assert_eq!(found(&track, 1), Some(20));
    track.resume(at(1000));
    track.resume(at(2000));
    assert_eq!(send(&mut track, 2000), 2, "what was not sent has used no number");
}

#[test]
fn the_first_packets_of_a_key_frame_may_come_after_those_behind_them() {
    let mut track = live(7, 10);
    send(&mut track, 10);
    track.resume(after_missing(22, 2));
    assert_eq!(send(&mut track, 22), 10);
    assert!(track.may_send(20) && track.may_send(21) && !track.may_send(19));
    assert_eq!(send(&mut track, 20), 8);
    assert_eq!(send(&mut track, 21), 9);
    assert!(!track.is_whole(at(21)), "shown late, after packets behind it were sent");
}

#[test]
fn a_long_hole_before_a_key_frame_is_left_out_and_losses_before_it_are_still_found() {
    let mut track = live(0, 10);
    for index in 10..20 {
        send(&mut track, index);
    }
    assert!(!track.closes(after_missing(30, 10)), "these may be late");
    let key_frame = after_missing(120, 100);
    assert!(track.closes(key_frame));
    track.close(key_frame);
    assert!(!track.may_send(119) && track.may_send(120));
    assert_eq!(send(&mut track, 120), 10);
    assert_eq!((found(&track, 9), found(&track, 10)), (Some(19), Some(120)));
    assert!(!track.closes(key_frame), "it was sent");
}

#[test]
fn what_was_lost_before_the_newest_key_frame_or_before_the_gateway_is_not_of_the_newest_group() {
    let mut ring = Ring::new(ring::VIDEO);
    let mut track = live(0, 1);
    let sent: Vec<u64> = (1..=1000).filter(|index| !(600..800).contains(index)).collect();
    for index in sent {
        ring.insert(index, 0, false, &[]);
        send(&mut track, index);
    }
    let lost = |track: &DownTrack, indices: Range<u64>| {
        let numbers: Vec<u16> = indices.map(|index| (index - 1) as u16).collect();
        track.lost_of_the_newest_group(&ring, &numbers)
    };
    assert_eq!(lost(&track, 100..300), 200);
    assert_eq!(lost(&track, 590..800), 10, "lost before the gateway");
    track.key_frame(at(500));
    assert_eq!(lost(&track, 100..510), 10, "before the newest key frame");
    track.resume(at(1001));
    assert_eq!(lost(&track, 1..1000), 0, "before the skip");
}

#[test]
fn what_is_not_reported_is_counted_from_the_first_report_on() {
    let mut track = live(100, 1);
    for index in 1..=50 {
        send(&mut track, index);
    }
    assert_eq!(track.unreported(), 0, "it may be one that never reports");
    track.reported(109);
    assert_eq!(track.unreported(), 40);
    track.reported(149);
    assert_eq!(track.unreported(), 0);
}

#[test]
fn a_packet_that_never_came_is_worth_one_key_frame_and_only_when_it_is_not_just_late() {
    let now = Instant::now();
    let mut track = live(0, 1);
    send(&mut track, 1);
    send(&mut track, 10);
    let missing = track.find(4).expect("a number");
    assert_eq!(missing.index, 5);
    assert!(!track.asks_for_missing(now, missing));
    assert!(!track.asks_for_missing(now + LATE / 2, missing));
    assert!(track.asks_for_missing(now + LATE, missing));
    for later in 2..50 {
        assert!(!track.asks_for_missing(now + LATE * later, missing));
    }
    send(&mut track, 20);
    let other = track.find(15).expect("a number");
    assert!(!track.asks_for_missing(now + LATE * 50, other));
    assert!(track.asks_for_missing(now + LATE * 51, other), "another hole");
    track.key_frame(at(21));
    assert!(!track.asks_for_missing(now + LATE * 60, other), "before the newest key frame");
}

#[test]
fn a_report_covers_what_was_not_reported_before() {
    let mut ring = Ring::new(ring::VIDEO);
    let mut track = live(30_000, 1);
    for index in (1..=100).filter(|index| index % 10 != 0) {
        ring.insert(index, 0, false, &[]);
        send(&mut track, index);
    }
    let packets = track.reported(30_049);
    assert_eq!(packets, 30_001..30_050);
    assert_eq!(track.missing(&ring, packets), 5);
    assert!(track.reported(30_040).is_empty(), "an older report");
    assert_eq!(track.reported(30_059), 30_050..30_060);
    assert_eq!(track.reported(29_000), 0..0, "never sent");
}

/// What happens to a track, one after the other.
#[derive(Debug, Clone)]
enum Event {
    /// So many packets, and then so many that are lost before the gateway.
    Packets(u64, u64),
    /// One of those comes late.
    Late(u64),
    KeyFrame,
    Skip,
    /// One packet of the session is not sealed: the outbox is full.
    Unsealed,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (1u64..60, 0u64..4).prop_map(|(came, lost)| Event::Packets(came, lost)),
        1 => (1u64..60, 15u64..3000).prop_map(|(came, lost)| Event::Packets(came, lost)),
        3 => (1u64..512).prop_map(Event::Late),
        4 => Just(Event::KeyFrame),
        2 => Just(Event::Skip),
        1 => Just(Event::Unsealed),
    ]
}

/// A session's packets and one viewer's track, with everything that was ever sent.
struct Sending {
    ring: Ring,
    track: DownTrack,
    /// It is sent nothing before the next key frame.
    waiting: bool,
    newest: u64,
    /// Packet index to index.
    sent: HashMap<u64, u64>,
    /// The greatest of both.
    greatest: Option<(u64, u64)>,
    /// Packet indices sent since the last skip ended.
    since_skip: HashSet<u64>,
    boundaries: Vec<(u64, u64)>,
}

impl Sending {
    fn arrive(&mut self, index: u64) -> Result<(), TestCaseError> {
        if self.ring.insert(index, 0, false, &[]) && !self.waiting && self.track.may_send(index) {
            self.send(index)?;
        }
        Ok(())
    }

    fn send(&mut self, index: u64) -> Result<(), TestCaseError> {
        let packet = self.track.packet_index(index);
        self.track.sent(index);
        prop_assert!(self.sent.insert(packet, index).is_none(), "a number for two packets");
        self.since_skip.insert(packet);
        if self.greatest.is_none_or(|(_, newest)| index > newest) {
            prop_assert!(
                self.greatest.is_none_or(|(greatest, _)| packet > greatest),
                "numbers rise with what is new"
            );
            self.greatest = Some((packet, index));
        } else {
            let boundary = self.boundaries.last().expect("begun");
            prop_assert!(index >= boundary.0 && packet >= boundary.1, "from before the boundary");
        }
        Ok(())
    }

    fn key_frame(&mut self) -> Result<(), TestCaseError> {
        self.newest += 1;
        let start = self.newest;
        let key_frame = KeyFrame { start, missing: self.ring.missing_before(start) };
        self.ring.insert(start, 0, false, &[]);
        self.track.key_frame(key_frame);
        let resumed = std::mem::take(&mut self.waiting);
        let closes = !resumed && self.track.closes(key_frame);
        if closes {
            self.track.close(key_frame);
        }
        if resumed {
            self.track.resume(key_frame);
            self.since_skip.clear();
        }
        if closes || resumed {
            let number = self.track.packet_index(start);
            let mut room = if key_frame.missing <= REORDERED { key_frame.missing } else { 0 };
            if let Some((greatest, newest)) = self.greatest {
                room = room.min(start - newest - 1);
                prop_assert_eq!(number, greatest + 1 + room, "no hole but for what may be late");
            }
            self.boundaries.push((start - room, number - room));
        }
        self.send(start)
    }
}

proptest! {
    #[test]
    fn numbers_are_never_reused_and_nacks_find_what_was_sent(
        base in any::<u16>(),
        start in 1u64 << 16..1 << 40,
        events in proptest::collection::vec(event(), 1..200),
    ) {
        let track = DownTrack::new(base);
        let mut sending = Sending {
            ring: Ring::new(ring::VIDEO),
            track,
            waiting: true,
            newest: start,
            sent: HashMap::new(),
            greatest: None,
            since_skip: HashSet::new(),
            boundaries: Vec::new(),
        };
        for event in events {
            match event {
                Event::Packets(came, lost) => {
                    for _ in 0..came {
                        sending.newest += 1;
                        let index = sending.newest;
                        sending.arrive(index)?;
                    }
                    sending.newest += lost;
                    // The newest packet is one that came.
                    sending.newest += 1;
                    let index = sending.newest;
                    sending.arrive(index)?;
                }
                Event::Late(back) => {
                    let index = sending.newest - back;
                    sending.arrive(index)?;
                }
                Event::KeyFrame => sending.key_frame()?,
                Event::Skip => sending.waiting = true,
                Event::Unsealed => {
                    sending.newest += 1;
                    let index = sending.newest;
                    sending.ring.insert(index, 0, false, &[]);
                    sending.waiting = true;
                }
            }
        }
        let Some((greatest, _)) = sending.greatest else { return Ok(()) };
        let indices: HashSet<u64> = sending.sent.values().copied().collect();
        for near in 0..16_000u16 {
            let sequence = (greatest as u16).wrapping_add(300).wrapping_sub(near);
            let Some(found) = sending.track.find(sequence) else { continue };
            prop_assert_eq!(found.packet as u16, sequence);
            prop_assert!(found.packet <= greatest);
            match sending.sent.get(&found.packet) {
                Some(index) => prop_assert_eq!(found.index, *index, "the packet it was sent as"),
                None => prop_assert!(!indices.contains(&found.index), "another one's number"),
            }
        }
        // Nothing of use is lost sight of.
        let forgotten = sending.since_skip.iter().filter(|packet| greatest - **packet < 1 << 15)
            .filter(|packet| sending.track.find(**packet as u16).is_none()).count();
        prop_assert!(forgotten == 0 || sending.track.earlier.len() == BOUNDARIES);
    }

    #[test]
    fn a_sequence_number_finds_its_index_again(base in 0u16..1 << 15, start in 1u64..1 << 40, ahead in 0u64..200_000, back in 0u64..2000) {
        let mut track = live(base, start);
        let newest = start + ahead;
        send(&mut track, newest);
        let index = newest.saturating_sub(back).max(start);
        let packet = track.packet_index(index);
        prop_assert_eq!(found(&track, packet), Some(index));
    }
}
