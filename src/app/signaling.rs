//! Who opens a signaling connection, by the same rules as every other request.

use crate::http::caller::{Authenticated, signaling_caller, signaling_token_caller};
use crate::signal::{Known, SignalAuth};
use axum::http::{Extensions, HeaderMap};

pub(super) struct Callers;

#[async_trait::async_trait]
impl SignalAuth for Callers {
    async fn authenticate_headers(&self, headers: &HeaderMap, extensions: &Extensions) -> Option<Known> {
        signaling_caller(headers, extensions).await.map(known)
    }

    async fn authenticate_token(
        &self,
        token: &str,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Option<Known> {
        signaling_token_caller(token, headers, extensions).await.map(known)
    }
}

fn known(found: Authenticated) -> Known {
    Known { who: found.principal, validity: found.credential.watch() }
}
