//! Signaling messages between a viewer (page, bot, embed) and the gateway: JSON text frames on
//! `WS /session/{id}/signal`.
//!
//! The browser offers, the gateway answers with all its candidates (no trickle). A client whose credentials do not
//! travel as a cookie or header sends its token in `hello`; until the gateway has admitted the viewer nothing else
//! is accepted.

use serde::{Deserialize, Serialize};

/// Largest text message either side accepts, in bytes. An SDP offer of a browser is about 8 KiB.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;

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
    },
    /// A complete SDP offer. `id` rises with every offer of this connection and comes back in the answer. An offer
    /// with new ICE credentials and the same DTLS fingerprint is an ICE restart of the same peer.
    Offer { id: u32, sdp: String },
    /// The player is still there (someone touched the input): extends the idle lease.
    Keepalive,
    /// Asks for a pong with the same number, to measure the signaling round trip.
    Ping { n: u32 },
    /// The viewer leaves on purpose.
    Bye,
}

/// Gateway to viewer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum ServerMessage {
    /// The viewer is admitted.
    Welcome {
        session_id: String,
        viewer_id: String,
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
    },
    /// The session ended; the connection is closed after this.
    End {
        reason: String,
    },
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
