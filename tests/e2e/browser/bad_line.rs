//! Chromium over bad lines (emulated, seeded): what a player sees and hears of loss, delay, jitter, outages, and of a line
//! that is too slow.

use crate::support::chrome::Chrome;
use crate::support::figures::report;
use crate::support::over_line::OverLine;
use crate::support::page::Page;
use crate::support::wait::{PATIENT, eventually};
use playgate::netem::{Direction, Jitter, Loss, Queue, Rate, Shape};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use thirtyfour::Key;

const MS: Duration = Duration::from_millis(1);

/// Keeps every connection that the page makes.
const KEEP_PEERS: &str = r"
    window.testPeers = [];
    window.RTCPeerConnection = class extends window.RTCPeerConnection {
        constructor(...all) { super(...all); window.testPeers.push(this); }
    };
";

/// Notes freezes and pauses, from now on. A freeze is what the browser's receiver calls one (W3C webrtc-stats: no frame for
/// 150 ms more than the mean), by the growth of their sum. Pauses between callbacks are seen beside it: they are also as
/// long as the page itself was busy, and frames that come at once after a freeze make one callback.
const WATCH_FRAMES: &str = r"
    const video = document.querySelector('video#video, #video video, video');
    window.seen = { frames: 0, freezes: [], pauses: [] };
    let last;
    const look = (now, data) => {
        if (last) {
            const pause = data.presentationTime - last.presentationTime;
            const frames = data.presentedFrames - last.presentedFrames;
            window.seen.frames += frames;
            if (pause > 100) window.seen.pauses.push({ ms: Math.round(pause), frames });
        }
        last = data;
        video.requestVideoFrameCallback(look);
    };
    video.requestVideoFrameCallback(look);
    const peer = window.testPeers.findLast(peer => peer.connectionState === 'connected');
    const receiver = peer.getReceivers().find(receiver => receiver.track.kind === 'video');
    let frozen = null;
    setInterval(async () => {
        const all = [...(await receiver.getStats()).values()];
        const now = all.find(report => report.type === 'inbound-rtp')?.totalFreezesDuration ?? 0;
        if (frozen !== null && now > frozen) window.seen.freezes.push(Math.round((now - frozen) * 1000));
        frozen = now;
    }, 100);
    return null;
";

/// What the connection counted, of picture and sound.
const COUNTS: &str = r"
    const peer = window.testPeers.findLast(peer => peer.connectionState === 'connected');
    const all = [...(await peer.getStats()).values()];
    const of = (kind, names) => {
        const report = all.find(report => report.type === 'inbound-rtp' && report.kind === kind) ?? {};
        return Object.fromEntries(names.map(name => [name, report[name] ?? 0]));
    };
    const pair = all.find(report => report.type === 'candidate-pair' && report.nominated && report.state === 'succeeded');
    return {
        video: of('video', ['packetsReceived', 'packetsLost', 'framesDecoded', 'framesDropped', 'keyFramesDecoded', 'freezeCount',
            'totalFreezesDuration', 'nackCount', 'pliCount', 'retransmittedPacketsReceived', 'bytesReceived', 'jitterBufferDelay',
            'jitterBufferEmittedCount']),
        audio: of('audio', ['packetsReceived', 'packetsLost', 'totalSamplesReceived', 'concealedSamples', 'silentConcealedSamples',
            'concealmentEvents', 'jitterBufferDelay', 'jitterBufferEmittedCount', 'totalAudioEnergy', 'fecPacketsReceived']),
        remote: all.find(report => report.id === pair?.remoteCandidateId)?.address,
        roundTrip: pair?.currentRoundTripTime ?? 0,
    };
";

/// A page that plays the arcade game with sound, over the line.
async fn playing(linked: &OverLine) -> Chrome {
    let slug = crate::wire::arcade(&linked.gateway.guest().await).await;
    let page = Chrome::with(linked.browser()).await;
    page.before_pages(KEEP_PEERS).await;
    page.play_until_picture(&linked.gateway.url, &slug).await;
    page.click("#stage").await;
    page.keys(Key::Enter).await;
    page.until_above("totalAudioEnergy", 0.0).await;
    let decoded = page.number("framesDecoded").await.unwrap();
    page.until_above("framesDecoded", decoded + 120.0).await;
    let counts = page.run(COUNTS).await.unwrap();
    assert_eq!(counts["remote"], linked.address.to_string(), "media goes over the line: {counts}");
    page
}

/// What a number of the counts grew by.
fn grown(before: &Value, after: &Value, kind: &str, name: &str) -> f64 {
    after[kind][name].as_f64().unwrap_or_default() - before[kind][name].as_f64().unwrap_or_default()
}

/// Each way 20 ms, and up to 10 ms more: the round trip is 40 ms and jitter.
const FAR: Shape = Shape {
    delay: Duration::from_millis(20),
    jitter: Some(Jitter { most: Duration::from_millis(10), keeps_order: true }),
    ..Shape::CLEAR
};
const LOSSY: Shape = Shape { loss: Loss::Independent(0.02), ..FAR };

/// The whole way in every run: what the others measure goes on through loss both ways, and after an outage.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_game_plays_on_over_a_line_that_loses_packets_and_after_an_outage() {
    let linked = OverLine::with_toml("").await;
    let page = playing(&linked).await;
    for direction in Direction::BOTH {
        linked.media.set(direction, LOSSY);
    }
    // A game that is over stands still: Enter starts it again.
    let frames = async |more: f64| {
        let decoded = page.number("framesDecoded").await.unwrap();
        eventually("frames", PATIENT, async || {
            page.keys(Key::Enter).await;
            let now = page.number("framesDecoded").await?;
            if now > decoded + more { Ok(()) } else { Err(format!("{now} after {decoded}")) }
        })
        .await;
    };
    let before = linked.media.counters(Direction::Down);
    frames(180.0).await;
    let lost = linked.media.counters(Direction::Down).lost - before.lost;
    assert!(lost > 0, "the line was bad");
    // Everything is lost for two seconds: much more than the line's share.
    let lost = || linked.media.counters(Direction::Down).lost;
    let before = lost();
    linked.media.outage(Duration::from_secs(2));
    eventually("the outage", PATIENT, async || {
        page.keys(Key::Enter).await;
        if lost() > before + 20 { Ok(()) } else { Err(format!("{} lost", lost() - before)) }
    })
    .await;
    frames(180.0).await;
    assert_eq!(linked.media.counters(Direction::Down).dropped, 0, "the emulator itself dropped packets");
    page.stop().await;
    page.quit().await;
    linked.finish().await;
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures: `bash tests/run perf`"]
async fn a_line_that_loses_media_freezes_no_picture_and_breaks_no_sound() {
    plays_smoothly_over("bad-line", FAR, LOSSY, MINUTE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures: `bash tests/run perf`"]
async fn a_line_that_loses_media_and_feedback_freezes_no_picture_and_breaks_no_sound() {
    plays_smoothly_over("bad-line-both-ways", LOSSY, LOSSY, MINUTE).await;
}

/// Ten minutes each.
mod long {
    use super::{FAR, LOSSY, MINUTE, plays_smoothly_over};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "long: ten minutes over a bad line"]
    async fn a_line_that_loses_media_freezes_no_picture_and_breaks_no_sound() {
        plays_smoothly_over("bad-line-10-minutes", FAR, LOSSY, 10 * MINUTE).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "long: ten minutes over a bad line"]
    async fn a_line_that_loses_media_and_feedback_freezes_no_picture_and_breaks_no_sound() {
        plays_smoothly_over("bad-line-both-ways-10-minutes", LOSSY, LOSSY, 10 * MINUTE).await;
    }
}

async fn plays_smoothly_over(name: &str, up: Shape, down: Shape, window: Duration) {
    let linked = OverLine::with_toml("").await;
    let page = playing(&linked).await;
    linked.media.set(Direction::Up, up);
    linked.media.set(Direction::Down, down);
    // The jump of the delay at the change is no jitter.
    let decoded = page.number("framesDecoded").await.unwrap();
    page.until_above("framesDecoded", decoded + 60.0).await;

    let asked = |cause: &'static str| linked.metric("playgate_relay_key_frame_requests_total", cause);
    let (keys, line) = (asked("sent_to_source").await, linked.media.counters(Direction::Down));
    page.run(WATCH_FRAMES).await.unwrap();
    let (before, begun) = (page.run(COUNTS).await.unwrap(), Instant::now());
    while begun.elapsed() < window {
        // Somebody plays: the game does not stand still.
        page.keys(Key::Enter).await;
        tokio::time::sleep(500 * MS).await;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let (after, seen) = (page.run(COUNTS).await.unwrap(), page.run("return window.seen").await.unwrap());
    let keys = asked("sent_to_source").await - keys;
    let now = linked.media.counters(Direction::Down);

    let video = |name: &str| grown(&before, &after, "video", name);
    let audio = |name: &str| grown(&before, &after, "audio", name);
    let frozen_percent = video("totalFreezesDuration") / seconds * 100.0;
    let concealed_percent = audio("concealedSamples") / audio("totalSamplesReceived") * 100.0;
    let silent_percent = audio("silentConcealedSamples") / audio("totalSamplesReceived") * 100.0;
    let clocks = linked.metric("playgate_relay_clocks_answered_total", "").await;
    let figures = json!({
        "seconds": seconds, "frames_seen": seen["frames"], "freezes_ms": seen["freezes"], "pauses": seen["pauses"],
        "freezes": video("freezeCount"), "frozen_percent": frozen_percent,
        "key_frame_requests": keys, "pli": video("pliCount"), "nacks": video("nackCount"),
        "retransmitted": video("retransmittedPacketsReceived"), "packets": video("packetsReceived"),
        "kbps": video("bytesReceived") * 8.0 / 1000.0 / seconds, "frames_decoded": video("framesDecoded"),
        "frames_dropped": video("framesDropped"), "key_frames": video("keyFramesDecoded"),
        "video_buffer_ms": video("jitterBufferDelay") / video("jitterBufferEmittedCount") * 1000.0,
        "audio_concealed_percent": concealed_percent, "audio_silent_percent": silent_percent,
        "audio_concealments": audio("concealmentEvents"), "audio_lost": audio("packetsLost"),
        "audio_fec": audio("fecPacketsReceived"),
        "audio_buffer_ms": audio("jitterBufferDelay") / audio("jitterBufferEmittedCount") * 1000.0,
        "round_trip_ms": after["roundTrip"].as_f64().unwrap_or_default() * 1000.0,
        "clocks_answered": clocks,
        "link_packets": now.packets - line.packets, "link_lost": now.lost - line.lost,
    });
    report(name, figures.clone());
    assert_eq!(now.dropped, 0, "the emulator itself dropped packets: the run is void");
    assert!(now.lost > line.lost, "the line was bad");
    let freezes = seen["freezes"].as_array().expect("a list");
    let longest = freezes.iter().filter_map(Value::as_f64).fold(0.0, f64::max);
    assert!(longest <= 300.0, "a freeze of {longest} ms: {figures:#}");
    assert!(frozen_percent < 0.5, "{frozen_percent} % frozen: {figures:#}");
    assert!(keys <= seconds, "{keys} key frame requests: {figures:#}");
    assert!(clocks > 0.0, "the page knows its round trip");
    // As much as the line loses, and the time that is stretched for its jitter; never long enough to fall silent.
    assert!(concealed_percent < 5.0, "{concealed_percent} % of the sound is made up: {figures:#}");
    assert!(silent_percent < 1.0, "{silent_percent} % of the sound is silence made up: {figures:#}");
    page.stop().await;
    page.quit().await;
    linked.finish().await;
}

/// kbit/s that the relay sends into the line over a second in which `act` plays again and again.
async fn offered(linked: &OverLine, act: &impl AsyncFn()) -> f64 {
    let (before, begun) = (linked.media.counters(Direction::Down), Instant::now());
    while begun.elapsed() < Duration::from_secs(1) {
        act().await;
        tokio::time::sleep(200 * MS).await;
    }
    let (now, seconds) = (linked.media.counters(Direction::Down), begun.elapsed().as_secs_f64());
    (now.bytes - before.bytes) as f64 * 8.0 / 1000.0 / seconds
}

/// What the relay sends into the line second by second, until the condition holds; gives how long that took, or all that
/// was seen.
async fn until_offered(
    linked: &OverLine,
    act: &impl AsyncFn(),
    within: Duration,
    wanted: impl Fn(f64) -> bool,
) -> Result<f64, Vec<f64>> {
    let (begun, mut seen) = (Instant::now(), Vec::new());
    loop {
        let offered = offered(linked, act).await;
        seen.push(offered.round());
        if wanted(offered) {
            eprintln!("kbit/s offered, second by second: {seen:?}");
            return Ok(begun.elapsed().as_secs_f64());
        }
        if begun.elapsed() > within {
            return Err(seen);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures: `bash tests/run perf`"]
async fn a_slow_line_lowers_the_bitrate_and_a_fast_one_brings_it_back() {
    let linked = OverLine::with_toml("").await;
    let page = playing(&linked).await;
    let act = async || {
        // A game that is over stands still.
        page.keys(Key::Enter).await;
        page.keys(Key::Left).await;
    };
    // The arcade game needs less than 1.5 Mbit/s: its line has so much of what it needs.
    let overflow = follows_a_slow_line("slow-line", &linked, &page, 0.6, &act).await;
    assert!(overflow < 0.05, "{overflow} of the packets found the queue full");
    page.stop().await;
    page.quit().await;
    linked.finish().await;
}

/// On a line that takes a share of what the game uses, or 1.5 Mbit/s where that is less, the bitrate falls below it within 3 s
/// and stays there, and is back within 20 s of the limit's end. Gives the share of packets that found the line's queue full.
pub(crate) async fn follows_a_slow_line(
    name: &str,
    linked: &OverLine,
    page: &Chrome,
    share: f64,
    act: &impl AsyncFn(),
) -> f64 {
    let usual = mean_offered(linked, act, 5).await;
    let limit = f64::min(1500.0, usual * share).round();
    assert!(usual > limit, "{usual} kbit/s are no more than a line of {limit} carries");
    let slow = Shape {
        rate: Some(Rate { bits_per_second: limit as u64 * 1000, queue: Queue::Time(200 * MS) }),
        delay: 20 * MS,
        ..Shape::CLEAR
    };
    linked.media.set(Direction::Down, slow);
    linked.media.set(Direction::Up, Shape { delay: 20 * MS, ..Shape::CLEAR });
    let fell = until_offered(linked, act, Duration::from_secs(3), |kbps| kbps < limit).await;
    let fell =
        fell.unwrap_or_else(|seen| panic!("kbit/s after the limit of {limit}: {seen:?}, {usual} before"));
    // It stays there, and plays.
    let decoded = page.number("framesDecoded").await.unwrap();
    let before = linked.media.counters(Direction::Down);
    let held = mean_offered(linked, act, 10).await;
    let after = linked.media.counters(Direction::Down);
    let overflow = (after.overflow - before.overflow) as f64 / (after.packets - before.packets) as f64;
    page.until_above("framesDecoded", decoded + 100.0).await;
    linked.media.set(Direction::Down, Shape { rate: None, ..slow });
    // The game's own need changes from second to second.
    let enough = f64::max(limit * 1.1, usual * 0.8);
    let rose = until_offered(linked, act, Duration::from_secs(20), |kbps| kbps > enough).await;
    let rose = rose.unwrap_or_else(|seen| panic!("kbit/s after the lift: {seen:?}, {usual} before"));
    report(
        name,
        json!({
            "usual_kbps": usual, "limit_kbps": limit, "held_kbps": held, "overflow_share": overflow,
            "seconds_to_fall": fell, "seconds_to_rise": rose,
        }),
    );
    assert!(held < limit, "{held} kbit/s on a line of {limit}");
    overflow
}

/// kbit/s that the relay sends into the line, over some seconds.
async fn mean_offered(linked: &OverLine, act: &impl AsyncFn(), seconds: u32) -> f64 {
    let mut sum = 0.0;
    for _ in 0..seconds {
        sum += offered(linked, act).await;
    }
    sum / f64::from(seconds)
}
