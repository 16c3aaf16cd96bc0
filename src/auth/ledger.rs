//! The list of tokens minted by hand (`playgate token`), so that they can be shown and revoked; and whether a grant was.
//!
//! Guests' tokens are not in it: an id the ledger does not know is not revoked.

use crate::model::ids::GrantId;
use dashmap::DashMap;
use time::OffsetDateTime;
use uuid::Uuid;

/// Whom a minted token stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MintedScope {
    User,
    Operator,
    Organisation,
}

/// A token as remembered: everything but the token itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MintedToken {
    /// The token's `jti`, or what stands for it where it has none.
    pub id: Uuid,
    pub scope: MintedScope,
    /// The user or the organisation; absent for an operator's.
    pub subject: Option<String>,
    pub name: Option<String>,
    /// Of an organisation's, which is found by it; the others prove themselves.
    pub sha256: Option<[u8; 32]>,
    pub label: Option<String>,
    pub created_at: OffsetDateTime,
    /// Absent: good until it is revoked.
    pub expires_at: Option<OffsetDateTime>,
    pub revoked: bool,
}

/// The store could not be asked. Never an answer to "is it revoked".
#[derive(Debug, thiserror::Error)]
#[error("the list of tokens cannot be read or written")]
pub struct LedgerError(#[source] pub anyhow::Error);

/// Where minted tokens are remembered.
#[async_trait::async_trait]
pub trait TokenLedger: Send + Sync + 'static {
    async fn create(&self, token: MintedToken) -> Result<(), LedgerError>;

    /// Newest first.
    async fn list(&self) -> Result<Vec<MintedToken>, LedgerError>;

    /// False when there is no such token.
    async fn revoke(&self, id: Uuid) -> Result<bool, LedgerError>;

    async fn is_revoked(&self, id: Uuid) -> Result<bool, LedgerError>;

    /// True for a grant that is not there any more, too.
    async fn is_grant_revoked(&self, grant: GrantId) -> Result<bool, LedgerError>;

    /// Revoked and expired ones too.
    async fn by_sha256(&self, sha256: &[u8; 32]) -> Result<Option<MintedToken>, LedgerError>;
}

/// A ledger that forgets at the end of the process: for tests.
#[derive(Debug, Default)]
pub struct MemoryLedger {
    tokens: DashMap<Uuid, MintedToken>,
}

#[async_trait::async_trait]
impl TokenLedger for MemoryLedger {
    async fn create(&self, token: MintedToken) -> Result<(), LedgerError> {
        self.tokens.insert(token.id, token);
        Ok(())
    }

    async fn list(&self) -> Result<Vec<MintedToken>, LedgerError> {
        let mut all: Vec<_> = self.tokens.iter().map(|entry| entry.value().clone()).collect();
        all.sort_by_key(|token| std::cmp::Reverse(token.created_at));
        Ok(all)
    }

    async fn revoke(&self, id: Uuid) -> Result<bool, LedgerError> {
        Ok(self.tokens.get_mut(&id).map(|mut token| token.revoked = true).is_some())
    }

    async fn is_revoked(&self, id: Uuid) -> Result<bool, LedgerError> {
        Ok(self.tokens.get(&id).is_some_and(|token| token.revoked))
    }

    async fn is_grant_revoked(&self, _: GrantId) -> Result<bool, LedgerError> {
        Ok(false)
    }

    async fn by_sha256(&self, sha256: &[u8; 32]) -> Result<Option<MintedToken>, LedgerError> {
        let found = self.tokens.iter().find(|token| token.sha256.as_ref() == Some(sha256));
        Ok(found.map(|token| token.value().clone()))
    }
}
