//! Tests of whole parts against real counterparts.

mod relay;
mod relay_chromium;
mod relay_viewer;
#[path = "../support/rtp_source.rs"]
mod rtp_source;
