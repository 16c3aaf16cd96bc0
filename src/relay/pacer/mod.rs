//! What one viewer is sent of a session's video, and when: joins, waits, key frames and retransmissions, at the rate that its
//! link is known to carry.
//!
//! A machine without a clock, a socket or memory of packets: it is told what happens (`join`, `arrived`, `ask`, `skip`, ...)
//! and says what is to be sent (`wants`, `due`, `again`) and when to ask again (`deadline`). Numbers are given by
//! [`DownTrack`], which it owns; `link` counts what the link carries, `repairs` which lost packets are sent again.
//!
//! A viewer is in one of three states. *Waiting*: it is sent nothing before a key frame. *Live*: it is sent what comes, at
//! once. *Behind*: what there is from some packet on goes out piece by piece, at the link's rate.
//!
//! Invariants:
//! - What comes while the viewer is live and fits is sent at once and sets no timer.
//! - A viewer whose link is known is never sent more than that rate and a burst (`link::BURST`); on an unknown one only what
//!   has gathered (a join, a key frame, a wait) is spread.
//! - A key frame that was begun is sent whole. Behind it no more gathers than the link carries in [`LATEST`]: then the viewer
//!   is waiting for the next one.
//! - Nothing is sent so far ahead of a viewer's reports that its receiver could lose count (see [`FAR`]).

mod behind;
mod link;
mod reach;
mod repairs;

pub(super) use link::on_the_link;
pub(super) use reach::Heard;
pub(super) use repairs::Repair;

use super::down_track::{DownTrack, KeyFrame, Numbered};
use super::feedback::Reception;
use super::ring::Ring;
use behind::Behind;
use link::Link;
use reach::Reach;
use repairs::Repairs;
use std::ops::Range;
use std::time::{Duration, Instant};

/// A joiner starts from the session's group of pictures if its link carries that within this, else from the next key frame.
const JOIN: Duration = Duration::from_millis(500);
/// One NACK that misses more packets than this, or than are sent again in so many seconds, is an outage: a key frame is
/// less than all of that.
const OUTAGE: usize = 160;
const HOPELESS: f64 = 0.5;
const LEAST_OUTAGE: f64 = 24.0;

/// A session's video as far as it has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Video<'a> {
    pub(super) ring: &'a Ring,
    /// The newest index.
    pub(super) newest: u64,
    /// From one frame to the next.
    pub(super) frame_time: Duration,
}

/// What has come since the viewer was last given something.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrived<'a> {
    pub(super) indices: &'a [u64],
    /// On the link, by [`on_the_link`].
    pub(super) bytes: usize,
    /// The newest key frame that shows among them.
    pub(super) key_frame: Option<KeyFrame>,
}

/// What is to be sent now of what has gathered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Due {
    /// Packets that were not sent before; none, when it is not time.
    Send(Range<u64>),
    /// More gathers than the link carries. The viewer waits, and needs a key frame.
    GaveUp,
}

/// Why a packet is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// The viewer asked for it.
    Lost,
    /// The second copy of such a one, or of the last packet of a picture that nothing followed.
    Copy,
}

#[derive(Debug)]
enum State {
    Waiting,
    Behind(Behind),
    Live,
}

/// See the module's head.
#[derive(Debug)]
pub(super) struct Pacer {
    track: DownTrack,
    state: State,
    link: Link,
    repairs: Repairs,
    reach: Reach,
}

impl Pacer {
    /// `base`: below 2^15, random.
    pub(super) fn new(now: Instant, base: u16) -> Self {
        Self {
            track: DownTrack::new(base),
            state: State::Waiting,
            link: Link::new(now),
            repairs: Repairs::new(now),
            reach: Reach::default(),
        }
    }

    /// The numbers of what is sent.
    pub(super) fn track(&self) -> &DownTrack {
        &self.track
    }

    pub(super) fn track_mut(&mut self) -> &mut DownTrack {
        &mut self.track
    }

    /// What the viewer's link carries by transport-wide feedback, in bit/s. Without that, receiver reports decide.
    pub(super) fn learn(&mut self, measured: Option<f64>) {
        self.link.learn(measured);
    }

    /// Whether something has gathered that is sent piece by piece.
    pub(super) fn is_behind(&self) -> bool {
        matches!(self.state, State::Behind(_))
    }

    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting)
    }

    /// Whether nothing is sent because too much was sent without a report on it.
    pub(super) fn is_held(&self) -> bool {
        self.reach.is_held()
    }

    /// The viewer is connected. False: there is no group that it could start from soon, a key frame is needed.
    pub(super) fn join(&mut self, now: Instant, group: Option<KeyFrame>, video: Video<'_>) -> bool {
        let Some(group) = group else { return false };
        if self.link.known().is_some() && video.bytes_from(group.start) > self.link.carries(JOIN) {
            return false;
        }
        self.track.resume(group);
        let behind = Behind::new(now, self.track.start(), Some(group.start), video);
        self.state = State::Behind(behind.whole_group());
        true
    }

    /// Whether the packets missing before this key frame are to be left out of the numbering, by [`DownTrack::close`], when
    /// all that came before it was sent.
    pub(super) fn closes(&self, key_frame: KeyFrame) -> bool {
        matches!(self.state, State::Live) && self.track.closes(key_frame)
    }

    /// Packets have come from the source. What [`Self::wants`] of them is to be sent at once, and then what is
    /// [`Self::due`].
    pub(super) fn arrived(&mut self, now: Instant, arrived: Arrived<'_>, video: Video<'_>) {
        if let Some(key_frame) = arrived.key_frame {
            self.track.key_frame(key_frame);
        }
        if self.reach.is_exceeded(&self.track) && !self.is_waiting() {
            self.skip();
            self.reach.hold(now);
        }
        match (&mut self.state, arrived.key_frame) {
            (State::Waiting, Some(key_frame)) if !self.reach.is_held() && self.track.is_whole(key_frame) => {
                self.resume(now, key_frame, video);
            }
            (State::Waiting, Some(_) | None) => {}
            (State::Behind(behind), newer) => behind.arrived(arrived.indices, newer, video),
            (State::Live, Some(key_frame)) => {
                let start = key_frame.start.max(self.track.next_unsent());
                let at_once =
                    self.link.room(now, self.link.rate()).min(behind::largest(self.link.rate(), video));
                if video.bytes_from(start) > at_once {
                    self.state = State::Behind(Behind::new(now, start, Some(key_frame.start), video));
                } else {
                    self.link.spend(now, arrived.bytes);
                }
            }
            (State::Live, None) if self.link.known().is_none() => self.link.count(arrived.bytes),
            (State::Live, None) => {
                if arrived.bytes > self.link.room(now, self.link.rate()) {
                    self.state = State::Behind(Behind::new(now, self.track.next_unsent(), None, video));
                } else {
                    self.link.spend(now, arrived.bytes);
                }
            }
        }
    }

    /// Whether a packet that has just arrived is to be sent at once.
    pub(super) fn wants(&self, index: u64) -> bool {
        match &self.state {
            State::Waiting => false,
            State::Live => self.track.may_send(index),
            State::Behind(behind) => index < behind.next() && self.track.may_send(index),
        }
    }

    /// The next piece of what has gathered, when it is time for it.
    pub(super) fn due(&mut self, now: Instant, video: Video<'_>) -> Due {
        let State::Behind(behind) = &mut self.state else { return Due::Send(0..0) };
        if now < behind.step() {
            return Due::Send(0..0);
        }
        if let Some(newer) = behind.newer(&self.link, &self.track, video) {
            self.resume(now, newer, video);
        }
        let State::Behind(behind) = &mut self.state else { return Due::Send(0..0) };
        if behind.is_too_much(&self.link, video) {
            self.skip();
            return Due::GaveUp;
        }
        let piece = behind.piece(now, &mut self.link, video);
        if behind.next() > video.newest {
            self.state = State::Live;
        }
        Due::Send(piece)
    }

    /// A packet was sealed under its number.
    pub(super) fn sent(&mut self, index: u64) {
        self.track.sent(index);
    }

    /// What was sent last is repeated unless something follows it soon: the link loses some packets.
    pub(super) fn repeat_last(&mut self, now: Instant) {
        let last = self.track.next_unsent() - 1;
        self.repairs.tail(now, Numbered { index: last, packet: self.track.packet_index(last) });
    }

    /// Nothing more is sent before the next key frame.
    pub(super) fn skip(&mut self) {
        self.state = State::Waiting;
        self.repairs.clear();
    }

    /// Whether one NACK shows an outage: of what was sent since the newest key frame, more is missed than could be sent
    /// again soon. What was lost before it, or before the gateway, does not count.
    pub(super) fn is_outage(&self, ring: &Ring, sequences: &[u16]) -> bool {
        let soon = (repairs::a_second(self.link.known()) * HOPELESS).max(LEAST_OUTAGE);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative")]
        let most = OUTAGE.min(soon as usize);
        sequences.len() > most && self.track.lost_of_the_newest_group(ring, sequences) > most
    }

    /// The viewer asks for a packet again. `trip`: its round trip.
    pub(super) fn ask(&mut self, now: Instant, lost: Numbered, trip: Duration) -> Repair {
        self.repairs.ask(now, lost, trip, self.link.known())
    }

    /// The next packet to be sent again now. `twice`: what was lost is sent once more a moment later.
    pub(super) fn again(&mut self, now: Instant, ring: &Ring, twice: bool) -> Option<(Numbered, Why)> {
        if self.is_waiting() {
            return None;
        }
        let len = |numbered: Numbered| ring.get(numbered.index).map_or(0, |packet| packet.payload.len());
        if self.repairs.is_waiting() && self.link.room(now, self.link.rate()) > 0 {
            let lost = self.repairs.next(now, self.track.newest_group())?;
            self.link.spend(now, on_the_link(len(lost)));
            if twice {
                self.repairs.copy(now, lost);
            }
            return Some((lost, Why::Lost));
        }
        while let Some(copy) = self.repairs.next_copy(now) {
            // Not worth a delay of anything else.
            if self.link.room(now, self.link.rate()) > 0 {
                self.link.spend(now, on_the_link(len(copy)));
                return Some((copy, Why::Copy));
            }
        }
        None
    }

    /// A report block on the video, of which the track knows already. Its loss is the link's.
    pub(super) fn heard(&mut self, now: Instant, report: Reception) -> Heard {
        self.link.report(now, report.lost);
        self.reach.heard(report, &self.track)
    }

    /// Packets of another stream reach the viewer.
    pub(super) fn reached(&mut self) -> Heard {
        self.reach.reached(&self.track)
    }

    /// Whether a viewer that was sent nothing, since nothing was heard of it, is tried again now. It needs a key frame then.
    pub(super) fn tries_again(&mut self, now: Instant) -> bool {
        self.reach.tries_again(now, &self.track)
    }

    /// When to ask for what is due, or to be sent again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        if self.is_waiting() {
            return None;
        }
        let step = match &self.state {
            State::Behind(behind) => Some(behind.step()),
            State::Waiting | State::Live => None,
        };
        let repair = self.repairs.is_waiting().then(|| self.link.room_at(1, self.link.rate()));
        [step, repair, self.repairs.copy_at()].into_iter().flatten().min()
    }

    /// Goes on at a key frame, without what lies before it.
    fn resume(&mut self, now: Instant, key_frame: KeyFrame, video: Video<'_>) {
        self.track.resume(key_frame);
        self.repairs.clear();
        let behind = Behind::new(now, self.track.start(), Some(key_frame.start), video);
        self.state = State::Behind(behind);
    }
}

impl Video<'_> {
    /// What a packet is to a link; 0 for one that is not here.
    fn bytes_of(self, index: u64) -> usize {
        self.ring.get(index).map_or(0, |packet| on_the_link(packet.payload.len()))
    }

    /// What there is from an index on.
    fn bytes_from(self, index: u64) -> usize {
        (index..=self.newest).map(|index| self.bytes_of(index)).sum()
    }

    fn timestamp(self, index: u64) -> Option<u32> {
        self.ring.get(index).map(|packet| packet.timestamp)
    }
}

#[cfg(test)]
mod tests;
