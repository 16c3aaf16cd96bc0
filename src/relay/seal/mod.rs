//! Sealing of outgoing RTP: AES-GCM (RFC 7714) straight into the send buffer, with the keys that `rtc` negotiated.
//!
//! `rtc` keeps ICE, DTLS, SCTP, RTCP and everything that comes in; what the relay sends a thousand times a second does not
//! pass through it. Keys come from [`keys`], and [`proof`] compares them with the crate's own work before they are used.
//!
//! # Why no nonce is used twice
//!
//! The nonce is the session salt over SSRC and packet index (RFC 7714 section 8.1), so a pair of SSRC and index must be
//! sealed at most once under a key. What holds that up:
//!
//! - A key belongs to one DTLS association, so to one [`super::peer::Peer`]; a peer in its place has other keys.
//! - A peer decides once, when it is connected and before its first packet, who seals: this module, or the crate for good.
//!   RTCP, which the crate goes on sealing, has a session key of its own (RFC 3711 section 4.3).
//! - Every SSRC has one [`Outgoing`], and every index passes its [`Window`], which refuses what it has seen and what is too
//!   old to tell: whatever the numbering above does wrong, it costs a packet and not the key.
//! - Indices are given out by [`super::down_track`], rising, over restarts of the source (`super::source`) and skips alike.
//!   They are 64 bits wide there: sequence number and rollover counter are the low 48 bits, so nothing starts again at a wrap.
//! - A retransmission is a new packet of its own SSRC (RFC 4588) or the datagram that was sent before, never the old packet
//!   sealed again.

pub(super) mod keys;
pub(super) mod proof;
mod window;

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
pub(super) use window::Window;
use zeroize::Zeroizing;

/// Bytes that sealing adds (RFC 7714 section 13).
pub(super) const TAG: usize = 16;
const SALT: usize = 12;
/// Packet indices are 48 bits: a rollover counter of 32 and a sequence number of 16.
const INDICES: u64 = 1 << 48;

/// One direction's SRTP session key and salt.
pub(super) struct Sealer {
    key: LessSafeKey,
    salt: Zeroizing<[u8; SALT]>,
}

/// Nothing was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unsealed {
    /// The index was sealed before, or is too old to be sure.
    #[error("a packet index was to be sealed twice")]
    Repeated,
    #[error("the cipher refused a packet")]
    Cipher,
}

/// One outgoing stream: its SSRC and which of its indices are sealed.
#[derive(Debug)]
pub(super) struct Outgoing {
    ssrc: u32,
    window: Window,
}

impl Outgoing {
    pub(super) fn new(ssrc: u32) -> Self {
        Self { ssrc, window: Window::default() }
    }

    pub(super) fn ssrc(&self) -> u32 {
        self.ssrc
    }
}

impl Sealer {
    /// A session key of 16 or 32 bytes; `None` for any other length.
    pub(super) fn new(key: &[u8], salt: [u8; SALT]) -> Option<Self> {
        let algorithm = match key.len() {
            16 => &AES_128_GCM,
            32 => &AES_256_GCM,
            _ => return None,
        };
        let key = LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?);
        Some(Self { key, salt: Zeroizing::new(salt) })
    }

    /// Seals `payload` behind its header. `sealed` has room for the payload and [`TAG`].
    pub(super) fn seal(
        &self,
        stream: &mut Outgoing,
        index: u64,
        header: &[u8],
        payload: &[u8],
        sealed: &mut [u8],
    ) -> Result<(), Unsealed> {
        if index >= INDICES || !stream.window.admit(index) {
            return Err(Unsealed::Repeated);
        }
        let (text, tag) = sealed.split_at_mut_checked(payload.len()).ok_or(Unsealed::Cipher)?;
        self.key
            .seal_out_of_place_scatter(
                self.nonce(stream.ssrc, index),
                Aad::from(header),
                payload,
                text,
                &[],
                tag,
            )
            .map_err(|_| Unsealed::Cipher)
    }

    /// Two zero bytes, SSRC, rollover counter and sequence number, over the salt (RFC 7714 section 8.1).
    fn nonce(&self, ssrc: u32, index: u64) -> Nonce {
        let mut nonce = *self.salt;
        let place = (u128::from(ssrc) << 48) | u128::from(index);
        for (byte, over) in nonce.iter_mut().zip(place.to_be_bytes().into_iter().skip(16 - SALT)) {
            *byte ^= over;
        }
        Nonce::assume_unique_for_key(nonce)
    }
}

#[cfg(test)]
mod tests;
