//! What an offer asks for, what of it the relay takes, and the finished answer.
//!
//! `rtc` is given the offer cut down to the one codec that is sent, so that its answer can name nothing else. Candidates
//! are ours alone: viewers' are not needed (ICE-lite), the answer's are the relay's addresses. Pure text, no panic.

use super::stun::Credentials;
use super::{Codec, RelayError};
use playgate_signaling::steps;
use std::net::SocketAddr;

pub(super) const MAX_OFFER_BYTES: usize = 64 * 1024;
const MAX_SECTIONS: usize = 16;
/// Browsers offer about 100 lines for a section with video.
const MAX_LINES: usize = 2000;
/// Payload types are seven bits (RFC 3550 section 5.1).
const PAYLOAD_TYPES: usize = 128;
pub(super) const PLAYOUT_DELAY: &str = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay";
pub(super) const TRANSPORT: &str =
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

/// A codec of the offer that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) payload_type: u8,
    pub(super) parameters: String,
    pub(super) channels: u16,
    /// Payload type and parameters of its retransmission format.
    pub(super) rtx: Option<(u8, String)>,
    /// Payload type and parameters of redundant audio (RFC 2198) that carries this format twice.
    pub(super) redundant: Option<(u8, String)>,
}

/// An offer, checked.
#[derive(Debug, Clone)]
pub(super) struct Offer {
    pub(super) fingerprint: String,
    pub(super) ufrag: String,
    pub(super) password: String,
    /// `a=setup:passive`: the viewer insists on being the DTLS server.
    pub(super) viewer_is_server: bool,
    pub(super) video: Format,
    pub(super) audio: Option<Format>,
    /// Id of the playout-delay header extension in the video section.
    pub(super) playout_delay: Option<u8>,
    /// Id of the transport-wide sequence number's extension there, agreed on with everybody: who watches may play later, on
    /// the same connection. Only players' packets carry it (`Peer::measure`).
    pub(super) transport: Option<u8>,
    /// The viewer offers to report its clock, to learn the round trip from our answer (RFC 3611 section 4.4 and 4.5).
    pub(super) receiver_clock: bool,
    /// The offer for `rtc`.
    pub(super) reduced: String,
}

impl Offer {
    /// Reads an offer for a session that sends `video`, and Opus if `audio`.
    pub(super) fn parse(text: &str, video: Codec, audio: bool) -> Result<Self, RelayError> {
        let invalid = |why: &str| RelayError::InvalidOffer(why.to_owned());
        if text.len() > MAX_OFFER_BYTES {
            return Err(invalid("longer than 64 KiB"));
        }
        let lines: Vec<&str> =
            steps::lines(text).map(str::trim_end).filter(|line| !line.is_empty()).collect();
        if lines.len() > MAX_LINES {
            return Err(invalid("more than 2000 lines"));
        }
        let mut sections = lines.split_inclusive_before(|line| line.starts_with("m="));
        let session = sections
            .next()
            .filter(|lines| lines.first() == Some(&"v=0"))
            .ok_or_else(|| invalid("not a session description"))?;
        let media: Vec<&[&str]> = sections.collect();
        if media.is_empty() || media.len() > MAX_SECTIONS {
            return Err(invalid("no media sections, or too many"));
        }
        let anywhere = |key: &str| {
            std::iter::once(session).chain(media.iter().copied()).find_map(|section| attribute(section, key))
        };
        if session.contains(&"a=ice-lite") {
            return Err(invalid("both sides would be ICE-lite"));
        }
        if media
            .iter()
            .any(|section| attribute(section, "mid").is_none_or(|mid| mid.is_empty() || mid.len() > 64))
        {
            return Err(invalid("a media section has no mid"));
        }
        let ufrag = anywhere("ice-ufrag")
            .filter(|ufrag| (4..=256).contains(&ufrag.len()))
            .ok_or_else(|| invalid("no ice-ufrag"))?;
        let password = anywhere("ice-pwd")
            .filter(|pwd| (22..=256).contains(&pwd.len()))
            .ok_or_else(|| invalid("no ice-pwd"))?;
        let fingerprint = anywhere("fingerprint").ok_or_else(|| invalid("no DTLS fingerprint"))?;
        if !fingerprint.get(..8).is_some_and(|algorithm| algorithm.eq_ignore_ascii_case("sha-256 ")) {
            return Err(invalid("the DTLS fingerprint is not SHA-256"));
        }
        let viewer_is_server = anywhere("setup") == Some("passive");

        let kind = |kind: &str| {
            media.iter().position(|section| section.first().is_some_and(|line| line.starts_with(kind)))
        };
        let video_at = kind("m=video ").ok_or_else(|| invalid("the offer asks for no video"))?;
        let video_section = *media.get(video_at).ok_or_else(|| invalid("the offer asks for no video"))?;
        if !receives(video_section, session) {
            return Err(invalid("the offer does not receive video"));
        }
        let video = choose(video_section, video).ok_or(RelayError::UnsupportedCodec(video.name()))?;
        let playout_delay = extension(video_section, PLAYOUT_DELAY);
        let reports = |word: &str| {
            of_format(video_section, "rtcp-fb", video.payload_type, |value| value == word).is_some()
        };
        let transport = extension(video_section, TRANSPORT).filter(|_| reports("transport-cc"));
        let receiver_clock = reports("rrtr");
        let audio_at = kind("m=audio ").filter(|_| audio);
        let audio_section =
            audio_at.and_then(|at| media.get(at).copied()).filter(|section| receives(section, session));
        let audio = audio_section.and_then(|section| choose(section, Codec::Opus));

        let mut reduced = String::with_capacity(text.len());
        push_lines(&mut reduced, session.iter().copied().filter(|line| !line.starts_with("a=candidate")));
        for (at, section) in media.iter().enumerate() {
            let keep = if at == video_at {
                Some(&video)
            } else if Some(at) == audio_at {
                audio.as_ref()
            } else {
                None
            };
            reduce(&mut reduced, section, keep, transport.is_some());
        }
        Ok(Self {
            fingerprint: fingerprint.to_ascii_lowercase(),
            ufrag: ufrag.to_owned(),
            password: password.to_owned(),
            viewer_is_server,
            video,
            audio,
            playout_delay,
            transport,
            receiver_clock,
            reduced,
        })
    }
}

/// The codec's media type.
pub(super) fn mime(codec: Codec) -> &'static str {
    match codec {
        Codec::H264 => "video/H264",
        Codec::Vp8 => "video/VP8",
        Codec::Vp9 => "video/VP9",
        Codec::Av1 => "video/AV1",
        Codec::Opus => "audio/opus",
    }
}

/// The ICE credentials in a description: those of its first section that has both.
pub(super) fn credentials(description: &str) -> Option<Credentials> {
    let lines: Vec<&str> = steps::lines(description).map(str::trim_end).collect();
    lines.split_inclusive_before(|line| line.starts_with("m=")).find_map(|section| {
        let (ufrag, password) = attribute(section, "ice-ufrag").zip(attribute(section, "ice-pwd"))?;
        Some(Credentials { ufrag: ufrag.to_owned(), password: password.to_owned() })
    })
}

/// The answer for the viewer: with the relay's own credentials and candidates in every accepted section, so that none
/// depends on the first one being accepted. `None` when none is.
pub(super) fn finish_answer(answer: &str, candidates: &[SocketAddr], local: &Credentials) -> Option<String> {
    let lines: Vec<&str> = steps::lines(answer).map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let mut finished = String::with_capacity(answer.len() + 1024);
    let mut accepted = false;
    for section in lines.split_inclusive_before(|line| line.starts_with("m=")) {
        let of_the_agent = |line: &str| {
            let owned = ["a=candidate", "a=ice-ufrag:", "a=ice-pwd:"];
            line == "a=end-of-candidates" || owned.iter().any(|start| line.starts_with(start))
        };
        push_lines(&mut finished, section.iter().copied().filter(|line| !of_the_agent(line)));
        if attribute(section, "ice-ufrag").is_none() {
            continue;
        }
        accepted = true;
        push_lines(
            &mut finished,
            [
                format!("a=ice-ufrag:{}", local.ufrag).as_str(),
                format!("a=ice-pwd:{}", local.password).as_str(),
            ],
        );
        for (at, candidate) in candidates.iter().enumerate() {
            let foundation = at + 1;
            // Host preference 126; earlier addresses are preferred (RFC 8445 section 5.1.2.1).
            let priority =
                (126_u32 << 24) + ((65_535 - u32::try_from(at).unwrap_or(65_535).min(65_535)) << 8) + 255;
            let (ip, port) = (candidate.ip(), candidate.port());
            push_lines(
                &mut finished,
                [format!("a=candidate:{foundation} 1 udp {priority} {ip} {port} typ host").as_str()],
            );
        }
        push_lines(&mut finished, ["a=end-of-candidates"]);
    }
    accepted.then_some(finished)
}

fn push_lines<'a>(text: &mut String, lines: impl IntoIterator<Item = &'a str>) {
    for line in lines {
        text.push_str(line);
        text.push_str("\r\n");
    }
}

fn attribute<'a>(section: &[&'a str], key: &str) -> Option<&'a str> {
    steps::each(section.iter().copied())
        .find_map(|line| line.strip_prefix("a=")?.strip_prefix(key)?.strip_prefix(':'))
        .map(str::trim)
}

/// Whether the section wants to receive; a direction at session level counts when it has none (RFC 8866 section 6.7).
fn receives(section: &[&str], session: &[&str]) -> bool {
    let refuses = |lines: &[&str]| lines.iter().any(|line| matches!(*line, "a=sendonly" | "a=inactive"));
    let agrees = |lines: &[&str]| lines.iter().any(|line| matches!(*line, "a=recvonly" | "a=sendrecv"));
    !refuses(section) && (agrees(section) || !refuses(session))
}

/// The payload-type-specific value of an attribute, the first that fits: `a=KEY:PT value`.
fn of_format<'a>(
    section: &[&'a str],
    key: &str,
    payload_type: u8,
    fits: impl Fn(&str) -> bool,
) -> Option<&'a str> {
    steps::each(section.iter().copied()).find_map(|line| {
        let (pt, value) = line.strip_prefix("a=")?.strip_prefix(key)?.strip_prefix(':')?.split_once(' ')?;
        (pt.parse() == Ok(payload_type) && fits(value.trim())).then_some(value.trim())
    })
}

/// The id of a header extension (RFC 8285 section 5), if the one-byte form can carry it.
fn extension(section: &[&str], uri: &str) -> Option<u8> {
    section.iter().find_map(|line| {
        let (id, rest) = line.strip_prefix("a=extmap:")?.split_once(' ')?;
        let id = id.split('/').next()?.parse().ok()?;
        (rest.split(' ').next() == Some(uri) && (1..=14).contains(&id)).then_some(id)
    })
}

/// The formats of a section, read in one pass. An offer may name one format thousands of times, and describe it as often:
/// the first of each counts.
struct Formats<'a> {
    /// In the offer's order, each once.
    offered: Vec<u8>,
    /// `a=rtpmap` and `a=fmtp` by payload type.
    maps: [Option<&'a str>; PAYLOAD_TYPES],
    parameters: [Option<&'a str>; PAYLOAD_TYPES],
}

impl<'a> Formats<'a> {
    fn read(section: &[&'a str]) -> Self {
        let mut formats =
            Self { offered: Vec::new(), maps: [None; PAYLOAD_TYPES], parameters: [None; PAYLOAD_TYPES] };
        let mut seen = [false; PAYLOAD_TYPES];
        for word in section.first().into_iter().flat_map(|media| steps::split(media, ' ').skip(3)) {
            let Ok(payload_type) = word.parse::<u8>() else { continue };
            if let Some(seen @ false) = seen.get_mut(usize::from(payload_type)) {
                *seen = true;
                formats.offered.push(payload_type);
            }
        }
        for line in steps::each(section.iter().copied()) {
            let Some(attribute) = line.strip_prefix("a=") else { continue };
            let (table, rest) = if let Some(rest) = attribute.strip_prefix("rtpmap:") {
                (&mut formats.maps, rest)
            } else if let Some(rest) = attribute.strip_prefix("fmtp:") {
                (&mut formats.parameters, rest)
            } else {
                continue;
            };
            let Some((payload_type, value)) = rest.split_once(' ') else { continue };
            let entry = payload_type.parse::<u8>().ok().and_then(|at| table.get_mut(usize::from(at)));
            if let Some(entry @ None) = entry {
                *entry = Some(value.trim());
            }
        }
        formats
    }

    fn map(&self, payload_type: u8) -> Option<&'a str> {
        *self.maps.get(usize::from(payload_type))?
    }

    fn parameters(&self, payload_type: u8) -> Option<&'a str> {
        *self.parameters.get(usize::from(payload_type))?
    }

    /// Whether the format's codec has this name, in any case.
    fn is(&self, payload_type: u8, name: &str) -> bool {
        self.map(payload_type)
            .and_then(|map| map.split('/').next())
            .is_some_and(|codec| codec.eq_ignore_ascii_case(name))
    }
}

/// The best format of a section for a codec.
fn choose(section: &[&str], codec: Codec) -> Option<Format> {
    let wanted = mime(codec).split_once('/')?.1;
    let formats = Formats::read(section);
    let best = formats
        .offered
        .iter()
        .filter(|payload_type| formats.is(**payload_type, wanted))
        .filter_map(|payload_type| {
            let parameters = formats.parameters(*payload_type).unwrap_or_default();
            Some((rank(codec, parameters)?, *payload_type, parameters))
        })
        .min_by_key(|(rank, ..)| *rank)?;
    let (_, payload_type, parameters) = best;
    let channels = formats.map(payload_type).and_then(|map| map.split('/').nth(2)?.parse().ok()).unwrap_or(0);
    let beside = |name: &str, fits: &dyn Fn(&str) -> bool| {
        formats.offered.iter().filter(|beside| formats.is(**beside, name)).find_map(|beside| {
            let parameters = formats.parameters(*beside).filter(|parameters| fits(parameters))?;
            Some((*beside, parameters.to_owned()))
        })
    };
    let rtx = beside("rtx", &|parameters| {
        parameter(parameters, "apt").is_some_and(|apt| apt.parse() == Ok(payload_type))
    });
    let redundant = beside("red", &|parameters| {
        codec == Codec::Opus && parameters.split('/').take(2).all(|pt| pt.parse() == Ok(payload_type))
    });
    Some(Format { payload_type, parameters: parameters.to_owned(), channels, rtx, redundant })
}

/// How well a format fits, best first; `None`: not at all.
fn rank(codec: Codec, parameters: &str) -> Option<u8> {
    match codec {
        Codec::H264 => {
            if parameter(parameters, "packetization-mode") != Some("1") {
                return None;
            }
            // Constrained baseline, baseline, main, high: each of these decoders takes constrained baseline.
            let profile = parameter(parameters, "profile-level-id").unwrap_or("42e01f").to_ascii_lowercase();
            match profile.get(..4) {
                Some("42e0" | "42c0") => Some(0),
                Some("4200") => Some(1),
                Some("4d00" | "4d40") => Some(2),
                Some("6400" | "640c") => Some(3),
                Some(profile) if profile.starts_with("42") => Some(1),
                Some(_) | None => None,
            }
        }
        Codec::Vp9 | Codec::Av1 => {
            let profile = parameter(parameters, if codec == Codec::Vp9 { "profile-id" } else { "profile" });
            matches!(profile, None | Some("0")).then_some(0)
        }
        Codec::Vp8 | Codec::Opus => Some(0),
    }
}

fn parameter<'a>(parameters: &'a str, key: &str) -> Option<&'a str> {
    steps::split(parameters, ';').find_map(|pair| {
        pair.trim().split_once('=').filter(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value)
    })
}

/// Writes a section with only the kept format, its feedback and the extensions that are used. Of a section that is not
/// accepted, its first format stands for all: `rtc` looks through the whole section again for each.
fn reduce(text: &mut String, section: &[&str], keep: Option<&Format>, transport: bool) {
    let first = section.first().and_then(|media| media.split(' ').nth(3));
    let kept = |word: &str| match keep {
        None => Some(word) == first,
        Some(Format { payload_type, rtx, redundant, .. }) => {
            let also = [rtx, redundant].into_iter().flatten();
            let mut all = std::iter::once(payload_type).chain(also.map(|(also, _)| also));
            all.any(|kept| word.parse() == Ok(*kept))
        }
    };
    for line in steps::each(section.iter().copied()) {
        if let Some(media) = line.strip_prefix("m=") {
            let mut words = steps::split(media, ' ');
            let head: Vec<&str> = words.by_ref().take(3).collect();
            let mut formats: Vec<&str> = Vec::new();
            let mut written: Vec<Option<u8>> = Vec::new();
            for word in words {
                // Each once, however it is spelt: at most three are kept, so these stay short.
                let payload_type = word.parse().ok();
                if kept(word) && !written.contains(&payload_type) {
                    formats.push(word);
                    written.push(payload_type);
                }
            }
            push_lines(text, [format!("m={} {}", head.join(" "), formats.join(" ")).as_str()]);
            continue;
        }
        let Some((key, value)) = line.strip_prefix("a=").and_then(|attribute| attribute.split_once(':'))
        else {
            push_lines(text, [line]);
            continue;
        };
        let keeps = match key {
            "rtcp-fb" if value.ends_with(" transport-cc") => {
                transport && value.split(' ').next().is_some_and(kept)
            }
            "rtpmap" | "fmtp" | "rtcp-fb" => value.split(' ').next().is_some_and(kept),
            "extmap" => match value.split(' ').nth(1) {
                Some(PLAYOUT_DELAY) => keep.is_some(),
                Some(TRANSPORT) => keep.is_some() && transport,
                Some(_) | None => false,
            },
            "candidate" | "ssrc" | "ssrc-group" | "rid" | "simulcast" | "msid" => false,
            _ => true,
        };
        if keeps {
            push_lines(text, [line]);
        }
    }
}

/// Splits before each element that `starts` a piece; the first piece may be empty of one.
trait SplitBefore<T> {
    fn split_inclusive_before<'a>(
        &'a self,
        starts: impl Fn(&T) -> bool + 'a,
    ) -> impl Iterator<Item = &'a [T]>
    where
        T: 'a;
}

impl<T> SplitBefore<T> for Vec<T> {
    fn split_inclusive_before<'a>(&'a self, starts: impl Fn(&T) -> bool + 'a) -> impl Iterator<Item = &'a [T]>
    where
        T: 'a,
    {
        self.chunk_by(move |_, next| !starts(next))
    }
}

#[cfg(test)]
#[path = "sdp_tests.rs"]
pub(super) mod tests;
