//! What every encoder behind the port must keep, as one suite for all of them: [`run`] panics with what is broken.
//!
//! For tests of this library and of programs that bring their own encoders. Scenes are small, because software encoders of
//! some codecs are slow; times are those of the frames and not of a clock.

use super::{Codec, Encoded, Format, MakeEncoder, VideoEncoder};
use crate::games::Rect;
use crate::h264::{self, nal_units};
use crate::runner::i420::I420;
use std::time::{Duration, Instant};

const SMALL: Format = Format { width: 320, height: 180, fps: 30 };
const HD: Format = Format { width: 1280, height: 720, fps: 30 };
/// The rate is held over windows of this length, but for as long after a key frame or a step.
const WINDOW: Duration = Duration::from_secs(2);

/// The whole suite.
pub fn run(makers: &dyn MakeEncoder) {
    // Drawn once: they take longer to draw than to encode.
    let scenes: Vec<I420> = (0..SCENES).map(|step| scene(SMALL, step)).collect();
    key_frames_come_when_asked_for_and_at_no_other_time(makers, &scenes);
    another_size_is_a_key_frame_and_another_rate_is_none(makers, &scenes);
    the_rate_holds(makers, &scenes);
    a_still_picture_costs_little(makers, &scenes);
    high_definition_is_bt_709(makers);
}

/// Pictures of a scene that moves forth and back.
const SCENES: u32 = 48;

/// One encoded frame, kept.
struct Kept {
    at: Duration,
    key: bool,
    answers: Option<u64>,
    bytes: usize,
}

/// An encoder, a clock of frames, and what came out.
struct Bench<'a> {
    scenes: &'a [I420],
    encoder: Box<dyn VideoEncoder>,
    codec: Codec,
    format: Format,
    start: Instant,
    now: Duration,
    step: usize,
    kept: Vec<Kept>,
}

impl<'a> Bench<'a> {
    fn new(makers: &dyn MakeEncoder, format: Format, kbps: u32, scenes: &'a [I420]) -> Self {
        let encoder = makers.make(format, kbps).expect("an encoder");
        let (start, now) = (Instant::now(), Duration::ZERO);
        Self { scenes, encoder, codec: makers.codec(), format, start, now, step: 0, kept: Vec::new() }
    }

    fn frame(&mut self, frame: &I420, damage: &[Rect]) {
        self.now += Duration::from_secs(1) / self.format.fps;
        let (codec, start, at) = (self.codec, self.start, self.start + self.now);
        let encoded = self.encoder.encode(frame, damage, at).expect("a frame, or none");
        let kept = encoded.map(|encoded| keep(codec, start, &encoded));
        if let Some(last) = self.kept.last() {
            assert!(
                kept.iter().all(|kept| kept.at > last.at),
                "frames leave in the order in which they came"
            );
        }
        self.kept.extend(kept);
    }

    fn whole(&self) -> Rect {
        Rect { x: 0, y: 0, width: self.format.width, height: self.format.height }
    }

    /// So many frames of a scene that moves.
    fn moving(&mut self, frames: u32) {
        for _ in 0..frames {
            self.step += 1;
            self.frame(self.picture(), &[self.whole()]);
        }
    }

    fn picture(&self) -> &'a I420 {
        let (last, at) = (self.scenes.len() - 1, self.step % (2 * (self.scenes.len() - 1)).max(1));
        &self.scenes[at.min(2 * last - at)]
    }

    fn keys(&self) -> usize {
        self.kept.iter().filter(|kept| kept.key).count()
    }
}

fn keep(codec: Codec, start: Instant, encoded: &Encoded<'_>) -> Kept {
    assert!(!encoded.bytes.is_empty(), "a frame has bytes");
    assert!(encoded.key || encoded.answers.is_none(), "only a key frame answers requests");
    match codec {
        Codec::H264 => {
            for unit in nal_units(encoded.bytes) {
                assert!(!h264::is_b_slice(unit) || !matches!(unit[0] & 0x1f, 1 | 5), "no B-frames");
            }
            let has = |kind| nal_units(encoded.bytes).any(|unit| unit[0] & 0x1f == kind);
            assert_eq!(has(5), encoded.key, "an IDR frame is a key frame");
            assert!(!encoded.key || (has(7) && has(8)), "a key frame has its parameter sets");
        }
        // These have no B-frames, and say by themselves what a key frame is: the encoder reads it from them.
        Codec::Vp8 | Codec::Vp9 | Codec::Av1 => {}
    }
    Kept { at: encoded.at - start, key: encoded.key, answers: encoded.answers, bytes: encoded.bytes.len() }
}

/// Stripes of a texture that move at several speeds, over blocks that stand still.
fn scene(format: Format, step: u32) -> I420 {
    let (width, height) = (format.width, format.height);
    let mut rgba = Vec::new();
    for y in 0..height {
        let x0 = if y / 32 % 3 == 0 { 0 } else { step * (1 + y / 32 % 4) };
        for x in 0..width {
            let (column, row) = ((x + x0) / 3, y / 3);
            let grain = (column.wrapping_mul(0x9e37_79b9) ^ row.wrapping_mul(0x85eb_ca6b)) >> 26;
            let shade = u8::try_from(((x + x0) / 20 + y / 20) % 5 * 40 + grain).unwrap_or(u8::MAX);
            rgba.extend_from_slice(&[shade, shade / 2 + 60, 255 - shade, 255]);
        }
    }
    let mut picture = I420::new(width, height);
    let stride = usize::try_from(width).unwrap_or(0) * 4;
    picture.update(&rgba, stride, Rect { x: 0, y: 0, width, height });
    picture
}

fn key_frames_come_when_asked_for_and_at_no_other_time(makers: &dyn MakeEncoder, scenes: &[I420]) {
    let mut bench = Bench::new(makers, SMALL, 2000, scenes);
    bench.moving(30);
    assert_eq!((bench.keys(), bench.kept.first().map(|kept| kept.key)), (1, Some(true)), "one, and first");
    for number in [3, 4, 9] {
        bench.encoder.request_key_frame(number);
        // The same request by another way.
        bench.encoder.request_key_frame(number);
        bench.moving(20);
        bench.encoder.request_key_frame(number);
        bench.moving(10);
        let answers = bench.kept.iter().filter_map(|kept| kept.answers).next_back();
        assert_eq!(answers, Some(number));
    }
    // A cut is none.
    bench.step += 24;
    bench.moving(30);
    assert_eq!(bench.keys(), 4, "a request is one key frame");
    assert!(bench.kept.len() > 100, "few frames are left out: {} of 150", bench.kept.len());
}

fn another_size_is_a_key_frame_and_another_rate_is_none(makers: &dyn MakeEncoder, scenes: &[I420]) {
    let mut bench = Bench::new(makers, SMALL, 8000, scenes);
    bench.moving(10);
    for _ in 0..5 {
        bench.encoder.set_rate(1000, 30).expect("a lower rate");
        bench.moving(20);
        // A link that recovers says so in many small steps.
        for kbps in (1000..8000).step_by(250) {
            bench.encoder.set_rate(kbps, 30).expect("a higher rate");
            bench.moving(1);
        }
        bench.encoder.configure(SMALL, 8000).expect("the same size");
        bench.moving(20);
    }
    assert_eq!(bench.keys(), 1, "no rate is a key frame");
    let small = Format { width: 160, height: 90, fps: 30 };
    let scenes = [scene(small, 0), scene(small, 1)];
    let mut bench = Bench { scenes: &scenes, format: small, ..bench };
    bench.encoder.configure(bench.format, 2000).expect("another size");
    bench.moving(5);
    assert_eq!(bench.keys(), 2, "another size is one");
}

fn the_rate_holds(makers: &dyn MakeEncoder, scenes: &[I420]) {
    let mut bench = Bench::new(makers, SMALL, 1200, scenes);
    for (kbps, fps) in [(1200, 30), (400, 30), (900, 30), (600, 15)] {
        bench.format.fps = fps;
        bench.encoder.set_rate(kbps, fps).expect("a rate");
        let (from, first) = (bench.now, bench.kept.len());
        bench.moving(210);
        let after = &bench.kept[first..];
        for window in after.iter().map(|kept| kept.at) {
            if window < from + WINDOW || window + WINDOW > bench.now {
                continue;
            }
            let inside = after.iter().filter(|kept| kept.at >= window && kept.at < window + WINDOW);
            let bits = inside.map(|kept| kept.bytes * 8).sum::<usize>();
            let most = usize::try_from(kbps).unwrap_or(0) * 2200;
            assert!(bits <= most, "{bits} bits in two seconds from {window:?} on at {kbps} kbit/s");
        }
    }
    assert_eq!(bench.keys(), 1);
}

fn a_still_picture_costs_little(makers: &dyn MakeEncoder, scenes: &[I420]) {
    let mut bench = Bench::new(makers, SMALL, 2000, scenes);
    bench.moving(30);
    let picture = bench.picture();
    for _ in 0..90 {
        bench.frame(picture, &[]);
    }
    let first = bench.kept.len();
    for _ in 0..10 {
        bench.now += Duration::from_secs(1);
        bench.frame(picture, &[]);
    }
    let largest = bench.kept[first..].iter().map(|kept| kept.bytes).max().unwrap_or(0);
    assert!(largest <= 1500, "a repeated picture of {largest} bytes");
}

fn high_definition_is_bt_709(makers: &dyn MakeEncoder) {
    let mut bench = Bench::new(makers, HD, 8000, &[]);
    let picture = I420::new(HD.width, HD.height);
    let encoded = bench.encoder.encode(&picture, &[bench.whole()], bench.start).expect("encodes");
    match (bench.codec, encoded) {
        // An encoder may give its first frame only with the second.
        (_, None) => {}
        (Codec::H264, Some(encoded)) => {
            let sets = nal_units(encoded.bytes).find(|unit| unit[0] & 0x1f == 7);
            let matrix = sets.and_then(h264::SpsFacts::parse).and_then(|facts| facts.matrix);
            assert_eq!(matrix, Some(1), "BT.709");
        }
        // No parser of ours reads what they say of colours.
        (Codec::Vp8 | Codec::Vp9 | Codec::Av1, Some(_)) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::open_h264::MakeOpenH264;

    #[test]
    fn openh264_keeps_what_every_encoder_must() {
        super::run(&MakeOpenH264);
    }
}
