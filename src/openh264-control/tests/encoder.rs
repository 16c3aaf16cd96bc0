//! A real encoder through every option, its streams read by a real decoder.

use openh264::decoder::Decoder;
use openh264::formats::YUVSource;
use playgate_openh264_control::{Control, Encoder, Error, Frame, Planes, Settings, Slices};
use proptest::prelude::*;
use std::time::Duration;

const SMALL: Settings = Settings {
    width: 192,
    height: 96,
    fps: 60.0,
    bits_per_second: 500_000,
    control: Control::Qp,
    qp: (10, 51),
    screen_content: false,
    background_detection: false,
    complexity: 0,
    temporal_layers: 1,
    threads: 1,
    slices: Slices::Count(1),
    colour: 1,
};

/// A texture that moves with `step`.
struct Picture(Vec<u8>, Vec<u8>);

impl Picture {
    fn new(settings: &Settings, step: u32) -> Self {
        let (width, height) = (settings.width, settings.height);
        let shade =
            |x: u32, y: u32| u8::try_from(((x * 7) ^ (y * 13)) % 61 + 80 + (x / 16 + y / 16) % 2 * 60);
        let luma = (0..height).flat_map(|y| (0..width).map(move |x| shade(x + step * 3, y)));
        let luma = luma.map(|shade| shade.expect("below 256")).collect();
        Self(luma, vec![128; usize::try_from(width * height / 4).expect("small")])
    }

    fn planes(&self) -> Planes<'_> {
        [&self.0, &self.1, &self.1]
    }
}

struct Bench {
    encoder: Encoder,
    settings: Settings,
    step: u32,
    bytes: Vec<u8>,
}

impl Bench {
    fn new(settings: Settings) -> Self {
        Self { encoder: Encoder::new(settings).expect("an encoder"), settings, step: 0, bytes: Vec::new() }
    }

    fn next(&mut self) -> Frame {
        self.step += 1;
        let picture = Picture::new(&self.settings, self.step);
        let at = Duration::from_millis(u64::from(self.step) * 16);
        self.encoder.encode(picture.planes(), at, &mut self.bytes).expect("encodes")
    }

    /// Mean difference of what a decoder shows from what was drawn.
    fn difference(&self, decoded: &impl YUVSource) -> u64 {
        let Picture(luma, _) = Picture::new(&self.settings, self.step);
        let (stride, _, _) = decoded.strides();
        let width = usize::try_from(self.settings.width).expect("small");
        let rows = luma.chunks(width).zip(decoded.y().chunks(stride));
        let sum: u64 = rows.flat_map(|(a, b)| a.iter().zip(b)).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        sum / u64::try_from(luma.len()).expect("small")
    }
}

fn units(bytes: &[u8]) -> Vec<u8> {
    let starts = (4..bytes.len()).filter(|at| bytes[at - 3..*at] == [0, 0, 1]);
    starts.map(|at| bytes[at]).collect()
}

#[test]
fn the_quantiser_is_what_was_asked_for_and_no_change_of_it_is_a_key_frame() {
    let mut bench = Bench::new(SMALL);
    let mut sizes = Vec::new();
    for qp in [51, 30, 12, 51] {
        bench.encoder.set_qp(qp).expect("set");
        let frames: Vec<Frame> = (0..10).map(|_| bench.next()).collect();
        assert_eq!(frames.contains(&Frame::Idr), sizes.is_empty());
        sizes.push(bench.bytes.len());
    }
    assert!(sizes[0] < sizes[1] && sizes[1] < sizes[2] && sizes[3] < sizes[1], "{sizes:?}");
}

#[test]
fn the_librarys_own_rate_follows_at_run_time_without_a_key_frame() {
    let mut bench = Bench::new(Settings { control: Control::Rate, ..SMALL });
    let mut sums = Vec::new();
    for bits in [500_000, 50_000, 500_000] {
        bench.encoder.set_rate(bits, 60.0).expect("set");
        let mut sum = 0;
        for frame in 0..240 {
            assert_eq!(bench.next() == Frame::Idr, sums.is_empty() && frame == 0);
            sum += if frame >= 120 { bench.bytes.len() } else { 0 };
        }
        sums.push(sum);
    }
    assert!(sums[0] > 2 * sums[1] && sums[2] > 2 * sums[1], "{sums:?}");
}

#[test]
fn of_two_layers_every_second_frame_can_be_dropped() {
    let mut bench = Bench::new(Settings { temporal_layers: 2, ..SMALL });
    bench.encoder.set_qp(20).expect("set");
    let mut decoder = Decoder::new().expect("a decoder");
    for frame in 0..40 {
        bench.next();
        let slice = *units(&bench.bytes).last().expect("a slice");
        assert_eq!(slice & 0x60 == 0, frame % 2 == 1, "unit {slice:#x} of frame {frame}");
        if frame % 2 == 0 {
            let decoded = decoder.decode(&bench.bytes).expect("decodes").expect("a picture");
            assert!(bench.difference(&decoded) < 5, "frame {frame} needs no other");
        }
    }
}

#[test]
fn screen_content_in_more_layers_than_the_library_has_references_for_is_encoded() {
    let mut bench = Bench::new(Settings { temporal_layers: 4, screen_content: true, ..SMALL });
    let mut decoder = Decoder::new().expect("a decoder");
    for frame in 0..20 {
        bench.next();
        assert!(decoder.decode(&bench.bytes).is_ok(), "frame {frame}");
    }
}

#[test]
fn slices_come_by_number_and_by_size() {
    let wide = Settings { width: 640, height: 384, ..SMALL };
    let mut bench = Bench::new(Settings { threads: 2, slices: Slices::Count(2), ..wide });
    bench.encoder.set_qp(20).expect("set");
    bench.next();
    bench.next();
    assert_eq!(units(&bench.bytes).len(), 2);
    let mut bench = Bench::new(Settings { slices: Slices::Bytes(1000), ..wide });
    bench.encoder.set_qp(20).expect("set");
    bench.next();
    assert!(units(&bench.bytes).len() > 5, "{} units", units(&bench.bytes).len());
}

#[test]
fn what_cannot_be_had_is_an_error() {
    for (width, height) in [(0, 0), (15, 16), (17, 16), (16, 4000), (3842, 16), (u32::MAX, u32::MAX)] {
        assert_eq!(Encoder::new(Settings { width, height, ..SMALL }).err(), Some(Error::Size));
    }
    let mut encoder = Encoder::new(SMALL).expect("an encoder");
    let short: Planes<'_> = [&[0; 100], &[0; 100], &[]];
    assert_eq!(encoder.encode(short, Duration::ZERO, &mut Vec::new()), Err(Error::Planes));
}

fn any_settings() -> impl Strategy<Value = Settings> {
    let sizes = prop_oneof![(8u32..40, 8u32..40), (1u32..400, 1u32..200)];
    let flags = any::<[bool; 3]>();
    let slices = prop_oneof![
        any::<u8>().prop_map(Slices::Count),
        any::<u32>().prop_map(Slices::Bytes),
        (900u32..4000).prop_map(Slices::Bytes)
    ];
    (sizes, any::<(f32, u32, u8, u8)>(), any::<(u8, u8, u8)>(), flags, slices, any::<u8>()).prop_map(
        |((columns, rows), (fps, bits_per_second, low, high), numbers, flags, slices, colour)| Settings {
            width: columns * 2,
            height: rows * 2,
            fps,
            bits_per_second,
            control: if flags[0] { Control::Rate } else { Control::Qp },
            qp: (low % 60, high % 60),
            screen_content: flags[1],
            background_detection: flags[2],
            complexity: numbers.0,
            temporal_layers: numbers.1 % 6,
            threads: numbers.2 % 6,
            slices,
            colour,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// No panic, no crash, and a stream that a decoder reads: an encoder whose state had suffered would show in it.
    #[test]
    fn any_calls_with_any_values_are_answered(
        settings in any_settings(),
        calls in prop::collection::vec((0u8..6, any::<u32>(), any::<f32>(), any::<u64>()), 1..25),
    ) {
        let Ok(mut encoder) = Encoder::new(settings) else { return Ok(()) };
        let mut decoder = Decoder::new().expect("a decoder");
        let mut bytes = Vec::new();
        let mut broken = false;
        for (call, number, real, long) in calls {
            let low = u8::try_from(number & 0xff).expect("a byte");
            let result = match call {
                0 => encoder.set_rate(number, real),
                1 => encoder.set_qp(low),
                2 => encoder.request_idr(),
                _ => {
                    let picture = Picture::new(&settings, number % 1000);
                    let at = Duration::from_millis(long);
                    encoder.encode(picture.planes(), at, &mut bytes).map(|frame| {
                        assert_eq!(bytes.is_empty(), frame == Frame::Skipped);
                        if frame == Frame::Idr {
                            assert!(decoder.decode(&bytes).is_ok(), "a key frame decodes");
                        }
                    })
                }
            };
            prop_assert!(!broken || result == Err(Error::Broken));
            broken |= result.is_err();
        }
    }
}
