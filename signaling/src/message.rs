//! Signaling messages between a viewer (page, bot, embed) and the gateway: JSON text frames on
//! `WS /session/{id}/signal`.
//!
//! The browser offers, the gateway answers with all its candidates (no trickle). A client whose credentials do not
//! travel as a cookie or header sends its token in `hello`; until the gateway has admitted the viewer nothing else
//! is accepted.
//!
//! A connection that breaks does not end the media: for [`RESUME_SECONDS`] the viewer may come back with the viewer id
//! and the `resume` secret of its last welcome and keeps its peer.
//!
//! What viewers send is read strictly: unknown fields, unknown types and sizes out of bounds are refused. What the
//! gateway sends may grow, so clients ignore fields they do not know.

use crate::control::{ControlState, Wish};
use serde::{Deserialize, Serialize};

/// Largest message of a viewer, in bytes. An SDP offer of a browser is about 8 KiB.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;
/// Largest message of the gateway, in bytes: a cursor as large as a runner may send fits.
pub const MAX_SERVER_MESSAGE_BYTES: usize = 320 * 1024;
/// Longest token in a `hello`, in bytes.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// Longest viewer id and resume secret in a `hello`, in bytes.
pub const MAX_RESUME_BYTES: usize = 128;
/// How long a viewer whose connection broke may come back to its peer, in seconds.
pub const RESUME_SECONDS: u64 = 20;

/// What a viewer may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees, hears and sends input in a control slot.
    Player,
    /// Sees and hears.
    Spectator,
}

/// Viewer to gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum ClientMessage {
    /// Always the first message.
    Hello {
        /// Bearer token (user or grant) when no cookie or header carried one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
        /// Wanted role; the gateway may give less.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        role: Option<Role>,
        /// To come back after a broken connection: the viewer id of the last welcome, with `resume`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        viewer_id: Option<String>,
        /// The secret of the last welcome.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resume: Option<String>,
    },
    /// A complete SDP offer. `id` rises with every offer of this connection and comes back in the answer. An offer
    /// with new ICE credentials and the same DTLS fingerprint is an ICE restart of the same peer.
    Offer { id: u32, sdp: String },
    /// How the stream has been. For people who want to know, never for bills: whoever sends it may say what they like.
    Quality(QualityReport),
    /// Asks for a control slot (0-based; without one, any): granted, denied, or withdrawn by `release-control`.
    RequestControl {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        slot: Option<u8>,
    },
    /// Gives the controls back, or asks for them no longer.
    ReleaseControl,
    /// Gives a slot to another viewer, whether it asked or not; with `seconds` (5-3600) it comes back after that.
    PassControl {
        viewer_id: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        slot: Option<u8>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seconds: Option<u32>,
    },
    /// Turns a request down.
    DenyControl { viewer_id: String },
    /// The host takes a slot back.
    TakeControl {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        slot: Option<u8>,
    },
    /// The player is still there (someone touched the input): extends the idle lease.
    Keepalive,
    /// Asks for a pong with the same number, to measure the signaling round trip.
    Ping { n: u32 },
    /// The viewer leaves on purpose.
    Bye,
}

/// What a viewer saw of the stream since its last report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QualityReport {
    /// How long that was, in milliseconds, 1-60000.
    pub duration_ms: u32,
    /// Received, picture and sound.
    pub bytes: u64,
    /// Of the picture: packets that came, and packets that never did.
    pub packets: u32,
    pub lost: u32,
    /// The picture stood still though it should not have, at most as long as the report.
    pub frozen_ms: u32,
    /// From setting out to join to the first picture, at most ten minutes; in the first report that knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_frame_ms: Option<u32>,
    /// At most a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip_ms: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
}

/// Why the video of a session's source cannot be shown, or not well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFault {
    /// `payload_type`, `no_parameter_sets`, `b_frames`, `large_packets`, `no_key_frame`.
    pub code: String,
    /// The cause and what to do about it, for whoever runs the source.
    pub message: String,
}

/// How media travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    Udp,
    Tcp,
    /// By a TURN server.
    Relay,
}

/// Gateway to viewer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum ServerMessage {
    /// The viewer is admitted.
    Welcome {
        session_id: String,
        viewer_id: String,
        /// Secret to come back with after a broken connection.
        resume: String,
        /// True when this viewer came back and its peer is still there: no new offer is needed.
        #[serde(default)]
        resumed: bool,
        role: Role,
        /// Control slot of a player, 0-based.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        slot: Option<u8>,
        ice_servers: Vec<IceServer>,
        /// `host:port` of every UDP address the gateway answers media on, for the message when nothing connects.
        media: Vec<String>,
        game: GameHints,
    },
    /// The answer to the offer of the same `id`.
    Answer {
        id: u32,
        sdp: String,
    },
    /// The session's state, at admission and at every change.
    Status {
        status: String,
        progress: Option<Progress>,
        end_reason: Option<String>,
        /// All that is wrong with the source.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        source_faults: Vec<SourceFault>,
    },
    /// The pointer's picture changed. `png` is base64; absent: the default arrow; `visible: false`: hidden.
    Cursor {
        visible: bool,
        png: Option<String>,
        hotspot_x: u16,
        hotspot_y: u16,
    },
    /// Gamepad rumble for the player's pad: magnitudes 0-65535, duration in milliseconds.
    Rumble {
        pad: u8,
        strong: u16,
        weak: u16,
        duration_ms: u16,
    },
    /// Who plays, who asks, who watches: after the welcome and at every change. It counts before the welcome's role.
    Control(ControlState),
    /// A save was written by the game.
    Saved,
    Pong {
        n: u32,
    },
    /// Something the viewer asked for was refused. `fatal` errors are followed by the close of the connection.
    Error {
        code: ErrorCode,
        message: String,
        fatal: bool,
        /// The offer this is about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offer: Option<u32>,
    },
    /// The session ended; the connection is closed after this.
    End {
        reason: String,
    },
}

/// Close codes of the WebSocket (RFC 6455, section 7.4).
pub mod close {
    /// The viewer left or the session ended.
    pub const NORMAL: u16 = 1000;
    /// The gateway shuts down.
    pub const GOING_AWAY: u16 = 1001;
    /// The gateway's own fault.
    pub const INTERNAL: u16 = 1011;
    /// Not this protocol.
    pub const INVALID: u16 = 4400;
    pub const UNAUTHORIZED: u16 = 4401;
    pub const NOT_FOUND: u16 = 4404;
    /// No `hello` in time.
    pub const TIMEOUT: u16 = 4408;
    /// Another connection of this viewer took its place.
    pub const REPLACED: u16 = 4409;
    /// The grant ended.
    pub const GRANT_ENDED: u16 = 4410;
    /// Too many messages, or a reader too slow for what is pushed to it.
    pub const FLOOD: u16 = 4429;
}

/// Why something was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// Not a message of this protocol, or not allowed now.
    InvalidMessage,
    /// The offer could not be used.
    InvalidOffer,
    /// The viewer cannot decode the source's codec; the message names it.
    UnsupportedCodec,
    /// No token, or one that is not good.
    Unauthorized,
    /// No such session for this token.
    NotFound,
    /// A grant was revoked or has expired while the viewer watched.
    GrantEnded,
    /// More messages than a person's page sends.
    TooManyMessages,
    /// Another connection of this player took the control slot.
    Replaced,
    /// The viewer's media ended while its connection stands; it may offer again. Never fatal.
    MediaEnded,
    /// A wish for the controls that this viewer may not have. Never fatal.
    NotAllowed,
    /// The session has as many viewers as it may.
    Full,
    Internal,
}

/// What a page must know of a game to offer the right controls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GameHints {
    pub slug: String,
    pub title: String,
    /// Picture size in pixels.
    pub width: u32,
    pub height: u32,
    pub pointer: PointerMode,
    /// Controls the on-screen pad shows.
    pub touch: Vec<TouchControl>,
    /// Gamepads the game reads.
    pub pads: u8,
}

/// How the game takes the mouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PointerMode {
    /// Positions in the picture.
    Absolute,
    /// Movements under pointer lock.
    Relative,
    /// Not at all.
    None,
}

/// One control of the on-screen pad: presses a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TouchControl {
    pub label: String,
    /// USB HID usage of the key, page 0x07.
    pub key: u16,
    pub place: TouchPlace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TouchPlace {
    Up,
    Down,
    Left,
    Right,
    /// Large button, right thumb.
    Primary,
    /// Smaller button beside it.
    Secondary,
}

/// What is being done while a session starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// `placing`, `downloading`, `restoring_save`, `starting`, `waiting_for_picture`, ...
    pub step: String,
    /// 0-100 where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<f32>,
}

/// As `RTCIceServer` of the WebRTC specification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IceServer {
    pub urls: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

/// Why a text is no message of this protocol.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    #[error("a message has at most {limit} bytes, this one has {bytes}")]
    TooLarge { bytes: usize, limit: usize },
    #[error("not a message of this protocol: {0}")]
    Json(#[from] serde_json::Error),
    #[error("`{field}` has at most {limit} bytes")]
    TooLong { field: &'static str, limit: usize },
    #[error("`{field}` is not allowed here")]
    UnknownField { field: String },
    #[error("messages are text frames")]
    NotText,
    #[error("`{field}` is out of range")]
    OutOfRange { field: &'static str },
}

impl ErrorCode {
    /// The close code that goes with a fatal error.
    pub fn close_code(self) -> u16 {
        match self {
            Self::InvalidMessage | Self::InvalidOffer | Self::UnsupportedCodec | Self::NotAllowed => {
                close::INVALID
            }
            Self::Unauthorized => close::UNAUTHORIZED,
            Self::NotFound => close::NOT_FOUND,
            Self::GrantEnded => close::GRANT_ENDED,
            Self::TooManyMessages => close::FLOOD,
            Self::Replaced => close::REPLACED,
            Self::MediaEnded | Self::Full | Self::Internal => close::INTERNAL,
        }
    }
}

impl ClientMessage {
    /// Reads a viewer's message.
    pub fn parse(text: &str) -> Result<Self, MessageError> {
        check_size(text, MAX_MESSAGE_BYTES)?;
        let message: Self = serde_json::from_str(text)?;
        match &message {
            Self::Hello { token, role: _, viewer_id, resume } => {
                check_field("token", token.as_deref(), MAX_TOKEN_BYTES)?;
                check_field("viewerId", viewer_id.as_deref(), MAX_RESUME_BYTES)?;
                check_field("resume", resume.as_deref(), MAX_RESUME_BYTES)?;
            }
            // serde ignores the fields of a unit variant.
            Self::Keepalive | Self::Bye | Self::ReleaseControl => refuse_fields(text)?,
            Self::Quality(report) => report.check()?,
            Self::Offer { .. }
            | Self::Ping { .. }
            | Self::RequestControl { .. }
            | Self::PassControl { .. }
            | Self::DenyControl { .. }
            | Self::TakeControl { .. } => {}
        }
        if let Some(wish) = message.wish() {
            wish.check()?;
        }
        Ok(message)
    }

    /// What the viewer wants of the controls, if this is about them.
    pub fn wish(&self) -> Option<Wish<String>> {
        match self {
            Self::RequestControl { slot } => Some(Wish::Request { slot: *slot }),
            Self::ReleaseControl => Some(Wish::Release),
            Self::PassControl { viewer_id, slot, seconds } => {
                Some(Wish::Pass { to: viewer_id.clone(), slot: *slot, seconds: *seconds })
            }
            Self::DenyControl { viewer_id } => Some(Wish::Deny { of: viewer_id.clone() }),
            Self::TakeControl { slot } => Some(Wish::Take { slot: *slot }),
            Self::Hello { .. }
            | Self::Offer { .. }
            | Self::Quality(_)
            | Self::Keepalive
            | Self::Ping { .. }
            | Self::Bye => None,
        }
    }

    /// The message as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers always serialise")
    }
}

impl QualityReport {
    /// The longest that one report covers, in milliseconds.
    pub const LONGEST_MS: u32 = 60_000;
    /// 10 Gbit/s: more is no report of a stream.
    const BYTES_PER_MS: u64 = 1_250_000;

    fn check(&self) -> Result<(), MessageError> {
        let within = |field, holds: bool| holds.then_some(()).ok_or(MessageError::OutOfRange { field });
        within("durationMs", (1..=Self::LONGEST_MS).contains(&self.duration_ms))?;
        within("bytes", self.bytes <= u64::from(self.duration_ms) * Self::BYTES_PER_MS)?;
        within("packets", self.packets <= 10_000_000)?;
        within("lost", self.lost <= 10_000_000)?;
        within("frozenMs", self.frozen_ms <= self.duration_ms)?;
        within("firstFrameMs", self.first_frame_ms.is_none_or(|ms| ms <= 600_000))?;
        within("roundTripMs", self.round_trip_ms.is_none_or(|ms| ms <= 60_000))
    }
}

impl ServerMessage {
    /// Reads a gateway's message.
    pub fn parse(text: &str) -> Result<Self, MessageError> {
        check_size(text, MAX_SERVER_MESSAGE_BYTES)?;
        Ok(serde_json::from_str(text)?)
    }

    /// The message as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers always serialise")
    }
}

pub(crate) fn check_size(text: &str, limit: usize) -> Result<(), MessageError> {
    if text.len() <= limit { Ok(()) } else { Err(MessageError::TooLarge { bytes: text.len(), limit }) }
}

pub(crate) fn check_field(
    field: &'static str,
    value: Option<&str>,
    limit: usize,
) -> Result<(), MessageError> {
    match value {
        Some(value) if value.len() > limit => Err(MessageError::TooLong { field, limit }),
        Some(_) | None => Ok(()),
    }
}

fn refuse_fields(text: &str) -> Result<(), MessageError> {
    let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text)?;
    match fields.into_iter().find(|(field, _)| field != "type") {
        Some((field, _)) => Err(MessageError::UnknownField { field }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Holding, Request, You};
    use proptest::prelude::*;
    use serde_json::json;

    const QUALITY: QualityReport = QualityReport {
        duration_ms: 10_000,
        bytes: 2_000_000,
        packets: 1_500,
        lost: 2,
        frozen_ms: 120,
        first_frame_ms: Some(330),
        round_trip_ms: Some(20),
        transport: Some(Transport::Udp),
    };

    #[test]
    fn a_report_of_more_than_can_be_is_refused() {
        let refused: [QualityReport; 7] = [
            QualityReport { duration_ms: 0, ..QUALITY },
            QualityReport { duration_ms: 60_001, ..QUALITY },
            QualityReport { bytes: u64::MAX, ..QUALITY },
            QualityReport { packets: u32::MAX, ..QUALITY },
            QualityReport { frozen_ms: 10_001, ..QUALITY },
            QualityReport { first_frame_ms: Some(600_001), ..QUALITY },
            QualityReport { round_trip_ms: Some(60_001), ..QUALITY },
        ];
        for report in refused {
            let parsed = ClientMessage::parse(&ClientMessage::Quality(report).to_json());
            assert!(matches!(parsed, Err(MessageError::OutOfRange { .. })), "{report:?}");
        }
    }

    #[test]
    fn client_messages_read_and_write_as_their_examples() {
        let examples = [
            (
                ClientMessage::Hello { token: None, role: None, viewer_id: None, resume: None },
                json!({"type": "hello"}),
            ),
            (
                ClientMessage::Hello {
                    token: Some("secret".to_owned()),
                    role: Some(Role::Spectator),
                    viewer_id: Some("v".to_owned()),
                    resume: Some("r".to_owned()),
                },
                json!({"type": "hello", "token": "secret", "role": "spectator", "viewerId": "v", "resume": "r"}),
            ),
            (
                ClientMessage::Offer { id: 1, sdp: "v=0\r\n".to_owned() },
                json!({"type": "offer", "id": 1, "sdp": "v=0\r\n"}),
            ),
            (
                ClientMessage::Quality(QUALITY),
                json!({
                    "type": "quality", "durationMs": 10_000, "bytes": 2_000_000, "packets": 1_500, "lost": 2, "frozenMs": 120,
                    "firstFrameMs": 330, "roundTripMs": 20, "transport": "udp",
                }),
            ),
            (ClientMessage::RequestControl { slot: None }, json!({"type": "request-control"})),
            (ClientMessage::RequestControl { slot: Some(3) }, json!({"type": "request-control", "slot": 3})),
            (ClientMessage::ReleaseControl, json!({"type": "release-control"})),
            (
                ClientMessage::PassControl { viewer_id: "v".to_owned(), slot: None, seconds: Some(60) },
                json!({"type": "pass-control", "viewerId": "v", "seconds": 60}),
            ),
            (
                ClientMessage::DenyControl { viewer_id: "v".to_owned() },
                json!({"type": "deny-control", "viewerId": "v"}),
            ),
            (ClientMessage::TakeControl { slot: Some(0) }, json!({"type": "take-control", "slot": 0})),
            (ClientMessage::Keepalive, json!({"type": "keepalive"})),
            (ClientMessage::Ping { n: 7 }, json!({"type": "ping", "n": 7})),
            (ClientMessage::Bye, json!({"type": "bye"})),
        ];
        for (message, value) in examples {
            assert_eq!(serde_json::to_value(&message).unwrap(), value);
            assert_eq!(ClientMessage::parse(&value.to_string()).unwrap(), message);
            assert_eq!(ClientMessage::parse(&message.to_json()).unwrap(), message);
        }
    }

    #[test]
    fn server_messages_read_and_write_as_their_examples() {
        let hints = GameHints {
            slug: "arcade".to_owned(),
            title: "Arcade".to_owned(),
            width: 1280,
            height: 720,
            pointer: PointerMode::None,
            touch: vec![TouchControl { label: "Jump".to_owned(), key: 0x2C, place: TouchPlace::Primary }],
            pads: 1,
        };
        let examples = [
            (
                ServerMessage::Welcome {
                    session_id: "s".to_owned(),
                    viewer_id: "v".to_owned(),
                    resume: "r".to_owned(),
                    resumed: false,
                    role: Role::Player,
                    slot: Some(0),
                    ice_servers: vec![IceServer {
                        urls: vec!["turn:turn.example:3478".to_owned()],
                        username: Some("1:v".to_owned()),
                        credential: Some("c".to_owned()),
                    }],
                    media: vec!["192.0.2.1:8080".to_owned()],
                    game: hints,
                },
                json!({
                    "type": "welcome", "sessionId": "s", "viewerId": "v", "resume": "r", "resumed": false,
                    "role": "player", "slot": 0,
                    "iceServers": [{"urls": ["turn:turn.example:3478"], "username": "1:v", "credential": "c"}],
                    "media": ["192.0.2.1:8080"],
                    "game": {
                        "slug": "arcade", "title": "Arcade", "width": 1280, "height": 720, "pointer": "none",
                        "touch": [{"label": "Jump", "key": 44, "place": "primary"}], "pads": 1,
                    },
                }),
            ),
            (
                ServerMessage::Answer { id: 1, sdp: "v=0\r\n".to_owned() },
                json!({"type": "answer", "id": 1, "sdp": "v=0\r\n"}),
            ),
            (
                ServerMessage::Status {
                    status: "starting".to_owned(),
                    progress: Some(Progress { step: "starting".to_owned(), percent: Some(50.0) }),
                    end_reason: None,
                    source_faults: Vec::new(),
                },
                json!({
                    "type": "status", "status": "starting",
                    "progress": {"step": "starting", "percent": 50.0}, "endReason": null,
                }),
            ),
            (
                ServerMessage::Status {
                    status: "running".to_owned(),
                    progress: None,
                    end_reason: None,
                    source_faults: vec![SourceFault {
                        code: "b_frames".to_owned(),
                        message: "Turn them off.".to_owned(),
                    }],
                },
                json!({
                    "type": "status", "status": "running", "progress": null, "endReason": null,
                    "sourceFaults": [{"code": "b_frames", "message": "Turn them off."}],
                }),
            ),
            (
                ServerMessage::Cursor { visible: true, png: None, hotspot_x: 1, hotspot_y: 2 },
                json!({"type": "cursor", "visible": true, "png": null, "hotspotX": 1, "hotspotY": 2}),
            ),
            (
                ServerMessage::Rumble { pad: 0, strong: 65535, weak: 1, duration_ms: 200 },
                json!({"type": "rumble", "pad": 0, "strong": 65535, "weak": 1, "durationMs": 200}),
            ),
            (
                ServerMessage::Control(ControlState {
                    you: You { role: Role::Player, slot: Some(0), host: true },
                    slots: 1,
                    holders: vec![Holding {
                        slot: 0,
                        viewer_id: "v".to_owned(),
                        name: "Ada".to_owned(),
                        until: Some(5),
                    }],
                    requests: vec![Request {
                        viewer_id: "w".to_owned(),
                        name: "Guest 2".to_owned(),
                        slot: None,
                    }],
                    spectators: 1,
                }),
                json!({
                    "type": "control", "you": {"role": "player", "slot": 0, "host": true}, "slots": 1,
                    "holders": [{"slot": 0, "viewerId": "v", "name": "Ada", "until": 5}],
                    "requests": [{"viewerId": "w", "name": "Guest 2"}], "spectators": 1,
                }),
            ),
            (ServerMessage::Saved, json!({"type": "saved"})),
            (ServerMessage::Pong { n: 7 }, json!({"type": "pong", "n": 7})),
            (
                ServerMessage::Error {
                    code: ErrorCode::UnsupportedCodec,
                    message: "no".to_owned(),
                    fatal: false,
                    offer: Some(2),
                },
                json!({
                    "type": "error", "code": "unsupported_codec", "message": "no", "fatal": false, "offer": 2,
                }),
            ),
            (ServerMessage::End { reason: "idle".to_owned() }, json!({"type": "end", "reason": "idle"})),
        ];
        for (message, value) in examples {
            assert_eq!(serde_json::to_value(&message).unwrap(), value);
            assert_eq!(ServerMessage::parse(&message.to_json()).unwrap(), message);
        }
    }

    #[test]
    fn what_is_not_a_client_message_is_refused() {
        for text in [
            "",
            "{}",
            "[]",
            "null",
            "{\"type\":\"welcome\"}",
            "{\"type\":\"hello\",\"admin\":true}",
            "{\"type\":\"hello\",\"role\":\"owner\"}",
            "{\"type\":\"offer\",\"id\":1}",
            "{\"type\":\"offer\",\"id\":-1,\"sdp\":\"\"}",
            "{\"type\":\"offer\",\"id\":1,\"sdp\":\"\",\"id\":2}",
            "{\"type\":\"ping\",\"n\":4294967296}",
            "{\"type\":\"bye\",\"now\":true}",
            "{\"type\":\"keepalive\"} x",
            "{\"type\":\"request-control\",\"slot\":4}",
            "{\"type\":\"request-control\",\"slot\":-1}",
            "{\"type\":\"request-control\",\"force\":true}",
            "{\"type\":\"release-control\",\"slot\":0}",
            "{\"type\":\"pass-control\"}",
            "{\"type\":\"pass-control\",\"viewerId\":\"v\",\"seconds\":4}",
            "{\"type\":\"pass-control\",\"viewerId\":\"v\",\"seconds\":3601}",
            "{\"type\":\"take-control\",\"slot\":4}",
            "{\"type\":\"quality\",\"durationMs\":1,\"bytes\":0,\"packets\":0,\"lost\":0,\"frozenMs\":0,\"cpu\":1}",
            "{\"type\":\"quality\",\"durationMs\":-1,\"bytes\":0,\"packets\":0,\"lost\":0,\"frozenMs\":0}",
        ] {
            assert!(ClientMessage::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_bounded() {
        let offer = ClientMessage::Offer { id: 1, sdp: "x".repeat(MAX_MESSAGE_BYTES) };
        assert!(matches!(ClientMessage::parse(&offer.to_json()), Err(MessageError::TooLarge { .. })));
        let hello = ClientMessage::Hello {
            token: Some("x".repeat(MAX_TOKEN_BYTES + 1)),
            role: None,
            viewer_id: None,
            resume: None,
        };
        assert!(matches!(
            ClientMessage::parse(&hello.to_json()),
            Err(MessageError::TooLong { field: "token", .. })
        ));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _ = ClientMessage::parse(&text);
            let _ = ServerMessage::parse(&text);
        }

        #[test]
        fn any_offer_survives_the_wire(id: u32, sdp in ".{0,200}") {
            let offer = ClientMessage::Offer { id, sdp };
            prop_assert_eq!(ClientMessage::parse(&offer.to_json()).unwrap(), offer);
        }
    }
}
