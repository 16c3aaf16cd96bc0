//! Who opens a signaling connection, by the same rules as every other request.

use crate::auth::{Auth, Principal, signaling_caller};
use crate::signal::SignalAuth;
use axum::http::{Extensions, HeaderMap};

pub(super) struct Callers(pub(super) Auth);

#[async_trait::async_trait]
impl SignalAuth for Callers {
    async fn authenticate_headers(&self, headers: &HeaderMap, extensions: &Extensions) -> Option<Principal> {
        signaling_caller(headers, extensions).await
    }

    async fn authenticate_token(&self, token: &str) -> Option<Principal> {
        self.0.verify(token).await.ok().map(|verified| verified.principal)
    }
}
