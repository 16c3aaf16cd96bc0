//! Sessions as the Session API shows them, fields in the contract's order (`x-order`).

use crate::http::Context;
use crate::model::hosted::Hosted;
use crate::model::instance::Port;
use crate::model::session::EndReason;
use crate::session::hosted::HostedView;
use playgate_signaling::message::Progress;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What the container of a session does.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its schema is used: the session core has the names")]
pub(super) enum SessionStatus {
    Created,
    Running,
    Restarting,
    Exited,
    Dead,
    Draining,
    Shuttingdown,
    ServerUnreachable,
}

/// A session in a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SessionListEntry {
    #[serde(flatten)]
    session: Session,
    /// How many have joined.
    player_count: u64,
}

/// A session with its players.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DescribedSession {
    #[serde(flatten)]
    session: Session,
    players: DescribedSessionPlayers,
}

/// What is told of every session.
#[derive(Debug, Serialize, ToSchema)]
struct Session {
    #[schema(example = "f7965a22-e327-4541-a30e-8262890d3a29")]
    id: String,
    #[schema(example = "nginx")]
    image: String,
    #[schema(example = "latest")]
    tag: String,
    #[schema(example = "frankfurt")]
    location: String,
    /// IPv4 address of the machine.
    #[schema(example = "203.0.113.7")]
    host: String,
    /// Unix time in milliseconds.
    #[schema(example = 1_648_472_895_000_i64)]
    created: i64,
    /// Ports of the container and where they are on the host.
    #[schema(example = json!({ "80/tcp": 20417 }))]
    port: BTreeMap<String, u16>,
    #[schema(value_type = SessionStatus)]
    status: &'static str,
    /// JSON in strings: `env`, `tags` (the caller's labels), `gameye`, `playgate` (`containerUrl`, the player's page of a game
    /// with a picture; `spectators` of it; `progress` of a start, like a download's; `endReason`); and the image's own labels as they are.
    #[schema(example = json!({ "env": "{\"GAMEYE_HOST\":\"203.0.113.7\"}", "tags": "{\"mode\":\"ranked\"}" }))]
    labels: BTreeMap<String, String>,
}

/// Who has joined.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribedSessionPlayers {
    joined: Vec<String>,
    joined_count: u64,
}

impl SessionListEntry {
    pub(super) fn new(view: &HostedView, context: &Context) -> Self {
        Self { session: Session::new(view, context), player_count: view.player_count }
    }
}

impl DescribedSession {
    pub(super) fn new(view: &HostedView, joined: Vec<String>, context: &Context) -> Self {
        let joined_count = u64::try_from(joined.len()).unwrap_or(u64::MAX);
        let players = DescribedSessionPlayers { joined, joined_count };
        Self { session: Session::new(view, context), players }
    }
}

impl Session {
    fn new(view: &HostedView, context: &Context) -> Self {
        let hosted = &view.hosted;
        Self {
            id: view.external_id.clone(),
            image: hosted.image.clone(),
            tag: hosted.tag.clone(),
            location: hosted.location.clone(),
            host: hosted.host.clone(),
            created: view.created,
            port: hosted.ports.iter().map(port).collect(),
            status: view.status.name(),
            labels: labels(view, hosted, context),
        }
    }
}

/// G11: the same ports as in the answer to the start.
fn port(port: &Port) -> (String, u16) {
    (format!("{}/{}", port.container, port.protocol.name()), port.host)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Gameye<'v> {
    organization: &'v str,
    session: &'v str,
    image: &'v str,
    region: &'v str,
    tag: &'v str,
    /// A string, as it is in a request (G4).
    enable_metrics: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Playgate<'v> {
    session_id: String,
    /// The player's page, of a session with a picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    container_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_url: Option<&'v str>,
    /// Who only watches, of a session with a picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    spectators: Option<u32>,
    /// While it starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<&'v Progress>,
    /// Once it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    end_reason: Option<EndReason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_detail: Option<&'v str>,
}

/// Rule 12. An image's own label never hides one of ours.
fn labels(view: &HostedView, hosted: &Hosted, context: &Context) -> BTreeMap<String, String> {
    let mut labels = hosted.image_labels.clone();
    let gameye = Gameye {
        organization: &view.organisation,
        session: &view.external_id,
        image: &hosted.image,
        region: &hosted.region,
        tag: &hosted.tag,
        enable_metrics: if hosted.enable_metrics { "true" } else { "false" },
    };
    labels.insert("env".to_owned(), json(&hosted.env));
    labels.insert("tags".to_owned(), json(&hosted.labels));
    labels.insert("gameye".to_owned(), json(&gameye));
    let playgate = Playgate {
        session_id: view.id.to_string(),
        container_url: hosted.stream.then(|| format!("{}/session/{}/", context.base, view.id)),
        server_url: hosted.stream.then_some(&context.base),
        spectators: hosted.stream.then_some(view.spectators),
        progress: view.progress.as_ref(),
        end_reason: view.end_reason,
        end_detail: view.end_detail.as_deref(),
    };
    labels.insert("playgate".to_owned(), json(&playgate));
    labels
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
