//! Facts to verdicts, by the runner contract, version 1. Pure.
//!
//! A clause that could not be looked at is *not judged* and never a failure: a game that stands still says nothing about
//! bitrates. What breaks the contract fails; what costs quality or comfort warns.

use super::facts::{Facts, KeyRequest, KeyRequestBy, VideoFacts};
use crate::runner::rtp::{MAX_PACKET, VIDEO_CLOCK_HZ};
use serde::Serialize;
use std::time::Duration;

/// Slower than this a player notices.
const SLOW_START: Duration = Duration::from_secs(15);
const SLOW_INPUT: Duration = Duration::from_millis(250);
/// Key frames nobody asked for, closer than this, waste the link.
const KEY_INTERVAL: Duration = Duration::from_secs(1);
/// How far a clock may be off: timestamps are taken, not counted.
const CLOCK_TOLERANCE: f64 = 0.05;
/// SIGKILL and SIGTERM as exit codes.
const KILLED: i32 = 137;
const TERMINATED: i32 = 143;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Pass,
    Warn,
    Fail,
    NotJudged,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Stable name.
    pub id: &'static str,
    pub outcome: Outcome,
    pub measured: String,
    pub expected: &'static str,
    /// Where the contract says so.
    pub clause: &'static str,
}

/// A line in the making.
struct Line {
    id: &'static str,
    expected: &'static str,
    clause: &'static str,
}

impl Line {
    fn is(self, outcome: Outcome, measured: impl Into<String>) -> Verdict {
        let Self { id, expected, clause } = self;
        Verdict { id, outcome, measured: measured.into(), expected, clause }
    }

    fn pass_if(self, good: bool, measured: impl Into<String>) -> Verdict {
        self.is(if good { Outcome::Pass } else { Outcome::Fail }, measured)
    }

    fn warn_unless(self, good: bool, measured: impl Into<String>) -> Verdict {
        self.is(if good { Outcome::Pass } else { Outcome::Warn }, measured)
    }

    fn not_judged(self, why: &str) -> Verdict {
        self.is(Outcome::NotJudged, why)
    }
}

const fn line(id: &'static str, expected: &'static str, clause: &'static str) -> Line {
    Line { id, expected, clause }
}

const HANDSHAKE: &str = "handshake";
const MEDIA: &str = "media";
const CONTROL: &str = "control";
const STOP: &str = "stop";

/// Every clause, in the order of a session's life.
pub fn judge(facts: &Facts) -> Vec<Verdict> {
    let mut verdicts = vec![stays_up(facts), hello(facts), ready(facts), first_key_frame(facts)];
    if facts.video.packets == 0 {
        verdicts.extend([flush(facts), sigterm(facts), save(facts)]);
        return verdicts;
    }
    verdicts.extend([
        codec(facts),
        profile(facts),
        no_b_frames(facts),
        packetization(facts),
        parameter_sets(facts),
    ]);
    verdicts.extend([packet_size(facts), equal_size(facts), streams(facts), rtp(facts), size(facts)]);
    verdicts.extend([key_interval(facts), pli(facts), key_message(facts), bitrate(facts), input(facts)]);
    verdicts.extend([audio(facts), reports(facts), flush(facts), sigterm(facts), save(facts)]);
    verdicts
}

fn stays_up(facts: &Facts) -> Verdict {
    let line = line("stays_up", "runs until it is asked to end", STOP);
    match facts.ended_early {
        None => line.is(Outcome::Pass, "yes"),
        Some(end) => {
            let how = match (end.out_of_memory, end.code, end.signal) {
                (true, _, _) => "out of memory".to_owned(),
                (false, Some(code), _) => format!("with exit code {code}"),
                (false, None, Some(signal)) => format!("by signal {signal}"),
                (false, None, None) => "for an unknown reason".to_owned(),
            };
            line.is(Outcome::Fail, format!("ended after {} {how}", seconds(end.at)))
        }
    }
}

fn hello(facts: &Facts) -> Verdict {
    let line = line("hello", "`hello` of version 1 on the control channel", HANDSHAKE);
    match &facts.control.hello {
        Some(hello) => line.is(Outcome::Pass, format!("after {}", seconds(hello.at))),
        None if facts.video.keys.is_empty() => line.is(Outcome::Fail, "never"),
        None => line.is(Outcome::Warn, "never: a legacy image, it plays without input"),
    }
}

fn ready(facts: &Facts) -> Verdict {
    let line = line("ready", "`ready` when the game draws", CONTROL);
    match (facts.control.ready, &facts.control.hello) {
        (Some(at), _) => line.warn_unless(at <= SLOW_START, format!("after {}", seconds(at))),
        (None, None) => line.not_judged("no control channel"),
        (None, Some(_)) => line.is(Outcome::Fail, "never"),
    }
}

fn first_key_frame(facts: &Facts) -> Verdict {
    let line = line("first_key_frame", "a key frame within the time to start", MEDIA);
    match facts.video.keys.first() {
        Some(at) => line.warn_unless(*at <= SLOW_START, format!("after {}", seconds(*at))),
        None if facts.video.packets == 0 => line.is(Outcome::Fail, "no RTP at all"),
        None if !is_h264(facts) => line.not_judged("only H.264 is looked into"),
        None => line.is(Outcome::Fail, format!("none in {} packets", facts.video.packets)),
    }
}

/// What was announced; H.264 when nothing was.
fn is_h264(facts: &Facts) -> bool {
    announced(facts).is_none_or(|codec| codec.eq_ignore_ascii_case("h264"))
}

fn announced(facts: &Facts) -> Option<&str> {
    Some(facts.control.hello.as_ref()?.video.as_ref()?.codec.as_str())
}

/// Looks at H.264 when that is what comes.
fn of_h264(facts: &Facts, line: Line, look: impl FnOnce(&VideoFacts, Line) -> Verdict) -> Verdict {
    if !is_h264(facts) {
        line.not_judged("only H.264 is looked into")
    } else if facts.video.frames == 0 {
        line.not_judged("no picture")
    } else {
        look(&facts.video, line)
    }
}

fn codec(facts: &Facts) -> Verdict {
    let line = line("codec", "H264; VP8, VP9 and AV1 pass through", MEDIA);
    let name = announced(facts).unwrap_or("not announced");
    if !is_h264(facts) {
        let known = ["vp8", "vp9", "av1"].iter().any(|codec| name.eq_ignore_ascii_case(codec));
        return line.pass_if(known, name);
    }
    let video = &facts.video;
    match (video.frames, video.malformed) {
        (0, _) => line.is(Outcome::Fail, format!("{name}, but what comes is no H.264")),
        (_, 0) => line.is(Outcome::Pass, name),
        (_, broken) => line.is(Outcome::Fail, format!("{name}, with {broken} payloads that are no H.264")),
    }
}

fn profile(facts: &Facts) -> Verdict {
    of_h264(facts, line("profile", "constrained baseline", MEDIA), |video, line| match video.sps {
        Some(sps) => line.pass_if(sps.constrained_baseline(), sps.name()),
        None => line.is(Outcome::Fail, "no readable SPS"),
    })
}

fn no_b_frames(facts: &Facts) -> Verdict {
    of_h264(facts, line("b_frames", "none", MEDIA), |video, line| match video.b_slices {
        0 => line.is(Outcome::Pass, "none"),
        slices => line.is(Outcome::Fail, format!("{slices} B slices in {} pictures", video.frames)),
    })
}

fn packetization(facts: &Facts) -> Verdict {
    let line = line("packetization", "RFC 6184 packetization-mode 1, no interleaving", MEDIA);
    of_h264(facts, line, |video, line| match video.interleaved {
        0 => line.is(Outcome::Pass, "not interleaved"),
        packets => line.is(Outcome::Fail, format!("{packets} interleaved packets")),
    })
}

fn parameter_sets(facts: &Facts) -> Verdict {
    of_h264(facts, line("parameter_sets", "SPS and PPS before every IDR", MEDIA), |video, line| {
        let (without, of) = (video.idr_without_sets, video.keys.len());
        match without {
            0 => line.is(Outcome::Pass, format!("with all {of}")),
            _ => line.is(Outcome::Fail, format!("missing with {without} of {of}")),
        }
    })
}

fn packet_size(facts: &Facts) -> Verdict {
    let line = line("packet_size", "at most 1200 bytes", MEDIA);
    let largest = facts.video.largest_packet.max(facts.audio.largest_packet);
    if largest <= MAX_PACKET {
        line.is(Outcome::Pass, format!("{largest} bytes at most"))
    } else {
        let count = facts.video.oversized_packets;
        line.is(
            Outcome::Fail,
            format!("{largest} bytes; {count} of {} video packets too large", facts.video.packets),
        )
    }
}

fn equal_size(facts: &Facts) -> Verdict {
    let line = line("equal_size", "fragments of a NAL unit of equal size, the last may be smaller", MEDIA);
    of_h264(facts, line, |video, line| match (video.fragmented, video.unequal) {
        (0, _) => line.not_judged("nothing was sent in fragments"),
        (of, 0) => line.is(Outcome::Pass, format!("all {of}")),
        (of, unequal) => line.is(Outcome::Warn, format!("{unequal} of {of} differ: they cost more to relay")),
    })
}

fn streams(facts: &Facts) -> Verdict {
    let line = line("streams", "one payload type and SSRC a port, as in `hello`", HANDSHAKE);
    let hello = facts.control.hello.as_ref();
    let of = |stream: Option<&playgate_signaling::runner::Stream>,
              default: u8,
              seen: &std::collections::BTreeSet<(u8, u32)>| {
        seen.iter().all(|(pt, ssrc)| match stream {
            Some(stream) => (stream.pt, stream.ssrc) == (*pt, *ssrc),
            None => *pt == default && seen.len() == 1,
        })
    };
    let video = of(hello.and_then(|hello| hello.video.as_ref()), 96, &facts.video.streams);
    let audio = of(hello.and_then(|hello| hello.audio.as_ref()), 111, &facts.audio.streams);
    let seen: Vec<String> = facts
        .video
        .streams
        .iter()
        .chain(&facts.audio.streams)
        .map(|(pt, ssrc)| format!("{pt}/{ssrc:08x}"))
        .collect();
    line.pass_if(video && audio, seen.join(", "))
}

fn rtp(facts: &Facts) -> Verdict {
    let line = line("rtp", "numbered without gaps, timestamps that rise at 90 kHz", MEDIA);
    let video = &facts.video;
    if video.backward_timestamps > 0 {
        return line.is(Outcome::Fail, format!("{} timestamps go backwards", video.backward_timestamps));
    }
    #[expect(clippy::cast_precision_loss, reason = "90000 is exact")]
    let nominal = VIDEO_CLOCK_HZ as f64;
    match video.clock_hz {
        Some(hz) if (hz / nominal - 1.0).abs() > CLOCK_TOLERANCE => {
            line.is(Outcome::Fail, format!("the clock runs at {:.1} kHz", hz / 1000.0))
        }
        Some(_) | None if video.lost > 0 => line.is(Outcome::Warn, format!("{} packets missing", video.lost)),
        Some(hz) => line.is(Outcome::Pass, format!("{} packets, {:.1} kHz", video.packets, hz / 1000.0)),
        None => line.is(Outcome::Pass, format!("{} packets, too short for the clock", video.packets)),
    }
}

fn size(facts: &Facts) -> Verdict {
    let line = line("picture", "decodes, in the size asked for", HANDSHAKE);
    let (pictures, asked) = (&facts.pictures, &facts.asked);
    let size = format!("{} x {}", pictures.width, pictures.height);
    of_h264(facts, line, |_, line| {
        if pictures.decoded == 0 {
            line.is(Outcome::Fail, "no picture could be decoded")
        } else if pictures.undecodable * 20 > pictures.decoded {
            line.is(Outcome::Fail, format!("{size}, {} pictures undecodable", pictures.undecodable))
        } else {
            line.warn_unless((pictures.width, pictures.height) == (asked.width, asked.height), size)
        }
    })
}

/// The closest two key frames that nobody asked for.
fn unasked_interval(facts: &Facts) -> Option<Duration> {
    let own = facts.video.keys.iter().take_while(|at| **at < facts.undisturbed_until);
    own.clone().zip(own.skip(1)).map(|(before, after)| *after - *before).min()
}

fn key_interval(facts: &Facts) -> Verdict {
    let line = line("key_interval", "none that nobody asked for, or more than a second apart", MEDIA);
    of_h264(facts, line, |_, line| match unasked_interval(facts) {
        None => line.is(Outcome::Pass, "only when asked"),
        Some(interval) => line.warn_unless(interval >= KEY_INTERVAL, format!("every {}", seconds(interval))),
    })
}

fn pli(facts: &Facts) -> Verdict {
    let line = line("pli", "a key frame within 500 ms of a PLI (RFC 4585 section 6.3.1)", MEDIA);
    answers(facts, line, KeyRequestBy::Pli)
}

fn key_message(facts: &Facts) -> Verdict {
    let line = line("keyframe_message", "a key frame within 500 ms of `keyframe`", CONTROL);
    if facts.control.hello.is_none() {
        return line.not_judged("no control channel");
    }
    answers(facts, line, KeyRequestBy::Control)
}

fn answers(facts: &Facts, line: Line, by: KeyRequestBy) -> Verdict {
    let asked: Vec<&KeyRequest> = facts.key_requests.iter().filter(|request| request.by == by).collect();
    if asked.is_empty() {
        return line.not_judged("never asked: there was no picture");
    }
    let in_time = asked
        .iter()
        .filter(|request| request.answered.is_some_and(|after| after <= facts.asked.key_answer))
        .count();
    let worst = asked.iter().filter_map(|request| request.answered).max();
    let periodic = unasked_interval(facts).is_some_and(|interval| interval <= KEY_INTERVAL);
    match worst {
        Some(worst) if in_time == asked.len() && periodic => {
            line.is(Outcome::Warn, format!("{} ms, but key frames come that often anyway", worst.as_millis()))
        }
        Some(worst) if in_time == asked.len() => {
            line.is(Outcome::Pass, format!("{} ms at worst", worst.as_millis()))
        }
        Some(_) | None => line.is(Outcome::Fail, format!("{in_time} of {} answered in time", asked.len())),
    }
}

fn bitrate(facts: &Facts) -> Verdict {
    let line = line("bitrate", "follows the `bitrate` message within 5 s", CONTROL);
    let Some(bitrate) = facts.bitrate.filter(|bitrate| bitrate.asked_kbps > 0 && bitrate.moving) else {
        return line.not_judged("the picture moves too little");
    };
    let measured =
        format!("{} kbit/s, asked for {}: {}", bitrate.before_kbps, bitrate.asked_kbps, bitrate.after_kbps);
    if bitrate.after_kbps * 4 <= bitrate.before_kbps * 3 {
        line.is(Outcome::Pass, measured)
    } else {
        // Quality has a floor; a runner that does nothing stays where it was.
        line.warn_unless(false, measured)
            .but(Outcome::Fail, bitrate.after_kbps * 10 > bitrate.before_kbps * 9)
    }
}

impl Verdict {
    fn but(mut self, outcome: Outcome, when: bool) -> Self {
        if when {
            self.outcome = outcome;
        }
        self
    }
}

fn input(facts: &Facts) -> Verdict {
    let line = line("input", "mouse or keys change the picture, within 250 ms", CONTROL);
    let Some(input) = &facts.input else { return line.not_judged("never asked: there was no picture") };
    if facts.control.hello.is_none() {
        return line.not_judged("no control channel");
    }
    let mut times = input.answered.clone();
    times.sort();
    match times.get(times.len() / 2) {
        Some(median) => {
            let measured = format!("{} ms, {} of {} inputs", median.as_millis(), times.len(), input.tried);
            line.warn_unless(*median <= SLOW_INPUT, measured)
        }
        None if input.moving > 0 => line.not_judged("the picture moves by itself"),
        None if input.tried == 0 => line.not_judged("no input could be sent"),
        None => line.is(Outcome::Fail, format!("no change after {} inputs", input.tried)),
    }
}

fn audio(facts: &Facts) -> Verdict {
    let line = line("audio", "Opus, 48 kHz stereo", MEDIA);
    let audio = &facts.audio;
    let codec =
        facts.control.hello.as_ref().and_then(|hello| hello.audio.as_ref()).map(|audio| audio.codec.as_str());
    match codec {
        Some(codec) if !codec.eq_ignore_ascii_case("opus") => line.is(Outcome::Fail, codec),
        None if audio.packets == 0 => line.is(Outcome::Warn, "none announced, none sent"),
        Some(_) if audio.packets == 0 => line.not_judged("announced; nothing was heard"),
        Some(_) | None if audio.stereo == 0 => {
            line.is(Outcome::Warn, format!("{} packets, mono", audio.packets))
        }
        Some(_) | None => line.is(Outcome::Pass, format!("{} packets, stereo", audio.packets)),
    }
}

fn reports(facts: &Facts) -> Verdict {
    let line = line("sender_reports", "RTCP on the port of its media", MEDIA);
    let (video, audio) = (facts.video.sender_reports, facts.audio.sender_reports);
    let good = video > 0 && (audio > 0 || facts.audio.packets == 0);
    line.warn_unless(good, format!("{video} of video, {audio} of audio"))
}

fn flush(facts: &Facts) -> Verdict {
    let line = line("flush_save", "`saved` in answer to `flush_save`", STOP);
    let flushed = facts.stop.and_then(|stop| stop.flushed);
    match flushed {
        Some(after) => line.is(Outcome::Pass, format!("after {} ms", after.as_millis())),
        None if facts.control.hello.is_none() => line.not_judged("no control channel"),
        None if facts.ended_early.is_some() => line.not_judged("it had ended"),
        None => line.is(Outcome::Fail, "no answer"),
    }
}

fn sigterm(facts: &Facts) -> Verdict {
    let line = line("sigterm", "ends within the grace, with exit code 0", STOP);
    if facts.ended_early.is_some() {
        return line.not_judged("it had ended");
    }
    let Some(stop) = facts.stop else { return line.not_judged("never asked") };
    let after = format!("after {}", seconds(stop.took));
    if stop.took >= facts.asked.grace || stop.exit_code == Some(KILLED) {
        return line.is(Outcome::Fail, format!("ignored: killed {after}"));
    }
    match stop.exit_code {
        Some(0) => line.is(Outcome::Pass, after),
        Some(TERMINATED) | None => {
            line.is(Outcome::Warn, format!("died of the signal {after}: nothing was saved then"))
        }
        Some(code) => line.is(Outcome::Fail, format!("exit code {code} {after}")),
    }
}

fn save(facts: &Facts) -> Verdict {
    let line = line("save", "files in the save path", STOP);
    let path = &facts.asked.save_path;
    match &facts.save {
        None => line.not_judged("never looked for"),
        Some(save) if save.error.is_some() => {
            line.is(Outcome::Fail, format!("{path}: {}", save.error.as_deref().unwrap_or_default()))
        }
        Some(save) if save.files > 0 => {
            line.is(Outcome::Pass, format!("{} files, {} bytes in {path}", save.files, save.bytes))
        }
        Some(_) if facts.asked.save_expected => line.is(Outcome::Fail, format!("nothing in {path}")),
        Some(_) => line.is(Outcome::Warn, format!("nothing in {path}: name the game's own with --save-path")),
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
