//! The SRTP keys of a connection, seen where `rtc` derives them.
//!
//! `rtc` gives its keys to nobody, but lets the application bring the cryptography. So each peer connection gets a
//! provider that passes everything on and notes one thing: single AES blocks, which nothing but SRTP's key derivation
//! (RFC 3711 section 4.3) encrypts. What was noted is wiped when it is taken or dropped, and nothing is noted afterwards.
//!
//! The shape of the derivation is the crate's (`rtc` is pinned for it): for each direction, ours first in both DTLS roles,
//! key and salt of SRTP and SRTCP. Any other shape gives no keys, and the crate seals for that peer.
//!
//! It also counts what was opened: `rtc` drops repeated records and packets before it decrypts them, so each count is a
//! fresh message of the peer's own.

use rtc::crypto::{
    ActiveKeyExchange, AeadAlgorithm, AeadCipher, BlockCipherAlgorithm, CbcAlgorithm, CbcCipher,
    CryptoAlgorithm, CryptoError, HashAlgorithm, HmacAlgorithm, KeyExchangeAlgorithm, Mac, PublicKey,
    RTCCrypto, RTCCryptoProvider, RTCRandom, SignatureScheme, SigningKey, StreamCipher,
    StreamCipherAlgorithm,
};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use zeroize::{Zeroize, Zeroizing};

/// Blocks noted: the longest derivation takes sixteen.
const MOST: usize = 32;
const BLOCK: usize = 16;
/// Labels of the derived blocks, in order (RFC 3711 section 4.3.2): SRTP key, SRTCP key, SRTP salt, SRTCP salt.
const AES_128: &[u8] = &[0, 3, 2, 5];
const AES_256: &[u8] = &[0, 0, 3, 3, 2, 5];

/// Master key and salt of the direction in which we send, and the session key and salt derived from them.
pub(in crate::relay) struct SendKeys {
    pub(in crate::relay) master_key: Zeroizing<Vec<u8>>,
    pub(in crate::relay) master_salt: Zeroizing<[u8; 12]>,
    pub(in crate::relay) session_key: Zeroizing<Vec<u8>>,
    pub(in crate::relay) session_salt: Zeroizing<[u8; 12]>,
}

/// A provider of cryptography that notes SRTP's key derivation.
pub(in crate::relay) struct KeyTap {
    inner: Arc<dyn RTCCryptoProvider>,
    crypto: Tapped,
}

struct Tapped {
    inner: Arc<dyn RTCCryptoProvider>,
    noted: Mutex<Noted>,
    opened: Arc<AtomicU64>,
}

/// An AEAD that counts what it opens.
struct Counted {
    inner: Box<dyn AeadCipher>,
    opened: Arc<AtomicU64>,
}

#[derive(Default)]
struct Noted {
    blocks: Vec<Block>,
    closed: bool,
}

/// One encryption of the derivation.
struct Block {
    key: Zeroizing<Vec<u8>>,
    input: [u8; BLOCK],
    output: [u8; BLOCK],
}

impl Drop for Block {
    fn drop(&mut self) {
        self.input.zeroize();
        self.output.zeroize();
    }
}

impl KeyTap {
    pub(in crate::relay) fn new(inner: &Arc<dyn RTCCryptoProvider>) -> Arc<Self> {
        let crypto = Tapped { inner: Arc::clone(inner), noted: Mutex::default(), opened: Arc::default() };
        Arc::new(Self { inner: Arc::clone(inner), crypto })
    }

    /// How many messages of the peer were authenticated by an AEAD: DTLS records and, with AES-GCM, SRTCP.
    pub(in crate::relay) fn opened(&self) -> u64 {
        self.crypto.opened.load(Ordering::Relaxed)
    }

    /// The keys we send with, once; `None` when the derivation has another shape than that of AES-GCM.
    pub(in crate::relay) fn take(&self) -> Option<SendKeys> {
        let mut noted = self.crypto.noted.lock().ok()?;
        noted.closed = true;
        let blocks = std::mem::take(&mut noted.blocks);
        drop(noted);
        let ours = blocks.first()?;
        let (send, receive): (Vec<&Block>, Vec<&Block>) =
            blocks.iter().partition(|block| block.key == ours.key);
        let theirs = receive.first()?;
        if receive.iter().any(|block| block.key != theirs.key) || labels(&send)? != labels(&receive)? {
            return None;
        }
        let wide = match labels(&send)?.as_slice() {
            AES_128 if ours.key.len() == 16 => false,
            AES_256 if ours.key.len() == 32 => true,
            _ => return None,
        };
        let mut session_key = Zeroizing::new(ours.output.to_vec());
        if wide {
            session_key.extend_from_slice(&send.get(1)?.output);
        }
        let salt = |block: &[u8; BLOCK]| Some(Zeroizing::new(*block.first_chunk::<12>()?));
        Some(SendKeys {
            master_key: ours.key.clone(),
            master_salt: salt(&ours.input)?,
            session_key,
            session_salt: salt(&send.get(if wide { 4 } else { 2 })?.output)?,
        })
    }
}

/// The label of each block: what its input differs in from the first one's, whose label is 0. `None` when inputs differ
/// in more than label and counter.
fn labels(blocks: &[&Block]) -> Option<Vec<u8>> {
    let first = blocks.first()?;
    blocks
        .iter()
        .map(|block| {
            let differs = |at: usize| block.input.get(at) != first.input.get(at);
            let fits = (0..BLOCK).filter(|at| !matches!(at, 7 | 15)).all(|at| !differs(at));
            fits.then(|| block.input.get(7).zip(first.input.get(7)).map(|(one, other)| one ^ other))?
        })
        .collect()
}

impl AeadCipher for Counted {
    fn tag_len(&self) -> usize {
        self.inner.tag_len()
    }

    fn seal_in_place(
        &mut self,
        nonce: &[u8],
        aad: &[u8],
        text: &mut [u8],
        tag: &mut [u8],
    ) -> Result<(), CryptoError> {
        self.inner.seal_in_place(nonce, aad, text, tag)
    }

    fn open_in_place(
        &mut self,
        nonce: &[u8],
        aad: &[u8],
        text: &mut [u8],
        tag: &[u8],
    ) -> Result<(), CryptoError> {
        self.inner.open_in_place(nonce, aad, text, tag)?;
        self.opened.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

impl RTCCryptoProvider for KeyTap {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn crypto(&self) -> &dyn RTCCrypto {
        &self.crypto
    }

    fn random(&self) -> &dyn RTCRandom {
        self.inner.random()
    }
}

impl RTCCrypto for Tapped {
    fn supports(&self, algorithm: CryptoAlgorithm) -> bool {
        self.inner.crypto().supports(algorithm)
    }

    fn hash(&self, algorithm: HashAlgorithm, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.inner.crypto().hash(algorithm, data)
    }

    fn block_encrypt(
        &self,
        algorithm: BlockCipherAlgorithm,
        key: &[u8],
        block: &mut [u8],
    ) -> Result<(), CryptoError> {
        let input = <[u8; BLOCK]>::try_from(&*block);
        self.inner.crypto().block_encrypt(algorithm, key, block)?;
        if let (Ok(mut noted), Ok(input), Ok(output)) =
            (self.noted.lock(), input, <[u8; BLOCK]>::try_from(&*block))
            && !noted.closed
            && noted.blocks.len() < MOST
        {
            noted.blocks.push(Block { key: Zeroizing::new(key.to_vec()), input, output });
        }
        Ok(())
    }

    fn new_hmac(&self, algorithm: HmacAlgorithm, key: &[u8]) -> Result<Box<dyn Mac>, CryptoError> {
        self.inner.crypto().new_hmac(algorithm, key)
    }

    fn new_stream_cipher(
        &self,
        algorithm: StreamCipherAlgorithm,
        key: &[u8],
    ) -> Result<Box<dyn StreamCipher>, CryptoError> {
        self.inner.crypto().new_stream_cipher(algorithm, key)
    }

    fn new_aead(&self, algorithm: AeadAlgorithm, key: &[u8]) -> Result<Box<dyn AeadCipher>, CryptoError> {
        let inner = self.inner.crypto().new_aead(algorithm, key)?;
        Ok(Box::new(Counted { inner, opened: Arc::clone(&self.opened) }))
    }

    fn new_cbc(&self, algorithm: CbcAlgorithm, key: &[u8]) -> Result<Box<dyn CbcCipher>, CryptoError> {
        self.inner.crypto().new_cbc(algorithm, key)
    }

    fn start_key_exchange(
        &self,
        algorithm: KeyExchangeAlgorithm,
    ) -> Result<Box<dyn ActiveKeyExchange>, CryptoError> {
        self.inner.crypto().start_key_exchange(algorithm)
    }

    fn generate_signing_key(&self, scheme: SignatureScheme) -> Result<Arc<dyn SigningKey>, CryptoError> {
        self.inner.crypto().generate_signing_key(scheme)
    }

    fn import_signing_key(
        &self,
        scheme: SignatureScheme,
        pkcs8_der: &[u8],
    ) -> Result<Arc<dyn SigningKey>, CryptoError> {
        self.inner.crypto().import_signing_key(scheme, pkcs8_der)
    }

    fn verify_signature(
        &self,
        scheme: SignatureScheme,
        public_key: PublicKey<'_>,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        self.inner.crypto().verify_signature(scheme, public_key, message, signature)
    }
}
