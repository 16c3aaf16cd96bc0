//! The summary of a run: a table for people, JSON for scripts.

use super::bot::Outcome;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::Duration;

/// What all bots saw.
#[derive(Debug)]
pub struct Report {
    pub outcomes: Vec<Outcome>,
}

impl Report {
    /// True when every bot did what it was to do.
    #[must_use]
    pub fn passed(&self) -> bool {
        !self.outcomes.is_empty() && self.outcomes.iter().all(|outcome| outcome.error.is_none())
    }

    /// One line a bot, medians and totals below.
    #[must_use]
    pub fn table(&self) -> String {
        let mut out = String::new();
        let header =
            ["bot", "running", "1st frame", "frames", "keys", "fps", "kbit/s", "lost", "audio", "picture"];
        row(&mut out, &header.map(str::to_owned));
        for (i, outcome) in self.outcomes.iter().enumerate() {
            let stats = &outcome.stats;
            let cells = [
                (i + 1).to_string(),
                seconds(outcome.launch),
                seconds(outcome.launch_to_frame),
                stats.frames.to_string(),
                stats.key_frames.to_string(),
                format!("{:.1}", fps(outcome)),
                format!("{:.0}", kbps(outcome)),
                stats.lost.to_string(),
                stats.audio_packets.to_string(),
                if stats.width > 0 { format!("{}x{}", stats.width, stats.height) } else { "-".to_owned() },
            ];
            row(&mut out, &cells);
            if let Some(error) = &outcome.error {
                let _ = writeln!(out, "     {error}");
            }
        }
        let failed = self.outcomes.iter().filter(|outcome| outcome.error.is_some()).count();
        let frames: u64 = self.outcomes.iter().map(|outcome| outcome.stats.frames).sum();
        let first = median(self.outcomes.iter().filter_map(|outcome| outcome.launch_to_frame).collect());
        let _ = writeln!(
            out,
            "{} of {} bots got their frames; {frames} frames decoded; launch to first frame, median: {}",
            self.outcomes.len() - failed,
            self.outcomes.len(),
            seconds(first)
        );
        out
    }

    #[must_use]
    pub fn json(&self) -> Value {
        let ms = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1000.0);
        let bots: Vec<Value> = self
            .outcomes
            .iter()
            .map(|outcome| {
                let stats = &outcome.stats;
                json!({
                    "sessionId": outcome.session,
                    "launchMs": ms(outcome.launch),
                    "launchToFrameMs": ms(outcome.launch_to_frame),
                    "connectMs": ms(stats.connected),
                    "connectToFrameMs": ms(stats.first_frame),
                    "watchedMs": outcome.watched.as_secs_f64() * 1000.0,
                    "frames": stats.frames,
                    "keyFrames": stats.key_frames,
                    "markedFrames": stats.marked,
                    "framesPerSecond": fps(outcome),
                    "kbps": kbps(outcome),
                    "packets": stats.packets,
                    "packetsLost": stats.lost,
                    "damaged": stats.damaged,
                    "skipped": stats.skipped,
                    "undecoded": stats.undecoded,
                    "audioPackets": stats.audio_packets,
                    "decodeMsPerFrame": stats.decode_time.as_secs_f64() * 1000.0 / stats.frames.max(1) as f64,
                    "width": stats.width,
                    "height": stats.height,
                    "cipher": outcome.cipher,
                    "error": outcome.error.as_ref().map(ToString::to_string),
                })
            })
            .collect();
        json!({ "passed": self.passed(), "bots": bots })
    }
}

fn fps(outcome: &Outcome) -> f64 {
    per_second(outcome.stats.frames as f64, outcome)
}

fn kbps(outcome: &Outcome) -> f64 {
    per_second(outcome.stats.bytes as f64 * 8.0 / 1000.0, outcome)
}

fn per_second(amount: f64, outcome: &Outcome) -> f64 {
    let time = outcome.watched.as_secs_f64();
    if time > 0.0 { amount / time } else { 0.0 }
}

fn seconds(time: Option<Duration>) -> String {
    time.map_or_else(|| "-".to_owned(), |time| format!("{:.2} s", time.as_secs_f64()))
}

fn median(mut times: Vec<Duration>) -> Option<Duration> {
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}

fn row(out: &mut String, cells: &[String; 10]) {
    let widths = [4, 9, 10, 7, 5, 6, 7, 5, 6, 10];
    for (cell, width) in cells.iter().zip(widths) {
        let _ = write!(out, "{cell:>width$} ");
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bots::bot::BotError;

    fn outcome(frames: u64, error: Option<BotError>) -> Outcome {
        let mut outcome = Outcome { watched: Duration::from_secs(2), error, ..Default::default() };
        outcome.stats.frames = frames;
        outcome
    }

    #[test]
    fn one_bot_without_its_frames_fails_the_run_and_says_why() {
        let failed = BotError::TooFewFrames { seen: 3, expected: 10 };
        let report = Report { outcomes: vec![outcome(120, None), outcome(3, Some(failed))] };
        assert!(!report.passed());
        let table = report.table();
        assert!(table.contains("3 of 10 frames came") && table.contains("1 of 2 bots"), "{table}");
        assert_eq!(report.json()["bots"][0]["framesPerSecond"], 60.0);
    }

    #[test]
    fn a_run_without_bots_is_no_success() {
        assert!(!Report { outcomes: vec![] }.passed());
    }
}
