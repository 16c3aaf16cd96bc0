//! The keys of the configuration, their types and defaults.
//!
//! Secrets are never serialised and never shown by `Debug`.

use crate::model::events::EventKind;
use crate::model::instance::Profile;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
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
    pub node: NodeConfig,
    pub docker: DockerConfig,
    pub session_api: SessionApiConfig,
    pub log: LogConfig,
    /// Games besides the two built-in ones.
    pub games: Vec<GameConfig>,
    /// What organisations may start by the Session API.
    pub images: Vec<ImageConfig>,
    /// Where organisations are told what happens to their sessions.
    pub webhooks: Vec<WebhookConfig>,
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
    /// A launch whose game is not here after this many seconds of download becomes `error`; the download goes on.
    pub download_timeout_s: u64,
    /// A launch that has no picture this many seconds after its game is here becomes `error`.
    pub launch_timeout_s: u64,
    /// How long the runner has to answer `flush_save`, in milliseconds.
    pub flush_timeout_ms: u64,
    /// Between SIGTERM and SIGKILL, in milliseconds.
    pub stop_grace_ms: u64,
    /// Save versions kept per slot.
    pub save_versions: u32,
    /// Most that one save may hold, unpacked, in MiB. A larger one is never stored.
    pub save_mb: u64,
    /// Most files, directories and links that one save may hold.
    pub save_files: u32,
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
    /// The program that runs the built-in games: `playgate-runner-gstreamer` for its encoders. Absent: this program.
    pub program: Option<PathBuf>,
}

/// What this node is and what it may be filled with.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeConfig {
    /// Lower case letters, digits and hyphens, 1-32 of them. Absent: one that is made up once and kept in `data_dir`.
    pub name: Option<String>,
    /// A place, like `frankfurt`.
    pub location: Option<String>,
    /// What the place lies in, like `europe`.
    pub region: Option<String>,
    pub labels: BTreeMap<String, String>,
    /// Cores that games may use together. Absent: all of this machine.
    pub cpus: Option<f64>,
    /// Memory that games may use together, in MiB. Absent: nine tenths of this machine's.
    pub memory_mb: Option<u64>,
    pub gpus: u32,
}

/// The engine that runs games in containers. Used when a game asks for `driver = "docker"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DockerConfig {
    /// `unix:///path/to/docker.sock`. Absent: `DOCKER_HOST`, else `/var/run/docker.sock`.
    pub host: Option<String>,
    /// Network of games without egress: an internal bridge of this node's own.
    pub subnet: Ipv4Net,
    /// Network of games with egress.
    pub open_subnet: Ipv4Net,
    /// The image package games run in (`playgate image build --generic`).
    pub runner_image: String,
    /// Room for unpacked game packages, in MiB; the least recently used go first.
    pub package_cache_mb: u64,
    pub registries: Vec<RegistryConfig>,
}

/// Credentials of an image registry.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryConfig {
    /// `host` or `host:port`, as image references begin.
    pub host: String,
    pub username: String,
    /// Never printed.
    #[serde(default, skip_serializing)]
    pub password: Option<String>,
}

/// What holds for every session of the Session API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionApiConfig {
    /// The first and the last of this machine's ports that containers' ports are published at (G24).
    pub first_port: u16,
    pub last_port: u16,
    /// The address of this machine they are published at.
    pub port_address: IpAddr,
    /// Address told to players. Absent: the first IPv4 of `public_ip`, else that of this machine; on a loopback listener
    /// loopback.
    pub host: Option<Ipv4Addr>,
    /// Sessions an organisation may start per minute.
    pub starts_per_minute: u32,
    /// Between SIGTERM and SIGKILL, in milliseconds (rule 13).
    pub stop_grace_ms: u64,
    /// How often in a row a failing container is started again (`restart`).
    pub restart_limit: u32,
    /// How long a stopped container is kept for its logs and artifacts (rule 15), and a save that was refused, in seconds.
    pub retention_s: u64,
    /// Most that one artifact may be, in MiB.
    pub artifact_mb: u64,
}

/// An image that organisations may start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageConfig {
    /// What the Session API calls it: 1-100 letters, digits, dots, hyphens and underscores.
    pub name: String,
    /// Where it is, without tag or digest.
    pub repository: String,
    /// Who may start it.
    pub organisations: Vec<String>,
    /// Tags in the order of their priority, the highest first. What is not named here comes after, the newest first.
    #[serde(default)]
    pub tags: Vec<String>,
    /// `server` or `game`.
    #[serde(default = "server")]
    pub profile: Profile,
    /// It speaks the runner contract, and a picture is awaited.
    #[serde(default)]
    pub stream: bool,
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
    /// Of the runner, by name: `openh264`, or with the GStreamer runner the name of an element, like `x264enc`. Absent: `openh264`.
    #[serde(default)]
    pub encoder: Option<String>,
    #[serde(default)]
    pub container: ContainerConfig,
}

/// An organisation's server that is told what happens to its sessions.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// 1-100 letters, digits, dots, hyphens and underscores. What was not delivered yet is remembered by it.
    pub name: String,
    pub organisation: String,
    /// `http` or `https`.
    pub url: String,
    /// What deliveries are signed with: `whsec_` and base64 of 24 to 64 bytes. Never printed.
    #[serde(default, skip_serializing)]
    pub secret: Option<String>,
    /// Which events, like `session.ended`. Empty: all.
    #[serde(default)]
    pub events: Vec<EventKind>,
}

fn server() -> Profile {
    Profile::Server
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// As in `RUST_LOG`.
    pub filter: String,
    pub json: bool,
}

/// A game of the catalogue. With the slug of a built-in game, and no other driver: that game as it is wanted here, of its
/// picture the full size, a half or a quarter (640x360 of 1280x720), and at most its own frames a second.
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
    /// `process`, `external` or `docker`. Absent: `docker` with an image or a package, else `process`.
    #[serde(default)]
    pub driver: Option<DriverName>,
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
    /// Of the runner, by name: `openh264`, or with the GStreamer runner the name of an element, like `x264enc`. Absent: `openh264`.
    #[serde(default)]
    pub encoder: Option<String>,
    /// `docker`: repository and tag or digest.
    #[serde(default)]
    pub image: Option<String>,
    /// `docker`: an archive that is run in `docker.runner_image`.
    #[serde(default)]
    pub package: Option<PackageConfig>,
    #[serde(default)]
    pub container: ContainerConfig,
}

/// How a game's container is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ContainerConfig {
    /// In place of the image's own arguments; of a package: further arguments of its launcher.
    pub command: Vec<String>,
    /// Further variables; those of the runner contract cannot be set.
    pub env: BTreeMap<String, String>,
    /// Where the game keeps its save: an absolute path.
    pub save_path: String,
    /// Cores it may use.
    pub cpus: f64,
    /// Memory it may use, in MiB.
    pub memory_mb: u64,
    /// Processes and threads it may have.
    pub pids: u32,
    /// It may open connections to other machines.
    pub egress: bool,
    /// Device files of this machine it gets, like `/dev/uinput`.
    pub devices: Vec<String>,
    /// GPUs it takes of the node's.
    pub gpus: u32,
    /// Between SIGTERM and SIGKILL, in milliseconds. Absent: `sessions.stop_grace_ms`.
    pub stop_grace_ms: Option<u64>,
    /// Gamepads the game is played with, 0-4.
    pub pads: u8,
    /// Gamepad controls as keys and mouse: `{ a = "Enter", left = "ArrowLeft", x = "mouse-left" }`.
    pub pad_map: BTreeMap<String, String>,
}

/// A game as a `tar.gz` with one top-level directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageConfig {
    /// `http` or `https`.
    pub url: String,
    /// Of the archive, 64 hexadecimal digits.
    pub sha256: String,
    /// The shell script that starts the game: its path below the top-level directory, ending in `.sh`.
    pub launcher: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DriverName {
    #[default]
    Process,
    External,
    Docker,
}

impl GameConfig {
    /// The driver that is written, or that follows from the rest.
    pub fn driver(&self) -> DriverName {
        let in_container = self.image.is_some() || self.package.is_some();
        self.driver.unwrap_or(if in_container { DriverName::Docker } else { DriverName::Process })
    }
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
            node: NodeConfig::default(),
            docker: DockerConfig::default(),
            session_api: SessionApiConfig::default(),
            log: LogConfig::default(),
            games: Vec::new(),
            images: Vec::new(),
            webhooks: Vec::new(),
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
            download_timeout_s: 60,
            launch_timeout_s: 60,
            flush_timeout_ms: 3_000,
            stop_grace_ms: 5_000,
            save_versions: 10,
            save_mb: 512,
            save_files: 10_000,
            capacity: 0,
            max_viewers: 500,
        }
    }
}

impl Default for DockerConfig {
    fn default() -> Self {
        let subnet = |third| Ipv4Net::new_assert(Ipv4Addr::new(10, 213, third, 0), 24);
        Self {
            host: None,
            subnet: subnet(0),
            open_subnet: subnet(1),
            runner_image: "playgate-runner:latest".to_owned(),
            package_cache_mb: 20_480,
            registries: Vec::new(),
        }
    }
}

impl Default for SessionApiConfig {
    fn default() -> Self {
        Self {
            first_port: 20_000,
            last_port: 30_000,
            port_address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            host: None,
            starts_per_minute: 600,
            stop_grace_ms: 10_000,
            restart_limit: 5,
            retention_s: 14_400,
            artifact_mb: 100,
        }
    }
}

impl Default for ContainerConfig {
    fn default() -> Self {
        Self {
            command: Vec::new(),
            env: BTreeMap::new(),
            save_path: "/save".to_owned(),
            cpus: 2.0,
            memory_mb: 2048,
            pids: 256,
            egress: false,
            devices: Vec::new(),
            gpus: 0,
            stop_grace_ms: None,
            pads: 0,
            pad_map: BTreeMap::new(),
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

impl fmt::Debug for RegistryConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryConfig")
            .field("host", &self.host)
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| Hidden))
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

impl fmt::Debug for WebhookConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookConfig")
            .field("name", &self.name)
            .field("organisation", &self.organisation)
            .field("url", &Hidden)
            .field("secret", &self.secret.as_ref().map(|_| Hidden))
            .field("events", &self.events)
            .finish()
    }
}

struct Hidden;

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hidden")
    }
}
