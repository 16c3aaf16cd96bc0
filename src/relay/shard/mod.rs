//! One thread, one media socket, the sessions and viewers that live on it.
//!
//! The loop takes work by priority, each with a budget, and comes round again: (1) what viewers send, (2) what sources
//! send, and its fan-out, (3) deadlines, (4) joiners and commands. It waits for nothing but its sockets, its waker and its
//! timers.
//!
//! Does not: any of a handshake. Connections come here when they are connected (`joiners`).

mod arrivals;
mod fan_out;
mod joiners;
mod restart;
mod stripes;
mod upkeep;

use super::command::Command;
use super::demux::Demux;
use super::outbox::Outbox;
use super::peer::{News, Passing, Workers};
use super::session::Session;
use super::socket::{Buffers, Path, Socket};
use super::stats::Stats;
use super::timers::Timers;
use super::viewer::{Given, Viewer};
use crate::model::ids::SessionId;
use joiners::{Forwarded, Joiner};
use mio::{Events, Poll, Token};
use restart::Faults;
use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

pub(super) const WAKER: Token = Token(0);
const MEDIA: Token = Token(1);
/// The first session's sockets; see [`video_token`].
const FIRST_INGEST: usize = 2;
/// Batches (of 16 buffers) from one socket before others have their turn.
const BATCHES: usize = 8;
const TIMERS: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Deadline {
    Viewer(u64),
    Joiner(u64),
    Session(u64),
}

/// Where a shard is told something.
pub(super) struct Inlets {
    pub(super) commands: mpsc::Receiver<Command>,
    /// Of handshake workers.
    pub(super) news: mpsc::Receiver<News>,
    pub(super) passing: mpsc::Receiver<Passing>,
}

/// A shard's state; lives on its thread.
pub(super) struct Shard {
    number: usize,
    pub(super) poll: Poll,
    pub(super) socket: Socket,
    pub(super) ingest_ip: IpAddr,
    inlets: Inlets,
    workers: Arc<Workers>,
    pub(super) stats: Stats,
    pub(super) sessions: HashMap<u64, Session>,
    pub(super) by_id: HashMap<SessionId, u64>,
    pub(super) viewers: HashMap<u64, Viewer>,
    /// On their way in; their keys are the viewers'.
    pub(super) joiners: HashMap<u64, Joiner>,
    pub(super) demux: Demux<u64>,
    timers: Timers<Deadline>,
    pub(super) next_key: u64,
    /// The session that is being worked for: when the shard panics, it is to blame.
    at_work: Option<u64>,
    /// Sessions that were, before.
    faults: HashMap<u64, Faults>,
    /// Sessions that are on other shards, too.
    pub(super) striped: Vec<u64>,
    readable: HashSet<usize>,
    /// The sources among them, while they have their turn.
    ready: Vec<usize>,
    buffers: Buffers,
    out: Outbox,
    /// What the first viewers of a fan-out were given.
    given: Vec<Given>,
    /// Viewers to look after behind it.
    due: Vec<u64>,
    /// What joiners sent in this turn.
    forwarded: Vec<Forwarded>,
    /// What came too late for their workers.
    late: Vec<(Path, Box<[u8]>)>,
    /// Spectators whose first pictures are due.
    catching_up: VecDeque<u64>,
    /// Of work for joiners, the kind that had its turn last.
    last_kind: usize,
}

impl Shard {
    pub(super) fn new(
        number: usize,
        poll: Poll,
        mut socket: Socket,
        ingest_ip: IpAddr,
        inlets: Inlets,
        workers: Arc<Workers>,
        stats: Stats,
    ) -> std::io::Result<Self> {
        socket.register(poll.registry(), MEDIA)?;
        Ok(Self::empty(number, poll, socket, ingest_ip, inlets, workers, stats))
    }

    fn empty(
        number: usize,
        poll: Poll,
        socket: Socket,
        ingest_ip: IpAddr,
        inlets: Inlets,
        workers: Arc<Workers>,
        stats: Stats,
    ) -> Self {
        Self {
            number,
            poll,
            socket,
            ingest_ip,
            inlets,
            workers,
            stats,
            sessions: HashMap::new(),
            by_id: HashMap::new(),
            viewers: HashMap::new(),
            joiners: HashMap::new(),
            demux: Demux::new(),
            timers: Timers::new(),
            next_key: 0,
            at_work: None,
            faults: HashMap::new(),
            striped: Vec::new(),
            readable: HashSet::new(),
            ready: Vec::new(),
            buffers: Buffers::new(),
            out: Outbox::default(),
            given: Vec::new(),
            due: Vec::new(),
            forwarded: Vec::new(),
            late: Vec::new(),
            catching_up: VecDeque::new(),
            last_kind: 0,
        }
    }

    /// Runs until told to stop.
    pub(super) fn run(&mut self) {
        let mut events = Events::with_capacity(256);
        let mut left = false;
        loop {
            let wait = if left || !self.readable.is_empty() {
                Some(Duration::ZERO)
            } else {
                self.timers.next().map(|at| at.saturating_duration_since(Instant::now()))
            };
            // An interrupted wait is a short one.
            let _ = self.poll.poll(&mut events, wait);
            let began = Instant::now();
            self.readable
                .extend(events.iter().map(|event| event.token().0).filter(|token| *token != WAKER.0));
            self.at_work = None;
            self.look_at_other_shards();
            self.take_passing();
            self.media();
            self.ingest();
            for _ in 0..TIMERS {
                match self.timers.due(Instant::now()) {
                    Some(Deadline::Viewer(key)) => self.look_after(key),
                    Some(Deadline::Joiner(key)) => self.end_joiner(key, Some("no connection in time")),
                    Some(Deadline::Session(key)) => self.ask(key),
                    None => break,
                }
            }
            match self.work_for_joiners() {
                ControlFlow::Continue(more) => left = more,
                ControlFlow::Break(()) => return self.stop(),
            }
            self.workers.wake();
            let viewers = self.viewers.len() + self.joiners.len();
            self.stats.flush(began.elapsed(), viewers, self.sessions.len());
        }
    }

    /// Registers a session's sockets under its key.
    pub(super) fn register(&mut self, key: u64, session: &mut Session) -> std::io::Result<()> {
        for (token, socket) in (video_token(key)..).zip(session.sockets()) {
            socket.register(self.poll.registry(), Token(token))?;
        }
        Ok(())
    }
}

/// A session's video socket; its audio socket is the next one.
fn video_token(key: u64) -> usize {
    FIRST_INGEST + usize::try_from(key).unwrap_or(0) * 2
}
