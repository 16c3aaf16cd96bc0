//! `/api/embeds`, the tokens by which other sites show streams, `/api/embed/visit`, which exchanges one for a grant, and what
//! those sites load of us ([`page`]).

mod core;
mod page;

pub use self::core::EmbedCore;
pub use self::page::Sdk;
pub(super) use self::page::routes as pages;

use super::HttpState;
use super::context::{Context, web_origin};
use super::error::ApiError;
use super::input::Body;
use super::limits::ORIGINS;
use super::openapi::ApiProblem;
use super::play::NO_SESSION;
use super::share::sign;
use crate::http::caller::Caller;
use crate::http::caller::bearer;
use crate::model::ids::EmbedId;
use crate::model::rows::EmbedTarget;
use crate::render::seconds;
use crate::session::embeds::{EmbedError, EmbedRefusal, EmbedRequest, LIFE};
use crate::session::view::EmbedView;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use playgate_signaling::message::Role;
use serde_json::{Value, json};
use std::time::Duration;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// A token's life where none is asked for: thirty days.
const DEFAULT_LIFE: Duration = Duration::from_secs(30 * 86_400);
const MAX_USES: u64 = 1_000_000_000;
/// Control slots as people count them.
const SLOTS: std::ops::RangeInclusive<u64> = 1..=4;

pub(super) fn routes() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new().routes(routes!(mint, list)).routes(routes!(revoke)).routes(routes!(visit))
}

/// Mint an embed token
///
/// For a game, by an organisation: every visit launches it. Or for a running session, by whoever it belongs to: visitors join
/// it. The token is told this once; it is no secret from the visitors of the sites it is for.
#[utoipa::path(
    post, path = "/api/embeds", operation_id = "mint-embed", tag = "Embedding",
    request_body(content = Value, description = "Either `game` or `sessionId`; `role` is `player` or `spectator`; `slot` (1 to 4, of a player) is the control slot visitors get; `origins` are 1 to 16 web sites that may show it; `uses` is how many visits it is good for, any number where absent; `expiresIn` is 60 to 31622400 seconds, thirty days where absent.", example = json!({ "game": "ember", "role": "player", "origins": ["https://arcade.example"], "uses": 1000, "expiresIn": 2_592_000 })),
    responses(
        (status = 201, description = "The token.", body = Value, example = json!({ "embedId": "5f0c2a4e-8b1d-4c53-9c69-6a1c52f3a7d1", "token": "pge_...", "url": "https://play.example.org/embed/5f0c2a4e-8b1d-4c53-9c69-6a1c52f3a7d1#pge_...", "game": "ember", "sessionId": null, "role": "player", "slot": null, "origins": ["https://arcade.example"], "uses": 1000, "used": 0, "createdAt": "2026-01-16T07:51:49Z", "expiresAt": "2026-02-15T07:51:49Z", "revoked": false })),
        (status = 400, description = "Not a request.", body = ApiProblem),
        (status = 404, description = "No such game, or no such session of yours.", body = ApiProblem),
    ),
)]
async fn mint(
    State(state): State<HttpState>,
    Caller(who): Caller,
    context: Context,
    body: Body,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let (embed, token) = state.embeds.mint_embed(&who, read(&body)?).await?;
    let mut answer = render(&embed);
    answer["url"] = json!(format!("{}/embed/{}#{token}", context.base, embed.id));
    answer["token"] = json!(token);
    Ok((StatusCode::CREATED, Json(answer)))
}

fn read(body: &Body) -> Result<EmbedRequest, ApiError> {
    let target = match (body.text("game")?, body.text("sessionId")?) {
        (Some(slug), None) => EmbedTarget::Game(slug.to_owned()),
        (None, Some(_)) => EmbedTarget::Session(body.id("sessionId", NO_SESSION)?),
        (Some(_), Some(_)) | (None, None) => {
            return Err(ApiError::invalid("Give either 'game' or 'sessionId'."));
        }
    };
    let role = body.role("role")?;
    let slot = body.whole("slot", SLOTS)?.and_then(|slot| u8::try_from(slot - 1).ok());
    if slot.is_some() && role == Role::Spectator {
        return Err(ApiError::invalid("A spectator has no 'slot'."));
    }
    let sent = body.texts(&ORIGINS)?.filter(|sent| !sent.is_empty());
    let sent = sent.ok_or_else(|| {
        ApiError::invalid(
            "The 'origins' field must name the web sites that may show it, like https://arcade.example.",
        )
    })?;
    let site = |text: &str| {
        web_origin(text).ok_or_else(|| {
            ApiError::invalid(format!(
                "'{text}' in 'origins' is not a web site like https://arcade.example, without a path."
            ))
        })
    };
    let origins = sent.into_iter().map(site).collect::<Result<_, _>>()?;
    let uses = body.whole("uses", 1..=MAX_USES)?;
    let life = body.whole("expiresIn", LIFE.start().as_secs()..=LIFE.end().as_secs())?;
    let life = life.map_or(DEFAULT_LIFE, Duration::from_secs);
    Ok(EmbedRequest { target, role, slot, origins, uses, life })
}

/// Your embed tokens
///
/// Newest first, without their texts.
#[utoipa::path(
    get, path = "/api/embeds", operation_id = "embeds", tag = "Embedding",
    responses(
        (status = 200, description = "The tokens.", body = Value, example = json!({ "embeds": [{ "embedId": "5f0c2a4e-8b1d-4c53-9c69-6a1c52f3a7d1", "game": "ember", "sessionId": null, "role": "player", "slot": null, "origins": ["https://arcade.example"], "uses": 1000, "used": 17, "createdAt": "2026-01-16T07:51:49Z", "expiresAt": "2026-02-15T07:51:49Z", "revoked": false }] })),
    ),
)]
async fn list(State(state): State<HttpState>, Caller(who): Caller) -> Result<Json<Value>, ApiError> {
    let embeds: Vec<Value> = state.embeds.embeds(&who).await?.iter().map(render).collect();
    Ok(Json(json!({ "embeds": embeds })))
}

/// Take an embed token back
///
/// Ends what is being watched and played by it.
#[utoipa::path(
    delete, path = "/api/embeds/{embed}", operation_id = "revoke-embed", tag = "Embedding",
    params(("embed" = String, Path)),
    responses(
        (status = 204, description = "Taken back."),
        (status = 404, description = "No such token of yours.", body = ApiProblem),
    ),
)]
async fn revoke(
    State(state): State<HttpState>,
    Caller(who): Caller,
    Path(embed): Path<String>,
) -> Result<StatusCode, ApiError> {
    let embed: EmbedId = embed.parse().map_err(|_| ApiError::not_found("Embed token not found."))?;
    state.embeds.revoke_embed(&who, embed).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Visit what an embed token shows
///
/// `Authorization: Bearer` carries the embed token. The answer's `token` is a grant for one session: for its status, its
/// signaling, WHEP and its thumbnail. A page of another site may call this when the token is for that site.
#[utoipa::path(
    post, path = "/api/embed/visit", operation_id = "visit-embed", tag = "Embedding",
    request_body(content = Option<Value>, description = "`embedId` where the visitor knows it.", example = json!({ "embedId": "5f0c2a4e-8b1d-4c53-9c69-6a1c52f3a7d1" })),
    responses(
        (status = 201, description = "A grant for this visit.", body = Value, example = json!({ "sessionId": "7d1c2a4e-8b1d-4c53-9c69-6a1c52f3a5f0", "token": "...", "role": "player", "slot": 1, "mayStop": true, "gameSlug": "ember", "gameTitle": "Ember", "origins": ["https://arcade.example"], "expiresAt": "2026-01-16T19:51:49Z" })),
        (status = 401, description = "`embed_unknown`.", body = ApiProblem),
        (status = 403, description = "`embed_wrong_site`.", body = ApiProblem),
        (status = 410, description = "`embed_expired`, `embed_revoked`, `embed_used_up`, `embed_over`.", body = ApiProblem),
        (status = 429, description = "Too many visits in a minute.", body = ApiProblem),
        (status = 503, description = "No server has room.", body = ApiProblem),
    ),
    security(("embed-token" = []))
)]
async fn visit(
    State(state): State<HttpState>,
    context: Context,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let named = named(&body)?;
    let embed = match bearer(&headers) {
        Some(token) => state.embeds.embed_by_token(token).await?,
        None => None,
    };
    let embed = embed.ok_or(EmbedRefusal::Unknown)?;
    // Our own page stands for the sites that the embed in its address may be shown on: another one's token is none there.
    let fits = match named {
        Some(id) => id == embed.id,
        None => !context.from_own_page(&headers),
    };
    if !fits {
        return Err(EmbedRefusal::Unknown.into());
    }
    if !context.from_page_of(&embed.origins, &headers) {
        return Err(EmbedRefusal::WrongSite.into());
    }
    let visit = state.embeds.visit(embed.id).await?;
    let token = sign(&state.auth, &visit.grant).map_err(ApiError::internal)?;
    let answer = json!({
        "sessionId": visit.grant.session,
        "token": token,
        "role": visit.grant.role,
        "slot": visit.grant.slot.map(|slot| slot + 1),
        "mayStop": visit.host,
        "gameSlug": visit.game_slug,
        "gameTitle": visit.game_title,
        "origins": visit.grant.origins,
        "expiresAt": seconds(visit.grant.expires_at),
    });
    Ok((StatusCode::CREATED, Json(answer)))
}

/// The embed that the body names; an empty body names none.
fn named(body: &Bytes) -> Result<Option<EmbedId>, ApiError> {
    if body.is_empty() {
        return Ok(None);
    }
    let read: Value = serde_json::from_slice(body)
        .map_err(|error| ApiError::invalid(format!("The request body is not valid JSON: {error}.")))?;
    match read.get("embedId") {
        None | Some(Value::Null) => Ok(None),
        Some(id) => {
            let id = id.as_str().and_then(|id| id.parse().ok());
            id.map(Some).ok_or_else(|| EmbedRefusal::Unknown.into())
        }
    }
}

fn render(embed: &EmbedView) -> Value {
    let (game, session) = match &embed.target {
        EmbedTarget::Game(slug) => (Some(slug), None),
        EmbedTarget::Session(id) => (None, Some(id)),
    };
    json!({
        "embedId": embed.id,
        "game": game,
        "sessionId": session,
        "role": embed.role,
        "slot": embed.slot.map(|slot| slot + 1),
        "origins": embed.origins,
        "uses": embed.uses,
        "used": embed.used,
        "createdAt": seconds(embed.created_at),
        "expiresAt": seconds(embed.expires_at),
        "revoked": embed.revoked,
    })
}

impl From<EmbedError> for ApiError {
    fn from(error: EmbedError) -> Self {
        match error {
            EmbedError::Refused(refusal) => refusal.into(),
            EmbedError::Service(error) => error.into(),
        }
    }
}

impl From<EmbedRefusal> for ApiError {
    fn from(refusal: EmbedRefusal) -> Self {
        let (status, code) = refusal.status_and_code();
        Self::new(status, code, refusal.to_string())
    }
}

impl EmbedRefusal {
    const fn status_and_code(self) -> (StatusCode, &'static str) {
        match self {
            Self::Unknown => (StatusCode::UNAUTHORIZED, "embed_unknown"),
            Self::WrongSite => (StatusCode::FORBIDDEN, "embed_wrong_site"),
            Self::Expired => (StatusCode::GONE, "embed_expired"),
            Self::Revoked => (StatusCode::GONE, "embed_revoked"),
            Self::UsedUp => (StatusCode::GONE, "embed_used_up"),
            Self::Over => (StatusCode::GONE, "embed_over"),
        }
    }
}
