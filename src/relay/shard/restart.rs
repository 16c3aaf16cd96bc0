//! A shard after a panic: the same sockets, queues and sessions, and nothing of what may be in any state.
//!
//! Sessions begin anew on their ports, so that their sources go on; their viewers are told to come again. A session that was
//! being worked for at [`MOST`] panics within [`MEMORY`] is not taken over: the end of its events tells its control plane.

use super::{MEDIA, Shard, video_token};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// Panics that a session may be to blame for, within so long.
const MOST: usize = 3;
const MEMORY: Duration = Duration::from_secs(60);

/// The panics that a session may be to blame for.
#[derive(Debug, Default)]
pub(in crate::relay) struct Faults(Vec<Instant>);

impl Faults {
    /// One more. True: it is one too many.
    fn add(&mut self, now: Instant) -> bool {
        self.0.retain(|at| now.saturating_duration_since(*at) < MEMORY);
        self.0.push(now);
        self.0.len() >= MOST
    }
}

impl Shard {
    /// Gives how many sessions are taken over.
    pub(in crate::relay) fn restarted(self, now: Instant) -> (Self, usize) {
        // A worker may still tell of its handshake, which nobody waits for.
        for (key, joiner) in &self.joiners {
            self.workers.end(joiner.worker(), (self.number, *key));
        }
        self.workers.wake();
        let Self { number, poll, socket, ingest_ip, inlets, workers, mut stats, .. } = self;
        let Self { sessions, viewers, joiners, at_work, next_key, mut faults, .. } = self;
        // They may panic again as they are dropped.
        let _ = catch_unwind(AssertUnwindSafe(|| drop((viewers, joiners))));
        stats.flush(Duration::ZERO, 0, 0);
        let mut shard = Self::empty(number, poll, socket, ingest_ip, inlets, workers, stats);
        shard.next_key = next_key;
        faults.retain(|key, _| sessions.contains_key(key));
        for (key, session) in sessions {
            let is_to_blame = at_work.is_none_or(|at_work| at_work == key);
            if is_to_blame && faults.entry(key).or_default().add(now) {
                tracing::error!(shard = number, session = %session.id(), "a session made its shard panic again and again; it ends");
                let _ = catch_unwind(AssertUnwindSafe(|| drop(session)));
                continue;
            }
            let stats = &mut shard.stats;
            if let Ok(session) = catch_unwind(AssertUnwindSafe(|| session.restarted(stats))) {
                shard.by_id.insert(session.id(), key);
                if session.is_striped() {
                    shard.list_as_striped(key);
                }
                shard.sessions.insert(key, session);
                // What came meanwhile has been told already.
                shard.readable.extend([video_token(key), video_token(key) + 1]);
            }
        }
        shard.faults = faults;
        shard.readable.insert(MEDIA.0);
        let sessions = shard.sessions.len();
        (shard, sessions)
    }
}
