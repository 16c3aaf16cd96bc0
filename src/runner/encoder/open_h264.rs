//! H.264 by openh264: constrained baseline, a slice for each thread; quantisers by our own [`RateControl`].
//!
//! The library's own rate control holds the rate only over many seconds, skips the blocks that stand still before they are
//! sharp, and steps down slowly. Here each frame has one quantiser, and background detection is off, so that repeating a
//! still picture sharpens it. A new rate is a number for the next plan: nothing is built anew, no key frame.
//!
//! CPU time a frame at 1280x720 and 8 Mbit/s, one run on a busy machine with nasm: 40 sprites over a still picture 5.8 ms (4.8
//! with background detection, and 1.5 dB less), a textured pan 7.1 ms (7.0). Screen content mode took 2 to 6 times as long for
//! at most 2.4 dB and is not used. Two threads with a slice each take the same CPU time and half as long: 1.7 instead of 3.1
//! ms at quantiser 20.

use super::rate_control::{Change, QP, RateControl, coarseness};
use super::{Codec, EncodeError, Encoded, Format, KBPS, MakeEncoder, VideoEncoder};
use crate::games::Rect;
use crate::runner::i420::{I420, Matrix};
use playgate_openh264_control::{Control, Encoder, Error, Frame, Settings, Slices};
use std::time::Instant;

/// Every so many rows are looked at to see how much of a picture has changed.
const SAMPLED_ROWS: usize = 8;

/// Makes [`OpenH264`] encoders.
#[derive(Debug, Clone, Copy)]
pub struct MakeOpenH264;

impl MakeEncoder for MakeOpenH264 {
    fn codec(&self) -> Codec {
        Codec::H264
    }

    fn make(&self, format: Format, kbps: u32) -> Result<Box<dyn VideoEncoder>, EncodeError> {
        Ok(Box::new(OpenH264::new(format, kbps)?))
    }
}

pub struct OpenH264 {
    encoder: Encoder,
    format: Format,
    rate: RateControl,
    /// The colours that the parameter sets tell of.
    matrix: Matrix,
    /// The newest request, and whether the next frame is to be a key frame.
    requested: u64,
    owes_key_frame: bool,
    /// The last frame was left out, and showed something new.
    left_out: bool,
    start: Option<Instant>,
    /// Rows of luma of the picture that was encoded last.
    sampled: Vec<u8>,
    bytes: Vec<u8>,
}

impl std::fmt::Debug for OpenH264 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenH264")
            .field("format", &self.format)
            .field("rate", &self.rate)
            .finish_non_exhaustive()
    }
}

impl OpenH264 {
    pub fn new(format: Format, kbps: u32) -> Result<Self, EncodeError> {
        let kbps = kbps.clamp(*KBPS.start(), *KBPS.end());
        let matrix = Matrix::of(format.width, format.height);
        Ok(Self {
            encoder: encoder(format, kbps, matrix)?,
            format,
            matrix,
            rate: RateControl::new(format.width * format.height, kbps, format.fps),
            requested: 0,
            owes_key_frame: true,
            left_out: false,
            start: None,
            sampled: Vec::new(),
            bytes: Vec::new(),
        })
    }

    /// For another size or other colours; the next frame is a key frame.
    fn remake(&mut self, kbps: u32) -> Result<(), EncodeError> {
        self.encoder = encoder(self.format, kbps.clamp(*KBPS.start(), *KBPS.end()), self.matrix)?;
        self.rate.set_pixels(self.format.width * self.format.height);
        self.owes_key_frame = true;
        self.start = None;
        Ok(())
    }

    /// The mean difference of the sampled rows from those of the picture that was encoded last.
    fn difference(&self, frame: &I420) -> f64 {
        let width = self.width();
        let (mut sum, mut count) = (0_u32, 0_u32);
        for (row, before) in sampled_rows(frame, width).zip(self.sampled.chunks_exact(width)) {
            sum += row.iter().zip(before).map(|(a, b)| u32::from(a.abs_diff(*b))).sum::<u32>();
            count += self.format.width;
        }
        f64::from(sum) / f64::from(count.max(1))
    }

    fn sample(&mut self, frame: &I420) {
        self.sampled.clear();
        for row in sampled_rows(frame, self.width()) {
            self.sampled.extend_from_slice(row);
        }
    }

    fn width(&self) -> usize {
        usize::try_from(self.format.width).unwrap_or(1).max(1)
    }
}

fn sampled_rows(frame: &I420, width: usize) -> impl Iterator<Item = &[u8]> {
    let [luma, ..] = frame.planes();
    luma.chunks_exact(width).step_by(SAMPLED_ROWS)
}

fn encoder(format: Format, kbps: u32, matrix: Matrix) -> Result<Encoder, EncodeError> {
    let threads = u8::try_from(format.threads()).unwrap_or(1);
    let settings = Settings {
        width: format.width,
        height: format.height,
        fps: f32::from(u16::try_from(format.fps).unwrap_or(60)),
        bits_per_second: kbps * 1000,
        control: Control::Qp,
        qp: (*QP.start(), *QP.end()),
        screen_content: false,
        background_detection: false,
        complexity: 0,
        temporal_layers: 1,
        threads,
        slices: Slices::Count(threads),
        colour: match matrix {
            Matrix::Bt601 => 6,
            Matrix::Bt709 => 1,
        },
    };
    Encoder::new(settings).map_err(failed)
}

fn failed(source: Error) -> EncodeError {
    EncodeError { encoder: "openh264", source: source.into() }
}

impl VideoEncoder for OpenH264 {
    fn configure(&mut self, format: Format, kbps: u32) -> Result<(), EncodeError> {
        self.set_rate(kbps, format.fps)?;
        if (format.width, format.height) != (self.format.width, self.format.height) {
            self.format = format;
            self.matrix = Matrix::of(format.width, format.height);
            self.remake(kbps)?;
        }
        Ok(())
    }

    fn set_rate(&mut self, kbps: u32, fps: u32) -> Result<(), EncodeError> {
        self.format.fps = fps;
        self.rate.set_rate(kbps.clamp(*KBPS.start(), *KBPS.end()), fps);
        Ok(())
    }

    fn request_key_frame(&mut self, number: u64) {
        if number > self.requested {
            self.requested = number;
            self.owes_key_frame = true;
        }
    }

    fn encode(
        &mut self,
        frame: &I420,
        damage: &[Rect],
        at: Instant,
    ) -> Result<Option<Encoded<'_>>, EncodeError> {
        // A picture that was made smaller keeps the colours it was drawn with.
        if frame.matrix() != self.matrix {
            self.matrix = frame.matrix();
            self.remake(*KBPS.end())?;
        }
        let key = self.owes_key_frame;
        let changed = self.left_out || !damage.is_empty();
        let change = match (key, changed) {
            (true, _) => Change::Key,
            (false, true) => Change::Mean(self.difference(frame)),
            (false, false) => Change::None,
        };
        let Some(qp) = self.rate.plan(change, at) else {
            self.left_out = changed;
            return Ok(None);
        };
        self.left_out = false;
        if key || changed {
            self.sample(frame);
        }
        self.encoder.set_qp(qp).map_err(failed)?;
        if key && self.start.is_some() {
            self.encoder.request_idr().map_err(failed)?;
        }
        let start = *self.start.get_or_insert(at);
        let since = at.saturating_duration_since(start);
        let made = self.encoder.encode(frame.planes(), since, &mut self.bytes).map_err(failed)?;
        self.rate.sent(self.bytes.len());
        let key = match made {
            Frame::Idr => true,
            Frame::Delta => false,
            Frame::Skipped => return Ok(None),
        };
        let answers = key.then_some(self.requested).filter(|number| *number > 0);
        self.owes_key_frame &= !key;
        let (sharp, coarseness) = (self.rate.is_sharp(), Some(coarseness(qp)));
        Ok(Some(Encoded { key, answers, at, sharp, coarseness, bytes: &self.bytes }))
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::h264::nal_units;
    use openh264::decoder::Decoder;
    use openh264::formats::YUVSource;
    use std::time::Duration;

    const WHOLE: Rect = Rect { x: 0, y: 0, width: 320, height: 192 };

    fn scene(width: u32, height: u32, step: u32) -> I420 {
        let mut rgba = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let block = ((x + step * 5) / 24 + (y + step * 3) / 24) % 5;
                let value = u8::try_from(block * 50 + (x ^ y ^ step) % 16).expect("below 256");
                rgba.extend_from_slice(&[value, 255 - value, value / 2, 255]);
            }
        }
        let mut picture = I420::new(width, height);
        picture.update(&rgba, width as usize * 4, Rect { x: 0, y: 0, width, height });
        picture
    }

    fn encoder(fps: u32, kbps: u32) -> OpenH264 {
        OpenH264::new(Format { width: 320, height: 192, fps }, kbps).expect("an encoder")
    }

    fn encode<'a>(encoder: &'a mut OpenH264, frame: &I420, at: Instant) -> Encoded<'a> {
        encoder.encode(frame, &[WHOLE], at).expect("encodes").expect("a frame")
    }

    fn types(bytes: &[u8]) -> Vec<u8> {
        nal_units(bytes).map(|unit| unit[0] & 0x1F).collect()
    }

    #[test]
    fn a_key_frame_has_its_parameter_sets_and_only_comes_when_asked_for() {
        let mut encoder = encoder(60, 20_000);
        encoder.request_key_frame(1);
        let start = Instant::now();
        for frame in 0..90_u32 {
            if frame == 45 {
                encoder.request_key_frame(2);
            }
            let at = start + Duration::from_millis(u64::from(frame) * 17);
            // A cut in the middle of nowhere must not cause one either.
            let encoded = encode(&mut encoder, &scene(320, 192, if frame > 60 { 999 } else { frame }), at);
            let answers = match frame {
                0 => Some(1),
                45 => Some(2),
                _ => None,
            };
            assert_eq!(
                (encoded.key, encoded.answers, encoded.at),
                (answers.is_some(), answers, at),
                "frame {frame}"
            );
            assert_eq!(
                types(encoded.bytes),
                if encoded.key { vec![7, 8, 5] } else { vec![1] },
                "one slice a frame"
            );
            if frame == 0 {
                let sps = nal_units(encoded.bytes).next().expect("parameter set");
                assert_eq!(sps[1], 66, "baseline");
                assert_eq!(sps[2] & 0x40, 0x40, "constrained");
            }
        }
    }

    #[test]
    fn every_frame_decodes_to_what_was_drawn() {
        let mut encoder = encoder(60, 20_000);
        let mut decoder = Decoder::new().expect("decoder");
        let start = Instant::now();
        for step in 0..20_u32 {
            let picture = scene(320, 192, step);
            let at = start + Duration::from_millis(u64::from(step) * 17);
            let encoded = encode(&mut encoder, &picture, at);
            let decoded = decoder.decode(encoded.bytes).expect("decodes").expect("a picture");
            let (stride, _, _) = decoded.strides();
            let mut error = 0_u64;
            for y in 0..192 {
                for x in 0..320 {
                    error += u64::from(decoded.y()[y * stride + x].abs_diff(picture.y()[y * 320 + x]));
                }
            }
            assert!(error / (320 * 192) < 10, "mean error of frame {step}: {}", error / (320 * 192));
        }
    }

    #[test]
    fn half_a_second_after_the_last_change_the_picture_is_as_drawn_to_46_db_of_luma() {
        let (width, height) = (640, 360);
        let mut encoder = OpenH264::new(Format { width, height, fps: 60 }, 4000).expect("an encoder");
        let mut decoder = Decoder::new().expect("decoder");
        let mut at = Instant::now();
        for step in 0..40 {
            at += Duration::from_millis(17);
            if let Some(encoded) = encoder.encode(&scene(width, height, step), &[WHOLE], at).expect("encodes")
            {
                decoder.decode(encoded.bytes).expect("decodes");
            }
        }
        let picture = scene(width, height, 39);
        // As the video thread repeats a picture that stands still.
        let mut squares = u64::MAX;
        for ms in std::iter::once(50).chain(std::iter::repeat_n(40, 10)) {
            at += Duration::from_millis(ms);
            let Some(encoded) = encoder.encode(&picture, &[], at).expect("encodes") else { continue };
            let sharp = encoded.sharp;
            let decoded = decoder.decode(encoded.bytes).expect("decodes").expect("a picture");
            let (stride, _, _) = decoded.strides();
            let rows = decoded.y().chunks(stride).zip(picture.y().chunks(640));
            squares = rows
                .flat_map(|(seen, drawn)| seen.iter().zip(drawn))
                .map(|(seen, drawn)| u64::from(seen.abs_diff(*drawn)).pow(2))
                .sum();
            if sharp {
                break;
            }
        }
        let mean = squares as f64 / f64::from(width * height);
        let db = 10.0 * (255.0_f64.powi(2) / mean).log10();
        assert!(db >= 46.0, "{db:.1} dB");
    }

    #[test]
    fn a_frame_that_was_left_out_is_made_up_for() {
        let mut encoder = encoder(60, 100);
        let mut at = Instant::now();
        // Cut after cut is more than such a rate carries, however coarse.
        let mut steps = (0..200).map(|step| step * 40);
        let next = loop {
            let picture = scene(320, 192, steps.next().expect("one of them is left out"));
            at += Duration::from_millis(17);
            if encoder.encode(&picture, &[WHOLE], at).expect("no error").is_none() {
                break picture;
            }
        };
        let mut made_up = None;
        for _ in 0..100 {
            at += Duration::from_millis(40);
            if let Some(encoded) = encoder.encode(&next, &[], at).expect("encodes") {
                made_up = Some(encoded.bytes.len());
                break;
            }
        }
        assert!(made_up.expect("made up for") > 300, "the change itself, not its repetition");
    }
}
