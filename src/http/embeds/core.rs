//! What embedding needs of the session core, as a trait: the real one is [`Sessions`], tests put a fake here.

use crate::auth::Principal;
use crate::model::ids::EmbedId;
use crate::session::embeds::{EmbedError, EmbedRequest, Visit};
use crate::session::view::EmbedView;
use crate::session::{ServiceError, Sessions};

/// See the methods of the same names on [`Sessions`].
#[async_trait::async_trait]
pub trait EmbedCore: Send + Sync + 'static {
    async fn mint_embed(
        &self,
        who: &Principal,
        request: EmbedRequest,
    ) -> Result<(EmbedView, String), ServiceError>;
    async fn embeds(&self, who: &Principal) -> Result<Vec<EmbedView>, ServiceError>;
    async fn revoke_embed(&self, who: &Principal, id: EmbedId) -> Result<(), ServiceError>;
    async fn embed_by_token(&self, token: &str) -> Result<Option<EmbedView>, ServiceError>;
    async fn embed_origins(&self, id: EmbedId) -> Result<Option<Vec<String>>, ServiceError>;
    async fn visit(&self, id: EmbedId) -> Result<Visit, EmbedError>;
}

#[async_trait::async_trait]
impl EmbedCore for Sessions {
    async fn mint_embed(
        &self,
        who: &Principal,
        request: EmbedRequest,
    ) -> Result<(EmbedView, String), ServiceError> {
        Self::mint_embed(self, who, request).await
    }

    async fn embeds(&self, who: &Principal) -> Result<Vec<EmbedView>, ServiceError> {
        Self::embeds(self, who).await
    }

    async fn revoke_embed(&self, who: &Principal, id: EmbedId) -> Result<(), ServiceError> {
        Self::revoke_embed(self, who, id).await
    }

    async fn embed_by_token(&self, token: &str) -> Result<Option<EmbedView>, ServiceError> {
        Self::embed_by_token(self, token).await
    }

    async fn embed_origins(&self, id: EmbedId) -> Result<Option<Vec<String>>, ServiceError> {
        Self::embed_origins(self, id).await
    }

    async fn visit(&self, id: EmbedId) -> Result<Visit, EmbedError> {
        Self::visit(self, id).await
    }
}
