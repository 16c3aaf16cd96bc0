//! The runner contract, version 1: what a game container and the gateway say to each other on the control channel.
//!
//! WebSocket to `PLAYGATE_CONTROL_URL` with `Authorization: Bearer $PLAYGATE_TOKEN`. Text frames carry one JSON
//! message of this module. Binary frames, gateway to runner only, are one slot byte and one input frame (see
//! [`crate::input`]). The runner speaks first with `hello`, the gateway answers `welcome`, whose addresses override
//! the environment. A newer connection with the same token replaces the older.

use serde::{Deserialize, Serialize};

/// Version of the contract this crate speaks.
pub const VERSION: u32 = 1;
/// Largest control message either side accepts, in bytes (a cursor picture fits).
pub const MAX_MESSAGE_BYTES: usize = 256 * 1024;

/// Environment variables the driver gives a container.
pub mod env {
    pub const SESSION_ID: &str = "PLAYGATE_SESSION_ID";
    pub const CONTROL_URL: &str = "PLAYGATE_CONTROL_URL";
    pub const TOKEN: &str = "PLAYGATE_TOKEN";
    pub const RTP_VIDEO: &str = "PLAYGATE_RTP_VIDEO";
    pub const RTP_AUDIO: &str = "PLAYGATE_RTP_AUDIO";
    pub const WIDTH: &str = "PLAYGATE_WIDTH";
    pub const HEIGHT: &str = "PLAYGATE_HEIGHT";
    pub const FPS: &str = "PLAYGATE_FPS";
    pub const VIDEO_KBPS: &str = "PLAYGATE_VIDEO_KBPS";
    pub const SAVE_DIR: &str = "PLAYGATE_SAVE_DIR";
    pub const ON_GATEWAY_LOSS: &str = "PLAYGATE_ON_GATEWAY_LOSS";
}

/// One RTP stream of the runner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// Name as in SDP: `H264`, `VP8`, `VP9`, `AV1`, `opus`.
    pub codec: String,
    /// RTP payload type, 0-127.
    pub pt: u8,
    pub ssrc: u32,
}

/// Runner to gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum RunnerMessage {
    Hello {
        v: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        video: Option<Stream>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        audio: Option<Stream>,
        /// Gamepads the game reads.
        #[serde(default)]
        pads: u8,
        /// `absolute`, `relative` or `none`.
        #[serde(default)]
        pointer: Option<String>,
    },
    /// The game draws and takes input.
    Ready,
    /// The answer to `flush_save`, and sent after any save the game made by itself.
    Saved,
    /// The save directory changed since the last `saved`.
    SaveDirty,
    Cursor {
        visible: bool,
        /// Base64 of a PNG; absent: the default arrow.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        png: Option<String>,
        #[serde(default)]
        hotspot_x: u16,
        #[serde(default)]
        hotspot_y: u16,
    },
    Rumble {
        pad: u8,
        strong: u16,
        weak: u16,
        duration_ms: u16,
    },
    /// Once in ten seconds: frames encoded per second and encoder time per frame in milliseconds.
    Health {
        fps: f32,
        encode_ms: f32,
    },
    /// The game ended by itself with this code; the runner ends after it.
    Exit {
        code: i32,
    },
}

/// Gateway to runner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum GatewayMessage {
    Welcome {
        v: u32,
        /// `host:port` to send video RTP to; RTCP on the same port.
        rtp_video: String,
        rtp_audio: String,
        width: u32,
        height: u32,
        fps: u32,
        kbps: u32,
    },
    /// A viewer needs a key frame (also sent as RTCP PLI).
    Keyframe,
    Bitrate {
        kbps: u32,
    },
    Fps {
        fps: u32,
    },
    /// Nobody watches: stop capturing and encoding, keep the game.
    Pause,
    Resume,
    /// Which control slots are taken.
    Slots {
        taken: Vec<u8>,
    },
    /// Write the save now and answer `saved`.
    FlushSave,
    /// The session ends: flush and exit.
    Shutdown,
}
