//! A session core that answers from a table, and a router over it: only the HTTP surface is under test.

use super::fake_embeds::FakeEmbeds;
use super::fake_hosted::FakeHosted;
use crate::thumbnail::{FakeFrames, program};
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::{Extension, Router};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use playgate::auth::{Auth, MemoryLedger, Minted, Principal};
use playgate::config::Config;
use playgate::http::{
    Access, Assets, EmbedCore, EventStreams, HostedCore, HttpMetrics, HttpParts, Machine, SessionCore,
    Thumbnails, router,
};
use playgate::model::ids::{GrantId, Owner, SessionId, SlotId, UserId, VersionId};
use playgate::model::quality::Quality;
use playgate::model::session::{ContainerStatus, EndReason, Milestone, SaveReport, SaveStatus, Status};
use playgate::relay::SourceFault;
use playgate::session::ServiceError;
use playgate::session::service::LaunchRequest;
use playgate::session::view::{
    GameView, GrantView, SaveDownload, SessionView, SlotView, StopReport, VersionView,
};
use playgate::store::{SqliteStore, Store};
use playgate::thumbnail::{KeyFrames, Thumbnailer};
use playgate_signaling::message::{GameHints, PointerMode, Progress, Role};
use prometheus_client::registry::Registry;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Seek, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use time::OffsetDateTime;
use tower::ServiceExt;

/// 2026-03-01T10:00:00.5Z.
pub(crate) const STARTED_MS: i128 = 1_772_359_200_500;

pub(crate) fn at(ms: i128) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(ms * 1_000_000).unwrap()
}

type Refuse = fn() -> ServiceError;

/// One session of one owner; every call is noted, and refused when a refusal is set.
#[derive(Default)]
pub(crate) struct FakeCore {
    pub(crate) calls: Mutex<Vec<String>>,
    pub(crate) refuse: Mutex<Option<Refuse>>,
    pub(crate) session: Mutex<Option<SessionView>>,
    pub(crate) degraded: Mutex<Vec<String>>,
}

impl FakeCore {
    fn note(&self, call: String) -> Result<(), ServiceError> {
        self.calls.lock().unwrap().push(call);
        match *self.refuse.lock().unwrap() {
            Some(refuse) => Err(refuse()),
            None => Ok(()),
        }
    }

    fn view(&self, id: SessionId) -> Result<SessionView, ServiceError> {
        let known = self.session.lock().unwrap().clone().filter(|session| session.id == id);
        known.ok_or_else(|| ServiceError::NotFound("Session not found.".into()))
    }
}

pub(crate) fn session(owner: &str, status: Status) -> SessionView {
    SessionView {
        id: SessionId::new(),
        owner: Owner::User(UserId(owner.into())),
        external_id: "match-1".to_owned(),
        node: None,
        game_slug: "garden".into(),
        game_title: "The Garden".into(),
        slot: Some(SlotId::new()),
        status,
        container: ContainerStatus::Running,
        hosted: None,
        started_at: at(STARTED_MS),
        expires_at: Some(at(STARTED_MS + 1_800_000)),
        progress: Some(Progress { step: "starting".into(), percent: Some(40.0) }),
        source_faults: vec![SourceFault::BFrames],
        timeline: vec![
            (Milestone::Requested, at(STARTED_MS)),
            (Milestone::FirstKeyFrame, at(STARTED_MS + 42)),
        ],
        end_reason: None::<EndReason>,
        end_detail: None,
        save: None,
        viewers: 2,
        spectators: 1,
        quality: Quality { first_frame_ms: Some(330), viewers_most: 2, inputs: 7, ..Quality::default() },
    }
}

fn version(number: u64, current: bool) -> VersionView {
    VersionView {
        id: VersionId::new(),
        number,
        created_at: at(STARTED_MS),
        bytes: 77,
        sha256: [0xab; 32],
        current,
    }
}

/// Larger than what is read at once, and than a JSON body may be.
pub(crate) fn archive() -> Vec<u8> {
    (0..200_000_u32).map(|n| (n % 251) as u8).collect()
}

fn game(slug: &str, title: &str, tags: &[&str], released: &str) -> GameView {
    GameView {
        slug: slug.into(),
        title: title.into(),
        developer: "Playgate".into(),
        description: format!("About {title}."),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        released: Some(released.into()),
        hints: GameHints {
            slug: slug.into(),
            title: title.into(),
            width: 1280,
            height: 720,
            pointer: PointerMode::Absolute,
            touch: Vec::new(),
            pads: 1,
        },
    }
}

#[async_trait::async_trait]
impl SessionCore for FakeCore {
    async fn launch(&self, user: &UserId, request: LaunchRequest) -> Result<SessionView, ServiceError> {
        self.note(format!(
            "launch {user} {} {} {}",
            request.game_slug,
            request.save_slot.is_some(),
            request.fresh
        ))?;
        let made = session(&user.0, Status::Starting);
        *self.session.lock().unwrap() = Some(made.clone());
        Ok(made)
    }

    async fn status(&self, _: &Principal, id: SessionId) -> Result<SessionView, ServiceError> {
        self.note(format!("status {id}"))?;
        self.view(id)
    }

    async fn keepalive(&self, _: &Principal, id: SessionId) -> Result<OffsetDateTime, ServiceError> {
        self.note(format!("keepalive {id}"))?;
        self.view(id).map(|_| at(STARTED_MS + 1_800_000))
    }

    async fn stop(&self, _: &Principal, id: SessionId) -> Result<StopReport, ServiceError> {
        self.note(format!("stop {id}"))?;
        self.view(id).map(|_| StopReport {
            duration: 3600,
            cpu_seconds: 450.2,
            peak_memory_mb: 1024,
            network_rx_bytes: 10,
            network_tx_bytes: 20,
            exit_code: Some(0),
            out_of_memory: false,
            players_seen: 2,
            save: Some(SaveReport { status: SaveStatus::Stored, reason: None }),
            quality: Quality { first_frame_ms: Some(330), viewers_most: 2, inputs: 7, ..Quality::default() },
        })
    }

    async fn active(&self, user: &UserId) -> Result<Vec<SessionView>, ServiceError> {
        self.note(format!("active {user}"))?;
        let own = Owner::User(user.clone());
        Ok(self.session.lock().unwrap().clone().into_iter().filter(|session| session.owner == own).collect())
    }

    async fn first_decoded_frame(&self, _: &Principal, id: SessionId) -> Result<(), ServiceError> {
        self.note(format!("first frame {id}"))?;
        self.view(id).map(|_| ())
    }

    fn games(&self) -> Vec<GameView> {
        let mut games = vec![
            game("garden", "The Garden", &["novel", "story"], "2026-02-01"),
            game("meteor", "Meteor Run", &["arcade"], "2026-01-01"),
        ];
        games.extend(
            (0..60)
                .map(|n| game(&format!("extra-{n:02}"), &format!("Extra {n:02}"), &["many"], "2025-01-01")),
        );
        games
    }

    async fn save_slots(&self, user: &UserId, slug: &str) -> Result<Vec<SlotView>, ServiceError> {
        self.note(format!("slots {user} {slug}"))?;
        let slot = |number: u8| SlotView {
            id: SlotId::new(),
            number,
            empty: number > 1,
            in_use: false,
            updated_at: (number == 1).then(|| at(STARTED_MS)),
            latest: None,
            bytes: (number == 1).then_some(77),
        };
        Ok((1..=3).map(slot).collect())
    }

    async fn delete_slot(&self, user: &UserId, _: SlotId) -> Result<(), ServiceError> {
        self.note(format!("delete slot {user}"))
    }

    async fn save_versions(&self, user: &UserId, slot: SlotId) -> Result<Vec<VersionView>, ServiceError> {
        self.note(format!("versions {user} {slot}"))?;
        Ok(vec![version(2, true), version(1, false)])
    }

    async fn restore_version(
        &self,
        user: &UserId,
        slot: SlotId,
        id: VersionId,
    ) -> Result<VersionView, ServiceError> {
        self.note(format!("restore {user} {slot} {id}"))?;
        Ok(version(3, true))
    }

    async fn download_version(
        &self,
        user: &UserId,
        slot: SlotId,
        id: VersionId,
    ) -> Result<SaveDownload, ServiceError> {
        self.note(format!("download {user} {slot} {id}"))?;
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&archive()).unwrap();
        file.rewind().unwrap();
        Ok(SaveDownload { file, name: "garden-slot1-v2.tar.gz".into(), bytes: archive().len() as u64 })
    }

    async fn upload_version(
        &self,
        user: &UserId,
        slot: SlotId,
        mut body: BoxStream<'static, std::io::Result<Bytes>>,
    ) -> Result<VersionView, ServiceError> {
        let mut received = 0;
        while let Some(chunk) = body.next().await {
            received += chunk.unwrap().len();
        }
        self.note(format!("upload {user} {slot} {received}"))?;
        Ok(version(4, true))
    }

    async fn share(
        &self,
        _: &Principal,
        id: SessionId,
        role: Role,
        origins: Vec<String>,
        ttl: Duration,
    ) -> Result<GrantView, ServiceError> {
        self.note(format!("share {role:?} {}", ttl.as_secs()))?;
        let now = OffsetDateTime::now_utc();
        Ok(GrantView {
            id: GrantId::new(),
            session: id,
            role,
            slot: None,
            origins,
            created_at: now,
            expires_at: now + ttl,
            revoked: false,
        })
    }

    async fn grants(&self, who: &Principal, id: SessionId) -> Result<Vec<GrantView>, ServiceError> {
        Ok(vec![self.share(who, id, Role::Player, Vec::new(), Duration::from_secs(60)).await?])
    }

    async fn revoke(&self, _: &Principal, grant: GrantId) -> Result<(), ServiceError> {
        self.note(format!("revoke {grant}"))
    }

    fn running(&self) -> usize {
        1
    }

    fn degraded(&self) -> Vec<String> {
        self.degraded.lock().unwrap().clone()
    }
}

/// A surface with its fake core and a signed-in user.
pub(crate) struct Site {
    pub(crate) router: Router,
    pub(crate) core: Arc<FakeCore>,
    pub(crate) hosted: Arc<FakeHosted>,
    pub(crate) embeds: Arc<FakeEmbeds>,
    pub(crate) frames: Arc<FakeFrames>,
    pub(crate) events: Arc<SqliteStore>,
    pub(crate) auth: Auth,
    pub(crate) user: Minted,
    _dir: tempfile::TempDir,
}

pub(crate) fn assets() -> Assets {
    let files = [
        ("index.html", "<!doctype html><title>Games</title>"),
        ("player.html", "<!doctype html><title>{{title}}</title>"),
        ("signin.html", "<!doctype html><title>Sign in</title>"),
        ("docs.html", "<!doctype html><title>Docs</title>"),
        ("embed.html", "<!doctype html><title>Playgate</title>"),
        ("embed/embed.js", "export {};"),
        ("app.js", "export const long = 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa';"),
        (".hidden", "secret"),
    ];
    let files: BTreeMap<String, &'static str> =
        files.into_iter().map(|(name, text)| (name.to_owned(), text)).collect();
    Assets::Fixed(Arc::new(files))
}

impl Site {
    /// With guests, on loopback, as without any configuration.
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config { data_dir: dir.path().to_owned(), ..Config::default() };
        change(&mut config);
        let core = Arc::new(FakeCore::default());
        let hosted = Arc::new(FakeHosted::default());
        let embeds = Arc::new(FakeEmbeds::default());
        let auth = Auth::open(&config, Arc::new(MemoryLedger::default())).unwrap();
        let user = auth.mint_user("ada", Some("Ada".into()), Duration::from_secs(3600), None).await.unwrap();
        let events = Arc::new(SqliteStore::open(&dir.path().join("events.db")).await.unwrap());
        let mut registry = Registry::default();
        let metrics = HttpMetrics::new(&mut registry);
        let frames = Arc::new(FakeFrames::default());
        let source = Arc::clone(&frames) as Arc<dyn KeyFrames>;
        let pictures = Thumbnailer::new(source, program(), &mut registry);
        let parts = HttpParts {
            core: Arc::clone(&core) as Arc<dyn SessionCore>,
            hosted: Arc::clone(&hosted) as Arc<dyn HostedCore>,
            embeds: Arc::clone(&embeds) as Arc<dyn EmbedCore>,
            nodes: Arc::new(super::nodes::OneNode),
            events: Arc::clone(&events) as Arc<dyn Store>,
            webhooks: vec![super::webhooks::webhook()],
            streams: EventStreams::default(),
            auth: auth.clone(),
            access: Access::new(&config, config.listen).unwrap(),
            codes: None,
            sign_in_url: None,
            registry: Arc::new(registry),
            metrics,
            machine: Machine::new(config.data_dir.clone()),
            thumbnails: Thumbnails::new(|slug| (slug == "garden").then(|| b"\x89PNG picture".to_vec())),
            pictures,
            assets: assets(),
        };
        let echo = axum::routing::any(|context: playgate::http::Context| async move {
            axum::Json(
                serde_json::json!({ "client": context.client, "base": context.base, "https": context.https }),
            )
        });
        let who = axum::routing::any(|caller: Option<playgate::http::caller::Caller>| async move {
            if caller.is_some() { "known" } else { "nobody" }
        });
        let by_headers =
            axum::routing::any(|headers: HeaderMap, extensions: axum::http::Extensions| async move {
                let found = playgate::http::caller::signaling_caller(&headers, &extensions).await;
                if found.is_some() { "known" } else { "nobody" }
            });
        let by_message =
            axum::routing::any(|headers: HeaderMap, extensions: axum::http::Extensions| async move {
                let token = headers["x-hello"].to_str().unwrap();
                let found =
                    playgate::http::caller::signaling_token_caller(token, &headers, &extensions).await;
                if found.is_some() { "known" } else { "nobody" }
            });
        let signal = Router::new()
            .route("/test/hello", by_message)
            .route("/test/context", echo)
            .route("/test/who", who)
            .route("/test/headers", by_headers);
        let router = router(parts, signal);
        Self { router, core, hosted, embeds, frames, events, auth, user, _dir: dir }
    }

    pub(crate) fn refuse(&self, refuse: Refuse) {
        *self.core.refuse.lock().unwrap() = Some(refuse);
    }

    /// Sends what the builder made, from 192.0.2.77, with a loopback host where none is given.
    pub(crate) async fn send(&self, mut request: Request<Body>) -> Answer {
        if !request.headers().contains_key(header::HOST) {
            request.headers_mut().insert(header::HOST, "localhost:8080".parse().unwrap());
        }
        let peer = SocketAddr::from(([192, 0, 2, 77], 5000));
        let router = self.router.clone().layer(Extension(ConnectInfo(peer)));
        let response = router.oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        // Of a stream, which has no end, the head is all.
        let streams = parts.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream");
        let body = if streams { Body::empty() } else { body };
        let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        Answer { status: parts.status, headers: parts.headers, bytes: bytes.to_vec() }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_text(path, &body.to_string()).await
    }

    pub(crate) async fn post_text(&self, path: &str, body: &str) -> Answer {
        let request = self.request("POST", path).header("content-type", "application/json");
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    /// With the user's bearer token.
    pub(crate) fn request(&self, method: &str, path: &str) -> axum::http::request::Builder {
        plain(method, path).header("authorization", format!("Bearer {}", self.user.token))
    }

    /// With the user's cookie, as a browser sends it.
    pub(crate) fn by_cookie(&self, method: &str, path: &str) -> axum::http::request::Builder {
        plain(method, path).header("cookie", format!("playgate-session={}", self.user.token))
    }
}

pub(crate) fn plain(method: &str, path: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(path)
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Status and code; the message must be there and be a sentence.
    #[track_caller]
    pub(crate) fn is_error(&self, status: u16, code: &str) {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        let body = self.json();
        assert_eq!(body["error"], code, "{body}");
        assert!(body["message"].as_str().unwrap().ends_with('.'), "{body}");
        assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
    }
}
