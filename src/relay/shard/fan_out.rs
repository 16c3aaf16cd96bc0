//! What sources send: taken in batches, and sent on to every viewer.
//!
//! Viewer by viewer, players first, so that each gets one run and one send. A source's packets come one by one, and the first
//! of them wakes the shard: while a frame is still arriving, what has come meanwhile is taken in between two viewers. Those
//! who went first get the rest at the end, the others the whole frame at once; nobody waits.
//!
//! Behind a fan-out, while the thread is awake, viewers' reports and timers that are nearly due have their turn: each would
//! wake it once more.

use super::{BATCHES, Deadline, FIRST_INGEST, Shard, video_token};
use crate::relay::outbox::Outbox;
use crate::relay::session::Session;
use crate::relay::socket::{Buffers, Socket};
use crate::relay::stats::{Cause, Count, Stats};
use crate::relay::timers::Timers;
use crate::relay::viewer::{Given, Viewer};
use std::collections::HashMap;
use std::time::Instant;

/// Batches taken in between viewers, and how many may be empty: a source that is slower than the fan-out is not asked again.
const BETWEEN: usize = 32;
const EMPTY: usize = 4;

/// Viewers looked after behind one fan-out: they wait for the next one otherwise, or for their own deadline.
const LOOKED_AFTER: usize = 8;

impl Shard {
    /// Takes what sources sent, and fans it out.
    pub(super) fn ingest(&mut self) {
        let mut ready = std::mem::take(&mut self.ready);
        ready.extend(self.readable.iter().filter(|token| **token >= FIRST_INGEST));
        let mut buffers = std::mem::take(&mut self.buffers);
        for token in ready.drain(..) {
            let key = ((token - FIRST_INGEST) / 2) as u64;
            let is_video = (token - FIRST_INGEST).is_multiple_of(2);
            let Some(session) = self.sessions.get_mut(&key) else {
                self.readable.remove(&token);
                continue;
            };
            let began = Instant::now();
            self.at_work = Some(key);
            for _ in 0..BATCHES {
                if !take_in(session, is_video, &mut buffers, &mut self.stats) {
                    self.readable.remove(&token);
                    break;
                }
            }
            session.hand_over(&mut self.stats);
            if !session.fresh.is_empty() {
                if self.fan_out(key, &mut buffers) {
                    // There may be more, and no event tells of it.
                    self.readable.insert(video_token(key));
                }
                self.stats.delayed(began.elapsed());
            }
            self.ask(key);
            let mut due = std::mem::take(&mut self.due);
            due.drain(..).for_each(|viewer| self.service(viewer));
            self.due = due;
        }
        self.buffers = buffers;
        self.ready = ready;
    }

    /// Sends what is new to every viewer. True: the source's socket may hold more.
    fn fan_out(&mut self, key: u64, buffers: &mut Buffers) -> bool {
        let Some(session) = self.sessions.get_mut(&key) else { return false };
        let now = Instant::now();
        let (order, mut given) = (std::mem::take(&mut session.order), std::mem::take(&mut self.given));
        let mut round = Round {
            now,
            session,
            viewers: &mut self.viewers,
            socket: &mut self.socket,
            out: &mut self.out,
            timers: &mut self.timers,
            stats: &mut self.stats,
            request: None,
        };
        let mut between = Between { batches: BETWEEN, empty: EMPTY, more: false };
        for (at, viewer) in order.iter().enumerate() {
            if at > 0 {
                round.take_in_between(&mut between, buffers);
            }
            given.push(round.forward(*viewer, Given::default()));
        }
        for (viewer, given) in order.iter().zip(given.drain(..)) {
            round.forward(*viewer, given);
        }
        let request = round.request;
        let due =
            order.iter().filter(|viewer| self.viewers.get(viewer).is_some_and(|viewer| viewer.is_due(now)));
        self.due.extend(due.take(LOOKED_AFTER));
        self.given = given;
        session.order = order;
        session.fresh.clear();
        session.hand_over(&mut self.stats);
        if let Some(cause) = request {
            session.request_key_frame(cause, &mut self.stats);
        }
        between.more
    }
}

/// One fan-out: the session, and what its viewers are sent with.
struct Round<'a> {
    now: Instant,
    session: &'a mut Session,
    viewers: &'a mut HashMap<u64, Viewer>,
    socket: &'a mut Socket,
    out: &'a mut Outbox,
    timers: &'a mut Timers<Deadline>,
    stats: &'a mut Stats,
    /// A viewer needs a key frame.
    request: Option<Cause>,
}

/// What is taken in between viewers.
struct Between {
    /// How many batches may still be taken, and how many of them may be empty.
    batches: usize,
    empty: usize,
    /// The last one did not empty the socket.
    more: bool,
}

impl Round<'_> {
    /// Takes in what came of an unfinished frame.
    fn take_in_between(&mut self, between: &mut Between, buffers: &mut Buffers) {
        if !self.session.is_in_frame() || between.batches == 0 || between.empty == 0 {
            return;
        }
        between.batches -= 1;
        between.more = take_in(self.session, true, buffers, self.stats);
        if !self.session.is_in_frame() {
            self.session.hand_over(self.stats);
        }
        if buffers.is_empty() {
            between.empty -= 1;
        }
    }

    /// Sends one viewer what is new to it; gives how much there was.
    fn forward(&mut self, key: u64, given: Given) -> Given {
        let all = self.session.fresh.given();
        if all == given {
            return all;
        }
        let Some(viewer) = self.viewers.get_mut(&key) else { return all };
        self.out.clear();
        viewer.retry(self.socket, self.stats);
        let video = viewer.forward(self.now, self.session, given, self.out, self.stats);
        if viewer.peer.sends_through_the_crate() {
            viewer.peer.drain(self.out);
        }
        if !self.out.is_empty() {
            viewer.flush(self.socket, self.out, video, self.stats);
        }
        self.request = viewer.take_request(self.now).or(self.request);
        if viewer.is_busy() {
            self.timers.set(Deadline::Viewer(key), viewer.deadline(self.now));
        }
        all
    }
}

/// Takes one batch from a session's source. False: nothing is left.
fn take_in(session: &mut Session, is_video: bool, buffers: &mut Buffers, stats: &mut Stats) -> bool {
    if session.is_replica() {
        return session.take_fed(Instant::now(), stats);
    }
    stats.count(Count::Receives, 1);
    let audio = session.audio.as_mut().and_then(|audio| audio.socket.as_mut());
    let socket = if is_video { session.video.socket.as_mut() } else { audio };
    let Some(socket) = socket else { return false };
    let more = socket.receive(buffers);
    let now = Instant::now();
    for (path, datagram) in buffers.datagrams() {
        session.copy(is_video, path.remote, datagram);
        if is_video {
            session.video_datagram(now, path.remote, datagram, stats);
        } else {
            session.audio_datagram(now, path.remote, datagram, stats);
        }
    }
    more
}
