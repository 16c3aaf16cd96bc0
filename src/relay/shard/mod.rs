//! One thread, one media socket, the sessions and viewers that live on it.
//!
//! The loop takes work by priority, each with a budget, and comes round again: (1) what viewers send, (2) what sources
//! send, and its fan-out, (3) deadlines, (4) commands. It waits for nothing but its sockets, its waker and its timers.

mod arrivals;
mod fan_out;
mod upkeep;

use super::command::Command;
use super::demux::Demux;
use super::outbox::Outbox;
use super::peer::Shared;
use super::session::Session;
use super::socket::{Buffers, Socket};
use super::stats::Stats;
use super::timers::Timers;
use super::viewer::{Given, Viewer};
use crate::ids::SessionId;
use mio::{Events, Poll, Token};
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
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
const COMMANDS: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Deadline {
    Viewer(u64),
    Session(u64),
}

/// A shard's state; lives on its thread.
pub(super) struct Shard {
    pub(super) poll: Poll,
    pub(super) socket: Socket,
    pub(super) shared: Arc<Shared>,
    pub(super) ingest_ip: IpAddr,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) stats: Stats,
    pub(super) sessions: HashMap<u64, Session>,
    pub(super) by_id: HashMap<SessionId, u64>,
    pub(super) viewers: HashMap<u64, Viewer>,
    pub(super) demux: Demux<u64>,
    timers: Timers<Deadline>,
    pub(super) next_key: u64,
    readable: HashSet<usize>,
    /// The sources among them, while they have their turn.
    ready: Vec<usize>,
    buffers: Buffers,
    out: Outbox,
    /// What the first viewers of a fan-out were given.
    given: Vec<Given>,
    /// Viewers to look after behind it.
    due: Vec<u64>,
}

impl Shard {
    pub(super) fn new(
        poll: Poll,
        mut socket: Socket,
        shared: Arc<Shared>,
        ingest_ip: IpAddr,
        commands: mpsc::Receiver<Command>,
        stats: Stats,
    ) -> std::io::Result<Self> {
        socket.register(poll.registry(), MEDIA)?;
        Ok(Self::empty(poll, socket, shared, ingest_ip, commands, stats))
    }

    /// The same shard without its sessions, after a panic that may have left them in any state. Its socket stays bound.
    pub(super) fn without_sessions(self) -> Self {
        let Self { poll, socket, shared, ingest_ip, commands, mut stats, sessions, viewers, .. } = self;
        // They may panic again as they are dropped. Each session's control plane learns of it by the end of its events.
        let _ = catch_unwind(AssertUnwindSafe(|| drop((viewers, sessions))));
        stats.flush(Duration::ZERO, 0, 0);
        let mut shard = Self::empty(poll, socket, shared, ingest_ip, commands, stats);
        // What came meanwhile has been told already.
        shard.readable.insert(MEDIA.0);
        shard
    }

    fn empty(
        poll: Poll,
        socket: Socket,
        shared: Arc<Shared>,
        ingest_ip: IpAddr,
        commands: mpsc::Receiver<Command>,
        stats: Stats,
    ) -> Self {
        Self {
            poll,
            socket,
            shared,
            ingest_ip,
            commands,
            stats,
            sessions: HashMap::new(),
            by_id: HashMap::new(),
            viewers: HashMap::new(),
            demux: Demux::new(),
            timers: Timers::new(),
            next_key: 0,
            readable: HashSet::new(),
            ready: Vec::new(),
            buffers: Buffers::new(),
            out: Outbox::default(),
            given: Vec::new(),
            due: Vec::new(),
        }
    }

    /// Runs until told to stop.
    pub(super) fn run(&mut self) {
        let mut events = Events::with_capacity(256);
        let mut commands_left = false;
        loop {
            let wait = if commands_left || !self.readable.is_empty() {
                Some(Duration::ZERO)
            } else {
                self.timers.next().map(|at| at.saturating_duration_since(Instant::now()))
            };
            // An interrupted wait is a short one.
            let _ = self.poll.poll(&mut events, wait);
            let began = Instant::now();
            self.readable
                .extend(events.iter().map(|event| event.token().0).filter(|token| *token != WAKER.0));
            self.media();
            self.ingest();
            for _ in 0..TIMERS {
                match self.timers.due(Instant::now()) {
                    Some(Deadline::Viewer(key)) => self.service(key),
                    Some(Deadline::Session(key)) => self.ask(key),
                    None => break,
                }
            }
            commands_left = true;
            for _ in 0..COMMANDS {
                match self.commands.try_recv() {
                    Ok(Command::Stop) | Err(mpsc::error::TryRecvError::Disconnected) => return self.stop(),
                    Ok(command) => self.command(command),
                    Err(mpsc::error::TryRecvError::Empty) => {
                        commands_left = false;
                        break;
                    }
                }
            }
            self.stats.flush(began.elapsed(), self.viewers.len(), self.sessions.len());
        }
    }

    /// Registers a session's sockets under its key.
    pub(super) fn register(&mut self, key: u64, session: &mut Session) -> std::io::Result<()> {
        let token = video_token(key);
        session.video.socket.register(self.poll.registry(), Token(token))?;
        if let Some(audio) = &mut session.audio {
            audio.socket.register(self.poll.registry(), Token(token + 1))?;
        }
        Ok(())
    }
}

/// A session's video socket; its audio socket is the next one.
fn video_token(key: u64) -> usize {
    FIRST_INGEST + usize::try_from(key).unwrap_or(0) * 2
}
