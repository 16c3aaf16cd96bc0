//! Who may do what with a session. What is not one's own is not found, in the same words as what is not there (B6, B7).

use super::error::ServiceError;
use super::service::Sessions;
use super::view::SessionView;
use crate::auth::Principal;
use crate::model::clock::to_time;
use crate::model::ids::{GrantId, Owner, SessionId, UserId};
use playgate_signaling::message::Role;

/// What somebody is to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Access {
    Owner(UserId),
    /// Of the organisation it belongs to: it may do what an owner may, but nobody of it plays without a grant.
    Organisation,
    Grant {
        grant: GrantId,
        role: Role,
        /// Control slot it promises, 0-based.
        slot: Option<u8>,
        expires_at: i64,
        /// The session was launched for it.
        host: bool,
    },
}

impl Sessions {
    /// The session as it is now, live or ended, for somebody who may know of it.
    pub(super) async fn seen_by(
        &self,
        who: &Principal,
        id: SessionId,
    ) -> Result<(SessionView, Access), ServiceError> {
        let view = match self.live(id) {
            Some(handle) => handle.view.borrow().clone(),
            None => self.ended_view(id).await?,
        };
        let access = self.access(who, &view).await?;
        Ok((view, access))
    }

    /// As [`Sessions::seen_by`], for the owner alone.
    pub(super) async fn owned_by(&self, who: &Principal, id: SessionId) -> Result<SessionView, ServiceError> {
        let (view, access) = self.seen_by(who, id).await?;
        match access {
            Access::Owner(_) | Access::Organisation => Ok(view),
            Access::Grant { .. } => Err(no_session()),
        }
    }

    async fn ended_view(&self, id: SessionId) -> Result<SessionView, ServiceError> {
        let row = self.context().store.session(id).await.map_err(internal)?;
        row.map(|row| super::actor::view_of(&row, None, 0)).ok_or_else(no_session)
    }

    async fn access(&self, who: &Principal, view: &SessionView) -> Result<Access, ServiceError> {
        match who {
            Principal::User(user) if view.owner == Owner::User(user.id.clone()) => {
                Ok(Access::Owner(user.id.clone()))
            }
            Principal::Organisation(name) if view.owner == Owner::Organisation(name.clone()) => {
                Ok(Access::Organisation)
            }
            Principal::User(_) | Principal::Operator | Principal::Organisation(_) => Err(no_session()),
            Principal::Grant(claims) => {
                let row = self.context().store.grant(claims.grant).await.map_err(internal)?;
                let now = self.context().clock.now_ms();
                row.filter(|row| row.session == view.id && claims.session == view.id && row.is_valid(now))
                    .map(|row| Access::Grant {
                        grant: row.id,
                        role: row.role,
                        slot: row.slot,
                        expires_at: row.expires_at,
                        host: row.host,
                    })
                    .ok_or_else(no_session)
            }
        }
    }
}

pub(super) fn no_session() -> ServiceError {
    ServiceError::NotFound("Session not found.".to_owned())
}

pub(super) fn internal(error: impl Into<anyhow::Error>) -> ServiceError {
    ServiceError::Internal(error.into())
}

/// For views.
pub(super) fn time_of(ms: i64) -> time::OffsetDateTime {
    to_time(ms)
}
