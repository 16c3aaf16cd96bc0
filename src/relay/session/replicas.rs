//! A session's replicas on other shards, and how many viewers there are on all of them.

use super::{Ingest, Session};
use crate::relay::RelayEvent;
use crate::relay::stats::{Cause, Stats};
use crate::relay::stripes::Feed;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

impl Session {
    /// A replica of this session: it is open when another shard has taken it in.
    pub(in crate::relay) fn replica(&mut self, home: Arc<mio::Waker>, there: Arc<mio::Waker>) -> Self {
        let (video, audio) = (self.video.elsewhere(), self.audio.as_ref().map(Ingest::elsewhere));
        let mut replica = Self::new(self.id, self.codec, video, audio, self.events.clone());
        (replica.pictured, replica.sets) = (true, self.sets.clone());
        replica.feed = Some(self.stripes.add(home, there));
        replica
    }

    pub(in crate::relay) fn is_replica(&self) -> bool {
        self.feed.is_some()
    }

    /// Whether there are replicas of it, or it is one.
    pub(in crate::relay) fn is_striped(&self) -> bool {
        self.feed.is_some() || !self.stripes.is_empty()
    }

    /// Whether it is a replica, and its home has ended.
    pub(in crate::relay) fn has_ended(&self) -> bool {
        self.feed.as_ref().is_some_and(Feed::has_ended)
    }

    /// Whether a replica's home has sent something.
    pub(in crate::relay) fn is_fed(&self) -> bool {
        self.feed.as_ref().is_some_and(|feed| !feed.is_empty())
    }

    /// Takes in the next batch of its home; at a home there is none.
    pub(in crate::relay) fn take_fed(&mut self, now: Instant, stats: &mut Stats) -> bool {
        let Some(batch) = self.feed.as_mut().and_then(Feed::next) else { return false };
        for (is_video, from, datagram) in batch.datagrams() {
            if is_video {
                self.video_datagram(now, from, datagram, stats);
            } else {
                self.audio_datagram(now, from, datagram, stats);
            }
        }
        true
    }

    /// Keeps a datagram for the replicas.
    pub(in crate::relay) fn copy(&mut self, is_video: bool, from: SocketAddr, datagram: &[u8]) {
        if self.video.source.allows(from) {
            self.stripes.copy(is_video, from, datagram);
        }
    }

    /// Hands over to the replicas what was kept for them.
    pub(in crate::relay) fn hand_over(&mut self, stats: &mut Stats) {
        self.stripes.hand_over(stats);
    }

    /// Looks what the replicas have handed back. True: their links carry something else than before.
    pub(in crate::relay) fn look_at_replicas(&mut self, stats: &mut Stats) -> bool {
        if self.stripes.take_key_frame_request() {
            self.request_key_frame(Cause::Replica, stats);
        }
        self.count_viewers(stats);
        self.stripes.look_at_rates()
    }

    /// The narrower of a rate and those of the replicas' players.
    pub(in crate::relay) fn narrowest(&self, rate: Option<f64>) -> Option<f64> {
        [rate, self.stripes.rate()].into_iter().flatten().reduce(f64::min)
    }

    pub(in crate::relay) fn viewer_came(&mut self, stats: &mut Stats) {
        self.connected += 1;
        self.count_viewers(stats);
    }

    pub(in crate::relay) fn viewer_left(&mut self, stats: &mut Stats) {
        self.connected = self.connected.saturating_sub(1);
        self.count_viewers(stats);
    }

    pub(in crate::relay) fn is_watched(&self) -> bool {
        self.watching > 0
    }

    /// Tells when the first viewer came, or the last one left; a replica tells its home.
    pub(super) fn count_viewers(&mut self, stats: &mut Stats) {
        let watching = self.connected + self.stripes.viewers();
        let before = std::mem::replace(&mut self.watching, watching);
        match &self.feed {
            Some(feed) => feed.tell_viewers(watching),
            None if (before > 0) != (watching > 0) => {
                self.emit(RelayEvent::Watched(watching > 0), stats);
            }
            None => {}
        }
    }
}
