//! One simulated gateway and the hands that step it.

use crate::content::FakeContent;
use crate::fake_driver::{FakeDriver, Journal, Started};
use crate::faulty_store::FaultyStore;
use playgate::auth::{GrantClaims, Principal, User};
use playgate::config::{Config, SessionApiConfig, SessionsConfig};
use playgate::control::{ControlEvent, WelcomeSpec};
use playgate::driver::{DriverEvent, ExternalDriver};
use playgate::games::BuiltIn;
use playgate::model::Clock;
use playgate::model::ids::{SessionId, UserId, ViewerId};
use playgate::model::nodes::{Announcement, Resources};
use playgate::model::session::Status;
use playgate::node::Scheduler;
use playgate::relay::{AddViewer, Codec, OpenSession, OpenedSession, RelayError, RelayEvent};
use playgate::session::hosted::{Hosting, Images};
use playgate::session::ports::{ControlPlane, MediaPlane, RunnerLink, RunnerSender};
use playgate::session::view::{GrantView, SessionView};
use playgate::session::{Catalogue, Drivers, LaunchRequest, ServiceError, Sessions, SimulatedDeps};
use playgate::store::{DataDir, SaveStore, SqliteStore, Store};
use playgate_signaling::input::InputFrame;
use playgate_signaling::message::PointerMode;
use playgate_signaling::runner::{GatewayMessage, RunnerMessage, Stream};
use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;

/// Longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const START_MS: i64 = 1_700_000_000_000;

pub(crate) struct World {
    pub(crate) sessions: Sessions,
    pub(crate) store: Arc<SqliteStore>,
    /// The same, as the gateway sees it.
    pub(crate) faulty: FaultyStore,
    pub(crate) clock: Clock,
    pub(crate) driver: FakeDriver,
    /// Of games in containers.
    pub(crate) docker: FakeDriver,
    pub(crate) content: FakeContent,
    pub(crate) planes: Planes,
    pub(crate) journal: Journal,
    pub(crate) data: Arc<DataDir>,
}

/// What a test sets before it starts a gateway.
pub(crate) fn config() -> SessionsConfig {
    SessionsConfig {
        launches_per_minute: 1000,
        capacity: 100,
        flush_timeout_ms: 20_000,
        stop_grace_ms: 10,
        ..SessionsConfig::default()
    }
}

/// A node that only its capacity bounds.
async fn only_node(store: &Arc<SqliteStore>, capacity: u32) -> Scheduler {
    let total = Resources { milli_cpus: 1 << 40, memory_bytes: 1 << 50, gpus: 0 };
    let said = Announcement {
        name: "only".to_owned(),
        location: Some("frankfurt".to_owned()),
        region: Some("europe".to_owned()),
        capacity,
        total,
        ..Announcement::default()
    };
    store.put_node(&said, START_MS).await.unwrap();
    store.reconcile_reservations(&said.name).await.unwrap();
    store.set_node_health(&said.name, true, START_MS).await.unwrap();
    Scheduler::new(store.clone()).bound_to(&said.name).seeded(7)
}

impl World {
    pub(crate) async fn new(dir: &Path) -> Self {
        Self::with(dir, config()).await
    }

    pub(crate) async fn with(dir: &Path, config: SessionsConfig) -> Self {
        Self::prepared(dir, config, |_| {}).await
    }

    /// What `prepare` tells the driver of containers holds before the gateway starts.
    pub(crate) async fn prepared(
        dir: &Path,
        config: SessionsConfig,
        prepare: impl FnOnce(&FakeDriver),
    ) -> Self {
        Self::hosting(dir, config, SessionApiConfig::default(), prepare).await
    }

    pub(crate) async fn hosting(
        dir: &Path,
        config: SessionsConfig,
        hosted: SessionApiConfig,
        prepare: impl FnOnce(&FakeDriver),
    ) -> Self {
        let data = Arc::new(DataDir::lock(&dir.join("data")).unwrap());
        let store = SqliteStore::open(&data.database()).await.unwrap();
        Self::over(data, store, config, hosted, prepare).await
    }

    /// A gateway that waits no longer for another process than so.
    pub(crate) async fn waiting(dir: &Path, busy_timeout: Duration) -> Self {
        let data = Arc::new(DataDir::lock(&dir.join("data")).unwrap());
        let store = SqliteStore::open_waiting(&data.database(), busy_timeout).await.unwrap();
        Self::over(data, store, config(), SessionApiConfig::default(), |_| {}).await
    }

    async fn over(
        data: Arc<DataDir>,
        store: SqliteStore,
        config: SessionsConfig,
        hosted: SessionApiConfig,
        prepare: impl FnOnce(&FakeDriver),
    ) -> Self {
        let store = Arc::new(store);
        let saves = SaveStore::open(&data, store.clone(), &config).await.unwrap();
        let journal = Journal::default();
        let driver = FakeDriver::new(journal.clone());
        let docker = FakeDriver::containers(journal.clone());
        prepare(&docker);
        let content = FakeContent::default();
        let planes = Planes { journal: journal.clone(), ..Planes::default() };
        let clock = Clock::simulated(START_MS);
        let faulty = FaultyStore::new(store.clone());
        let deps = SimulatedDeps {
            store: Arc::new(faulty.clone()),
            saves,
            media: Arc::new(planes.clone()),
            control: Arc::new(planes.clone()),
            placement: Arc::new(only_node(&store, config.capacity).await),
            content: Some(Arc::new(content.clone())),
            private: std::net::SocketAddr::from(([127, 0, 0, 1], 4000)),
            hosting: hosting(hosted),
            drivers: Drivers {
                process: Arc::new(driver.clone()),
                external: Arc::new(ExternalDriver),
                docker: Some(Arc::new(docker.clone())),
            },
            catalogue: catalogue(),
            config,
            data_dir: data.clone(),
            marker: false,
            clock: clock.clone(),
        };
        let sessions = Sessions::start_simulated(deps, &mut Default::default()).await.unwrap();
        Self { sessions, store, faulty, clock, driver, docker, content, planes, journal, data }
    }

    /// The next gateway on what lies on the disk at this moment: this one was killed. The clock stands where it stood.
    pub(crate) async fn killed(&self, after: &Path, prepare: impl FnOnce(&FakeDriver)) -> Self {
        copy_dir(self.data.root(), &after.join("data"));
        Self::prepared(after, config(), prepare).await
    }

    pub(crate) async fn launch(&self, user: &str) -> Result<SessionId, ServiceError> {
        Ok(self.sessions.launch(&UserId(user.to_owned()), request("story")).await?.id)
    }

    /// As [`World::play`], a game in a container.
    pub(crate) async fn play_boxed(&self, user: &str) -> SessionId {
        let id = self.sessions.launch(&UserId(user.to_owned()), request("boxed")).await.unwrap().id;
        self.bring_up(user, id).await;
        // Up to the row: that is what the next gateway finds.
        until(async || {
            let row = self.store.session(id).await.unwrap().unwrap();
            (row.status == Status::Running).then_some(())
        })
        .await;
        id
    }

    /// Launched, started, connected, with a picture.
    pub(crate) async fn play(&self, user: &str) -> SessionId {
        let id = self.launch(user).await.unwrap();
        self.bring_up(user, id).await;
        id
    }

    pub(crate) async fn bring_up(&self, user: &str, id: SessionId) {
        self.started(id).await;
        self.planes.control(id, connected()).await;
        self.planes.relay(id, RelayEvent::FirstKeyFrame).await;
        self.reaches(user, id, Status::Running).await;
    }

    pub(crate) async fn started(&self, id: SessionId) -> Started {
        until(async || self.driver.started(id).or_else(|| self.docker.started(id))).await
    }

    /// Waits for the status, as a polling client does.
    pub(crate) async fn reaches(&self, user: &str, id: SessionId, status: Status) -> SessionView {
        until(async || {
            let view = self.sessions.status(&user_of(user), id).await.unwrap();
            (view.status == status).then_some(view)
        })
        .await
    }

    /// The game leaves a save in its directory.
    pub(crate) async fn game_saves(&self, id: SessionId, text: &str) {
        let dir = self.started(id).await.spec.save_dir;
        std::fs::write(dir.join("save.bin"), text).unwrap();
    }

    /// Stops while the runner answers `flush_save`.
    pub(crate) async fn stop(&self, user: &str, id: SessionId) -> playgate::session::view::StopReport {
        let who = user_of(user);
        let stop = self.sessions.stop(&who, id);
        let answer = async {
            self.planes.sent(id, &GatewayMessage::FlushSave).await;
            self.journal.note("saved");
            self.planes.control(id, ControlEvent::Message(RunnerMessage::Saved)).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            report = stop => report.unwrap(),
            () = answer => unreachable!(),
        }
    }

    /// What the slot's newest version holds.
    pub(crate) async fn saved(&self, id: SessionId) -> Option<String> {
        let slot = self.store.session(id).await.unwrap().unwrap().slot.unwrap();
        let saves = SaveStore::open(&self.data, self.store.clone(), &config()).await.unwrap();
        let target = self.data.root().join("look");
        saves.restore(slot, target.clone()).await.unwrap()?;
        Some(std::fs::read_to_string(target.join("save.bin")).unwrap())
    }

    pub(crate) async fn exits(&self, id: SessionId, code: Option<i32>, out_of_memory: bool) {
        let event = DriverEvent::Exited { code, signal: None, out_of_memory };
        self.started(id).await.events.send(event).await.unwrap();
    }
}

pub(crate) fn request(slug: &str) -> LaunchRequest {
    LaunchRequest { game_slug: slug.to_owned(), save_slot: None, fresh: false }
}

pub(crate) fn user_of(name: &str) -> Principal {
    Principal::User(User { id: UserId(name.to_owned()), name: None })
}

pub(crate) fn holder_of(grant: &GrantView) -> Principal {
    Principal::Grant(GrantClaims {
        grant: grant.id,
        session: grant.session,
        role: grant.role,
        origins: grant.origins.clone(),
        expires_at: grant.expires_at.unix_timestamp(),
    })
}

pub(crate) fn connected() -> ControlEvent {
    let stream = |codec: &str, pt| Some(Stream { codec: codec.to_owned(), pt, ssrc: 1 });
    ControlEvent::Connected { video: stream("H264", 96), audio: stream("opus", 111), pads: 1, pointer: None }
}

pub(crate) async fn until<T, F: Future<Output = Option<T>>>(mut condition: impl FnMut() -> F) -> T {
    tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(found) = condition().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
    .expect("the condition came in time")
}

/// What the organisation `studio` may start; `arena` is `rival`'s too.
fn hosting(config: SessionApiConfig) -> Hosting {
    let images: Config = toml::from_str(
        r#"
        [[images]]
        name = "arena"
        repository = "registry.example/arena"
        organisations = ["studio", "rival"]
        tags = ["stable", "beta"]
        container.env = { LOBBY = "eu", MODE = "default" }

        [[images]]
        name = "show"
        repository = "registry.example/show"
        organisations = ["studio"]
        profile = "game"
        stream = true
    "#,
    )
    .unwrap();
    Hosting { images: Images::load(&images).unwrap(), config, host: "192.0.2.1".to_owned() }
}

fn catalogue() -> Catalogue {
    let game = |slug, pads| BuiltIn {
        slug,
        title: "A Story",
        developer: "us",
        description: "",
        tags: &[],
        released: "2026-01-01",
        pointer: PointerMode::Absolute,
        touch: Vec::new(),
        pads,
        width: 1280,
        height: 720,
        fps: 60,
        kbps: 4000,
    };
    let config: Config = toml::from_str(
        r#"
        [[games]]
        slug = "camera"
        title = "A Camera"
        driver = "external"
        ingest.video = { listen = "127.0.0.1:0", codec = "VP8", payload_type = 96 }
        ingest.allow = ["127.0.0.1"]

        [[games]]
        slug = "boxed"
        title = "A Boxed Game"
        image = "registry.example/boxed:1"
        pointer = "relative"
        fps = 30
        [games.container]
        command = ["play", "--loud"]
        env = { LANG = "C.UTF-8" }
        save_path = "/home/player/saves"
        memory_mb = 512
        stop_grace_ms = 1234
        pads = 1
        pad_map = { a = "Enter" }

        [[games]]
        slug = "packed"
        title = "A Packed Game"
        package = { url = "http://127.0.0.1:1/game.tar.gz", sha256 = "0000000000000000000000000000000000000000000000000000000000000000", launcher = "bin/start.sh" }
    "#,
    )
    .unwrap();
    Catalogue::new(vec![game("story", 1), game("party", 3)], &config.games, "runner:1").unwrap()
}

/// Relay and control plane.
#[derive(Clone, Default)]
pub(crate) struct Planes {
    journal: Journal,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    relay: HashMap<SessionId, mpsc::Sender<RelayEvent>>,
    control: HashMap<SessionId, mpsc::Sender<ControlEvent>>,
    opened: HashMap<SessionId, OpenSession>,
    adopted: HashMap<SessionId, [u8; 32]>,
    sent: HashMap<SessionId, Vec<GatewayMessage>>,
    input: HashMap<SessionId, Vec<(u8, InputFrame)>>,
    connected: HashSet<SessionId>,
    viewers: HashSet<ViewerId>,
    offers: Vec<(&'static str, ViewerId, Option<u8>)>,
    broken: bool,
    /// Told of a session before its next offer is answered.
    last_words: Option<RelayEvent>,
}

impl Planes {
    /// The relay tells this right before it answers an offer.
    pub(crate) fn tell_before_answer(&self, event: RelayEvent) {
        self.shared.lock().unwrap().last_words = Some(event);
    }

    pub(crate) async fn relay(&self, id: SessionId, event: RelayEvent) {
        let sender = until(async || self.shared.lock().unwrap().relay.get(&id).cloned()).await;
        sender.send(event).await.unwrap();
    }

    /// A session that is over hears no more.
    pub(crate) async fn control(&self, id: SessionId, event: ControlEvent) {
        let sender = until(async || self.shared.lock().unwrap().control.get(&id).cloned()).await;
        if let ControlEvent::Connected { .. } = event {
            self.shared.lock().unwrap().connected.insert(id);
        }
        let _ = sender.send(event).await;
    }

    /// The relay has lost a session's media.
    pub(crate) fn lose_media(&self, id: SessionId) {
        self.shared.lock().unwrap().relay.remove(&id);
    }

    /// From now on a viewer that leaves meets a mistake of ours.
    pub(crate) fn panic_when_a_viewer_leaves(&self) {
        self.shared.lock().unwrap().broken = true;
    }

    pub(crate) fn opened(&self, id: SessionId) -> OpenSession {
        self.shared.lock().unwrap().opened[&id].clone()
    }

    pub(crate) fn opened_at_all(&self, id: SessionId) -> Option<OpenSession> {
        self.shared.lock().unwrap().opened.get(&id).cloned()
    }

    /// Its runner takes no message any more.
    pub(crate) fn deaf(&self, id: SessionId) {
        self.shared.lock().unwrap().connected.remove(&id);
    }

    /// The hash of the token an adopted runner is expected with.
    pub(crate) fn adopted(&self, id: SessionId) -> Option<[u8; 32]> {
        self.shared.lock().unwrap().adopted.get(&id).copied()
    }

    /// Waits until the runner was told.
    pub(crate) async fn sent(&self, id: SessionId, message: &GatewayMessage) {
        until(async || self.all_sent(id).contains(message).then_some(())).await;
    }

    pub(crate) fn all_sent(&self, id: SessionId) -> Vec<GatewayMessage> {
        self.shared.lock().unwrap().sent.get(&id).cloned().unwrap_or_default()
    }

    pub(crate) fn input(&self, id: SessionId) -> Vec<(u8, InputFrame)> {
        self.shared.lock().unwrap().input.get(&id).cloned().unwrap_or_default()
    }

    pub(crate) fn has_viewer(&self, viewer: ViewerId) -> bool {
        self.shared.lock().unwrap().viewers.contains(&viewer)
    }

    pub(crate) fn offers(&self) -> Vec<(&'static str, ViewerId, Option<u8>)> {
        self.shared.lock().unwrap().offers.clone()
    }
}

#[async_trait::async_trait]
impl MediaPlane for Planes {
    async fn open(&self, spec: OpenSession) -> Result<OpenedSession, RelayError> {
        self.journal.note("media open");
        let (sender, events) = mpsc::channel(64);
        let mut shared = self.shared.lock().unwrap();
        shared.relay.insert(spec.session, sender);
        shared.opened.insert(spec.session, spec);
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], 5000));
        Ok(OpenedSession { rtp_video: address, rtp_audio: Some(address), events })
    }

    async fn set_source(
        &self,
        _session: SessionId,
        video: Option<(Codec, u8)>,
        audio: Option<(Codec, u8)>,
    ) -> Result<(), RelayError> {
        assert_eq!((video, audio), (Some((Codec::H264, 96)), Some((Codec::Opus, 111))));
        Ok(())
    }

    async fn close(&self, _session: SessionId) {
        self.journal.note("media close");
    }

    async fn add_viewer(&self, spec: AddViewer) -> Result<String, RelayError> {
        let mut shared = self.shared.lock().unwrap();
        shared.viewers.insert(spec.viewer);
        shared.offers.push(("add", spec.viewer, spec.slot));
        Ok("answer".to_owned())
    }

    async fn renegotiate(&self, id: SessionId, viewer: ViewerId, _: String) -> Result<String, RelayError> {
        let mut shared = self.shared.lock().unwrap();
        shared.offers.push(("renegotiate", viewer, None));
        if let Some(event) = shared.last_words.take() {
            shared.relay[&id].try_send(event).unwrap();
        }
        Ok("answer".to_owned())
    }

    async fn set_slot(&self, _: SessionId, viewer: ViewerId, slot: Option<u8>) -> Result<(), RelayError> {
        self.shared.lock().unwrap().offers.push(("slot", viewer, slot));
        Ok(())
    }

    async fn remove_viewer(&self, _: SessionId, viewer: ViewerId) {
        let broken = self.shared.lock().unwrap().broken;
        assert!(!broken, "the relay was told to panic");
        self.shared.lock().unwrap().viewers.remove(&viewer);
    }
}

impl ControlPlane for Planes {
    fn register(&self, session: SessionId, _welcome: WelcomeSpec) -> Box<dyn RunnerLink> {
        let (sender, events) = mpsc::channel(64);
        self.shared.lock().unwrap().control.insert(session, sender);
        Box::new(Link { session, planes: self.clone(), events, path: format!("/runner/{session}") })
    }

    fn adopt(&self, session: SessionId, token_sha256: [u8; 32], welcome: WelcomeSpec) -> Box<dyn RunnerLink> {
        self.shared.lock().unwrap().adopted.insert(session, token_sha256);
        self.register(session, welcome)
    }
}

/// Of every runner's token.
pub(crate) const TOKEN_SHA256: [u8; 32] = [7; 32];

struct Link {
    session: SessionId,
    planes: Planes,
    events: mpsc::Receiver<ControlEvent>,
    path: String,
}

impl RunnerLink for Link {
    fn token(&self) -> &'static str {
        "secret"
    }

    fn token_sha256(&self) -> [u8; 32] {
        TOKEN_SHA256
    }

    fn path(&self) -> &str {
        &self.path
    }

    fn sender(&self) -> Arc<dyn RunnerSender> {
        Arc::new(Runner { session: self.session, planes: self.planes.clone() })
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<ControlEvent>> {
        self.events.poll_recv(context)
    }
}

struct Runner {
    session: SessionId,
    planes: Planes,
}

impl RunnerSender for Runner {
    fn send(&self, message: GatewayMessage) -> bool {
        if !self.planes.shared.lock().unwrap().connected.contains(&self.session) {
            return false;
        }
        if message == GatewayMessage::FlushSave {
            self.planes.journal.note("flush");
        }
        self.planes.shared.lock().unwrap().sent.entry(self.session).or_default().push(message);
        true
    }

    fn input(&self, slot: u8, frame: bytes::Bytes) -> bool {
        let frame = InputFrame::decode(&frame).unwrap();
        self.planes.shared.lock().unwrap().input.entry(self.session).or_default().push((slot, frame));
        true
    }
}

/// Copies what a killed gateway would leave, while it still runs: a second one starts from there.
pub(crate) fn copy_dir(from: &Path, to: &PathBuf) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
