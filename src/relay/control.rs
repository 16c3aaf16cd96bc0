//! A shard's answers to commands.

use super::command::{Command, Reply};
use super::peer::Known;
use super::session::Session;
use super::shard::Shard;
use super::stats::Cause;
use super::{AddViewer, Codec, KeyFrame, OpenSession, OpenedSession, RelayError};
use crate::model::ids::{SessionId, ViewerId};
use std::time::Instant;

/// Sessions on one shard.
const MAX_SESSIONS: usize = 1024;
/// Viewers of one session.
const MAX_VIEWERS: usize = 1024;

impl Shard {
    /// Does what is asked. A caller that no longer waits for the answer is no error.
    pub(super) fn command(&mut self, command: Command) {
        match command {
            Command::Open { spec, reply } => {
                let id = spec.session;
                let result = self.open(spec);
                if let Err(Ok(_)) = reply.send(result) {
                    let _ = self.end_session(id);
                }
            }
            Command::SetSource { session, video, audio, reply } => {
                let _ = reply.send(self.set_source(session, video, audio));
            }
            Command::Close { session, reply } => {
                let _ = reply.send(self.end_session(session));
            }
            Command::AddViewer { spec, reply } => {
                self.add_viewer(spec, reply);
            }
            Command::Renegotiate { session, viewer, offer, reply } => {
                self.renegotiate(session, viewer, offer, reply);
            }
            Command::SetSlot { session, viewer, slot, reply } => {
                let _ = reply.send(self.set_slot(session, viewer, slot));
            }
            Command::RemoveViewer { session, viewer, reply } => {
                let _ = reply.send(self.remove_viewer(session, viewer));
            }
            Command::KeyFrame { session, fresh, reply } => self.key_frame(session, fresh, reply),
            Command::Replicate { session, home, there, reply } => {
                let key = self.by_id.get(&session).copied();
                let replica = key.and_then(|key| self.replicate(key, home, there));
                let _ = reply.send(replica.ok_or(RelayError::NotFound));
            }
            Command::TakeReplica { replica, reply } => {
                let taken = if self.sessions.len() < MAX_SESSIONS {
                    let key = self.take_key();
                    self.take_replica(key, *replica)
                } else {
                    Err(RelayError::Unavailable)
                };
                let _ = reply.send(taken);
            }
            Command::Stop => {}
            Command::Panic => panic!("a test told this shard to panic"),
        }
    }

    fn open(&mut self, spec: OpenSession) -> Result<OpenedSession, RelayError> {
        if self.sessions.len() >= MAX_SESSIONS {
            return Err(RelayError::Unavailable);
        }
        let id = spec.session;
        // A session opened again begins anew.
        let _ = self.end_session(id);
        let (mut session, opened) = Session::open(spec, self.ingest_ip)?;
        let key = self.take_key();
        self.register(key, &mut session)
            .map_err(|source| RelayError::Bind { address: opened.rtp_video, source })?;
        self.sessions.insert(key, session);
        self.by_id.insert(id, key);
        Ok(opened)
    }

    fn set_source(
        &mut self,
        id: SessionId,
        video: Option<(Codec, u8)>,
        audio: Option<(Codec, u8)>,
    ) -> Result<(), RelayError> {
        let key = *self.by_id.get(&id).ok_or(RelayError::NotFound)?;
        let session = self.sessions.get_mut(&key).ok_or(RelayError::NotFound)?;
        if session.set_source(video, audio) {
            let reason = Some("the source sends another codec now");
            for viewer in session.order.clone() {
                self.end_viewer(viewer, reason);
            }
            self.end_joiners(key, None, reason);
        }
        Ok(())
    }

    fn add_viewer(&mut self, spec: AddViewer, reply: Reply<String>) {
        let AddViewer { session: id, viewer, slot, offer } = spec;
        let Some((key, session)) = self.session(id) else {
            let _ = reply.send(Err(RelayError::NotFound));
            return;
        };
        let is_known = session.by_id.contains_key(&viewer);
        if !is_known && session.order.len() + session.joining >= MAX_VIEWERS {
            let _ = reply.send(Err(RelayError::Full));
            return;
        }
        tracing::debug!(session = %id, %viewer, codec = session.codec.name(), "viewer offered");
        self.offer(Instant::now(), (key, viewer, slot), offer, None, reply);
    }

    fn renegotiate(&mut self, id: SessionId, viewer: ViewerId, offer: String, reply: Reply<String>) {
        let (session, key) = match self.find(id, viewer) {
            Ok(found) => found,
            Err(error) => {
                let _ = reply.send(Err(error));
                return;
            }
        };
        let (slot, known) = match (self.viewers.get(&key), self.joiners.get(&key)) {
            (Some(known), _) => {
                let fingerprint = known.peer.fingerprint().to_owned();
                (known.slot, Known::Connected { key, fingerprint })
            }
            (None, Some(joiner)) => (joiner.slot, Known::Joining { key }),
            (None, None) => {
                let _ = reply.send(Err(RelayError::NotFound));
                return;
            }
        };
        self.offer(Instant::now(), (session, viewer, slot), offer, Some(known), reply);
    }

    fn set_slot(&mut self, id: SessionId, viewer: ViewerId, slot: Option<u8>) -> Result<(), RelayError> {
        let (session, key) = self.find(id, viewer)?;
        if let Some(joiner) = self.joiners.get_mut(&key) {
            joiner.slot = slot;
            return Ok(());
        }
        let known = self.viewers.get_mut(&key).ok_or(RelayError::NotFound)?;
        known.slot = slot;
        known.peer.measure(slot.is_some());
        self.sort_viewers(session);
        // A link that was the narrowest counts no longer when its viewer only watches.
        self.tell_rate(Instant::now(), session);
        Ok(())
    }

    fn key_frame(&mut self, id: SessionId, fresh: bool, reply: Reply<KeyFrame>) {
        let key = self.by_id.get(&id).copied();
        let Some((key, session)) = key.and_then(|key| Some((key, self.sessions.get_mut(&key)?))) else {
            let _ = reply.send(Err(RelayError::NotFound));
            return;
        };
        let watched = session.is_watched();
        if fresh && session.codec == Codec::H264 && session.still.is_stale(Instant::now(), watched) {
            session.still.wait(reply);
            session.request_key_frame(Cause::Still, &mut self.stats);
            self.ask(key);
        } else {
            let newest = session.newest();
            session.still.answer(session.codec, &session.ring, newest, reply);
        }
    }

    fn remove_viewer(&mut self, id: SessionId, viewer: ViewerId) -> Result<(), RelayError> {
        let session = *self.by_id.get(&id).ok_or(RelayError::NotFound)?;
        // One that has not been answered is not found by its viewer.
        let was_joining = self.end_joiners(session, Some(viewer), None);
        match self.find(id, viewer) {
            Ok((_, key)) => self.end_viewer(key, None),
            Err(error) if !was_joining => return Err(error),
            Err(_) => {}
        }
        Ok(())
    }

    fn session(&self, id: SessionId) -> Option<(u64, &Session)> {
        let key = *self.by_id.get(&id)?;
        Some((key, self.sessions.get(&key)?))
    }

    fn find(&self, id: SessionId, viewer: ViewerId) -> Result<(u64, u64), RelayError> {
        let session = self.by_id.get(&id).ok_or(RelayError::NotFound)?;
        let viewer = self
            .sessions
            .get(session)
            .and_then(|session| session.by_id.get(&viewer))
            .ok_or(RelayError::NotFound)?;
        Ok((*session, *viewer))
    }

    /// Players before spectators, each in the order they came.
    pub(super) fn sort_viewers(&mut self, session: u64) {
        let viewers = &self.viewers;
        if let Some(session) = self.sessions.get_mut(&session) {
            session.order.sort_by_key(|key| viewers.get(key).is_none_or(|viewer| viewer.slot.is_none()));
        }
    }

    fn take_key(&mut self) -> u64 {
        self.next_key += 1;
        self.next_key
    }
}
