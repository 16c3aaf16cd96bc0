//! The signaling endpoints over real sockets, with our own client and plain HTTP, before a stand-in session core.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use futures_util::{SinkExt, StreamExt};
use playgate::auth::{Lapse, Principal, User, Validity};
use playgate::config::IceConfig;
use playgate::model::ids::{Owner, SessionId, SlotId, UserId, ViewerId};
use playgate::model::session::{EndReason, Status};
use playgate::relay::RelayError;
use playgate::session::ServiceError;
use playgate::session::control::Standing;
use playgate::session::roster::OWNER_RESERVE;
use playgate::session::view::{Admission, Push, SessionView};
use playgate::signal::{Known, SignalAuth, SignalConfig, SignalCore, SignalState, router};
use playgate_signaling::client::{ClientError, ConnectOptions, SignalingClient, connect};
use playgate_signaling::control::Wish;
use playgate_signaling::machine::Limits;
use playgate_signaling::message::{
    ClientMessage, ErrorCode, GameHints, PointerMode, QualityReport, Role, ServerMessage, Transport, close,
};
use reqwest::header::HeaderMap;
use reqwest::{Method, Response};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::{broadcast, watch};
use tokio_tungstenite::tungstenite::Message;

const OFFER: &str =
    "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=ice-ufrag:clnt\r\na=ice-pwd:clntclntclntclntclntclnt\r\n";

/// What the stand-in was told, and what it will say.
#[derive(Debug, Clone, Default, PartialEq)]
struct Log {
    admitted: Vec<ViewerId>,
    offers: Vec<(ViewerId, String)>,
    left: Vec<ViewerId>,
    saw: Vec<(ViewerId, QualityReport)>,
    wishes: Vec<(ViewerId, Wish<ViewerId>)>,
    keepalives: usize,
}

struct FakeCore {
    session: SessionId,
    status: Mutex<Status>,
    pushes: broadcast::Sender<Push>,
    /// There is something to tell of the controls.
    stands: AtomicBool,
    /// Where calls wait until it is another point.
    gate: watch::Sender<Option<Point>>,
    /// Calls that have come to wait.
    waiting: watch::Sender<usize>,
    log: watch::Sender<Log>,
}

/// Where a request may be when its client goes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Point {
    Status,
    Admitting,
    Admitted,
    Offering,
    Offered,
}

#[async_trait::async_trait]
impl SignalCore for FakeCore {
    async fn status(&self, who: &Principal, id: SessionId) -> Result<SessionView, ServiceError> {
        self.pass(Point::Status).await;
        self.check(who, id)?;
        Ok(SessionView {
            id,
            owner: Owner::User(UserId("ann".to_owned())),
            external_id: "match-1".to_owned(),
            node: None,
            game_slug: "garden".to_owned(),
            game_title: "Garden".to_owned(),
            slot: Some(SlotId::new()),
            container: playgate::model::session::ContainerStatus::Running,
            hosted: None,
            status: *self.status.lock().unwrap(),
            started_at: OffsetDateTime::UNIX_EPOCH,
            expires_at: None,
            progress: None,
            source_faults: Vec::new(),
            timeline: Vec::new(),
            end_reason: None,
            end_detail: None,
            save: None,
            viewers: 0,
            spectators: 0,
            quality: Default::default(),
        })
    }

    async fn admit(
        &self,
        who: &Principal,
        id: SessionId,
        viewer: ViewerId,
        wanted: Option<Role>,
    ) -> Result<Admission, ServiceError> {
        self.check(who, id)?;
        self.pass(Point::Admitting).await;
        self.log.send_modify(|log| log.admitted.push(viewer));
        self.pass(Point::Admitted).await;
        let role = wanted.unwrap_or(Role::Player);
        let slot = (role == Role::Player).then_some(0);
        let hints = GameHints {
            slug: "garden".to_owned(),
            title: "Garden".to_owned(),
            width: 1280,
            height: 720,
            pointer: PointerMode::Absolute,
            touch: Vec::new(),
            pads: 0,
        };
        Ok(Admission { role, slot, hints })
    }

    async fn control(
        &self,
        _: SessionId,
        viewer: ViewerId,
        wish: Wish<ViewerId>,
    ) -> Result<(), ServiceError> {
        self.log.send_modify(|log| log.wishes.push((viewer, wish.clone())));
        match wish {
            Wish::Take { .. } => Err(ServiceError::InvalidRequest("Only the host can do that.".to_owned())),
            Wish::Request { .. } | Wish::Release | Wish::Pass { .. } | Wish::Deny { .. } => Ok(()),
        }
    }

    fn standing(&self, _: SessionId) -> Option<Arc<Standing>> {
        self.stands.load(Ordering::Relaxed).then(Arc::default)
    }

    fn saw(&self, _: SessionId, viewer: ViewerId, report: QualityReport) {
        self.log.send_modify(|log| log.saw.push((viewer, report)));
    }

    async fn offer(&self, _: SessionId, viewer: ViewerId, sdp: String) -> Result<String, ServiceError> {
        if sdp.contains("garbage") {
            return Err(RelayError::InvalidOffer("garbage".to_owned()).into());
        }
        if sdp.contains("VP8") {
            return Err(RelayError::UnsupportedCodec("H264").into());
        }
        self.pass(Point::Offering).await;
        let round = self.log.borrow().offers.len();
        self.log.send_modify(|log| log.offers.push((viewer, sdp)));
        self.pass(Point::Offered).await;
        Ok(format!(
            "v=0\r\na=ice-lite\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=ice-ufrag:srv{round}\r\n\
             a=ice-pwd:srvrsrvrsrvrsrvrsrvrsrvr\r\na=candidate:1 1 udp 1 192.0.2.1 8080 typ host\r\n"
        ))
    }

    async fn leave(&self, _: SessionId, viewer: ViewerId) {
        self.log.send_modify(|log| log.left.push(viewer));
    }

    async fn keepalive(&self, who: &Principal, id: SessionId) -> Result<(), ServiceError> {
        self.check(who, id)?;
        self.log.send_modify(|log| log.keepalives += 1);
        Ok(())
    }

    fn subscribe(&self, _: SessionId) -> Option<broadcast::Receiver<Push>> {
        Some(self.pushes.subscribe())
    }
}

impl FakeCore {
    async fn pass(&self, point: Point) {
        let mut gate = self.gate.subscribe();
        if *gate.borrow() == Some(point) {
            self.waiting.send_modify(|waiting| *waiting += 1);
            gate.wait_for(|gate| *gate != Some(point)).await.unwrap();
        }
    }

    fn check(&self, who: &Principal, id: SessionId) -> Result<(), ServiceError> {
        let ann = matches!(who, Principal::User(user) if user.id.0 == "ann");
        if ann && id == self.session {
            Ok(())
        } else {
            Err(ServiceError::NotFound("There is no such session.".to_owned()))
        }
    }
}

/// A token is a user's name; `bad` is nobody's. All are good for equally long.
struct FakeAuth(Validity);

#[async_trait::async_trait]
impl SignalAuth for FakeAuth {
    async fn authenticate_headers(
        &self,
        headers: &HeaderMap,
        extensions: &axum::http::Extensions,
    ) -> Option<Known> {
        let bearer = headers.get("authorization")?.to_str().ok()?;
        self.authenticate_token(bearer.strip_prefix("Bearer ")?, headers, extensions).await
    }

    async fn authenticate_token(
        &self,
        token: &str,
        _: &axum::http::HeaderMap,
        _: &axum::http::Extensions,
    ) -> Option<Known> {
        let who = Principal::User(User { id: UserId(token.to_owned()), name: None });
        (token != "bad").then(|| Known { who, validity: self.0.clone() })
    }
}

struct Bench {
    core: Arc<FakeCore>,
    /// Ends every token.
    lapses: watch::Sender<Option<Lapse>>,
    base: String,
}

impl Bench {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut SignalConfig)) -> Self {
        let core = Arc::new(FakeCore {
            session: SessionId::new(),
            status: Mutex::new(Status::Running),
            pushes: broadcast::channel(64).0,
            stands: AtomicBool::new(false),
            gate: watch::channel(None).0,
            waiting: watch::channel(0).0,
            log: watch::channel(Log::default()).0,
        });
        let mut config = SignalConfig {
            ice: IceConfig {
                urls: vec!["stun:stun.example".to_owned(), "turn:turn.example".to_owned()],
                secret: Some("s".to_owned()),
                credential_ttl_s: 60,
            },
            media: vec!["192.0.2.1:8080".to_owned()],
            ..SignalConfig::default()
        };
        change(&mut config);
        let mut registry = prometheus_client::registry::Registry::default();
        let (lapses, validity) = Validity::told_by();
        let state = SignalState::new(
            Arc::clone(&core) as Arc<dyn SignalCore>,
            Arc::new(FakeAuth(validity)),
            config,
            &mut registry,
        );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, router(state)).await });
        Self { core, lapses, base }
    }

    fn url(&self) -> String {
        format!("ws://{}/session/{}/signal", self.base, self.core.session)
    }

    fn ann() -> ConnectOptions {
        ConnectOptions { token: Some("ann".to_owned()), ..ConnectOptions::default() }
    }

    async fn connect(&self) -> SignalingClient {
        connect(&self.url(), Self::ann()).await.unwrap()
    }

    /// Waits until the stand-in has been told enough.
    async fn until(&self, enough: impl FnMut(&Log) -> bool) -> Log {
        let mut log = self.core.log.subscribe();
        tokio::time::timeout(Duration::from_secs(10), log.wait_for(enough)).await.unwrap().unwrap().clone()
    }

    fn log(&self) -> Log {
        self.core.log.borrow().clone()
    }

    async fn http(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
        let mut request = reqwest::Client::new().request(method, format!("http://{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(body.to_owned()).send().await.unwrap()
    }

    fn whep(&self) -> String {
        format!("/session/{}/whep", self.core.session)
    }

    async fn watch(&self) -> Response {
        self.http(Method::POST, &self.whep(), &[AUTH, ("content-type", "application/sdp")], OFFER).await
    }
}

const AUTH: (&str, &str) = ("authorization", "Bearer ann");

fn header(response: &Response, name: &str) -> String {
    response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

#[tokio::test]
async fn a_player_is_welcomed_told_the_status_and_gets_an_answer() {
    let bench = Bench::new().await;
    let mut client = bench.connect().await;
    let welcome = client.welcome().clone();
    assert_eq!((welcome.role, welcome.slot, welcome.resumed), (Role::Player, Some(0), false));
    assert_eq!(welcome.media, ["192.0.2.1:8080"]);
    assert_eq!(welcome.ice_servers.len(), 2);
    assert!(welcome.ice_servers[1].username.as_ref().unwrap().ends_with(&welcome.viewer_id));
    assert!(
        matches!(client.recv().await.unwrap(), ServerMessage::Status { status, .. } if status == "running")
    );
    let answer = client.negotiate(OFFER.to_owned(), |_| {}).await.unwrap();
    assert!(answer.contains("srv0"));
    client.send(ClientMessage::Ping { n: 3 }).await.unwrap();
    assert_eq!(client.recv().await.unwrap(), ServerMessage::Pong { n: 3 });
    client.send(ClientMessage::Keepalive).await.unwrap();
    bench.until(|log| log.keepalives == 1).await;
    let report = QualityReport {
        duration_ms: 10_000,
        bytes: 1_000,
        packets: 10,
        lost: 1,
        frozen_ms: 0,
        first_frame_ms: Some(300),
        round_trip_ms: None,
        transport: Some(Transport::Udp),
    };
    client.send(ClientMessage::Quality(report)).await.unwrap();
    let log = bench.until(|log| !log.saw.is_empty()).await;
    assert_eq!(log.saw, [(log.admitted[0], report)]);
    client.close().await;
    let log = bench.until(|log| !log.left.is_empty()).await;
    assert_eq!(log.left, log.admitted);
}

#[tokio::test]
async fn who_has_the_controls_is_told_after_the_welcome_and_wishes_reach_the_core() {
    let bench = Bench::new().await;
    bench.core.stands.store(true, Ordering::Relaxed);
    let mut client = bench.connect().await;
    client.recv().await.unwrap();
    let told = |message| {
        let ServerMessage::Control(control) = message else { panic!("{message:?}") };
        (control.you.role, control.holders.len(), control.spectators)
    };
    assert_eq!(told(client.recv().await.unwrap()), (Role::Spectator, 0, 0));
    bench.core.pushes.send(Push::Control(Arc::default())).unwrap();
    assert_eq!(told(client.recv().await.unwrap()), (Role::Spectator, 0, 0));

    let friend = ViewerId::new();
    for message in [
        ClientMessage::RequestControl { slot: Some(1) },
        ClientMessage::PassControl { viewer_id: friend.to_string(), slot: None, seconds: Some(60) },
        ClientMessage::DenyControl { viewer_id: friend.to_string() },
        ClientMessage::ReleaseControl,
    ] {
        client.send(message).await.unwrap();
    }
    let log = bench.until(|log| log.wishes.len() == 4).await;
    let wishes: Vec<_> =
        log.wishes.into_iter().map(|(viewer, wish)| (viewer == log.admitted[0], wish)).collect();
    let pass = Wish::Pass { to: friend, slot: None, seconds: Some(60) };
    for wish in [Wish::Request { slot: Some(1) }, pass, Wish::Deny { of: friend }, Wish::Release] {
        assert!(wishes.contains(&(true, wish.clone())), "{wish:?}");
    }
    for message in [
        ClientMessage::TakeControl { slot: None },
        ClientMessage::DenyControl { viewer_id: "nobody".to_owned() },
    ] {
        client.send(message).await.unwrap();
        assert!(matches!(
            client.recv().await.unwrap(),
            ServerMessage::Error { code: ErrorCode::NotAllowed, fatal: false, .. }
        ));
    }
}

#[tokio::test]
async fn who_may_not_watch_is_told_why() {
    let bench = Bench::new().await;
    for (token, code) in [
        (Some("bad"), ErrorCode::Unauthorized),
        (None, ErrorCode::Unauthorized),
        (Some("bob"), ErrorCode::NotFound),
    ] {
        let options = ConnectOptions { token: token.map(str::to_owned), ..ConnectOptions::default() };
        match connect(&bench.url(), options).await {
            Err(ClientError::Refused { code: given, .. }) => assert_eq!(given, code),
            other => panic!("{other:?}"),
        }
    }
    let nowhere = format!("ws://{}/session/nonsense/signal", bench.base);
    assert!(matches!(connect(&nowhere, Bench::ann()).await, Err(ClientError::Http(404))));
    assert!(bench.log().admitted.is_empty());
}

#[tokio::test]
async fn a_bad_offer_is_refused_by_name_and_the_next_one_answered() {
    let bench = Bench::new().await;
    let mut client = bench.connect().await;
    for (offer, code) in [("garbage", ErrorCode::InvalidOffer), ("VP8", ErrorCode::UnsupportedCodec)] {
        match client.negotiate(offer.to_owned(), |_| {}).await {
            Err(ClientError::Refused { code: given, message }) => {
                assert_eq!(given, code);
                assert!(message.contains("garbage") || message.contains("H264"));
            }
            other => panic!("{other:?}"),
        }
    }
    client.negotiate(OFFER.to_owned(), |_| {}).await.unwrap();
}

#[tokio::test]
async fn pushes_reach_the_viewer_and_the_end_closes_it() {
    let bench = Bench::new().await;
    let mut client = bench.connect().await;
    client.recv().await.unwrap();
    let viewer: ViewerId = client.welcome().viewer_id.parse().unwrap();
    let send = |push| bench.core.pushes.send(push).unwrap();
    send(Push::ViewerGone { viewer: ViewerId::new(), reason: "another's".to_owned() });
    send(Push::Saved);
    assert_eq!(client.recv().await.unwrap(), ServerMessage::Saved);
    send(Push::ViewerGone { viewer, reason: "consent expired".to_owned() });
    assert!(matches!(
        client.recv().await.unwrap(),
        ServerMessage::Error { code: ErrorCode::MediaEnded, fatal: false, .. }
    ));
    send(Push::Status {
        status: Status::Stopped,
        progress: None,
        end_reason: Some(EndReason::Idle),
        source_faults: Vec::new(),
    });
    assert!(matches!(client.recv().await.unwrap(), ServerMessage::Status { .. }));
    assert!(matches!(client.recv().await, Err(ClientError::Ended(reason)) if reason == "idle"));
    bench.until(|log| log.left == [viewer]).await;
}

#[tokio::test]
async fn an_evicted_viewer_is_told_in_words() {
    let bench = Bench::new().await;
    let mut client = bench.connect().await;
    client.recv().await.unwrap();
    let viewer = client.welcome().viewer_id.parse().unwrap();
    let message = "The invitation was taken back.".to_owned();
    bench.core.pushes.send(Push::Evicted { viewer, code: ErrorCode::GrantEnded, message }).unwrap();
    assert!(matches!(
        client.recv().await,
        Err(ClientError::Refused { code: ErrorCode::GrantEnded, message }) if message.contains("taken back")
    ));
}

#[tokio::test]
async fn a_viewer_whose_token_lapses_is_sent_away_from_what_it_had_open() {
    for (lapse, words) in [(Lapse::Revoked, "revoked"), (Lapse::Expired, "expired")] {
        let bench = Bench::new().await;
        let mut client = bench.connect().await;
        client.recv().await.unwrap();
        client.negotiate(OFFER.to_owned(), |_| {}).await.unwrap();
        bench.lapses.send_replace(Some(lapse));
        match client.recv().await {
            Err(ClientError::Refused { code: ErrorCode::Unauthorized, message }) => {
                assert!(message.contains(words), "{message}");
            }
            other => panic!("{other:?}"),
        }
        let log = bench.until(|log| !log.left.is_empty()).await;
        assert_eq!(log.left, log.admitted);
    }
}

#[tokio::test]
async fn media_that_no_connection_speaks_for_ends_with_its_token() {
    let bench = Bench::new().await;
    let mut client = bench.connect().await;
    client.negotiate(OFFER.to_owned(), |_| {}).await.unwrap();
    // Its connection breaks: the media would stay for a while.
    drop(client);
    assert_eq!(bench.watch().await.status(), 201);
    bench.lapses.send_replace(Some(Lapse::Revoked));
    let log = bench.until(|log| log.left.len() == 2).await;
    assert!(log.admitted.iter().all(|viewer| log.left.contains(viewer)), "{log:?}");
}

#[tokio::test]
async fn a_viewer_whose_connection_broke_comes_back_to_its_media() {
    let bench = Bench::new().await;
    let mut client = bench.connect().await;
    client.negotiate(OFFER.to_owned(), |_| {}).await.unwrap();
    let first = client.welcome().clone();
    drop(client);
    let resume = Some((first.viewer_id.clone(), first.resume.clone()));
    let again = connect(&bench.url(), ConnectOptions { resume, ..Bench::ann() }).await.unwrap();
    assert_eq!(again.welcome().viewer_id, first.viewer_id);
    assert!(again.welcome().resumed);
    assert_ne!(again.welcome().resume, first.resume);
    assert_eq!(bench.log().left, []);
    let stolen = Some((first.viewer_id.clone(), first.resume));
    let other = connect(&bench.url(), ConnectOptions { resume: stolen, ..Bench::ann() }).await.unwrap();
    assert_ne!(other.welcome().viewer_id, first.viewer_id);
    assert!(!other.welcome().resumed);
}

#[tokio::test]
async fn a_second_connection_of_the_same_viewer_replaces_the_first() {
    let bench = Bench::new().await;
    let mut first = bench.connect().await;
    first.recv().await.unwrap();
    let resume = Some((first.welcome().viewer_id.clone(), first.welcome().resume.clone()));
    let _second = connect(&bench.url(), ConnectOptions { resume, ..Bench::ann() }).await.unwrap();
    assert!(matches!(first.recv().await, Err(ClientError::Refused { code: ErrorCode::Replaced, .. })));
    assert_eq!(bench.log().left, []);
}

#[tokio::test]
async fn a_viewer_that_does_not_come_back_is_gone_after_a_while() {
    let bench = Bench::with(|config| config.resume_for = Duration::from_millis(1)).await;
    let client = bench.connect().await;
    drop(client);
    let log = bench.until(|log| !log.left.is_empty()).await;
    assert_eq!(log.left, log.admitted);
}

#[tokio::test]
async fn nonsense_is_answered_with_words_and_a_flood_is_closed() {
    let bench = Bench::new().await;
    let (mut socket, _) = tokio_tungstenite::connect_async(bench.url()).await.unwrap();
    let hello =
        ClientMessage::Hello { token: Some("ann".to_owned()), role: None, viewer_id: None, resume: None };
    socket.send(Message::text(hello.to_json())).await.unwrap();
    socket.send(Message::text("{\"type\":\"cheat\"}")).await.unwrap();
    socket.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    for n in 0..200 {
        // The gateway may hang up while we talk.
        if socket.send(Message::text(ClientMessage::Ping { n }.to_json())).await.is_err() {
            break;
        }
    }
    let mut codes = Vec::new();
    let mut closed = None;
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Text(text) = &message
            && let Ok(ServerMessage::Error { code, .. }) = ServerMessage::parse(text)
        {
            codes.push(code);
        } else if let Message::Close(Some(frame)) = message {
            closed = Some(u16::from(frame.code));
        }
    }
    assert_eq!(codes, [ErrorCode::InvalidMessage, ErrorCode::InvalidMessage, ErrorCode::TooManyMessages]);
    assert_eq!(closed, Some(close::FLOOD));
    assert_eq!(bench.until(|log| !log.left.is_empty()).await.left.len(), 1);
}

#[tokio::test]
async fn a_connection_without_hello_is_closed_in_time() {
    let limits = Limits { hello_timeout: Duration::from_millis(10), ..Limits::default() };
    let bench = Bench::with(|config| config.limits = limits).await;
    let (mut socket, _) = tokio_tungstenite::connect_async(bench.url()).await.unwrap();
    let mut code = None;
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Close(Some(frame)) = message {
            code = Some(u16::from(frame.code));
        }
    }
    assert_eq!(code, Some(close::TIMEOUT));
}

#[tokio::test]
async fn a_reader_too_slow_is_cut_off_and_does_not_hold_up_the_session() {
    let bench = Bench::with(|config| {
        config.outbox = 2;
        config.resume_for = Duration::from_millis(1);
    })
    .await;
    let client = bench.connect().await;
    let png = Some("x".repeat(200 * 1024));
    let cursor = Push::Cursor { visible: true, png, hotspot_x: 0, hotspot_y: 0 };
    let cut = async {
        while bench.log().left.is_empty() {
            let _ = bench.core.pushes.send(cursor.clone());
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), cut).await.unwrap();
    drop(client);
}

#[tokio::test]
async fn connections_and_viewers_are_bounded() {
    let bench = Bench::with(|config| config.max_connections = 1).await;
    let _one = bench.connect().await;
    assert!(matches!(connect(&bench.url(), Bench::ann()).await, Err(ClientError::Http(503))));
    let bench = Bench::with(|config| config.max_viewers = 1).await;
    let _one = bench.connect().await;
    for _ in 0..OWNER_RESERVE {
        assert_eq!(bench.watch().await.status(), 201);
    }
    let refused = connect(&bench.url(), Bench::ann()).await;
    assert!(matches!(refused, Err(ClientError::Refused { code: ErrorCode::Full, .. })));
    assert_eq!(bench.watch().await.status(), 503);
}

/// The session is as it was before: it takes as many viewers as it may, and those of its owner, and no more.
async fn takes_as_many_as_before(bench: &Bench, max_viewers: usize) {
    let viewers = max_viewers + OWNER_RESERVE;
    let one_more = async || {
        // The server may not have noticed yet that the last client went away.
        while bench.watch().await.status() != 201 {
            tokio::task::yield_now().await;
        }
    };
    for _ in 0..viewers {
        tokio::time::timeout(Duration::from_secs(10), one_more()).await.expect("places are free again");
    }
    assert_eq!(bench.watch().await.status(), 503);
}

#[tokio::test]
async fn requests_that_are_aborted_at_any_moment_leave_no_viewer_behind() {
    const POINTS: [Point; 5] =
        [Point::Status, Point::Admitting, Point::Admitted, Point::Offering, Point::Offered];
    // Forty moments of a random number: its digits to the base of five.
    let seed = uuid::Uuid::new_v4().as_u128();
    println!("seed {seed}");
    let moments = (0..40).map(|n| POINTS[usize::try_from(seed / 5_u128.pow(n) % 5).unwrap()]);
    // The last one had been let in: that it has left says that the server noticed. Before that nothing tells.
    let moments = moments.chain([Point::Admitted]);
    let bench = Arc::new(Bench::with(|config| config.max_viewers = 3).await);
    for point in moments {
        bench.core.gate.send_replace(Some(point));
        let before = *bench.core.waiting.borrow();
        let mut waiting = bench.core.waiting.subscribe();
        let request = {
            let bench = Arc::clone(&bench);
            tokio::spawn(async move { bench.watch().await.status() })
        };
        let arrived = waiting.wait_for(|waiting| *waiting > before);
        tokio::time::timeout(Duration::from_secs(10), arrived).await.unwrap().unwrap();
        request.abort();
        // The server notices, and whoever had been let in has left.
        bench.until(|log| log.admitted.iter().all(|viewer| log.left.contains(viewer))).await;
    }
    bench.core.gate.send_replace(None);
    takes_as_many_as_before(&bench, 3).await;
}

#[tokio::test]
async fn a_connection_that_breaks_while_it_is_admitted_leaves_no_viewer_behind() {
    let bench = Bench::with(|config| {
        config.max_viewers = 3;
        // Nobody comes back.
        config.resume_for = Duration::from_millis(1);
    })
    .await;
    for point in [Point::Admitting, Point::Admitted, Point::Status] {
        bench.core.gate.send_replace(Some(point));
        let before = *bench.core.waiting.borrow();
        let (mut socket, _) = tokio_tungstenite::connect_async(bench.url()).await.unwrap();
        let hello =
            ClientMessage::Hello { token: Some("ann".to_owned()), role: None, viewer_id: None, resume: None };
        socket.send(Message::text(hello.to_json())).await.unwrap();
        let mut waiting = bench.core.waiting.subscribe();
        let arrived = waiting.wait_for(|waiting| *waiting > before);
        tokio::time::timeout(Duration::from_secs(10), arrived).await.unwrap().unwrap();
        drop(socket);
        bench.core.gate.send_replace(None);
        let gone =
            |log: &Log| !log.left.is_empty() && log.admitted.iter().all(|viewer| log.left.contains(viewer));
        bench.until(gone).await;
    }
    takes_as_many_as_before(&bench, 3).await;
}

#[tokio::test]
async fn whep_gives_an_answer_restarts_and_ends() {
    let bench = Bench::new().await;
    let created = bench.watch().await;
    assert_eq!(created.status(), 201);
    assert_eq!(header(&created, "content-type"), "application/sdp");
    assert_eq!(header(&created, "access-control-allow-origin"), "*");
    assert!(header(&created, "access-control-expose-headers").contains("Location"));
    let links: Vec<_> =
        created.headers().get_all("link").iter().map(|link| link.to_str().unwrap().to_owned()).collect();
    assert_eq!(links.len(), 2);
    assert!(links[1].starts_with("<turn:turn.example>; rel=\"ice-server\"; username=\""));
    let (location, tag) = (header(&created, "location"), header(&created, "etag"));
    assert!(location.starts_with(&bench.whep()));
    assert!(created.text().await.unwrap().contains("srv0"));

    let sdpfrag = ("content-type", "application/trickle-ice-sdpfrag");
    let patch = async |tag: Option<&str>, body: &str| {
        let mut headers = vec![AUTH, sdpfrag];
        headers.extend(tag.map(|tag| ("if-match", tag)));
        bench.http(Method::PATCH, &location, &headers, body).await
    };
    let trickle =
        "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\na=candidate:1 1 udp 1 192.0.2.7 1 typ host\r\n";
    assert_eq!(patch(Some(&tag), trickle).await.status(), 204);
    assert_eq!(patch(None, trickle).await.status(), 428);
    assert_eq!(patch(Some("\"old\""), trickle).await.status(), 412);
    assert_eq!(patch(Some("*"), "nonsense").await.status(), 400);
    let restart = "a=ice-ufrag:newu\r\na=ice-pwd:newpnewpnewpnewpnewpnewp\r\n";
    let restarted = patch(Some("*"), restart).await;
    assert_eq!(restarted.status(), 200);
    assert_ne!(header(&restarted, "etag"), tag);
    assert!(restarted.text().await.unwrap().contains("a=ice-ufrag:srv1"));
    let log = bench.log();
    assert_eq!(log.offers.len(), 2);
    assert!(log.offers[1].1.contains("newu") && !log.offers[1].1.contains("clnt"));
    assert_eq!(patch(Some(&tag), trickle).await.status(), 412);

    let bob = [("authorization", "Bearer bob")];
    assert_eq!(bench.http(Method::DELETE, &location, &bob, "").await.status(), 404);
    assert_eq!(bench.http(Method::DELETE, &location, &[], "").await.status(), 401);
    assert_eq!(bench.http(Method::DELETE, &location, &[AUTH], "").await.status(), 200);
    assert_eq!(bench.http(Method::DELETE, &location, &[AUTH], "").await.status(), 404);
    assert_eq!(bench.log().left, bench.log().admitted);
}

#[tokio::test]
async fn whep_refuses_with_the_statuses_of_its_convention() {
    let bench = Bench::new().await;
    let sdp = ("content-type", "application/sdp");
    let post = async |path: String, headers: &[(&str, &str)], body: &str| {
        bench.http(Method::POST, &path, headers, body).await
    };
    let whep = bench.whep();
    assert_eq!(post(whep.clone(), &[sdp], OFFER).await.status(), 401);
    assert_eq!(post(whep.clone(), &[AUTH], OFFER).await.status(), 415);
    assert_eq!(post(whep.clone(), &[AUTH, sdp], "").await.status(), 400);
    assert_eq!(post(whep.clone(), &[AUTH, sdp], "garbage").await.status(), 400);
    assert_eq!(post(whep.clone(), &[AUTH, sdp], "VP8").await.status(), 406);
    assert_eq!(post(whep.clone(), &[AUTH, sdp], &"x".repeat(100_000)).await.status(), 413);
    assert_eq!(post(whep.clone(), &[("authorization", "Bearer bob"), sdp], OFFER).await.status(), 404);
    assert_eq!(post(format!("/session/{}/whep", SessionId::new()), &[AUTH, sdp], OFFER).await.status(), 404);
    assert_eq!(bench.http(Method::GET, &whep, &[AUTH], "").await.status(), 405);
    let options = bench.http(Method::OPTIONS, &whep, &[], "").await;
    assert_eq!(
        (options.status().as_u16(), header(&options, "accept-post")),
        (204, "application/sdp".to_owned())
    );
    *bench.core.status.lock().unwrap() = Status::Starting;
    let early = bench.watch().await;
    assert_eq!((early.status().as_u16(), header(&early, "retry-after")), (409, "1".to_owned()));
    // Every viewer that had been let in before its offer was refused has left again.
    assert_eq!(bench.log().left, bench.log().admitted);
}

#[tokio::test]
async fn a_whep_viewer_whose_media_is_gone_is_forgotten() {
    let bench = Bench::new().await;
    let location = header(&bench.watch().await, "location");
    let viewer = bench.log().admitted[0];
    bench.core.pushes.send(Push::ViewerGone { viewer, reason: "consent expired".to_owned() }).unwrap();
    bench.until(|log| log.left == [viewer]).await;
    assert_eq!(bench.http(Method::DELETE, &location, &[AUTH], "").await.status(), 404);
}

/// Nothing counted by name is lost on the way.
#[test]
fn every_error_code_has_its_own_wire_name() {
    let codes = [
        ErrorCode::InvalidMessage,
        ErrorCode::InvalidOffer,
        ErrorCode::UnsupportedCodec,
        ErrorCode::Unauthorized,
        ErrorCode::NotFound,
        ErrorCode::GrantEnded,
        ErrorCode::TooManyMessages,
        ErrorCode::Replaced,
        ErrorCode::MediaEnded,
        ErrorCode::Internal,
    ];
    let names: BTreeMap<String, ErrorCode> =
        codes.iter().map(|code| (serde_json::to_string(code).unwrap(), *code)).collect();
    assert_eq!(names.len(), codes.len());
}
