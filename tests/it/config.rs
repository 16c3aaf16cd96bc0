//! Loading the configuration from its four layers, and what it says of mistakes.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use playgate::config::{Config, ConfigError, ConfigOverrides, ConfigSource, Invalid, print_defaults};
use std::net::SocketAddr;
use std::path::PathBuf;

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, text: &str) -> Option<PathBuf> {
        let path = self.0.path().join("playgate.toml");
        std::fs::write(&path, text).unwrap();
        Some(path)
    }
}

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn load_file(text: &str) -> Result<Config, ConfigError> {
    let files = Files::new();
    Config::load(ConfigSource { file: files.write(text), ..ConfigSource::default() })
}

fn load_env(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::load(ConfigSource { env: env(pairs), ..ConfigSource::default() })
}

#[test]
fn nothing_said_is_the_defaults() {
    assert_eq!(Config::load(ConfigSource::default()).unwrap(), Config::default());
}

#[test]
fn the_printed_defaults_are_a_configuration_file() {
    assert_eq!(load_file(&print_defaults()).unwrap(), Config::default());
}

#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let files = Files::new();
    let file = files
        .write("listen = \"127.0.0.1:1\"\ndata_dir = \"file\"\n[sessions]\ncapacity = 3\nmax_viewers = 7");
    let config = Config::load(ConfigSource {
        file,
        env: env(&[
            ("PLAYGATE_LISTEN", "127.0.0.1:2"),
            ("PLAYGATE_SESSIONS__CAPACITY", "4"),
            ("PLAYGATE_DATA_DIR", "1234"),
            ("HOME", "/"),
        ]),
        flags: ConfigOverrides {
            listen: Some("127.0.0.1:3".parse().unwrap()),
            log_filter: Some("debug".to_owned()),
            ..ConfigOverrides::default()
        },
    })
    .unwrap();
    assert_eq!(config.listen, SocketAddr::from(([127, 0, 0, 1], 3)));
    assert_eq!(config.data_dir, PathBuf::from("1234"));
    assert_eq!((config.sessions.capacity, config.sessions.max_viewers), (4, 7));
    assert_eq!(config.sessions.idle_timeout_s, 1800);
    assert_eq!(config.log.filter, "debug");
}

#[test]
fn the_environment_may_name_the_file_and_hold_lists() {
    let files = Files::new();
    let path = files.write("lan = true").unwrap();
    let config = load_env(&[
        ("PLAYGATE_CONFIG", path.to_str().unwrap()),
        ("PLAYGATE_PUBLIC_IP", "192.0.2.1, 2001:db8::1"),
        ("PLAYGATE_MEDIA_LISTEN", "[\"127.0.0.1:5000\"]"),
        ("PLAYGATE_AUTH__GUEST", "true"),
        ("PLAYGATE_ICE__URLS", "turn:t.example"),
        ("PLAYGATE_ICE__SECRET", "12345"),
    ])
    .unwrap();
    assert!(config.lan);
    assert_eq!(config.public_ip.len(), 2);
    assert_eq!(config.media_listen, [SocketAddr::from(([127, 0, 0, 1], 5000))]);
    assert_eq!(config.auth.guest, Some(true));
    assert_eq!(config.ice.secret.as_deref(), Some("12345"));
}

#[test]
fn the_runner_contracts_variables_are_no_configuration() {
    let contract = [
        "SESSION_ID",
        "CONTROL_URL",
        "TOKEN",
        "RTP_VIDEO",
        "RTP_AUDIO",
        "WIDTH",
        "FPS",
        "SAVE_DIR",
        "ON_GATEWAY_LOSS",
    ];
    for name in contract {
        load_env(&[(&format!("PLAYGATE_{name}"), "x")]).unwrap();
    }
}

#[test]
fn unknown_keys_are_refused_with_name_place_and_the_nearest_key() {
    let error = load_file("lan = false\nlistne = \"127.0.0.1:1\"\n").unwrap_err().to_string();
    assert!(
        error.contains("playgate.toml, line 2: unknown key `listne` (did you mean `listen`?)"),
        "{error}"
    );
    let error = load_file("\n[sessions]\ncapactiy = 1").unwrap_err().to_string();
    assert!(
        error.contains("line 3: unknown key `capactiy` in `sessions` (did you mean `capacity`?)"),
        "{error}"
    );
    let error = load_file("[[games]]\nslug = \"a\"\ntitle = \"A\"\nzzzzzz = 1").unwrap_err().to_string();
    assert!(error.contains("unknown key `zzzzzz` in `games.0`") && !error.contains("mean"), "{error}");
    let error = load_env(&[("PLAYGATE_SESSIONS__MAX_VIEWER", "1")]).unwrap_err().to_string();
    assert_eq!(
        error,
        "environment variable PLAYGATE_SESSIONS__MAX_VIEWER: unknown key `max_viewer` in `sessions` (did you mean `max_viewers`?)"
    );
}

#[test]
fn wrong_types_and_syntax_are_refused_with_their_place() {
    let error = load_file("[sessions]\ncapacity = \"many\"").unwrap_err().to_string();
    assert!(error.contains("line 2: `sessions.capacity`"), "{error}");
    let error = load_file("listen = \n").unwrap_err().to_string();
    assert!(error.contains("line 1"), "{error}");
    let error = load_env(&[("PLAYGATE_LAN", "perhaps")]).unwrap_err().to_string();
    assert!(error.starts_with("environment variable PLAYGATE_LAN: `lan`"), "{error}");
    assert!(matches!(
        Config::load(ConfigSource {
            file: Some(PathBuf::from("/nonexistent.toml")),
            ..ConfigSource::default()
        }),
        Err(ConfigError::Read { .. })
    ));
}

fn invalid(text: &str) -> (String, Invalid) {
    match load_file(text) {
        Err(ConfigError::Invalid(problem)) => (problem.key, problem.invalid),
        Err(ConfigError::Read { .. } | ConfigError::Layer { .. }) | Ok(_) => panic!("{text}"),
    }
}

const GAME: &str = "[[games]]\nslug = \"camera\"\ntitle = \"C\"\ndriver = \"external\"\ningest.allow = [\"127.0.0.1\"]\n\
                    ingest.video = { listen = \"127.0.0.1:6004\", codec = \"VP8\", payload_type = 96 }\n";

#[test]
fn values_that_cannot_work_are_refused_by_name() {
    for (text, key, expected) in [
        ("public_url = \"play.example\"", "public_url", Invalid::PublicUrl),
        ("public_url = \"https://play.example/path\"", "public_url", Invalid::PublicUrl),
        ("public_url = \"ftp://play.example\"", "public_url", Invalid::PublicUrl),
        ("public_ip = [\"0.0.0.0\"]", "public_ip 0.0.0.0", Invalid::PublicIp),
        ("tls_cert = \"a\"", "tls_cert", Invalid::HalfCertificate),
        ("tls_key = \"a\"", "tls_key", Invalid::HalfCertificate),
        (
            "tls_cert = \"a\"\ntls_key = \"b\"\ntls_self_signed = true",
            "tls_self_signed",
            Invalid::TwoCertificates,
        ),
        ("private_listen = \"127.0.0.1:8080\"", "private_listen", Invalid::AddressTwice),
        (
            "media_listen = [\"0.0.0.0:1\", \"127.0.0.1:1\"]",
            "media_listen 127.0.0.1:1",
            Invalid::AddressTwice,
        ),
        ("trusted_proxies = [\"10.0.0.0/33\"]", "trusted_proxies 10.0.0.0/33", Invalid::Network),
        ("[auth]\nsign_in_url = \"javascript:x\"", "auth.sign_in_url", Invalid::Url),
        ("[[auth.keys]]\nalg = \"none\"", "auth.keys.0", Invalid::Algorithm),
        ("[[auth.keys]]\nalg = \"HS256\"\nsecret = \"short\"", "auth.keys.0", Invalid::Secret),
        ("[[auth.keys]]\nalg = \"ES256\"", "auth.keys.0", Invalid::PublicKey),
        ("[ice]\nurls = [\"http://x\"]", "ice.urls http://x", Invalid::IceUrl),
        ("[ice]\nurls = [\"turn:x\"]", "ice.urls turn:x", Invalid::TurnWithoutSecret),
        ("[sessions]\nidle_timeout_s = 0", "sessions.idle_timeout_s", Invalid::Range(1, 604_800)),
        ("[[games]]\nslug = \"Bad Slug\"\ntitle = \"x\"", "games.Bad Slug.slug", Invalid::Slug),
        ("[[games]]\nslug = \"a\"\ntitle = \"\"", "games.a.title", Invalid::Title),
        (
            "[[games]]\nslug = \"a\"\ntitle = \"A\"\ndriver = \"external\"",
            "games.a.ingest",
            Invalid::ExternalWithoutIngest,
        ),
        (
            &GAME.replace("VP8", "VP7"),
            "games.camera.ingest.video.codec",
            Invalid::Codec("H264, VP8, VP9, AV1"),
        ),
        (&GAME.replace("96", "72"), "games.camera.ingest.video.payload_type", Invalid::PayloadType),
        (&GAME.replace("\"external\"", "\"process\""), "games.camera.ingest", Invalid::IngestWithoutExternal),
        (&GAME.repeat(2), "games.camera.slug", Invalid::SlugTwice),
    ] {
        assert_eq!(invalid(text), (key.to_owned(), expected), "{text}");
    }
    let (key, reason) = invalid("[log]\nfilter = \"playgate=loud\"");
    assert!(key == "log.filter" && matches!(reason, Invalid::LogFilter(_)));
}

#[test]
fn a_full_configuration_is_accepted_and_never_shows_its_secrets() {
    let text = format!(
        "public_url = \"https://play.example/\"\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]\n\
         [[auth.keys]]\nalg = \"HS256\"\nsecret = \"0123456789abcdef0123456789abcdef\"\n\
         [ice]\nurls = [\"turns:t.example?transport=tcp\"]\nsecret = \"turn-secret\"\n{GAME}"
    );
    let config = load_file(&text).unwrap();
    assert_eq!(config.public_url.as_deref(), Some("https://play.example"));
    let shown = format!("{config:?}{}", toml::to_string(&config).unwrap());
    assert!(!shown.contains("0123456789abcdef") && !shown.contains("turn-secret"), "{shown}");
}
