//! The runner's end of the control channel: dials out, says hello, keeps the connection, dials again.
//!
//! Says what happened; what follows from a lost gateway is decided by its owner. Ends when its owner drops the outgoing
//! queue, with everything in it sent where there is a connection.

use super::settings::Token;
use futures_util::{SinkExt, StreamExt};
use playgate_signaling::input::InputFrame;
use playgate_signaling::runner::{GatewayMessage, MAX_MESSAGE_BYTES, RunnerMessage, VERSION};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::header::{AUTHORIZATION, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

/// For the connection, and again for the welcome.
const PATIENCE: Duration = Duration::from_secs(5);
/// The gateway pings every 10 s; silence for this long is a dead connection.
const SILENCE: Duration = Duration::from_secs(35);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Players are to be back within seconds of a gateway's restart: at first it is looked for often.
const SOON: Duration = Duration::from_secs(30);
const LONGEST_PAUSE_SOON: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Close code of a gateway that took a newer connection of the same session.
const REPLACED: u16 = 4001;

/// What comes from the gateway.
#[derive(Debug)]
pub(super) enum FromGateway {
    Welcome(Welcome),
    Message(GatewayMessage),
    Input(u8, InputFrame),
    /// The connection is gone; another is being tried.
    Lost,
    /// Another runner of this session has connected: this one is not wanted any more. Nothing follows.
    Replaced,
}

/// The gateway's welcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Welcome {
    pub(super) rtp_video: String,
    pub(super) rtp_audio: String,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) fps: u32,
    pub(super) kbps: u32,
}

pub(super) struct Client {
    pub(super) url: String,
    pub(super) token: Token,
    pub(super) hello: RunnerMessage,
    /// Bounded: when its owner is slow, reading waits.
    pub(super) incoming: mpsc::Sender<FromGateway>,
    pub(super) outgoing: mpsc::Receiver<RunnerMessage>,
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Why a connection is over.
#[derive(Debug, thiserror::Error)]
enum Over {
    /// Its owner has gone.
    #[error("finished")]
    Finished,
    #[error("replaced by a newer connection")]
    Replaced,
    #[error("the gateway did not answer in time")]
    Silent,
    #[error("the gateway closed the connection")]
    Closed,
    #[error("the gateway did not begin with a welcome of version {VERSION}")]
    NoWelcome,
    #[error(transparent)]
    Socket(#[from] tungstenite::Error),
}

impl Client {
    pub(super) async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        let mut alone_since = Instant::now();
        loop {
            let over = match self.connect().await {
                Ok((mut socket, welcome)) => {
                    if self.incoming.send(FromGateway::Welcome(welcome)).await.is_err() {
                        return;
                    }
                    let Err(over) = self.talk(&mut socket).await;
                    pause = FIRST_PAUSE;
                    alone_since = Instant::now();
                    over
                }
                Err(over) => over,
            };
            match over {
                Over::Finished => return,
                Over::Replaced => {
                    let _ = self.incoming.send(FromGateway::Replaced).await;
                    return;
                }
                Over::Silent | Over::Closed | Over::NoWelcome | Over::Socket(_) => {
                    tracing::debug!(error = %over, "no control channel");
                    if self.incoming.send(FromGateway::Lost).await.is_err() {
                        return;
                    }
                }
            }
            // What was meant for the lost connection is told anew after the next welcome.
            if !self.pause(pause).await {
                return;
            }
            let longest = if alone_since.elapsed() < SOON { LONGEST_PAUSE_SOON } else { LONGEST_PAUSE };
            pause = (pause * 2).min(longest);
        }
    }

    /// False when the owner has gone meanwhile.
    async fn pause(&mut self, pause: Duration) -> bool {
        let until = Instant::now() + pause.mul_f64(0.75 + 0.5 * f64::from(random_byte()) / 255.0);
        loop {
            tokio::select! {
                () = sleep_until(until) => return true,
                message = self.outgoing.recv() => if message.is_none() { return false },
            }
        }
    }

    async fn connect(&mut self) -> Result<(Socket, Welcome), Over> {
        let mut request = self.url.as_str().into_client_request()?;
        let bearer =
            HeaderValue::try_from(format!("Bearer {}", self.token.0)).map_err(tungstenite::http::Error::from);
        request.headers_mut().insert(AUTHORIZATION, bearer.map_err(tungstenite::Error::from)?);
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE_BYTES))
            .max_frame_size(Some(MAX_MESSAGE_BYTES));
        let connecting = connect_async_with_config(request, Some(config), true);
        let (mut socket, _) = timeout(PATIENCE, connecting).await.map_err(|_| Over::Silent)??;
        socket.send(text(&self.hello)).await?;
        let welcome = timeout(PATIENCE, welcome(&mut socket)).await.map_err(|_| Over::Silent)??;
        Ok((socket, welcome))
    }

    async fn talk(&mut self, socket: &mut Socket) -> Result<std::convert::Infallible, Over> {
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                message = self.outgoing.recv() => {
                    let Some(message) = message else {
                        let _ = timeout(PATIENCE, socket.close(None)).await;
                        return Err(Over::Finished);
                    };
                    timeout(PATIENCE, socket.send(text(&message))).await.map_err(|_| Over::Silent)??;
                }
                message = socket.next() => {
                    heard = Instant::now();
                    match message.ok_or(Over::Closed)?? {
                        Message::Text(text) => match serde_json::from_str(&text) {
                            Ok(message) => self.pass(FromGateway::Message(message)).await?,
                            Err(error) => tracing::debug!(%error, "ignored a message of the gateway"),
                        },
                        Message::Binary(bytes) => match decode(&bytes) {
                            Some((slot, frame)) => self.pass(FromGateway::Input(slot, frame)).await?,
                            None => tracing::debug!(bytes = bytes.len(), "ignored an input frame"),
                        },
                        Message::Close(Some(frame)) if u16::from(frame.code) == REPLACED => return Err(Over::Replaced),
                        Message::Close(_) => return Err(Over::Closed),
                        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
                    }
                }
                () = sleep_until(heard + SILENCE) => return Err(Over::Silent),
            }
        }
    }

    async fn pass(&self, event: FromGateway) -> Result<(), Over> {
        self.incoming.send(event).await.map_err(|_| Over::Finished)
    }
}

async fn welcome(socket: &mut Socket) -> Result<Welcome, Over> {
    loop {
        match socket.next().await.ok_or(Over::Closed)?? {
            Message::Text(text) => {
                return match serde_json::from_str(&text) {
                    Ok(GatewayMessage::Welcome {
                        v: VERSION,
                        rtp_video,
                        rtp_audio,
                        width,
                        height,
                        fps,
                        kbps,
                    }) => Ok(Welcome { rtp_video, rtp_audio, width, height, fps, kbps }),
                    Ok(_) | Err(_) => Err(Over::NoWelcome),
                };
            }
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            Message::Binary(_) => return Err(Over::NoWelcome),
            Message::Close(_) => return Err(Over::Closed),
        }
    }
}

/// A slot byte and an input frame.
fn decode(bytes: &[u8]) -> Option<(u8, InputFrame)> {
    let (&slot, frame) = bytes.split_first()?;
    Some((slot, InputFrame::decode(frame).ok()?))
}

fn text(message: &RunnerMessage) -> Message {
    // These types always serialise; an empty object would be ignored by the gateway.
    Message::Text(serde_json::to_string(message).unwrap_or_else(|_| "{}".to_owned()).into())
}

/// For spreading reconnects; nothing depends on its quality.
fn random_byte() -> u8 {
    let mut byte = [0];
    let _ = aws_lc_rs::rand::fill(&mut byte);
    byte[0]
}
