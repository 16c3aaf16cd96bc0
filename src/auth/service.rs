//! [`Auth`]: verifies any token the gateway accepts and mints its own.

use super::keys::{Key, KeyError, Keys};
use super::ledger::{LedgerError, MintedScope, MintedToken, TokenLedger};
use super::local::{LOCAL_KID, LocalClaims, LocalKey, LocalKeyError, Scope};
use super::{GrantClaims, Principal, User, names, opaque};
use crate::config::Config;
use crate::ids::UserId;
use jsonwebtoken::Validation;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

/// No token we or a sane issuer make is longer, in bytes.
pub(super) const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// How long a sign-in lasts (contract 1.5: 30 days).
pub(super) const SIGN_IN: Duration = Duration::from_secs(30 * 24 * 3600);
/// Clock difference allowed between us and outside issuers, in seconds.
const LEEWAY_S: u64 = 60;
const MAX_SUBJECT_CHARS: usize = 128;
const MAX_NAME_CHARS: usize = 128;
/// The end of what has none: the last second dates can name.
const FOREVER: OffsetDateTime = time::Date::MAX.with_time(time::Time::MIDNIGHT).assume_utc();
/// What we answer to as `aud` (RFC 7519, section 4.1.3), beside the public URL.
const AUDIENCE: &str = "playgate";

#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    #[error(transparent)]
    Local(#[from] LocalKeyError),
    #[error(transparent)]
    Keys(#[from] KeyError),
}

/// Why a token is not accepted. The text is for logs and operators; callers are told less.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("the token is longer than {MAX_TOKEN_BYTES} bytes")]
    TooLong,
    #[error("not a signed token of a known algorithm")]
    Malformed,
    #[error("no key for this token")]
    UnknownKey,
    /// `true` when it was good once.
    #[error("the token is not valid{}", if *.expired { " any more" } else { "" })]
    Refused { expired: bool },
    #[error("the token's subject is missing or not usable")]
    Subject,
    #[error("the token was revoked")]
    Revoked,
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("the token could not be signed")]
    Signing,
}

/// A token that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    pub principal: Principal,
    pub expires_at: OffsetDateTime,
}

/// A token just made. The text is a secret.
#[derive(Clone)]
pub struct Minted {
    pub token: String,
    pub id: Uuid,
    pub user: Option<User>,
    pub expires_at: OffsetDateTime,
}

/// An organisation's token, just made. The text is a secret, told this once.
#[derive(Clone)]
pub struct MintedForOrganisation {
    pub token: String,
    pub id: Uuid,
    /// Absent: good until it is revoked.
    pub expires_at: Option<OffsetDateTime>,
}

/// Verifies and mints tokens; cheap to clone.
#[derive(Clone)]
pub struct Auth {
    inner: Arc<Inner>,
}

struct Inner {
    local: LocalKey,
    keys: Keys,
    audiences: Vec<String>,
    ledger: Arc<dyn TokenLedger>,
}

/// What is read of an outside issuer's token; the times are checked by the library.
#[derive(serde::Deserialize)]
struct OutsideClaims {
    sub: String,
    #[serde(default)]
    name: serde_json::Value,
    exp: f64,
}

impl Auth {
    /// Reads the configured keys, and the local key from `data_dir/auth.key` (made at the first start).
    pub fn open(config: &Config, ledger: Arc<dyn TokenLedger>) -> Result<Self, AuthError> {
        let local = LocalKey::open(&config.data_dir.join("auth.key"))?;
        let keys = Keys::open(&config.auth)?;
        let audiences = std::iter::once(AUDIENCE.to_owned()).chain(config.public_url.clone()).collect();
        Ok(Self { inner: Arc::new(Inner { local, keys, audiences, ledger }) })
    }

    /// Says who a token stands for.
    pub async fn verify(&self, token: &str) -> Result<Verified, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        if opaque::is_opaque(token) {
            return self.verify_opaque(token).await;
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Malformed)?;
        if header.kid.as_deref() == Some(LOCAL_KID) {
            return self.verify_local(token).await;
        }
        let keys = self.inner.keys.candidates(header.alg, header.kid.as_deref());
        let mut refusal = TokenError::UnknownKey;
        for key in keys {
            match self.verify_outside(token, &key) {
                Ok(verified) => return Ok(verified),
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }

    async fn verify_local(&self, token: &str) -> Result<Verified, TokenError> {
        let claims = self.inner.local.verify(token).map_err(refused)?;
        let expires_at =
            OffsetDateTime::from_unix_timestamp(claims.exp).map_err(|_| TokenError::Malformed)?;
        let principal = match claims.scope {
            // Revoking a grant is the session core's, who also ends its views.
            Scope::Grant => Principal::Grant(claims.grant().ok_or(TokenError::Subject)?),
            Scope::User => Principal::User(user(claims.sub.as_deref(), claims.name)?),
            Scope::Operator => Principal::Operator,
        };
        if claims.scope != Scope::Grant && self.inner.ledger.is_revoked(claims.jti).await? {
            return Err(TokenError::Revoked);
        }
        Ok(Verified { principal, expires_at })
    }

    async fn verify_opaque(&self, token: &str) -> Result<Verified, TokenError> {
        let found = self.inner.ledger.by_sha256(&opaque::sha256(token)).await?;
        let row = found.ok_or(TokenError::UnknownKey)?;
        if row.revoked {
            return Err(TokenError::Revoked);
        }
        if row.expires_at.is_some_and(|at| at <= OffsetDateTime::now_utc()) {
            return Err(TokenError::Refused { expired: true });
        }
        let (MintedScope::Organisation, Some(name)) = (row.scope, row.subject) else {
            return Err(TokenError::Subject);
        };
        let expires_at = row.expires_at.unwrap_or(FOREVER);
        Ok(Verified { principal: Principal::Organisation(name), expires_at })
    }

    /// Whether a token minted here was taken back. False for one that has run out, and while the list cannot be read.
    pub async fn is_revoked(&self, token: &str) -> bool {
        match self.verify(token).await {
            Err(TokenError::Revoked) => true,
            Err(TokenError::Ledger(error)) => {
                tracing::error!(%error, "cannot tell whether a token was taken back");
                false
            }
            Ok(_)
            | Err(
                TokenError::TooLong
                | TokenError::Malformed
                | TokenError::UnknownKey
                | TokenError::Refused { .. }
                | TokenError::Subject
                | TokenError::Signing,
            ) => false,
        }
    }

    fn verify_outside(&self, token: &str, key: &Key) -> Result<Verified, TokenError> {
        let mut validation = Validation::new(key.algorithm);
        validation.leeway = LEEWAY_S;
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp", "sub"]);
        validation.set_audience(&self.inner.audiences);
        let claims =
            jsonwebtoken::decode::<OutsideClaims>(token, &key.decoding, &validation).map_err(refused)?.claims;
        #[expect(clippy::cast_possible_truncation, reason = "clamped to the years a date can name")]
        let exp = claims.exp.clamp(0.0, 253_402_300_799.0) as i64;
        let expires_at = OffsetDateTime::from_unix_timestamp(exp).map_err(|_| TokenError::Malformed)?;
        let name = claims.name.as_str().map(ToOwned::to_owned);
        Ok(Verified { principal: Principal::User(user(Some(&claims.sub), name)?), expires_at })
    }

    /// A new user nobody was before, with a friendly name, for [`SIGN_IN`].
    pub fn mint_guest(&self) -> Result<Minted, TokenError> {
        let chance = Uuid::new_v4();
        let user = User {
            id: UserId(format!("guest-{}", Uuid::new_v4())),
            name: Some(names::friendly(chance.as_u128())),
        };
        self.sign(Scope::User, Some(user), SIGN_IN)
    }

    /// A token for a user by name, remembered in the ledger.
    pub async fn mint_user(
        &self,
        id: &str,
        name: Option<String>,
        lifetime: Duration,
        label: Option<String>,
    ) -> Result<Minted, TokenError> {
        let minted = self.sign(Scope::User, Some(user(Some(id), name)?), lifetime)?;
        self.remember(minted, MintedScope::User, label).await
    }

    /// An operator's token, remembered in the ledger.
    pub async fn mint_operator(
        &self,
        lifetime: Duration,
        label: Option<String>,
    ) -> Result<Minted, TokenError> {
        let minted = self.sign(Scope::Operator, None, lifetime)?;
        self.remember(minted, MintedScope::Operator, label).await
    }

    /// A token of the Session API, remembered in the ledger by its hash. Without a lifetime it is good until it is revoked.
    pub async fn mint_organisation(
        &self,
        name: &str,
        lifetime: Option<Duration>,
        label: Option<String>,
    ) -> Result<MintedForOrganisation, TokenError> {
        if !is_subject(name) {
            return Err(TokenError::Subject);
        }
        let created_at = OffsetDateTime::now_utc();
        let end = |lifetime: Duration| {
            created_at.checked_add(lifetime.try_into().ok()?).filter(|end| *end < FOREVER)
        };
        let expires_at = lifetime.map(|lifetime| end(lifetime).ok_or(TokenError::Signing)).transpose()?;
        let (token, id) = (opaque::generate().ok_or(TokenError::Signing)?, Uuid::new_v4());
        let row = MintedToken {
            id,
            scope: MintedScope::Organisation,
            subject: Some(name.to_owned()),
            name: None,
            sha256: Some(opaque::sha256(&token)),
            label,
            created_at,
            expires_at,
            revoked: false,
        };
        self.inner.ledger.create(row).await?;
        Ok(MintedForOrganisation { token, id, expires_at })
    }

    /// The token of a grant the session core has made.
    pub fn mint_grant(&self, grant: &GrantClaims) -> Result<String, TokenError> {
        let mut claims = LocalClaims::new(Scope::Grant, Uuid::new_v4(), now(), grant.expires_at);
        claims.sub = Some(grant.grant.to_string());
        claims.sid = Some(grant.session);
        claims.role = Some(grant.role);
        claims.origins.clone_from(&grant.origins);
        self.inner.local.sign(&claims).map_err(|_| TokenError::Signing)
    }

    pub fn ledger(&self) -> &dyn TokenLedger {
        self.inner.ledger.as_ref()
    }

    fn sign(&self, scope: Scope, user: Option<User>, lifetime: Duration) -> Result<Minted, TokenError> {
        let id = Uuid::new_v4();
        let issued = now();
        let seconds = i64::try_from(lifetime.as_secs()).map_err(|_| TokenError::Signing)?;
        let exp = issued.checked_add(seconds).ok_or(TokenError::Signing)?;
        let mut claims = LocalClaims::new(scope, id, issued, exp);
        claims.sub = user.as_ref().map(|user| user.id.to_string());
        claims.name = user.as_ref().and_then(|user| user.name.clone());
        let token = self.inner.local.sign(&claims).map_err(|_| TokenError::Signing)?;
        let expires_at = OffsetDateTime::from_unix_timestamp(exp).map_err(|_| TokenError::Signing)?;
        Ok(Minted { token, id, user, expires_at })
    }

    async fn remember(
        &self,
        minted: Minted,
        scope: MintedScope,
        label: Option<String>,
    ) -> Result<Minted, TokenError> {
        let row = MintedToken {
            id: minted.id,
            scope,
            subject: minted.user.as_ref().map(|user| user.id.to_string()),
            name: minted.user.as_ref().and_then(|user| user.name.clone()),
            sha256: None,
            label,
            created_at: OffsetDateTime::now_utc(),
            expires_at: Some(minted.expires_at),
            revoked: false,
        };
        self.inner.ledger.create(row).await?;
        Ok(minted)
    }
}

fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

fn refused(error: jsonwebtoken::errors::Error) -> TokenError {
    TokenError::Refused { expired: matches!(error.kind(), jsonwebtoken::errors::ErrorKind::ExpiredSignature) }
}

/// 1-128 characters, none of them a control character.
fn is_subject(text: &str) -> bool {
    (1..=MAX_SUBJECT_CHARS).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

/// A user by subject (1-128 characters, none of them a control character) and name (cut to what fits a page).
fn user(subject: Option<&str>, name: Option<String>) -> Result<User, TokenError> {
    let subject = subject.ok_or(TokenError::Subject)?;
    if !is_subject(subject) {
        return Err(TokenError::Subject);
    }
    let name = name
        .map(|name| name.chars().filter(|c| !c.is_control()).take(MAX_NAME_CHARS).collect::<String>())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty());
    Ok(User { id: UserId(subject.to_owned()), name })
}
