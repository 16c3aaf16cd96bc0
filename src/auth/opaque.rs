//! Tokens that say nothing of themselves: organisations' API tokens (`pgo_`), which the ledger knows, and embed tokens
//! (`pge_`), which the session core knows; each with 32 random bytes in base64url, and stored by its SHA-256 alone.
//!
//! A plain hash is enough: 256 random bits cannot be guessed, so there is nothing for a slow hash to slow down.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// How such tokens begin: it tells people, and tools that look for leaked secrets, what they have found.
const ORGANISATION: &str = "pgo_";
const EMBED: &str = "pge_";
const RANDOM_BYTES: usize = 32;

/// A new token of an organisation. `None` when the system gives no randomness, here and below.
pub(super) fn generate() -> Option<String> {
    random(ORGANISATION)
}

/// A new embed token, and what of it is stored.
pub fn new_embed_token() -> Option<(String, [u8; 32])> {
    let token = random(EMBED)?;
    let hash = sha256(&token);
    Some((token, hash))
}

/// By what an embed token is found; `None` for what is none.
pub fn embed_token_sha256(token: &str) -> Option<[u8; 32]> {
    token.starts_with(EMBED).then(|| sha256(token))
}

fn random(prefix: &str) -> Option<String> {
    let mut bytes = zeroize::Zeroizing::new([0; RANDOM_BYTES]);
    aws_lc_rs::rand::fill(bytes.as_mut_slice()).ok()?;
    Some(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes.as_slice())))
}

/// Whether it is an organisation's; whether it is a good one only the ledger can say.
pub(super) fn is_opaque(token: &str) -> bool {
    token.starts_with(ORGANISATION)
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
