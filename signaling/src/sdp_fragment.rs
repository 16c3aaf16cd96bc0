//! `application/trickle-ice-sdpfrag` (RFC 8840, section 9), as WHEP and WHIP PATCH requests use it (RFC 9725,
//! sections 4.3.2 and 4.3.3): ICE credentials, candidates, end of candidates.
//!
//! Attributes that are not about ICE are ignored, as RFC 8840 asks. All sizes are bounded. The same module puts a
//! fragment's credentials into a stored offer and takes those of an answer out, so that an ICE restart by PATCH can
//! be served by a full offer/answer behind it.

use crate::steps;
use std::fmt::Write as _;

/// The media type.
pub const MEDIA_TYPE: &str = "application/trickle-ice-sdpfrag";
/// Largest fragment, in bytes.
pub const MAX_FRAGMENT_BYTES: usize = 16 * 1024;
/// Most candidates of one fragment.
pub const MAX_CANDIDATES: usize = 64;
/// Most media sections of one fragment.
pub const MAX_MEDIA: usize = 16;

/// A parsed fragment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SdpFragment {
    /// Credentials above the first media section.
    pub credentials: Option<IceCredentials>,
    pub ice_lite: bool,
    pub media: Vec<MediaFragment>,
    /// `a=end-of-candidates` above the first media section.
    pub end_of_candidates: bool,
}

/// What is said of one media section.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MediaFragment {
    /// The text behind `m=`, for instance `video 9 UDP/TLS/RTP/SAVPF 96`.
    pub line: String,
    pub mid: Option<String>,
    pub credentials: Option<IceCredentials>,
    /// The text behind `a=candidate:`.
    pub candidates: Vec<String>,
    pub end_of_candidates: bool,
}

/// RFC 8839, section 5.4: 4-256 and 22-256 ice-chars.
#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    pub ufrag: String,
    pub pwd: String,
}

/// Passwords stay out of logs.
impl std::fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IceCredentials").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

/// Why a text is no fragment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FragmentError {
    #[error("a fragment has at most {MAX_FRAGMENT_BYTES} bytes")]
    TooLarge,
    #[error("line {line} is not an SDP line")]
    NotSdp { line: usize },
    #[error("too many candidates or media sections")]
    TooMany,
    #[error("ice-ufrag has 4 to 256 and ice-pwd 22 to 256 letters, digits, + or /")]
    BadCredentials,
    #[error("ice-ufrag and ice-pwd come together")]
    HalfCredentials,
    #[error("media sections of one transport have one pair of credentials")]
    MixedCredentials,
    #[error("line {line}: a candidate needs a media section")]
    StrayCandidate { line: usize },
}

/// Credentials while they are being read.
#[derive(Default)]
struct Half {
    ufrag: Option<String>,
    pwd: Option<String>,
}

impl SdpFragment {
    /// Reads a fragment. Lines may end in CRLF or LF.
    pub fn parse(text: &str) -> Result<Self, FragmentError> {
        if text.len() > MAX_FRAGMENT_BYTES {
            return Err(FragmentError::TooLarge);
        }
        let mut fragment = Self::default();
        let mut half = Half::default();
        let mut candidates = 0;
        for (number, line) in steps::lines(text).enumerate() {
            let number = number + 1;
            if line.is_empty() {
                continue;
            }
            let (kind, value) = line.split_once('=').ok_or(FragmentError::NotSdp { line: number })?;
            if kind.len() != 1 || !kind.is_ascii() || value.chars().any(char::is_control) {
                return Err(FragmentError::NotSdp { line: number });
            }
            match kind {
                "m" => {
                    if fragment.media.len() == MAX_MEDIA {
                        return Err(FragmentError::TooMany);
                    }
                    fragment.put(std::mem::take(&mut half).finish()?);
                    fragment.media.push(MediaFragment { line: value.to_owned(), ..MediaFragment::default() });
                }
                "a" => {
                    candidates += usize::from(value.starts_with("candidate:"));
                    if candidates > MAX_CANDIDATES {
                        return Err(FragmentError::TooMany);
                    }
                    fragment.attribute(value, &mut half, number)?;
                }
                _ => {}
            }
        }
        fragment.put(half.finish()?);
        fragment.effective()?;
        Ok(fragment)
    }

    /// The one pair of credentials, wherever it stands. Absent in a fragment that only trickles without them.
    pub fn credentials(&self) -> Option<&IceCredentials> {
        self.effective().ok().flatten()
    }

    /// The fragment as text, lines ending in CRLF.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        if self.ice_lite {
            out.push_str("a=ice-lite\r\n");
        }
        write_credentials(&mut out, self.credentials.as_ref());
        write_end(&mut out, self.end_of_candidates);
        for media in &self.media {
            let _ = write!(out, "m={}\r\n", media.line);
            if let Some(mid) = &media.mid {
                let _ = write!(out, "a=mid:{mid}\r\n");
            }
            write_credentials(&mut out, media.credentials.as_ref());
            for candidate in &media.candidates {
                let _ = write!(out, "a=candidate:{candidate}\r\n");
            }
            write_end(&mut out, media.end_of_candidates);
        }
        out
    }

    /// What an answer says of ICE, for the reply to a restart. Sections after the first are bundled with it.
    pub fn of_description(sdp: &str) -> Self {
        let mut fragment = Self::default();
        let mut half = Half::default();
        for line in steps::lines(sdp) {
            if let Some(value) = line.strip_prefix("m=") {
                fragment.put(std::mem::take(&mut half).finish().unwrap_or_default());
                if fragment.media.len() == 1 {
                    return fragment;
                }
                fragment.media.push(MediaFragment { line: value.to_owned(), ..MediaFragment::default() });
            } else if let Some(value) = line.strip_prefix("a=") {
                // An answer of our own is well formed; what is not stays out of the reply.
                let _ = fragment.attribute(value, &mut half, 0);
            }
        }
        fragment.put(half.finish().unwrap_or_default());
        fragment
    }

    /// A stored description with this fragment's credentials and candidates in place of its own.
    pub fn apply(&self, sdp: &str) -> String {
        let credentials = self.credentials();
        let mut candidates = Some(self.media.iter().flat_map(|media| &media.candidates));
        let mut out = String::with_capacity(sdp.len() + 256);
        let mut sections = 0;
        for line in steps::lines(sdp) {
            if line.starts_with("m=") {
                sections += 1;
                if sections == 2 {
                    write_candidates(&mut out, candidates.take());
                }
            }
            if line.starts_with("a=candidate:") || line == "a=end-of-candidates" {
                continue;
            }
            match credentials {
                Some(new) if line.starts_with("a=ice-ufrag:") => {
                    let _ = write!(out, "a=ice-ufrag:{}\r\n", new.ufrag);
                }
                Some(new) if line.starts_with("a=ice-pwd:") => {
                    let _ = write!(out, "a=ice-pwd:{}\r\n", new.pwd);
                }
                Some(_) | None => {
                    let _ = write!(out, "{line}\r\n");
                }
            }
        }
        write_candidates(&mut out, candidates.take());
        out
    }

    fn attribute(&mut self, value: &str, half: &mut Half, line: usize) -> Result<(), FragmentError> {
        let (name, text) = value.split_once(':').unwrap_or((value, ""));
        match name {
            "ice-ufrag" => half.ufrag = Some(text.to_owned()),
            "ice-pwd" => half.pwd = Some(text.to_owned()),
            "ice-lite" => self.ice_lite = true,
            "mid" => {
                if let Some(media) = self.media.last_mut() {
                    media.mid = Some(text.to_owned());
                }
            }
            "candidate" => {
                let media = self.media.last_mut().ok_or(FragmentError::StrayCandidate { line })?;
                media.candidates.push(text.to_owned());
            }
            "end-of-candidates" => match self.media.last_mut() {
                Some(media) => media.end_of_candidates = true,
                None => self.end_of_candidates = true,
            },
            _ => {}
        }
        Ok(())
    }

    /// Stores what was said since the last media line where it was said.
    fn put(&mut self, credentials: Option<IceCredentials>) {
        if let Some(credentials) = credentials {
            match self.media.last_mut() {
                Some(media) => media.credentials = Some(credentials),
                None => self.credentials = Some(credentials),
            }
        }
    }

    fn effective(&self) -> Result<Option<&IceCredentials>, FragmentError> {
        let mut all = self.credentials.iter().chain(self.media.iter().filter_map(|m| m.credentials.as_ref()));
        let first = all.next();
        if all.any(|other| Some(other) != first) {
            return Err(FragmentError::MixedCredentials);
        }
        Ok(first)
    }
}

impl Half {
    fn finish(self) -> Result<Option<IceCredentials>, FragmentError> {
        match (self.ufrag, self.pwd) {
            (None, None) => Ok(None),
            (Some(ufrag), Some(pwd)) => {
                if !is_ice_text(&ufrag, 4) || !is_ice_text(&pwd, 22) {
                    return Err(FragmentError::BadCredentials);
                }
                Ok(Some(IceCredentials { ufrag, pwd }))
            }
            (Some(_), None) | (None, Some(_)) => Err(FragmentError::HalfCredentials),
        }
    }
}

fn is_ice_text(text: &str, shortest: usize) -> bool {
    (shortest..=256).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/')
}

fn write_credentials(out: &mut String, credentials: Option<&IceCredentials>) {
    if let Some(IceCredentials { ufrag, pwd }) = credentials {
        let _ = write!(out, "a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\n");
    }
}

fn write_end(out: &mut String, end: bool) {
    if end {
        out.push_str("a=end-of-candidates\r\n");
    }
}

fn write_candidates<'a>(out: &mut String, candidates: Option<impl Iterator<Item = &'a String>>) {
    for candidate in candidates.into_iter().flatten() {
        let _ = write!(out, "a=candidate:{candidate}\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PWD: &str = "P2uYro0UCOQ4zxjKXaWCBui1";

    fn restart() -> String {
        format!(
            "a=group:BUNDLE 0 1\r\na=ice-options:trickle\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n\
             a=ice-ufrag:EsAw\r\na=ice-pwd:{PWD}\r\n\
             a=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw\r\n\
             a=end-of-candidates\r\n"
        )
    }

    #[test]
    fn a_restart_is_read() {
        let fragment = SdpFragment::parse(&restart()).unwrap();
        let credentials = fragment.credentials().unwrap();
        assert_eq!((credentials.ufrag.as_str(), credentials.pwd.as_str()), ("EsAw", PWD));
        assert_eq!(fragment.media.len(), 1);
        assert_eq!(fragment.media[0].mid.as_deref(), Some("0"));
        assert_eq!(fragment.media[0].candidates.len(), 1);
        assert!(fragment.media[0].end_of_candidates);
        assert_eq!(SdpFragment::parse(&fragment.to_text()).unwrap(), fragment);
        assert_eq!(SdpFragment::parse(&restart().replace("\r\n", "\n")).unwrap(), fragment);
    }

    #[test]
    fn what_is_no_fragment_is_refused() {
        let long = "a=x\r\n".repeat(MAX_FRAGMENT_BYTES);
        let many = format!("m=audio\r\n{}", "a=candidate:1\r\n".repeat(MAX_CANDIDATES + 1));
        let mixed = format!("{}m=video 9 x 96\r\na=ice-ufrag:Other\r\na=ice-pwd:{PWD}\r\n", restart());
        for (text, error) in [
            ("hello", FragmentError::NotSdp { line: 1 }),
            ("a=x\r\nab=1\r\n", FragmentError::NotSdp { line: 2 }),
            ("a=candidate:1 1 udp 1 192.0.2.1 1 typ host", FragmentError::StrayCandidate { line: 1 }),
            ("a=ice-ufrag:EsAw", FragmentError::HalfCredentials),
            ("a=ice-ufrag:EsAw\r\na=ice-pwd:short", FragmentError::BadCredentials),
            (long.as_str(), FragmentError::TooLarge),
            (many.as_str(), FragmentError::TooMany),
            (mixed.as_str(), FragmentError::MixedCredentials),
        ] {
            assert_eq!(SdpFragment::parse(text), Err(error), "{text:.60}");
        }
    }

    #[test]
    fn a_stored_offer_takes_new_credentials_and_candidates() {
        let offer = "v=0\r\ns=-\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=ice-ufrag:old1\r\na=ice-pwd:oldoldoldoldoldoldoldold\r\n\
                     a=candidate:9 1 udp 1 192.0.2.9 1 typ host\r\na=mid:0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n\
                     a=ice-ufrag:old1\r\na=ice-pwd:oldoldoldoldoldoldoldold\r\na=mid:1\r\n";
        let offer = SdpFragment::parse(&restart()).unwrap().apply(offer);
        assert!(!offer.contains("old") && !offer.contains("192.0.2.9"));
        assert_eq!(offer.matches("a=ice-ufrag:EsAw\r\n").count(), 2);
        assert_eq!(offer.matches("192.0.2.1").count(), 1);
        assert!(offer.find("192.0.2.1").unwrap() < offer.find("m=video").unwrap());
    }

    #[test]
    fn an_answer_gives_its_fragment() {
        let answer = format!(
            "v=0\r\na=ice-lite\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:srvr\r\na=ice-pwd:{PWD}\r\n\
             a=candidate:1 1 udp 1 198.51.100.1 8080 typ host\r\na=end-of-candidates\r\na=fingerprint:x\r\n\
             m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=ice-ufrag:srvr\r\na=ice-pwd:{PWD}\r\n"
        );
        let fragment = SdpFragment::of_description(&answer);
        assert!(fragment.ice_lite);
        assert_eq!(fragment.media.len(), 1);
        assert_eq!(fragment.media[0].candidates.len(), 1);
        assert_eq!(fragment.credentials().unwrap().ufrag, "srvr");
        assert_eq!(SdpFragment::parse(&fragment.to_text()).unwrap(), fragment);
    }

    #[test]
    fn passwords_are_not_in_debug_text() {
        let fragment = SdpFragment::parse(&restart()).unwrap();
        assert!(!format!("{fragment:?}").contains(PWD));
    }

    fn credentials() -> impl Strategy<Value = Option<IceCredentials>> {
        proptest::option::of(
            ("[A-Za-z0-9+/]{4,32}", "[A-Za-z0-9+/]{22,40}")
                .prop_map(|(ufrag, pwd)| IceCredentials { ufrag, pwd }),
        )
    }

    proptest! {
        #[test]
        fn every_fragment_survives_the_wire(
            credentials in credentials(),
            ice_lite: bool,
            end: bool,
            media in proptest::collection::vec(
                ("[a-z]{1,8} 9 [A-Z/]{1,10}", proptest::option::of("[0-9a-z]{1,4}"),
                 proptest::collection::vec("[0-9a-z .:]{1,40}", 0..4), any::<bool>()),
                0..4,
            ),
        ) {
            let media = media.into_iter().map(|(line, mid, candidates, end_of_candidates)| MediaFragment {
                line, mid, credentials: credentials.clone(), candidates, end_of_candidates,
            }).collect();
            let fragment = SdpFragment { credentials, ice_lite, media, end_of_candidates: end };
            prop_assert_eq!(SdpFragment::parse(&fragment.to_text()), Ok(fragment));
        }

        #[test]
        fn any_text_is_read_or_refused(text: String, sdp: String) {
            if let Ok(fragment) = SdpFragment::parse(&text) {
                let _ = fragment.apply(&sdp);
            }
            let _ = SdpFragment::of_description(&text);
        }
    }
}
