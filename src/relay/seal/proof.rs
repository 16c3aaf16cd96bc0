//! Whether captured keys are the ones the connection sends with: proven against `rtc-srtp`, once for each peer.
//!
//! Two things are compared. The crate opens with the captured master key what our sealer seals, so session key, salt, nonce
//! and layout are right. And it opens with the same master key an RTCP packet that the connection itself has sealed, so the
//! key is that of our direction and not the peer's.

use super::keys::SendKeys;
use super::{Outgoing, Sealer, TAG};
use rtc::crypto::RTCCrypto;
use rtc::srtp::context::Context;
use rtc::srtp::protection_profile::ProtectionProfile;

/// Sealed under an SSRC that no stream has, and never sent.
const HEADER: [u8; 12] = [0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
const PAYLOAD: &[u8] = b"playgate";

/// The sealer, if both proofs hold. `rtcp`: a packet that the connection sealed.
pub(in crate::relay) fn sealer(keys: &SendKeys, rtcp: &[u8], crypto: &dyn RTCCrypto) -> Option<Sealer> {
    let profile = match keys.master_key.len() {
        16 => ProtectionProfile::AeadAes128Gcm,
        _ => ProtectionProfile::AeadAes256Gcm,
    };
    let mut opener =
        Context::new(&keys.master_key, keys.master_salt.as_slice(), profile, None, None, crypto).ok()?;
    let sealer = Sealer::new(&keys.session_key, *keys.session_salt)?;
    let mut packet = vec![0; HEADER.len() + PAYLOAD.len() + TAG];
    let (header, sealed) = packet.split_at_mut(HEADER.len());
    header.copy_from_slice(&HEADER);
    sealer.seal(&mut Outgoing::new(0), 1, &HEADER, PAYLOAD, sealed).ok()?;
    let opened = opener.decrypt_rtp(&packet).ok()?;
    (opened.get(HEADER.len()..) == Some(PAYLOAD) && opener.decrypt_rtcp(rtcp).is_ok()).then_some(sealer)
}
