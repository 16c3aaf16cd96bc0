//! How large a save may be, and what is said of one that cannot be kept.

use std::num::NonZeroU64;

/// A save that is too large is measured on, for the words about it, up to this many times its limit.
pub(super) const MEASURED_TO: u64 = 16;

/// What one save may hold, unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaveLimits {
    /// Files, directories and links; what is left out counts, too.
    pub max_entries: usize,
    /// Sum of the files' sizes, holes included.
    pub max_bytes: u64,
}

impl Default for SaveLimits {
    fn default() -> Self {
        Self { max_entries: 10_000, max_bytes: 512 * 1024 * 1024 }
    }
}

impl SaveLimits {
    /// For what was within limits when it was stored.
    pub(crate) const NONE: Self = Self { max_entries: usize::MAX, max_bytes: u64::MAX };
}

/// Why a save can never be kept, however often it is tried. As a sentence for the player, without its full stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SaveRefused {
    /// `bytes` is a lower bound from [`SaveRefused::MEASURED_TO`] times the limit on.
    #[error("Your save is too large to keep ({}; the limit is {})", size(*bytes, *limit), amount(*limit))]
    TooLarge { bytes: u64, limit: u64 },
    /// As above.
    #[error("Your save has too many files to keep ({}; the limit is {limit})", count(*entries, *limit))]
    TooManyFiles { entries: usize, limit: usize },
    #[error("A file name in your save is too long to keep")]
    NameTooLong,
    /// The archive, not the game, is at fault.
    #[error("Your save cannot be kept: {0}")]
    Unsafe(String),
    /// The container was removed by somebody else.
    #[error("Your save could not be kept: the game's files are gone")]
    Gone,
}

impl SaveRefused {
    /// Counting a save that is over its limit ends at this many times the limit.
    pub const MEASURED_TO: u64 = MEASURED_TO;
}

fn size(bytes: u64, limit: u64) -> String {
    let more = if bytes >= limit.saturating_mul(MEASURED_TO) { "more than " } else { "" };
    format!("{more}{}", amount(bytes))
}

fn count(entries: usize, limit: usize) -> String {
    let most = limit.saturating_mul(usize::try_from(MEASURED_TO).unwrap_or(usize::MAX));
    let more = if entries >= most { "more than " } else { "" };
    format!("{more}{entries}")
}

/// In MB as the page counts them (2^20 bytes), rounded up: what is over a limit must not read as if it were not.
fn amount(bytes: u64) -> String {
    const MB: NonZeroU64 = NonZeroU64::new(1 << 20).expect("not zero");
    const GB: NonZeroU64 = NonZeroU64::new(1 << 30).expect("not zero");
    if bytes < 10 * GB.get() {
        format!("{} MB", bytes.div_ceil(MB.get()))
    } else {
        format!("{} GB", bytes.div_ceil(GB.get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_size_and_the_limit() {
        let limit = 512 << 20;
        let words = |bytes| SaveRefused::TooLarge { bytes, limit }.to_string();
        assert_eq!(words(612 << 20), "Your save is too large to keep (612 MB; the limit is 512 MB)");
        assert_eq!(words((512 << 20) + 1), "Your save is too large to keep (513 MB; the limit is 512 MB)");
        assert_eq!(
            words(16 * limit),
            "Your save is too large to keep (more than 8192 MB; the limit is 512 MB)"
        );
        let words = |entries| SaveRefused::TooManyFiles { entries, limit: 10 }.to_string();
        assert_eq!(words(11), "Your save has too many files to keep (11; the limit is 10)");
        assert_eq!(words(160), "Your save has too many files to keep (more than 160; the limit is 10)");
    }
}
