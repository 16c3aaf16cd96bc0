//! One running pipeline: pictures in, encoded frames out. Knows GStreamer and nothing of the port's rules.
//!
//! Ends with its value: the elements are stopped and their devices closed.

use crate::elements::{Element, KeyFrames, Pacing};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSrc};
use gstreamer_video::{self as video, VideoFrameExt};
use playgate::runner::encoder::Format;
use playgate::runner::i420::{I420, Matrix};
use std::str::FromStr;
use std::time::Duration;

/// Frames that may wait for an encoder that fell behind; the port gives one at a time, so there are never as many.
const QUEUE: u32 = 4;

/// What went wrong in a pipeline.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PipelineError {
    #[error("GStreamer cannot make the pipeline: {0}")]
    Build(gst::glib::Error),
    #[error("the pipeline does not start: {0}")]
    Start(String),
    #[error("{0}")]
    Broken(String),
    #[error("no memory for a picture")]
    Memory,
}

/// One frame out of the pipeline.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) key: bool,
    pub(crate) bytes: gst::MappedBuffer<gst::buffer::Readable>,
}

pub(crate) struct Pipeline {
    element: &'static Element,
    pipeline: gst::Pipeline,
    source: AppSrc,
    encoder: gst::Element,
    sink: AppSink,
    pool: gst::BufferPool,
    info: video::VideoInfo,
}

impl Pipeline {
    /// For pictures of this format and these colours.
    pub(crate) fn start(
        element: &'static Element,
        format: Format,
        matrix: Matrix,
        kbps: u32,
    ) -> Result<Self, PipelineError> {
        let Format { width, height, fps } = format;
        let size = u64::from(width) * u64::from(height);
        let (property, value) = element.rate.property(kbps);
        let text =
            element.pipeline(size * u64::from(fps), format.threads(), &format!("{property}=\"{value}\""));
        let pipeline = gst::parse::launch(&text).map_err(PipelineError::Build)?;
        let pipeline = pipeline.downcast::<gst::Pipeline>().map_err(|_| missing("pipeline"))?;
        let part = |name: &'static str| pipeline.by_name(name).ok_or_else(|| missing(name));
        let source = part("source")?.downcast::<AppSrc>().map_err(|_| missing("source"))?;
        let sink = part("sink")?.downcast::<AppSink>().map_err(|_| missing("sink"))?;
        let encoder = part("encoder")?;
        let info = video_info(element, format, matrix)?;
        let caps = info.to_caps().map_err(|error| PipelineError::Start(error.to_string()))?;
        source.set_caps(Some(&caps));
        source.set_format(gst::Format::Time);
        source.set_is_live(true);
        source.set_block(false);
        sink.set_sync(false);
        sink.set_max_buffers(QUEUE);
        let pool = pool(&caps, &info)?;
        let started = Self { element, pipeline, source, encoder, sink, pool, info };
        match started.pipeline.set_state(gst::State::Playing) {
            Ok(_) => Ok(started),
            Err(error) => Err(PipelineError::Start(started.words().unwrap_or_else(|| error.to_string()))),
        }
    }

    /// From the next picture on.
    pub(crate) fn set_kbps(&self, kbps: u32) {
        let (property, value) = self.element.rate.property(kbps);
        self.encoder.set_property_from_str(property, &value);
    }

    /// Puts a picture of the size the pipeline was made for. The encoder is asked to make it a key frame, if that is wanted;
    /// then [`Self::keyed`] follows when the picture is out.
    pub(crate) fn put(&self, picture: &I420, at: Duration, key: bool) -> Result<(), PipelineError> {
        if key {
            match self.element.key_frames {
                KeyFrames::Event => {
                    let event = video::UpstreamForceKeyUnitEvent::builder().all_headers(true).build();
                    let pad = self.encoder.static_pad("src").ok_or_else(|| missing("encoder's pad"))?;
                    pad.send_event(event);
                }
                KeyFrames::Properties { before, after: _ } => self.set(before),
            }
        }
        let mut buffer = self.pool.acquire_buffer(None).map_err(|_| PipelineError::Memory)?;
        let writable = buffer.get_mut().ok_or(PipelineError::Memory)?;
        writable.set_pts(gst::ClockTime::try_from(at).ok());
        let mut frame = video::VideoFrameRef::from_buffer_ref_writable(writable, &self.info)
            .map_err(|_| PipelineError::Memory)?;
        copy(picture, &mut frame);
        drop(frame);
        match self.source.push_buffer(buffer) {
            Ok(_) => Ok(()),
            Err(error) => Err(PipelineError::Broken(self.words().unwrap_or_else(|| error.to_string()))),
        }
    }

    /// What asked for a key frame asks no longer.
    pub(crate) fn keyed(&self) {
        match self.element.key_frames {
            KeyFrames::Event => {}
            KeyFrames::Properties { before: _, after } => self.set(after),
        }
    }

    /// The next frame, within `patience`; `None`: it is not there yet.
    pub(crate) fn take(&self, patience: Duration) -> Result<Option<Output>, PipelineError> {
        let patience = gst::ClockTime::try_from(patience).unwrap_or(gst::ClockTime::MAX);
        let Some(sample) = self.sink.try_pull_sample(patience) else {
            return match self.words() {
                Some(words) => Err(PipelineError::Broken(words)),
                None if self.sink.is_eos() => Err(PipelineError::Broken("the pipeline ended".to_owned())),
                None => Ok(None),
            };
        };
        let buffer = sample.buffer_owned().ok_or(PipelineError::Memory)?;
        let key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        let bytes = buffer.into_mapped_buffer_readable().map_err(|_| PipelineError::Memory)?;
        Ok(Some(Output { key, bytes }))
    }

    fn set(&self, properties: &[(&str, &str)]) {
        for (name, value) in properties {
            self.encoder.set_property_from_str(name, value);
        }
    }

    /// An error that an element has told, in its words.
    fn words(&self) -> Option<String> {
        let message = self.pipeline.bus()?.pop_filtered(&[gst::MessageType::Error])?;
        let gst::MessageView::Error(error) = message.view() else { return None };
        let more = error.debug().map(|text| format!(" ({text})")).unwrap_or_default();
        Some(format!("{}{more}", error.error()))
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        // A device that cannot be closed is the system's at the process's end.
        let _ = self.pipeline.set_state(gst::State::Null);
        let _ = self.pool.set_active(false);
    }
}

fn missing(part: &str) -> PipelineError {
    PipelineError::Start(format!("it has no {part}"))
}

fn video_info(element: &Element, format: Format, matrix: Matrix) -> Result<video::VideoInfo, PipelineError> {
    let Format { width, height, fps } = format;
    let fps = i32::try_from(fps).unwrap_or(i32::MAX).max(1);
    // Encoders that go by timestamps keep finer time when no frame rate is told.
    let rate = match element.pacing {
        Pacing::Frames => gst::Fraction::new(fps, 1),
        Pacing::Timestamps => gst::Fraction::new(0, 1),
    };
    let colours = match matrix {
        Matrix::Bt601 => "bt601",
        Matrix::Bt709 => "bt709",
    };
    let failed = |error: gst::glib::BoolError| PipelineError::Start(error.to_string());
    let colours = video::VideoColorimetry::from_str(colours).map_err(failed)?;
    let info =
        video::VideoInfo::builder(video::VideoFormat::I420, width, height).fps(rate).colorimetry(&colours);
    info.build().map_err(failed)
}

fn pool(caps: &gst::Caps, info: &video::VideoInfo) -> Result<gst::BufferPool, PipelineError> {
    let pool = gst::BufferPool::new();
    let mut config = pool.config();
    let size = u32::try_from(info.size()).map_err(|_| PipelineError::Memory)?;
    config.set_params(Some(caps), size, 2, 0);
    pool.set_config(config).map_err(|_| PipelineError::Memory)?;
    pool.set_active(true).map_err(|_| PipelineError::Memory)?;
    Ok(pool)
}

/// GStreamer rounds rows up to four bytes; ours are as long as the picture is wide.
fn copy(picture: &I420, frame: &mut video::VideoFrameRef<&mut gst::BufferRef>) {
    let width = usize::try_from(picture.size().0).unwrap_or(0);
    for (index, plane) in (0_u32..).zip(picture.planes()) {
        let row = if index == 0 { width } else { width / 2 };
        let stride = frame
            .plane_stride()
            .get(index as usize)
            .map_or(row, |stride| usize::try_from(*stride).unwrap_or(row));
        let Ok(target) = frame.plane_data_mut(index) else { continue };
        if stride == row {
            let length = target.len().min(plane.len());
            target[..length].copy_from_slice(&plane[..length]);
        } else {
            for (from, to) in plane.chunks_exact(row.max(1)).zip(target.chunks_mut(stride.max(row).max(1))) {
                to[..row].copy_from_slice(from);
            }
        }
    }
}
