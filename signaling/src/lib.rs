//! What both ends of a Playgate stream share.
//!
//! Owns the wire formats (browser signaling, input frames, the runner contract, SDP fragments) and the pure
//! offer/answer machine. No sockets here except in `client` (feature `client`), which dials out and never listens.

pub mod bucket;
#[cfg(feature = "client")]
pub mod client;
pub mod client_machine;
pub mod control;
pub mod input;
pub mod machine;
pub mod message;
pub mod runner;
pub mod sdp_fragment;
pub mod steps;
