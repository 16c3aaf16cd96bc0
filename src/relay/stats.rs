//! What a shard counts. Plain numbers in the loop, added to the shared metrics once a round.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

macro_rules! counted {
    ($(#[$doc:meta])* $name:ident { $($(#[$item_doc:meta])* $item:ident = $label:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(super) enum $name {
            $($(#[$item_doc])* $item,)*
        }

        impl $name {
            const ALL: &[(Self, &'static str)] = &[$((Self::$item, $label)),*];
        }
    };
}

counted!(
    /// Why something was not taken or not sent.
    Drop {
        Malformed = "malformed",
        /// RTP from an address that is not the session's.
        ForeignSource = "foreign_source",
        /// RTP from another port while the latched one is alive.
        UnlatchedPort = "unlatched_port",
        PayloadType = "payload_type",
        SequenceJump = "sequence_jump",
        BeforeRestart = "before_restart",
        Duplicate = "duplicate",
        MalformedRtcp = "malformed_rtcp",
        /// A datagram that belongs to no peer.
        UnknownPeer = "unknown_peer",
        /// The socket serves this machine only.
        OtherMachine = "other_machine",
        MalformedStun = "malformed_stun",
        UnknownUfrag = "unknown_ufrag",
        StunIntegrity = "stun_integrity",
        TooManyHandshakes = "too_many_handshakes",
        /// The media socket was full; the viewer skips to the next key frame.
        WouldBlock = "would_block",
        SendFailed = "send_failed",
        RetransmitLimit = "retransmit_limit",
        /// A lost packet that the ring no longer holds.
        RetransmitGone = "retransmit_gone",
        InputWithoutSlot = "input_without_slot",
        InputOversized = "input_oversized",
        InputRate = "input_rate",
        /// The control plane did not drain a session's events.
        EventsFull = "events_full",
        /// `rtc` panicked on what a viewer sent; the viewer is closed.
        PeerFault = "peer_fault",
    }
);

counted!(
    /// Who caused the wish for a key frame.
    Cause {
        Joiner = "joiner",
        Viewer = "viewer",
        Loss = "loss",
        Sent = "sent_to_source",
    }
);

counted!(
    /// What is counted without a reason.
    Count {
        IngestPackets = "ingest_packets",
        IngestBytes = "ingest_bytes",
        MediaInPackets = "media_in_packets",
        MediaInBytes = "media_in_bytes",
        MediaOutPackets = "media_out_packets",
        MediaOutBytes = "media_out_bytes",
        Sends = "media_sends",
        Retransmits = "retransmits",
        SourceRestarts = "source_restarts",
    }
);

type Labels = Vec<(&'static str, String)>;

/// The metric families of all shards.
#[derive(Debug, Clone)]
pub(super) struct Metrics {
    counts: Family<Labels, Counter>,
    drops: Family<Labels, Counter>,
    key_frames: Family<Labels, Counter>,
    busy: Family<Labels, Counter<f64, AtomicU64>>,
    viewers: Family<Labels, Gauge>,
    sessions: Family<Labels, Gauge>,
}

impl Metrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            counts: Family::default(),
            drops: Family::default(),
            key_frames: Family::default(),
            busy: Family::default(),
            viewers: Family::default(),
            sessions: Family::default(),
        };
        registry.register(
            "playgate_relay_traffic",
            "Packets, bytes, sends and retransmissions, by what",
            metrics.counts.clone(),
        );
        registry.register(
            "playgate_relay_drops",
            "What the relay did not take or send, by reason",
            metrics.drops.clone(),
        );
        registry.register(
            "playgate_relay_key_frame_requests",
            "Wishes for a key frame, by cause",
            metrics.key_frames.clone(),
        );
        registry.register(
            "playgate_relay_busy_seconds",
            "Time a shard's loop was not waiting",
            metrics.busy.clone(),
        );
        registry.register("playgate_relay_viewers", "Viewers of a shard", metrics.viewers.clone());
        registry.register("playgate_relay_sessions", "Sessions of a shard", metrics.sessions.clone());
        metrics
    }

    pub(super) fn shard(&self, shard: usize) -> Stats {
        let own = |label: Option<(&'static str, &'static str)>| {
            let mut labels = vec![("shard", shard.to_string())];
            labels.extend(label.map(|(key, value)| (key, value.to_owned())));
            labels
        };
        let counters = |family: &Family<Labels, Counter>, key: &'static str, names: Vec<&'static str>| {
            names.into_iter().map(|name| (0, family.get_or_create_owned(&own(Some((key, name)))))).collect()
        };
        Stats {
            counts: counters(&self.counts, "what", Count::ALL.iter().map(|(_, name)| *name).collect()),
            drops: counters(&self.drops, "reason", Drop::ALL.iter().map(|(_, name)| *name).collect()),
            key_frames: counters(
                &self.key_frames,
                "cause",
                Cause::ALL.iter().map(|(_, name)| *name).collect(),
            ),
            busy: self.busy.get_or_create_owned(&own(None)),
            viewers: self.viewers.get_or_create_owned(&own(None)),
            sessions: self.sessions.get_or_create_owned(&own(None)),
        }
    }
}

/// One shard's counters.
#[derive(Debug)]
pub(super) struct Stats {
    counts: Vec<(u64, Counter)>,
    drops: Vec<(u64, Counter)>,
    key_frames: Vec<(u64, Counter)>,
    busy: Counter<f64, AtomicU64>,
    viewers: Gauge,
    sessions: Gauge,
}

impl Stats {
    pub(super) fn count(&mut self, what: Count, by: u64) {
        add(&mut self.counts, what as usize, by);
    }

    pub(super) fn drop(&mut self, reason: Drop) {
        add(&mut self.drops, reason as usize, 1);
    }

    pub(super) fn drops(&mut self, reason: Drop, by: u64) {
        add(&mut self.drops, reason as usize, by);
    }

    pub(super) fn key_frame(&mut self, cause: Cause) {
        add(&mut self.key_frames, cause as usize, 1);
    }

    /// Hands over what was counted since the last time.
    pub(super) fn flush(&mut self, busy: Duration, viewers: usize, sessions: usize) {
        for (since, counter) in self.counts.iter_mut().chain(&mut self.drops).chain(&mut self.key_frames) {
            if *since > 0 {
                counter.inc_by(std::mem::take(since));
            }
        }
        self.busy.inc_by(busy.as_secs_f64());
        self.viewers.set(i64::try_from(viewers).unwrap_or(i64::MAX));
        self.sessions.set(i64::try_from(sessions).unwrap_or(i64::MAX));
    }
}

fn add(counters: &mut [(u64, Counter)], at: usize, by: u64) {
    if let Some((since, _)) = counters.get_mut(at) {
        *since += by;
    }
}
