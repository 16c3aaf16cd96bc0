//! One thread, one media socket, the sessions and viewers that live on it.
//!
//! The loop takes work by priority, each with a budget, and comes round again: (1) what viewers send, (2) what sources
//! send, and its fan-out, (3) deadlines, (4) commands. It waits for nothing but its sockets, its waker and its timers.

use super::command::Command;
use super::demux::{self, Demux, Kind};
use super::fallback::Fallback;
use super::feedback::Feedback;
use super::peer::{Binding, PeerEvent, Shared};
use super::session::Session;
use super::socket::{Buffers, Path, Socket};
use super::stats::{Cause, Count, Drop, Stats};
use super::stun::{Request, StunError};
use super::timers::Timers;
use super::viewer::Viewer;
use super::{RelayError, RelayEvent};
use crate::ids::SessionId;
use bytes::BytesMut;
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
/// Handshakes under way with one address.
const HANDSHAKES: usize = 256;

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
    scratch: Vec<BytesMut>,
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
            scratch: Vec::new(),
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

    /// Takes what viewers sent.
    fn media(&mut self) {
        if !self.readable.contains(&MEDIA.0) {
            return;
        }
        let mut buffers = std::mem::take(&mut self.buffers);
        let mut touched = BTreeSet::new();
        for _ in 0..BATCHES {
            if !self.socket.receive(&mut buffers) {
                self.readable.remove(&MEDIA.0);
                break;
            }
            let now = Instant::now();
            for (path, datagram) in buffers.datagrams() {
                self.stats.count(Count::MediaInPackets, 1);
                self.stats.count(Count::MediaInBytes, datagram.len() as u64);
                if !self.socket.accepts(path.remote) {
                    self.stats.drop(Drop::OtherMachine);
                    continue;
                }
                touched.extend(self.datagram(now, path, datagram));
            }
        }
        self.buffers = buffers;
        for key in touched {
            self.service(key);
        }
    }

    /// Routes one datagram; gives the viewer it belonged to.
    fn datagram(&mut self, now: Instant, path: Path, datagram: &[u8]) -> Option<u64> {
        match demux::classify(datagram) {
            Kind::Stun => self.binding(now, path, datagram),
            Kind::Dtls | Kind::Media => {
                let Some(key) = self.demux.by_address(path.remote) else {
                    self.stats.drop(Drop::UnknownPeer);
                    return None;
                };
                self.viewers.get_mut(&key)?.peer.datagram(now, datagram);
                Some(key)
            }
            Kind::Unknown => {
                self.stats.drop(Drop::Malformed);
                None
            }
        }
    }

    fn binding(&mut self, now: Instant, path: Path, datagram: &[u8]) -> Option<u64> {
        let request = match Request::parse(datagram) {
            Ok(request) => request,
            // Responses and indications: browsers send indications as keepalives.
            Err(StunError::NotARequest) => return None,
            Err(StunError::Malformed | StunError::Unauthenticated) => {
                self.stats.drop(Drop::MalformedStun);
                return None;
            }
        };
        let Some(key) = self.demux.by_ufrag(now, request.local_ufrag) else {
            self.stats.drop(Drop::UnknownUfrag);
            return None;
        };
        let ip = path.remote.ip();
        let new = self.viewers.get(&key)?.peer.path().is_none();
        if new && self.viewers.values().filter(|other| is_shaking_hands_with(other, ip)).count() >= HANDSHAKES
        {
            self.stats.drop(Drop::TooManyHandshakes);
            return None;
        }
        let (response, proven) = match self.viewers.get_mut(&key)?.peer.binding(now, path, &request) {
            Binding::Proven(response) => (response, true),
            Binding::Conflict(response) => (response, false),
            Binding::Forged => {
                self.stats.drop(Drop::StunIntegrity);
                return None;
            }
        };
        if proven {
            self.demux.seen(path.remote, key);
        }
        self.socket.send(path, &response, &mut self.stats);
        Some(key)
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
            for _ in 0..BATCHES {
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
            self.fan_out(key);
            self.ask(key);
        }
        self.buffers = buffers;
    }

    /// Sends what is new to every viewer in turn, players first: viewer by viewer, so that each gets one run.
    fn fan_out(&mut self, key: u64) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        if session.fresh.is_empty() {
            return;
        }
        let now = Instant::now();
        let fresh = std::mem::take(&mut session.fresh);
        let order = std::mem::take(&mut session.order);
        let newest = session.newest();
        let mut lost = false;
        for viewer in &order {
            let Some(viewer) = self.viewers.get_mut(viewer) else { continue };
            let video = viewer.forward(now, &session.ring, &fresh, newest);
            lost |= viewer.flush(&mut self.socket, &mut self.scratch, video, &mut self.stats);
        }
        session.order = order;
        session.fresh = fresh;
        session.fresh.clear();
        if lost {
            session.want_key_frame(Cause::Loss, &mut self.stats);
        }
    }

    /// Asks the session's source for a key frame when it is time.
    fn ask(&mut self, key: u64) {
        if let Some(session) = self.sessions.get_mut(&key) {
            session.ask(Instant::now(), &mut self.stats);
            self.timers.set(Deadline::Session(key), session.deadline());
        }
    }

    /// Lets a viewer's connection work: events, feedback, catching up, reports, and what it has to send.
    pub(super) fn service(&mut self, key: u64) {
        let now = Instant::now();
        let Some(viewer) = self.viewers.get_mut(&key) else { return };
        let Some(session) = self.sessions.get_mut(&viewer.session) else { return };
        let session_key = viewer.session;
        let mut end = None;
        for event in viewer.peer.poll(now) {
            match event {
                PeerEvent::Connected { cipher } => {
                    session.emit(RelayEvent::ViewerConnected { viewer: viewer.id, cipher }, &mut self.stats);
                    session.connected += 1;
                    if session.connected == 1 {
                        session.emit(RelayEvent::Watched(true), &mut self.stats);
                    }
                    if !viewer.track.join(now, session.group.start()) {
                        session.want_key_frame(Cause::Joiner, &mut self.stats);
                    }
                }
                PeerEvent::Feedback(Feedback::KeyFrame) => {
                    session.want_key_frame(Cause::Viewer, &mut self.stats)
                }
                PeerEvent::Feedback(Feedback::Lost { ssrc, sequences }) => {
                    if viewer.lost(now, &session.ring, ssrc, &sequences, &mut self.stats) {
                        session.want_key_frame(Cause::Loss, &mut self.stats);
                    }
                }
                PeerEvent::Input { label: _, message } => {
                    match (viewer.admits(now, message.len()), viewer.slot) {
                        (Ok(()), Some(slot)) => {
                            session.emit(
                                RelayEvent::Input { viewer: viewer.id, slot, frame: message },
                                &mut self.stats,
                            );
                        }
                        (Ok(()), None) => self.stats.drop(Drop::InputWithoutSlot),
                        (Err(reason), _) => self.stats.drop(reason),
                    }
                }
                PeerEvent::NoCommonCipher => {
                    self.fallback.remember(now, &viewer.principal);
                    end = Some("no common SRTP cipher; the next offer may use AES-CM");
                }
                PeerEvent::Gone(reason) => end = Some(reason),
            }
        }
        let mut video = false;
        if viewer.peer.is_connected() {
            video = viewer.catch_up(now, &session.ring, session.newest());
            if viewer.report_due(now) {
                let (video, audio) = session.clocks(now);
                viewer.peer.report(now, video, audio);
            }
        }
        if viewer.flush(&mut self.socket, &mut self.scratch, video, &mut self.stats) {
            session.want_key_frame(Cause::Loss, &mut self.stats);
        }
        self.timers.set(Deadline::Viewer(key), viewer.deadline(now));
        self.ask(session_key);
        if let Some(reason) = end {
            self.end_viewer(key, Some(reason));
        }
    }

    /// Closes a viewer's connection and forgets it; with a reason, the control plane is told.
    pub(super) fn end_viewer(&mut self, key: u64, reason: Option<&str>) {
        let Some(mut viewer) = self.viewers.remove(&key) else { return };
        let connected = viewer.peer.was_connected();
        viewer.peer.close();
        viewer.flush(&mut self.socket, &mut self.scratch, false, &mut self.stats);
        self.demux.remove(key);
        self.timers.set(Deadline::Viewer(key), None);
        let Some(session) = self.sessions.get_mut(&viewer.session) else { return };
        session.order.retain(|other| *other != key);
        if session.by_id.get(&viewer.id) == Some(&key) {
            session.by_id.remove(&viewer.id);
        }
        if let Some(reason) = reason {
            session.emit(
                RelayEvent::ViewerGone { viewer: viewer.id, reason: reason.to_owned() },
                &mut self.stats,
            );
        }
        if connected {
            session.connected = session.connected.saturating_sub(1);
            if session.connected == 0 {
                session.emit(RelayEvent::Watched(false), &mut self.stats);
            }
        }
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

    pub(super) fn end_session(&mut self, id: SessionId) -> Result<(), RelayError> {
        let key = self.by_id.remove(&id).ok_or(RelayError::NotFound)?;
        let viewers = self.sessions.get(&key).map(|session| session.order.clone()).unwrap_or_default();
        for viewer in viewers {
            self.end_viewer(viewer, None);
        }
        if let Some(mut session) = self.sessions.remove(&key) {
            session.video.socket.deregister(self.poll.registry());
            if let Some(audio) = &mut session.audio {
                audio.socket.deregister(self.poll.registry());
            }
        }
        self.timers.set(Deadline::Session(key), None);
        Ok(())
    }

    fn stop(mut self) {
        let ids: Vec<SessionId> = self.by_id.keys().copied().collect();
        for id in ids {
            let _ = self.end_session(id);
        }
        self.stats.flush(Duration::ZERO, 0, 0);
    }
}

fn is_shaking_hands_with(viewer: &Viewer, ip: IpAddr) -> bool {
    !viewer.peer.was_connected() && viewer.peer.path().is_some_and(|path| path.remote.ip() == ip)
}
