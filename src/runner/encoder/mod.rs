//! The encoder port: what the runner asks of a video encoder, whoever makes it.
//!
//! The video thread owns one encoder at a time, made by the [`MakeEncoder`] that the runner is given at its start: the
//! built-in one is [`open_h264`], a program that links this library may bring its own (see [`super::run_with`]).
//!
//! What every encoder keeps:
//! - A key frame comes first, when it is asked for, and when the size changes; at no other time.
//! - A key frame carries all that a decoder needs to start with it.
//! - Frames leave in the order in which they came; none refers to a later one.
//! - A new rate counts from the next frame on and never makes a key frame.
//! - A frame that is left out is no error.
//!
//! Does not: convert colours (the frame is as [`I420`] describes it), make packets, decide when a frame is due.

pub mod conformance;
pub mod open_h264;
mod rate_control;

use super::i420::I420;
use crate::games::Rect;
use std::sync::Arc;
use std::time::Instant;

/// Lowest and highest bitrate an encoder is asked for, in kbit/s.
pub const KBPS: std::ops::RangeInclusive<u32> = 100..=100_000;

/// What the bits of a frame mean. There is a variant for each payload format that the runner can put into packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// Annex B byte stream; constrained baseline unless the encoder's maker knows that its viewers take more.
    H264,
    /// One frame, as RFC 6386 has it.
    Vp8,
    /// One frame of profile 0; no superframes.
    Vp9,
    /// A temporal unit of profile 0 in the low-overhead format, with or without temporal delimiters.
    Av1,
}

impl Codec {
    /// The name in SDP, and in the runner's hello.
    pub fn name(self) -> &'static str {
        match self {
            Self::H264 => "H264",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::Av1 => "AV1",
        }
    }
}

/// What an encoder is made for: the size of its frames in pixels (even numbers) and the most of them a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    pub width: u32,
    pub height: u32,
    pub fps: u32,
}

/// More threads make an encoder's frames larger, not sooner.
const MOST_THREADS: usize = 4;
/// Pixels of a picture up to which one thread encodes it: threads that wait for each other, which some encoders' do busily,
/// would cost more than they save.
const ONE_THREAD: u64 = 640 * 360;

impl Format {
    /// For frames of the size of this one.
    pub fn of(frame: &I420, fps: u32) -> Self {
        let (width, height) = frame.size();
        Self { width, height, fps }
    }

    /// Threads that encode such frames: as many as there are cores, up to [`MOST_THREADS`].
    pub fn threads(self) -> usize {
        let pixels = u64::from(self.width) * u64::from(self.height);
        let most = if pixels > ONE_THREAD { MOST_THREADS } else { 1 };
        std::thread::available_parallelism().map_or(1, |cores| cores.get().min(most))
    }
}

/// One encoded frame.
#[derive(Debug, Clone, Copy)]
pub struct Encoded<'a> {
    pub key: bool,
    /// Of a key frame: the newest request that it answers, with which all older ones are answered too.
    pub answers: Option<u64>,
    /// The instant that was given with the frame these bytes show; an encoder that works on several frames at a time
    /// gives an earlier one than the last.
    pub at: Instant,
    /// Encoding the same frame again would not make it better; an encoder that does not know says false.
    pub sharp: bool,
    /// From 0, as fine as this encoder makes frames, to 1, the coarsest that it can; an encoder that does not tell says `None`.
    pub coarseness: Option<f32>,
    /// In the form of the encoder's [`Codec`].
    pub bytes: &'a [u8],
}

/// Ends the game: an encoder says this when it cannot go on, and not of a frame that it left out.
#[derive(Debug, thiserror::Error)]
#[error("the encoder {encoder} failed: {source}")]
pub struct EncodeError {
    /// As its users know it, such as `openh264`.
    pub encoder: &'static str,
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

pub trait VideoEncoder: Send {
    /// Changes size, frame rate and bitrate from the next frame on. Only another size makes that a key frame.
    fn configure(&mut self, format: Format, kbps: u32) -> Result<(), EncodeError>;

    /// Changes bitrate (within [`KBPS`]) and frame rate from the next frame on, without a key frame.
    fn set_rate(&mut self, kbps: u32, fps: u32) -> Result<(), EncodeError>;

    /// Makes the next frame a key frame. Numbers rise; one that was answered or is being answered is the same request
    /// again and makes no second key frame.
    fn request_key_frame(&mut self, number: u64);

    /// Encodes a frame of the configured size that was drawn at `at`. `damage` holds the rectangles that may differ from the frame
    /// before; none: it is that frame again, to be sharpened. `None`: nothing is to be sent for now.
    fn encode(
        &mut self,
        frame: &I420,
        damage: &[Rect],
        at: Instant,
    ) -> Result<Option<Encoded<'_>>, EncodeError>;
}

/// There is no encoder of the name that was asked for; says what there is.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoEncoder(pub String);

/// Finds an encoder by the name that the environment gives; `None`: the runner's choice.
pub type FindEncoder = fn(Option<&str>) -> Result<Arc<dyn MakeEncoder>, NoEncoder>;

/// The name of the encoder that every runner has.
pub const BUILT_IN: &str = "openh264";

/// The encoder of a runner that has no other.
pub fn built_in(name: Option<&str>) -> Result<Arc<dyn MakeEncoder>, NoEncoder> {
    match name {
        None | Some(BUILT_IN) => Ok(Arc::new(open_h264::MakeOpenH264)),
        Some(other) => Err(NoEncoder(format!(
            "this runner has no encoder {other}, only {BUILT_IN}: others come with the GStreamer runner \
             (playgate image build --encoder gstreamer, or runner.program)"
        ))),
    }
}

/// Makes the encoders of one runner, all of one codec.
pub trait MakeEncoder: Send + Sync + std::fmt::Debug {
    fn codec(&self) -> Codec;

    fn make(&self, format: Format, kbps: u32) -> Result<Box<dyn VideoEncoder>, EncodeError>;
}
