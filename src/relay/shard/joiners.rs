//! Viewers on their way in: their handshakes are done by workers (`peer`), and what is left for the shard is bounded.
//!
//! A turn spends at most [`BUDGET`] of processor time on joiners: on commands, on what workers tell, and on first pictures of
//! spectators. What is left waits for the next turn, behind the media of everybody who plays and watches already.
//!
//! Invariants:
//! - A joiner has a place among its session's viewers and with a worker from its offer on, and gives both back when it is
//!   handed over, refused or ended. Nothing is kept of one whose worker is silent.

use super::{Deadline, Shard};
use crate::model::ids::ViewerId;
use crate::relay::budget::Budget;
use crate::relay::command::{Command, Reply};
use crate::relay::peer::{Job, Known, News, Passing, Peer, Place};
use crate::relay::socket::Path;
use crate::relay::stats::Drop;
use crate::relay::viewer::Viewer;
use crate::relay::{RelayError, RelayEvent};
use rustix::time::{ClockId, clock_gettime};
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Of processor time, for joiners in one turn: one piece of work more may follow.
const BUDGET: Duration = Duration::from_micros(400);
/// Kinds of work: what workers tell, commands, first pictures.
const KINDS: usize = 3;
/// Handshakes under way with one address.
const HANDSHAKES: usize = 256;
/// Datagrams of one joiner, a second and at once: a handshake has a few dozen.
const DATAGRAMS: f64 = 200.0;
/// Datagrams that came too late for their workers, waiting for the connections they belong to.
const LATE: usize = 1024;
/// A worker is done with a handshake by then.
const LONGEST: Duration = Duration::from_secs(35);

/// A viewer on its way in.
pub(in crate::relay) struct Joiner {
    viewer: ViewerId,
    session: u64,
    pub(in crate::relay) slot: Option<u8>,
    place: Place,
    /// Where its first proven request came from.
    ip: Option<IpAddr>,
    /// Its viewer was told the answer.
    is_answered: bool,
    budget: Budget,
}

impl Joiner {
    pub(super) fn worker(&self) -> usize {
        self.place.worker()
    }
}

/// A datagram for a worker.
pub(super) struct Forwarded {
    key: u64,
    path: Path,
    datagram: Box<[u8]>,
}

impl Shard {
    /// Takes what workers tell by the way: before datagrams are routed, as some of it says where they belong.
    pub(super) fn take_passing(&mut self) {
        while let Ok(passing) = self.inlets.passing.try_recv() {
            match passing {
                Passing::Proven { key, address } => {
                    if let Some(joiner) = self.joiners.get_mut(&key) {
                        joiner.ip.get_or_insert(address.ip());
                        self.demux.seen(address, key);
                    } else if self.viewers.contains_key(&key) {
                        self.demux.seen(address, key);
                    }
                }
                Passing::Late { path, datagram } if self.late.len() < LATE => {
                    self.late.push((path, datagram))
                }
                Passing::Late { .. } => self.stats.drop(Drop::HandshakesBusy),
            }
        }
    }

    /// What came too late for a worker is for the connection that it has handed over: by now, or with what it has yet to tell.
    fn take_late(&mut self) {
        if self.inlets.news.is_empty() {
            for (path, datagram) in std::mem::take(&mut self.late) {
                if let Some(key) = self.datagram(Instant::now(), path, &datagram) {
                    self.look_after(key);
                }
            }
        }
    }

    /// Whether a datagram is for a viewer that is on its way in; it is passed on to its worker in this turn then.
    pub(super) fn forward_to_worker(&mut self, now: Instant, key: u64, path: Path, datagram: &[u8]) -> bool {
        let Some(joiner) = self.joiners.get_mut(&key) else { return false };
        if !joiner.budget.take(now, DATAGRAMS, DATAGRAMS) {
            self.stats.drop(Drop::HandshakeFlood);
        } else if joiner.ip.is_none() && self.is_crowded(path.remote.ip()) {
            self.stats.drop(Drop::TooManyHandshakes);
        } else {
            self.forwarded.push(Forwarded { key, path, datagram: datagram.into() });
        }
        true
    }

    fn is_crowded(&self, ip: IpAddr) -> bool {
        self.joiners.values().filter(|joiner| joiner.ip == Some(ip)).count() >= HANDSHAKES
    }

    /// Works for joiners as long as a turn may. True: there is more to do.
    pub(super) fn work_for_joiners(&mut self) -> ControlFlow<(), bool> {
        let inlets = &self.inlets;
        let idle = self.forwarded.is_empty()
            && self.late.is_empty()
            && self.catching_up.is_empty()
            && inlets.news.is_empty()
            && inlets.commands.is_empty();
        if idle {
            return if inlets.commands.is_closed() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(false)
            };
        }
        self.at_work = None;
        let began = thread_time();
        let passed = || thread_time().saturating_sub(began);
        self.forward();
        // Kinds of work in turns, also from one turn of the shard to the next, until none of them has any left.
        let mut idle = 0;
        while idle < KINDS && passed() < BUDGET {
            self.last_kind = (self.last_kind + 1) % KINDS;
            idle = if self.piece(self.last_kind)? { 0 } else { idle + 1 };
        }
        let left = idle < KINDS;
        self.take_late();
        self.stats.joined(passed());
        ControlFlow::Continue(left)
    }

    /// Does one piece of work of this kind. False: there is none.
    fn piece(&mut self, kind: usize) -> ControlFlow<(), bool> {
        ControlFlow::Continue(match kind {
            0 => self.inlets.news.try_recv().map(|news| self.hear(news)).is_ok(),
            1 => match self.inlets.commands.try_recv() {
                Ok(Command::Stop) | Err(mpsc::error::TryRecvError::Disconnected) => {
                    return ControlFlow::Break(());
                }
                Ok(command) => {
                    self.command(command);
                    true
                }
                Err(mpsc::error::TryRecvError::Empty) => false,
            },
            _ => self.catching_up.pop_front().map(|key| self.service(key)).is_some(),
        })
    }

    fn forward(&mut self) {
        let mut forwarded = std::mem::take(&mut self.forwarded);
        for Forwarded { key, path, datagram } in forwarded.drain(..) {
            if let Some(joiner) = self.joiners.get(&key)
                && !self.workers.datagram(&joiner.place, (self.number, key), path, datagram)
            {
                self.stats.drop(Drop::HandshakesBusy);
            }
        }
        self.forwarded = forwarded;
    }

    /// Lets a viewer work: at once, or, if it is a spectator's first picture that is due, when joiners have their turn.
    pub(super) fn look_after(&mut self, key: u64) {
        match self.viewers.get(&key) {
            Some(viewer) if viewer.is_catching_up() && !viewer.is_player() => self.catching_up.push_back(key),
            Some(_) => self.service(key),
            None => {}
        }
    }

    /// Gives an offer to a worker. `known`: the viewer's present connection, if the offer may be for that.
    pub(in crate::relay) fn offer(
        &mut self,
        now: Instant,
        (session_key, viewer, slot): (u64, ViewerId, Option<u8>),
        offer: String,
        known: Option<Known>,
        reply: Reply<String>,
    ) {
        let beside = match &known {
            Some(Known::Joining { key }) => self.joiners.get(key).map(|joiner| &joiner.place),
            Some(Known::Connected { .. }) | None => None,
        };
        let place = beside.map_or_else(|| self.workers.place(), |place| self.workers.place_beside(place));
        let (Some(place), Some(session)) = (place, self.sessions.get_mut(&session_key)) else {
            self.stats.drop(Drop::HandshakesFull);
            let _ = reply.send(Err(RelayError::Unavailable));
            return;
        };
        self.next_key += 1;
        let key = self.next_key;
        let (codec, audio) = (session.codec, session.audio.is_some());
        let job = Job { shard: self.number, key, offer, codec, audio, known, reply };
        if !self.workers.offer(&place, job) {
            return self.stats.drop(Drop::HandshakesFull);
        }
        session.joining += 1;
        let budget = Budget::new(now, DATAGRAMS);
        let joiner =
            Joiner { viewer, session: session_key, slot, place, ip: None, is_answered: false, budget };
        self.joiners.insert(key, joiner);
        self.timers.set(Deadline::Joiner(key), Some(now + LONGEST));
    }

    fn hear(&mut self, news: News) {
        let now = Instant::now();
        match news {
            News::Answered { worker, key, asked, ufrag, answer, reply } => {
                if key != asked {
                    self.forget_joiner(asked);
                }
                if self.joiners.contains_key(&key) {
                    self.answered(now, key, &ufrag, answer, reply);
                } else {
                    // Ended while its answer was made.
                    self.workers.end(worker, (self.number, key));
                    let _ = reply.send(Err(RelayError::NotFound));
                }
            }
            News::Refused { asked, error, reply } => {
                self.forget_joiner(asked);
                let _ = reply.send(Err(error));
            }
            News::Renegotiate { key, asked, offer, reply } => {
                self.forget_joiner(asked);
                let answer = match self.viewers.get_mut(&key) {
                    Some(viewer) => viewer.peer.renegotiate(now, &offer),
                    None => Err(RelayError::NotFound),
                };
                if let Some(viewer) = self.viewers.get(&key) {
                    self.demux.enter(now, viewer.peer.ufrag(), key);
                }
                self.service(key);
                let _ = reply.send(answer);
            }
            News::Returned(job) => self.offer_again(now, job),
            News::Connected { key, peer } => self.connected(now, key, *peer),
            News::Gone { key, reason } => self.end_joiner(key, Some(reason)),
        }
    }

    /// A worker has answered an offer: the viewer's connection is this one from now on.
    fn answered(&mut self, now: Instant, key: u64, ufrag: &str, answer: String, reply: Reply<String>) {
        let Some(joiner) = self.joiners.get_mut(&key) else { return };
        let is_new = !std::mem::replace(&mut joiner.is_answered, true);
        let (viewer, session) = (joiner.viewer, joiner.session);
        self.demux.enter(now, ufrag, key);
        let session = self.sessions.get_mut(&session).filter(|_| is_new);
        if let Some(replaced) = session.and_then(|session| session.by_id.insert(viewer, key)) {
            self.end_connection(replaced, None);
        }
        if let Err(Ok(_)) = reply.send(Ok(answer))
            && is_new
        {
            self.end_joiner(key, None);
        }
    }

    /// A viewer's connection is not on its way any more: its offer is for what it has now.
    fn offer_again(&mut self, now: Instant, job: Job) {
        let Job { key, offer, reply, .. } = job;
        let Some(joiner) = self.forget_joiner(key) else {
            let _ = reply.send(Err(RelayError::NotFound));
            return;
        };
        let Joiner { viewer, session, slot, .. } = joiner;
        let known = self.sessions.get(&session).and_then(|session| session.by_id.get(&viewer).copied());
        let known = known.and_then(|key| {
            let fingerprint = self.viewers.get(&key)?.peer.fingerprint().to_owned();
            Some(Known::Connected { key, fingerprint })
        });
        self.offer(now, (session, viewer, slot), offer, known, reply);
    }

    /// Takes over a connection.
    fn connected(&mut self, now: Instant, key: u64, mut peer: Peer) {
        let Some(Joiner { viewer, session, slot, .. }) = self.forget_joiner(key) else {
            // Ended while it was on its way here.
            return self.say_goodbye(peer);
        };
        peer.measure(slot.is_some());
        self.viewers.insert(key, Viewer::new(now, viewer, session, slot, peer));
        if let Some(session) = self.sessions.get_mut(&session) {
            session.order.push(key);
        }
        self.sort_viewers(session);
        self.service(key);
    }

    fn say_goodbye(&mut self, mut peer: Peer) {
        peer.close();
        self.out.clear();
        peer.drain(&mut self.out);
        if let Some(path) = peer.path() {
            self.socket.send_all(path, &self.out, &mut self.stats);
        }
    }

    /// Takes a joiner out of all but the demux.
    pub(super) fn forget_joiner(&mut self, key: u64) -> Option<Joiner> {
        let joiner = self.joiners.remove(&key)?;
        self.timers.set(Deadline::Joiner(key), None);
        if let Some(session) = self.sessions.get_mut(&joiner.session) {
            session.joining = session.joining.saturating_sub(1);
        }
        Some(joiner)
    }

    /// Ends a viewer on its way in; with a reason, the control plane is told.
    pub(super) fn end_joiner(&mut self, key: u64, reason: Option<&str>) {
        let Some(joiner) = self.forget_joiner(key) else { return };
        self.demux.remove(key);
        self.workers.end(joiner.place.worker(), (self.number, key));
        let Some(session) = self.sessions.get_mut(&joiner.session) else { return };
        if session.by_id.get(&joiner.viewer) == Some(&key) {
            session.by_id.remove(&joiner.viewer);
        }
        if let Some(reason) = reason.filter(|_| joiner.is_answered) {
            let gone = RelayEvent::ViewerGone { viewer: joiner.viewer, reason: reason.to_owned() };
            session.emit(gone, &mut self.stats);
        }
    }

    /// Ends a viewer, wherever it is.
    pub(in crate::relay) fn end_connection(&mut self, key: u64, reason: Option<&str>) {
        self.end_joiner(key, reason);
        self.end_viewer(key, reason);
    }

    /// Ends a session's viewers on their way in, or one of them; with a reason, the control plane is told.
    pub(in crate::relay) fn end_joiners(
        &mut self,
        session: u64,
        viewer: Option<ViewerId>,
        reason: Option<&str>,
    ) -> bool {
        let of_them =
            |joiner: &Joiner| joiner.session == session && viewer.is_none_or(|id| id == joiner.viewer);
        let ended: Vec<u64> =
            self.joiners.iter().filter(|(_, joiner)| of_them(joiner)).map(|(key, _)| *key).collect();
        ended.iter().for_each(|key| self.end_joiner(*key, reason));
        !ended.is_empty()
    }
}

/// What this thread has had of the processor.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
