//! A key frame as a small JPEG. Works on a game's bytes: only ever called in the child process, and in tests.
//!
//! Only parameter sets and IDR slices reach the decoder, and only when they promise a picture of a size we decode.

use crate::h264::{NAL_IDR, NAL_PPS, NAL_SPS, SpsFacts, nal_type, nal_units};
use jpeg_encoder::{Encoder, EncodingError, ImageBuffer, JpegColorType, SamplingFactor};
use openh264::OpenH264API;
use openh264::decoder::{Decoder, DecoderConfig, Flush};
use openh264::formats::YUVSource;

/// Widest picture, in pixels; a smaller one keeps its size.
pub const WIDTH: usize = 640;
/// And the highest, of one that is no screen.
const HEIGHT: usize = 2 * WIDTH;
/// Largest picture decoded, in pixels: the frame size of level 5.1 (ITU-T H.264 table A-1).
const MAX_PIXELS: u64 = 36_864 * 256;
/// Of 100.
const QUALITY: u8 = 80;

#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    #[error("no key frame with its parameter sets")]
    NoKeyFrame,
    #[error("a parameter set cannot be read")]
    ParameterSet,
    #[error("a picture of {0} pixels is too large")]
    TooLarge(u64),
    #[error("the picture cannot be decoded")]
    Decode(#[from] openh264::Error),
    #[error("the decoder gave no picture")]
    Nothing,
    #[error("the picture cannot be written")]
    Encode(#[from] EncodingError),
}

/// `matrix_coefficients` of BT.709 (ITU-T H.264 table E-5).
const BT709: u8 = 1;

/// One key frame in Annex B form, at most [`WIDTH`] wide, as JPEG, whose colours are BT.601 (ITU-T T.871). Those of the
/// stream are taken for BT.709 where it says so, else for BT.601; of limited range.
pub fn jpeg(annex_b: &[u8]) -> Result<Vec<u8>, PictureError> {
    let wanted = wanted(annex_b)?;
    let hd = nal_units(&wanted).find_map(SpsFacts::parse).is_some_and(|sps| sps.matrix == Some(BT709));
    let config = DecoderConfig::new().flush_after_decode(Flush::NoFlush);
    let mut decoder = Decoder::with_api_config(OpenH264API::from_source(), config)?;
    // A decoder that waits for pictures to reorder gives it at the flush.
    let small = decoder.decode(&wanted)?.and_then(|picture| Small::of(&picture));
    let mut small = match small {
        Some(small) => small,
        None => decoder.flush_remaining()?.first().and_then(Small::of).ok_or(PictureError::Nothing)?,
    };
    if hd {
        small.bt709_to_bt601();
    }
    let mut jpeg = Vec::new();
    let mut encoder = Encoder::new(&mut jpeg, QUALITY);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder.encode_image(small)?;
    Ok(jpeg)
}

/// What the decoder is given of a stream.
pub(crate) fn wanted(annex_b: &[u8]) -> Result<Vec<u8>, PictureError> {
    let mut wanted = Vec::with_capacity(annex_b.len());
    let (mut sets, mut slices) = (0, 0);
    for unit in nal_units(annex_b) {
        match nal_type(unit) {
            NAL_SPS => {
                let facts = SpsFacts::parse(unit).ok_or(PictureError::ParameterSet)?;
                if facts.coded_pixels > MAX_PIXELS {
                    return Err(PictureError::TooLarge(facts.coded_pixels));
                }
                sets += 1;
            }
            NAL_PPS => {}
            NAL_IDR => slices += 1,
            _ => continue,
        }
        wanted.extend_from_slice(&[0, 0, 0, 1]);
        wanted.extend_from_slice(unit);
    }
    if sets == 0 || slices == 0 {
        return Err(PictureError::NoKeyFrame);
    }
    Ok(wanted)
}

/// A picture of the size it is shown in, of full range: luma and both differences, each for every pixel.
struct Small {
    width: usize,
    height: usize,
    planes: [Vec<u8>; 3],
}

/// One plane of a decoded picture.
struct Plane<'a> {
    samples: &'a [u8],
    stride: usize,
    width: usize,
    height: usize,
}

impl Small {
    /// `None` of a picture without pixels.
    fn of(picture: &impl YUVSource) -> Option<Self> {
        let (width, height) = picture.dimensions();
        if width == 0 || height == 0 {
            return None;
        }
        let (to_width, to_height) = fit(width, height);
        let (y_stride, u_stride, v_stride) = picture.strides();
        let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
        let luma = Plane { samples: picture.y(), stride: y_stride, width, height };
        let chroma = |samples, stride| Plane { samples, stride, width: half_width, height: half_height };
        let planes = [
            luma.scaled(to_width, to_height, |y| full_range(y, 16, 219, 0)),
            chroma(picture.u(), u_stride).scaled(to_width, to_height, |c| full_range(c, 128, 224, 128)),
            chroma(picture.v(), v_stride).scaled(to_width, to_height, |c| full_range(c, 128, 224, 128)),
        ];
        Some(Self { width: to_width, height: to_height, planes })
    }

    /// The same colours by the other matrix: back to red, green and blue and from there, as one step.
    fn bt709_to_bt601(&mut self) {
        let [y, u, v] = &mut self.planes;
        for ((y, u), v) in y.iter_mut().zip(u).zip(v) {
            let (cb, cr) = (i32::from(*u) - 128, i32::from(*v) - 128);
            let byte = |middle: i32, thousandths: i32| {
                u8::try_from((middle + (thousandths + 500).div_euclid(1000)).clamp(0, 255)).unwrap_or(0)
            };
            *y = byte(i32::from(*y), 102 * cb + 196 * cr);
            *u = byte(128, 990 * cb - 111 * cr);
            *v = byte(128, 983 * cr - 72 * cb);
        }
    }
}

/// The size in which a picture is shown: smaller, never larger, of the same shape.
fn fit(width: usize, height: usize) -> (usize, usize) {
    let (mut to_width, mut to_height) = (width, height);
    if to_width > WIDTH {
        (to_width, to_height) = (WIDTH, (height * WIDTH + width / 2) / width);
    }
    if to_height > HEIGHT {
        (to_width, to_height) = ((to_width * HEIGHT + to_height / 2) / to_height, HEIGHT);
    }
    (to_width.max(1), to_height.max(1))
}

/// A sample of limited range (`zero` is none, `span` from none to all) as one of full range around `middle`.
fn full_range(sample: u8, zero: i32, span: i32, middle: i32) -> u8 {
    let scaled = (i32::from(sample) - zero) * 255;
    let rounded = (scaled + scaled.signum() * span / 2) / span;
    u8::try_from((rounded + middle).clamp(0, 255)).unwrap_or(0)
}

impl Plane<'_> {
    /// The mean of the samples each new one covers, or the sample it lies in.
    fn scaled(&self, width: usize, height: usize, range: impl Fn(u8) -> u8) -> Vec<u8> {
        let ranges: Vec<u8> = (0..=255).map(range).collect();
        let columns: Vec<_> = (0..width).map(|x| covered(x, width, self.width)).collect();
        let mut scaled = Vec::with_capacity(width * height);
        for y in 0..height {
            let rows = covered(y, height, self.height);
            for columns in &columns {
                let (mut sum, mut count) = (0_usize, 0_usize);
                for row in rows.clone() {
                    let row = row * self.stride;
                    let samples =
                        self.samples.get(row + columns.start..row + columns.end).unwrap_or_default();
                    sum += samples.iter().map(|sample| usize::from(*sample)).sum::<usize>();
                    count += samples.len();
                }
                let mean = sum.checked_div(count).unwrap_or_default();
                scaled.push(ranges.get(mean).copied().unwrap_or_default());
            }
        }
        scaled
    }
}

/// The old samples that the new one at `at` of `new` covers, at least one.
fn covered(at: usize, new: usize, old: usize) -> std::ops::Range<usize> {
    let start = (at * old / new).min(old.saturating_sub(1));
    let end = ((at + 1) * old / new).clamp(start + 1, old.max(start + 1));
    start..end
}

impl ImageBuffer for Small {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        u16::try_from(self.width).unwrap_or(u16::MAX)
    }

    fn height(&self) -> u16 {
        u16::try_from(self.height).unwrap_or(u16::MAX)
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let row = usize::from(y) * self.width;
        for (plane, buffer) in self.planes.iter().zip(buffers) {
            buffer.extend_from_slice(plane.get(row..row + self.width).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::games::Rect;
    use crate::runner::encoder::open_h264::OpenH264;
    use crate::runner::encoder::{Format, VideoEncoder};
    use crate::runner::i420::I420;
    use proptest::prelude::*;
    use std::time::Instant;

    /// A key frame of red beside blue.
    fn key_frame(width: u32, height: u32) -> Vec<u8> {
        let pixel = |x: u32| if x < width / 2 { [220, 20, 20, 255] } else { [20, 20, 220, 255] };
        let rgba: Vec<u8> = (0..height).flat_map(|_| (0..width).flat_map(pixel)).collect();
        let mut picture = I420::new(width, height);
        picture.update(&rgba, width as usize * 4, Rect { x: 0, y: 0, width, height });
        let mut encoder = OpenH264::new(Format::of(&picture, 30), 4000).unwrap();
        encoder.encode(&picture, &[], Instant::now()).unwrap().unwrap().bytes.to_vec()
    }

    /// Width and height, of the frame header (ITU-T T.81, B.2.2).
    fn size(jpeg: &[u8]) -> (u16, u16) {
        let mut rest = &jpeg[2..];
        while rest[1] != 0xc0 {
            rest = &rest[2 + usize::from(u16::from_be_bytes([rest[2], rest[3]]))..];
        }
        (u16::from_be_bytes([rest[7], rest[8]]), u16::from_be_bytes([rest[5], rest[6]]))
    }

    #[test]
    fn pictures_keep_their_shape_and_are_never_enlarged() {
        for (from, to) in [
            ((1280, 720), (640, 360)),
            ((1920, 1080), (640, 360)),
            ((320, 180), (320, 180)),
            ((1366, 768), (640, 360)),
            ((720, 1280), (640, 1138)),
            ((16, 4096), (5, 1280)),
            ((4096, 16), (640, 3)),
        ] {
            assert_eq!(fit(from.0, from.1), to, "{from:?}");
        }
    }

    #[test]
    fn a_key_frame_becomes_a_jpeg_of_its_shape() {
        for ((width, height), expected) in
            [((1280, 720), (640, 360)), ((320, 180), (320, 180)), ((636, 358), (636, 358))]
        {
            let jpeg = jpeg(&key_frame(width, height)).unwrap();
            assert!(jpeg.starts_with(&[0xff, 0xd8]) && jpeg.ends_with(&[0xff, 0xd9]));
            assert_eq!(size(&jpeg), expected);
        }
    }

    #[test]
    fn colours_and_range_are_kept_of_both_matrices() {
        for (width, height) in [(1280, 720), (640, 360)] {
            let mut decoder = Decoder::new().unwrap();
            let stream = key_frame(width, height);
            let mut small = Small::of(&decoder.decode(&stream).unwrap().unwrap()).unwrap();
            let told = SpsFacts::parse(nal_units(&stream).next().unwrap()).unwrap().matrix;
            assert_eq!(told == Some(BT709), height >= 720);
            if told == Some(BT709) {
                small.bt709_to_bt601();
            }
            let at = |x: usize| small.planes.each_ref().map(|plane| i32::from(plane[100 * small.width + x]));
            for (x, rgb) in [(100, [220.0, 20.0, 20.0]), (500, [20.0, 20.0, 220.0_f64])] {
                // ITU-T T.871, section 7.
                let [y, u, v] = at(x).map(f64::from);
                let shown = [
                    y + 1.402 * (v - 128.0),
                    y - 0.344 * (u - 128.0) - 0.714 * (v - 128.0),
                    y + 1.772 * (u - 128.0),
                ];
                for (shown, drawn) in shown.iter().zip(rgb) {
                    assert!((shown - drawn).abs() < 8.0, "{shown:?} for {rgb:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_key_frame_is_refused_and_nothing_else_reaches_the_decoder() {
        assert!(matches!(jpeg(&[]), Err(PictureError::NoKeyFrame)));
        assert!(matches!(jpeg(&[0, 0, 0, 1, 0x65, 1, 2, 3]), Err(PictureError::NoKeyFrame)));
        assert!(matches!(jpeg(&[0, 0, 0, 1, 0x67, 1]), Err(PictureError::ParameterSet)));
        let mut garbage = key_frame(320, 180);
        let at = garbage.len() - garbage.len() / 3;
        garbage.truncate(at / 4);
        garbage.extend([0xa5; 300]);
        // An error or a picture in pieces; no end of this process.
        let _ = jpeg(&garbage);
        let stream =
            [&[0, 0, 1, 0x09, 0xf0, 0, 0, 1, 0x06, 5, 1, 9, 0x80], key_frame(64, 64).as_slice()].concat();
        let kinds: Vec<u8> = nal_units(&wanted(&stream).unwrap()).map(nal_type).collect();
        assert_eq!(kinds, [NAL_SPS, NAL_PPS, NAL_IDR]);
    }

    #[test]
    fn a_set_that_promises_a_huge_picture_is_refused_before_it_is_decoded() {
        // Baseline 5.1, order type 2, one reference, 513 by 513 macroblocks: ue(512) is 0000000001000000001.
        let bits = concat!(
            "1",
            "1",
            "011",
            "010",
            "0",
            "0000000001000000001",
            "0000000001000000001",
            "1",
            "1",
            "0",
            "0",
            "1"
        );
        let mut nal = vec![0x67, 66, 0xc0, 51];
        let padded = format!("{bits:0<72}");
        nal.extend(
            padded.as_bytes().chunks(8).map(|byte| byte.iter().fold(0, |sum, bit| sum << 1 | (bit - b'0'))),
        );
        let stream = [&[0, 0, 0, 1], nal.as_slice(), &[0, 0, 0, 1, 0x65, 0x88]].concat();
        assert!(matches!(jpeg(&stream), Err(PictureError::TooLarge(pixels)) if pixels == 513 * 513 * 256));
    }

    proptest! {
        #[test]
        fn any_plane_scales_to_any_size(width in 1usize..70, height in 1usize..70, to_width in 1usize..70, to_height in 1usize..70) {
            let samples: Vec<u8> = (0..width * height).map(|n| (n % 256) as u8).collect();
            let plane = Plane { samples: &samples, stride: width, width, height };
            let scaled = plane.scaled(to_width, to_height, |sample| sample);
            prop_assert_eq!(scaled.len(), to_width * to_height);
            if (width, height) == (to_width, to_height) {
                prop_assert_eq!(scaled, samples);
            }
        }

        #[test]
        fn any_bytes_are_wanted_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = wanted(&bytes);
        }
    }
}
