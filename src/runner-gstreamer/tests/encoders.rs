//! The encoders that Debian has in software, by the suite that every encoder passes.

use playgate::runner::encoder::{Codec, MakeEncoder, conformance};
use playgate_runner_gstreamer::find;
use std::sync::Arc;

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
