//! The SRTP protection profiles that a ClientHello offers (RFC 6347 section 4.2.1, RFC 5764 section 4.1.1).

use rtc::dtls::extension::extension_use_srtp::SrtpProtectionProfile;

const USE_SRTP: u16 = 14;
/// Profiles that the relay takes, best first: with GCM it seals by itself (`crate::relay::seal`), and AES-256 costs more
/// than AES-128 for no gain.
const PREFERENCE: [SrtpProtectionProfile; 4] = [
    SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
    SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm,
    SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
    SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_32,
];

/// What the relay wants to know of a ClientHello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::relay) struct ClientHello {
    /// The best profile that both sides have; `None`: the client offers none that the relay has.
    pub(in crate::relay) srtp: Option<SrtpProtectionProfile>,
}

impl ClientHello {
    /// Reads the body of a ClientHello message. `None`: `rtc` would not understand it either.
    pub(in crate::relay) fn parse(body: &[u8]) -> Option<Self> {
        let mut hello = Reader(body);
        hello.take(2 + 32)?;
        // `rtc-dtls` reads no session id. Nothing can be resumed here, so no client has a reason to send one.
        if !hello.vector(1)?.is_empty() {
            return None;
        }
        let _cookie = hello.vector(1)?;
        let _cipher_suites = hello.vector(2)?;
        let _compression_methods = hello.vector(1)?;
        let mut extensions = Reader(hello.vector(2)?);
        let mut srtp = None;
        while !extensions.0.is_empty() {
            let kind = extensions.number(2)?;
            let value = extensions.vector(2)?;
            if kind == usize::from(USE_SRTP) {
                let offered = Reader(value).vector(2)?;
                let offers = |profile: &SrtpProtectionProfile| {
                    let code = (*profile as u16).to_be_bytes();
                    offered.chunks_exact(2).any(|pair| pair == code)
                };
                srtp = PREFERENCE.iter().copied().find(offers);
            }
        }
        Some(Self { srtp })
    }
}

/// What of a message is not read yet.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// A number of `width` bytes.
    fn number(&mut self, width: usize) -> Option<usize> {
        Some(self.take(width)?.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    /// Bytes behind their length, which is a number of `width` bytes.
    fn vector(&mut self, width: usize) -> Option<&'a [u8]> {
        let length = self.number(width)?;
        self.take(length)
    }
}

#[cfg(test)]
pub(in crate::relay) mod tests {
    use super::*;
    use proptest::prelude::*;

    const GCM_128: u16 = 7;
    const GCM_256: u16 = 8;
    const CM_80: u16 = 1;

    /// The body of a ClientHello that offers these profiles behind `padding` bytes of another extension.
    pub(in crate::relay) fn message(profiles: &[u16], cookie: &[u8], padding: usize) -> Vec<u8> {
        let vector = |width: usize, bytes: &[u8]| {
            let length = (bytes.len() as u64).to_be_bytes();
            [&length[8 - width..], bytes].concat()
        };
        let list: Vec<u8> = profiles.iter().flat_map(|profile| profile.to_be_bytes()).collect();
        let srtp = [vector(2, &list), vec![0]].concat();
        let extensions = [
            // What `rtc` wants: an extended master secret (RFC 7627), and X25519 among the curves.
            [0, 23, 0, 0, 0, 10, 0, 4, 0, 2, 0, 29].as_slice(),
            &[0, 21],
            &vector(2, &vec![0; padding]),
            &USE_SRTP.to_be_bytes(),
            &vector(2, &srtp),
        ];
        [
            [[0xfe, 0xfd].as_slice(), &[7; 32], &[0]].concat(),
            vector(1, cookie),
            vector(2, &[0xc0, 0x2b]),
            vector(1, &[0]),
            vector(2, &extensions.concat()),
        ]
        .concat()
    }

    fn chosen(profiles: &[u16]) -> Option<SrtpProtectionProfile> {
        ClientHello::parse(&message(profiles, &[], 3)).expect("a ClientHello").srtp
    }

    #[test]
    fn gcm_is_taken_from_who_offers_it_whatever_the_order() {
        let gcm = Some(SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm);
        assert_eq!(chosen(&[CM_80, GCM_256, GCM_128]), gcm);
        assert_eq!(chosen(&[GCM_128]), gcm);
        assert_eq!(chosen(&[CM_80, GCM_256]), Some(SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm));
        assert_eq!(chosen(&[2, CM_80]), Some(SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80));
        assert_eq!(chosen(&[5, 6]), None);
    }

    #[test]
    fn a_hello_without_the_extension_offers_nothing() {
        let body = message(&[], &[9; 20], 0);
        assert_eq!(ClientHello::parse(&body), Some(ClientHello { srtp: None }));
        let bare = [[0xfe, 0xfd].as_slice(), &[7; 32], &[0, 0, 0, 2, 0xc0, 0x2b, 1, 0, 0, 0]].concat();
        assert_eq!(ClientHello::parse(&bare), Some(ClientHello { srtp: None }));
    }

    #[test]
    fn a_hello_that_rtc_cannot_read_is_none() {
        let mut body = message(&[GCM_128], &[], 0);
        body.splice(34..35, [1, 0xaa]);
        assert_eq!(ClientHello::parse(&body), None, "a session id");
        let body = message(&[GCM_128], &[], 0);
        for length in 0..body.len() {
            assert_eq!(ClientHello::parse(&body[..length]), None, "cut off at {length}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = ClientHello::parse(&bytes);
        }

        #[test]
        fn a_damaged_hello_is_no_panic(at in 0usize..120, flip in 1u8..=255) {
            let mut body = message(&[CM_80, GCM_128], &[4; 20], 30);
            if let Some(byte) = body.get_mut(at) {
                *byte ^= flip;
            }
            let _ = ClientHello::parse(&body);
        }
    }
}
