//! The port over a pipeline: one picture in, its frame out before the next picture goes in.
//!
//! Invariants: frames leave in the order in which pictures came, none is lost, and a pipeline never holds more than one: when
//! an encoder did not answer in time, the next call waits for that frame instead of putting another picture behind it.

use crate::elements::{Element, Pacing};
use crate::pipeline::{Output, Pipeline, PipelineError};
use playgate::games::Rect;
use playgate::runner::encoder::{EncodeError, Encoded, Format, KBPS, VideoEncoder};
use playgate::runner::i420::{I420, Matrix};
use std::time::{Duration, Instant};

/// For the first frame: a device is opened, a GPU's context made.
const FIRST_PATIENCE: Duration = Duration::from_secs(10);
/// For every other frame, in one call: a machine with other things to do is slow for so long, and the encoder not stuck.
const PATIENCE: Duration = Duration::from_secs(2);
/// Calls in a row without a frame, after which the encoder counts as stuck.
const MOST_LATE: u32 = 5;
/// Pixels for each of which there is less than a byte when a frame adds nothing to the one before.
const NOTHING_ADDED: usize = 400;
/// Two pictures are at least so far apart for the encoder, whatever their instants.
const LEAST_GAP: Duration = Duration::from_millis(1);

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    #[error("it gave no frame in {} s", (PATIENCE * MOST_LATE).as_secs())]
    Stuck,
}

pub(crate) struct GStreamerEncoder {
    element: &'static Element,
    pipeline: Pipeline,
    format: Format,
    /// The colours that the stream tells of.
    matrix: Matrix,
    kbps: u32,
    /// Frames a second that the element was made for.
    told_fps: u32,
    /// Instants are told to the encoder from here.
    start: Instant,
    /// The last picture's time for the encoder.
    last: Option<Duration>,
    /// The newest request, and the newest that a key frame was asked of the encoder for.
    requested: Option<u64>,
    asked: Option<u64>,
    /// In the pipeline.
    waiting: Option<Waiting>,
    late: u32,
    output: Option<Output>,
}

/// A picture whose frame is not there yet.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    at: Instant,
    /// It has to become a key frame.
    key: bool,
    /// The request that this answers.
    answers: Option<u64>,
    still: bool,
}

impl GStreamerEncoder {
    pub(crate) fn new(element: &'static Element, format: Format, kbps: u32) -> Result<Self, EncodeError> {
        Self::with_matrix(element, format, Matrix::of(format.width, format.height), kbps)
    }

    fn with_matrix(
        element: &'static Element,
        format: Format,
        matrix: Matrix,
        kbps: u32,
    ) -> Result<Self, EncodeError> {
        let kbps = kbps.clamp(*KBPS.start(), *KBPS.end());
        let pipeline =
            Pipeline::start(element, format, matrix, kbps).map_err(|error| failed(element, error.into()))?;
        Ok(Self {
            element,
            pipeline,
            format,
            matrix,
            kbps,
            told_fps: format.fps,
            start: Instant::now(),
            last: None,
            requested: None,
            asked: None,
            waiting: None,
            late: 0,
            output: None,
        })
    }

    /// Starts over: the next frame is a key frame, and answers what was asked for.
    fn remake(&mut self, format: Format, matrix: Matrix, kbps: u32) -> Result<(), EncodeError> {
        let (requested, asked) = (self.requested, self.asked);
        *self = Self { requested, asked, ..Self::with_matrix(self.element, format, matrix, kbps)? };
        Ok(())
    }

    /// Asks the element for the bitrate. One that gives every frame the same share of a second is asked for as much more as
    /// frames come less often than it was told.
    fn apply_rate(&self) {
        let kbps = match self.element.pacing {
            Pacing::Frames => self.kbps.saturating_mul(self.told_fps.max(1)) / self.format.fps.max(1),
            Pacing::Timestamps => self.kbps,
        };
        self.pipeline.set_kbps(kbps.max(1));
    }

    /// The picture's time for the encoder: rising, whatever its instant.
    fn time(&mut self, at: Instant) -> Duration {
        let time = at.saturating_duration_since(self.start);
        let time = self.last.map_or(time, |last| time.max(last + LEAST_GAP));
        self.last = Some(time);
        time
    }

    /// `still`: the picture before again.
    fn put(&mut self, frame: &I420, still: bool, at: Instant) -> Result<(), PipelineError> {
        if self.last.is_none() {
            self.start = at;
        }
        let first = self.last.is_none();
        let key = first || self.requested > self.asked;
        let time = self.time(at);
        self.pipeline.put(frame, time, key && !first)?;
        let answers = self.requested.filter(|_| key);
        self.asked = self.asked.max(answers);
        self.waiting = Some(Waiting { at, key, answers, still });
        Ok(())
    }

    fn take(&mut self) -> Result<Option<Encoded<'_>>, Failed> {
        let Some(waiting) = self.waiting else { return Ok(None) };
        let first = self.output.is_none();
        let Some(output) = self.pipeline.take(if first { FIRST_PATIENCE } else { PATIENCE })? else {
            self.late += 1;
            return if self.late < MOST_LATE { Ok(None) } else { Err(Failed::Stuck) };
        };
        self.late = 0;
        self.waiting = None;
        if waiting.key {
            self.pipeline.keyed();
        }
        if waiting.key && !output.key {
            // Asked in vain: the next frame is asked again.
            self.asked = None;
        }
        let output = self.output.insert(output);
        let answers = waiting.answers.filter(|_| output.key);
        // No element tells. One that spends next to nothing on the same picture has nothing to add to it.
        let next_to_nothing = self.format.width as usize * self.format.height as usize / NOTHING_ADDED;
        let sharp = waiting.still && !output.key && output.bytes.len() < next_to_nothing;
        Ok(Some(Encoded {
            key: output.key,
            answers,
            at: waiting.at,
            sharp,
            coarseness: None,
            bytes: &output.bytes,
        }))
    }
}

impl VideoEncoder for GStreamerEncoder {
    fn configure(&mut self, format: Format, kbps: u32) -> Result<(), EncodeError> {
        if (format.width, format.height) == (self.format.width, self.format.height) {
            return self.set_rate(kbps, format.fps);
        }
        self.remake(format, self.matrix, kbps)
    }

    fn set_rate(&mut self, kbps: u32, fps: u32) -> Result<(), EncodeError> {
        self.kbps = kbps.clamp(*KBPS.start(), *KBPS.end());
        self.format.fps = fps;
        self.apply_rate();
        Ok(())
    }

    fn request_key_frame(&mut self, number: u64) {
        self.requested = self.requested.max(Some(number));
    }

    fn encode(
        &mut self,
        frame: &I420,
        damage: &[Rect],
        at: Instant,
    ) -> Result<Option<Encoded<'_>>, EncodeError> {
        let element = self.element;
        if frame.matrix() != self.matrix {
            self.remake(self.format, frame.matrix(), self.kbps)?;
        }
        if self.waiting.is_none() {
            self.put(frame, damage.is_empty(), at).map_err(|error| failed(element, error.into()))?;
        }
        self.take().map_err(|error| failed(element, error))
    }
}

fn failed(element: &Element, error: Failed) -> EncodeError {
    EncodeError { encoder: element.name, source: error.into() }
}
