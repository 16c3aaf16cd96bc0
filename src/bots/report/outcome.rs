//! What became of one bot, taken from its card when the run is over.

use super::summary::together;
use crate::bots::card::{Card, Kind, Mode, Step};
use crate::bots::meter::{Second, Totals};
use crate::bots::spread::Spread;
use crate::bots::viewer::ViewerStats;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// One bot's figures.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub index: u32,
    pub session: u32,
    pub kind: Kind,
    pub mode: Mode,
    pub session_id: Option<String>,
    pub steps: [Option<Duration>; 8],
    /// From setting out to join to the first frame.
    pub first_frame: Option<Duration>,
    pub totals: Totals,
    pub seconds: Vec<Second>,
    pub gaps: Spread,
    pub first_delay: Spread,
    pub last_delay: Spread,
    pub repair: Spread,
    pub glass: Spread,
    pub input: Spread,
    pub decoded: ViewerStats,
    pub inputs: u64,
    pub inputs_unsent: u64,
    pub opened: u64,
    pub sealed: u64,
    pub signaling_again: u32,
    pub ice_restarts: u32,
    pub new_offers: u32,
    pub cipher: String,
    pub watched: Duration,
    pub error: Option<String>,
}

impl Outcome {
    #[must_use]
    pub fn of(card: &Card) -> Self {
        card.with(|facts| Self {
            index: card.index,
            session: card.session,
            kind: card.kind,
            mode: card.mode,
            session_id: facts.session_id.clone(),
            steps: facts.steps,
            first_frame: facts.first_frame(),
            totals: facts.meter.totals.clone(),
            seconds: facts.meter.seconds.clone(),
            gaps: facts.meter.gaps.clone(),
            first_delay: facts.meter.first_delay.clone(),
            last_delay: facts.meter.last_delay.clone(),
            repair: facts.meter.repair.clone(),
            glass: facts.glass.clone(),
            input: facts.input.clone(),
            decoded: facts.decoded.clone(),
            inputs: facts.inputs,
            inputs_unsent: facts.inputs_unsent,
            opened: facts.opened,
            sealed: facts.sealed,
            signaling_again: facts.signaling_again,
            ice_restarts: facts.ice_restarts,
            new_offers: facts.new_offers,
            cipher: facts.cipher.clone(),
            watched: facts.watched,
            error: facts.error.clone(),
        })
    }

    #[must_use]
    pub fn step(&self, step: Step) -> Option<Duration> {
        self.steps.get(step as usize).copied().flatten()
    }

    /// Frames shown: decoded, or whole where nothing is decoded.
    #[must_use]
    pub fn frames(&self) -> u64 {
        match self.mode {
            Mode::Full => self.decoded.frames,
            Mode::Light => self.totals.whole,
        }
    }

    /// Frames shown in a second, what a joiner is given at first left out where there is enough besides.
    #[must_use]
    pub fn fps(&self) -> f64 {
        self.steady(|second| f64::from(second.frames))
            .unwrap_or_else(|| self.per_second(self.frames() as f64))
    }

    /// Video in kbit/s, of the same seconds.
    #[must_use]
    pub fn kbps(&self) -> f64 {
        let all = || self.per_second(self.totals.bytes as f64);
        self.steady(|second| f64::from(second.bytes)).unwrap_or_else(all) * 8.0 / 1000.0
    }

    /// The mean of the whole seconds after the first two with anything in them.
    fn steady(&self, value: fn(&Second) -> f64) -> Option<f64> {
        let (from, to) = together(&[self])?;
        let seconds = self.seconds.get(from..to)?;
        Some(seconds.iter().map(value).sum::<f64>() / seconds.len() as f64)
    }

    #[must_use]
    pub fn reconnects(&self) -> u32 {
        self.signaling_again + self.ice_restarts + self.new_offers
    }

    fn per_second(&self, amount: f64) -> f64 {
        let time = self.watched.as_secs_f64();
        if time > 0.0 { amount / time } else { 0.0 }
    }

    #[must_use]
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            Kind::Owner => "owner",
            Kind::Player => "player",
            Kind::Spectator => "spectator",
            Kind::Visitor => "visitor",
        }
    }

    #[must_use]
    pub fn mode_name(&self) -> &'static str {
        match self.mode {
            Mode::Full => "full",
            Mode::Light => "light",
        }
    }

    #[must_use]
    pub fn json(&self) -> Value {
        let totals = &self.totals;
        let steps: Map<String, Value> =
            Step::ALL.iter().map(|step| (step.key().to_owned(), json!(ms(self.step(*step))))).collect();
        let mut value = json!({
            "bot": self.index,
            "session": self.session,
            "sessionId": self.session_id,
            "kind": self.kind_name(),
            "mode": self.mode_name(),
            "steps": steps,
            "firstFrameMs": ms(self.first_frame),
            "launchToFrameMs": ms(self.launch_to_frame()),
            "watchedMs": ms(Some(self.watched)),
            "frames": self.frames(),
            "framesWhole": totals.whole,
            "framesLate": totals.late,
            "framesMissing": totals.missing,
            "framesPerSecond": self.fps(),
            "freezes": { "over50ms": totals.freezes[0], "over100ms": totals.freezes[1], "over200ms": totals.freezes[2] },
            "frozenMs": ms(Some(totals.frozen)),
            "kbps": self.kbps(),
            "packets": totals.packets,
            "packetsLost": totals.lost,
            "packetsRepaired": totals.repaired,
            "packetsAskedFor": totals.nacked,
            "retransmissions": totals.retransmissions,
            "duplicates": totals.duplicates,
            "audioPackets": totals.audio_packets,
            "reconnects": { "signaling": self.signaling_again, "iceRestarts": self.ice_restarts, "newOffers": self.new_offers },
            "inputs": self.inputs,
            "inputsUnsent": self.inputs_unsent,
            "frameGapMs": spread(&self.gaps),
            "firstPacketDelayMs": spread(&self.first_delay),
            "lastPacketDelayMs": spread(&self.last_delay),
            "nackToPacketMs": spread(&self.repair),
            "cipher": self.cipher,
            "error": self.error,
        });
        let more = match self.mode {
            Mode::Full => json!({
                "keyFrames": self.decoded.key_frames,
                "markedFrames": self.decoded.marked,
                "width": self.decoded.width,
                "height": self.decoded.height,
                "damaged": self.decoded.damaged,
                "skipped": self.decoded.skipped,
                "undecoded": self.decoded.undecoded,
                "decodeMsPerFrame": self.decoded.decode_time.as_secs_f64() * 1000.0 / self.decoded.frames.max(1) as f64,
                "glassToGlassMs": spread(&self.glass),
                "inputToPictureMs": spread(&self.input),
            }),
            Mode::Light => json!({ "packetsOpened": self.opened, "packetsThatDidNotOpen": self.sealed }),
        };
        if let (Some(value), Value::Object(more)) = (value.as_object_mut(), more) {
            value.extend(more);
        }
        value
    }

    /// Of an owner: from the launch request to the first frame.
    #[must_use]
    pub fn launch_to_frame(&self) -> Option<Duration> {
        Some(self.step(Step::FirstFrame)?.saturating_sub(self.step(Step::SignedIn)?))
    }
}

/// Milliseconds for JSON.
pub(super) fn ms(time: Option<Duration>) -> Option<f64> {
    time.map(|time| (time.as_secs_f64() * 1e6).round() / 1000.0)
}

/// The points of a spread that matter, in milliseconds.
pub(super) fn spread(spread: &Spread) -> Value {
    let at = |share| ms(spread.quantile(share));
    json!({ "count": spread.count(), "p50": at(0.5), "p95": at(0.95), "p99": at(0.99), "max": ms(spread.max()) })
}
