//! Who is asking: JWTs of configured keys, guests, grants and API tokens, turned into a [`Principal`].
//!
//! Tokens never reach a log. What must always hold: a key verifies exactly one algorithm, the local key's id is never
//! shared with an outside issuer, and a token without an expiry is no token.

pub mod code;
pub mod cookie;
mod keys;
pub mod ledger;
mod local;
mod names;
mod opaque;
mod service;
mod validity;

pub use keys::KeyError;
pub use ledger::{LedgerError, MemoryLedger, MintedScope, MintedToken, TokenLedger};
pub use local::{LOCAL_KID, LocalKey, LocalKeyError, Scope};
pub use opaque::{embed_token_sha256, new_embed_token};
pub use service::{Auth, AuthError, Minted, MintedForOrganisation, TokenError, Verified};
pub use validity::{Credential, Lapse, Validity};

use crate::model::ids::{GrantId, SessionId, UserId};
use playgate_signaling::message::Role;

/// Who a request comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    User(User),
    Grant(GrantClaims),
    /// May read `/metrics` and nodes; owns nothing.
    Operator,
    /// A caller of the Session API, by its organisation's name.
    Organisation(String),
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct User {
    pub id: UserId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A verified grant token. Whether the grant was revoked is for the session core to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantClaims {
    pub grant: GrantId,
    pub session: SessionId,
    pub role: Role,
    /// Web sites that may use it (`https://example.org`). Empty: any.
    pub origins: Vec<String>,
    /// Unix seconds.
    pub expires_at: i64,
}
