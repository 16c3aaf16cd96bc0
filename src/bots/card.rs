//! What is known of one bot: written by its tasks and threads, read by the live table and the report.
//!
//! The lock is held for a few counts at a time and never across a wait.

use super::echo::Echo;
use super::meter::Meter;
use super::spread::Spread;
use super::viewer::ViewerStats;
use crate::marker::{self, Marker};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// After a stream's first picture come older ones that the relay kept for a joiner: for this long they say nothing of
/// the way from the game to the eye.
const CATCH_UP: Duration = Duration::from_secs(1);

/// What a bot is in its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Signed in and launched the game.
    Owner,
    /// Plays by a grant.
    Player,
    /// Watches by a grant.
    Spectator,
    /// Came by an embed, and does what that is for.
    Visitor,
}

/// How much of what comes a bot opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// All of it, decoded.
    Full,
    /// One packet in 64; the rest is judged by its headers.
    Light,
}

/// The steps of getting in, in their order. The first three are an owner's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    SignedIn,
    Launched,
    Running,
    /// The gateway's welcome is there.
    Signaling,
    Answered,
    /// ICE and DTLS are done.
    Connected,
    FirstPacket,
    FirstFrame,
}

impl Step {
    pub const ALL: [Self; 8] = [
        Self::SignedIn,
        Self::Launched,
        Self::Running,
        Self::Signaling,
        Self::Answered,
        Self::Connected,
        Self::FirstPacket,
        Self::FirstFrame,
    ];

    /// As the report calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SignedIn => "signed in",
            Self::Launched => "launched",
            Self::Running => "running",
            Self::Signaling => "signaling open",
            Self::Answered => "answered",
            Self::Connected => "connected",
            Self::FirstPacket => "first packet",
            Self::FirstFrame => "first frame",
        }
    }

    /// As the JSON calls it.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::SignedIn => "signedInMs",
            Self::Launched => "launchedMs",
            Self::Running => "runningMs",
            Self::Signaling => "signalingMs",
            Self::Answered => "answeredMs",
            Self::Connected => "connectedMs",
            Self::FirstPacket => "firstPacketMs",
            Self::FirstFrame => "firstFrameMs",
        }
    }
}

/// Where a bot is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    #[default]
    Waiting,
    Starting,
    Joining,
    Watching,
    Reconnecting,
    Done,
    Failed,
}

/// One bot.
#[derive(Debug)]
pub struct Card {
    pub index: u32,
    /// Number of its session in this run, from 0.
    pub session: u32,
    pub kind: Kind,
    pub mode: Mode,
    /// Who plays together shares one.
    echo: OnceLock<Arc<Echo>>,
    facts: Mutex<Facts>,
}

/// What was seen and done.
#[derive(Debug)]
pub struct Facts {
    pub phase: Phase,
    pub meter: Meter,
    /// When the bot set out, and when to join: an owner joins what it launched.
    pub begun: Option<Instant>,
    pub joining: Option<Instant>,
    /// From `begun`.
    pub steps: [Option<Duration>; 8],
    pub session_id: Option<String>,
    pub cipher: String,
    /// Signaling connections after the first; ICE restarts; new peer connections after the first.
    pub signaling_again: u32,
    pub ice_restarts: u32,
    pub new_offers: u32,
    /// What the decoder did, over all connections.
    pub decoded: ViewerStats,
    /// From drawn by the game to decoded here.
    pub glass: Spread,
    /// From an input to the first picture that shows it.
    pub input: Spread,
    pub inputs: u64,
    /// Inputs for which no channel was open.
    pub inputs_unsent: u64,
    /// Light: packets opened, and packets that would not open.
    pub opened: u64,
    pub sealed: u64,
    /// From the first frame to the end.
    pub watched: Duration,
    pub error: Option<String>,
    streams: Option<u64>,
    fresh_from: Option<Instant>,
    last_marker: Option<u32>,
}

impl Card {
    #[must_use]
    pub fn new(index: u32, session: u32, kind: Kind, mode: Mode, epoch: Instant) -> Self {
        let facts = Facts {
            phase: Phase::Waiting,
            meter: Meter::new(epoch, mode == Mode::Full),
            begun: None,
            joining: None,
            steps: [None; 8],
            session_id: None,
            cipher: String::new(),
            signaling_again: 0,
            ice_restarts: 0,
            new_offers: 0,
            decoded: ViewerStats::default(),
            glass: Spread::default(),
            input: Spread::default(),
            inputs: 0,
            inputs_unsent: 0,
            opened: 0,
            sealed: 0,
            watched: Duration::ZERO,
            error: None,
            streams: None,
            fresh_from: None,
            last_marker: None,
        };
        Self { index, session, kind, mode, echo: OnceLock::new(), facts: Mutex::new(facts) }
    }

    /// With whom it plays: once, and before it does.
    pub fn shares(&self, echo: Arc<Echo>) {
        let _ = self.echo.set(echo);
    }

    fn echo(&self) -> &Echo {
        self.echo.get_or_init(Arc::default)
    }

    /// A card of a viewer that belongs to no run.
    #[must_use]
    pub fn alone() -> Arc<Self> {
        let now = Instant::now();
        Arc::new(Self::new(0, 0, Kind::Spectator, Mode::Full, now))
    }

    pub fn with<T>(&self, work: impl FnOnce(&mut Facts) -> T) -> T {
        work(&mut self.facts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn phase(&self, phase: Phase) {
        self.with(|facts| facts.phase = phase);
    }

    /// A step is done, if it was not before.
    pub fn step(&self, step: Step) {
        let now = Instant::now();
        self.with(|facts| facts.step(step, now));
    }

    /// An input was sent; `press`: the game counts it.
    pub fn sent_input(&self, press: bool, now: Instant) {
        self.with(|facts| facts.inputs += 1);
        if press {
            self.echo().press(self.index, self.mode == Mode::Full, now);
        }
    }

    /// A picture was decoded; with a marker it tells more.
    pub fn picture(&self, timestamp: u32, marker: Option<Marker>, drawn: Option<u64>, now: Instant) {
        let clock = marker::clock(SystemTime::now());
        let answered = marker.map(|marker| self.echo().picture(self.index, marker.input, now));
        self.with(|facts| {
            facts.meter.shown(timestamp, now);
            facts.step(Step::FirstFrame, now);
            let streams = facts.meter.totals.streams;
            if facts.streams.replace(streams) != Some(streams) {
                facts.fresh_from = Some(now + CATCH_UP);
            }
            for took in answered.into_iter().flatten() {
                facts.input.record(took);
            }
            let Some(marker) = marker else { return };
            // A still picture is sent again and again, and is as old as it is.
            let new = facts.last_marker.replace(marker.frame) != Some(marker.frame);
            let fresh = facts.fresh_from.is_some_and(|from| now >= from);
            if let Some(age) = drawn.and_then(|drawn| marker::age(drawn, clock)).filter(|_| new && fresh) {
                facts.glass.record(age);
            }
        });
    }
}

impl Facts {
    pub fn step(&mut self, step: Step, now: Instant) {
        if let (Some(begun), Some(at)) = (self.begun, self.steps.get_mut(step as usize)) {
            at.get_or_insert(now.saturating_duration_since(begun));
        }
    }

    #[must_use]
    pub fn took(&self, step: Step) -> Option<Duration> {
        self.steps.get(step as usize).copied().flatten()
    }

    /// From setting out to join to the first frame.
    #[must_use]
    pub fn first_frame(&self) -> Option<Duration> {
        let before = self.joining?.saturating_duration_since(self.begun?);
        Some(self.took(Step::FirstFrame)?.saturating_sub(before))
    }

    #[must_use]
    pub fn reconnects(&self) -> u32 {
        self.signaling_again + self.ice_restarts + self.new_offers
    }

    /// What the decoder of a connection that ends did.
    pub fn add_decoded(&mut self, stats: &ViewerStats) {
        let sum = &mut self.decoded;
        sum.frames += stats.frames;
        sum.key_frames += stats.key_frames;
        sum.marked += stats.marked;
        sum.decode_time += stats.decode_time;
        sum.lost += stats.lost;
        sum.damaged += stats.damaged;
        sum.skipped += stats.skipped;
        sum.undecoded += stats.undecoded;
        sum.audio_packets += stats.audio_packets;
        if stats.width > 0 {
            (sum.width, sum.height) = (stats.width, stats.height);
        }
    }
}
