//! For fuzzing only, and no part of the library's interface: every parser that meets the network, behind one kind of
//! function that takes any bytes and panics when something does not hold.
//!
//! `tests/fuzz` runs these under libFuzzer; `tests/it/fuzz.rs` replays its corpus, and mutations of it, in every test run.
//! A new parser gets a line in [`TARGETS`], a file in `tests/fuzz/fuzz_targets` and seeds in `tests/fuzz/corpus`.

use crate::content::packages::fuzz::archive as package_in;
use crate::content::references::Reference;
use crate::content::registry::fuzz::challenge as registry_challenge;
use crate::h264::{Depacketizer, NAL_IDR, NAL_PPS, NAL_SPS, nal_type, nal_units};
use crate::http::fuzz as http;
use crate::http::session_api::fuzz as session_api;
use crate::relay::fuzz as relay;
use crate::session::hosted::environment_fuzz;
use crate::store::saves::fuzz::archive as save_in;
use crate::thumbnail::picture;
use playgate_signaling::input::{InputFrame, MAX_FRAME_BYTES};
use playgate_signaling::message::{ClientMessage, ServerMessage};
use playgate_signaling::runner::{GatewayMessage, RunnerMessage};
use playgate_signaling::sdp_fragment::SdpFragment;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// A fuzz target.
pub type Target = fn(&[u8]);

/// Makes a function of each target and the list of all, by the name of their file and of their corpus.
macro_rules! targets {
    ($($name:ident: $work:expr,)*) => {
        pub const TARGETS: &[(&str, Target)] = &[$((stringify!($name), $name)),*];
        $(pub fn $name(data: &[u8]) {
            $work(data);
        })*
    };
}

targets! {
    answer: relay::answer,
    catalogue_search: http::catalogue_search,
    challenge: registry_challenge,
    client_message: read_signaling,
    demux: relay::demux,
    depacketizer: depacketize,
    dtls: relay::dtls,
    environment: environment_fuzz,
    feedback: relay::feedback,
    gateway_message: read_gateway_message,
    ingest: relay::ingest,
    input_frame: read_input_frame,
    key_frames: relay::key_frames,
    offer: relay::offer,
    package: unpack_package,
    reference: read_reference,
    request_head: http::request_head,
    rtp: relay::rtp,
    runner_message: read_runner_message,
    save: unpack_save,
    sdp_fragment: read_sdp_fragment,
    sender_reports: relay::sender_reports,
    session_form: session_api::bodies,
    session_path: session_api::path,
    session_query: session_api::query,
    split: relay::split,
    still: relay::still,
    still_parts: choose_still_parts,
    stun: relay::stun,
}

/// A viewer's input: one frame is one sequence of bytes.
fn read_input_frame(data: &[u8]) {
    if let Ok(frame) = InputFrame::decode(data) {
        assert_eq!(frame.to_bytes(), data);
        assert!(data.len() <= MAX_FRAME_BYTES);
        let _ = (frame.effect(), frame.is_activity(), frame.is_snapshot());
    }
}

/// A trickle-ICE fragment: written and read again it says the same; applied to a description it leaves one that can be
/// read.
fn read_sdp_fragment(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = SdpFragment::of_description(text);
    if let Ok(fragment) = SdpFragment::parse(text) {
        assert_eq!(SdpFragment::parse(&fragment.to_text()).as_ref(), Ok(&fragment));
        let _ = fragment.apply("v=0\r\nm=audio 9 X 0\r\na=mid:0\r\nm=video 9 X 1\r\na=mid:1\r\n");
    }
}

/// Signaling, both ways.
fn read_signaling(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(message) = ClientMessage::parse(text) {
        assert_eq!(ClientMessage::parse(&message.to_json()).ok(), Some(message));
    }
    if let Ok(message) = ServerMessage::parse(text) {
        // Not the same: a share beyond all numbers is written as none.
        assert!(ServerMessage::parse(&message.to_json()).is_ok());
    }
}

/// What a runner says.
fn read_runner_message(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(message) = RunnerMessage::parse(text) {
        assert_eq!(RunnerMessage::parse(&message.to_json()).ok(), Some(message));
    }
}

/// What a gateway says to a runner.
fn read_gateway_message(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(message) = GatewayMessage::parse(text) {
        assert_eq!(GatewayMessage::parse(&message.to_json()).ok(), Some(message));
    }
}

/// The bots' reading of H.264: packets of two bytes of header (sequence step and marker, length) each.
fn depacketize(data: &[u8]) {
    let mut depacketizer = Depacketizer::new();
    let (mut sequence, mut timestamp, mut rest) = (0_u16, 0_u32, data);
    while let [head, len, tail @ ..] = rest {
        let (payload, tail) = tail.split_at(usize::from(*len).min(tail.len()));
        rest = tail;
        sequence = sequence.wrapping_add(u16::from(head & 3));
        timestamp = timestamp.wrapping_add(u32::from(head >> 2 & 1));
        let pushed = depacketizer.push(sequence, timestamp, head & 0x80 != 0, payload);
        assert!(pushed.units.iter().all(|unit| unit.data.starts_with(&[0, 0, 0, 1])));
    }
}

/// What of a key frame a decoder is given: the same of that again, and never a parameter set of a huge picture.
fn choose_still_parts(data: &[u8]) {
    let Ok(wanted) = picture::wanted(data) else { return };
    assert!(matches!(picture::wanted(&wanted), Ok(again) if again == wanted));
    assert!(nal_units(&wanted).all(|unit| matches!(nal_type(unit), NAL_SPS | NAL_PPS | NAL_IDR)));
}

/// An image's name: written and read again it is the same.
fn read_reference(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(reference) = Reference::parse(text) {
        let written = reference.to_string();
        match Reference::parse(&written) {
            Ok(again) => assert_eq!(again.to_string(), written),
            Err(error) => panic!("{written}: {error}"),
        }
    }
}

/// A save that a player brings.
fn unpack_save(data: &[u8]) {
    in_scratch(|scratch| save_in(data, scratch));
}

/// A game's package.
fn unpack_package(data: &[u8]) {
    in_scratch(|scratch| package_in(data, scratch));
}

fn in_scratch(work: impl FnOnce(&Path)) {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let scratch = std::env::temp_dir().join(format!("playgate-fuzz-{}-{number}", std::process::id()));
    work(&scratch);
    let _ = std::fs::remove_dir_all(&scratch);
}
