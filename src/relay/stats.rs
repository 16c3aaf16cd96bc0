//! What a shard counts. Plain numbers in the loop, added to the shared metrics once a round.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::AtomicU64;
use std::time::Duration;

macro_rules! counted {
    ($(#[$doc:meta])* $name:ident { $($(#[doc = $item_doc:literal])* $item:ident = $label:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(super) enum $name {
            $($(#[doc = $item_doc])* $item,)*
        }

        impl $name {
            /// Each with its name on `/metrics` and its documentation.
            const ALL: &[(Self, &'static str, &'static str)] =
                &[$((Self::$item, $label, concat!("", $($item_doc),*))),*];
        }
    };
}

counted!(
    /// Why something was not taken or not sent. What it was is in [`Drop::what`].
    Drop {
        Malformed = "malformed",
        /// RTP from an address that is not the session's.
        ForeignSource = "foreign_source",
        /// RTP from another port while the latched one is alive.
        UnlatchedPort = "unlatched_port",
        PayloadType = "payload_type",
        SequenceJump = "sequence_jump",
        /// The first packet of another SSRC: believed, and sent on, with the next one.
        NewSsrc = "new_ssrc",
        /// Larger than players' paths take, and of a kind that cannot be split, or late.
        Oversized = "oversized",
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
        /// The media socket was full, and too much waited for it already.
        WouldBlock = "would_block",
        SendFailed = "send_failed",
        /// The sealer refused a packet: its index was sealed before.
        Unsealed = "unsealed",
        RetransmitLimit = "retransmit_limit",
        /// A viewer asked for a packet that is no longer kept.
        RetransmitGone = "retransmit_gone",
        /// A viewer asked for a packet that never came from the source.
        RetransmitMissing = "retransmit_missing",
        /// A spectator that cannot follow: it is sent nothing until it starts again.
        Shed = "spectator_shed",
        /// A viewer for which more gathered than its link carries: it is sent nothing until the next key frame.
        Behind = "viewer_behind",
        InputWithoutSlot = "input_without_slot",
        InputOversized = "input_oversized",
        InputRate = "input_rate",
        /// The control plane did not drain a session's events.
        EventsFull = "events_full",
        /// A datagram of a joiner that found its worker busy.
        HandshakesBusy = "handshakes_busy",
        /// A joiner that sends more than a handshake needs.
        HandshakeFlood = "handshake_flood",
        /// Too many handshakes are under way.
        HandshakesFull = "handshakes_full",
        /// From one shard to another that is too slow for it.
        ReplicaFull = "replica_full",
        /// `rtc` panicked on what a viewer sent; the viewer is closed.
        PeerFault = "peer_fault",
    }
);

counted!(
    /// What a key frame was requested for; the requests sent to the source are among them.
    Cause {
        Joiner = "joiner",
        Viewer = "viewer",
        Loss = "loss",
        /// A still picture of the session.
        Still = "still_picture",
        /// Viewers on another shard.
        Replica = "other_shard",
        Sent = "sent_to_source",
    }
);

counted!(
    /// What is counted without a reason, each as a metric of its own: the name, and the documentation as its help.
    Count {
        /// RTP and RTCP packets received from sources
        IngestPackets = "ingest_packets",
        /// Payload received from sources
        IngestBytes = "ingest_bytes",
        /// Datagrams received on the media sockets
        MediaInPackets = "media_in_packets",
        /// Payload of datagrams received on the media sockets
        MediaInBytes = "media_in_bytes",
        /// Media packets sent to viewers
        MediaOutPackets = "media_out_packets",
        /// Media bytes sent to viewers
        MediaOutBytes = "media_out_bytes",
        /// System calls that received datagrams, on all sockets
        Receives = "receive_calls",
        /// Packets sent again on request
        Retransmits = "retransmits",
        /// Second copies of packets sent again
        DuplicateRetransmits = "retransmits_doubled",
        /// Packets that found the media socket full and were sent later
        HeldBack = "held_back_packets",
        /// Timestamps of viewers echoed to them, by which they measure their round trip
        ClocksAnswered = "clocks_answered",
        /// Viewers whose media goes to another address from now on
        PathMoves = "path_moves",
        /// Packets of sources that were split for players' paths
        Split = "split_packets",
        /// Key frames of sources that were given the parameter sets they came without
        SetsInserted = "parameter_sets_inserted",
        /// Sources that started a new stream
        SourceRestarts = "source_restarts",
        /// Viewers whose media is encrypted by the relay itself
        SealedHere = "viewers_sealed_here",
        /// Viewers whose media is encrypted by the WebRTC library
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

/// What is dropped: each kind is a metric, with the reasons as its label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dropped {
    Packets,
    Retransmits,
    InputFrames,
    Events,
    Viewers,
}

impl Dropped {
    /// In their order, with names and help.
    const ALL: [(Self, &'static str, &'static str); 5] = [
        (Self::Packets, "packets_dropped", "Packets that were not taken or not sent, by reason"),
        (Self::Retransmits, "retransmits_dropped", "Packets that were not sent again on request, by reason"),
        (Self::InputFrames, "input_frames_dropped", "Input frames that were not taken, by reason"),
        (Self::Events, "events_dropped", "Events that the control plane had no room for, by reason"),
        (Self::Viewers, "viewers_dropped", "Viewers whose media was paused or ended, by reason"),
    ];
}

impl Drop {
    fn what(self) -> Dropped {
        match self {
            Self::Malformed
            | Self::ForeignSource
            | Self::UnlatchedPort
            | Self::PayloadType
            | Self::SequenceJump
            | Self::NewSsrc
            | Self::Oversized
            | Self::BeforeRestart
            | Self::Duplicate
            | Self::MalformedRtcp
            | Self::UnknownPeer
            | Self::OtherMachine
            | Self::MalformedStun
            | Self::UnknownUfrag
            | Self::StunIntegrity
            | Self::StunReplayed
            | Self::DtlsRefused
            | Self::MediaFromViewer
            | Self::TooManyHandshakes
            | Self::WouldBlock
            | Self::SendFailed
            | Self::Unsealed
            | Self::HandshakesBusy
            | Self::HandshakeFlood
            | Self::ReplicaFull => Dropped::Packets,
            Self::RetransmitLimit | Self::RetransmitGone | Self::RetransmitMissing => Dropped::Retransmits,
            Self::InputWithoutSlot | Self::InputOversized | Self::InputRate => Dropped::InputFrames,
            Self::EventsFull => Dropped::Events,
            Self::Shed | Self::Behind | Self::HandshakesFull | Self::PeerFault => Dropped::Viewers,
        }
    }
}

/// Upper bounds of relay delays, in seconds.
const DELAYS: [f64; 10] = [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05];

/// Upper bounds of the processor time of one turn, in seconds.
const TURNS: [f64; 8] = [0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.02];

type Labels = Vec<(&'static str, String)>;

/// The metric families of all shards.
#[derive(Debug, Clone)]
pub(super) struct Metrics {
    /// In the order of [`Count`].
    counts: Vec<Family<Labels, Counter>>,
    /// In the order of [`Dropped`].
    drops: Vec<Family<Labels, Counter>>,
    key_frames: Family<Labels, Counter>,
    send_sizes: Family<Labels, Counter>,
    busy: Family<Labels, Counter<f64, AtomicU64>>,
    delay: Family<Labels, Histogram, fn() -> Histogram>,
    joiners: Family<Labels, Histogram, fn() -> Histogram>,
    viewers: Family<Labels, Gauge>,
    sessions: Family<Labels, Gauge>,
    panics: Family<Labels, Counter>,
}

impl Metrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let registry = registry.sub_registry_with_prefix("relay");
        let metrics = Self {
            counts: Count::ALL
                .iter()
                .map(|(_, name, help)| counts(registry, name, help.trim().trim_end_matches('.')))
                .collect(),
            drops: Dropped::ALL.iter().map(|(_, name, help)| counts(registry, name, help)).collect(),
            key_frames: Family::default(),
            send_sizes: Family::default(),
            busy: Family::default(),
            delay: Family::new_with_constructor(|| Histogram::new(DELAYS)),
            joiners: Family::new_with_constructor(|| Histogram::new(TURNS)),
            viewers: Family::default(),
            sessions: Family::default(),
            panics: Family::default(),
        };
        registry.register("key_frame_requests", "Key frame requests, by cause", metrics.key_frames.clone());
        registry.register(
            "send_calls",
            "System calls that sent packets to viewers, by how many packets (segments) one carried",
            metrics.send_sizes.clone(),
        );
        registry.register_with_unit(
            "delay",
            "From the first packet of a batch of a source to the last packet of it to the last viewer",
            Unit::Seconds,
            metrics.delay.clone(),
        );
        registry.register_with_unit(
            "joiners_cpu",
            "Processor time that one turn of a shard took for joiners: commands, handshakes, first pictures",
            Unit::Seconds,
            metrics.joiners.clone(),
        );
        registry.register_with_unit(
            "busy",
            "Time that a shard's loop was not waiting",
            Unit::Seconds,
            metrics.busy.clone(),
        );
        registry.register("viewers", "Viewers of a shard", metrics.viewers.clone());
        registry.register("sessions", "Sessions of a shard", metrics.sessions.clone());
        registry.register(
            "shard_panics",
            "Panics of a shard's thread; each has ended the shard's sessions",
            metrics.panics.clone(),
        );
        metrics
    }

    pub(super) fn panics(&self, shard: usize) -> Counter {
        self.panics.get_or_create_owned(&vec![("shard", shard.to_string())])
    }

    pub(super) fn viewers(&self, shard: usize) -> Gauge {
        self.viewers.get_or_create_owned(&vec![("shard", shard.to_string())])
    }

    pub(super) fn shard(&self, shard: usize) -> Stats {
        let own = |label: Option<(&'static str, &'static str)>| {
            let mut labels = vec![("shard", shard.to_string())];
            labels.extend(label.map(|(key, value)| (key, value.to_owned())));
            labels
        };
        let counter = |family: &Family<Labels, Counter>, label| (0, family.get_or_create_owned(&own(label)));
        let dropped = |(reason, name, _): &(Drop, &'static str, _)| {
            counter(&self.drops[reason.what() as usize], Some(("reason", *name)))
        };
        let cause =
            |(_, name, _): &(Cause, &'static str, _)| counter(&self.key_frames, Some(("cause", *name)));
        let size =
            |(_, name, _): &(SendSize, &'static str, _)| counter(&self.send_sizes, Some(("segments", *name)));
        Stats {
            counts: self.counts.iter().map(|family| counter(family, None)).collect(),
            drops: Drop::ALL.iter().map(dropped).collect(),
            key_frames: Cause::ALL.iter().map(cause).collect(),
            send_sizes: SendSize::ALL.iter().map(size).collect(),
            delay: self.delay.get_or_create_owned(&own(None)),
            joiners: self.joiners.get_or_create_owned(&own(None)),
            busy: self.busy.get_or_create_owned(&own(None)),
            viewers: self.viewers.get_or_create_owned(&own(None)),
            sessions: self.sessions.get_or_create_owned(&own(None)),
        }
    }
}

/// Registers a family of counters. A name that ends in a unit is registered with it.
fn counts(registry: &mut Registry, name: &str, help: &str) -> Family<Labels, Counter> {
    let family = Family::default();
    match name.strip_suffix("_bytes") {
        Some(stem) => registry.register_with_unit(stem, help, Unit::Bytes, family.clone()),
        None => registry.register(name, help, family.clone()),
    }
    family
}

/// One shard's counters.
#[derive(Debug)]
pub(super) struct Stats {
    counts: Vec<(u64, Counter)>,
    drops: Vec<(u64, Counter)>,
    key_frames: Vec<(u64, Counter)>,
    send_sizes: Vec<(u64, Counter)>,
    delay: Histogram,
    joiners: Histogram,
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

    /// What a turn did for joiners.
    pub(super) fn joined(&self, cpu: Duration) {
        self.joiners.observe(cpu.as_secs_f64());
    }

    /// Hands over what was counted since the last time.
    pub(super) fn flush_counts(&mut self) {
        let counters = [&mut self.counts, &mut self.drops, &mut self.key_frames, &mut self.send_sizes];
        for (since, counter) in counters.into_iter().flatten() {
            if *since > 0 {
                counter.inc_by(std::mem::take(since));
            }
        }
    }

    /// Hands over what was counted since the last time, and how the shard is.
    pub(super) fn flush(&mut self, busy: Duration, viewers: usize, sessions: usize) {
        self.flush_counts();
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
