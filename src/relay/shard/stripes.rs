//! Sessions that are on several shards: what other shards have handed over, looked at once a turn.

use super::{Shard, video_token};
use crate::relay::RelayError;
use crate::relay::session::Session;
use std::sync::Arc;
use std::time::Instant;

impl Shard {
    /// A replica of a session that is at home here, for the shard `there`.
    pub(in crate::relay) fn replicate(
        &mut self,
        key: u64,
        home: Arc<mio::Waker>,
        there: Arc<mio::Waker>,
    ) -> Option<Box<Session>> {
        let session = self.sessions.get_mut(&key).filter(|session| !session.is_replica())?;
        let replica = session.replica(home, there);
        self.list_as_striped(key);
        Some(Box::new(replica))
    }

    /// Takes in a replica of a session of another shard.
    pub(in crate::relay) fn take_replica(&mut self, key: u64, replica: Session) -> Result<(), RelayError> {
        let id = replica.id();
        if self.by_id.contains_key(&id) {
            return Err(RelayError::Unavailable);
        }
        self.by_id.insert(id, key);
        self.sessions.insert(key, replica);
        self.list_as_striped(key);
        Ok(())
    }

    pub(super) fn list_as_striped(&mut self, key: u64) {
        if !self.striped.contains(&key) {
            self.striped.push(key);
        }
    }

    pub(super) fn look_at_other_shards(&mut self) {
        let (mut narrower, mut ended) = (Vec::new(), Vec::new());
        let (sessions, readable, stats) = (&mut self.sessions, &mut self.readable, &mut self.stats);
        self.striped.retain(|key| {
            let Some(session) = sessions.get_mut(key) else { return false };
            if session.has_ended() {
                ended.push(session.id());
            } else if session.is_fed() {
                readable.insert(video_token(*key));
            } else if !session.is_replica() && session.look_at_replicas(stats) {
                narrower.push(*key);
            }
            true
        });
        for id in ended {
            let _ = self.end_session(id);
        }
        for key in narrower {
            self.tell_rate(Instant::now(), key);
        }
    }
}
