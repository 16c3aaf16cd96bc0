//! [`Auth`]: verifies any token the gateway accepts and mints its own.

use super::keys::{Key, KeyError, Keys};
use super::ledger::{LedgerError, MintedScope, MintedToken, TokenLedger};
use super::local::{LOCAL_KID, LocalClaims, LocalKey, LocalKeyError, Scope};
use super::validity::{Lapse, Watches};
use super::{GrantClaims, Principal, User, names, opaque};
use crate::config::Config;
use crate::model::ids::UserId;
use jsonwebtoken::Validation;
use std::sync::{Arc, Weak};
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

/// No token we or a sane issuer make is longer, in bytes.
pub(super) const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// How long a sign-in lasts (contract 1.5: 30 days).
pub(super) const SIGN_IN: Duration = Duration::from_secs(30 * 24 * 3600);
/// Clock difference allowed for the begin (`nbf`) of an outside issuer's token, in seconds.
const LEEWAY_S: u64 = 60;
/// And for its end: short, because what a token opened must end within 15 s of it.
const EXPIRY_LEEWAY: Duration = Duration::from_secs(10);
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
    /// As the token says.
    pub expires_at: OffsetDateTime,
    /// From when on it is refused: [`Verified::expires_at`], or somewhat later for an outside issuer's.
    pub good_until: OffsetDateTime,
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

/// An [`Auth`] that keeps nothing alive.
#[derive(Clone)]
pub(super) struct WeakAuth(Weak<Inner>);

impl WeakAuth {
    pub(super) fn upgrade(&self) -> Option<Auth> {
        Some(Auth { inner: self.0.upgrade()? })
    }
}

struct Inner {
    local: LocalKey,
    keys: Keys,
    audiences: Vec<String>,
    ledger: Arc<dyn TokenLedger>,
    watches: Watches,
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
        Ok(Self { inner: Arc::new(Inner { local, keys, audiences, ledger, watches: Watches::default() }) })
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
            // Whether it was revoked is asked where it is used: by the session core, and by `lapse_of`.
            Scope::Grant => Principal::Grant(claims.grant().ok_or(TokenError::Subject)?),
            Scope::User => Principal::User(user(claims.sub.as_deref(), claims.name)?),
            Scope::Operator => Principal::Operator,
        };
        if claims.scope != Scope::Grant && self.inner.ledger.is_revoked(claims.jti).await? {
            return Err(TokenError::Revoked);
        }
        Ok(Verified { principal, expires_at, good_until: expires_at })
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
        Ok(Verified { principal: Principal::Organisation(name), expires_at, good_until: expires_at })
    }

    /// Why a token that was valid is not any more.
    pub(super) async fn lapse_of(&self, token: &str) -> Result<Option<Lapse>, LedgerError> {
        match self.verify(token).await {
            Ok(Verified { principal: Principal::Grant(grant), .. }) => {
                Ok(self.inner.ledger.is_grant_revoked(grant.grant).await?.then_some(Lapse::Revoked))
            }
            Ok(_) => Ok(None),
            Err(TokenError::Ledger(error)) => Err(error),
            Err(TokenError::Refused { expired: true }) => Ok(Some(Lapse::Expired)),
            // Taken back, or its issuer's key was.
            Err(
                TokenError::Revoked
                | TokenError::UnknownKey
                | TokenError::Refused { expired: false }
                | TokenError::TooLong
                | TokenError::Malformed
                | TokenError::Subject
                | TokenError::Signing,
            ) => Ok(Some(Lapse::Revoked)),
        }
    }

    pub(super) fn watches(&self) -> &Watches {
        &self.inner.watches
    }

    pub(super) fn downgrade(&self) -> WeakAuth {
        WeakAuth(Arc::downgrade(&self.inner))
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
        let good_until = expires_at.saturating_add(EXPIRY_LEEWAY.try_into().unwrap_or_default());
        if good_until <= OffsetDateTime::now_utc() {
            return Err(TokenError::Refused { expired: true });
        }
        let name = claims.name.as_str().map(ToOwned::to_owned);
        Ok(Verified { principal: Principal::User(user(Some(&claims.sub), name)?), expires_at, good_until })
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
