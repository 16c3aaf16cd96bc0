//! One thread, one media socket, the sessions and viewers that live on it.
//!
//! The loop takes work by priority, each with a budget, and comes round again: (1) what viewers send, (2) what sources
//! send, and its fan-out, (3) deadlines, (4) commands. It waits for nothing but its sockets, its waker and its timers.

mod arrivals;
mod upkeep;

use super::command::Command;
use super::demux::Demux;
use super::fallback::Fallback;
use super::outbox::Outbox;
use super::peer::Shared;
use super::session::Session;
use super::socket::{Buffers, Socket};
use super::stats::{Cause, Count, Stats};
use super::timers::Timers;
use super::viewer::Viewer;
use crate::ids::SessionId;
use mio::{Events, Poll, Token};
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

pub(super) const WAKER: Token = Token(0);
const MEDIA: Token = Token(1);
/// Token of a session's video socket; audio is the next one.
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
    pub(super) shared: Shared,
    pub(super) ingest_ip: IpAddr,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) stats: Stats,
    pub(super) sessions: HashMap<u64, Session>,
    pub(super) by_id: HashMap<SessionId, u64>,
    pub(super) viewers: HashMap<u64, Viewer>,
    pub(super) demux: Demux<u64>,
    pub(super) fallback: Fallback,
    timers: Timers<Deadline>,
    pub(super) next_key: u64,
    readable: BTreeSet<usize>,
    buffers: Buffers,
    out: Outbox,
}

impl Shard {
    pub(super) fn new(
        poll: Poll,
        mut socket: Socket,
        shared: Shared,
        ingest_ip: IpAddr,
        commands: mpsc::Receiver<Command>,
        stats: Stats,
    ) -> std::io::Result<Self> {
        socket.register(poll.registry(), MEDIA)?;
        Ok(Self {
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
            fallback: Fallback::default(),
            timers: Timers::new(),
            next_key: 0,
            readable: BTreeSet::new(),
            buffers: Buffers::new(),
            out: Outbox::default(),
        })
    }

    /// Runs until told to stop.
    pub(super) fn run(mut self) {
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

    /// Takes what sources sent, and fans it out.
    fn ingest(&mut self) {
        let ready: Vec<usize> = self.readable.range(FIRST_INGEST..).copied().collect();
        let mut buffers = std::mem::take(&mut self.buffers);
        for token in ready {
            let key = ((token - FIRST_INGEST) / 2) as u64;
            let is_video = (token - FIRST_INGEST).is_multiple_of(2);
            let Some(session) = self.sessions.get_mut(&key) else {
                self.readable.remove(&token);
                continue;
            };
            let began = Instant::now();
            for _ in 0..BATCHES {
                self.stats.count(Count::Receives, 1);
                let socket = if is_video {
                    Some(&mut session.video.socket)
                } else {
                    session.audio.as_mut().map(|audio| &mut audio.socket)
                };
                if !socket.is_some_and(|socket| socket.receive(&mut buffers)) {
                    self.readable.remove(&token);
                    break;
                }
                let now = Instant::now();
                for (path, datagram) in buffers.datagrams() {
                    if is_video {
                        session.video_datagram(now, path.remote, datagram, &mut self.stats);
                    } else {
                        session.audio_datagram(now, path.remote, datagram, &mut self.stats);
                    }
                }
            }
            if self.fan_out(key) {
                self.stats.delayed(began.elapsed());
            }
            self.ask(key);
        }
        self.buffers = buffers;
    }

    /// Sends what is new to every viewer in turn, players first: viewer by viewer, so that each gets one run. False: nothing
    /// was new.
    fn fan_out(&mut self, key: u64) -> bool {
        let Some(session) = self.sessions.get_mut(&key) else { return false };
        if session.fresh.is_empty() {
            return false;
        }
        let now = Instant::now();
        let fresh = std::mem::take(&mut session.fresh);
        let order = std::mem::take(&mut session.order);
        let mut lost = false;
        for key in &order {
            let Some(viewer) = self.viewers.get_mut(key) else { continue };
            self.out.clear();
            let video = viewer.forward(now, session, &fresh, &mut self.out);
            if viewer.peer.sends_through_the_crate() {
                viewer.peer.drain(&mut self.out);
            }
            if !self.out.is_empty() {
                lost |= viewer.flush(&mut self.socket, &mut self.out, video, &mut self.stats);
            }
            if viewer.track.deadline().is_some() {
                self.timers.set(Deadline::Viewer(*key), viewer.deadline(now));
            }
        }
        session.order = order;
        session.fresh = fresh;
        session.fresh.clear();
        if lost {
            session.want_key_frame(Cause::Loss, &mut self.stats);
        }
        true
    }

    /// Registers a session's sockets under its key.
    pub(super) fn register(&mut self, key: u64, session: &mut Session) -> std::io::Result<()> {
        let token = FIRST_INGEST + usize::try_from(key).unwrap_or(0) * 2;
        session.video.socket.register(self.poll.registry(), Token(token))?;
        if let Some(audio) = &mut session.audio {
            audio.socket.register(self.poll.registry(), Token(token + 1))?;
        }
        Ok(())
    }
}
