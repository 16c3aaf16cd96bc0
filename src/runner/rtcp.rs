//! RTCP: what comes back from the relay (PLI, RFC 4585 section 6.3.1; FIR, RFC 5104 section 4.3.1; the number of its key frame
//! request in an APP packet, RFC 3550 section 6.7) and the sender reports we give (RFC 3550 section 6.4.1).
//!
//! Pure parsing and writing; anything malformed is no feedback and never an error.

use playgate_signaling::runner::KEY_FRAME_REQUEST;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SENDER_REPORT: u8 = 200;
const SOURCE_DESCRIPTION: u8 = 202;
const APPLICATION: u8 = 204;
const PAYLOAD_SPECIFIC: u8 = 206;
const PLI: u8 = 1;
const FIR: u8 = 4;
/// Between 1900 and 1970, in seconds.
const NTP_EPOCH: u64 = 2_208_988_800;

/// Remembers FIR command numbers: the same number again is a repetition, not a new request.
#[derive(Debug, Default)]
pub struct Feedback {
    last_fir: Option<u8>,
}

impl Feedback {
    /// The number of the key frame request for `ssrc` in a compound packet, 0 where it has none. A PLI that names no source (0)
    /// is taken as ours: the socket is connected to the relay and carries one stream.
    pub fn key_frame_request(&mut self, compound: &[u8], ssrc: u32) -> Option<u64> {
        let (mut requested, mut number) = (false, 0);
        let mut rest = compound;
        while let Some((packet, next)) = split_packet(rest) {
            rest = next;
            let Some(format) = packet.first().map(|byte| byte & 0x1F) else { continue };
            match (packet.get(1).copied(), format) {
                (Some(PAYLOAD_SPECIFIC), PLI) => {
                    requested |= word(packet, 8).is_some_and(|media| media == ssrc || media == 0);
                }
                (Some(PAYLOAD_SPECIFIC), FIR) => {
                    for entry in packet.get(12..).unwrap_or_default().chunks_exact(8) {
                        if word(entry, 0) == Some(ssrc) && self.last_fir != Some(entry[4]) {
                            self.last_fir = Some(entry[4]);
                            requested = true;
                        }
                    }
                }
                (Some(APPLICATION), _) if packet.get(8..12) == Some(&KEY_FRAME_REQUEST[..]) => {
                    let bytes = packet.get(12..).and_then(|data| data.first_chunk::<8>());
                    number = bytes.map_or(0, |bytes| u64::from_be_bytes(*bytes));
                }
                _ => {}
            }
        }
        requested.then_some(number)
    }
}

/// True for RTCP by RFC 5761: the second byte is 192-223.
pub fn is_rtcp(datagram: &[u8]) -> bool {
    datagram.len() >= 8 && datagram[0] >> 6 == 2 && (192..=223).contains(&datagram[1])
}

fn split_packet(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    if bytes.len() < 4 || bytes[0] >> 6 != 2 {
        return None;
    }
    let length = 4 * (usize::from(u16::from_be_bytes([bytes[2], bytes[3]])) + 1);
    bytes.split_at_checked(length)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk::<4>().map(|four| u32::from_be_bytes(*four))
}

/// What a sender report says.
#[derive(Debug, Clone, Copy)]
pub struct Report {
    pub ssrc: u32,
    pub at: SystemTime,
    /// The media clock at `at`.
    pub timestamp: u32,
    pub packets: u32,
    pub octets: u32,
}

/// A compound of a sender report and a source description with `cname`.
pub fn sender_report(report: &Report, cname: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    out.extend_from_slice(&[0x80, SENDER_REPORT, 0, 6]);
    out.extend_from_slice(&report.ssrc.to_be_bytes());
    out.extend_from_slice(&ntp(report.at).to_be_bytes());
    out.extend_from_slice(&report.timestamp.to_be_bytes());
    out.extend_from_slice(&report.packets.to_be_bytes());
    out.extend_from_slice(&report.octets.to_be_bytes());
    let mut item = report.ssrc.to_be_bytes().to_vec();
    let name = &cname.as_bytes()[..cname.len().min(255)];
    item.extend_from_slice(&[1, u8::try_from(name.len()).unwrap_or(u8::MAX)]);
    item.extend_from_slice(name);
    // At least one zero ends the list of items.
    item.resize(item.len() + 4 - item.len() % 4, 0);
    out.extend_from_slice(&[0x81, SOURCE_DESCRIPTION]);
    out.extend_from_slice(&u16::try_from(item.len() / 4).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(&item);
    out
}

/// 64-bit NTP timestamp.
fn ntp(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let fraction = (u64::from(since.subsec_nanos()) << 32) / 1_000_000_000;
    (since.as_secs().wrapping_add(NTP_EPOCH) << 32) | fraction
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OURS: u32 = 0xCAFE_0001;

    fn pli(media: u32) -> Vec<u8> {
        let mut out = vec![0x81, PAYLOAD_SPECIFIC, 0, 2, 0, 0, 0, 1];
        out.extend_from_slice(&media.to_be_bytes());
        out
    }

    fn fir(media: u32, number: u8) -> Vec<u8> {
        let mut out = vec![0x84, PAYLOAD_SPECIFIC, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0];
        out.extend_from_slice(&media.to_be_bytes());
        out.extend_from_slice(&[number, 0, 0, 0]);
        out
    }

    #[test]
    fn pli_for_us_is_a_request_also_behind_a_receiver_report() {
        let mut compound = vec![0x80, 201, 0, 1, 0, 0, 0, 1];
        compound.extend(pli(OURS));
        assert!(is_rtcp(&compound));
        assert_eq!(Feedback::default().key_frame_request(&compound, OURS), Some(0));
        assert_eq!(Feedback::default().key_frame_request(&pli(0), OURS), Some(0));
        assert_eq!(Feedback::default().key_frame_request(&pli(OURS + 1), OURS), None);
    }

    #[test]
    fn a_repeated_fir_is_one_request() {
        let mut feedback = Feedback::default();
        assert_eq!(feedback.key_frame_request(&fir(OURS, 3), OURS), Some(0));
        assert_eq!(feedback.key_frame_request(&fir(OURS, 3), OURS), None);
        assert_eq!(feedback.key_frame_request(&fir(OURS, 4), OURS), Some(0));
        assert_eq!(feedback.key_frame_request(&fir(OURS + 1, 5), OURS), None);
    }

    #[test]
    fn a_sender_report_has_its_fields_where_the_rfc_puts_them() {
        let at = UNIX_EPOCH + Duration::from_millis(1500);
        let report = sender_report(&Report { ssrc: OURS, at, timestamp: 9, packets: 10, octets: 11 }, "game");
        assert_eq!(report.len() % 4, 0);
        assert_eq!(word(&report, 4), Some(OURS));
        assert_eq!(word(&report, 8), Some(2_208_988_801));
        assert_eq!(word(&report, 12), Some(1 << 31));
        assert_eq!((word(&report, 16), word(&report, 20), word(&report, 24)), (Some(9), Some(10), Some(11)));
        let (_, description) = split_packet(&report).expect("the report");
        let (description, rest) = split_packet(description).expect("the description");
        assert_eq!(description[1], SOURCE_DESCRIPTION);
        assert!(rest.is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = is_rtcp(&bytes);
            let _ = Feedback::default().key_frame_request(&bytes, OURS);
        }
    }
}
