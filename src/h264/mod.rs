//! H.264 as several parts of the house read it: out of RTP packets, in a byte stream, and what a parameter set says.
//!
//! Pure and bounded: whatever bytes come, nothing panics and nothing grows beyond its limit. Decodes no pictures.

mod annex_b;
mod depacketizer;
mod payload;
mod reorder;
mod sps;

pub use annex_b::nal_units;
pub use depacketizer::{AccessUnit, Depacketizer, MAX_UNIT_BYTES, Pushed};
pub use payload::{Unit, units};
pub use reorder::{CAPACITY, Reorder};
pub use sps::{SpsFacts, is_b_slice, parameter_set_id};

/// Kinds of NAL unit (ITU-T H.264 table 7-1).
pub const NAL_SLICE: u8 = 1;
pub const NAL_IDR: u8 = 5;
pub const NAL_SPS: u8 = 7;
pub const NAL_PPS: u8 = 8;
/// Kinds of RTP payload beside them (RFC 6184 table 1).
pub const NAL_STAP_A: u8 = 24;
pub const NAL_FU_A: u8 = 28;

/// The kind of a NAL unit, by its header byte; 0, which is no kind, of an empty one.
pub fn nal_type(unit: &[u8]) -> u8 {
    unit.first().map_or(0, |header| header & 0x1f)
}
