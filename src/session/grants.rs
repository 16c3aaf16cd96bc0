//! Invitations: grants minted by a session's owner.

use super::access::{Access, internal, no_session, time_of};
use super::actor::Command;
use super::error::ServiceError;
use super::service::Sessions;
use super::view::GrantView;
use crate::auth::Principal;
use crate::model::clock::after;
use crate::model::ids::{GrantId, SessionId};
use crate::model::rows::GrantRow;
use playgate_signaling::message::Role;
use std::time::Duration;

/// Shortest and longest life of a grant.
const LIFE: std::ops::RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(604_800);

impl Sessions {
    /// Mints a grant for an active session. Owner only; 60 seconds to 7 days. `origins` are the web sites that may use it;
    /// none: any.
    pub async fn share(
        &self,
        who: &Principal,
        id: SessionId,
        role: Role,
        origins: Vec<String>,
        expires_in: Duration,
    ) -> Result<GrantView, ServiceError> {
        if !LIFE.contains(&expires_in) {
            let text = "The 'expiresIn' field must be between 60 and 604800 seconds.";
            return Err(ServiceError::InvalidRequest(text.to_owned()));
        }
        self.owned_by(who, id).await?;
        if self.live(id).is_none() {
            return Err(no_session());
        }
        let now = self.context().clock.now_ms();
        let row = GrantRow {
            id: GrantId::new(),
            session: id,
            role,
            slot: None,
            origins,
            created_at: now,
            expires_at: after(now, expires_in),
            revoked_at: None,
            embed: None,
            host: false,
        };
        self.context().store.insert_grant(&row).await.map_err(internal)?;
        Ok(view(&row))
    }

    /// Every grant of the session, revoked and expired ones too. Owner only.
    pub async fn grants(&self, who: &Principal, id: SessionId) -> Result<Vec<GrantView>, ServiceError> {
        self.owned_by(who, id).await?;
        let rows = self.context().store.grants_of(id).await.map_err(internal)?;
        Ok(rows.iter().map(view).collect())
    }

    /// Ends running views of the grant too. Owner only; revoking again changes nothing.
    pub async fn revoke(&self, who: &Principal, grant: GrantId) -> Result<(), ServiceError> {
        let no_grant = || ServiceError::NotFound("Grant not found.".to_owned());
        let row = self.context().store.grant(grant).await.map_err(internal)?.ok_or_else(no_grant)?;
        match self.seen_by(who, row.session).await {
            Ok((_, Access::Owner(_) | Access::Organisation)) => {}
            Ok((_, Access::Grant { .. })) | Err(ServiceError::NotFound(_)) => return Err(no_grant()),
            Err(error) => return Err(error),
        }
        let now = self.context().clock.now_ms();
        self.context().store.revoke_grant(grant, now).await.map_err(internal)?;
        if let Some(handle) = self.live(row.session) {
            // A session that ends meanwhile has no views left to end.
            let _ = handle.commands.send(Command::EndGrant(grant)).await;
        }
        Ok(())
    }
}

pub(super) fn view(row: &GrantRow) -> GrantView {
    GrantView {
        id: row.id,
        session: row.session,
        role: row.role,
        slot: row.slot,
        origins: row.origins.clone(),
        created_at: time_of(row.created_at),
        expires_at: time_of(row.expires_at),
        revoked: row.revoked_at.is_some(),
    }
}
