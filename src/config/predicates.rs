//! What single values must be, for those who check them and those who use them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::ops::RangeInclusive;

/// What a webhook's secret begins with; base64 of the key follows.
const PREFIX: &str = "whsec_";
/// Bytes of a key.
const KEY: RangeInclusive<usize> = 24..=64;

/// The key in a webhook's secret.
pub(crate) fn webhook_key(secret: &str) -> Option<Vec<u8>> {
    let key = STANDARD.decode(secret.strip_prefix(PREFIX)?).ok()?;
    KEY.contains(&key.len()).then_some(key)
}

/// True for `turn:` and `turns:`.
pub(crate) fn is_turn(url: &str) -> bool {
    url.split_once(':').is_some_and(|(scheme, _)| {
        scheme.eq_ignore_ascii_case("turn") || scheme.eq_ignore_ascii_case("turns")
    })
}
