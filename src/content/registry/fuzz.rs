//! What fuzzing sees of reading what registries say. Called by `crate::fuzz` only.

use super::challenge::{Challenge, best, token_url};
use reqwest::Url;

/// `WWW-Authenticate`: a password goes nowhere but to HTTPS.
pub(crate) fn challenge(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some(Challenge::Bearer { realm, service, scope }) = best(text.split('\n')) else { return };
    let Ok(registry) = Url::parse("https://registry.example/v2/") else { return };
    let url = token_url(&registry, &realm, service.as_deref(), scope.as_deref());
    assert!(url.is_none_or(|url| url.scheme() == "https" && url.password().is_none()));
}
