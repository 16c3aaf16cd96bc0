//! The little of STUN (RFC 8489) that an ICE-lite agent needs: read a binding request, prove its integrity, answer it.
//!
//! The relay is its own ICE agent: the address a viewer nominated last is where its packets go, through every address
//! change and restart. `rtc` is shown one constant pair instead (see `peer`). Nothing here panics on any input.

use aws_lc_rs::hmac;
use std::net::{IpAddr, SocketAddr};

const MAGIC: u32 = 0x2112_A442;
const HEADER: usize = 20;
const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;
const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT: u16 = 0x8028;
const ICE_CONTROLLED: u16 = 0x8029;
const ICE_CONTROLLING: u16 = 0x802A;
/// Length of a MESSAGE-INTEGRITY attribute, header and HMAC-SHA1.
const INTEGRITY_LEN: usize = 24;

/// One side's ICE credentials (RFC 8839 section 5.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) ufrag: String,
    pub(super) password: String,
}

/// Why a datagram is no usable binding request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum StunError {
    #[error("malformed STUN message")]
    Malformed,
    #[error("not a binding request")]
    NotARequest,
    #[error("no user name or message integrity")]
    Unauthenticated,
}

/// A binding request as read; not yet proven.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) transaction: [u8; 12],
    /// The receiver's (our) ufrag: USERNAME before the colon.
    pub(super) local_ufrag: &'a str,
    /// The sender's ufrag: USERNAME after the colon.
    pub(super) remote_ufrag: &'a str,
    pub(super) use_candidate: bool,
    /// The sender believes to be the controlled side, as we are.
    pub(super) controlled: bool,
    covered: &'a [u8],
    integrity: &'a [u8],
}

impl<'a> Request<'a> {
    /// Reads a datagram whose first byte is 0-3 (RFC 7983).
    pub(super) fn parse(datagram: &'a [u8]) -> Result<Self, StunError> {
        let kind = word(datagram, 0)?;
        let length = usize::from(word(datagram, 2)?);
        if length % 4 != 0
            || datagram.len() != HEADER + length
            || datagram.get(4..8) != Some(&MAGIC.to_be_bytes())
        {
            return Err(StunError::Malformed);
        }
        if kind != BINDING_REQUEST {
            return Err(StunError::NotARequest);
        }
        let transaction =
            datagram.get(8..HEADER).and_then(|id| id.try_into().ok()).ok_or(StunError::Malformed)?;
        let mut username = None;
        let (mut use_candidate, mut controlled) = (false, false);
        let mut at = HEADER;
        while at < datagram.len() {
            let attribute = word(datagram, at)?;
            let len = usize::from(word(datagram, at + 2)?);
            let value = datagram.get(at + 4..at + 4 + len).ok_or(StunError::Malformed)?;
            match attribute {
                USERNAME => username = std::str::from_utf8(value).ok(),
                USE_CANDIDATE => use_candidate = true,
                ICE_CONTROLLED => controlled = true,
                MESSAGE_INTEGRITY => {
                    let (local_ufrag, remote_ufrag) =
                        username.and_then(|name| name.split_once(':')).ok_or(StunError::Unauthenticated)?;
                    let covered = datagram.get(..at).ok_or(StunError::Malformed)?;
                    return Ok(Self {
                        transaction,
                        local_ufrag,
                        remote_ufrag,
                        use_candidate,
                        controlled,
                        covered,
                        integrity: value,
                    });
                }
                _ => {}
            }
            at += 4 + len.next_multiple_of(4);
        }
        Err(StunError::Unauthenticated)
    }

    /// Whether the sender knows our password.
    pub(super) fn verify(&self, password: &str) -> bool {
        let mut head = [0; HEADER];
        let Some(start) = self.covered.get(..HEADER) else { return false };
        head.copy_from_slice(start);
        set_length(&mut head, self.covered.len() - HEADER + INTEGRITY_LEN);
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
        let mut signed = Vec::with_capacity(self.covered.len());
        signed.extend_from_slice(&head);
        signed.extend_from_slice(self.covered.get(HEADER..).unwrap_or_default());
        hmac::verify(&key, &signed, self.integrity).is_ok()
    }
}

/// A binding success response that tells the sender its address as we see it.
pub(super) fn success(transaction: [u8; 12], mapped: SocketAddr, password: &str) -> Vec<u8> {
    let mut message = Message::new(BINDING_SUCCESS, transaction);
    let mut value = vec![0, if mapped.is_ipv4() { 1 } else { 2 }];
    let [m0, m1, ..] = MAGIC.to_be_bytes();
    let [p0, p1] = mapped.port().to_be_bytes();
    value.extend_from_slice(&[p0 ^ m0, p1 ^ m1]);
    let mask = MAGIC.to_be_bytes().into_iter().chain(transaction);
    match mapped.ip() {
        IpAddr::V4(ip) => value.extend(ip.octets().into_iter().zip(mask).map(|(a, b)| a ^ b)),
        IpAddr::V6(ip) => value.extend(ip.octets().into_iter().zip(mask).map(|(a, b)| a ^ b)),
    }
    message.attribute(XOR_MAPPED_ADDRESS, &value);
    message.finish(password)
}

/// Error 487: both sides believe to be controlled (RFC 8445 section 7.3.1.1).
pub(super) fn role_conflict(transaction: [u8; 12], password: &str) -> Vec<u8> {
    let mut message = Message::new(BINDING_ERROR, transaction);
    message.attribute(ERROR_CODE, b"\0\0\x04\x57Role Conflict");
    message.finish(password)
}

/// A binding request that nominates, as a controlling agent sends it.
pub(super) fn nominating_request(
    transaction: [u8; 12],
    receiver: &Credentials,
    sender_ufrag: &str,
) -> Vec<u8> {
    let mut message = Message::new(BINDING_REQUEST, transaction);
    message.attribute(USERNAME, format!("{}:{sender_ufrag}", receiver.ufrag).as_bytes());
    message.attribute(ICE_CONTROLLING, &[0; 8]);
    message.attribute(PRIORITY, &[0x6e, 0, 1, 0xff]);
    message.attribute(USE_CANDIDATE, &[]);
    message.finish(&receiver.password)
}

/// The transaction of a binding request, if the datagram is one.
pub(super) fn request_transaction(datagram: &[u8]) -> Option<[u8; 12]> {
    (word(datagram, 0) == Ok(BINDING_REQUEST)).then(|| datagram.get(8..HEADER)?.try_into().ok()).flatten()
}

fn word(bytes: &[u8], at: usize) -> Result<u16, StunError> {
    bytes
        .get(at..at + 2)
        .and_then(|pair| pair.try_into().ok())
        .map(u16::from_be_bytes)
        .ok_or(StunError::Malformed)
}

fn set_length(message: &mut [u8], length: usize) {
    let length = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
    if let Some(field) = message.get_mut(2..4) {
        field.copy_from_slice(&length);
    }
}

struct Message(Vec<u8>);

impl Message {
    fn new(kind: u16, transaction: [u8; 12]) -> Self {
        let mut bytes = Vec::with_capacity(128);
        bytes.extend_from_slice(&kind.to_be_bytes());
        bytes.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(&MAGIC.to_be_bytes());
        bytes.extend_from_slice(&transaction);
        Self(bytes)
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.0.extend_from_slice(&kind.to_be_bytes());
        self.0.extend_from_slice(&u16::try_from(value.len()).unwrap_or(0).to_be_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    /// Adds integrity and fingerprint.
    fn finish(mut self, password: &str) -> Vec<u8> {
        let length = self.0.len() - HEADER + INTEGRITY_LEN;
        set_length(&mut self.0, length);
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
        let tag = hmac::sign(&key, &self.0);
        self.attribute(MESSAGE_INTEGRITY, tag.as_ref());
        let length = self.0.len() - HEADER + 8;
        set_length(&mut self.0, length);
        let mut crc = flate2::Crc::new();
        crc.update(&self.0);
        self.attribute(FINGERPRINT, &(crc.sum() ^ 0x5354_554e).to_be_bytes());
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ours() -> Credentials {
        Credentials { ufrag: "local".into(), password: "a-password-of-22-chars".into() }
    }

    #[test]
    fn a_request_is_read_and_proven_by_the_password() {
        let datagram = nominating_request([7; 12], &ours(), "remote");
        let request = Request::parse(&datagram).expect("a request");
        assert_eq!((request.local_ufrag, request.remote_ufrag), ("local", "remote"));
        assert!(request.use_candidate && !request.controlled);
        assert!(request.verify(&ours().password));
        assert!(!request.verify("another-password-22-ch"));
    }

    #[test]
    fn rfc_5769_sample_request_is_proven() {
        let datagram: Vec<u8> = [
            "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff",
            "80290008932ff9b151263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2",
            "80280004e57a3bcf",
        ]
        .concat()
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("ascii"), 16).expect("hex"))
        .collect();
        let request = Request::parse(&datagram).expect("the sample");
        assert_eq!((request.local_ufrag, request.remote_ufrag), ("evtj", "h6vY"));
        assert!(request.controlled);
        assert!(request.verify("VOkJxbRl1RmTxUk/WvJxBt"));
    }

    #[test]
    fn responses_are_well_formed_messages() {
        for mapped in ["192.0.2.1:32853", "[2001:db8::1]:9"] {
            let bytes = success([1; 12], mapped.parse().expect("address"), "password");
            assert_eq!(bytes.len() % 4, 0);
            assert_eq!(Request::parse(&bytes).map(|_| ()), Err(StunError::NotARequest));
        }
        assert_eq!(role_conflict([1; 12], "password").len() % 4, 0);
    }

    proptest! {
        #[test]
        fn no_datagram_is_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(request) = Request::parse(&bytes) {
                let _ = request.verify("password");
            }
            let _ = request_transaction(&bytes);
        }

        #[test]
        fn a_damaged_request_is_never_proven(at in 0usize..68, flip in 1u8..=255) {
            let mut datagram = nominating_request([7; 12], &ours(), "remote");
            datagram[at] ^= flip;
            if let Ok(request) = Request::parse(&datagram) {
                prop_assert!(!request.verify(&ours().password));
            }
        }
    }
}
