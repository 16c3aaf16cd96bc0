//! Who opens a signaling connection, by the same rules as every other request.

use crate::auth::{Auth, Principal, signaling_caller, signaling_token, signaling_token_caller};
use crate::signal::SignalAuth;
use axum::http::{Extensions, HeaderMap};

pub(super) struct Callers(pub(super) Auth);

#[async_trait::async_trait]
impl SignalAuth for Callers {
    async fn authenticate_headers(&self, headers: &HeaderMap, extensions: &Extensions) -> Option<Principal> {
        signaling_caller(headers, extensions).await
    }

    async fn authenticate_token(
        &self,
        token: &str,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Option<Principal> {
        signaling_token_caller(token, headers, extensions).await
    }

    fn token_of<'h>(&self, headers: &'h HeaderMap, extensions: &Extensions) -> Option<&'h str> {
        signaling_token(headers, extensions)
    }

    async fn is_revoked(&self, token: &str) -> bool {
        self.0.is_revoked(token).await
    }
}
