//! `/api/games`: the catalogue, paged and searched (contract 1.5), and the games' pictures.

use super::HttpState;
use super::caller::Caller;
use super::error::ApiError;
use super::input::Params;
use super::limits::MAX_SEARCH_BYTES;
use super::offload::offload;
use super::openapi::ApiProblem;
use super::pages::{etag, not_modified};
use crate::session::view::GameView;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use dashmap::DashMap;
use serde_json::{Value, json};
use std::cmp::Ordering;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one)).routes(routes!(thumbnail))
}

#[derive(Clone, Copy)]
enum Sort {
    /// The configuration's order.
    Given,
    Title,
    Created,
}

/// The games
#[utoipa::path(
    get, path = "/api/games", operation_id = "games", tag = "Catalogue",
    params(("page" = Option<u64>, Query, description = "From 1."), ("limit" = Option<u64>, Query, description = "1 to 50; 20 where absent."), ("search" = Option<String>, Query, max_length = 256, description = "Words that a game's texts must hold, 256 bytes at most."), ("tag" = Option<String>, Query), ("sort" = Option<String>, Query, description = "`title`, `createdAt` or `popular`."), ("order" = Option<String>, Query, description = "`asc` or `desc`.")),
    responses(
        (status = 200, description = "A page of them.", body = Value, example = json!({ "games": [{ "id": "ember", "slug": "ember", "title": "Ember", "developer": "Playgate", "description": "...", "tags": ["arcade"], "thumbnail": "/api/games/ember/thumbnail", "releaseDate": "2026-01-01", "isFavorite": false, "width": 1280, "height": 720, "pointer": "none", "pads": 1 }], "pagination": { "page": 1, "limit": 20, "total": 1, "totalPages": 1 } })),
        (status = 400, description = "Not a request.", body = ApiProblem),
    ),
)]
async fn list(
    State(state): State<HttpState>,
    Caller(_): Caller,
    params: Params,
) -> Result<Json<Value>, ApiError> {
    let page = params.whole("page", 1, 1..=u64::MAX)?;
    let limit = params.whole("limit", 20, 1..=50)?;
    // Plays are not counted: the most popular games are those that the operator put first.
    let sorts = [("title", Sort::Title), ("createdAt", Sort::Created), ("popular", Sort::Given)];
    let sort = params.choice("sort", sorts, Sort::Given)?;
    let descending = params.choice("order", [("asc", false), ("desc", true)], false)?;

    let mut found: Vec<GameView> = state.core.games();
    if let Some(search) = params.get("search") {
        if search.len() > MAX_SEARCH_BYTES {
            let message = format!("'search' must not be longer than {MAX_SEARCH_BYTES} bytes.");
            return Err(ApiError::invalid(message));
        }
        let search = search.to_lowercase();
        found.retain(|game| {
            let own = [&game.title, &game.developer, &game.description, &game.slug];
            mentions_all(own.into_iter().chain(&game.tags), &search)
        });
    }
    if let Some(tag) = params.get("tag").filter(|tag| !tag.is_empty()) {
        found.retain(|game| game.tags.iter().any(|own| own.eq_ignore_ascii_case(tag)));
    }
    match sort {
        Sort::Given => {}
        Sort::Title => found.sort_by(by_title),
        Sort::Created => found.sort_by(|a, b| a.released.cmp(&b.released).then_with(|| by_title(a, b))),
    }
    if descending {
        found.reverse();
    }
    let total = u64::try_from(found.len()).unwrap_or(u64::MAX);
    let skip = usize::try_from((page - 1).saturating_mul(limit)).unwrap_or(usize::MAX);
    let take = usize::try_from(limit).unwrap_or(usize::MAX);
    let page_of_games: Vec<GameView> = found.into_iter().skip(skip).take(take).collect();
    state.thumbnails.draw(&page_of_games).await?;
    let games: Vec<Value> = page_of_games.iter().map(|game| game_body(&state, game)).collect();
    Ok(Json(json!({
        "games": games,
        "pagination": { "page": page, "limit": limit, "total": total, "totalPages": total.div_ceil(limit) },
    })))
}

/// One game
#[utoipa::path(
    get, path = "/api/games/{slug}", operation_id = "game", tag = "Catalogue",
    params(("slug" = String, Path)),
    responses(
        (status = 200, description = "The game.", body = Value, example = json!({ "id": "ember", "slug": "ember", "title": "Ember", "developer": "Playgate", "description": "...", "tags": ["arcade"], "thumbnail": "/api/games/ember/thumbnail", "releaseDate": "2026-01-01", "isFavorite": false, "width": 1280, "height": 720, "pointer": "none", "pads": 1 })),
        (status = 404, description = "No such game.", body = ApiProblem),
    ),
)]
async fn one(
    State(state): State<HttpState>,
    Caller(_): Caller,
    Path(slug): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let game = find(&state, &slug)?;
    state.thumbnails.draw(std::slice::from_ref(&game)).await?;
    Ok(Json(game_body(&state, &game)))
}

/// A game's picture
#[utoipa::path(
    get, path = "/api/games/{slug}/thumbnail", operation_id = "thumbnail", tag = "Catalogue",
    params(("slug" = String, Path)),
    responses(
        (status = 200, description = "A PNG.", body = Vec<u8>, content_type = "image/png"),
        (status = 404, description = "No such game, or it has no picture.", body = ApiProblem),
    ),
)]
async fn thumbnail(
    State(state): State<HttpState>,
    Caller(_): Caller,
    Path(slug): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let game = find(&state, &slug)?;
    state.thumbnails.draw(std::slice::from_ref(&game)).await?;
    let png = state
        .thumbnails
        .get(&game.slug)
        .ok_or_else(|| ApiError::not_found(format!("Game '{slug}' has no picture.")))?;
    let etag = etag(&png);
    if not_modified(&headers, &etag) {
        return Ok((axum::http::StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    let cache = "private, max-age=86400".to_owned();
    let headers = [
        (header::CONTENT_TYPE, "image/png".to_owned()),
        (header::ETAG, etag),
        (header::CACHE_CONTROL, cache),
    ];
    Ok((headers, png).into_response())
}

fn find(state: &HttpState, slug: &str) -> Result<GameView, ApiError> {
    let found = state.core.games().into_iter().find(|game| game.slug == slug);
    found.ok_or_else(|| ApiError::not_found(format!("Game with slug '{slug}' not found.")))
}

fn game_body(state: &HttpState, game: &GameView) -> Value {
    let thumbnail = state.thumbnails.has(&game.slug).then(|| format!("/api/games/{}/thumbnail", game.slug));
    json!({
        "id": game.slug,
        "slug": game.slug,
        "title": game.title,
        "developer": game.developer,
        "description": game.description,
        "tags": game.tags,
        "thumbnail": thumbnail,
        "releaseDate": game.released,
        "isFavorite": false,
        "width": game.hints.width,
        "height": game.hints.height,
        "pointer": game.hints.pointer,
        "pads": game.hints.pads,
    })
}

/// Whether each word, in lower case, is in one of a game's texts.
pub(super) fn mentions_all<'t>(texts: impl Iterator<Item = &'t String>, words: &str) -> bool {
    let texts: Vec<&str> = texts.map(String::as_str).collect();
    // No word holds a line break, so none is found across two texts.
    let texts = texts.join("\n").to_lowercase();
    words.split_whitespace().all(|word| texts.contains(word))
}

fn by_title(a: &GameView, b: &GameView) -> Ordering {
    a.title.to_lowercase().cmp(&b.title.to_lowercase()).then_with(|| a.slug.cmp(&b.slug))
}

/// Draws a game's picture; `None` for a game without one.
pub type DrawThumbnail = fn(&str) -> Option<Vec<u8>>;

/// Pictures of the catalogue's games, drawn once each; as many as there are games.
pub struct Thumbnails {
    draw: DrawThumbnail,
    drawn: Arc<DashMap<String, Option<Bytes>>>,
}

impl Thumbnails {
    pub fn new(draw: DrawThumbnail) -> Self {
        Self { draw, drawn: Arc::default() }
    }

    /// Draws the pictures of games that have not been drawn yet. That takes long: it happens off the async workers.
    async fn draw(&self, games: &[GameView]) -> Result<(), ApiError> {
        let missing = games.iter().map(|game| &game.slug).filter(|slug| !self.drawn.contains_key(*slug));
        let missing: Vec<String> = missing.cloned().collect();
        if missing.is_empty() {
            return Ok(());
        }
        let (draw, drawn) = (self.draw, Arc::clone(&self.drawn));
        let work = move || {
            for slug in missing {
                let picture = draw(&slug).map(Bytes::from);
                drawn.insert(slug, picture);
            }
        };
        offload(usize::MAX, work).await.map_err(ApiError::internal)
    }

    /// The picture of a game as PNG, where it was drawn.
    fn get(&self, slug: &str) -> Option<Bytes> {
        self.drawn.get(slug).and_then(|picture| picture.clone())
    }

    fn has(&self, slug: &str) -> bool {
        self.get(slug).is_some()
    }
}
