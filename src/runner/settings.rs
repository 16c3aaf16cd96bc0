//! The contract's environment, read once and checked. Says in plain words what is wrong, and refuses variables with the
//! contract's prefix that it does not know: a misspelt name would otherwise be a silent default.

use playgate_signaling::message::PointerMode;
use playgate_signaling::runner::{MAX_PADS, MAX_STOP_GRACE_MS, env, is_encoder_name};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Everything the gateway tells a runner before it speaks to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub session: String,
    /// `ws://` only: the control channel stays on loopback or on a bridge of this host.
    pub control_url: String,
    pub token: Token,
    /// `host:port`; the welcome overrides both.
    pub rtp_video: String,
    pub rtp_audio: String,
    pub width: u32,
    pub height: u32,
    pub fps: u32,
    pub kbps: u32,
    pub save_dir: PathBuf,
    pub on_gateway_loss: OnGatewayLoss,
    /// Gamepads that a program is played with. A built-in game knows its own.
    pub pads: u8,
    /// What a gamepad's controls are to a program that reads keys and mouse: names to names, not yet looked up.
    pub pad_map: BTreeMap<String, String>,
    /// How a program takes the mouse. A built-in game knows its own.
    pub pointer: PointerMode,
    /// How long a program may take to save and end after SIGTERM. A built-in game is told in another way.
    pub stop_grace: Duration,
    /// The encoder that is asked for, not yet looked up.
    pub encoder: Option<String>,
}

/// The session's secret; its debug form does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(pub String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnGatewayLoss {
    /// Flush the save and end.
    Exit,
    /// Play on for ten minutes and take the next gateway's welcome.
    Reconnect,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error("the environment variable {0} is missing; a gateway sets it when it starts a game")]
    Missing(&'static str),
    #[error("{name} is {value:?}, but must be {expected}")]
    Bad { name: &'static str, value: String, expected: &'static str },
    #[error("{0} is no variable of the runner contract, version 1")]
    Unknown(String),
}

/// The grace of a gateway that says nothing: a visual novel saves within a tenth of it and then asks whether to quit.
const STOP_GRACE: Duration = Duration::from_millis(1500);
const PREFIX: &str = "PLAYGATE_";
const KNOWN: [&str; 16] = [
    env::SESSION_ID,
    env::CONTROL_URL,
    env::TOKEN,
    env::RTP_VIDEO,
    env::RTP_AUDIO,
    env::WIDTH,
    env::HEIGHT,
    env::FPS,
    env::VIDEO_KBPS,
    env::SAVE_DIR,
    env::ON_GATEWAY_LOSS,
    env::PADS,
    env::PAD_MAP,
    env::POINTER,
    env::STOP_GRACE_MS,
    env::ENCODER,
];

impl Settings {
    /// From this process's environment.
    pub fn from_env() -> Result<Self, SettingsError> {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| {
                Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
            })
            .collect();
        Self::from_map(&variables)
    }

    pub fn from_map(variables: &BTreeMap<String, String>) -> Result<Self, SettingsError> {
        let unknown = |name: &&String| name.starts_with(PREFIX) && !KNOWN.contains(&name.as_str());
        if let Some(name) = variables.keys().find(unknown) {
            return Err(SettingsError::Unknown(name.clone()));
        }
        let text = |name: &'static str| match variables.get(name).map(String::as_str) {
            Some("") | None => Err(SettingsError::Missing(name)),
            Some(value) => Ok(value.to_owned()),
        };
        let checked = |name: &'static str, expected: &'static str, good: &dyn Fn(&str) -> bool| {
            let value = text(name)?;
            if good(&value) { Ok(value) } else { Err(SettingsError::Bad { name, value, expected }) }
        };
        let number = |name: &'static str, expected: &'static str, range: std::ops::RangeInclusive<u32>| {
            let value = text(name)?;
            match value.parse() {
                Ok(number) if range.contains(&number) => Ok(number),
                Ok(_) | Err(_) => Err(SettingsError::Bad { name, value, expected }),
            }
        };
        let optional = |name: &'static str| match variables.get(name).map(String::as_str) {
            Some("") | None => None,
            Some(value) => Some(value.to_owned()),
        };
        let bad = |name, value, expected| Err(SettingsError::Bad { name, value, expected });
        let pads = match optional(env::PADS).map(|value| (value.parse::<u8>(), value)) {
            None => 0,
            Some((Ok(pads), _)) if pads <= MAX_PADS => pads,
            Some((Ok(_) | Err(_), value)) => return bad(env::PADS, value, "0-4 gamepads"),
        };
        let pad_map = match optional(env::PAD_MAP).map(|value| (serde_json::from_str(&value), value)) {
            None => BTreeMap::new(),
            Some((Ok(map), _)) => map,
            Some((Err(_), value)) => return bad(env::PAD_MAP, value, "a JSON object of names to names"),
        };
        let pointer = match optional(env::POINTER).as_deref() {
            None | Some("absolute") => PointerMode::Absolute,
            Some("relative") => PointerMode::Relative,
            Some("none") => PointerMode::None,
            Some(value) => return bad(env::POINTER, value.to_owned(), "absolute, relative or none"),
        };
        let stop_grace = match optional(env::STOP_GRACE_MS).map(|value| (value.parse::<u64>(), value)) {
            None => STOP_GRACE,
            Some((Ok(ms), _)) if (1..=MAX_STOP_GRACE_MS).contains(&ms) => Duration::from_millis(ms),
            Some((Ok(_) | Err(_), value)) => return bad(env::STOP_GRACE_MS, value, "1-60000 milliseconds"),
        };
        let encoder = optional(env::ENCODER);
        if let Some(value) = encoder.as_ref().filter(|name| !is_encoder_name(name)) {
            return bad(env::ENCODER, value.clone(), "an encoder's name");
        }
        let address = "host:port";
        let on_gateway_loss = match variables.get(env::ON_GATEWAY_LOSS).map(String::as_str) {
            Some("exit") | None => OnGatewayLoss::Exit,
            Some("reconnect") => OnGatewayLoss::Reconnect,
            Some(value) => {
                let expected = "exit or reconnect";
                return Err(SettingsError::Bad {
                    name: env::ON_GATEWAY_LOSS,
                    value: value.to_owned(),
                    expected,
                });
            }
        };
        Ok(Self {
            session: text(env::SESSION_ID)?,
            control_url: checked(env::CONTROL_URL, "a ws:// address", &|url| url.starts_with("ws://"))?,
            token: Token(text(env::TOKEN)?),
            rtp_video: checked(env::RTP_VIDEO, address, &is_address)?,
            rtp_audio: checked(env::RTP_AUDIO, address, &is_address)?,
            width: number(env::WIDTH, "16-3840 pixels", 16..=3840)?,
            height: number(env::HEIGHT, "16-2160 pixels", 16..=2160)?,
            fps: number(env::FPS, "1-240 frames a second", 1..=240)?,
            kbps: number(env::VIDEO_KBPS, "100-100000 kbit/s", 100..=100_000)?,
            save_dir: text(env::SAVE_DIR)?.into(),
            on_gateway_loss,
            pads,
            pad_map,
            pointer,
            stop_grace,
            encoder,
        })
    }
}

fn is_address(text: &str) -> bool {
    text.rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> BTreeMap<String, String> {
        [
            (env::SESSION_ID, "s"),
            (env::CONTROL_URL, "ws://127.0.0.1:9/runner/s"),
            (env::TOKEN, "secret"),
            (env::RTP_VIDEO, "127.0.0.1:5000"),
            (env::RTP_AUDIO, "[::1]:5002"),
            (env::WIDTH, "1280"),
            (env::HEIGHT, "720"),
            (env::FPS, "60"),
            (env::VIDEO_KBPS, "6000"),
            (env::SAVE_DIR, "/tmp/save"),
            ("HOME", "/root"),
            ("GAMEYE_HOST", "::1"),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
    }

    #[test]
    fn a_complete_environment_is_read() {
        let settings = Settings::from_map(&good()).expect("good");
        assert_eq!((settings.width, settings.height, settings.fps, settings.kbps), (1280, 720, 60, 6000));
        assert_eq!(settings.on_gateway_loss, OnGatewayLoss::Exit);
        assert!(!format!("{settings:?}").contains("secret"));
    }

    #[test]
    fn how_a_program_is_played_is_read_and_has_defaults() {
        let settings = Settings::from_map(&good()).expect("good");
        assert_eq!((settings.pads, settings.pointer), (0, PointerMode::Absolute));
        assert!(settings.pad_map.is_empty());
        assert_eq!((settings.stop_grace, settings.encoder), (Duration::from_millis(1500), None));
        let mut variables = good();
        for (name, value) in [
            (env::PADS, "2"),
            (env::PAD_MAP, r#"{"a":"Space"}"#),
            (env::POINTER, "relative"),
            (env::STOP_GRACE_MS, "10000"),
            (env::ENCODER, "x264enc"),
        ] {
            variables.insert(name.to_owned(), value.to_owned());
        }
        let settings = Settings::from_map(&variables).expect("good");
        assert_eq!((settings.pads, settings.pointer), (2, PointerMode::Relative));
        assert_eq!(settings.stop_grace, Duration::from_secs(10));
        assert_eq!(settings.encoder.as_deref(), Some("x264enc"));
        assert_eq!(settings.pad_map, BTreeMap::from([("a".to_owned(), "Space".to_owned())]));
    }

    #[test]
    fn what_is_missing_is_named() {
        let optional =
            [env::ON_GATEWAY_LOSS, env::PADS, env::PAD_MAP, env::POINTER, env::STOP_GRACE_MS, env::ENCODER];
        for name in KNOWN.into_iter().filter(|name| !optional.contains(name)) {
            let mut variables = good();
            variables.remove(name);
            assert_eq!(Settings::from_map(&variables), Err(SettingsError::Missing(name)));
            variables.insert(name.to_owned(), String::new());
            assert_eq!(Settings::from_map(&variables), Err(SettingsError::Missing(name)));
        }
    }

    #[test]
    fn what_is_wrong_or_unknown_is_named() {
        for (name, value) in [
            (env::CONTROL_URL, "http://x"),
            (env::RTP_VIDEO, "127.0.0.1"),
            (env::RTP_AUDIO, ":5"),
            (env::WIDTH, "0"),
            (env::HEIGHT, "99999"),
            (env::FPS, "sixty"),
            (env::VIDEO_KBPS, "-1"),
            (env::ON_GATEWAY_LOSS, "panic"),
            (env::PADS, "5"),
            (env::PADS, "two"),
            (env::PAD_MAP, "a=Space"),
            (env::PAD_MAP, r#"{"a":1}"#),
            (env::POINTER, "sideways"),
            (env::STOP_GRACE_MS, "0"),
            (env::STOP_GRACE_MS, "60001"),
            (env::STOP_GRACE_MS, "ten"),
            (env::ENCODER, "x264enc ! filesink"),
            ("PLAYGATE_SAVEDIR", "/tmp"),
        ] {
            let mut variables = good();
            variables.insert(name.to_owned(), value.to_owned());
            let error = Settings::from_map(&variables).expect_err(name);
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}
