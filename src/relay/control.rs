//! A shard's answers to commands.

use super::command::{Command, Reply};
use super::peer::Peer;
use super::sdp::Offer;
use super::session::Session;
use super::shard::Shard;
use super::stats::Cause;
use super::viewer::Viewer;
use super::{AddViewer, Codec, KeyFrame, OpenSession, OpenedSession, RelayError};
use crate::ids::{SessionId, ViewerId};
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
                let (session, viewer) = (spec.session, spec.viewer);
                if let Err(Ok(_)) = reply.send(self.add_viewer(spec)) {
                    let _ = self.remove_viewer(session, viewer);
                }
            }
            Command::Renegotiate { session, viewer, offer, reply } => {
                let _ = reply.send(self.renegotiate(session, viewer, &offer));
            }
            Command::SetSlot { session, viewer, slot, reply } => {
                let _ = reply.send(self.set_slot(session, viewer, slot));
            }
            Command::RemoveViewer { session, viewer, reply } => {
                let _ = reply.send(self.remove_viewer(session, viewer));
            }
            Command::KeyFrame { session, fresh, reply } => self.key_frame(session, fresh, reply),
            Command::Stop => {}
            #[cfg(test)]
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
        let key = self.by_id.get(&id).ok_or(RelayError::NotFound)?;
        let session = self.sessions.get_mut(key).ok_or(RelayError::NotFound)?;
        if session.set_source(video, audio) {
            for viewer in session.order.clone() {
                self.end_viewer(viewer, Some("the source sends another codec now"));
            }
        }
        Ok(())
    }

    fn add_viewer(&mut self, spec: AddViewer) -> Result<String, RelayError> {
        let now = Instant::now();
        let session_key = *self.by_id.get(&spec.session).ok_or(RelayError::NotFound)?;
        let session = self.sessions.get(&session_key).ok_or(RelayError::NotFound)?;
        let replaced = session.by_id.get(&spec.viewer).copied();
        if replaced.is_none() && session.order.len() >= MAX_VIEWERS {
            return Err(RelayError::Full);
        }
        let offer = Offer::parse(&spec.offer, session.codec, session.audio.is_some())?;
        let (mut peer, answer) = Peer::new(now, &offer, session.codec, &self.shared)?;
        peer.measure(spec.slot.is_some());
        if let Some(replaced) = replaced {
            self.end_viewer(replaced, None);
        }
        let key = self.take_key();
        self.demux.enter(now, peer.ufrag(), key);
        let viewer = Viewer::new(now, spec.viewer, session_key, spec.slot, peer);
        tracing::debug!(session = %spec.session, viewer = %spec.viewer, codec = self.codec_of(session_key).name(), "viewer added");
        self.viewers.insert(key, viewer);
        if let Some(session) = self.sessions.get_mut(&session_key) {
            session.by_id.insert(spec.viewer, key);
            session.order.push(key);
        }
        self.sort_viewers(session_key);
        self.service(key);
        Ok(answer)
    }

    fn renegotiate(&mut self, id: SessionId, viewer: ViewerId, text: &str) -> Result<String, RelayError> {
        let now = Instant::now();
        let (session_key, key) = self.find(id, viewer)?;
        let session = self.sessions.get(&session_key).ok_or(RelayError::NotFound)?;
        let known = self.viewers.get_mut(&key).ok_or(RelayError::NotFound)?;
        let offer = Offer::parse(text, session.codec, session.audio.is_some())?;
        if known.peer.fingerprint() != offer.fingerprint {
            let slot = known.slot;
            return self.add_viewer(AddViewer { session: id, viewer, slot, offer: text.to_owned() });
        }
        let answer = known.peer.renegotiate(now, &offer)?;
        self.demux.enter(now, known.peer.ufrag(), key);
        self.service(key);
        Ok(answer)
    }

    fn set_slot(&mut self, id: SessionId, viewer: ViewerId, slot: Option<u8>) -> Result<(), RelayError> {
        let (session, key) = self.find(id, viewer)?;
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
        let watched = session.connected > 0;
        if fresh && session.codec == Codec::H264 && session.still.is_stale(Instant::now(), watched) {
            session.still.wait(reply);
            session.want_key_frame(Cause::Still, &mut self.stats);
            self.ask(key);
        } else {
            let newest = session.newest();
            session.still.answer(session.codec, &session.ring, newest, reply);
        }
    }

    fn remove_viewer(&mut self, id: SessionId, viewer: ViewerId) -> Result<(), RelayError> {
        let (_, key) = self.find(id, viewer)?;
        self.end_viewer(key, None);
        Ok(())
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
    fn sort_viewers(&mut self, session: u64) {
        let viewers = &self.viewers;
        if let Some(session) = self.sessions.get_mut(&session) {
            session.order.sort_by_key(|key| viewers.get(key).is_none_or(|viewer| viewer.slot.is_none()));
        }
    }

    fn codec_of(&self, session: u64) -> Codec {
        self.sessions.get(&session).map_or(Codec::H264, |session| session.codec)
    }

    fn take_key(&mut self) -> u64 {
        self.next_key += 1;
        self.next_key
    }
}
