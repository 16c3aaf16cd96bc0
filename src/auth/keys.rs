//! Keys of outside issuers: `auth.keys` and a JWKS file (RFC 7517) that is read again when it changes.
//!
//! Each key verifies one algorithm only, whatever a token's header says (RFC 8725, section 3.1).

use super::local::LOCAL_KID;
use crate::config::{AuthConfig, AuthKey};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// RFC 7518, section 3.2: a key at least as long as the hash.
const MIN_SECRET_BYTES: usize = 32;
/// How often, at most, the JWKS file is looked at.
const JWKS_LOOK_EVERY: Duration = Duration::from_secs(2);
/// A JWKS file beyond this is no key file.
const MAX_JWKS_BYTES: u64 = 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("auth.keys[{index}]: {reason}")]
    Key { index: usize, reason: String },
    #[error("auth.keys[{index}]: cannot read {}", path.display())]
    KeyFile { index: usize, path: PathBuf, source: std::io::Error },
    #[error("auth.jwks_file {}: {reason}", path.display())]
    Jwks { path: PathBuf, reason: String },
}

/// A key with the one algorithm it verifies.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) kid: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) decoding: DecodingKey,
}

/// All keys of outside issuers.
pub(super) struct Keys {
    fixed: Vec<Key>,
    jwks: Option<Jwks>,
}

impl Keys {
    pub(super) fn open(config: &AuthConfig) -> Result<Self, KeyError> {
        let fixed = config
            .keys
            .iter()
            .enumerate()
            .map(|(index, key)| configured(index, key))
            .collect::<Result<_, _>>()?;
        let jwks = config.jwks_file.as_deref().map(Jwks::open).transpose()?;
        Ok(Self { fixed, jwks })
    }

    /// Keys that may verify a token with this header. A key without an id is tried for any `kid`, a token without one
    /// with any key of its algorithm.
    pub(super) fn candidates(&self, algorithm: Algorithm, kid: Option<&str>) -> Vec<Key> {
        let listed = self.jwks.as_ref().map(Jwks::current);
        self.fixed
            .iter()
            .chain(listed.iter().flat_map(|keys| keys.iter()))
            .filter(|key| key.algorithm == algorithm)
            .filter(|key| kid.is_none_or(|wanted| key.kid.as_deref().is_none_or(|own| own == wanted)))
            .cloned()
            .collect()
    }
}

fn configured(index: usize, key: &AuthKey) -> Result<Key, KeyError> {
    let refuse = |reason: &str| KeyError::Key { index, reason: reason.to_owned() };
    if key.kid.as_deref() == Some(LOCAL_KID) {
        return Err(refuse("the kid `playgate-local` belongs to the gateway's own key"));
    }
    if key.alg == "HS256" {
        let secret = key.secret.as_deref().ok_or_else(|| refuse("HS256 needs `secret`"))?;
        if key.public_key_file.is_some() {
            return Err(refuse("HS256 takes `secret`, not `public_key_file`"));
        }
        if secret.len() < MIN_SECRET_BYTES {
            return Err(refuse("`secret` must have at least 32 bytes"));
        }
        return Ok(Key {
            kid: key.kid.clone(),
            algorithm: Algorithm::HS256,
            decoding: DecodingKey::from_secret(secret.as_bytes()),
        });
    }
    if key.secret.is_some() {
        return Err(refuse("`secret` is for HS256 only"));
    }
    type Reader = fn(&[u8]) -> Result<DecodingKey, jsonwebtoken::errors::Error>;
    let (algorithm, read): (Algorithm, Reader) = match key.alg.as_str() {
        "ES256" => (Algorithm::ES256, DecodingKey::from_ec_pem),
        "RS256" => (Algorithm::RS256, DecodingKey::from_rsa_pem),
        "EdDSA" => (Algorithm::EdDSA, DecodingKey::from_ed_pem),
        other => {
            let reason = format!("`alg` is HS256, ES256, RS256 or EdDSA, not `{other}`");
            return Err(KeyError::Key { index, reason });
        }
    };
    let path = key.public_key_file.as_deref().ok_or_else(|| refuse("this `alg` needs `public_key_file`"))?;
    let pem = fs::read(path).map_err(|source| KeyError::KeyFile { index, path: path.to_owned(), source })?;
    if pem.windows(11).any(|window| window == b"PRIVATE KEY") {
        return Err(refuse("`public_key_file` holds a private key: give the public one"));
    }
    let decoding = read(&pem).map_err(|error| KeyError::Key {
        index,
        reason: format!("{} is no public key in PEM for {}: {error}", path.display(), key.alg),
    })?;
    Ok(Key { kid: key.kid.clone(), algorithm, decoding })
}

/// The JWKS file and what it held when it was last good.
struct Jwks {
    path: PathBuf,
    state: Mutex<JwksState>,
}

struct JwksState {
    keys: Arc<Vec<Key>>,
    seen: Option<Stamp>,
    looked: Instant,
}

/// What tells one version of a file from another.
type Stamp = (SystemTime, u64, u64);

impl Jwks {
    fn open(path: &Path) -> Result<Self, KeyError> {
        let seen = stamp(path);
        let keys = read_jwks(path).map_err(|reason| KeyError::Jwks { path: path.to_owned(), reason })?;
        let state = JwksState { keys: Arc::new(keys), seen, looked: Instant::now() };
        Ok(Self { path: path.to_owned(), state: Mutex::new(state) })
    }

    /// The keys, after a look whether the file has changed. A file that cannot be read leaves the last good keys.
    fn current(&self) -> Arc<Vec<Key>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() >= JWKS_LOOK_EVERY {
            state.looked = Instant::now();
            let now = stamp(&self.path);
            if now != state.seen {
                state.seen = now;
                match read_jwks(&self.path) {
                    Ok(keys) => {
                        tracing::info!(keys = keys.len(), "the JWKS file has changed and was read again");
                        state.keys = Arc::new(keys);
                    }
                    Err(reason) => {
                        tracing::warn!(
                            reason,
                            "the JWKS file has changed and cannot be used; keeping the keys of before"
                        );
                    }
                }
            }
        }
        Arc::clone(&state.keys)
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt;
    let meta = fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.len(), meta.ino()))
}

fn read_jwks(path: &Path) -> Result<Vec<Key>, String> {
    let length = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > MAX_JWKS_BYTES {
        return Err(format!("{length} bytes is too large for a key file"));
    }
    let text = fs::read(path).map_err(|error| error.to_string())?;
    let set: JwkSet = serde_json::from_slice(&text).map_err(|error| format!("not a JWKS: {error}"))?;
    Ok(set.keys.iter().filter_map(listed).collect())
}

/// The key, when it is one we verify with; others in the set are somebody else's business.
fn listed(jwk: &Jwk) -> Option<Key> {
    let kid = jwk.common.key_id.clone();
    if kid.as_deref() == Some(LOCAL_KID) || jwk.common.public_key_use == Some(PublicKeyUse::Encryption) {
        return None;
    }
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a foreign enum that grows; what we do not verify with is left"
    )]
    let own = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::ES256,
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
        _ => return None,
    };
    if jwk.common.key_algorithm.is_some_and(|stated| stated != KeyAlgorithm::from(own)) {
        return None;
    }
    let decoding = DecodingKey::from_jwk(jwk).ok()?;
    Some(Key { kid, algorithm: own, decoding })
}
