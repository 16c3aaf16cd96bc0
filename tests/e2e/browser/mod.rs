//! What needs a real browser. The test runner runs these one at a time: two cores, and figures that mean something.

mod accessibility;
pub(crate) mod bad_line;
pub(crate) mod container;
mod control;
mod embed;
mod ends;
pub(crate) mod foreign_producer;
mod gstreamer;
mod harness;
mod lan;
mod people;
mod pictures;
mod pixels;
mod play;
mod saves;
mod story;
mod truth;
