//! Playgate's runner with the encoders of GStreamer, by the names of their elements.
//!
//! A program of its own, so that the gateway never links GStreamer: the runner is the library's, with encoders made here
//! (`maker`). Everything that needs GStreamer is behind the cargo feature `gstreamer`; the table of elements is not.

pub mod elements;
#[cfg(feature = "gstreamer")]
mod encoder;
#[cfg(feature = "gstreamer")]
mod maker;
#[cfg(feature = "gstreamer")]
mod pipeline;

#[cfg(feature = "gstreamer")]
pub use maker::find;
