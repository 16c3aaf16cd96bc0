//! The keys of the configuration, their types and defaults.
//!
//! Secrets are never serialised and never shown by `Debug`.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// Everything `playgate serve` can be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// HTTP listener.
    pub listen: SocketAddr,
    /// Media (UDP) listeners, one relay shard each. Empty: one, with the address and number of `listen`.
    pub media_listen: Vec<SocketAddr>,
    /// Private listener for runners (control WebSocket, RTP binds the same address) and unprotected metrics.
    pub private_listen: SocketAddr,
    /// How players reach this gateway, without a trailing slash. Absent: from the request's (trusted) host.
    pub public_url: Option<String>,
    /// Addresses told to players for media. Empty: every address the media socket covers.
    pub public_ip: Vec<IpAddr>,
    /// Database, saves, keys, certificates.
    pub data_dir: PathBuf,
    /// Serve the local network: listens on every address with HTTPS by a certificate of our own.
    pub lan: bool,
    pub tls_cert: Option<PathBuf>,
    pub tls_key: Option<PathBuf>,
    pub tls_self_signed: bool,
    /// Proxies whose `X-Forwarded-*` are believed, as addresses or CIDR networks.
    pub trusted_proxies: Vec<String>,
    pub auth: AuthConfig,
    pub ice: IceConfig,
    pub sessions: SessionsConfig,
    pub runner: RunnerConfig,
    pub log: LogConfig,
    /// Games besides the two built-in ones.
    pub games: Vec<GameConfig>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuthConfig {
    /// Guests may sign in without an account. Absent: only when the listener is loopback and nothing public is set.
    pub guest: Option<bool>,
    /// Where the page sends a person without a token.
    pub sign_in_url: Option<String>,
    pub keys: Vec<AuthKey>,
    /// A JWKS file (RFC 7517), instead of or beside `keys`.
    pub jwks_file: Option<PathBuf>,
}

/// A key that verifies users' JWTs.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthKey {
    pub kid: Option<String>,
    /// `HS256`, `ES256`, `RS256` or `EdDSA`.
    pub alg: String,
    /// HS256: the shared secret. Never printed.
    #[serde(default, skip_serializing)]
    pub secret: Option<String>,
    /// The other algorithms: a PEM file with the public key.
    pub public_key_file: Option<PathBuf>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IceConfig {
    /// STUN and TURN URLs given to viewers.
    pub urls: Vec<String>,
    /// Shared secret of the TURN server's REST credentials.
    #[serde(skip_serializing)]
    pub secret: Option<String>,
    /// Lifetime of a viewer's TURN credentials, in seconds.
    pub credential_ttl_s: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionsConfig {
    /// A session without keepalive ends after this many seconds (contract B-3: 1800).
    pub idle_timeout_s: u64,
    /// Launches a user may ask for per minute.
    pub launches_per_minute: u32,
    /// A launch that has no picture after this many seconds becomes `error`.
    pub launch_timeout_s: u64,
    /// How long the runner has to answer `flush_save`, in milliseconds.
    pub flush_timeout_ms: u64,
    /// Between SIGTERM and SIGKILL, in milliseconds.
    pub stop_grace_ms: u64,
    /// Save versions kept per slot.
    pub save_versions: u32,
    /// Sessions this node runs at once. 0: one per core.
    pub capacity: u32,
    /// Most viewers of one session.
    pub max_viewers: u32,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunnerConfig {
    /// Draw the measuring marker (frame number as black and white cells) into the built-in games' picture.
    pub marker: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// As in `RUST_LOG`.
    pub filter: String,
    pub json: bool,
}

/// A game of the catalogue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GameConfig {
    /// Lower case, digits and hyphens, at most 100 characters.
    pub slug: String,
    /// At most 200 characters.
    pub title: String,
    #[serde(default)]
    pub developer: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub tags: Vec<String>,
    /// `process` or `external`.
    #[serde(default)]
    pub driver: DriverName,
    #[serde(default)]
    pub ingest: Option<IngestConfig>,
    /// `absolute`, `relative` or `none`.
    #[serde(default)]
    pub pointer: Option<String>,
    #[serde(default)]
    pub width: Option<u32>,
    #[serde(default)]
    pub height: Option<u32>,
    #[serde(default)]
    pub fps: Option<u32>,
    #[serde(default)]
    pub kbps: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DriverName {
    #[default]
    Process,
    External,
}

/// Where an `external` game's media arrives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IngestConfig {
    pub video: IngestStream,
    #[serde(default)]
    pub audio: Option<IngestStream>,
    /// Source addresses accepted.
    pub allow: Vec<IpAddr>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IngestStream {
    pub listen: SocketAddr,
    /// `H264`, `VP8`, `VP9`, `AV1` or `opus`.
    pub codec: String,
    pub payload_type: u8,
    /// Where RTCP for the producer goes. Absent: to the RTP source.
    #[serde(default)]
    pub rtcp: Option<SocketAddr>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            media_listen: Vec::new(),
            private_listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            public_url: None,
            public_ip: Vec::new(),
            data_dir: PathBuf::from("playgate-data"),
            lan: false,
            tls_cert: None,
            tls_key: None,
            tls_self_signed: false,
            trusted_proxies: Vec::new(),
            auth: AuthConfig::default(),
            ice: IceConfig::default(),
            sessions: SessionsConfig::default(),
            runner: RunnerConfig::default(),
            log: LogConfig::default(),
            games: Vec::new(),
        }
    }
}

impl Default for IceConfig {
    fn default() -> Self {
        Self { urls: Vec::new(), secret: None, credential_ttl_s: 86_400 }
    }
}

impl Default for SessionsConfig {
    fn default() -> Self {
        Self {
            idle_timeout_s: 1800,
            launches_per_minute: 10,
            launch_timeout_s: 60,
            flush_timeout_ms: 3_000,
            stop_grace_ms: 5_000,
            save_versions: 10,
            capacity: 0,
            max_viewers: 500,
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info".to_owned(), json: false }
    }
}

impl fmt::Debug for AuthKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthKey")
            .field("kid", &self.kid)
            .field("alg", &self.alg)
            .field("secret", &self.secret.as_ref().map(|_| Hidden))
            .field("public_key_file", &self.public_key_file)
            .finish()
    }
}

impl fmt::Debug for IceConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceConfig")
            .field("urls", &self.urls)
            .field("secret", &self.secret.as_ref().map(|_| Hidden))
            .field("credential_ttl_s", &self.credential_ttl_s)
            .finish()
    }
}

struct Hidden;

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hidden")
    }
}
