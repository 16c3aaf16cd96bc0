//! What an organisation does with its hosted sessions. What is not its own is not found, in the same words as what is
//! not there.

use super::{Artifact, MAX_PLAYERS};
use crate::auth::Principal;
use crate::driver::ArtifactError;
use crate::model::ids::Owner;
use crate::model::instance::InstanceRef;
use crate::model::rows::{Joined, SessionRow};
use crate::session::access::internal;
use crate::session::actor::Command;
use crate::session::service::ask;
use crate::session::view::{GrantView, SessionView};
use crate::session::{ServiceError, Sessions};
use playgate_signaling::message::Role;
use std::time::Duration;

impl Sessions {
    /// The session as stored and as it is now. One whose container was removed is not found (G23).
    pub(super) async fn find_hosted(
        &self,
        organisation: &str,
        id: &str,
    ) -> Result<(SessionRow, SessionView), ServiceError> {
        let owner = Owner::Organisation(organisation.to_owned());
        let row = self.context().store.session_by_external_id(&owner, id).await.map_err(internal)?;
        let row =
            row.filter(|row| row.hosted.is_some() && row.removed_at.is_none()).ok_or_else(no_such_session)?;
        let view = match self.live(row.id) {
            Some(handle) => handle.view.borrow().clone(),
            None => crate::session::actor::view_of(&row, None, 0),
        };
        Ok((row, view))
    }

    /// Contract G-4: returns once the end has begun (G22).
    pub async fn terminate_hosted(&self, organisation: &str, id: &str) -> Result<(), ServiceError> {
        let (row, _) = self.find_hosted(organisation, id).await?;
        let handle = self.live(row.id).ok_or(ServiceError::Terminated)?;
        match ask(&handle, Command::Terminate).await {
            Some(true) => Ok(()),
            Some(false) | None => Err(ServiceError::Terminated),
        }
    }

    /// Contract G-5: gives the whole roster after it (G20).
    pub async fn join_hosted(
        &self,
        organisation: &str,
        id: &str,
        players: &[String],
    ) -> Result<Vec<String>, ServiceError> {
        let (row, view) = self.find_hosted(organisation, id).await?;
        if view.container.has_ended() {
            return Err(ServiceError::NotFound("The provided session has ended.".to_owned()));
        }
        let now = self.context().clock.now_ms();
        match self.context().store.join_players(row.id, players, MAX_PLAYERS, now).await.map_err(internal)? {
            Joined::Roster(roster) => Ok(roster),
            Joined::Full => Err(ServiceError::TooManyPlayers { most: MAX_PLAYERS }),
        }
    }

    /// Contract G-6: gives how many are left (G20).
    pub async fn leave_hosted(
        &self,
        organisation: &str,
        id: Option<&str>,
        players: &[String],
    ) -> Result<u64, ServiceError> {
        let store = &self.context().store;
        let session = match id {
            Some(id) => self.find_hosted(organisation, id).await?.0.id,
            None => {
                let owner = Owner::Organisation(organisation.to_owned());
                let found = store.sessions_with_players(&owner, players).await.map_err(internal)?;
                match found.as_slice() {
                    [one] => *one,
                    [] => return Err(no_such_session()),
                    [_, _, ..] => {
                        let text = "The players are in more than one session; name it with 'session'.";
                        return Err(ServiceError::NotFound(text.to_owned()));
                    }
                }
            }
        };
        store.leave_players(session, players).await.map_err(internal)
    }

    /// Contract G-7.
    pub async fn hosted_artifact(
        &self,
        organisation: &str,
        id: &str,
        path: &str,
    ) -> Result<Artifact, ServiceError> {
        let not_found = |text: &str| ServiceError::NotFound(text.to_owned());
        let (row, _) = self.find_hosted(organisation, id).await?;
        if row.ended_at.is_none() {
            return Err(not_found("The session still runs; its artifacts are there once it has ended."));
        }
        if !path.starts_with('/') {
            return Err(not_found("The path must be an absolute one."));
        }
        let none = || not_found("The session has left no container.");
        let reference: &InstanceRef = row.instance.as_ref().ok_or_else(none)?;
        let driver = self.context().drivers.by_instance(reference).ok_or_else(none)?;
        let limit = self.context().hosting.config.artifact_mb.saturating_mul(1024 * 1024);
        let bytes = driver.artifact(reference, path, limit).await.map_err(|error| match error {
            ArtifactError::NotFound(text) => ServiceError::NotFound(format!("{text}.")),
            ArtifactError::TooLarge { limit } => ServiceError::TooLarge { limit },
            ArtifactError::Driver(error) => internal(error),
        })?;
        Ok(Artifact { name: file_name(path), bytes })
    }

    /// A grant for a viewer of a session with a stream.
    pub async fn grant_hosted(
        &self,
        organisation: &str,
        id: &str,
        role: Role,
        origins: Vec<String>,
        expires_in: Duration,
    ) -> Result<GrantView, ServiceError> {
        let (row, _) = self.find_hosted(organisation, id).await?;
        if !row.hosted.as_ref().is_some_and(|hosted| hosted.stream) {
            let text = "This session has no stream to watch: its image's entry does not say stream = true.";
            return Err(ServiceError::InvalidRequest(text.to_owned()));
        }
        let who = Principal::Organisation(organisation.to_owned());
        self.share(&who, row.id, role, origins, expires_in).await
    }
}

pub(super) fn no_such_session() -> ServiceError {
    ServiceError::NotFound("The provided session does not exist.".to_owned())
}

/// The last part of the path, of which nothing but harmless letters is left.
fn file_name(path: &str) -> String {
    let last = path.split('/').rfind(|part| !part.is_empty() && *part != "." && *part != "..");
    let name: String = last
        .unwrap_or("root")
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' })
        .take(100)
        .collect();
    format!("{name}.tar.gz")
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn g15_an_artifact_is_named_after_the_last_part_of_its_path() {
        assert_eq!(file_name("/var/log/nginx"), "nginx.tar.gz");
        assert_eq!(file_name("/var/log/nginx/"), "nginx.tar.gz");
        assert_eq!(file_name("/"), "root.tar.gz");
        assert_eq!(file_name("/a/.."), "a.tar.gz");
        assert_eq!(file_name("/tmp/sp\"ace\n é"), "sp_ace___.tar.gz");
    }
}
