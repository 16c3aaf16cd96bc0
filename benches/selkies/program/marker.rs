//! What a picture says of itself, in black and white cells that survive every encoder: its number, how many keys the
//! program had seen, and when it was drawn. The judge in the page (`judge.js`) reads the same layout.
//!
//! Two rows of 32 cells of 16x16 pixels at the top left: sync, number, keys, time, checksum, most significant bit first.
//! At the right edge each of 16 bands repeats the low byte of the number, so that half-drawn pictures show.

use std::time::SystemTime;

pub(crate) const CELL: u32 = 16;
pub(crate) const COLUMNS: u32 = 32;
pub(crate) const ROWS: u32 = 2;
/// Bands of the picture, from top to bottom.
pub(crate) const BANDS: u32 = 16;
/// Cells of a band's mark.
pub(crate) const BAND_CELLS: u32 = 8;
const SYNC: u8 = 0xA6;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Marker {
    /// Pictures drawn, modulo 2^16.
    pub(crate) frame: u16,
    /// Key presses seen, modulo 2^8.
    pub(crate) keys: u8,
    /// Tenths of milliseconds of the machine's clock, modulo 2^24.
    pub(crate) time: u32,
}

impl Marker {
    /// Cells from left to right, then the second row.
    pub(crate) fn bits(self) -> u64 {
        let [_, time @ ..] = self.time.to_be_bytes();
        let [high, low] = self.frame.to_be_bytes();
        let said = [high, low, self.keys, time[0], time[1], time[2]];
        let sum = said.iter().fold(0x5A_u8, |sum, byte| sum.rotate_left(1) ^ byte);
        u64::from_be_bytes([SYNC, said[0], said[1], said[2], said[3], said[4], said[5], sum])
    }
}

/// The machine's clock as a marker says it.
pub(crate) fn now() -> u32 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_micros() / 100 % (1 << 24)).unwrap_or_default()
}
