//! What is done to a runner while it is watched: wait for the picture, watch, ask for key frames, press keys, lower the
//! bitrate, save, stop. Decides nothing about good or bad.

use super::facts::{BitrateFacts, Facts, InputFacts, KeyRequest, KeyRequestBy, StopFacts};
use super::stand::Stand;
use super::tape::Tape;
use crate::driver::Instance;
use bytes::Bytes;
use playgate_signaling::input::InputFrame;
use playgate_signaling::runner::GatewayMessage;
use std::time::Duration;
use tokio::time::sleep;

/// A runner may keep key frames apart by this much.
const KEY_SPACING: Duration = Duration::from_millis(700);
/// How long an answer to a request for a key frame is waited for; the judge is stricter.
const KEY_WAIT: Duration = Duration::from_secs(2);
const KEY_REQUESTS: [KeyRequestBy; 6] = [
    KeyRequestBy::Pli,
    KeyRequestBy::Control,
    KeyRequestBy::Pli,
    KeyRequestBy::Control,
    KeyRequestBy::Pli,
    KeyRequestBy::Control,
];
/// A picture that did not change for this long stands still.
const STILL: Duration = Duration::from_millis(300);
/// How long a picture is given to come to rest, and to answer an input.
const REST_WAIT: Duration = Duration::from_millis(1500);
const INPUT_WAIT: Duration = Duration::from_millis(1000);
/// Rounds through all inputs; enough answers end it earlier.
const INPUT_ROUNDS: usize = 3;
const INPUT_ANSWERS: usize = 5;
const SETTLE: Duration = Duration::from_secs(2);
/// Changed pictures a second, and kilobits a second, below which a rate says nothing.
const MOVING: usize = 5;
const MEASURABLE_KBPS: u64 = 250;
/// How long `saved` is waited for.
const FLUSH_WAIT: Duration = Duration::from_secs(5);

/// USB HID usages (page 0x07) of keys that most games do something with.
const ENTER: u16 = 0x28;
const SPACE: u16 = 0x2c;
const DOWN: u16 = 0x51;
const UP: u16 = 0x52;
const RIGHT: u16 = 0x4f;
const LEFT: u16 = 0x50;

/// The whole script, up to the end of the instance.
pub(super) async fn play(stand: &Stand, instance: &dyn Instance) -> Facts {
    let mut facts = Facts { asked: stand.asked.clone(), ..Facts::default() };
    if first_picture(stand).await {
        sleep(stand.asked.baseline).await;
        facts.undisturbed_until = stand.recorder.now();
        if stand.recorder.tape().video.keys().is_empty() {
            // Another codec: nothing in it is understood.
        } else {
            facts.key_requests = key_requests(stand).await;
            facts.input = Some(inputs(stand).await);
            facts.bitrate = Some(bitrate(stand).await);
        }
    }
    stop(stand, instance, &mut facts).await;
    facts
}

/// Waits for hello, ready and a key frame (of a codec that is not understood: a packet). Asks for it as the relay does.
async fn first_picture(stand: &Stand) -> bool {
    let seen = |tape: &Tape| {
        let opaque = tape.control.hello.as_ref().and_then(|hello| hello.video.as_ref());
        let opaque = opaque.is_some_and(|video| !video.codec.eq_ignore_ascii_case("h264"));
        let picture = if opaque { tape.video.facts().packets > 0 } else { !tape.video.keys().is_empty() };
        (picture && tape.control.ready.is_some()).then_some(())
    };
    let limit = stand.asked.start_timeout;
    while stand.recorder.now() < limit {
        let wait = Duration::from_secs(1).min(limit.saturating_sub(stand.recorder.now()));
        if stand.recorder.wait(wait, seen).await.is_some() {
            return true;
        }
        if stand.recorder.tape().ended.is_some() {
            return false;
        }
        if stand.recorder.tape().video.keys().is_empty() {
            stand.send_pli().await;
        }
    }
    // A picture without hello or ready is watched all the same.
    !stand.recorder.tape().video.keys().is_empty()
}

async fn key_requests(stand: &Stand) -> Vec<KeyRequest> {
    let recorder = &stand.recorder;
    let mut asked = Vec::new();
    for (number, by) in (1..).zip(KEY_REQUESTS) {
        if recorder.tape().ended.is_some() {
            break;
        }
        sleep(KEY_SPACING).await;
        let sent = recorder.now();
        let told = match by {
            KeyRequestBy::Pli => stand.send_pli().await,
            KeyRequestBy::Control => stand.control.send(GatewayMessage::Keyframe { number }),
        };
        let answer =
            recorder.wait(KEY_WAIT, |tape| tape.video.keys().last().copied().filter(|at| *at > sent));
        let answered = if told { answer.await.map(|at| at - sent) } else { None };
        asked.push(KeyRequest { by, answered });
    }
    asked
}

/// Inputs to a picture that stands still, and how long it takes to change.
async fn inputs(stand: &Stand) -> InputFacts {
    let recorder = &stand.recorder;
    let mut facts = InputFacts::default();
    let (mut sequence, mut round) = (0_u16, 0);
    'rounds: while round < INPUT_ROUNDS {
        round += 1;
        for press in presses(&mut sequence) {
            if facts.answered.len() >= INPUT_ANSWERS || recorder.tape().ended.is_some() {
                break 'rounds;
            }
            if !at_rest(stand).await {
                facts.moving += 1;
                // It will hardly stand still later.
                if facts.moving >= 3 {
                    break 'rounds;
                }
                continue;
            }
            let sent = recorder.now();
            send(stand, &press);
            facts.tried += 1;
            let changed =
                recorder.wait(INPUT_WAIT, |tape| tape.pictures.changes.iter().copied().find(|at| *at > sent));
            if let Some(at) = changed.await {
                facts.answered.push(at - sent);
            }
        }
    }
    facts
}

fn presses(sequence: &mut u16) -> Vec<Vec<InputFrame>> {
    let key = |usage| vec![InputFrame::Key { usage, down: true }, InputFrame::Key { usage, down: false }];
    let mut click = |x: u16, y: u16| {
        *sequence = sequence.wrapping_add(1);
        vec![
            InputFrame::PointerMove { sequence: *sequence, x, y },
            InputFrame::Button { button: 0, down: true, x, y },
            InputFrame::Button { button: 0, down: false, x, y },
        ]
    };
    let middle = u16::MAX / 2;
    let clicks = [click(middle, middle), click(middle / 4, middle)];
    let [first, second] = clicks;
    vec![first, key(ENTER), key(SPACE), key(DOWN), key(RIGHT), key(UP), key(LEFT), second]
}

fn send(stand: &Stand, frames: &[InputFrame]) {
    for frame in frames {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        stand.control.input(0, Bytes::from(bytes));
    }
}

/// Waits until the picture has not changed for a while.
async fn at_rest(stand: &Stand) -> bool {
    let until = stand.recorder.now() + REST_WAIT;
    loop {
        let now = stand.recorder.now();
        let since = stand.recorder.tape().pictures.changes.last().copied().unwrap_or_default();
        let rested = now.saturating_sub(since);
        if rested >= STILL {
            return true;
        }
        if now >= until {
            return false;
        }
        sleep(STILL - rested).await;
    }
}

async fn bitrate(stand: &Stand) -> BitrateFacts {
    let (before_kbps, moved) = measure(stand, stand.asked.baseline).await;
    let mut facts = BitrateFacts { before_kbps, ..BitrateFacts::default() };
    if !moved || before_kbps < MEASURABLE_KBPS {
        return facts;
    }
    facts.asked_kbps = before_kbps / 2;
    let kbps = |kbps: u64| GatewayMessage::Bitrate { kbps: u32::try_from(kbps).unwrap_or(u32::MAX) };
    stand.control.send(kbps(facts.asked_kbps));
    sleep(SETTLE).await;
    let (first, first_moved) = measure(stand, stand.asked.baseline).await;
    let (second, second_moved) = measure(stand, stand.asked.baseline).await;
    facts.after_kbps = first.min(second);
    facts.moving = first_moved && second_moved;
    stand.control.send(kbps(u64::from(stand.asked.kbps)));
    facts
}

/// The rate over a while, and whether the picture moved.
async fn measure(stand: &Stand, over: Duration) -> (u64, bool) {
    let from = stand.recorder.now();
    sleep(over).await;
    let to = stand.recorder.now();
    let tape = stand.recorder.tape();
    let changes = tape.pictures.changes.iter().rev().take_while(|at| **at >= from).count();
    let seconds = usize::try_from(over.as_secs()).unwrap_or(1).max(1);
    (tape.video.kbps(from, to), changes >= MOVING * seconds)
}

/// The contract's sequence, without `shutdown`: SIGTERM alone has to do.
async fn stop(stand: &Stand, instance: &dyn Instance, facts: &mut Facts) {
    let recorder = &stand.recorder;
    facts.ended_early = recorder.tape().ended;
    let mut end = StopFacts::default();
    let sent = recorder.now();
    if facts.ended_early.is_none() && stand.control.send(GatewayMessage::FlushSave) {
        let saved =
            recorder.wait(FLUSH_WAIT, |tape| tape.control.saved.last().copied().filter(|at| *at > sent));
        end.flushed = saved.await.map(|at| at - sent);
    }
    let sent = recorder.now();
    let ended = instance.stop(stand.asked.grace).await;
    end.took = recorder.now() - sent;
    end.exit_code = ended.exit_code;
    end.out_of_memory = ended.out_of_memory;
    let tape = recorder.tape();
    facts.control = tape.control.clone();
    facts.video = tape.video.facts();
    facts.audio = tape.audio.facts();
    facts.pictures = tape.pictures.clone();
    facts.stop = Some(end);
}
