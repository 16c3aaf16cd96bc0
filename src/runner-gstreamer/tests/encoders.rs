//! The encoders that Debian has in software, by the suite that every encoder passes.

#[path = "suite/mod.rs"]
mod suite;

use playgate::runner::encoder::{Codec, MakeEncoder};
use playgate_runner_gstreamer::find;
use std::sync::Arc;

fn encoder(name: &str, codec: Codec) -> Arc<dyn MakeEncoder> {
    let maker = find(Some(name)).unwrap_or_else(|error| panic!("{error} (bash tests/run installs it)"));
    assert_eq!(maker.codec(), codec);
    maker
}

/// The suite for one encoder.
macro_rules! passes {
    ($($name:ident: $codec:ident,)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn key_frames_come_only_when_asked_for() {
                let maker = encoder(stringify!($name), Codec::$codec);
                suite::key_frames_come_only_when_asked_for(maker.as_ref());
            }

            #[test]
            fn the_rate_is_kept_and_changes_without_a_key_frame() {
                let maker = encoder(stringify!($name), Codec::$codec);
                suite::the_rate_is_kept_and_changes_without_a_key_frame(maker.as_ref());
            }
        }
    )*};
}

passes! {
    x264enc: H264,
    vp8enc: Vp8,
    vp9enc: Vp9,
    av1enc: Av1,
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
