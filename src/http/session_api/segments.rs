//! A path's parts, decoded one by one: an id may hold a slash, so the whole path must never be decoded at once.

use super::error::SessionApiError;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use playgate_signaling::steps;
use std::convert::Infallible;

/// The parts between the slashes as they were sent.
pub(super) struct Segments(Vec<String>);

impl<S: Send + Sync> FromRequestParts<S> for Segments {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(steps::split(parts.uri.path(), '/').skip(1).map(str::to_owned).collect()))
    }
}

impl Segments {
    /// The part at `index`, decoded. What is no UTF-8 names nothing we have: 404 with `unknown`.
    pub(super) fn get(&self, index: usize, unknown: &str) -> Result<String, SessionApiError> {
        self.0.get(index).and_then(|part| decode(part)).ok_or_else(|| SessionApiError::not_found(unknown))
    }
}

/// RFC 3986, section 2.1. A `%` without two hexadecimal digits stands for itself.
fn decode(part: &str) -> Option<String> {
    let bytes = part.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        steps::spend(1);
        let pair = if byte == b'%' { bytes.get(at + 1..at + 3) } else { None };
        let hex = pair.filter(|pair| pair.iter().all(u8::is_ascii_hexdigit));
        let value = hex.and_then(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        decoded.push(value.unwrap_or(byte));
        at += if value.is_some() { 3 } else { 1 };
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_decoded_once_and_only_to_utf_8() {
        for (sent, expected) in [
            ("plain", Some("plain")),
            ("a%2Fb", Some("a/b")),
            ("a%252Fb", Some("a%2Fb")),
            ("%C3%BC", Some("ü")),
            ("100%", Some("100%")),
            ("%zz%4", Some("%zz%4")),
            ("%+1", Some("%+1")),
            ("a+b", Some("a+b")),
            ("%FF", None),
            ("", Some("")),
        ] {
            assert_eq!(decode(sent).as_deref(), expected, "{sent}");
        }
    }
}
