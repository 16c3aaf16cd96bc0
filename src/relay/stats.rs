//! What a shard counts. Plain numbers in the loop, added to the shared metrics once a round.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
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
        /// A copy of a binding request, from another address.
        StunReplayed = "stun_replayed",
        /// Plaintext DTLS that no handshake needs, or more of it than one needs.
        DtlsRefused = "dtls_refused",
        /// RTP from a viewer, or RTCP of too many senders.
        MediaFromViewer = "media_from_viewer",
        TooManyHandshakes = "too_many_handshakes",
        /// The media socket was full; the viewer skips to the next key frame.
        WouldBlock = "would_block",
        SendFailed = "send_failed",
        /// The sealer refused a packet: its index was sealed before.
        Unsealed = "unsealed",
        RetransmitLimit = "retransmit_limit",
        /// A lost packet that the ring no longer holds.
        RetransmitGone = "retransmit_gone",
        /// A spectator that cannot follow: it is sent nothing until it starts again.
        Shed = "spectator_shed",
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
        /// A still picture of the session.
        Still = "still_picture",
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
        /// Calls that brought datagrams in, on all sockets.
        Receives = "receives",
        Retransmits = "retransmits",
        /// Second copies of retransmissions.
        Echoes = "retransmits_doubled",
        /// Viewers' clocks told back to them, by which they know their round trip.
        ClocksAnswered = "clocks_answered",
        /// A viewer's packets go to another address from now on.
        PathMoves = "path_moves",
        SourceRestarts = "source_restarts",
        /// Viewers whose media our own sealer sealed, and those of which the crate did it.
        SealedHere = "viewers_sealed_here",
        SealedByCrate = "viewers_sealed_by_crate",
    }
);

counted!(
    /// Sends by how many packets one call carried.
    SendSize {
        One = "1",
        Few = "2-7",
        Many = "8-31",
        Most = "32-64",
    }
);

/// Upper bounds of relay delays, in seconds.
const DELAYS: [f64; 10] = [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05];

type Labels = Vec<(&'static str, String)>;

/// The metric families of all shards.
#[derive(Debug, Clone)]
pub(super) struct Metrics {
    counts: Family<Labels, Counter>,
    drops: Family<Labels, Counter>,
    key_frames: Family<Labels, Counter>,
    send_sizes: Family<Labels, Counter>,
    busy: Family<Labels, Counter<f64, AtomicU64>>,
    delay: Family<Labels, Histogram, fn() -> Histogram>,
    viewers: Family<Labels, Gauge>,
    sessions: Family<Labels, Gauge>,
}

impl Metrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            counts: Family::default(),
            drops: Family::default(),
            key_frames: Family::default(),
            send_sizes: Family::default(),
            busy: Family::default(),
            delay: Family::new_with_constructor(|| Histogram::new(DELAYS)),
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
            "playgate_relay_sends",
            "Calls that sent packets to viewers, by how many packets (segments) one carried",
            metrics.send_sizes.clone(),
        );
        registry.register(
            "playgate_relay_delay_seconds",
            "From the first packet of a batch that a source sent to the last packet of it to the last viewer",
            metrics.delay.clone(),
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
            send_sizes: counters(
                &self.send_sizes,
                "segments",
                SendSize::ALL.iter().map(|(_, name)| *name).collect(),
            ),
            delay: self.delay.get_or_create_owned(&own(None)),
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
    send_sizes: Vec<(u64, Counter)>,
    delay: Histogram,
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

    /// One call that sent so many packets and bytes to a viewer.
    pub(super) fn sent(&mut self, packets: usize, bytes: usize) {
        self.count(Count::Sends, 1);
        self.count(Count::MediaOutPackets, packets as u64);
        self.count(Count::MediaOutBytes, bytes as u64);
        let size = match packets {
            0 | 1 => SendSize::One,
            2..=7 => SendSize::Few,
            8..=31 => SendSize::Many,
            _ => SendSize::Most,
        };
        add(&mut self.send_sizes, size as usize, 1);
    }

    /// A batch of a source has left to every viewer.
    pub(super) fn delayed(&self, by: Duration) {
        self.delay.observe(by.as_secs_f64());
    }

    /// Hands over what was counted since the last time.
    pub(super) fn flush(&mut self, busy: Duration, viewers: usize, sessions: usize) {
        let counters = [&mut self.counts, &mut self.drops, &mut self.key_frames, &mut self.send_sizes];
        for (since, counter) in counters.into_iter().flatten() {
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
