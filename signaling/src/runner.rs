//! The runner contract, version 1: what a game container and the gateway say to each other on the control channel.
//!
//! WebSocket to `PLAYGATE_CONTROL_URL` with `Authorization: Bearer $PLAYGATE_TOKEN`. Text frames carry one JSON
//! message of this module. Binary frames, gateway to runner only, are one slot byte and one input frame (see
//! [`crate::input`]). The runner speaks first with `hello`, the gateway answers `welcome`, whose addresses override
//! the environment. A newer connection with the same token replaces the older.

use crate::message::{MessageError, check_field, check_size};
use serde::{Deserialize, Serialize};

/// Version of the contract this crate speaks.
pub const VERSION: u32 = 1;
/// Largest control message either side accepts, in bytes (a cursor picture fits).
pub const MAX_MESSAGE_BYTES: usize = 256 * 1024;
/// Longest codec name and pointer mode, in bytes.
pub const MAX_NAME_BYTES: usize = 32;
/// Longest time between a game's SIGTERM and its SIGKILL, in milliseconds.
pub const MAX_STOP_GRACE_MS: u64 = 60_000;
/// Name of the RTCP APP packet (RFC 3550 section 6.7) that numbers a key frame request.
pub const KEY_FRAME_REQUEST: [u8; 4] = *b"PGKF";
/// Most gamepads a game may read.
pub const MAX_PADS: u8 = 4;

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
    /// Gamepad controls as keys and mouse, a JSON object of names; absent: the game reads pads itself, or none.
    pub const PAD_MAP: &str = "PLAYGATE_PAD_MAP";
    /// Gamepads the game is played with, 0-4; absent: 0.
    pub const PADS: &str = "PLAYGATE_PADS";
    /// `absolute`, `relative` or `none`; absent: `absolute`.
    pub const POINTER: &str = "PLAYGATE_POINTER";
    /// How long the game may take to save and end after SIGTERM before it is killed, in milliseconds, 1-60000
    /// ([`MAX_STOP_GRACE_MS`](super::MAX_STOP_GRACE_MS)); absent: the runner's choice. The gateway ends the whole container later
    /// than that.
    pub const STOP_GRACE_MS: &str = "PLAYGATE_STOP_GRACE_MS";
    /// The video encoder to use, by its name (see [`is_encoder_name`](super::is_encoder_name)): `openh264`, which every runner of
    /// Playgate's has, or the name of a GStreamer element; absent: the runner's choice.
    pub const ENCODER: &str = "PLAYGATE_ENCODER";
}

/// Lower case letters, digits, `-` and `_`, 1-64 of them.
pub fn is_encoder_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    (1..=64).contains(&text.len()) && text.bytes().all(fits)
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
        #[serde(default, skip_serializing_if = "Option::is_none")]
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
    /// A viewer needs a key frame. Also sent as RTCP: a PLI, and in the same compound packet an APP packet with the name
    /// [`KEY_FRAME_REQUEST`] and the number in eight bytes, so that both are known to be one request.
    Keyframe {
        /// Rises from request to request on one connection; 0, or absent from older gateways: the request has no number.
        #[serde(default)]
        number: u64,
    },
    /// Video may take so much from now on. How - coarser pictures, smaller ones, fewer a second - is the runner's to decide.
    Bitrate {
        kbps: u32,
    },
    /// At most so many frames a second from now on, at any bitrate.
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

impl RunnerMessage {
    /// Reads a runner's message. Unknown fields are ignored: a newer runner may say more.
    pub fn parse(text: &str) -> Result<Self, MessageError> {
        check_size(text, MAX_MESSAGE_BYTES)?;
        let message: Self = serde_json::from_str(text)?;
        message.check()?;
        Ok(message)
    }

    /// The message as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers always serialise")
    }

    fn check(&self) -> Result<(), MessageError> {
        match self {
            Self::Hello { v: _, video, audio, pads, pointer } => {
                for stream in [video, audio].into_iter().flatten() {
                    check_field("codec", Some(&stream.codec), MAX_NAME_BYTES)?;
                    in_range("pt", stream.pt <= 127)?;
                }
                check_field("pointer", pointer.as_deref(), MAX_NAME_BYTES)?;
                in_range("pads", *pads <= MAX_PADS)
            }
            Self::Rumble { pad, .. } => in_range("pad", *pad < MAX_PADS),
            Self::Health { fps, encode_ms } => {
                in_range("fps", fps.is_finite() && *fps >= 0.0)?;
                in_range("encode_ms", encode_ms.is_finite() && *encode_ms >= 0.0)
            }
            Self::Ready | Self::Saved | Self::SaveDirty | Self::Cursor { .. } | Self::Exit { .. } => Ok(()),
        }
    }
}

impl GatewayMessage {
    /// Reads a gateway's message. Unknown fields are ignored: a newer gateway may say more.
    pub fn parse(text: &str) -> Result<Self, MessageError> {
        check_size(text, MAX_MESSAGE_BYTES)?;
        Ok(serde_json::from_str(text)?)
    }

    /// The message as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers always serialise")
    }
}

fn in_range(field: &'static str, fits: bool) -> Result<(), MessageError> {
    if fits { Ok(()) } else { Err(MessageError::OutOfRange { field }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn runner_messages_read_and_write_as_their_examples() {
        let examples = [
            (
                RunnerMessage::Hello {
                    v: VERSION,
                    video: Some(Stream { codec: "H264".to_owned(), pt: 96, ssrc: 0x1234_5678 }),
                    audio: Some(Stream { codec: "opus".to_owned(), pt: 111, ssrc: 1 }),
                    pads: 1,
                    pointer: Some("absolute".to_owned()),
                },
                json!({
                    "type": "hello", "v": 1, "video": {"codec": "H264", "pt": 96, "ssrc": 305_419_896},
                    "audio": {"codec": "opus", "pt": 111, "ssrc": 1}, "pads": 1, "pointer": "absolute",
                }),
            ),
            (
                RunnerMessage::Hello { v: 1, video: None, audio: None, pads: 0, pointer: None },
                json!({"type": "hello", "v": 1, "pads": 0}),
            ),
            (RunnerMessage::Ready, json!({"type": "ready"})),
            (RunnerMessage::Saved, json!({"type": "saved"})),
            (RunnerMessage::SaveDirty, json!({"type": "save_dirty"})),
            (
                RunnerMessage::Cursor {
                    visible: true,
                    png: Some("aGk=".to_owned()),
                    hotspot_x: 3,
                    hotspot_y: 4,
                },
                json!({"type": "cursor", "visible": true, "png": "aGk=", "hotspot_x": 3, "hotspot_y": 4}),
            ),
            (
                RunnerMessage::Rumble { pad: 0, strong: 65535, weak: 0, duration_ms: 100 },
                json!({"type": "rumble", "pad": 0, "strong": 65535, "weak": 0, "duration_ms": 100}),
            ),
            (
                RunnerMessage::Health { fps: 60.0, encode_ms: 2.5 },
                json!({"type": "health", "fps": 60.0, "encode_ms": 2.5}),
            ),
            (RunnerMessage::Exit { code: -1 }, json!({"type": "exit", "code": -1})),
        ];
        for (message, value) in examples {
            assert_eq!(serde_json::to_value(&message).unwrap(), value);
            assert_eq!(RunnerMessage::parse(&message.to_json()).unwrap(), message);
        }
    }

    #[test]
    fn gateway_messages_read_and_write_as_their_examples() {
        let examples = [
            (
                GatewayMessage::Welcome {
                    v: 1,
                    rtp_video: "127.0.0.1:5004".to_owned(),
                    rtp_audio: "127.0.0.1:5006".to_owned(),
                    width: 1280,
                    height: 720,
                    fps: 60,
                    kbps: 8000,
                },
                json!({
                    "type": "welcome", "v": 1, "rtp_video": "127.0.0.1:5004", "rtp_audio": "127.0.0.1:5006",
                    "width": 1280, "height": 720, "fps": 60, "kbps": 8000,
                }),
            ),
            (GatewayMessage::Keyframe { number: 7 }, json!({"type": "keyframe", "number": 7})),
            (GatewayMessage::Bitrate { kbps: 4000 }, json!({"type": "bitrate", "kbps": 4000})),
            (GatewayMessage::Fps { fps: 30 }, json!({"type": "fps", "fps": 30})),
            (GatewayMessage::Pause, json!({"type": "pause"})),
            (GatewayMessage::Resume, json!({"type": "resume"})),
            (GatewayMessage::Slots { taken: vec![0, 1] }, json!({"type": "slots", "taken": [0, 1]})),
            (GatewayMessage::FlushSave, json!({"type": "flush_save"})),
            (GatewayMessage::Shutdown, json!({"type": "shutdown"})),
        ];
        for (message, value) in examples {
            assert_eq!(serde_json::to_value(&message).unwrap(), value);
            assert_eq!(GatewayMessage::parse(&message.to_json()).unwrap(), message);
        }
    }

    #[test]
    fn an_older_gateways_key_frame_request_has_no_number() {
        let message = GatewayMessage::parse(r#"{"type":"keyframe"}"#).unwrap();
        assert_eq!(message, GatewayMessage::Keyframe { number: 0 });
    }

    #[test]
    fn a_newer_runner_may_say_more() {
        let text =
            r#"{"type":"hello","v":2,"video":{"codec":"AV1","pt":98,"ssrc":1,"layers":3},"colour":"hdr"}"#;
        assert!(matches!(RunnerMessage::parse(text), Ok(RunnerMessage::Hello { v: 2, .. })));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for text in [
            "",
            r#"{"type":"hello"}"#,
            r#"{"type":"hello","v":1,"pads":5}"#,
            r#"{"type":"hello","v":1,"video":{"codec":"H264","pt":128,"ssrc":1}}"#,
            r#"{"type":"hello","v":1,"video":{"codec":"0123456789012345678901234567890123","pt":96,"ssrc":1}}"#,
            r#"{"type":"rumble","pad":4,"strong":0,"weak":0,"duration_ms":0}"#,
            r#"{"type":"health","fps":-1,"encode_ms":0}"#,
            r#"{"type":"launch"}"#,
        ] {
            assert!(RunnerMessage::parse(text).is_err(), "{text}");
        }
        let cursor = RunnerMessage::Cursor {
            visible: true,
            png: Some("x".repeat(MAX_MESSAGE_BYTES)),
            hotspot_x: 0,
            hotspot_y: 0,
        };
        assert!(matches!(RunnerMessage::parse(&cursor.to_json()), Err(MessageError::TooLarge { .. })));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _ = RunnerMessage::parse(&text);
            let _ = GatewayMessage::parse(&text);
        }
    }
}
