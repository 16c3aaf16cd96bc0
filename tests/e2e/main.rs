//! End to end: the real binary, real browsers, the `webrtc` crate, ffmpeg.
//!
//! `browser` holds what needs a browser (one test at a time), `docker` what needs a Docker engine (one test at a time too),
//! `wire` what needs neither, `perf` what asserts on time and runs only by `bash tests/run perf`.

#![expect(clippy::unwrap_used, reason = "a test's helper fails the test as its assertions do")]

#[path = "../support/mod.rs"]
mod support;

mod browser;
mod docker;
mod perf;
mod wire;

/// The visual novel and the arcade game that come with Playgate.
const GARDEN: &str = "garden-of-forking-paths";
