//! x
pub mod encoder;
pub mod i420;
pub mod rtcp;
pub mod rtp;
