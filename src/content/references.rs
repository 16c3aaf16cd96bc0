//! Image references as the engine reads them: `[host[:port]/]path[:tag][@digest]`.
//!
//! Rules are those of the engine's own reference grammar. A first component without a dot or a colon that is not
//! `localhost` belongs to the path; then the engine's default registry is meant, which has no name here.

use std::fmt;

/// Longest path the grammar allows, with its host.
const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;
const DEFAULT_TAG: &str = "latest";

/// A well-formed reference. Displayed as the engine takes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    /// `None`: the engine's default registry.
    pub host: Option<String>,
    /// Below the host.
    pub path: String,
    pub version: Version,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Version {
    Tag(String),
    /// `sha256:...`. A tag beside a digest says nothing and is left out.
    Digest(String),
}

/// What is wrong with a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadReference {
    #[error("its registry is no host name with an optional port")]
    Host,
    #[error(
        "its path must be lower case letters and digits, with single dots, hyphens, underscores and slashes between"
    )]
    Path,
    #[error("its tag must be up to 128 letters, digits, dots, hyphens and underscores")]
    Tag,
    #[error("its digest must be sha256: and 64 lower case hexadecimal digits")]
    Digest,
    #[error("it is longer than 255 characters")]
    Long,
}

impl Reference {
    pub fn parse(text: &str) -> Result<Self, BadReference> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        // A colon before the last slash is a port's.
        let name_end = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest[name_end..].split_once(':') {
            Some((last, tag)) => (&rest[..name_end + last.len()], Some(tag)),
            None => (rest, None),
        };
        if name.len() > MAX_NAME {
            return Err(BadReference::Long);
        }
        let (host, path) = match name.split_once('/') {
            Some((first, path)) if is_host(first) => (Some(first), path),
            Some(_) | None => (None, name),
        };
        check(host.is_none_or(host_fits), BadReference::Host)?;
        check(path.split('/').all(component_fits), BadReference::Path)?;
        check(tag.is_none_or(is_tag), BadReference::Tag)?;
        check(digest.is_none_or(digest_fits), BadReference::Digest)?;
        let version = match digest {
            Some(digest) => Version::Digest(digest.to_owned()),
            None => Version::Tag(tag.unwrap_or(DEFAULT_TAG).to_owned()),
        };
        Ok(Self { host: host.map(str::to_owned), path: path.to_owned(), version })
    }

    /// Without tag and digest.
    pub fn repository(&self) -> String {
        match &self.host {
            Some(host) => format!("{host}/{}", self.path),
            None => self.path.clone(),
        }
    }

    /// The tag or the digest, as the engine's pull takes it.
    pub fn version(&self) -> &str {
        match &self.version {
            Version::Tag(text) | Version::Digest(text) => text,
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Version::Tag(tag) => write!(f, "{}:{tag}", self.repository()),
            Version::Digest(digest) => write!(f, "{}@{digest}", self.repository()),
        }
    }
}

fn check(holds: bool, otherwise: BadReference) -> Result<(), BadReference> {
    if holds { Ok(()) } else { Err(otherwise) }
}

/// Whether a first component is a host at all.
fn is_host(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':']) || first.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn host_fits(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, "")) => return address.parse::<std::net::Ipv6Addr>().is_ok(),
            Some((address, port)) if address.parse::<std::net::Ipv6Addr>().is_ok() => {
                ("ipv6", port.strip_prefix(':'))
            }
            Some(_) | None => return false,
        },
        None => match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, Some("0")),
        },
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    name.split('.').all(label) && port.is_some_and(|port| port.parse::<u16>().is_ok())
}

/// Lower case letters and digits, separated by `.`, `_`, `__` or hyphens.
fn component_fits(component: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    let ends =
        bytes.first().is_some_and(|byte| plain(*byte)) && bytes.last().is_some_and(|byte| plain(*byte));
    let mut separators = bytes.split(|byte| plain(*byte));
    ends && separators
        .all(|part| matches!(part, b"" | b"." | b"_" | b"__") || part.iter().all(|b| *b == b'-'))
}

/// 1-128 letters, digits, underscores, dots and hyphens, the first no dot and no hyphen. So it never makes another reference
/// of the one it is put behind.
pub fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= MAX_TAG
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|byte| word(byte) || byte == b'.' || byte == b'-')
}

fn digest_fits(digest: &str) -> bool {
    digest.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (Option<String>, String, String) {
        let reference = Reference::parse(text).unwrap();
        let version = reference.version().to_owned();
        (reference.host, reference.path, version)
    }

    fn expected(host: Option<&str>, path: &str, version: &str) -> (Option<String>, String, String) {
        (host.map(str::to_owned), path.to_owned(), version.to_owned())
    }

    #[test]
    fn a_bare_name_is_the_latest_of_the_default_registry() {
        assert_eq!(parts("freedoom"), expected(None, "freedoom", "latest"));
        assert_eq!(parts("games/freedoom"), expected(None, "games/freedoom", "latest"));
        assert_eq!(parts("freedoom:5000"), expected(None, "freedoom", "5000"));
    }

    #[test]
    fn a_first_component_with_dot_colon_or_localhost_is_a_host() {
        let host = "registry.example";
        assert_eq!(parts("registry.example/a/b:1.0"), expected(Some(host), "a/b", "1.0"));
        assert_eq!(parts("127.0.0.1:5000/a"), expected(Some("127.0.0.1:5000"), "a", "latest"));
        assert_eq!(parts("localhost/a"), expected(Some("localhost"), "a", "latest"));
        assert_eq!(parts("[::1]:5000/a:x"), expected(Some("[::1]:5000"), "a", "x"));
    }

    #[test]
    fn a_digest_wins_over_a_tag() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let text = format!("localhost:5000/a:1@{digest}");
        assert_eq!(parts(&text), expected(Some("localhost:5000"), "a", &digest));
        assert_eq!(Reference::parse(&text).unwrap().to_string(), format!("localhost:5000/a@{digest}"));
    }

    #[test]
    fn what_the_grammar_forbids_is_refused_with_its_reason() {
        for (text, reason) in [
            ("", BadReference::Path),
            ("Game", BadReference::Path),
            ("a//b", BadReference::Path),
            ("a/../b", BadReference::Path),
            ("a b", BadReference::Path),
            ("a...b", BadReference::Path),
            ("a:", BadReference::Tag),
            ("a:-x", BadReference::Tag),
            ("a@sha256:12", BadReference::Digest),
            ("a@md5:12", BadReference::Digest),
            ("host.:1/a", BadReference::Host),
            ("host:port/a", BadReference::Host),
            ("[::1/a", BadReference::Host),
            (&"a".repeat(256), BadReference::Long),
        ] {
            assert_eq!(Reference::parse(text), Err(reason), "{text}");
        }
    }

    #[test]
    fn a_tag_is_nothing_but_a_tag() {
        assert!(["latest", "1.2-rc_3", "_", &"a".repeat(128)].iter().all(|tag| is_tag(tag)));
        let bad = ["", ".1", "-", "a/b", "a:b", "a@sha256:0", "ä", "a b", &"a".repeat(129)];
        assert!(!bad.iter().any(|tag| is_tag(tag)));
    }

    #[test]
    fn the_separators_of_the_grammar_are_taken() {
        for text in ["a__b", "a--b", "a.b", "a_b/c-d", "0"] {
            assert!(Reference::parse(text).is_ok(), "{text}");
        }
    }
}
