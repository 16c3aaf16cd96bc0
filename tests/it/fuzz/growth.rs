//! Twice the input costs at most 2.2 times the work: every parser and expander of text that callers send, on repetitions of
//! what parsers stumble over and of parts of the corpus, up to the largest input the product takes.
//!
//! In every run work is counted in steps (`playgate_signaling::steps`): deterministic, but blind to what libraries do. The
//! campaign in `long` measures time instead, over five doublings.

use super::{Dice, TARGETS, Target, corpus};
use playgate_signaling::steps;

/// The product's largest input in bytes, by target. The text of a request's head, of a body, of a message.
const LARGEST: [(&str, usize); 11] = [
    ("answer", 64 << 10),
    ("catalogue_search", 256),
    ("client_message", 64 << 10),
    ("environment", 128 << 10),
    ("offer", 64 << 10),
    ("reference", 32 << 10),
    ("request_head", 32 << 10),
    ("sdp_fragment", 16 << 10),
    ("session_form", 320 << 10),
    ("session_path", 32 << 10),
    ("session_query", 32 << 10),
];
/// Those whose work is nearly all done by a library, where steps say nothing.
const BY_LIBRARIES: [&str; 3] = ["catalogue_search", "client_message", "reference"];
/// Doubling costs at most this much more.
const GROWTH: u64 = 22;
const OUT_OF: u64 = 10;
/// A constant share of the work that is not worth a ratio.
const SMALL: u64 = 500;
/// Random repetitions of each target.
const ROUNDS: usize = 40;
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// What is repeated, with what stands before and behind it. `#` is a number that grows.
const SHAPES: [(&str, &str, &str); 36] = [
    ("", "${", ""),
    ("", "$(", ""),
    ("", "${A", ""),
    ("", "${A", "}"),
    ("", "$A", ""),
    ("", "${GAMEYE_HOST}", ""),
    ("", "${GAMEYE_HOST", ""),
    ("${", "A", "}"),
    ("${", "A", ""),
    ("", "a", ""),
    ("", " ", ""),
    ("", "a ", ""),
    ("", ",", ""),
    ("", ";", ""),
    ("", "a=#;", ""),
    ("", "[", ""),
    ("", "/", ""),
    ("", "../", ""),
    ("", "%", ""),
    ("", "%41", ""),
    ("", "127.0.0.1, ", ""),
    ("", "&", ""),
    ("", "filter[#]=x&", ""),
    ("", "filter[x]=#&", ""),
    ("", "filter[", ""),
    ("", "all&", ""),
    ("{", "\"#\":0,", "\"z\":0}"),
    ("{\"location\":\"x\",\"image\":\"x\",\"env\":{", "\"#\":\"${\",", "\"z\":\"0\"}}"),
    ("{\"location\":\"x\",\"image\":\"x\",\"env\":{\"A\":\"", "${", "\"}}"),
    ("{\"session\":\"x\",\"players\":[", "\"#\",", "\"z\"]}"),
    ("{\"session\":\"x\",\"players\":[", "0,", "0]}"),
    ("", "\r\n", ""),
    ("", "a=candidate:# 1 udp 1 192.0.2.1 1 typ host\r\n", ""),
    ("v=0\r\n", "m=video 9 X 96\r\na=mid:#\r\n", ""),
    (OFFER, " 96", OFFER_REST),
    (OFFER, "\r\na=rtpmap:96 VP8/90000", OFFER_REST),
];
const OFFER: &str = "v=0\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\na=fingerprint:sha-256 AA\r\n\
                     m=video 9 UDP/TLS/RTP/SAVPF 96";
const OFFER_REST: &str = "\r\na=mid:0\r\na=recvonly\r\na=rtpmap:96 VP8/90000\r\n";

fn target(name: &str) -> Target {
    TARGETS.iter().find(|(known, _)| *known == name).expect("a target").1
}

fn repeated(before: &[u8], unit: &[u8], behind: &[u8], times: usize) -> Vec<u8> {
    let mut bytes = before.to_vec();
    for number in 0..times {
        for byte in unit {
            if *byte == b'#' {
                bytes.extend(format!("{number:06}").bytes());
            } else {
                bytes.push(*byte);
            }
        }
    }
    bytes.extend(behind);
    bytes
}

/// Counts an input with a part repeated, and the same with twice as many of it; gives the steps of the first.
fn doubles(name: &str, parts: [&[u8]; 3], times: usize) -> u64 {
    let [before, unit, behind] = parts;
    let steps_of = |times| {
        let bytes = repeated(before, unit, behind, times);
        steps::count(|| target(name)(&bytes))
    };
    let (once, twice) = (steps_of(times), steps_of(2 * times));
    assert!(
        twice * OUT_OF <= (once + SMALL) * GROWTH,
        "{name}: {once} steps for {times} and {twice} for twice as many of {:?} between {:?} and {:?}",
        unit.escape_ascii().to_string(),
        before.escape_ascii().to_string(),
        behind.escape_ascii().to_string(),
    );
    once
}

/// Every shape and, `rounds` times, a part of a seed, repeated up to the largest input.
fn parts(name: &str, rounds: usize, mut each: impl FnMut([&[u8]; 3], usize)) {
    let largest = LARGEST.iter().find(|(known, _)| *known == name).expect("a size").1;
    let mut with = |parts: [&[u8]; 3]| {
        let [before, unit, behind] = parts;
        // A number is six digits in place of one character.
        let long = unit.len() + 5 * unit.iter().filter(|byte| **byte == b'#').count();
        let times = largest.saturating_sub(before.len() + behind.len()) / (2 * long.max(1));
        if times > 0 {
            each(parts, times);
        }
    };
    for (before, unit, behind) in SHAPES {
        with([before.as_bytes(), unit.as_bytes(), behind.as_bytes()]);
    }
    let (seeds, mut dice) = (corpus(name), Dice(SEED));
    for _ in 0..rounds {
        let seed = &seeds[dice.below(seeds.len())];
        let from = dice.below(seed.len());
        let to = (from + 1 + dice.below(24)).min(seed.len());
        with([&seed[..from], &seed[from.min(to)..to], &seed[to..]]);
    }
}

fn grows_linearly(name: &str) {
    let (mut most, largest) = (0, LARGEST.iter().find(|(known, _)| *known == name).expect("a size").1);
    parts(name, ROUNDS, |parts, times| most = most.max(doubles(name, parts, times)));
    // A parser that counts nothing would pass.
    assert!(most >= largest as u64 / 4, "{name} counts {most} steps at most for {largest} bytes");
}

#[test]
fn environments_grow_linearly() {
    grows_linearly("environment");
}

#[test]
fn offers_and_answers_grow_linearly() {
    for name in ["offer", "answer", "sdp_fragment"] {
        grows_linearly(name);
    }
}

#[test]
fn bodies_queries_and_paths_grow_linearly() {
    for name in ["session_form", "session_query", "session_path"] {
        grows_linearly(name);
    }
}

#[test]
fn heads_of_requests_grow_linearly() {
    grows_linearly("request_head");
}

#[test]
fn every_target_is_counted_or_measured() {
    let counted = [
        "environment",
        "offer",
        "answer",
        "sdp_fragment",
        "session_form",
        "session_query",
        "session_path",
        "request_head",
    ];
    for (name, _) in LARGEST {
        assert!(counted.contains(&name) != BY_LIBRARIES.contains(&name), "{name}");
    }
}

mod long {
    use super::{LARGEST, parts, repeated, target};
    use std::time::{Duration, Instant};

    /// Doublings from the smaller input to the larger one.
    const DOUBLINGS: u32 = 5;
    /// Each costs at most this much more, with what caches and the trees of maps add to it. Quadratic work costs 4.
    const GROWTH: f64 = 2.5;
    /// Less is the price of a call.
    const SHORT: Duration = Duration::from_micros(5);

    /// What one call takes, of so many in a row; the least of a few measurements, because others only ever add to it.
    fn cost(name: &str, bytes: &[u8], calls: u32) -> Duration {
        let once = || {
            let begun = Instant::now();
            for _ in 0..calls {
                target(name)(bytes);
            }
            begun.elapsed() / calls
        };
        (0..7).map(|_| once()).min().unwrap_or_default().max(SHORT)
    }

    #[test]
    #[ignore = "long: measures time"]
    fn time_grows_linearly_in_libraries_too() {
        for (name, _) in LARGEST {
            let mut worst: f64 = 0.0;
            parts(name, 100, |[before, unit, behind], times| {
                let fewer = times >> (DOUBLINGS - 1);
                if fewer == 0 {
                    return;
                }
                let small = cost(name, &repeated(before, unit, behind, fewer), 1 << DOUBLINGS);
                let large = cost(name, &repeated(before, unit, behind, fewer << DOUBLINGS), 1);
                let growth = (large.as_secs_f64() / small.as_secs_f64()).powf(1.0 / f64::from(DOUBLINGS));
                worst = worst.max(growth);
                assert!(
                    growth <= GROWTH,
                    "{name}: {small:?} for {fewer} and {large:?} for {} of {:?}",
                    fewer << DOUBLINGS,
                    unit.escape_ascii().to_string(),
                );
            });
            eprintln!("{name}: each doubling costs at most {worst:.2} times as much");
        }
    }
}
