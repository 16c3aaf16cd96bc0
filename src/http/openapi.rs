//! `GET /openapi.json`: both APIs, described by the routers that serve them. Public, and holds nothing of anybody.
//!
//! Signaling (`WS /session/{id}/signal`, WHEP) is described where it is defined, in `signaling/src/message.rs` and by its own
//! standard.

use super::pages::{etag, not_modified};
use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use utoipa::OpenApi as _;
use utoipa::ToSchema;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Components, ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder};

/// What the Sessions API and everything below `/api` answers from 400 on.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "only its schema is used: `ApiError` is what answers")]
pub(super) struct ApiProblem {
    /// For programs: `invalid_request`, `unauthorized`, `not_found`, `session_active`, `rate_limited`, ...
    #[schema(example = "session_active")]
    error: String,
    /// For people.
    #[schema(example = "You already have an active session. Stop it before you launch another game.")]
    message: String,
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Playgate",
        description = "Two APIs over the same sessions. The **Session API** (`/session`, `/artifacts`, `/logs`, \
            `/available-location`, `/tag`) is for the backends of organisations and compatible with Gameye's Session API \
            1.2.1. The **Sessions API** (`/api`) is for players and the play page.",
    ),
    servers((url = "/", description = "This gateway.")),
    tags(
        (name = "Session API", description = "Containers of an organisation, with an organisation's API token."),
        (name = "Sessions API", description = "A player's games."),
        (name = "Saves", description = "A player's save slots and their versions."),
        (name = "Catalogue", description = "The games."),
        (name = "Sharing", description = "Invitations to a session."),
        (name = "Embedding", description = "Games and sessions in other people's sites."),
        (name = "Signing in", description = "Getting a user's token."),
        (name = "Operations", description = "For machines and operators."),
    ),
    components(schemas(ApiProblem, super::session_api::PlayerCount)),
    security(("user-token" = []), ("cookie" = []))
)]
struct Base;

/// What the routers' operations are added to.
pub(super) fn base() -> OpenApi {
    let mut api = Base::openapi();
    let components = api.components.get_or_insert_with(Components::new);
    let bearer = |text: &str| {
        let mut scheme = Http::new(HttpAuthScheme::Bearer);
        scheme.description = Some(text.to_owned());
        SecurityScheme::Http(scheme)
    };
    components.add_security_scheme(
        "api-token",
        bearer("An organisation's API token: `playgate token mint --organisation NAME`."),
    );
    components.add_security_scheme(
        "user-token",
        bearer("A user's token: a JWT of a configured key, one that was minted here, or a guest's."),
    );
    components
        .add_security_scheme("embed-token", bearer("What other sites show a stream by: `POST /api/embeds`."));
    let cookie = ApiKeyValue::with_description(
        "playgate-session",
        "The same token as the page's cookie; `__Host-playgate-session` on https.",
    );
    components.add_security_scheme("cookie", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    api
}

/// Serves the finished document.
pub(super) fn routes(mut api: OpenApi) -> Router {
    for item in api.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete];
        operations.into_iter().flatten().for_each(refuse_strangers);
    }
    let text = api.to_json().map(Bytes::from).map_err(|error| error.to_string());
    Router::new().route("/openapi.json", get(async move |headers: HeaderMap| serve(&headers, text.as_ref())))
}

/// What holds for every operation that wants a token.
fn refuse_strangers(operation: &mut Operation) {
    // An empty requirement is the mark of what is public.
    let public = operation
        .security
        .as_ref()
        .is_some_and(|security| security.iter().any(|one| *one == Default::default()));
    if public || operation.responses.responses.contains_key("401") {
        return;
    }
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("ApiProblem"))).build();
    let response =
        ResponseBuilder::new().description("No usable token.").content("application/json", content).build();
    operation.responses.responses.insert("401".to_owned(), RefOr::T(response));
}

fn serve(headers: &HeaderMap, text: Result<&Bytes, &String>) -> Response {
    let text = match text {
        Ok(text) => text.clone(),
        Err(error) => return super::ApiError::internal(error).into_response(),
    };
    let tag = etag(&text);
    if not_modified(headers, &tag) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response();
    }
    let headers = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
        (header::ETAG, tag),
    ];
    (headers, text).into_response()
}
