//! The encoders that GStreamer brings, by the names of their elements: what each is set to, and how it is steered while
//! it works. Everything that differs between encoders is in [`ELEMENTS`]; the rest of the crate knows none by name.
//!
//! All are set for games: no B-frames, no frame that waits for another, key frames only when they are asked for, a
//! constant rate over short buffers, and of H.264 the profile that every browser takes. None is told what of a picture
//! changed; each finds that out.
//!
//! Not here: `openh264enc`, because a change of its rate makes a key frame and the runner has openh264 built in.

use playgate::runner::encoder::Codec;

/// One encoder of GStreamer's.
#[derive(Debug)]
pub struct Element {
    /// Of the element, and of the setting `encoder`.
    pub name: &'static str,
    pub codec: Codec,
    /// What goes before it in the pipeline where it does not take I420, ending in `!`.
    pub before: &'static str,
    /// Properties as `gst-launch-1.0` takes them; `{threads}` is the number of threads.
    pub settings: &'static [&'static str],
    /// More of them, for more than [`MANY_PIXELS`] a second; a property that is set above takes this value.
    pub fast: &'static str,
    /// What it gives, as caps.
    pub gives: &'static str,
    /// What goes after it, ending in `!`.
    pub after: &'static str,
    pub rate: Rate,
    pub pacing: Pacing,
    pub key_frames: KeyFrames,
    pub source: Source,
}

/// How the bitrate is changed while the encoder works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    BitsPerSecond(&'static str),
    KilobitsPerSecond(&'static str),
    /// The V4L2 control `video_bitrate`, in bit/s, by the property `extra-controls`.
    V4l2,
}

/// What the encoder's rate control goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pacing {
    /// Each frame has the same share of a second, whatever time lies between frames.
    Frames,
    /// The frames' timestamps.
    Timestamps,
}

/// How a key frame is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFrames {
    /// By the event `GstForceKeyUnit`.
    Event,
    /// By properties before the frame, which are taken back after it: the element takes no notice of the event.
    Properties {
        before: &'static [(&'static str, &'static str)],
        after: &'static [(&'static str, &'static str)],
    },
}

/// Where the element comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A Debian package; the conformance tests are run with it.
    Software(&'static str),
    /// A Debian package and what else it takes. Written by the documentation, and untested.
    Hardware(&'static str, &'static str),
}

/// Pixels a second above which an encoder takes its fast settings: 1280x720 at 30.
pub const MANY_PIXELS: u64 = 1280 * 720 * 30;

/// Constrained baseline: no B-frames, no CABAC, no 8x8 transform.
const BASELINE: &str = "video/x-h264,profile=constrained-baseline,stream-format=byte-stream,alignment=au";
/// Parameter sets before every key frame, for elements that would give them once.
const REPEAT_SETS: &str =
    "h264parse config-interval=-1 ! video/x-h264,stream-format=byte-stream,alignment=au !";
/// The rate holds over a fifth of a second: a larger buffer makes larger key frames.
const VPX: &str = "deadline=1 lag-in-frames=0 keyframe-mode=disabled keyframe-max-dist=2147483647 end-usage=cbr \
    buffer-size=200 buffer-initial-size=120 buffer-optimal-size=120 undershoot=100 overshoot=15 threads={threads}";

pub static ELEMENTS: [Element; 8] = [
    Element {
        name: "x264enc",
        codec: Codec::H264,
        before: "",
        // The interval is x264's infinity; 0 would be ten seconds.
        settings: &[
            "tune=zerolatency speed-preset=superfast sliced-threads=true threads={threads} bframes=0",
            "key-int-max=1073741824 option-string=scenecut=0 vbv-buf-capacity=100 byte-stream=true aud=false",
            // 47 dB of luma: finer, a picture that stands still would never be done.
            "qp-min=13",
        ],
        fast: "speed-preset=ultrafast",
        gives: BASELINE,
        after: "",
        rate: Rate::KilobitsPerSecond("bitrate"),
        pacing: Pacing::Frames,
        key_frames: KeyFrames::Event,
        source: Source::Software("gstreamer1.0-plugins-ugly"),
    },
    Element {
        name: "vp8enc",
        codec: Codec::Vp8,
        before: "",
        settings: &[VPX, "cpu-used=8"],
        fast: "cpu-used=12",
        gives: "video/x-vp8",
        after: "",
        rate: Rate::BitsPerSecond("target-bitrate"),
        pacing: Pacing::Timestamps,
        key_frames: KeyFrames::Event,
        source: Source::Software("gstreamer1.0-plugins-good"),
    },
    Element {
        name: "vp9enc",
        codec: Codec::Vp9,
        before: "",
        settings: &[VPX, "cpu-used=8 row-mt=true tile-columns=2 frame-parallel-decoding=false"],
        fast: "cpu-used=9",
        gives: "video/x-vp9,profile=(string)0",
        after: "",
        rate: Rate::BitsPerSecond("target-bitrate"),
        pacing: Pacing::Timestamps,
        key_frames: KeyFrames::Event,
        source: Source::Software("gstreamer1.0-plugins-good"),
    },
    Element {
        name: "av1enc",
        codec: Codec::Av1,
        before: "",
        // Without a largest quantizer libaom ends the process; above a speed of 8 it exceeds the rate of a small picture
        // by a fifth.
        settings: &[
            "usage-profile=realtime lag-in-frames=0 keyframe-mode=disabled keyframe-max-dist=2147483647 end-usage=cbr",
            "min-quantizer=2 max-quantizer=63 buf-sz=200 buf-initial-sz=120 buf-optimal-sz=120",
            "undershoot-pct=100 overshoot-pct=100 cpu-used=8 threads={threads} row-mt=true",
        ],
        fast: "cpu-used=10",
        gives: "video/x-av1",
        after: "",
        rate: Rate::KilobitsPerSecond("target-bitrate"),
        pacing: Pacing::Timestamps,
        // Of GStreamer 1.22; key frames by distance come when the mode is automatic, and this distance makes the next frame one.
        key_frames: KeyFrames::Properties {
            before: &[("keyframe-mode", "auto"), ("keyframe-max-dist", "0")],
            after: &[("keyframe-max-dist", "2147483647"), ("keyframe-mode", "disabled")],
        },
        source: Source::Software("gstreamer1.0-plugins-bad"),
    },
    Element {
        name: "nvh264enc",
        codec: Codec::H264,
        before: "",
        settings: &[
            "preset=low-latency-hq rc-mode=cbr zerolatency=true bframes=0 rc-lookahead=0 gop-size=-1 strict-gop=true",
            "aud=false",
        ],
        fast: "preset=low-latency-hp",
        gives: BASELINE,
        after: REPEAT_SETS,
        rate: Rate::KilobitsPerSecond("bitrate"),
        pacing: Pacing::Frames,
        key_frames: KeyFrames::Event,
        source: Source::Hardware(
            "gstreamer1.0-plugins-bad",
            "an NVIDIA GPU with its driver and libnvidia-encode1",
        ),
    },
    Element {
        name: "vah264enc",
        codec: Codec::H264,
        before: "videoconvert ! video/x-raw,format=NV12 !",
        // 1024 frames is the longest interval it knows.
        settings: &[
            "rate-control=cbr b-frames=0 ref-frames=1 key-int-max=1024 cabac=false dct8x8=false aud=false",
        ],
        fast: "target-usage=7",
        gives: BASELINE,
        after: REPEAT_SETS,
        rate: Rate::KilobitsPerSecond("bitrate"),
        pacing: Pacing::Frames,
        key_frames: KeyFrames::Event,
        source: Source::Hardware(
            "gstreamer1.0-plugins-bad",
            "a GPU with a VA-API driver and /dev/dri/renderD128",
        ),
    },
    Element {
        name: "vaapih264enc",
        codec: Codec::H264,
        before: "videoconvert ! video/x-raw,format=NV12 !",
        settings: &[
            "rate-control=cbr max-bframes=0 refs=1 keyframe-period=2147483647 cabac=false dct8x8=false aud=false",
        ],
        fast: "quality-level=7",
        gives: BASELINE,
        after: REPEAT_SETS,
        rate: Rate::KilobitsPerSecond("bitrate"),
        pacing: Pacing::Frames,
        key_frames: KeyFrames::Event,
        source: Source::Hardware("gstreamer1.0-vaapi", "a GPU with a VA-API driver and /dev/dri/renderD128"),
    },
    Element {
        name: "v4l2h264enc",
        codec: Codec::H264,
        before: "videoconvert ! video/x-raw,format=NV12 !",
        settings: &[],
        fast: "",
        gives: BASELINE,
        after: REPEAT_SETS,
        rate: Rate::V4l2,
        pacing: Pacing::Frames,
        key_frames: KeyFrames::Event,
        source: Source::Hardware(
            "gstreamer1.0-plugins-good",
            "a V4L2 encoder, such as /dev/video11 of a Raspberry Pi 4",
        ),
    },
];

impl Element {
    pub fn named(name: &str) -> Option<&'static Self> {
        ELEMENTS.iter().find(|element| element.name == name)
    }

    /// The whole pipeline, as `gst-launch-1.0` takes it, from `source` over `encoder` to `sink`.
    pub fn pipeline(&self, pixels_per_second: u64, threads: usize, rate: &str) -> String {
        let fast = if pixels_per_second > MANY_PIXELS { self.fast } else { "" };
        let settings = self.settings.join(" ").replace("{threads}", &threads.to_string());
        let Self { name, before, gives, after, .. } = self;
        format!(
            "appsrc name=source ! {before} {name} name=encoder {settings} {fast} {rate} ! {gives} ! {after} appsink name=sink"
        )
    }
}

impl Rate {
    /// The property and its value for a rate.
    pub fn property(self, kbps: u32) -> (&'static str, String) {
        match self {
            Self::BitsPerSecond(name) => (name, (u64::from(kbps) * 1000).to_string()),
            Self::KilobitsPerSecond(name) => (name, kbps.to_string()),
            Self::V4l2 => {
                let bits = u64::from(kbps) * 1000;
                let controls = format!(
                    "controls,video_bitrate_mode=1,repeat_sequence_header=1,video_b_frames=0,video_bitrate={bits}"
                );
                ("extra-controls", controls)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_is_found_by_its_name_once() {
        for element in &ELEMENTS {
            assert!(std::ptr::eq(Element::named(element.name).expect("found"), element));
        }
        assert!(Element::named("x265enc").is_none());
    }

    #[test]
    fn a_pipeline_has_the_settings_and_for_many_pixels_the_fast_ones_after_them() {
        let x264 = Element::named("x264enc").expect("known");
        let small = x264.pipeline(320 * 180 * 30, 2, "bitrate=500");
        assert!(
            small.contains(" threads=2 ") && small.contains(" bitrate=500 ") && !small.contains("ultrafast"),
            "{small}"
        );
        let large = x264.pipeline(1280 * 720 * 60, 2, "bitrate=500");
        let at = |word: &str| large.find(word).unwrap_or_else(|| panic!("{word} in {large}"));
        assert!(at("superfast") < at("ultrafast"), "the last value counts");
    }

    #[test]
    fn rates_have_the_unit_of_their_property() {
        assert_eq!(Rate::KilobitsPerSecond("bitrate").property(1500), ("bitrate", "1500".to_owned()));
        assert_eq!(
            Rate::BitsPerSecond("target-bitrate").property(1500),
            ("target-bitrate", "1500000".to_owned())
        );
        assert!(Rate::V4l2.property(1500).1.ends_with("video_bitrate=1500000"));
    }
}
