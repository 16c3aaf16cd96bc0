//! Who is asking: JWTs of configured keys, guests, grants and API tokens, turned into a [`Principal`].
//!
//! Tokens never reach a log; API tokens are stored only as SHA-256.

use crate::ids::{GrantId, SessionId, UserId};
use playgate_signaling::message::Role;

/// Who a request comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    User(User),
    Grant(GrantClaims),
    /// May read `/metrics` and nodes; owns nothing.
    Operator,
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct User {
    pub id: UserId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A verified grant token. That it is not revoked is for the session core to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantClaims {
    pub grant: GrantId,
    pub session: SessionId,
    pub role: Role,
    /// Unix seconds.
    pub expires_at: i64,
}
