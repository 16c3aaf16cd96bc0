//! What was seen of an image: plain values, measured by the stand, read by the judge. Times count from the moment the
//! image was asked to start.

use playgate_signaling::runner::Stream;
use std::collections::BTreeSet;
use std::time::Duration;

/// What the runner was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub width: u32,
    pub height: u32,
    pub fps: u32,
    pub kbps: u32,
    /// The encoder, by name.
    pub encoder: Option<String>,
    /// Where the save is kept, as the runner sees it.
    pub save_path: String,
    /// Somebody said that the game saves there.
    pub save_expected: bool,
    /// Until the first key frame.
    pub start_timeout: Duration,
    /// Between SIGTERM and SIGKILL.
    pub grace: Duration,
    /// How long it is watched undisturbed, and how long a rate is measured.
    pub baseline: Duration,
    /// A key frame that was asked for has to be there within this time.
    pub key_answer: Duration,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Facts {
    pub asked: Asked,
    pub control: ControlFacts,
    pub video: VideoFacts,
    pub audio: AudioFacts,
    pub pictures: PictureFacts,
    /// In the order they were sent. Empty: there was nothing to ask.
    pub key_requests: Vec<KeyRequest>,
    pub input: Option<InputFacts>,
    pub bitrate: Option<BitrateFacts>,
    pub stop: Option<StopFacts>,
    pub save: Option<SaveFacts>,
    /// It ended before it was asked to.
    pub ended_early: Option<EarlyEnd>,
    /// What it wrote last, when it did.
    pub last_words: Vec<String>,
    /// Up to here nobody asked for anything.
    pub undisturbed_until: Duration,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct ControlFacts {
    pub hello: Option<Hello>,
    pub ready: Option<Duration>,
    /// When each `saved` came.
    pub saved: Vec<Duration>,
    /// The code of the runner's `exit`.
    pub exit: Option<i32>,
    pub disconnects: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Hello {
    pub at: Duration,
    pub video: Option<Stream>,
    pub audio: Option<Stream>,
    pub pointer: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct VideoFacts {
    pub packets: u64,
    pub bytes: u64,
    pub first_packet: Option<Duration>,
    pub frames: u64,
    /// When each key frame was complete.
    pub keys: Vec<Duration>,
    /// `(payload type, SSRC)` seen.
    pub streams: BTreeSet<(u8, u32)>,
    /// Datagrams that are neither RTP nor RTCP, and payloads that are no H.264.
    pub malformed: u64,
    pub lost: u64,
    /// Frames whose timestamp is before that of the frame sent before them.
    pub backward_timestamps: u64,
    /// The RTP clock's speed, in Hz, over a second or more.
    pub clock_hz: Option<f64>,
    /// Of a whole RTP packet, in bytes.
    pub largest_packet: usize,
    pub oversized_packets: u64,
    /// NAL units in fragments, and those whose fragments differ in size (the last may be smaller).
    pub fragmented: u64,
    pub unequal: u64,
    /// Payloads of the interleaved mode (RFC 6184 packetization-mode 2).
    pub interleaved: u64,
    pub sps: Option<super::media::SpsFacts>,
    pub b_slices: u64,
    pub idr_without_sets: u64,
    pub sender_reports: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AudioFacts {
    pub packets: u64,
    pub streams: BTreeSet<(u8, u32)>,
    /// Opus packets coded in stereo (RFC 6716 section 3.1).
    pub stereo: u64,
    pub largest_packet: usize,
    pub lost: u64,
    pub sender_reports: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PictureFacts {
    pub decoded: u64,
    pub undecodable: u64,
    pub width: u32,
    pub height: u32,
    /// When a picture arrived that looks different from the one before.
    pub changes: Vec<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRequestBy {
    /// RTCP, RFC 4585 section 6.3.1.
    Pli,
    /// The `keyframe` message.
    Control,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyRequest {
    pub by: KeyRequestBy,
    /// Absent: not within the time waited.
    pub answered: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InputFacts {
    /// Inputs sent while the picture stood still.
    pub tried: u32,
    /// Times until the picture changed.
    pub answered: Vec<Duration>,
    /// Inputs that could not be judged: the picture moves by itself.
    pub moving: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BitrateFacts {
    pub before_kbps: u64,
    pub asked_kbps: u64,
    pub after_kbps: u64,
    /// Enough to see, in both measurements.
    pub moving: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StopFacts {
    /// From `flush_save` to `saved`.
    pub flushed: Option<Duration>,
    /// From SIGTERM to the end.
    pub took: Duration,
    /// Absent: SIGKILL, or nobody knows.
    pub exit_code: Option<i32>,
    pub out_of_memory: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SaveFacts {
    pub files: u64,
    pub bytes: u64,
    /// It could not be brought out.
    pub error: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EarlyEnd {
    pub at: Duration,
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub out_of_memory: bool,
}
