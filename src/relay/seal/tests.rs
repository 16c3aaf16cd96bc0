use super::keys::{KeyTap, SendKeys};
use super::*;
use proptest::prelude::*;
use rtc::crypto::RTCCryptoProvider;
use rtc::crypto::providers::AwsLcRsProvider;
use rtc::srtp::context::Context;
use rtc::srtp::protection_profile::ProtectionProfile;
use std::collections::HashSet;
use std::sync::Arc;

const SSRC: u32 = 0x1234_5679;

fn provider() -> Arc<dyn RTCCryptoProvider> {
    Arc::new(AwsLcRsProvider::default())
}

/// The crate's contexts of both directions, made through a tap as a connection makes them: ours first.
fn derived(profile: ProtectionProfile) -> (Arc<KeyTap>, Context, Context) {
    let tap = KeyTap::new(&provider());
    let master = |fill: u8| (vec![fill; profile.key_len()], vec![fill ^ 0x55; profile.salt_len()]);
    let context = |(key, salt): (Vec<u8>, Vec<u8>)| {
        Context::new(&key, &salt, profile, None, None, tap.crypto()).expect("derived")
    };
    let (ours, theirs) = (context(master(1)), context(master(2)));
    (tap, ours, theirs)
}

fn rtcp() -> Vec<u8> {
    vec![0x80, 201, 0, 1, 0, 0, 0, 9]
}

fn proven(profile: ProtectionProfile) -> (Sealer, Context) {
    let (tap, mut ours, _) = derived(profile);
    let keys = tap.take().expect("the shape of AES-GCM");
    let sealed = ours.encrypt_rtcp(&rtcp()).expect("sealed");
    let sealer = proof::sealer(&keys, &sealed, provider().crypto()).expect("proven");
    let opener =
        Context::new(&keys.master_key, keys.master_salt.as_slice(), profile, None, None, provider().crypto());
    (sealer, opener.expect("derived"))
}

fn header(index: u64) -> Vec<u8> {
    let mut header = vec![0x90, 96];
    header.extend_from_slice(&index.to_be_bytes()[6..]);
    header.extend_from_slice(&[0, 0, 0, 7]);
    header.extend_from_slice(&SSRC.to_be_bytes());
    header.extend_from_slice(&[0xbe, 0xde, 0, 1, 0x52, 0, 0, 0]);
    header
}

fn sealed(sealer: &Sealer, stream: &mut Outgoing, index: u64, payload: &[u8]) -> Result<Vec<u8>, Unsealed> {
    let mut packet = header(index);
    let start = packet.len();
    packet.resize(start + payload.len() + TAG, 0);
    let (head, rest) = packet.split_at_mut(start);
    sealer.seal(stream, index, head, payload, rest)?;
    Ok(packet)
}

#[test]
fn the_crate_opens_what_is_sealed_over_two_rollovers() {
    for profile in [ProtectionProfile::AeadAes128Gcm, ProtectionProfile::AeadAes256Gcm] {
        let (sealer, mut opener) = proven(profile);
        let mut stream = Outgoing::new(SSRC);
        for index in (20_000..200_000u64).step_by(7) {
            let payload = index.to_be_bytes();
            let packet = sealed(&sealer, &mut stream, index, &payload).expect("sealed");
            let opened = opener.decrypt_rtp(&packet).expect("opened");
            assert_eq!(&opened[20..], payload);
        }
    }
}

#[test]
fn keys_of_the_other_direction_are_not_proven() {
    let (tap, _, mut theirs) = derived(ProtectionProfile::AeadAes128Gcm);
    let keys = tap.take().expect("the shape of AES-GCM");
    let sealed = theirs.encrypt_rtcp(&rtcp()).expect("sealed");
    assert!(proof::sealer(&keys, &sealed, provider().crypto()).is_none());
}

#[test]
fn a_wrong_salt_is_not_proven() {
    let (tap, mut ours, _) = derived(ProtectionProfile::AeadAes128Gcm);
    let keys = tap.take().expect("the shape of AES-GCM");
    let sealed = ours.encrypt_rtcp(&rtcp()).expect("sealed");
    let keys = SendKeys { session_salt: Zeroizing::new([0; 12]), ..keys };
    assert!(proof::sealer(&keys, &sealed, provider().crypto()).is_none());
}

#[test]
fn another_cipher_gives_no_keys() {
    let (tap, ..) = derived(ProtectionProfile::Aes128CmHmacSha1_80);
    assert!(tap.take().is_none());
}

#[test]
fn keys_are_given_once_and_nothing_is_noted_after() {
    let (tap, ..) = derived(ProtectionProfile::AeadAes128Gcm);
    assert!(tap.take().is_some());
    let again = Context::new(&[3; 16], &[3; 12], ProtectionProfile::AeadAes128Gcm, None, None, tap.crypto());
    assert!(again.is_ok() && tap.take().is_none());
}

#[test]
fn an_index_is_sealed_once_and_must_fit_48_bits() {
    let (sealer, _) = proven(ProtectionProfile::AeadAes128Gcm);
    let mut stream = Outgoing::new(SSRC);
    assert!(sealed(&sealer, &mut stream, 65_535, b"a").is_ok());
    assert!(sealed(&sealer, &mut stream, 65_536, b"b").is_ok());
    assert_eq!(sealed(&sealer, &mut stream, 65_535, b"c"), Err(Unsealed::Repeated));
    assert_eq!(sealed(&sealer, &mut stream, INDICES, b"d"), Err(Unsealed::Repeated));
}

proptest! {
    #[test]
    fn nonces_differ_for_every_pair_of_ssrc_and_index(pairs in proptest::collection::hash_set((any::<u32>(), 0..INDICES), 1..200)) {
        let (sealer, _) = proven(ProtectionProfile::AeadAes128Gcm);
        let nonces: HashSet<_> = pairs.iter().map(|(ssrc, index)| *sealer.nonce(*ssrc, *index).as_ref()).collect();
        prop_assert_eq!(nonces.len(), pairs.len());
    }
}
