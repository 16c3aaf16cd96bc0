//! The encoders that Debian has in software, by the suite that every encoder passes.

use playgate::games::Rect;
use playgate::runner::encoder::{Codec, Format, MakeEncoder, conformance};
use playgate::runner::i420::I420;
use playgate_runner_gstreamer::find;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn encoder(name: &str, codec: Codec) -> Arc<dyn MakeEncoder> {
    let maker = find(Some(name)).unwrap_or_else(|error| panic!("{error} (bash tests/run installs it)"));
    assert_eq!(maker.codec(), codec);
    maker
}

macro_rules! keeps_what_every_encoder_must {
    ($($name:ident: $codec:ident,)*) => {$(
        #[test]
        fn $name() {
            conformance::run(encoder(stringify!($name), Codec::$codec).as_ref());
        }
    )*};
}

keeps_what_every_encoder_must! {
    x264enc: H264,
    vp8enc: Vp8,
    vp9enc: Vp9,
    av1enc: Av1,
}

/// Grain that is another one in every picture: there is never enough for it.
fn grain(step: u32) -> I420 {
    let (width, height) = (320, 180);
    let pixels = (0..width * height).flat_map(|at: u32| {
        let mixed = (at ^ step.wrapping_mul(0x85eb_ca6b)).wrapping_mul(0x9e37_79b9);
        [(mixed >> 24) as u8; 4]
    });
    let mut picture = I420::new(width, height);
    let stride = width as usize * 4;
    picture.update(&pixels.collect::<Vec<u8>>(), stride, Rect { x: 0, y: 0, width, height });
    picture
}

#[test]
fn half_as_many_frames_have_twice_the_share_each() {
    const KBPS: u32 = 800;
    let format = Format { width: 320, height: 180, fps: 30 };
    let mut encoder = encoder("x264enc", Codec::H264).make(format, KBPS).expect("an encoder");
    encoder.set_rate(KBPS, 15).expect("a rate");
    let (start, whole) = (Instant::now(), Rect { x: 0, y: 0, width: 320, height: 180 });
    let mut bits = 0;
    for frame in 0..75 {
        let at = start + Duration::from_secs(1) / 15 * frame;
        let encoded = encoder.encode(&grain(frame), &[whole], at).expect("encodes").expect("a frame");
        // The first second settles.
        bits += if frame < 15 { 0 } else { encoded.bytes.len() * 8 };
    }
    let kbps = bits / 4 / 1000;
    assert!((600..=880).contains(&kbps), "{kbps} of {KBPS} kbit/s");
}

#[test]
fn an_encoder_that_is_not_there_is_refused_in_words() {
    let refused = |name| find(Some(name)).err().map(|error| error.to_string()).unwrap_or_default();
    let unknown = refused("x265enc");
    assert!(unknown.contains("x265enc") && unknown.contains("vp9enc"), "{unknown}");
    // A machine with such a device has it.
    let missing = refused("v4l2h264enc");
    assert!(missing.is_empty() || missing.contains("V4L2"), "{missing}");
}

#[test]
fn a_game_that_names_no_encoder_gets_the_built_in_one() {
    assert_eq!(find(None).expect("built in").codec(), Codec::H264);
    assert_eq!(find(Some("openh264")).expect("built in").codec(), Codec::H264);
}
