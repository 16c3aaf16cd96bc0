//! The list of minted tokens, kept in the store.

use crate::auth::{LedgerError, MintedScope, MintedToken, TokenLedger};
use crate::model::Millis;
use crate::model::clock::millis;
use crate::model::ids::GrantId;
use crate::model::rows::{TokenRow, TokenScope};
use crate::store::{Store, StoreError};
use std::sync::Arc;
use time::OffsetDateTime;
use uuid::Uuid;

/// A ledger over a store's rows.
pub(super) struct StoreLedger(pub(super) Arc<dyn Store>);

#[async_trait::async_trait]
impl TokenLedger for StoreLedger {
    async fn create(&self, token: MintedToken) -> Result<(), LedgerError> {
        let row = TokenRow {
            id: token.id.to_string(),
            scope: match token.scope {
                MintedScope::User => TokenScope::User,
                MintedScope::Operator => TokenScope::Operator,
                MintedScope::Organisation => TokenScope::Organisation,
            },
            subject: token.subject.unwrap_or_default(),
            sha256: token.sha256,
            label: token.label.unwrap_or_default(),
            created_at: millis(token.created_at),
            expires_at: token.expires_at.map(millis),
            revoked_at: None,
        };
        self.0.insert_token(&row).await.map_err(failed)
    }

    async fn list(&self) -> Result<Vec<MintedToken>, LedgerError> {
        self.0.tokens().await.map_err(failed)?.into_iter().map(minted).collect()
    }

    async fn revoke(&self, id: Uuid) -> Result<bool, LedgerError> {
        self.0.revoke_token(&id.to_string(), millis(OffsetDateTime::now_utc())).await.map_err(failed)
    }

    async fn is_revoked(&self, id: Uuid) -> Result<bool, LedgerError> {
        self.0.is_token_revoked(&id.to_string()).await.map_err(failed)
    }

    async fn is_grant_revoked(&self, grant: GrantId) -> Result<bool, LedgerError> {
        let row = self.0.grant(grant).await.map_err(failed)?;
        Ok(row.is_none_or(|row| row.revoked_at.is_some()))
    }

    async fn by_sha256(&self, sha256: &[u8; 32]) -> Result<Option<MintedToken>, LedgerError> {
        self.0.token_by_sha256(sha256).await.map_err(failed)?.map(minted).transpose()
    }
}

fn minted(row: TokenRow) -> Result<MintedToken, LedgerError> {
    let scope = match row.scope {
        TokenScope::User => MintedScope::User,
        TokenScope::Operator => MintedScope::Operator,
        TokenScope::Organisation => MintedScope::Organisation,
    };
    Ok(MintedToken {
        id: row.id.parse().map_err(|error| LedgerError(anyhow::Error::new(error)))?,
        scope,
        subject: (!row.subject.is_empty()).then_some(row.subject),
        name: None,
        sha256: row.sha256,
        label: (!row.label.is_empty()).then_some(row.label),
        created_at: moment(row.created_at)?,
        expires_at: row.expires_at.map(moment).transpose()?,
        revoked: row.revoked_at.is_some(),
    })
}

fn failed(error: StoreError) -> LedgerError {
    LedgerError(anyhow::Error::new(error))
}

fn moment(millis: Millis) -> Result<OffsetDateTime, LedgerError> {
    OffsetDateTime::from_unix_timestamp(millis / 1000).map_err(|error| LedgerError(anyhow::Error::new(error)))
}
