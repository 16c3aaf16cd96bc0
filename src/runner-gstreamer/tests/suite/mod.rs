//! What every encoder keeps, as checks that the tests of each call.
//!
//! A moving picture in made-up time: nothing here waits, and a slow encoder only takes longer.

use playgate::games::Rect;
use playgate::h264::nal_units;
use playgate::runner::encoder::{Codec, Encoded, Format, MakeEncoder, VideoEncoder};
use playgate::runner::i420::I420;
use std::time::{Duration, Instant};

/// Small enough for slow encoders.
const FORMAT: Format = Format { width: 320, height: 180, fps: 30 };
const GAP: Duration = Duration::from_nanos(33_333_333);
/// Frames of two seconds: the rate is judged over so much, and so long not after a step or a key frame.
const WINDOW: usize = 60;
/// Pictures that are drawn; they are shown forwards and backwards, so that none differs much from the one before.
const PICTURES: usize = 45;

/// An encoder that is shown a moving picture.
struct Show {
    encoder: Box<dyn VideoEncoder>,
    codec: Codec,
    pictures: Vec<I420>,
    shown: usize,
    at: Instant,
}

/// What one picture became.
struct Frame {
    key: bool,
    answers: Option<u64>,
    bytes: usize,
}

impl Show {
    fn new(maker: &dyn MakeEncoder, format: Format, kbps: u32) -> Self {
        let encoder = maker.make(format, kbps).expect("the encoder is made");
        Self { encoder, codec: maker.codec(), pictures: pictures(format), shown: 0, at: Instant::now() }
    }

    /// The next picture; every one has to become a frame before the next is there.
    fn next(&mut self) -> Frame {
        let lap = self.shown % (2 * PICTURES);
        self.shown += 1;
        self.show(if lap < PICTURES { lap } else { 2 * PICTURES - 1 - lap })
    }

    /// Any picture.
    fn show(&mut self, picture: usize) -> Frame {
        self.at += GAP;
        let picture = &self.pictures[picture];
        let (width, height) = picture.size();
        let whole = [Rect { x: 0, y: 0, width, height }];
        let encoded = self.encoder.encode(picture, &whole, self.at).expect("the encoder works");
        let Encoded { key, answers, at, bytes } =
            encoded.expect("a frame for each picture, the first included");
        assert_eq!(at, self.at, "the frame is of the picture that was shown");
        if self.codec == Codec::H264 {
            let kinds: Vec<u8> = nal_units(bytes).filter_map(|unit| Some(unit.first()? & 0x1F)).collect();
            let sets = kinds.contains(&7) && kinds.contains(&8);
            assert_eq!((kinds.contains(&5), sets), (key, key), "NAL units {kinds:?}");
        }
        Frame { key, answers, bytes: bytes.len() }
    }
}

/// Key frames come first, when asked for, and when the size changes; one request makes one key frame, a cut makes none.
pub(crate) fn key_frames_come_only_when_asked_for(maker: &dyn MakeEncoder) {
    let mut show = Show::new(maker, FORMAT, 600);
    assert!(show.next().key, "the first frame");
    for frame in 1..400_usize {
        if frame == 100 || frame == 101 {
            show.encoder.request_key_frame(1);
        } else if frame == 200 {
            show.encoder.request_key_frame(2);
        } else if frame == 250 {
            show.encoder.configure(FORMAT, 500).expect("the same size");
        }
        // A cut now and then.
        let seen = if frame % 70 == 69 { show.show(PICTURES - 1 - show.shown % 7) } else { show.next() };
        let answers =
            [(100, 1), (200, 2)].into_iter().find_map(|(at, number)| (at == frame).then_some(number));
        assert_eq!((seen.key, seen.answers), (answers.is_some(), answers), "frame {frame}");
    }
    let smaller = Format { width: 160, height: 90, ..FORMAT };
    show.encoder.configure(smaller, 300).expect("another size");
    show.pictures = pictures(smaller);
    assert!(show.next().key, "the first frame of another size");
    assert!((0..60).all(|_| !show.next().key), "and no other");
}

/// Steps of the rate make no key frame, and from two seconds after each the rate is exceeded by a tenth at most, in any two
/// seconds.
pub(crate) fn the_rate_is_kept_and_changes_without_a_key_frame(maker: &dyn MakeEncoder) {
    const STEPS: [u32; 4] = [600, 250, 900, 300];
    let mut show = Show::new(maker, FORMAT, STEPS[0]);
    show.next();
    for kbps in STEPS {
        show.encoder.set_rate(kbps, FORMAT.fps).expect("the rate changes");
        let frames: Vec<Frame> = (0..3 * WINDOW).map(|_| show.next()).collect();
        assert!(frames.iter().all(|frame| !frame.key), "no key frame at {kbps} kbit/s");
        let kbps_of = |frames: &[Frame]| frames.iter().map(|frame| frame.bytes).sum::<usize>() * 8 / 2000;
        let seen: Vec<usize> = frames[WINDOW..].windows(WINDOW).map(kbps_of).collect();
        let (least, most) = (seen.iter().min().copied(), seen.iter().max().copied());
        let wanted = usize::try_from(kbps).unwrap_or(0);
        assert!(most <= Some(wanted * 110 / 100), "{least:?} to {most:?} of {kbps} kbit/s");
        assert!(least >= Some(wanted * 60 / 100), "{least:?} to {most:?} of {kbps} kbit/s");
    }
}

/// Blocks and fine texture that move as a whole.
fn pictures(format: Format) -> Vec<I420> {
    let Format { width, height, .. } = format;
    let whole = Rect { x: 0, y: 0, width, height };
    let draw = |step: u32| {
        let mut rgba = Vec::with_capacity(usize::try_from(width * height * 4).unwrap_or(0));
        for y in 0..height {
            for x in 0..width {
                let block = ((x + step * 5) / 24 + (y + step * 3) / 24) % 5;
                let value =
                    u8::try_from(block * 50 + ((x + step * 5) ^ (y + step * 3)) % 16).unwrap_or(u8::MAX);
                rgba.extend_from_slice(&[value, 255 - value, value / 2, 255]);
            }
        }
        let mut picture = I420::new(width, height);
        picture.update(&rgba, usize::try_from(width).unwrap_or(0) * 4, whole);
        picture
    };
    (0..).take(PICTURES).map(draw).collect()
}
