//! A signaling client over tokio-tungstenite: dials, says hello, and then moves messages through the
//! [`ClientMachine`].
//!
//! Every wait but [`SignalingClient::recv`] has a deadline. Sizes are bounded as in [`crate::message`]. The token
//! travels in the `hello`, never in a header or an address.

use crate::client_machine::{ClientMachine, ClientMachineError};
use crate::message::{
    ClientMessage, ErrorCode, GameHints, IceServer, MAX_SERVER_MESSAGE_BYTES, MessageError, Role,
    ServerMessage,
};
use futures_util::{SinkExt, StreamExt};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};

/// How to connect.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// A user's or a grant's token.
    pub token: Option<String>,
    pub role: Option<Role>,
    /// Viewer id and secret of an earlier [`Welcome`].
    pub resume: Option<(String, String)>,
    /// For `wss`. Absent: the system's certificates.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// For connecting up to and including the welcome, and for each message sent.
    pub timeout: Duration,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self { token: None, role: None, resume: None, tls: None, timeout: Duration::from_secs(10) }
    }
}

/// What the gateway said in its welcome.
#[derive(Debug, Clone, PartialEq)]
pub struct Welcome {
    pub session_id: String,
    pub viewer_id: String,
    pub resume: String,
    pub resumed: bool,
    pub role: Role,
    pub slot: Option<u8>,
    pub ice_servers: Vec<IceServer>,
    pub media: Vec<String>,
    pub game: GameHints,
}

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("cannot connect: {0}")]
    Connect(#[source] Box<tungstenite::Error>),
    /// The upgrade was answered with an HTTP status.
    #[error("the gateway answered HTTP {0}")]
    Http(u16),
    #[error("the connection broke: {0}")]
    Broken(#[source] Box<tungstenite::Error>),
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The gateway refused with words of its own and closes.
    #[error("{message}")]
    Refused { code: ErrorCode, message: String },
    #[error("the session ended: {0}")]
    Ended(String),
    /// Closed by the gateway with this code (0: without one).
    #[error("the gateway closed the connection ({code} {reason})")]
    Closed { code: u16, reason: String },
    #[error("the gateway sent something else than this protocol: {0}")]
    Message(#[from] MessageError),
    #[error(transparent)]
    Protocol(#[from] ClientMachineError),
}

/// A connection that has been welcomed.
#[derive(Debug)]
pub struct SignalingClient {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    machine: ClientMachine,
    welcome: Welcome,
    timeout: Duration,
}

/// Dials `url` (`ws://` or `wss://`, `/session/{id}/signal`), says hello and waits for the welcome.
pub async fn connect(url: &str, options: ConnectOptions) -> Result<SignalingClient, ClientError> {
    let timeout = options.timeout;
    tokio::time::timeout(timeout, dial(url, options)).await.map_err(|_| ClientError::Timeout(timeout))?
}

async fn dial(url: &str, options: ConnectOptions) -> Result<SignalingClient, ClientError> {
    let config = WebSocketConfig::default()
        .read_buffer_size(16 * 1024)
        .write_buffer_size(0)
        .max_message_size(Some(MAX_SERVER_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_SERVER_MESSAGE_BYTES));
    let connector = options.tls.map(Connector::Rustls);
    let (mut socket, _) =
        connect_async_tls_with_config(url, Some(config), true, connector).await.map_err(refused_upgrade)?;
    let (viewer_id, resume) = options.resume.unzip();
    let hello = ClientMessage::Hello { token: options.token, role: options.role, viewer_id, resume };
    let mut machine = ClientMachine::new();
    machine.send(&hello)?;
    socket.send(Message::text(hello.to_json())).await.map_err(broken)?;
    loop {
        if let ServerMessage::Welcome {
            session_id,
            viewer_id,
            resume,
            resumed,
            role,
            slot,
            ice_servers,
            media,
            game,
        } = receive(&mut socket, &mut machine).await?
        {
            let welcome =
                Welcome { session_id, viewer_id, resume, resumed, role, slot, ice_servers, media, game };
            return Ok(SignalingClient { socket, machine, welcome, timeout: options.timeout });
        }
    }
}

impl SignalingClient {
    /// What the gateway said when it let us in.
    pub fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// Sends an offer; the answer comes out of [`Self::recv`]. Gives the offer's id.
    pub async fn offer(&mut self, sdp: String) -> Result<u32, ClientError> {
        let message = self.machine.offer(sdp)?;
        let id = match &message {
            ClientMessage::Offer { id, .. } => *id,
            ClientMessage::Hello { .. }
            | ClientMessage::Keepalive
            | ClientMessage::Quality(_)
            | ClientMessage::RequestControl { .. }
            | ClientMessage::ReleaseControl
            | ClientMessage::PassControl { .. }
            | ClientMessage::DenyControl { .. }
            | ClientMessage::TakeControl { .. }
            | ClientMessage::Ping { .. }
            | ClientMessage::Bye => 0,
        };
        self.write(&message).await?;
        Ok(id)
    }

    /// Sends an offer and waits for its answer; other messages that come meanwhile go to `other`.
    pub async fn negotiate(
        &mut self,
        sdp: String,
        mut other: impl FnMut(ServerMessage),
    ) -> Result<String, ClientError> {
        let wanted = self.offer(sdp).await?;
        let timeout = self.timeout;
        let answer = async {
            loop {
                let message = self.recv().await?;
                if let ServerMessage::Answer { sdp, .. } = message {
                    return Ok(sdp);
                }
                if let ServerMessage::Error { code, message, offer: Some(id), .. } = &message
                    && *id == wanted
                {
                    return Err(ClientError::Refused { code: *code, message: message.clone() });
                }
                other(message);
            }
        };
        tokio::time::timeout(timeout, answer).await.map_err(|_| ClientError::Timeout(timeout))?
    }

    /// Sends any other message.
    pub async fn send(&mut self, message: ClientMessage) -> Result<(), ClientError> {
        self.machine.send(&message)?;
        self.write(&message).await
    }

    /// The next message. Errors that are not fatal come as messages; fatal ones, the session's end and the close
    /// come as errors. Cancel safe.
    pub async fn recv(&mut self) -> Result<ServerMessage, ClientError> {
        receive(&mut self.socket, &mut self.machine).await
    }

    /// Says goodbye and closes.
    pub async fn close(mut self) {
        if self.send(ClientMessage::Bye).await.is_ok() {
            let _ = tokio::time::timeout(self.timeout, self.socket.close(None)).await;
        }
    }

    async fn write(&mut self, message: &ClientMessage) -> Result<(), ClientError> {
        let timeout = self.timeout;
        let sent = self.socket.send(Message::text(message.to_json()));
        tokio::time::timeout(timeout, sent).await.map_err(|_| ClientError::Timeout(timeout))?.map_err(broken)
    }
}

async fn receive(
    socket: &mut WebSocketStream<MaybeTlsStream<TcpStream>>,
    machine: &mut ClientMachine,
) -> Result<ServerMessage, ClientError> {
    loop {
        let message = match socket.next().await {
            Some(Ok(message)) => message,
            Some(Err(error)) => {
                machine.disconnected();
                return Err(broken(error));
            }
            None => {
                machine.disconnected();
                return Err(ClientError::Closed { code: 0, reason: String::new() });
            }
        };
        match message {
            Message::Text(text) => {
                let Some(message) = machine.receive(ServerMessage::parse(&text)?)? else { continue };
                if let ServerMessage::Error { code, message, fatal: true, .. } = message {
                    return Err(ClientError::Refused { code, message });
                }
                if let ServerMessage::End { reason } = message {
                    return Err(ClientError::Ended(reason));
                }
                return Ok(message);
            }
            Message::Close(frame) => {
                machine.disconnected();
                let (code, reason) =
                    frame.map_or((0, String::new()), |frame| (frame.code.into(), frame.reason.to_string()));
                return Err(ClientError::Closed { code, reason });
            }
            // Pings are answered by the socket itself; binary frames have no meaning here.
            Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
}

fn refused_upgrade(error: tungstenite::Error) -> ClientError {
    if let tungstenite::Error::Http(response) = &error {
        ClientError::Http(response.status().as_u16())
    } else {
        ClientError::Connect(Box::new(error))
    }
}

fn broken(error: tungstenite::Error) -> ClientError {
    ClientError::Broken(Box::new(error))
}
