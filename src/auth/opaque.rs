//! Organisations' API tokens: `pgo_` and 32 random bytes in base64url. They say nothing of themselves; the ledger knows
//! them by their SHA-256 alone, which is all that is ever stored.
//!
//! A plain hash is enough: 256 random bits cannot be guessed, so there is nothing for a slow hash to slow down.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// How such a token begins: it tells people, and tools that look for leaked secrets, what they have found.
const PREFIX: &str = "pgo_";
const RANDOM_BYTES: usize = 32;

/// A new token. `None` when the system gives no randomness.
pub(super) fn generate() -> Option<String> {
    let mut bytes = zeroize::Zeroizing::new([0; RANDOM_BYTES]);
    aws_lc_rs::rand::fill(bytes.as_mut_slice()).ok()?;
    Some(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes.as_slice())))
}

/// Whether it is of this kind; whether it is a good one only the ledger can say.
pub(super) fn is_opaque(token: &str) -> bool {
    token.starts_with(PREFIX)
}

pub(super) fn sha256(token: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_distinct_and_recognised() {
        let (one, other) = (generate().unwrap(), generate().unwrap());
        assert!(is_opaque(&one) && one.len() == 4 + 43, "{}", one.len());
        assert_ne!(sha256(&one), sha256(&other));
        assert!(!is_opaque("eyJhbGciOiJub25lIn0.e30."));
    }
}
