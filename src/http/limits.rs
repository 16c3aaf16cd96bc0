//! What each endpoint takes at most: the size of its body, and the number and length of the lists in it.
//!
//! One table for every route of the public listener. [`apply`] sets the limit of each request's body from it, and handlers
//! take the bounds of their lists from the same constants. A route that is not in the table takes no body.
//! Tests compare the table with the routers and with the OpenAPI document.
//!
//! The head of a request has at most 32 KiB and 100 headers, whatever the route (`serve`).

use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;

/// A list of strings, or an object of them, in a body or a query.
#[derive(Debug, Clone, Copy)]
pub struct ListLimit {
    pub field: &'static str,
    /// Entries at most.
    pub items: usize,
    /// Bytes of a name at most; 0 for a list, which has none.
    pub name_bytes: usize,
    /// Bytes of each entry or value at most.
    pub bytes: usize,
}

/// How large a body may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLimit {
    /// The endpoint reads none.
    None,
    /// Bytes.
    Bytes(usize),
    /// Written to disk as it comes; the save store has its own limit.
    Save,
}

/// One endpoint.
#[derive(Debug)]
pub struct Endpoint {
    pub method: &'static str,
    /// As the router has it.
    pub path: &'static str,
    pub body: BodyLimit,
    pub lists: &'static [ListLimit],
}

/// Of a JSON body of the Sessions API, and of a grant's.
pub const SMALL_BODY: usize = 64 * 1024;
/// Of a visit to an embed, which names the embed at most.
pub const VISIT_BODY: usize = 4 * 1024;
/// Of a start, whose environment and arguments a container must be able to take: Linux gives a program about 2 MiB
/// altogether, environments of some 100 KiB exist.
pub const START_BODY: usize = 256 * 1024;
/// Of a join or a leave: a thousand ids of 256 bytes.
pub const PLAYERS_BODY: usize = 320 * 1024;

/// Longest id of a session, in bytes.
pub const MAX_ID_BYTES: usize = 256;
/// Longest name of a location or an image, in bytes.
pub const MAX_NAME_BYTES: usize = 256;
/// Longest tag of an image (the engine's own limit).
pub const MAX_TAG_BYTES: usize = 128;
/// Longest search in the catalogue, in bytes.
pub const MAX_SEARCH_BYTES: usize = 256;
/// Longest ttl, in bytes.
pub const MAX_TTL_BYTES: usize = 32;

/// Linux gives a program no longer argument, and no longer variable with its name (`MAX_ARG_STRLEN`).
const MAX_ARGUMENT_BYTES: usize = 128 * 1024 - 1;
pub const ENV: ListLimit =
    ListLimit { field: "env", items: 1000, name_bytes: 256, bytes: MAX_ARGUMENT_BYTES };
pub const ARGS: ListLimit =
    ListLimit { field: "args", items: 1000, name_bytes: 0, bytes: MAX_ARGUMENT_BYTES };
pub const LABELS: ListLimit = ListLimit { field: "labels", items: 256, name_bytes: 256, bytes: 4096 };
pub const PLAYERS: ListLimit = ListLimit { field: "players", items: 1000, name_bytes: 0, bytes: 256 };
/// A scheme and a host name.
pub const ORIGINS: ListLimit = ListLimit { field: "origins", items: 16, name_bytes: 0, bytes: 270 };
/// The three kinds of `name[key]=value` of a list's query, each.
pub const FILTERS: [ListLimit; 3] = [
    ListLimit { field: "filter", items: 64, name_bytes: 256, bytes: 4096 },
    ListLimit { field: "filterNot", items: 64, name_bytes: 256, bytes: 4096 },
    ListLimit { field: "playerCount", items: 2, name_bytes: 2, bytes: 32 },
];

const fn without_body(method: &'static str, path: &'static str) -> Endpoint {
    Endpoint { method, path, body: BodyLimit::None, lists: &[] }
}

const fn get(path: &'static str) -> Endpoint {
    without_body("GET", path)
}

const fn delete(path: &'static str) -> Endpoint {
    without_body("DELETE", path)
}

const fn post(path: &'static str) -> Endpoint {
    Endpoint { method: "POST", path, body: BodyLimit::Bytes(SMALL_BODY), lists: &[] }
}

/// Every endpoint of the public listener.
pub const ENDPOINTS: &[Endpoint] = &[
    // The Session API.
    Endpoint {
        method: "POST",
        path: "/session",
        body: BodyLimit::Bytes(START_BODY),
        lists: &[ENV, ARGS, LABELS],
    },
    Endpoint { method: "GET", path: "/session", body: BodyLimit::None, lists: &FILTERS },
    get("/session/{id}"),
    delete("/session/{id}"),
    Endpoint {
        method: "POST",
        path: "/session/{id}/token",
        body: BodyLimit::Bytes(SMALL_BODY),
        lists: &[ORIGINS],
    },
    Endpoint {
        method: "PUT",
        path: "/session/player/join",
        body: BodyLimit::Bytes(PLAYERS_BODY),
        lists: &[PLAYERS],
    },
    Endpoint {
        method: "DELETE",
        path: "/session/player/leave",
        body: BodyLimit::Bytes(PLAYERS_BODY),
        lists: &[PLAYERS],
    },
    get("/artifacts"),
    get("/logs"),
    get("/available-location/{image}"),
    get("/tag/{region}/{image}/{version}"),
    // The Sessions API.
    post("/api/game/launch"),
    get("/api/game/session-status"),
    post("/api/game/keepalive"),
    post("/api/game/stop"),
    get("/api/game/sessions"),
    post("/api/game/first-frame"),
    // Saves.
    get("/api/game/save-slots"),
    delete("/api/game/save-slots/{id}"),
    get("/api/game/save-slots/{id}/versions"),
    Endpoint { method: "PUT", path: "/api/game/save-slots/{id}/versions", body: BodyLimit::Save, lists: &[] },
    get("/api/game/save-slots/{id}/versions/{version}"),
    without_body("POST", "/api/game/save-slots/{id}/versions/{version}/restore"),
    // Sharing and embedding.
    post("/api/game/share"),
    get("/api/game/share"),
    delete("/api/game/share/{grant}"),
    Endpoint { method: "POST", path: "/api/embeds", body: BodyLimit::Bytes(SMALL_BODY), lists: &[ORIGINS] },
    get("/api/embeds"),
    delete("/api/embeds/{embed}"),
    Endpoint { method: "POST", path: "/api/embed/visit", body: BodyLimit::Bytes(VISIT_BODY), lists: &[] },
    get("/session/{id}/thumbnail.jpg"),
    // The catalogue.
    get("/api/games"),
    get("/api/games/{slug}"),
    get("/api/games/{slug}/thumbnail"),
    // Signing in.
    get("/api/auth/providers"),
    without_body("POST", "/api/auth/guest"),
    post("/api/auth/code"),
    post("/api/auth/signin"),
    get("/api/auth/session"),
    without_body("POST", "/api/auth/signout"),
    get("/api/auth/csrf"),
    // For machines and operators.
    get("/api/health"),
    get("/api/nodes"),
    get("/api/events"),
    get("/api/webhooks"),
    get("/api/webhooks/{name}/deliveries"),
    get("/metrics"),
    get("/openapi.json"),
    // Signaling. A message of the WebSocket has the same limit.
    get("/session/{id}/signal"),
    post("/session/{id}/whep"),
    without_body("OPTIONS", "/session/{id}/whep"),
    Endpoint {
        method: "PATCH",
        path: "/session/{id}/whep/{viewer}",
        body: BodyLimit::Bytes(SMALL_BODY),
        lists: &[],
    },
    delete("/session/{id}/whep/{viewer}"),
    without_body("OPTIONS", "/session/{id}/whep/{viewer}"),
    // Pages.
    get("/"),
    get("/play/{slug}"),
    get("/session/{id}/"),
    get("/docs"),
    get("/signin"),
    get("/favicon.ico"),
    get("/robots.txt"),
    get("/assets/{*path}"),
    get("/embed.js"),
    get("/embed.d.ts"),
    get("/embed/v/{version}/embed.js"),
    get("/embed/{id}"),
];

/// The limit of an endpoint's body. HEAD is GET's.
fn body_limit(method: &str, path: &str) -> BodyLimit {
    let method = if method == "HEAD" { "GET" } else { method };
    let endpoint = ENDPOINTS.iter().find(|endpoint| endpoint.method == method && endpoint.path == path);
    endpoint.map_or(BodyLimit::None, |endpoint| endpoint.body)
}

fn limit_of(request: &Request) -> BodyLimit {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    path.map_or(BodyLimit::None, |path| body_limit(request.method().as_str(), path))
}

/// The limit of a request's body in bytes, for messages.
pub(super) fn of(request: &Request) -> usize {
    match limit_of(request) {
        BodyLimit::Bytes(bytes) => bytes,
        BodyLimit::None | BodyLimit::Save => 0,
    }
}

/// Sets the limit of the request's body.
pub(super) async fn apply(mut request: Request, next: Next) -> Response {
    let limit = match limit_of(&request) {
        BodyLimit::None => DefaultBodyLimit::max(0),
        BodyLimit::Bytes(bytes) => DefaultBodyLimit::max(bytes),
        BodyLimit::Save => DefaultBodyLimit::disable(),
    };
    limit.apply(&mut request);
    next.run(request).await
}

/// `64 KiB`, for messages.
pub(super) fn kib(bytes: usize) -> String {
    format!("{} KiB", bytes / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use utoipa::openapi::{OpenApi, RefOr, Schema};

    fn document() -> OpenApi {
        crate::http::api().split_for_parts().1
    }

    /// Method and path of each operation in the document.
    fn documented(document: &OpenApi) -> BTreeSet<(&'static str, String)> {
        let mut found = BTreeSet::new();
        for (path, item) in &document.paths.paths {
            let operations = [
                ("GET", &item.get),
                ("PUT", &item.put),
                ("POST", &item.post),
                ("DELETE", &item.delete),
                ("PATCH", &item.patch),
                ("HEAD", &item.head),
                ("OPTIONS", &item.options),
                ("TRACE", &item.trace),
            ];
            let there = operations.into_iter().filter(|(_, operation)| operation.is_some());
            found.extend(there.map(|(method, _)| (method, path.clone())));
        }
        found
    }

    /// The paths of a router, as its `Debug` lists them.
    fn paths_of<S>(router: &axum::Router<S>) -> BTreeSet<String> {
        let text = format!("{router:?}");
        let quoted = text.split('"').skip(1).step_by(2);
        // axum keeps its fallback as a route, too.
        quoted
            .filter(|text| text.starts_with('/') && !text.contains("__private"))
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn every_endpoint_is_in_the_table_once() {
        let listed: BTreeSet<(&str, String)> =
            ENDPOINTS.iter().map(|endpoint| (endpoint.method, endpoint.path.to_owned())).collect();
        assert_eq!(listed.len(), ENDPOINTS.len(), "twice in the table");
        let documented = documented(&document());
        let missing: Vec<_> = documented.difference(&listed).collect();
        assert!(missing.is_empty(), "in a router, not in the table: {missing:?}");

        let others: BTreeSet<String> = listed.difference(&documented).map(|(_, path)| path.clone()).collect();
        let mut served = paths_of(&crate::http::pages());
        served.extend(paths_of(&crate::signal::routes()));
        served.insert("/openapi.json".to_owned());
        assert!(served.len() > 10, "{served:?}");
        assert_eq!(others, served, "pages and signaling");
    }

    #[test]
    fn what_takes_a_body_says_so_in_the_document_and_in_the_table() {
        let document = document();
        for endpoint in ENDPOINTS {
            let Some(item) = document.paths.paths.get(endpoint.path) else { continue };
            let operation = match endpoint.method {
                "PUT" => &item.put,
                "POST" => &item.post,
                "DELETE" => &item.delete,
                _ => &item.get,
            };
            let Some(operation) = operation else { continue };
            let takes = operation.request_body.is_some();
            assert_eq!(takes, endpoint.body != BodyLimit::None, "{} {}", endpoint.method, endpoint.path);
        }
    }

    #[test]
    fn lists_of_the_document_have_the_tables_bounds() {
        let document = document();
        let schemas = &document.components.as_ref().unwrap().schemas;
        let mut compared = 0;
        for (schema, limit) in [
            ("SessionRun", ARGS),
            ("JoinSession", PLAYERS),
            ("LeaveSession", PLAYERS),
            ("GrantRequest", ORIGINS),
        ] {
            let Some(RefOr::T(Schema::Object(object))) = schemas.get(schema) else { panic!("{schema}") };
            let Some(RefOr::T(Schema::Array(list))) = object.properties.get(limit.field) else {
                panic!("{schema}.{}", limit.field)
            };
            assert_eq!(list.max_items, Some(limit.items), "{schema}.{}", limit.field);
            compared += 1;
        }
        assert_eq!(compared, 4);
    }

    #[test]
    fn a_route_that_is_not_in_the_table_takes_no_body() {
        assert_eq!(body_limit("POST", "/session"), BodyLimit::Bytes(START_BODY));
        assert_eq!(body_limit("HEAD", "/session"), BodyLimit::None);
        assert_eq!(body_limit("POST", "/elsewhere"), BodyLimit::None);
    }
}
