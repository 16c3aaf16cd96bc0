//! A session core for embedding that knows one token.

use super::fake::{STARTED_MS, at};
use playgate::auth::Principal;
use playgate::http::EmbedCore;
use playgate::model::ids::{EmbedId, GrantId, SessionId};
use playgate::model::rows::EmbedTarget;
use playgate::session::ServiceError;
use playgate::session::embeds::{EmbedError, EmbedRefusal, EmbedRequest, Visit};
use playgate::session::view::{EmbedView, GrantView};
use playgate_signaling::message::Role;
use std::sync::Mutex;

/// The one token.
pub(crate) const TOKEN: &str = "pge_known";
/// The site it is for.
pub(crate) const SITE: &str = "https://arcade.example";

/// Refuses visits when a refusal is set; keeps what is to be minted.
pub(crate) struct FakeEmbeds {
    pub(crate) id: EmbedId,
    pub(crate) refuse: Mutex<Option<EmbedRefusal>>,
    pub(crate) minted: Mutex<Vec<EmbedRequest>>,
    pub(crate) revoked: Mutex<Vec<EmbedId>>,
}

impl Default for FakeEmbeds {
    fn default() -> Self {
        Self {
            id: EmbedId::new(),
            refuse: Mutex::default(),
            minted: Mutex::default(),
            revoked: Mutex::default(),
        }
    }
}

impl FakeEmbeds {
    fn view(&self) -> EmbedView {
        EmbedView {
            id: self.id,
            target: EmbedTarget::Game("ember".to_owned()),
            role: Role::Player,
            slot: Some(1),
            origins: vec![SITE.to_owned()],
            uses: Some(10),
            used: 3,
            created_at: at(STARTED_MS),
            expires_at: at(STARTED_MS + 60_000),
            revoked: false,
        }
    }
}

#[async_trait::async_trait]
impl EmbedCore for FakeEmbeds {
    async fn mint_embed(
        &self,
        _: &Principal,
        request: EmbedRequest,
    ) -> Result<(EmbedView, String), ServiceError> {
        self.minted.lock().unwrap().push(request);
        Ok((self.view(), TOKEN.to_owned()))
    }

    async fn embeds(&self, _: &Principal) -> Result<Vec<EmbedView>, ServiceError> {
        Ok(vec![self.view()])
    }

    async fn revoke_embed(&self, _: &Principal, id: EmbedId) -> Result<(), ServiceError> {
        self.revoked.lock().unwrap().push(id);
        Ok(())
    }

    async fn embed_by_token(&self, token: &str) -> Result<Option<EmbedView>, ServiceError> {
        Ok((token == TOKEN).then(|| self.view()))
    }

    async fn embed_origins(&self, id: EmbedId) -> Result<Option<Vec<String>>, ServiceError> {
        Ok((id == self.id).then(|| vec![SITE.to_owned()]))
    }

    async fn visit(&self, id: EmbedId) -> Result<Visit, EmbedError> {
        assert_eq!(id, self.id);
        if let Some(refusal) = *self.refuse.lock().unwrap() {
            return Err(refusal.into());
        }
        let grant = GrantView {
            id: GrantId::new(),
            session: SessionId::new(),
            role: Role::Player,
            slot: Some(1),
            origins: vec![SITE.to_owned()],
            created_at: at(STARTED_MS),
            expires_at: at(4_000_000_000_000),
            revoked: false,
        };
        Ok(Visit { grant, game_slug: "ember".to_owned(), game_title: "Ember".to_owned(), host: true })
    }
}
