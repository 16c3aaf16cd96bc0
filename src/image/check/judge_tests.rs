//! Facts of a good image, and one fault at a time.

use super::super::facts::{
    Asked, AudioFacts, BitrateFacts, ControlFacts, EarlyEnd, Hello, InputFacts, PictureFacts, SaveFacts,
    StopFacts,
};
use super::super::media::SpsFacts;
use super::*;
use playgate_signaling::runner::Stream;
use std::collections::BTreeSet;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn good() -> Facts {
    let stream = |codec: &str, pt, ssrc| Stream { codec: codec.to_owned(), pt, ssrc };
    Facts {
        asked: Asked { save_expected: true, ..Asked::default() },
        control: ControlFacts {
            hello: Some(Hello {
                at: ms(400),
                video: Some(stream("H264", 96, 1)),
                audio: Some(stream("opus", 111, 2)),
                pointer: Some("absolute".to_owned()),
            }),
            ready: Some(ms(900)),
            saved: vec![ms(20_000)],
            exit: None,
            disconnects: 0,
        },
        video: VideoFacts {
            packets: 4000,
            bytes: 4_000_000,
            first_packet: Some(ms(950)),
            frames: 600,
            keys: vec![ms(1000), ms(6000), ms(8000)],
            streams: BTreeSet::from([(96, 1)]),
            clock_hz: Some(90_010.0),
            largest_packet: 1200,
            fragmented: 500,
            sps: Some(SpsFacts {
                profile: 66,
                constraints: 0xc0,
                level: 31,
                order_type: 2,
                width: 1280,
                height: 720,
                coded_pixels: 1280 * 720,
                matrix: Some(1),
            }),
            sender_reports: 9,
            ..VideoFacts::default()
        },
        audio: AudioFacts {
            packets: 900,
            streams: BTreeSet::from([(111, 2)]),
            stereo: 900,
            largest_packet: 300,
            lost: 0,
            sender_reports: 9,
        },
        pictures: PictureFacts {
            decoded: 600,
            undecodable: 0,
            width: 1280,
            height: 720,
            changes: vec![ms(1000)],
        },
        key_requests: [KeyRequestBy::Pli, KeyRequestBy::Control]
            .map(|by| KeyRequest { by, answered: Some(ms(40)) })
            .to_vec(),
        input: Some(InputFacts { tried: 6, answered: vec![ms(60), ms(40), ms(90)], moving: 0 }),
        bitrate: Some(BitrateFacts { before_kbps: 4000, asked_kbps: 2000, after_kbps: 2100, moving: true }),
        stop: Some(StopFacts {
            flushed: Some(ms(30)),
            took: ms(400),
            exit_code: Some(0),
            out_of_memory: false,
        }),
        save: Some(SaveFacts { files: 2, bytes: 900, error: None }),
        ended_early: None,
        last_words: Vec::new(),
        undisturbed_until: ms(5_000),
    }
}

/// A fault put into good facts.
type Change = Box<dyn FnOnce(&mut Facts)>;

/// What is not right after a change to the good facts.
fn faults(change: impl FnOnce(&mut Facts)) -> Vec<(&'static str, Outcome)> {
    let mut facts = good();
    change(&mut facts);
    let verdicts = judge(&facts);
    verdicts
        .into_iter()
        .filter(|line| line.outcome != Outcome::Pass)
        .map(|line| (line.id, line.outcome))
        .collect()
}

#[test]
fn a_good_image_passes_every_clause() {
    let verdicts = judge(&good());
    let not_passed: Vec<_> = verdicts.iter().filter(|line| line.outcome != Outcome::Pass).collect();
    assert!(not_passed.is_empty(), "{not_passed:?}");
    assert_eq!(verdicts.len(), 24);
    let ids: BTreeSet<_> = verdicts.iter().map(|line| line.id).collect();
    assert_eq!(ids.len(), verdicts.len(), "names are unique");
}

#[test]
fn each_fault_is_named_alone() {
    let cases: [(&str, Outcome, Change); 26] = [
        ("ready", Outcome::Fail, Box::new(|facts| facts.control.ready = None)),
        ("first_key_frame", Outcome::Warn, Box::new(|facts| facts.video.keys = vec![ms(16_000)])),
        ("codec", Outcome::Fail, Box::new(|facts| facts.video.malformed = 5)),
        ("profile", Outcome::Fail, Box::new(|facts| facts.video.sps.as_mut().unwrap().profile = 100)),
        ("profile", Outcome::Fail, Box::new(|facts| facts.video.sps.as_mut().unwrap().constraints = 0)),
        ("b_frames", Outcome::Fail, Box::new(|facts| facts.video.b_slices = 1)),
        ("packetization", Outcome::Fail, Box::new(|facts| facts.video.interleaved = 1)),
        ("parameter_sets", Outcome::Fail, Box::new(|facts| facts.video.idr_without_sets = 1)),
        ("packet_size", Outcome::Fail, Box::new(|facts| facts.video.largest_packet = 1201)),
        ("equal_size", Outcome::Warn, Box::new(|facts| facts.video.unequal = 1)),
        ("streams", Outcome::Fail, Box::new(|facts| facts.video.streams.extend([(97, 1)]))),
        ("rtp", Outcome::Fail, Box::new(|facts| facts.video.backward_timestamps = 1)),
        ("rtp", Outcome::Fail, Box::new(|facts| facts.video.clock_hz = Some(48_000.0))),
        ("rtp", Outcome::Warn, Box::new(|facts| facts.video.lost = 1)),
        ("picture", Outcome::Fail, Box::new(|facts| facts.pictures.decoded = 0)),
        ("picture", Outcome::Warn, Box::new(|facts| facts.pictures.width = 640)),
        ("pli", Outcome::Fail, Box::new(|facts| facts.key_requests[0].answered = None)),
        ("pli", Outcome::Fail, Box::new(|facts| facts.key_requests[0].answered = Some(ms(501)))),
        ("keyframe_message", Outcome::Fail, Box::new(|facts| facts.key_requests[1].answered = None)),
        ("bitrate", Outcome::Fail, Box::new(|facts| facts.bitrate.as_mut().unwrap().after_kbps = 3900)),
        ("bitrate", Outcome::Warn, Box::new(|facts| facts.bitrate.as_mut().unwrap().after_kbps = 3300)),
        ("bitrate", Outcome::NotJudged, Box::new(|facts| facts.bitrate.as_mut().unwrap().moving = false)),
        ("input", Outcome::Warn, Box::new(|facts| facts.input.as_mut().unwrap().answered = vec![ms(300)])),
        ("audio", Outcome::Warn, Box::new(|facts| facts.audio.stereo = 0)),
        ("sender_reports", Outcome::Warn, Box::new(|facts| facts.video.sender_reports = 0)),
        ("flush_save", Outcome::Fail, Box::new(|facts| facts.stop.as_mut().unwrap().flushed = None)),
    ];
    for (number, (id, outcome, change)) in cases.into_iter().enumerate() {
        assert_eq!(faults(change), [(id, outcome)], "case {number}");
    }
}

#[test]
fn an_image_that_sends_nothing_is_judged_by_what_there_is() {
    let mut facts = good();
    facts.control = ControlFacts::default();
    facts.video = VideoFacts::default();
    facts.audio = AudioFacts::default();
    let failed: Vec<_> =
        judge(&facts).into_iter().filter(|line| line.outcome == Outcome::Fail).map(|line| line.id).collect();
    assert_eq!(failed, ["hello", "first_key_frame"]);
}

#[test]
fn a_legacy_image_without_control_still_passes() {
    let broken = faults(|facts| {
        facts.control = ControlFacts::default();
        facts.stop.as_mut().unwrap().flushed = None;
    });
    assert!(broken.iter().all(|(_, outcome)| *outcome != Outcome::Fail), "{broken:?}");
    assert!(broken.contains(&("hello", Outcome::Warn)));
}

#[test]
fn another_codec_is_passed_through_and_not_looked_into() {
    let broken = faults(|facts| {
        facts.control.hello.as_mut().unwrap().video.as_mut().unwrap().codec = "VP8".to_owned();
        facts.video.keys.clear();
        facts.video.sps = None;
    });
    assert!(broken.iter().all(|(_, outcome)| *outcome == Outcome::NotJudged), "{broken:?}");
    let broken = faults(|facts| {
        facts.control.hello.as_mut().unwrap().video.as_mut().unwrap().codec = "H263".to_owned();
    });
    assert!(broken.contains(&("codec", Outcome::Fail)), "{broken:?}");
}

#[test]
fn key_frames_that_come_all_the_time_prove_no_answer() {
    let broken = faults(|facts| facts.video.keys = (0..20).map(|n| ms(1000 + n * 500)).collect());
    assert_eq!(
        broken,
        [("key_interval", Outcome::Warn), ("pli", Outcome::Warn), ("keyframe_message", Outcome::Warn)]
    );
}

#[test]
fn sigterm_wants_an_end_in_time_and_exit_code_zero() {
    let with = |took, exit_code| {
        faults(|facts| {
            let stop = facts.stop.as_mut().unwrap();
            (stop.took, stop.exit_code) = (ms(took), exit_code);
        })
    };
    assert_eq!(with(5_000, Some(0)), [("sigterm", Outcome::Fail)]);
    assert_eq!(with(4_999, Some(137)), [("sigterm", Outcome::Fail)]);
    assert_eq!(with(100, Some(4)), [("sigterm", Outcome::Fail)]);
    assert_eq!(with(100, Some(143)), [("sigterm", Outcome::Warn)]);
    assert_eq!(with(100, None), [("sigterm", Outcome::Warn)]);
}

#[test]
fn an_early_end_is_told_with_its_reason() {
    let mut facts = good();
    facts.ended_early = Some(EarlyEnd { at: ms(2_500), code: Some(5), signal: None, out_of_memory: false });
    let verdicts = judge(&facts);
    assert_eq!((verdicts[0].id, verdicts[0].outcome), ("stays_up", Outcome::Fail));
    assert_eq!(verdicts[0].measured, "ended after 2.5 s with exit code 5");
}

#[test]
fn a_save_is_demanded_only_where_somebody_said_it_is() {
    let without = |expected| {
        faults(|facts| {
            facts.asked.save_expected = expected;
            facts.save = Some(SaveFacts::default());
        })
    };
    assert_eq!(without(true), [("save", Outcome::Fail)]);
    assert_eq!(without(false), [("save", Outcome::Warn)]);
    let unreadable = SaveFacts { error: Some("no such path".to_owned()), ..SaveFacts::default() };
    assert_eq!(faults(|facts| facts.save = Some(unreadable)), [("save", Outcome::Fail)]);
}

#[test]
fn input_is_not_judged_on_a_picture_that_moves_by_itself() {
    let with = |tried, moving| {
        faults(|facts| facts.input = Some(InputFacts { tried, answered: Vec::new(), moving }))
    };
    assert_eq!(with(24, 0), [("input", Outcome::Fail)]);
    assert_eq!(with(0, 3), [("input", Outcome::NotJudged)]);
}
