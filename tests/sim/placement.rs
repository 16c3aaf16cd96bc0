//! Placement over hundreds of fake nodes in a real store: races, health, cordons, and what is given back.

use crate::world::START_MS;
use playgate::model::Clock;
use playgate::model::ids::{Generation, Owner, SessionId, UserId};
use playgate::model::nodes::{Admission, Announcement, MachineLoad, Resources};
use playgate::model::rows::{Fenced, Inserted, SessionRow};
use playgate::model::session::{ContainerStatus, EndReason, Status};
use playgate::node::health::HealthRules;
use playgate::node::heart::{EngineProbe, HeartParts, NodeHeart};
use playgate::node::{PlaceError, Placed, SILENT_AFTER_MS, Scheduler};
use playgate::schedule::{Needs, Request};
use playgate::store::{SqliteStore, Store};
use playgate::telemetry::Machine;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const GAME: &str = "question";
const LAUNCHES: usize = 100;

/// An engine that answers or not, as told.
#[derive(Default)]
struct FakeEngine {
    down: AtomicBool,
}

#[async_trait::async_trait]
impl EngineProbe for FakeEngine {
    async fn ping(&self) -> bool {
        !self.down.load(Ordering::Relaxed)
    }
}

struct Cluster {
    store: Arc<SqliteStore>,
    dir: tempfile::TempDir,
}

impl Cluster {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(open(dir.path()).await);
        Self { store, dir }
    }

    /// A node with a beating heart.
    async fn node(&self, said: Announcement) -> (NodeHeart, Arc<FakeEngine>) {
        let engine = Arc::new(FakeEngine::default());
        let parts = HeartParts {
            store: self.store.clone(),
            node: said,
            probe: engine.clone(),
            content: None,
            games: Vec::new(),
            machine: Arc::new(Machine::new("/".into())),
            rules: HealthRules::default(),
        };
        let mut heart = NodeHeart::announce(parts, START_MS).await.unwrap();
        heart.tick(START_MS).await.unwrap();
        // What this machine does meanwhile decides nothing here.
        (heart, engine)
    }

    /// A node that is up, without the heart.
    async fn up(&self, said: &Announcement) {
        self.store.put_node(said, START_MS).await.unwrap();
        self.store.set_node_health(&said.name, true, START_MS).await.unwrap();
    }

    fn scheduler(&self) -> Scheduler {
        Scheduler::new(self.store.clone()).seeded(7)
    }

    async fn caches(&self, node: &str) {
        let games = BTreeSet::from([GAME.to_owned()]);
        self.store.note_node_load(node, MachineLoad::default(), &games, START_MS).await.unwrap();
    }

    /// No node holds more than it has, and its sums are those of its reservations.
    async fn is_sound(&self) {
        let mut sums: BTreeMap<String, (u32, Resources)> = BTreeMap::new();
        for one in self.store.reservations().await.unwrap() {
            let (sessions, sum) = sums.entry(one.node).or_default();
            *sessions += 1;
            sum.milli_cpus += one.needs.milli_cpus;
            sum.memory_bytes += one.needs.memory_bytes;
            sum.gpus += one.needs.gpus;
        }
        for node in self.store.nodes().await.unwrap() {
            let (sessions, sum) = sums.remove(&node.said.name).unwrap_or_default();
            assert_eq!((node.sessions, node.reserved), (sessions, sum), "{}", node.said.name);
            let total = node.said.total;
            assert!(sessions <= node.said.capacity, "{node:?}");
            assert!(sum.milli_cpus <= total.milli_cpus && sum.memory_bytes <= total.memory_bytes, "{node:?}");
            assert!(sum.gpus <= total.gpus, "{node:?}");
        }
        assert!(sums.is_empty(), "{sums:?}");
    }
}

async fn open(dir: &Path) -> SqliteStore {
    SqliteStore::open(&dir.join("test.db")).await.unwrap()
}

fn said(index: usize, capacity: u32, milli_cpus: u64, memory_bytes: u64, gpus: u32) -> Announcement {
    let total = Resources { milli_cpus, memory_bytes, gpus };
    Announcement { name: format!("node-{index:03}"), capacity, total, ..Announcement::default() }
}

fn request(cpus: f64, memory_bytes: u64, gpus: u32) -> Request {
    Request { game: GAME.to_owned(), needs: Needs { cpus, memory_bytes, gpus }, ..Request::default() }
}

/// All at once, spread over the schedulers; gives who was placed.
async fn race(schedulers: &[Scheduler], requests: Vec<Request>) -> Vec<Placed> {
    let tasks: Vec<_> = requests
        .into_iter()
        .enumerate()
        .map(|(index, request)| {
            let scheduler = schedulers[index % schedulers.len()].clone();
            tokio::spawn(async move { scheduler.reserve(SessionId::new(), &request).await })
        })
        .collect();
    let mut placed = Vec::new();
    for task in tasks {
        match task.await.unwrap() {
            Ok(one) => placed.push(one),
            Err(PlaceError::NoServers(reasons)) => assert!(!reasons.is_empty()),
            Err(error) => panic!("{error}"),
        }
    }
    placed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_racing_launches_find_their_places_on_hundreds_of_nodes() {
    let cluster = Cluster::new().await;
    for index in 0..200 {
        cluster.up(&said(index, 1 + (index % 2) as u32, 2000, 4, 0)).await;
    }
    let placed = race(&[cluster.scheduler()], vec![request(1.0, 2, 0); LAUNCHES]).await;
    assert_eq!(placed.len(), LAUNCHES);
    cluster.is_sound().await;
    let nodes: BTreeSet<&str> = placed.iter().map(|one| one.node.as_str()).collect();
    assert!(nodes.len() > LAUNCHES / 2, "alike nodes share the sessions: {} of them", nodes.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_launches_fill_every_kind_of_room_to_the_last_place_and_no_further() {
    // Of each kind there are 40 places: five on each of eight nodes; all else is plenty.
    let kinds: [fn(usize) -> Announcement; 4] = [
        |index| said(index, 5, 90_000, 9000, 90),
        |index| said(index, 90, 5500, 9000, 90),
        |index| said(index, 90, 90_000, 59, 90),
        |index| said(index, 90, 90_000, 9000, 5),
    ];
    for kind in kinds {
        let cluster = Cluster::new().await;
        for index in 0..8 {
            cluster.up(&kind(index)).await;
        }
        let placed = race(&[cluster.scheduler()], vec![request(1.0, 10, 1); LAUNCHES]).await;
        assert_eq!(placed.len(), 40, "{:?}", kind(0));
        cluster.is_sound().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_over_one_file_never_overfill_a_node() {
    let cluster = Cluster::new().await;
    for index in 0..6 {
        cluster.up(&said(index, 9, 3300, 700, 2)).await;
    }
    let other: Arc<dyn Store> = Arc::new(open(cluster.dir.path()).await);
    let schedulers = [cluster.scheduler(), Scheduler::new(other).seeded(8)];
    let kinds = [request(1.1, 100, 0), request(0.3, 20, 1), request(0.7, 300, 0)];
    let requests = (0..LAUNCHES).map(|index| kinds[index % 3].clone()).collect();
    let placed = race(&schedulers, requests).await;
    assert!(placed.len() > 12, "{}", placed.len());
    cluster.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn launches_and_ends_that_cross_leave_nothing_behind() {
    let cluster = Cluster::new().await;
    for index in 0..4 {
        cluster.up(&said(index, 3, 3000, 30, 0)).await;
    }
    let tasks = (0..LAUNCHES).map(|_| {
        let scheduler = cluster.scheduler();
        tokio::spawn(async move {
            let session = SessionId::new();
            let placed = scheduler.reserve(session, &request(1.0, 10, 0)).await;
            scheduler.release(session).await.unwrap();
            scheduler.release(session).await.unwrap();
            placed.is_ok()
        })
    });
    let mut placed = 0;
    for task in tasks.collect::<Vec<_>>() {
        placed += usize::from(task.await.unwrap());
    }
    assert!(placed >= 12, "{placed}");
    cluster.is_sound().await;
    assert!(cluster.store.nodes().await.unwrap().iter().all(|node| node.sessions == 0));
}

#[tokio::test]
async fn cached_beats_uncached_and_less_loaded_beats_more_loaded() {
    let cluster = Cluster::new().await;
    for index in 0..4 {
        cluster.up(&said(index, 10, 10_000, 100, 0)).await;
    }
    cluster.caches("node-002").await;
    let scheduler = cluster.scheduler();
    let first = scheduler.reserve(SessionId::new(), &request(8.0, 1, 0)).await.unwrap();
    assert_eq!((first.node.as_str(), first.reasons[0].as_str()), ("node-002", "has the game cached"));
    // What is cached where there is no room helps nobody; the others take turns, for each fills one up.
    let mut nodes = BTreeSet::new();
    for _ in 0..3 {
        nodes.insert(scheduler.reserve(SessionId::new(), &request(3.0, 1, 0)).await.unwrap().node);
    }
    let others = ["node-000", "node-001", "node-003"].map(str::to_owned);
    assert_eq!(nodes, BTreeSet::from(others));
}

#[tokio::test]
async fn an_unhealthy_node_leaves_after_some_failures_and_comes_back_after_some_answers() {
    let cluster = Cluster::new().await;
    let (mut heart, engine) = cluster.node(said(0, 100, 100_000, 1000, 0)).await;
    let scheduler = cluster.scheduler();
    let takes = async || scheduler.reserve(SessionId::new(), &request(1.0, 1, 0)).await.is_ok();
    assert!(takes().await);
    engine.down.store(true, Ordering::Relaxed);
    for expected in [true, true, false, false] {
        heart.tick(START_MS).await.unwrap();
        assert_eq!(takes().await, expected);
    }
    engine.down.store(false, Ordering::Relaxed);
    for expected in [false, true, true] {
        heart.tick(START_MS).await.unwrap();
        assert_eq!(takes().await, expected);
    }
    cluster.is_sound().await;
}

#[tokio::test]
async fn sessions_go_round_the_nodes_that_do_not_answer() {
    let cluster = Cluster::new().await;
    let mut hearts = Vec::new();
    for index in 0..20 {
        hearts.push(cluster.node(said(index, 100, 100_000, 1000, 0)).await);
    }
    let down = |index: usize| index.is_multiple_of(2);
    for (index, (heart, engine)) in hearts.iter_mut().enumerate() {
        engine.down.store(down(index), Ordering::Relaxed);
        for _ in 0..3 {
            heart.tick(START_MS).await.unwrap();
        }
    }
    let placed = race(&[cluster.scheduler()], vec![request(1.0, 1, 0); LAUNCHES]).await;
    assert_eq!(placed.len(), LAUNCHES);
    for node in cluster.store.nodes().await.unwrap() {
        let index: usize = node.said.name.trim_start_matches("node-").parse().unwrap();
        assert_eq!(node.healthy, !down(index));
        assert!(!down(index) || node.sessions == 0, "{node:?}");
    }
}

#[tokio::test]
async fn a_silent_node_gets_nothing_until_it_speaks_again() {
    let cluster = Cluster::new().await;
    let (mut heart, _engine) = cluster.node(said(0, 10, 10_000, 100, 0)).await;
    let clock = Clock::simulated(START_MS + SILENT_AFTER_MS + 1);
    let scheduler = cluster.scheduler().watching_silence(clock.clone());
    let error = scheduler.reserve(SessionId::new(), &request(1.0, 1, 0)).await.unwrap_err();
    assert_eq!(error.to_string(), "no node has room: node-000 does not answer");
    heart.tick(clock.now_ms()).await.unwrap();
    scheduler.reserve(SessionId::new(), &request(1.0, 1, 0)).await.unwrap();
}

#[tokio::test]
async fn a_cordoned_or_draining_node_keeps_its_sessions_and_gets_no_more() {
    let cluster = Cluster::new().await;
    cluster.up(&said(0, 10, 10_000, 100, 0)).await;
    let scheduler = cluster.scheduler();
    let session = SessionId::new();
    scheduler.reserve(session, &request(1.0, 1, 0)).await.unwrap();
    for (admission, why) in [(Admission::Cordoned, "is cordoned"), (Admission::Draining, "is draining")] {
        assert!(cluster.store.set_node_admission("node-000", admission).await.unwrap());
        // Announcing itself again, as a restarted gateway does, opens no cordoned node.
        cluster.up(&said(0, 10, 10_000, 100, 0)).await;
        let error = scheduler.reserve(SessionId::new(), &request(1.0, 1, 0)).await.unwrap_err();
        assert_eq!(error.to_string(), format!("no node has room: node-000 {why}"));
        assert_eq!(cluster.store.nodes().await.unwrap()[0].sessions, 1);
        // Nor does anybody who ranked it before.
        let needs = request(1.0, 1, 0).needs.into();
        assert!(!cluster.store.reserve(SessionId::new(), "node-000", needs, START_MS).await.unwrap());
    }
    cluster.store.set_node_admission("node-000", Admission::Open).await.unwrap();
    scheduler.reserve(SessionId::new(), &request(1.0, 1, 0)).await.unwrap();
    assert!(!cluster.store.set_node_admission("elsewhere", Admission::Open).await.unwrap());
}

#[tokio::test]
async fn with_no_node_that_fits_the_reasons_are_told_node_by_node() {
    let cluster = Cluster::new().await;
    let scheduler = cluster.scheduler();
    let reasons = async |request: &Request| match scheduler.reserve(SessionId::new(), request).await {
        Err(PlaceError::NoServers(reasons)) => reasons,
        other => panic!("{other:?}"),
    };
    assert_eq!(reasons(&request(1.0, 1, 0)).await, ["no node has announced itself"]);
    cluster.up(&said(0, 0, 9000, 9, 9)).await;
    cluster.up(&said(1, 9, 500, 9, 9)).await;
    cluster.up(&said(2, 9, 9000, 9, 0)).await;
    cluster.store.put_node(&said(3, 9, 9000, 9, 9), START_MS).await.unwrap();
    assert_eq!(
        reasons(&request(1.0, 1, 1)).await,
        [
            "node-000 is full",
            "node-001 has too few cores free",
            "node-002 has too few GPUs free",
            "node-003 does not answer"
        ]
    );
    let far = Request { location: Some("mars".to_owned()), ..request(0.1, 1, 0) };
    assert!(reasons(&far).await.contains(&"node-001 is elsewhere".to_owned()));
}

#[tokio::test]
async fn a_gateway_places_on_its_own_node_and_nothing_once_it_is_closed() {
    let cluster = Cluster::new().await;
    for index in 0..5 {
        cluster.up(&said(index, 10, 10_000, 100, 0)).await;
    }
    let own = cluster.scheduler().bound_to("node-003");
    for _ in 0..5 {
        assert_eq!(own.reserve(SessionId::new(), &request(1.0, 1, 0)).await.unwrap().node, "node-003");
    }
    let clone = own.clone();
    own.close().await;
    own.close().await;
    let error = clone.reserve(SessionId::new(), &request(1.0, 1, 0)).await.unwrap_err();
    assert_eq!(error.to_string(), "no node has room: this gateway is stopping");
    clone.release(SessionId::new()).await.unwrap();
}

#[tokio::test]
async fn a_session_that_ends_gives_its_place_back_and_a_fenced_writer_does_not() {
    let cluster = Cluster::new().await;
    cluster.up(&said(0, 1, 1000, 10, 0)).await;
    let scheduler = cluster.scheduler();
    let mut row = session(&cluster.store, "ada").await;
    scheduler.reserve(row.id, &request(1.0, 10, 0)).await.unwrap();
    assert_eq!(cluster.store.insert_session(&row).await.unwrap(), Inserted::Done);
    row.status = Status::Running;
    assert_eq!(cluster.store.update_session(&row).await.unwrap(), Fenced::Written);
    assert_eq!(cluster.store.reservations().await.unwrap().len(), 1);

    (row.status, row.ended_at, row.end_reason) =
        (Status::Stopped, Some(START_MS), Some(EndReason::StoppedByUser));
    row.generation = Generation(9);
    assert_eq!(cluster.store.update_session(&row).await.unwrap(), Fenced::Stale);
    assert_eq!(cluster.store.reservations().await.unwrap().len(), 1, "the session is somebody else's");
    row.generation = Generation(1);
    assert_eq!(cluster.store.update_session(&row).await.unwrap(), Fenced::Written);
    assert_eq!(cluster.store.reservations().await.unwrap(), []);
    cluster.is_sound().await;
    scheduler.reserve(SessionId::new(), &request(1.0, 10, 0)).await.unwrap();
    assert_eq!(cluster.store.update_session(&row).await.unwrap(), Fenced::Written);
    assert_eq!(cluster.store.reservations().await.unwrap().len(), 1, "the next one's place is not touched");
}

#[tokio::test]
async fn at_its_start_a_gateway_gives_back_what_no_session_holds_any_more() {
    let cluster = Cluster::new().await;
    for index in 0..2 {
        cluster.up(&said(index, 10, 10_000, 100, 0)).await;
    }
    let own = cluster.scheduler().bound_to("node-000");
    let row = session(&cluster.store, "ada").await;
    own.reserve(row.id, &request(1.0, 10, 0)).await.unwrap();
    cluster.store.insert_session(&row).await.unwrap();
    // Killed between the reservation and the row.
    own.reserve(SessionId::new(), &request(2.0, 20, 0)).await.unwrap();
    let elsewhere = cluster.scheduler().bound_to("node-001");
    elsewhere.reserve(SessionId::new(), &request(2.0, 20, 0)).await.unwrap();

    let (_heart, _engine) = cluster.node(said(0, 10, 10_000, 100, 0)).await;
    let held: Vec<_> = cluster.store.reservations().await.unwrap().into_iter().map(|one| one.node).collect();
    assert_eq!(held, ["node-000", "node-001"]);
    cluster.is_sound().await;
    assert_eq!(cluster.store.reservations().await.unwrap()[0].session, row.id);
}

#[tokio::test]
async fn a_node_that_comes_back_smaller_takes_no_more_until_enough_was_given_back() {
    let cluster = Cluster::new().await;
    cluster.up(&said(0, 10, 4000, 100, 0)).await;
    let scheduler = cluster.scheduler();
    let sessions: Vec<SessionId> = (0..4).map(|_| SessionId::new()).collect();
    for session in &sessions {
        scheduler.reserve(*session, &request(1.0, 1, 0)).await.unwrap();
    }
    cluster.up(&said(0, 10, 2000, 100, 0)).await;
    for (held, session) in sessions.iter().enumerate() {
        let placed = scheduler.reserve(SessionId::new(), &request(1.0, 1, 0)).await;
        assert_eq!(placed.is_ok(), held == 3, "{held}");
        scheduler.release(*session).await.unwrap();
    }
}

#[tokio::test]
async fn a_session_holds_one_place_only() {
    let cluster = Cluster::new().await;
    cluster.up(&said(0, 10, 4000, 100, 0)).await;
    let scheduler = cluster.scheduler();
    let session = SessionId::new();
    scheduler.reserve(session, &request(1.0, 1, 0)).await.unwrap();
    assert!(matches!(scheduler.reserve(session, &request(1.0, 1, 0)).await, Err(PlaceError::Store(_))));
    cluster.is_sound().await;
}

async fn session(store: &Arc<SqliteStore>, user: &str) -> SessionRow {
    let user = UserId(user.to_owned());
    let slot = store.slots(&user, GAME, START_MS).await.unwrap()[0].id;
    let id = SessionId::new();
    SessionRow {
        id,
        owner: Owner::User(user),
        external_id: id.to_string(),
        game: GAME.to_owned(),
        title: "The Question".to_owned(),
        slot: Some(slot),
        status: Status::Starting,
        container: ContainerStatus::Created,
        hosted: None,
        removed_at: None,
        generation: Generation(1),
        ran: false,
        started_at: START_MS,
        ended_at: None,
        lease_until: None,
        timeline: Vec::new(),
        end_reason: None,
        end_detail: None,
        figures: None,
        instance: None,
        node: None,
        placement: Vec::new(),
        runner_token_sha256: None,
        players: Vec::new(),
        quality: Default::default(),
        unsaved: None,
        save: None,
        save_refused_at: None,
    }
}
