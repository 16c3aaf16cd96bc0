//! No single request delays the others (A1): the worst legal request of every route, while `/api/health` is probed.
//!
//! The routes are those of `http::limits`, the shapes those by which the fuzz targets doubled their inputs: each is as large as
//! its route takes. What a route refuses only after it has read it all is sent, too.

use super::stand::{REGION, Stand};
use crate::support::http::Client;
use crate::support::wait::{PATIENT, eventually};
use futures_util::{SinkExt, StreamExt};
use playgate::http::limits::{BodyLimit, ENDPOINTS, Endpoint};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

/// The worst answer while something large is worked on.
const WORST: Duration = Duration::from_millis(250);
/// A machine whose worst answer is later when nothing happens cannot be judged by.
const QUIET: Duration = Duration::from_millis(100);
const QUIET_ANSWERS: u64 = 500;
/// Others use the machine as well.
const ROUNDS: usize = 3;
/// Of a request's head, with some room for its other lines.
const QUERY_BYTES: usize = 31 * 1024;

/// Asks for `/api/health` all the time, on a connection and a thread of its own.
struct Probe {
    worst: Arc<AtomicU64>,
    answers: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Probe {
    fn start(port: u16) -> Self {
        let [worst, answers] = [0, 0].map(|zero| Arc::new(AtomicU64::new(zero)));
        let over = Arc::new(AtomicBool::new(false));
        let (slowest, count, ends) = (Arc::clone(&worst), Arc::clone(&answers), Arc::clone(&over));
        let thread = std::thread::spawn(move || {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            stream.set_nodelay(true).unwrap();
            let mut answer = [0; 4096];
            while !ends.load(Ordering::Relaxed) {
                let asked = Instant::now();
                stream.write_all(b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
                let read = stream.read(&mut answer).unwrap();
                assert!(answer[..read].starts_with(b"HTTP/1.1 200 "));
                let micros = u64::try_from(asked.elapsed().as_micros()).unwrap();
                slowest.fetch_max(micros, Ordering::Relaxed);
                count.fetch_add(1, Ordering::Relaxed);
                // Twenty answers a second would miss a worker that is blocked for 50 ms.
                std::thread::park_timeout(Duration::from_millis(2));
            }
        });
        Self { worst, answers, over, thread }
    }

    /// The worst of some hundred answers while nothing happens.
    async fn quiet(&self) -> Duration {
        eventually("the gateway answers", PATIENT, async || {
            let answers = self.answers.load(Ordering::Relaxed);
            if answers >= QUIET_ANSWERS { Ok(()) } else { Err(format!("{answers} answers")) }
        })
        .await;
        self.take()
    }

    /// The worst answer since the last call.
    fn take(&self) -> Duration {
        Duration::from_micros(self.worst.swap(0, Ordering::Relaxed))
    }

    fn end(self) {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}

/// One request and who sends it.
struct Attack {
    what: String,
    method: Method,
    path: String,
    kind: &'static str,
    body: Vec<u8>,
    token: String,
}

/// Who and what the requests are about.
struct Cast {
    organisation: String,
    player: String,
    operator: String,
    /// A hosted session's id, with a full roster and a large environment.
    hosted: String,
    /// A player's session, and the player's slot.
    session: String,
    slot: String,
}

/// The values that are most work to read or to store, to fill a body of so many bytes.
fn fillings(bytes: usize) -> Vec<(&'static str, String)> {
    let fill = |open: &str, unit: &dyn Fn(usize) -> String, close: &str| {
        let mut text = open.to_owned();
        for number in 0.. {
            let next = unit(number);
            if text.len() + next.len() + close.len() + 1 > bytes {
                break;
            }
            if number > 0 {
                text.push(',');
            }
            text.push_str(&next);
        }
        text + close
    };
    vec![
        ("numbers", fill("[", &|_| "0".to_owned(), "]")),
        ("empty lists", fill("[", &|_| "[]".to_owned(), "]")),
        ("keys", fill("{", &|number| format!("\"{number:x}\":0"), "}")),
        ("keys that begin alike", fill("{", &|number| format!("\"{}{number:06}\":0", "k".repeat(250)), "}")),
        ("the same key", fill("{", &|_| "\"k\":0".to_owned(), "}")),
        ("nested", fill("[", &|_| format!("{}{}", "[".repeat(100), "]".repeat(100)), "]")),
        ("escapes", format!("\"{}\"", "\\u0041".repeat(bytes.saturating_sub(2) / 6))),
        ("references", format!("\"{}\"", "${".repeat(bytes.saturating_sub(2) / 2))),
    ]
}

/// The object with one field more of each filling, as large as the limit.
fn padded(object: &Value, limit: usize) -> Vec<(String, Vec<u8>)> {
    let text = object.to_string();
    let open = text.strip_suffix('}').unwrap();
    let comma = if open.len() > 1 { "," } else { "" };
    let room = limit - text.len() - 16;
    let with = |(name, filling): (&str, String)| {
        (name.to_owned(), format!("{open}{comma}\"zz\":{filling}}}").into_bytes())
    };
    fillings(room).into_iter().map(with).collect()
}

/// Starts that fill the body, each legal but for the image's patience.
fn starts(limit: usize) -> Vec<(String, Vec<u8>)> {
    let start = |env: Value, args: Value| {
        let mut request = json!({ "location": REGION, "image": super::stand::IMAGE, "env": env });
        if args != Value::Null {
            request["args"] = args;
        }
        request
    };
    let open = "${".repeat(2000);
    let many: serde_json::Map<_, _> =
        (0..1000).map(|number| (format!("{}{number:04}", "K".repeat(96)), json!("${GAMEYE_HOST"))).collect();
    // Each expands to no more than a variable may be.
    let open: serde_json::Map<_, _> = (0..60).map(|number| (format!("OPEN_{number}"), json!(open))).collect();
    let long = format!("${{A{}", "A".repeat(120 * 1024));
    let mut found = vec![
        ("open references".to_owned(), start(json!(open), Value::Null).to_string().into_bytes()),
        ("a thousand variables".to_owned(), start(json!(many), Value::Null).to_string().into_bytes()),
        (
            "long values".to_owned(),
            start(json!({ "A": long, "B": "x".repeat(120 * 1024) }), Value::Null).to_string().into_bytes(),
        ),
        (
            "one long open value, refused".to_owned(),
            start(json!({ "A": "${".repeat(64 * 1024) }), Value::Null).to_string().into_bytes(),
        ),
    ];
    found.extend(padded(&start(json!({}), Value::Null), limit));
    assert!(found.iter().all(|(_, body)| body.len() <= limit));
    found
}

fn players(session: &str, limit: usize) -> Vec<(String, Vec<u8>)> {
    let names = |from: usize| (from..from + 1000).map(|number| format!("{number:0256}")).collect::<Vec<_>>();
    let mut found: Vec<_> = [0, 9000]
        .map(|from| {
            let body = json!({ "session": session, "players": names(from) }).to_string().into_bytes();
            (format!("a thousand from {from}"), body)
        })
        .into();
    found.extend(padded(&json!({ "session": session, "players": [] }), limit));
    found
}

fn offers(limit: usize) -> Vec<(String, Vec<u8>)> {
    let head = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
                a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\na=setup:active\r\na=fingerprint:sha-256 \
                AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA\r\n";
    let media = "m=video 9 UDP/TLS/RTP/SAVPF 96";
    let rest = "\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=recvonly\r\na=rtcp-mux\r\na=rtpmap:96 H264/90000\r\n\
                a=fmtp:96 packetization-mode=1;profile-level-id=42e01f\r\n";
    let fill = |before: String, unit: &str, behind: &str, most: usize| {
        let times = ((limit - before.len() - behind.len()) / unit.len()).min(most);
        format!("{before}{}{behind}", unit.repeat(times)).into_bytes()
    };
    let other = "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=inactive\r\n";
    vec![
        ("a format again and again".to_owned(), fill(format!("{head}{media}"), " 96", rest, usize::MAX)),
        (
            "all formats again and again".to_owned(),
            fill(
                format!("{head}{media}"),
                &(97..127).map(|pt| format!(" {pt}")).collect::<String>(),
                rest,
                usize::MAX,
            ),
        ),
        (
            "a map again and again".to_owned(),
            fill(format!("{head}{media}{rest}"), "a=rtpmap:96 H264/90000\r\n", "", 1980),
        ),
        (
            "feedback again and again".to_owned(),
            fill(format!("{head}{media}{rest}"), "a=rtcp-fb:96 nack\r\n", "", 1980),
        ),
        (
            "another section's formats".to_owned(),
            fill(
                format!("{head}{media}{rest}{}", other.replace(" 0\r\n", "")),
                " 0",
                &other[other.find("\r\n").unwrap()..],
                usize::MAX,
            ),
        ),
        (
            "another section's maps".to_owned(),
            fill(format!("{head}{media}{rest}{other}"), "a=rtpmap:0 PCMU/8000\r\n", "", 1970),
        ),
        (
            "candidates".to_owned(),
            fill(format!("{head}{media}{rest}"), "a=candidate:1 1 udp 1 192.0.2.1 1 typ host\r\n", "", 1980),
        ),
        ("lines, refused".to_owned(), fill(format!("{head}{media}{rest}"), "a=\r\n", "", usize::MAX)),
    ]
}

/// A save of as many files as a save may have, in few bytes.
fn save() -> Vec<u8> {
    let packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let mut tar = tar::Builder::new(packed);
    for number in 0..9_999 {
        let mut header = tar::Header::new_gnu();
        header.set_size(1);
        header.set_mode(0o644);
        tar.append_data(&mut header, format!("{}/{number:08}", "d".repeat(80)), &b"x"[..]).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

/// The worst bodies of an endpoint, with their type.
fn worst_bodies(endpoint: &Endpoint, cast: &Cast) -> (&'static str, Vec<(String, Vec<u8>)>) {
    let limit = match endpoint.body {
        BodyLimit::None => return ("", vec![("no body".to_owned(), Vec::new())]),
        BodyLimit::Save => return ("application/gzip", vec![("ten thousand files".to_owned(), save())]),
        BodyLimit::Bytes(limit) => limit,
    };
    let of_a_session = json!({ "sessionId": cast.session });
    let origins: Vec<String> =
        (0..16).map(|n| format!("https://{n:02}.{}.example", "o".repeat(240))).collect();
    let object = match (endpoint.method, endpoint.path) {
        ("POST", "/session") => return ("application/json", starts(limit)),
        ("PUT", "/session/player/join") | ("DELETE", "/session/player/leave") => {
            return ("application/json", players(&cast.hosted, limit));
        }
        ("POST", "/session/{id}/whep") => return ("application/sdp", offers(limit)),
        ("PATCH", "/session/{id}/whep/{viewer}") => {
            let fragment =
                "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n".repeat(280).into_bytes();
            return ("application/trickle-ice-sdpfrag", vec![("credentials".to_owned(), fragment)]);
        }
        ("POST", "/session/{id}/token") => json!({ "role": "spectator", "origins": origins }),
        ("POST", "/api/game/launch") => json!({ "gameSlug": "x" }),
        ("POST", "/api/game/keepalive" | "/api/game/first-frame") => of_a_session,
        // Of no session: the one that plays is needed.
        ("POST", "/api/game/stop") => json!({ "sessionId": uuid::Uuid::nil() }),
        ("POST", "/api/game/share") => json!({ "sessionId": cast.session, "role": "spectator" }),
        ("POST", "/api/embeds") => {
            json!({ "sessionId": cast.session, "role": "spectator", "origins": origins })
        }
        ("POST", "/api/embed/visit") => json!({ "embedId": uuid::Uuid::nil() }),
        ("POST", "/api/auth/code") => json!({ "code": "ABCD-EFGH" }),
        ("POST", "/api/auth/signin") => json!({ "token": "x.y.z" }),
        (method, path) => panic!("{method} {path} has no worst request here: give it one"),
    };
    ("application/json", padded(&object, limit))
}

/// Queries as long as a head can be, of the endpoints that read one.
fn worst_queries(endpoint: &Endpoint, cast: &Cast) -> Vec<String> {
    let fill = |unit: &dyn Fn(usize) -> String| {
        let mut text = String::new();
        for number in 0.. {
            let next = unit(number);
            if text.len() + next.len() > QUERY_BYTES {
                break;
            }
            text += &next;
        }
        text
    };
    match endpoint.path {
        "/session" if endpoint.method == "GET" => vec![
            "all=true".to_owned(),
            fill(&|number| format!("filter[{number:x}]=&")),
            fill(&|_| "filter[=&".to_owned()),
            fill(&|_| "&".to_owned()),
            format!(
                "all=true&{}",
                (0..64).map(|n| format!("filterNot[{n}]={}&", "v".repeat(400))).collect::<String>()
            ),
        ],
        "/api/games" => vec![
            format!("search={}", "a+".repeat(127)),
            format!("search={}", "a+".repeat(15_000)),
            fill(&|_| "tag=%41&".to_owned()),
        ],
        "/logs" => vec![format!("id={}", cast.hosted), fill(&|_| "id=%2E&".to_owned())],
        "/artifacts" => vec![format!("session={}&path=/{}", cast.hosted, "../".repeat(10_000))],
        "/api/game/session-status" => {
            vec![format!("sessionId={}", cast.session), fill(&|_| "sessionId=%41&".to_owned())]
        }
        "/api/game/save-slots" => {
            vec![format!("gameSlug={}", crate::GARDEN), fill(&|_| "gameSlug=-&".to_owned())]
        }
        "/api/game/share" if endpoint.method == "GET" => vec![format!("sessionId={}", cast.session)],
        _ => vec![String::new()],
    }
}

/// The paths of an endpoint: a real one, and one with as much in it as a head can have.
fn worst_paths(endpoint: &Endpoint, cast: &Cast) -> Vec<String> {
    let long = "%2E".repeat(QUERY_BYTES / 3);
    let own = match endpoint.path {
        // The session is needed.
        "/session/{id}" if endpoint.method == "DELETE" => endpoint.path.to_owned(),
        path if path.starts_with("/session/{id}/") => path.replace("{id}", &cast.session),
        path if path.starts_with("/session/{id}") => path.replace("{id}", &cast.hosted),
        path if path.starts_with("/api/game/save-slots/{id}") => path.replace("{id}", &cast.slot),
        path => path.to_owned(),
    };
    let with = |text: &str| {
        let mut path = String::new();
        for part in own.split('/').skip(1) {
            path.push('/');
            path.push_str(if part.starts_with('{') { text } else { part });
        }
        path
    };
    if own.contains('{') { vec![with("x"), with(&long[..long.len() / 3 / 3 * 3])] } else { vec![own] }
}

fn attacks(cast: &Cast) -> Vec<Attack> {
    let mut found = Vec::new();
    for endpoint in ENDPOINTS {
        let token = match endpoint.path {
            "/metrics" | "/api/nodes" => &cast.operator,
            path if path.starts_with("/api/webhooks") => &cast.operator,
            "/session" | "/artifacts" | "/logs" | "/session/{id}" | "/session/{id}/token" => {
                &cast.organisation
            }
            path if path.starts_with("/session/player/") || path.starts_with("/tag/") => &cast.organisation,
            "/available-location/{image}" => &cast.organisation,
            _ => &cast.player,
        };
        // These go on: their own tests hold them open.
        if matches!(endpoint.path, "/api/events" | "/session/{id}/signal") {
            continue;
        }
        // A grant is for a hosted session.
        let path_of = |path: String| {
            if endpoint.path == "/session/{id}/token" {
                path.replace(&cast.session, &cast.hosted)
            } else {
                path
            }
        };
        let (kind, bodies) = worst_bodies(endpoint, cast);
        for (what, body) in bodies {
            for path in worst_paths(endpoint, cast) {
                for query in worst_queries(endpoint, cast) {
                    let mark = if query.is_empty() { "" } else { "?" };
                    found.push(Attack {
                        what: format!(
                            "{} {}: {what}, {} bytes of query",
                            endpoint.method,
                            endpoint.path,
                            query.len()
                        ),
                        method: endpoint.method.parse().unwrap(),
                        path: format!("{}{mark}{query}", path_of(path.clone())),
                        kind,
                        body: body.clone(),
                        token: token.clone(),
                    });
                }
            }
        }
    }
    found
}

/// Sends it and gives the status; a body of an answer is read to its end.
async fn send(client: &Client, attack: &Attack) -> u16 {
    let mut request = client
        .http()
        .request(attack.method.clone(), format!("{}{}", client.base, attack.path))
        .bearer_auth(&attack.token);
    if !attack.kind.is_empty() {
        request = request.header("content-type", attack.kind).body(attack.body.clone());
    }
    let response = request.send().await.unwrap_or_else(|error| panic!("{}: {error}", attack.what));
    let status = response.status().as_u16();
    if let Some(viewer) = response.headers().get("location").filter(|_| attack.path.ends_with("/whep")) {
        let resource = format!("{}{}", client.base, viewer.to_str().unwrap());
        client.http().delete(resource).bearer_auth(&attack.token).send().await.unwrap();
    } else {
        let _ = response.bytes().await;
    }
    status
}

/// Messages as large as the gateway takes them, on a connection each: a flood of them ends it.
async fn signal(stand: &Stand, cast: &Cast) {
    let limit = playgate_signaling::message::MAX_MESSAGE_BYTES;
    let mut messages: Vec<Vec<u8>> = Vec::new();
    messages
        .extend(padded(&json!({ "type": "ping", "id": 1 }), limit - 64).into_iter().map(|(_, body)| body));
    for (_, offer) in offers(limit / 2) {
        let sdp = String::from_utf8(offer).unwrap();
        messages.push(json!({ "type": "offer", "id": 1, "sdp": sdp }).to_string().into_bytes());
    }
    for message in messages {
        let url = format!("{}/session/{}/signal", stand.gateway.url.replace("http", "ws"), cast.session);
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {}", cast.player).parse().unwrap());
        let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
        let hello = json!({ "type": "hello", "role": "spectator" }).to_string();
        socket.send(Message::text(hello)).await.unwrap();
        // The welcome.
        let _ = socket.next().await;
        socket.send(Message::text(String::from_utf8(message).unwrap())).await.unwrap();
        let _ = tokio::time::timeout(Duration::from_secs(5), socket.next()).await;
    }
}

/// The parts that stay through the test.
async fn cast(stand: &Stand) -> Cast {
    let player = stand.gateway.guest().await;
    let session = player.launch_running(crate::GARDEN).await;
    let slot = player.slots(crate::GARDEN).await[2]["id"].as_str().unwrap().to_owned();
    let env: serde_json::Map<_, _> =
        (0..100).map(|number| (format!("K{number}"), json!("${".repeat(1200)))).collect();
    let request = json!({ "id": "crowded", "location": REGION, "image": super::stand::IMAGE, "env": env });
    stand.start(request).await;
    for from in 0..10 {
        let names: Vec<_> = (0..1000).map(|number| format!("{:0256}", from * 1000 + number)).collect();
        let reply = stand.api.http().put(format!("{}/session/player/join", stand.api.base));
        let body = json!({ "session": "crowded", "players": names });
        let reply = reply.bearer_auth(stand.api.token()).json(&body).send().await.unwrap();
        assert_eq!(reply.status(), 200);
    }
    Cast {
        organisation: stand.api.token().to_owned(),
        player: player.token().to_owned(),
        operator: stand.gateway.mint(&["--operator"]).await,
        hosted: "crowded".to_owned(),
        session,
        slot,
    }
}

/// What came of sending everything to a new gateway.
struct Round {
    quiet: Duration,
    worst: Duration,
    /// What made the others wait.
    late: Vec<String>,
}

/// Sends the worst requests one after the other to a gateway of their own: what is slow only once counts, too.
async fn round() -> Round {
    let stand = Stand::new("session_api.starts_per_minute = 10000\nsessions.capacity = 200").await;
    let cast = cast(&stand).await;
    let attacks = attacks(&cast);
    let routes: BTreeSet<&str> = attacks.iter().filter_map(|attack| attack.what.split(':').next()).collect();
    assert_eq!(routes.len() + 2, ENDPOINTS.len(), "all but events and signaling, which follow");
    let probe = Probe::start(stand.gateway.port());
    let quiet = probe.quiet().await;
    let mut round = Round { quiet, worst: Duration::ZERO, late: Vec::new() };
    for attack in &attacks {
        let begun = Instant::now();
        let status = send(&stand.api, attack).await;
        assert!(status < 500 || status == 503, "{}: {status}", attack.what);
        let took = begun.elapsed();
        round.note(probe.take(), || format!("{} ({status} after {took:?})", attack.what));
    }
    signal(&stand, &cast).await;
    round.note(probe.take(), || "signaling".to_owned());
    probe.end();
    eprintln!(
        "{} requests to {} routes: the worst answer of /api/health took {:?}, and {quiet:?} while it was quiet",
        attacks.len(),
        ENDPOINTS.len(),
        round.worst
    );
    stand.finish().await;
    round
}

impl Round {
    fn note(&mut self, worst: Duration, what: impl Fn() -> String) {
        self.worst = self.worst.max(worst);
        if worst > WORST {
            self.late.push(format!("/api/health took {worst:?} during {}", what()));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a1_no_request_of_any_route_delays_the_others() {
    let mut late = Vec::new();
    for _ in 0..ROUNDS {
        let round = round().await;
        if round.late.is_empty() {
            return;
        }
        eprintln!("{}", round.late.join("\n"));
        if round.quiet > QUIET {
            eprintln!("this round is not judged: the machine takes {:?} while nothing happens", round.quiet);
        } else {
            late.push(round.late.join("\n"));
        }
    }
    if late.is_empty() {
        eprintln!("NOT JUDGED: the machine was never quiet enough");
    }
    assert!(late.is_empty(), "in each of {} rounds on a quiet machine:\n{}", late.len(), late.join("\n\n"));
}
