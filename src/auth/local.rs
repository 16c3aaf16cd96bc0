//! The gateway's own key: signs and verifies the tokens of guests, minted users, operators and grants.
//!
//! HS256 over 32 random bytes in `data_dir/auth.key`, made at the first start, readable by its owner only. A file
//! others can read is refused: whoever reads it can be anybody.

use super::GrantClaims;
use crate::model::ids::{GrantId, SessionId};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use playgate_signaling::message::Role;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// `kid` of every token signed here. No configured key may carry it.
pub const LOCAL_KID: &str = "playgate-local";
const ISSUER: &str = "playgate";
const KEY_BYTES: usize = 32;

/// What a local token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    User,
    Grant,
    Operator,
}

/// Claims of a local token; times in Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LocalClaims {
    pub(super) iss: String,
    pub(super) iat: i64,
    pub(super) exp: i64,
    pub(super) jti: Uuid,
    pub(super) scope: Scope,
    /// The user, or the grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sub: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    /// A grant's session and role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sid: Option<SessionId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<Role>,
    /// Web sites that may use a grant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) origins: Vec<String>,
}

impl LocalClaims {
    pub(super) fn new(scope: Scope, jti: Uuid, iat: i64, exp: i64) -> Self {
        Self {
            iss: ISSUER.to_owned(),
            iat,
            exp,
            jti,
            scope,
            sub: None,
            name: None,
            sid: None,
            role: None,
            origins: Vec::new(),
        }
    }

    /// The grant these claims describe, when they describe one completely.
    pub(super) fn grant(&self) -> Option<GrantClaims> {
        let grant: GrantId = self.sub.as_deref()?.parse().ok()?;
        Some(GrantClaims {
            grant,
            session: self.sid?,
            role: self.role?,
            origins: self.origins.clone(),
            expires_at: self.exp,
        })
    }
}

#[derive(Debug, thiserror::Error)]
pub enum LocalKeyError {
    #[error("cannot read or write the key file {}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(
        "the key file {} can be read by others (mode {mode:04o}): make it private with `chmod 600`, or remove it to get a new one",
        path.display()
    )]
    TooOpen { path: PathBuf, mode: u32 },
    #[error("the key file {} has {found} bytes instead of {KEY_BYTES}: remove it to get a new one", path.display())]
    WrongLength { path: PathBuf, found: usize },
    #[error("no randomness to be had from the system")]
    NoRandomness,
}

/// The key; cheap to share behind an `Arc`.
pub struct LocalKey {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

impl std::fmt::Debug for LocalKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LocalKey")
    }
}

impl LocalKey {
    /// Reads the key, or makes one where there is none.
    pub fn open(path: &Path) -> Result<Self, LocalKeyError> {
        match fs::symlink_metadata(path) {
            Ok(_) => Self::read(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => match create(path) {
                // Another process was quicker: its key is the key.
                Err(LocalKeyError::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {
                    Self::read(path)
                }
                other => other.map(|bytes| Self::from_bytes(&bytes)),
            },
            Err(source) => Err(LocalKeyError::Io { path: path.to_owned(), source }),
        }
    }

    fn read(path: &Path) -> Result<Self, LocalKeyError> {
        let io = |source| LocalKeyError::Io { path: path.to_owned(), source };
        let mode = fs::metadata(path).map_err(io)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(LocalKeyError::TooOpen { path: path.to_owned(), mode });
        }
        let bytes = zeroize::Zeroizing::new(fs::read(path).map_err(io)?);
        if bytes.len() != KEY_BYTES {
            return Err(LocalKeyError::WrongLength { path: path.to_owned(), found: bytes.len() });
        }
        Ok(Self::from_bytes(&bytes))
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "iss"]);
        Self {
            encoding: EncodingKey::from_secret(bytes),
            decoding: DecodingKey::from_secret(bytes),
            validation,
        }
    }

    pub(super) fn sign(&self, claims: &LocalClaims) -> Result<String, jsonwebtoken::errors::Error> {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(LOCAL_KID.to_owned());
        jsonwebtoken::encode(&header, claims, &self.encoding)
    }

    pub(super) fn verify(&self, token: &str) -> Result<LocalClaims, jsonwebtoken::errors::Error> {
        jsonwebtoken::decode(token, &self.decoding, &self.validation).map(|data| data.claims)
    }
}

/// Written under a name of its own and linked into place: a crash leaves no half key.
fn create(path: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>, LocalKeyError> {
    let io = |source| LocalKeyError::Io { path: path.to_owned(), source };
    let mut bytes = zeroize::Zeroizing::new(vec![0; KEY_BYTES]);
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| LocalKeyError::NoRandomness)?;
    let new = path.with_extension(format!("key.{}", Uuid::new_v4()));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new).map_err(io)?;
    let placed =
        file.write_all(&bytes).and_then(|()| file.sync_all()).and_then(|()| fs::hard_link(&new, path));
    let removed = fs::remove_file(&new);
    placed.and(removed).map_err(io)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(exp: i64) -> LocalClaims {
        LocalClaims::new(Scope::User, Uuid::new_v4(), 0, exp)
    }

    #[test]
    fn a_first_start_makes_a_private_key_and_the_next_one_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("auth.key");
        let token = LocalKey::open(&path).unwrap().sign(&claims(i64::from(u32::MAX))).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read(&path).unwrap().len(), KEY_BYTES);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left behind");
        LocalKey::open(&path).unwrap().verify(&token).unwrap();
    }

    #[test]
    fn a_key_file_others_can_read_is_refused_with_the_way_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("auth.key");
        LocalKey::open(&path).unwrap();
        for mode in [0o640, 0o604, 0o660, 0o644] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = LocalKey::open(&path).unwrap_err().to_string();
            assert!(error.contains("chmod 600"), "{error}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        LocalKey::open(&path).unwrap();
    }

    #[test]
    fn a_short_key_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("auth.key");
        fs::write(&path, b"short").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(LocalKey::open(&path), Err(LocalKeyError::WrongLength { found: 5, .. })));
    }

    #[test]
    fn an_expired_token_of_ours_has_no_second_of_grace() {
        let dir = tempfile::tempdir().unwrap();
        let key = LocalKey::open(&dir.path().join("auth.key")).unwrap();
        let now = time::OffsetDateTime::now_utc().unix_timestamp();
        assert!(key.verify(&key.sign(&claims(now - 1)).unwrap()).is_err());
        assert!(key.verify(&key.sign(&claims(now + 60)).unwrap()).is_ok());
    }
}
