//! What both ends of a Playgate stream share.
//!
//! Owns the wire formats (browser signaling, input frames, the runner contract, SDP fragments) and the pure
//! offer/answer machine. No sockets here except in [`client`], which dials out and never listens.

pub mod input;
pub mod message;
pub mod runner;
