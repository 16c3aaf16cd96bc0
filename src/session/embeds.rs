//! Embed tokens: what lets other people's sites show a stream (design, decision 10).
//!
//! A token says nothing of itself and opens nothing by itself. A *visit* exchanges it for an ordinary grant to one session, so
//! that status, signaling and media know one kind of guest only. Of a session's token every visitor joins that session; of a
//! game's token every visit launches a session of its own, which belongs to the organisation and ends when it is idle, as a
//! player's does. A use is counted in the transaction that enters the visit's grant (and its session): a visit that finds no
//! room, or no token to use up, has counted nothing.

use super::access::{internal, no_session, time_of};
use super::actor::Command;
use super::catalogue::is_slug;
use super::error::ServiceError;
use super::grants::view as grant_view;
use super::service::Sessions;
use super::view::{EmbedView, GrantView};
use crate::auth::{self, Principal};
use crate::model::clock::after;
use crate::model::ids::{EmbedId, GrantId, Owner, SessionId};
use crate::model::rows::{EmbedRow, EmbedTarget, GrantRow, SessionRow, Visited};
use crate::model::session::EndReason;
use playgate_signaling::message::Role;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Shortest and longest life of a token: a minute to a year.
pub const LIFE: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(366 * 86_400);
/// A visit's grant lasts for this long at most; a page that is open longer visits again.
const VISIT: Duration = Duration::from_secs(12 * 3600);

/// What somebody wants to be shown elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbedRequest {
    pub target: EmbedTarget,
    pub role: Role,
    /// 0-based, of a player.
    pub slot: Option<u8>,
    pub origins: Vec<String>,
    pub uses: Option<u64>,
    /// Within [`LIFE`].
    pub life: Duration,
}

/// A visit that came about.
#[derive(Debug, Clone)]
pub struct Visit {
    pub grant: GrantView,
    pub game_slug: String,
    pub game_title: String,
    /// The session was launched for this visit.
    pub host: bool,
}

/// Why a token opens nothing, in words for whoever looks at the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EmbedRefusal {
    #[error("This link is not known here. Ask the site for a new one.")]
    Unknown,
    #[error("This site may not show this stream.")]
    WrongSite,
    #[error("This link has run out. Ask the site for a new one.")]
    Expired,
    #[error("This link was taken back by whoever made it.")]
    Revoked,
    #[error("This link was used as often as it may be.")]
    UsedUp,
    #[error("The game that was shown here is over.")]
    Over,
}

#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    #[error(transparent)]
    Refused(#[from] EmbedRefusal),
    #[error(transparent)]
    Service(#[from] ServiceError),
}

impl Sessions {
    /// Mints a token for a session of one's own, or, by an organisation, for a game. The text is told this once.
    pub async fn mint_embed(
        &self,
        who: &Principal,
        request: EmbedRequest,
    ) -> Result<(EmbedView, String), ServiceError> {
        let owner = match &request.target {
            EmbedTarget::Session(id) => {
                let session = self.owned_by(who, *id).await?;
                let game = self.live(*id).map(|handle| handle.game).ok_or_else(no_session)?;
                check_slot(request.slot, game.view.hints.pads)?;
                session.owner
            }
            EmbedTarget::Game(slug) => {
                if !is_slug(slug) {
                    return Err(ServiceError::NotFound(format!("Game with slug '{slug}' not found.")));
                }
                check_slot(request.slot, self.game(slug)?.view.hints.pads)?;
                let Principal::Organisation(name) = who else {
                    let text = "Games are embedded by organisations. Embed a session of yours.";
                    return Err(ServiceError::InvalidRequest(text.to_owned()));
                };
                Owner::Organisation(name.clone())
            }
        };
        if !LIFE.contains(&request.life) {
            let text = "The 'expiresIn' field must be between a minute and a year.";
            return Err(ServiceError::InvalidRequest(text.to_owned()));
        }
        let no_chance = || internal(anyhow::anyhow!("the system gives no randomness"));
        let (token, sha256) = auth::new_embed_token().ok_or_else(no_chance)?;
        let now = self.context().clock.now_ms();
        let row = EmbedRow {
            id: EmbedId::new(),
            owner,
            target: request.target,
            role: request.role,
            slot: request.slot,
            origins: request.origins,
            uses: request.uses,
            used: 0,
            created_at: now,
            expires_at: after(now, request.life),
            revoked_at: None,
        };
        self.context().store.insert_embed(&row, &sha256).await.map_err(internal)?;
        tracing::info!(embed = %row.id, owner = %row.owner, target = %row.target, "embed token minted");
        Ok((view(&row), token))
    }

    /// One's own tokens, newest first, without their texts.
    pub async fn embeds(&self, who: &Principal) -> Result<Vec<EmbedView>, ServiceError> {
        let rows = self.context().store.embeds_of(&owner_of(who)?).await.map_err(internal)?;
        Ok(rows.iter().map(view).collect())
    }

    /// Takes a token back. What is watched by it ends, and so do the sessions that were launched for its visits.
    pub async fn revoke_embed(&self, who: &Principal, id: EmbedId) -> Result<(), ServiceError> {
        let no_embed = || ServiceError::NotFound("Embed token not found.".to_owned());
        let owner = owner_of(who).map_err(|_| no_embed())?;
        let row = self.context().store.embed(id).await.map_err(internal)?;
        row.filter(|row| row.owner == owner).ok_or_else(no_embed)?;
        let now = self.context().clock.now_ms();
        for grant in self.context().store.revoke_embed(id, now).await.map_err(internal)? {
            let Some(handle) = self.live(grant.session) else { continue };
            // A session that ends meanwhile has no views left to end.
            let _ = handle.commands.send(Command::EndGrant(grant.id)).await;
            if grant.host {
                let this = self.clone();
                tokio::spawn(async move { this.end(grant.session, EndReason::StoppedByUser).await });
            }
        }
        Ok(())
    }

    /// What a token is, whether it is good or not; `None` for a text that is none of ours.
    pub async fn embed_by_token(&self, token: &str) -> Result<Option<EmbedView>, ServiceError> {
        let Some(sha256) = auth::embed_token_sha256(token) else { return Ok(None) };
        let row = self.context().store.embed_by_sha256(&sha256).await.map_err(internal)?;
        Ok(row.as_ref().map(view))
    }

    /// The web sites that may show it. No secret: browsers are told with the page.
    pub async fn embed_origins(&self, id: EmbedId) -> Result<Option<Vec<String>>, ServiceError> {
        let row = self.context().store.embed(id).await.map_err(internal)?;
        Ok(row.map(|row| row.origins))
    }

    /// Exchanges a token for a grant, and launches the game where that is what it is for.
    pub async fn visit(&self, id: EmbedId) -> Result<Visit, EmbedError> {
        // In a task of its own: a visitor that goes away between the row and its actor must not leave a row alone.
        let this = self.clone();
        tokio::spawn(async move { this.visit_to_its_end(id).await }).await.map_err(internal)?
    }

    async fn visit_to_its_end(&self, id: EmbedId) -> Result<Visit, EmbedError> {
        let now = self.context().clock.now_ms();
        let row = self.context().store.embed(id).await.map_err(internal)?.ok_or(EmbedRefusal::Unknown)?;
        if let Some(refusal) = refusal(&row, now) {
            return Err(refusal.into());
        }
        match &row.target {
            EmbedTarget::Session(session) => self.join_visit(&row, *session, now).await,
            EmbedTarget::Game(slug) => self.launch_visit(&row, slug, now).await,
        }
    }

    async fn join_visit(&self, row: &EmbedRow, session: SessionId, now: i64) -> Result<Visit, EmbedError> {
        let handle = self.live(session).ok_or(EmbedRefusal::Over)?;
        self.may_visit(row.id)?;
        let grant = visit_grant(row, session, false, now);
        match self.context().store.insert_visit(&grant, None, now).await.map_err(internal)? {
            Visited::Done => {}
            refused @ (Visited::TokenRefused | Visited::SessionRefused(_)) => {
                return Err(self.visit_refused(row.id, refused).await);
            }
        }
        let game = &handle.game.view;
        let (game_slug, game_title) = (game.slug.clone(), game.title.clone());
        Ok(Visit { grant: grant_view(&grant), game_slug, game_title, host: false })
    }

    async fn launch_visit(&self, row: &EmbedRow, slug: &str, now: i64) -> Result<Visit, EmbedError> {
        let game = self.game(slug)?;
        self.may_visit(row.id)?;
        // Each token has a door of its own: a crowd at one does not keep its organisation from starting sessions.
        let slip = self.may_start(&format!("embed {}", row.id))?;
        let permit = self.let_in(&game)?;
        let mut session: SessionRow = self.new_row(row.owner.clone(), &game, None);
        session.lease_until = Some(self.context().idle_until());
        self.place(&mut session, &game, None).await?;
        let grant = visit_grant(row, session.id, true, now);
        match self.context().store.insert_visit(&grant, Some(&session), now).await {
            Ok(Visited::Done) => {}
            Ok(refused @ (Visited::TokenRefused | Visited::SessionRefused(_))) => {
                self.give_place_back(session.id).await;
                return Err(self.visit_refused(row.id, refused).await);
            }
            Err(error) => return Err(self.not_entered(session, &error).into()),
        }
        slip.spend();
        let title = session.title.clone();
        tracing::info!(
            session = %session.id, game = slug, embed = %row.id, node = session.node, "session launched for a visit"
        );
        self.context().metrics.launched.inc();
        self.begin(session, game, permit);
        Ok(Visit { grant: grant_view(&grant), game_slug: slug.to_owned(), game_title: title, host: true })
    }

    /// Why the store did not enter a visit.
    async fn visit_refused(&self, embed: EmbedId, refused: Visited) -> EmbedError {
        if let Visited::SessionRefused(refused) = refused {
            return internal(anyhow::anyhow!("a visit's session was refused: {refused:?}")).into();
        }
        // Used up, revoked or expired since it was looked at.
        match self.context().store.embed(embed).await {
            Ok(Some(row)) => {
                let now = self.context().clock.now_ms();
                refusal(&row, now).unwrap_or(EmbedRefusal::UsedUp).into()
            }
            Ok(None) => EmbedRefusal::Unknown.into(),
            Err(error) => internal(error).into(),
        }
    }
}

fn visit_grant(row: &EmbedRow, session: SessionId, host: bool, now: i64) -> GrantRow {
    GrantRow {
        id: GrantId::new(),
        session,
        role: row.role,
        slot: row.slot.or(host.then_some(0)).filter(|_| row.role == Role::Player),
        origins: row.origins.clone(),
        created_at: now,
        expires_at: row.expires_at.min(after(now, VISIT)),
        revoked_at: None,
        embed: Some(row.id),
        host,
    }
}

/// Why it is not good at this moment, if that can be told from the row.
fn refusal(row: &EmbedRow, now: i64) -> Option<EmbedRefusal> {
    if row.revoked_at.is_some() {
        Some(EmbedRefusal::Revoked)
    } else if now >= row.expires_at {
        Some(EmbedRefusal::Expired)
    } else if row.uses.is_some_and(|uses| row.used >= uses) {
        Some(EmbedRefusal::UsedUp)
    } else {
        None
    }
}

/// Games are embedded by organisations, sessions by whoever they belong to.
fn owner_of(who: &Principal) -> Result<Owner, ServiceError> {
    match who {
        Principal::Organisation(name) => Ok(Owner::Organisation(name.clone())),
        Principal::User(user) => Ok(Owner::User(user.id.clone())),
        Principal::Operator | Principal::Grant(_) => {
            Err(ServiceError::NotFound("Embed token not found.".to_owned()))
        }
    }
}

fn check_slot(slot: Option<u8>, pads: u8) -> Result<(), ServiceError> {
    let slots = pads.max(1);
    if slot.is_some_and(|slot| slot >= slots) {
        return Err(ServiceError::InvalidRequest(format!("This game has {slots} control slots at most.")));
    }
    Ok(())
}

fn view(row: &EmbedRow) -> EmbedView {
    EmbedView {
        id: row.id,
        target: row.target.clone(),
        role: row.role,
        slot: row.slot,
        origins: row.origins.clone(),
        uses: row.uses,
        used: row.used,
        created_at: time_of(row.created_at),
        expires_at: time_of(row.expires_at),
        revoked: row.revoked_at.is_some(),
    }
}
