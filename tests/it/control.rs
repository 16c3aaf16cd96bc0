//! The gateway's end of the control channel, over real sockets.

use futures_util::{SinkExt, StreamExt};
use playgate::control::{ControlEvent, ControlHub, ControlLink, WelcomeSpec};
use playgate::model::ids::SessionId;
use playgate_signaling::runner::{GatewayMessage, RunnerMessage, Stream};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Longest wait for a condition; a test that gets here fails.
const PATIENCE: Duration = Duration::from_secs(20);

struct Gateway {
    hub: ControlHub,
    address: SocketAddr,
}

impl Gateway {
    async fn start() -> Self {
        let hub = ControlHub::new(&mut prometheus_client::registry::Registry::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("address");
        let router = hub.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { hub, address }
    }

    fn register(&self) -> ControlLink {
        self.hub.register(SessionId::new(), welcome())
    }

    async fn connect(&self, path: &str, authorization: Option<&str>) -> Result<Socket, u16> {
        let mut request = format!("ws://{}{path}", self.address).into_client_request().expect("request");
        if let Some(value) = authorization {
            request.headers_mut().insert("authorization", value.parse().expect("header"));
        }
        match connect_async(request).await {
            Ok((socket, _)) => Ok(socket),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("no HTTP answer: {error}"),
        }
    }

    async fn runner(&self, link: &ControlLink) -> Socket {
        let bearer = format!("Bearer {}", link.token);
        let mut socket = self.connect(&link.path, Some(&bearer)).await.expect("connects");
        say(&mut socket, &hello(1)).await;
        let heard = hear(&mut socket).await;
        assert!(
            matches!(heard, Heard::Message(GatewayMessage::Welcome { v: 1, kbps: 6000, .. })),
            "{heard:?}"
        );
        socket
    }
}

fn welcome() -> WelcomeSpec {
    WelcomeSpec {
        rtp_video: "127.0.0.1:5000".to_owned(),
        rtp_audio: "127.0.0.1:5002".to_owned(),
        width: 1280,
        height: 720,
        fps: 60,
        kbps: 6000,
    }
}

#[derive(Debug)]
enum Heard {
    Message(GatewayMessage),
    Binary(Vec<u8>),
    Closed(Option<u16>),
}

async fn say(socket: &mut Socket, message: &RunnerMessage) {
    let text = serde_json::to_string(message).expect("json");
    socket.send(Message::text(text)).await.expect("sends");
}

async fn hear(socket: &mut Socket) -> Heard {
    let heard = async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Text(text))) => {
                    return Heard::Message(serde_json::from_str(&text).expect("json"));
                }
                Some(Ok(Message::Binary(bytes))) => return Heard::Binary(bytes.to_vec()),
                Some(Ok(Message::Close(frame))) => {
                    return Heard::Closed(frame.map(|frame| frame.code.into()));
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(_)) | None => return Heard::Closed(None),
            }
        }
    };
    tokio::time::timeout(PATIENCE, heard).await.expect("something is heard")
}

async fn closed(socket: &mut Socket) -> Option<u16> {
    match hear(socket).await {
        Heard::Closed(code) => code,
        heard @ (Heard::Message(_) | Heard::Binary(_)) => panic!("not closed: {heard:?}"),
    }
}

async fn event(link: &mut ControlLink) -> ControlEvent {
    tokio::time::timeout(PATIENCE, link.events.recv()).await.expect("an event").expect("the hub is there")
}

fn hello(v: u32) -> RunnerMessage {
    let video = Some(Stream { codec: "H264".to_owned(), pt: 96, ssrc: 7 });
    RunnerMessage::Hello { v, video, audio: None, pads: 2, pointer: Some("absolute".to_owned()) }
}

fn is_connected(event: &ControlEvent) -> bool {
    matches!(event, ControlEvent::Connected { pads: 2, .. })
}

#[tokio::test]
async fn without_the_right_token_there_is_no_connection_and_no_detail() {
    let gateway = Gateway::start().await;
    let link = gateway.register();
    let other = gateway.register();
    let bearer = |token: &str| format!("Bearer {token}");
    assert_eq!(gateway.connect(&link.path, None).await.err(), Some(401));
    assert_eq!(gateway.connect(&link.path, Some("Basic abc")).await.err(), Some(401));
    assert_eq!(gateway.connect(&link.path, Some(&bearer("wrong"))).await.err(), Some(404));
    assert_eq!(gateway.connect(&link.path, Some(&bearer(&other.token))).await.err(), Some(404));
    let unknown = format!("/runner/{}", SessionId::new());
    assert_eq!(gateway.connect(&unknown, Some(&bearer(&link.token))).await.err(), Some(404));
    assert_eq!(gateway.connect("/runner/none", Some(&bearer(&link.token))).await.err(), Some(404));
}

#[tokio::test]
async fn hello_is_answered_and_messages_pass_both_ways() {
    let gateway = Gateway::start().await;
    let mut link = gateway.register();
    assert!(!link.sender.send(GatewayMessage::Keyframe { number: 1 }), "nobody is there yet");
    let mut socket = gateway.runner(&link).await;
    assert!(is_connected(&event(&mut link).await));

    assert!(link.sender.send(GatewayMessage::Bitrate { kbps: 900 }));
    assert!(matches!(hear(&mut socket).await, Heard::Message(GatewayMessage::Bitrate { kbps: 900 })));
    assert!(link.sender.input(3, bytes::Bytes::from_static(&[6])));
    assert!(matches!(hear(&mut socket).await, Heard::Binary(bytes) if bytes == [3, 6]));
    assert!(!link.sender.input(3, vec![0; 300].into()), "longer than any input frame");

    socket.send(Message::text(r#"{"type":"of_the_future","x":1}"#)).await.expect("sends");
    socket.send(Message::text("no json")).await.expect("sends");
    say(&mut socket, &RunnerMessage::Ready).await;
    assert_eq!(
        event(&mut link).await,
        ControlEvent::Message(RunnerMessage::Ready),
        "what is unknown was ignored"
    );

    socket.close(None).await.expect("closes");
    assert_eq!(event(&mut link).await, ControlEvent::Disconnected);
}

#[tokio::test]
async fn a_newer_connection_replaces_the_older() {
    let gateway = Gateway::start().await;
    let mut link = gateway.register();
    let mut older = gateway.runner(&link).await;
    let mut newer = gateway.runner(&link).await;
    assert_eq!(closed(&mut older).await, Some(4001));
    assert!(is_connected(&event(&mut link).await));
    assert!(is_connected(&event(&mut link).await), "no disconnect in between");
    assert!(link.sender.send(GatewayMessage::Pause));
    assert!(matches!(hear(&mut newer).await, Heard::Message(GatewayMessage::Pause)));
    say(&mut newer, &RunnerMessage::Saved).await;
    assert_eq!(event(&mut link).await, ControlEvent::Message(RunnerMessage::Saved));
}

#[tokio::test]
async fn a_runner_must_begin_with_a_hello_of_this_version() {
    let gateway = Gateway::start().await;
    let link = gateway.register();
    let bearer = format!("Bearer {}", link.token);
    for first in [RunnerMessage::Ready, hello(2)] {
        let mut socket = gateway.connect(&link.path, Some(&bearer)).await.expect("connects");
        say(&mut socket, &first).await;
        assert_eq!(closed(&mut socket).await, Some(1008));
    }
    let mut socket = gateway.connect(&link.path, Some(&bearer)).await.expect("connects");
    socket.send(Message::binary(vec![1, 2])).await.expect("sends");
    assert_eq!(closed(&mut socket).await, Some(1003));
}

#[tokio::test]
async fn a_runner_that_says_nothing_is_let_go() {
    let gateway = Gateway::start().await;
    let mut link = gateway.register();
    let bearer = format!("Bearer {}", link.token);
    let mut socket = gateway.connect(&link.path, Some(&bearer)).await.expect("connects");
    assert_eq!(closed(&mut socket).await, Some(1008));
    assert!(link.events.try_recv().is_err(), "the session heard nothing of it");
}

#[tokio::test]
async fn a_flood_ends_the_connection_and_nothing_else() {
    let gateway = Gateway::start().await;
    let mut link = gateway.register();
    let mut quiet = gateway.register();
    let mut other = gateway.runner(&quiet).await;
    let mut socket = gateway.runner(&link).await;
    // The peer may be gone before all of it is written.
    for _ in 0..2000 {
        let health =
            serde_json::to_string(&RunnerMessage::Health { fps: 1.0, encode_ms: 1.0 }).expect("json");
        if socket.feed(Message::text(health)).await.is_err() {
            break;
        }
    }
    let _ = socket.flush().await;
    loop {
        match event(&mut link).await {
            ControlEvent::Disconnected => break,
            ControlEvent::Connected { .. } | ControlEvent::Message(_) => {}
        }
    }
    assert!(is_connected(&event(&mut quiet).await));
    say(&mut other, &RunnerMessage::Ready).await;
    assert_eq!(event(&mut quiet).await, ControlEvent::Message(RunnerMessage::Ready));
    let again = gateway.runner(&link).await;
    drop(again);
}

#[tokio::test]
async fn a_message_that_is_too_large_ends_the_connection() {
    let gateway = Gateway::start().await;
    let mut link = gateway.register();
    let mut socket = gateway.runner(&link).await;
    assert!(is_connected(&event(&mut link).await));
    let _ = socket.send(Message::text("x".repeat(300 * 1024))).await;
    assert_eq!(event(&mut link).await, ControlEvent::Disconnected);
}

#[tokio::test]
async fn dropping_the_link_ends_the_connection_and_forgets_the_session() {
    let gateway = Gateway::start().await;
    let link = gateway.register();
    let mut socket = gateway.runner(&link).await;
    let (path, bearer) = (link.path.clone(), format!("Bearer {}", link.token));
    drop(link);
    assert_eq!(closed(&mut socket).await, Some(1000));
    assert_eq!(gateway.connect(&path, Some(&bearer)).await.err(), Some(404));
}

#[tokio::test]
async fn a_runner_of_an_earlier_gateway_comes_back_with_its_token_and_no_other() {
    let first = Gateway::start().await;
    let session = SessionId::new();
    let given = first.hub.register(session, welcome());
    assert_eq!(given.token_sha256.len(), 32);

    let next = Gateway::start().await;
    let mut link = next.hub.adopt(session, given.token_sha256, welcome());
    assert_eq!((link.token.as_str(), &link.path, link.token_sha256), ("", &given.path, given.token_sha256));
    for wrong in ["", "wrong", &next.register().token] {
        let refused = next.connect(&link.path, Some(&format!("Bearer {wrong}"))).await.err();
        assert!(matches!(refused, Some(401 | 404)), "{wrong}: {refused:?}");
    }
    let bearer = format!("Bearer {}", given.token);
    let mut socket = next.connect(&link.path, Some(&bearer)).await.expect("connects");
    say(&mut socket, &hello(1)).await;
    assert!(is_connected(&event(&mut link).await));
}
