//! The list of minted tokens, kept in the store.

use crate::auth::{LedgerError, MintedToken, TokenLedger};
use crate::store::rows::{Millis, TokenRow, TokenScope, millis};
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
            scope: if token.operator { TokenScope::Operator } else { TokenScope::User },
            subject: token.user.unwrap_or_default(),
            sha256: None,
            label: token.label.unwrap_or_default(),
            created_at: millis(token.created_at),
            expires_at: Some(millis(token.expires_at)),
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
}

fn minted(row: TokenRow) -> Result<MintedToken, LedgerError> {
    let operator = match row.scope {
        TokenScope::Operator => true,
        TokenScope::User | TokenScope::Organisation => false,
    };
    Ok(MintedToken {
        id: row.id.parse().map_err(|error| LedgerError(anyhow::Error::new(error)))?,
        user: (!row.subject.is_empty()).then_some(row.subject),
        name: None,
        operator,
        label: (!row.label.is_empty()).then_some(row.label),
        created_at: moment(row.created_at)?,
        expires_at: row.expires_at.map_or(Ok(OffsetDateTime::UNIX_EPOCH), moment)?,
        revoked: row.revoked_at.is_some(),
    })
}

fn failed(error: StoreError) -> LedgerError {
    LedgerError(anyhow::Error::new(error))
}

fn moment(millis: Millis) -> Result<OffsetDateTime, LedgerError> {
    OffsetDateTime::from_unix_timestamp(millis / 1000).map_err(|error| LedgerError(anyhow::Error::new(error)))
}
