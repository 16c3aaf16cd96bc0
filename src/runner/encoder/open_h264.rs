//! H.264 by openh264: constrained baseline, one slice, one thread, key frames only when asked for.
//!
//! **Bitrate at run time.** The safe interface of the crate fixes the bitrate when the encoder is made, and making a new
//! one costs a key frame at the worst moment. Its rate control by timestamps, however, budgets bits per *elapsed time*,
//! and the time is what we tell it: an encoder built for `base` kbit/s whose clock runs at `kbps / base` of the real one
//! spends `kbps`. Only a wish above the base, or far below it, makes a new encoder.

use super::{Codec, EncodeError, Encoded, Format, KBPS, MakeEncoder, VideoEncoder};
use crate::games::Rect;
use crate::runner::i420::{I420, Matrix};
use openh264::encoder::{
    BitRate, Complexity, Encoder, EncoderConfig, FrameRate, FrameType, IntraFramePeriod, Profile, QpRange,
    RateControlMode, SpsPpsStrategy, UsageType, VuiConfig,
};
use openh264::{OpenH264API, Timestamp};
use std::time::{Duration, Instant};

/// Slowest encoder clock: below this the millisecond timestamps of 60 frames a second would run into each other.
const SLOWEST: f64 = 0.1;
/// The encoder takes a longer gap than a second for one frame's time.
const LONGEST_GAP: Duration = Duration::from_millis(1000);

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

/// An encoder for one picture size.
pub struct OpenH264 {
    encoder: Encoder,
    format: Format,
    base_kbps: u32,
    kbps: u32,
    /// The newest request, and whether a key frame has yet to answer it.
    requested: u64,
    owes_key_frame: bool,
    /// The colours that its parameter sets tell of.
    matrix: Matrix,
    clock_ms: f64,
    last: Option<Instant>,
    bytes: Vec<u8>,
}

impl std::fmt::Debug for OpenH264 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenH264")
            .field("format", &self.format)
            .field("kbps", &self.kbps)
            .finish_non_exhaustive()
    }
}

impl OpenH264 {
    pub fn new(format: Format, kbps: u32) -> Result<Self, EncodeError> {
        Self::with_matrix(format, kbps, Matrix::of(format.width, format.height))
    }

    fn with_matrix(format: Format, kbps: u32, matrix: Matrix) -> Result<Self, EncodeError> {
        let kbps = kbps.clamp(*KBPS.start(), *KBPS.end());
        let fps = f32::from(u16::try_from(format.fps).unwrap_or(60).max(1));
        let config = EncoderConfig::new()
            .bitrate(BitRate::from_bps(kbps * 1000))
            .max_frame_rate(FrameRate::from_hz(fps))
            .rate_control_mode(RateControlMode::Timestamp)
            .skip_frames(false)
            .profile(Profile::Baseline)
            .usage_type(UsageType::CameraVideoRealTime)
            .complexity(Complexity::Low)
            // Fine enough for flat colours and type to look clean, coarse enough to survive a thin link.
            .qp(QpRange::new(14, 42))
            .scene_change_detect(false)
            .adaptive_quantization(false)
            .background_detection(true)
            .intra_frame_period(IntraFramePeriod::from_num_frames(0))
            .sps_pps_strategy(SpsPpsStrategy::ConstantId)
            .num_threads(1)
            .vui(match matrix {
                Matrix::Bt601 => VuiConfig::bt601(),
                Matrix::Bt709 => VuiConfig::bt709(),
            });
        let encoder = Encoder::with_api_config(OpenH264API::from_source(), config).map_err(failed)?;
        Ok(Self {
            encoder,
            format,
            base_kbps: kbps,
            kbps,
            requested: 0,
            owes_key_frame: false,
            matrix,
            clock_ms: 1.0,
            last: None,
            bytes: Vec::new(),
        })
    }

    /// Starts over: the next frame is a key frame, and answers what was asked for.
    fn remake(&mut self, format: Format, kbps: u32) -> Result<(), EncodeError> {
        let (requested, owes_key_frame) = (self.requested, self.owes_key_frame);
        *self = Self { requested, owes_key_frame, ..Self::with_matrix(format, kbps, self.matrix)? };
        Ok(())
    }
}

fn failed(source: openh264::Error) -> EncodeError {
    EncodeError { encoder: "openh264", source: source.into() }
}

impl VideoEncoder for OpenH264 {
    fn configure(&mut self, format: Format, kbps: u32) -> Result<(), EncodeError> {
        if (format.width, format.height) == (self.format.width, self.format.height) {
            return self.set_rate(kbps, format.fps);
        }
        self.remake(format, kbps)
    }

    fn set_rate(&mut self, kbps: u32, fps: u32) -> Result<(), EncodeError> {
        let kbps = kbps.clamp(*KBPS.start(), *KBPS.end());
        self.format.fps = fps;
        if kbps > self.base_kbps || f64::from(kbps) < f64::from(self.base_kbps) * SLOWEST {
            return self.remake(self.format, kbps);
        }
        self.kbps = kbps;
        Ok(())
    }

    fn request_key_frame(&mut self, number: u64) {
        if number <= self.requested {
            return;
        }
        self.requested = number;
        self.owes_key_frame = true;
        // Before its first frame the encoder is not initialised, and that frame is an IDR frame anyway.
        if self.last.is_some() {
            self.encoder.force_intra_frame();
        }
    }

    fn encode(
        &mut self,
        frame: &I420,
        _damage: &[Rect],
        at: Instant,
    ) -> Result<Option<Encoded<'_>>, EncodeError> {
        // A picture that was made smaller keeps the colours it was drawn with.
        if frame.matrix() != self.matrix {
            self.matrix = frame.matrix();
            self.remake(self.format, self.kbps)?;
        }
        if let Some(last) = self.last {
            let gap = at.saturating_duration_since(last).min(LONGEST_GAP);
            let speed = f64::from(self.kbps) / f64::from(self.base_kbps);
            // A millisecond at least: the encoder would take equal times for a whole frame's.
            self.clock_ms += (gap.as_secs_f64() * 1000.0 * speed).max(1.0);
        }
        self.last = Some(at);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "positive, centuries below 2^53"
        )]
        let timestamp = Timestamp::from_millis(self.clock_ms as u64);
        let stream = self.encoder.encode_at(frame, timestamp).map_err(failed)?;
        let key = match stream.frame_type() {
            FrameType::IDR => true,
            FrameType::I | FrameType::P | FrameType::IPMixed => false,
            FrameType::Skip => return Ok(None),
            FrameType::Invalid => return Err(failed(openh264::Error::msg("it gave no frame"))),
        };
        let answers = (key && std::mem::take(&mut self.owes_key_frame)).then_some(self.requested);
        self.bytes.clear();
        stream.write_vec(&mut self.bytes);
        Ok(Some(Encoded { key, answers, at, bytes: &self.bytes }))
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::h264::nal_units;
    use openh264::decoder::Decoder;
    use openh264::formats::YUVSource;

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
        encoder.encode(frame, &[], at).expect("encodes").expect("a frame")
    }

    fn types(bytes: &[u8]) -> Vec<u8> {
        nal_units(bytes).map(|unit| unit[0] & 0x1F).collect()
    }

    #[test]
    fn a_key_frame_has_its_parameter_sets_and_only_comes_when_asked_for() {
        let mut encoder = encoder(60, 2000);
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
        let mut encoder = encoder(60, 8000);
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

    /// Bytes of three seconds at a bitrate, after two seconds to settle.
    fn settled_kbps(encoder: &mut OpenH264, from: &mut Instant, step: &mut u32) -> u64 {
        let mut bytes = 0;
        for frame in 0..150 {
            *from += Duration::from_micros(33_333);
            *step += 1;
            let encoded = encode(encoder, &scene(320, 192, *step), *from);
            assert!(!encoded.key, "no key frame");
            if frame >= 60 {
                bytes += encoded.bytes.len() as u64;
            }
        }
        bytes * 8 / 3000
    }

    #[test]
    fn the_bitrate_follows_at_run_time_without_a_key_frame() {
        let mut encoder = encoder(30, 1500);
        let (mut at, mut step) = (Instant::now(), 0);
        encode(&mut encoder, &scene(320, 192, 0), at);
        let full = settled_kbps(&mut encoder, &mut at, &mut step);
        encoder.set_rate(500, 30).expect("set");
        let third = settled_kbps(&mut encoder, &mut at, &mut step);
        encoder.set_rate(1500, 30).expect("set");
        let again = settled_kbps(&mut encoder, &mut at, &mut step);
        assert!((300..=700).contains(&third), "{full} then {third} then {again} kbit/s");
        assert!(full > 2 * third && again > 2 * third, "{full} then {third} then {again} kbit/s");
    }

    #[test]
    fn a_bitrate_above_the_base_starts_over_with_a_key_frame() {
        let mut encoder = encoder(60, 1000);
        let at = Instant::now();
        encode(&mut encoder, &scene(320, 192, 0), at);
        encoder.set_rate(5000, 60).expect("set");
        assert!(encode(&mut encoder, &scene(320, 192, 1), at + Duration::from_millis(17)).key);
    }
}
