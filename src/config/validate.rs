//! What a configuration must fulfil beyond its types. Each rule has a name, each problem the key it is about.

mod containers;
mod images;

use super::schema::{
    AuthKey, Config, ContainerConfig, DockerConfig, DriverName, GameConfig, IngestStream, NodeConfig,
    WebhookConfig,
};
use super::{is_turn, webhook_key};
use axum::http::Uri;
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Component, Path};

/// A value that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}`: {invalid}")]
pub struct Problem {
    /// Path of the key, for instance `games.camera.ingest.video.codec`.
    pub key: String,
    pub invalid: Invalid,
}

/// Why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    #[error("must be like https://play.example.org, without a path")]
    PublicUrl,
    #[error("must be an http(s) address or a path")]
    Url,
    #[error("this address cannot be reached by anybody")]
    PublicIp,
    #[error("a certificate needs its key, and a key its certificate")]
    HalfCertificate,
    #[error("either a certificate of your own or a self-signed one")]
    TwoCertificates,
    #[error("must be an address or a network like 10.0.0.0/8")]
    Network,
    #[error("the address is taken by another listener of this configuration")]
    AddressTwice,
    #[error("must be HS256, ES256, RS256 or EdDSA")]
    Algorithm,
    #[error("HS256 needs a secret of at least 32 bytes and no public key")]
    Secret,
    #[error("this algorithm needs a public_key_file and no secret")]
    PublicKey,
    #[error("another key has the same kid")]
    KidTwice,
    #[error("must be a stun:, stuns:, turn: or turns: URL")]
    IceUrl,
    #[error("TURN needs `ice.secret`")]
    TurnWithoutSecret,
    #[error("must be {0} to {1}")]
    Range(u64, u64),
    #[error("must be an encoder's name like openh264 or x264enc")]
    Encoder,
    #[error("an external source encodes for itself")]
    EncoderOfExternal,
    #[error(
        "must be 1-100 lower case letters, digits and hyphens, beginning and ending with a letter or digit"
    )]
    Slug,
    #[error("another game has the same slug")]
    SlugTwice,
    #[error("must be 1-200 characters")]
    Title,
    #[error("an external game needs `ingest`")]
    ExternalWithoutIngest,
    #[error("only an external game has `ingest`")]
    IngestWithoutExternal,
    #[error("a game in a container needs either `image` or `package`")]
    NeitherImageNorPackage,
    #[error("only a game in a container has `image`, `package` and `container`")]
    NotInAContainer,
    #[error("must be http://... or https://...")]
    PackageUrl,
    #[error("must be 64 hexadecimal digits")]
    Sha256,
    #[error("must be the path of a .sh file below the archive's top-level directory")]
    Launcher,
    #[error("must be an absolute path without `..`, and not `/`")]
    AbsolutePath,
    #[error("belongs to the runner contract and cannot be set")]
    ContractVariable,
    #[error("must be a device file below /dev")]
    Device,
    #[error(
        "must be 1-32 lower case letters, digits and hyphens, beginning and ending with a letter or digit"
    )]
    NodeName,
    #[error("must be a unix:// socket")]
    EngineHost,
    #[error("must be a network of /16 to /28 that is not the other one's")]
    Subnet,
    #[error("must not be empty")]
    Empty,
    #[error("must be 1-100 letters, digits, dots, hyphens and underscores, the first a letter or digit")]
    ImageName,
    #[error("another image has the same name")]
    ImageTwice,
    #[error("must be a repository without tag and digest")]
    Repository,
    #[error("must be a tag: 1-128 letters, digits, underscores, dots and hyphens")]
    Tag,
    #[error("must not be below the first one")]
    PortRange,
    #[error("must be absolute, relative or none")]
    Pointer,
    #[error("must be even")]
    Odd,
    #[error("must be one of {0}")]
    Codec(&'static str),
    #[error("must be 0-63 or 96-127 (RFC 5761)")]
    PayloadType,
    #[error("needs at least one source address")]
    NoSource,
    #[error("another webhook has the same name")]
    WebhookTwice,
    #[error("must be `whsec_` and base64 of 24 to 64 bytes")]
    WebhookSecret,
    #[error("is not a log filter: {0}")]
    LogFilter(String),
}

pub(super) fn validate(config: &Config) -> Result<(), Problem> {
    addresses(config)?;
    certificates(config)?;
    auth(config)?;
    ice(config)?;
    sessions(config)?;
    node(&config.node)?;
    docker(&config.docker)?;
    images::session_api(&config.session_api)?;
    images::images(&config.images)?;
    webhooks(&config.webhooks)?;
    if let Err(error) = config.log.filter.parse::<tracing_subscriber::EnvFilter>() {
        return Err(problem("log.filter", Invalid::LogFilter(error.to_string())));
    }
    let mut slugs = HashSet::new();
    let mut listeners = HashSet::new();
    for game in &config.games {
        check(slugs.insert(&game.slug), || format!("games.{}.slug", game.slug), Invalid::SlugTwice)?;
        game_rules(game, &mut listeners)?;
    }
    Ok(())
}

fn addresses(config: &Config) -> Result<(), Problem> {
    if let Some(url) = &config.public_url {
        check(is_origin(url), || "public_url".to_owned(), Invalid::PublicUrl)?;
    }
    for ip in &config.public_ip {
        check(!ip.is_unspecified() && !ip.is_multicast(), || format!("public_ip {ip}"), Invalid::PublicIp)?;
    }
    let private = config.private_listen;
    let taken = private.port() != 0 && overlaps(private, config.listen);
    check(!taken, || "private_listen".to_owned(), Invalid::AddressTwice)?;
    let mut seen: Vec<SocketAddr> = Vec::new();
    for address in &config.media_listen {
        let taken = address.port() != 0 && seen.iter().any(|other| overlaps(*address, *other));
        check(!taken, || format!("media_listen {address}"), Invalid::AddressTwice)?;
        seen.push(*address);
    }
    for network in &config.trusted_proxies {
        check(is_network(network), || format!("trusted_proxies {network}"), Invalid::Network)?;
    }
    Ok(())
}

fn webhooks(webhooks: &[WebhookConfig]) -> Result<(), Problem> {
    let mut names = HashSet::new();
    for webhook in webhooks {
        let path = |key: &str| format!("webhooks.{}.{key}", webhook.name);
        check(images::is_name(&webhook.name, 100), || path("name"), Invalid::ImageName)?;
        check(names.insert(&webhook.name), || path("name"), Invalid::WebhookTwice)?;
        check(!webhook.organisation.is_empty(), || path("organisation"), Invalid::Empty)?;
        check(is_web_url(&webhook.url), || path("url"), Invalid::PackageUrl)?;
        let secret = webhook.secret.as_deref().unwrap_or_default();
        check(webhook_key(secret).is_some(), || path("secret"), Invalid::WebhookSecret)?;
    }
    Ok(())
}

fn certificates(config: &Config) -> Result<(), Problem> {
    let whole = config.tls_cert.is_some() == config.tls_key.is_some();
    let key = if config.tls_cert.is_some() { "tls_cert" } else { "tls_key" };
    check(whole, || key.to_owned(), Invalid::HalfCertificate)?;
    let two = config.tls_cert.is_some() && config.tls_self_signed;
    check(!two, || "tls_self_signed".to_owned(), Invalid::TwoCertificates)
}

fn auth(config: &Config) -> Result<(), Problem> {
    if let Some(url) = &config.auth.sign_in_url {
        let fits = is_web_url(url) || (url.starts_with('/') && !url.starts_with("//"));
        check(fits, || "auth.sign_in_url".to_owned(), Invalid::Url)?;
    }
    let mut kids = HashSet::new();
    for (index, key) in config.auth.keys.iter().enumerate() {
        let path = || format!("auth.keys.{index}");
        check(key.kid.is_none() || kids.insert(&key.kid), path, Invalid::KidTwice)?;
        auth_key(key).map_err(|invalid| Problem { key: path(), invalid })?;
    }
    Ok(())
}

fn auth_key(key: &AuthKey) -> Result<(), Invalid> {
    match key.alg.as_str() {
        "HS256" => {
            // RFC 7518, section 3.2: as long as the hash.
            let long_enough = key.secret.as_ref().is_some_and(|secret| secret.len() >= 32);
            if long_enough && key.public_key_file.is_none() { Ok(()) } else { Err(Invalid::Secret) }
        }
        "ES256" | "RS256" | "EdDSA" => {
            if key.secret.is_none() && key.public_key_file.is_some() {
                Ok(())
            } else {
                Err(Invalid::PublicKey)
            }
        }
        _ => Err(Invalid::Algorithm),
    }
}

fn ice(config: &Config) -> Result<(), Problem> {
    for url in &config.ice.urls {
        let known = url.split_once(':').is_some_and(|(scheme, rest)| {
            ["stun", "stuns", "turn", "turns"].contains(&scheme.to_ascii_lowercase().as_str())
                && !rest.is_empty()
        });
        // It goes into a Link header too.
        let plain = url.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"".contains(&byte));
        check(known && plain, || format!("ice.urls {url}"), Invalid::IceUrl)?;
        let signed = !is_turn(url) || config.ice.secret.as_ref().is_some_and(|secret| !secret.is_empty());
        check(signed, || format!("ice.urls {url}"), Invalid::TurnWithoutSecret)?;
    }
    range("ice.credential_ttl_s", config.ice.credential_ttl_s, 60..=30 * 86_400)
}

fn sessions(config: &Config) -> Result<(), Problem> {
    let sessions = &config.sessions;
    range("sessions.idle_timeout_s", sessions.idle_timeout_s, 1..=7 * 86_400)?;
    range("sessions.launches_per_minute", sessions.launches_per_minute.into(), 1..=10_000)?;
    range("sessions.download_timeout_s", sessions.download_timeout_s, 1..=86_400)?;
    range("sessions.launch_timeout_s", sessions.launch_timeout_s, 1..=3_600)?;
    range("sessions.flush_timeout_ms", sessions.flush_timeout_ms, 1..=60_000)?;
    range("sessions.stop_grace_ms", sessions.stop_grace_ms, 1..=60_000)?;
    range("sessions.save_versions", sessions.save_versions.into(), 1..=1_000)?;
    // A tar header holds sizes below 8 GiB.
    range("sessions.save_mb", sessions.save_mb, 1..=8_191)?;
    range("sessions.save_files", sessions.save_files.into(), 1..=1_000_000)?;
    range("sessions.capacity", sessions.capacity.into(), 0..=10_000)?;
    range("sessions.max_viewers", sessions.max_viewers.into(), 1..=100_000)
}

fn game_rules(game: &GameConfig, listeners: &mut HashSet<SocketAddr>) -> Result<(), Problem> {
    let path = |key: &str| format!("games.{}.{key}", game.slug);
    check(is_slug(&game.slug), || path("slug"), Invalid::Slug)?;
    let title = game.title.chars().count();
    check((1..=200).contains(&title), || path("title"), Invalid::Title)?;
    containers::picture(&path, game.pointer.as_deref(), [game.width, game.height], game.fps, game.kbps)?;
    containers::encoder(&path, game.encoder.as_deref())?;
    let driver = game.driver();
    let encodes = driver != DriverName::External || game.encoder.is_none();
    check(encodes, || path("encoder"), Invalid::EncoderOfExternal)?;
    let contained =
        game.image.is_some() || game.package.is_some() || game.container != ContainerConfig::default();
    check(driver == DriverName::Docker || !contained, || path("driver"), Invalid::NotInAContainer)?;
    let foreign = driver != DriverName::External && game.ingest.is_some();
    check(!foreign, || path("ingest"), Invalid::IngestWithoutExternal)?;
    match driver {
        DriverName::Process => Ok(()),
        DriverName::Docker => container(game),
        DriverName::External => {
            let Some(ingest) = &game.ingest else {
                return Err(problem(&path("ingest"), Invalid::ExternalWithoutIngest));
            };
            stream(&path("ingest.video"), &ingest.video, VIDEO_CODECS, listeners)?;
            if let Some(audio) = &ingest.audio {
                stream(&path("ingest.audio"), audio, AUDIO_CODECS, listeners)?;
            }
            check(!ingest.allow.is_empty(), || path("ingest.allow"), Invalid::NoSource)
        }
    }
}

fn container(game: &GameConfig) -> Result<(), Problem> {
    let path = |key: &str| format!("games.{}.{key}", game.slug);
    check(game.image.is_some() != game.package.is_some(), || path("image"), Invalid::NeitherImageNorPackage)?;
    check(game.image.as_ref().is_none_or(|image| !image.is_empty()), || path("image"), Invalid::Empty)?;
    if let Some(package) = &game.package {
        check(is_web_url(&package.url), || path("package.url"), Invalid::PackageUrl)?;
        let is_hash =
            package.sha256.len() == 64 && package.sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        check(is_hash, || path("package.sha256"), Invalid::Sha256)?;
        let inside =
            Path::new(&package.launcher).components().all(|part| matches!(part, Component::Normal(_)));
        let is_script = package.launcher.ends_with(".sh");
        check(inside && is_script, || path("package.launcher"), Invalid::Launcher)?;
    }
    containers::bounds(&path, &game.container)
}

fn node(node: &NodeConfig) -> Result<(), Problem> {
    if let Some(name) = &node.name {
        check(name.len() <= 32 && is_slug(name), || "node.name".to_owned(), Invalid::NodeName)?;
    }
    for (key, value) in [("node.location", &node.location), ("node.region", &node.region)] {
        check(value.as_ref().is_none_or(|value| !value.is_empty()), || key.to_owned(), Invalid::Empty)?;
    }
    if let Some(cpus) = node.cpus {
        check((0.1..=4096.0).contains(&cpus), || "node.cpus".to_owned(), Invalid::Range(1, 4096))?;
    }
    range("node.gpus", node.gpus.into(), 0..=64)
}

fn docker(docker: &DockerConfig) -> Result<(), Problem> {
    let socket = docker.host.as_ref().is_none_or(|host| host.starts_with("unix:///"));
    check(socket, || "docker.host".to_owned(), Invalid::EngineHost)?;
    let (one, other) = (docker.subnet, docker.open_subnet);
    let apart = !one.contains(&other.network()) && !other.contains(&one.network());
    for (key, subnet) in [("docker.subnet", one), ("docker.open_subnet", other)] {
        let fits = (16..=28).contains(&subnet.prefix_len()) && apart;
        check(fits, || key.to_owned(), Invalid::Subnet)?;
    }
    check(!docker.runner_image.is_empty(), || "docker.runner_image".to_owned(), Invalid::Empty)?;
    range("docker.package_cache_mb", docker.package_cache_mb, 1..=10_000_000)?;
    for registry in &docker.registries {
        check(!registry.host.is_empty(), || "docker.registries.host".to_owned(), Invalid::Empty)?;
    }
    Ok(())
}

const VIDEO_CODECS: &str = "H264, VP8, VP9, AV1";
const AUDIO_CODECS: &str = "opus";

fn stream(
    path: &str,
    stream: &IngestStream,
    codecs: &'static str,
    listeners: &mut HashSet<SocketAddr>,
) -> Result<(), Problem> {
    let known = codecs.split(", ").any(|codec| codec.eq_ignore_ascii_case(&stream.codec));
    check(known, || format!("{path}.codec"), Invalid::Codec(codecs))?;
    let fits = matches!(stream.payload_type, 0..=63 | 96..=127);
    check(fits, || format!("{path}.payload_type"), Invalid::PayloadType)?;
    let free = stream.listen.port() == 0 || listeners.insert(stream.listen);
    check(free, || format!("{path}.listen"), Invalid::AddressTwice)
}

/// Lower case letters, digits and hyphens, at most 100, a letter or digit at both ends.
fn is_slug(slug: &str) -> bool {
    (1..=100).contains(&slug.len())
        && slug.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !slug.starts_with('-')
        && !slug.ends_with('-')
}

fn is_origin(url: &str) -> bool {
    is_web_url(url)
        && url.parse::<Uri>().is_ok_and(|uri| uri.path().len() <= 1 && uri.query().is_none())
        && !url.ends_with('/')
        && !url.contains('#')
}

fn is_web_url(url: &str) -> bool {
    url.parse::<Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
            && uri.host().is_some_and(|host| !host.is_empty())
    })
}

fn is_network(text: &str) -> bool {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let longest = if address.is_ipv4() { 32 } else { 128 };
    prefix.is_none_or(|prefix| prefix.parse::<u8>().is_ok_and(|prefix| prefix <= longest))
}

/// Two TCP or two UDP listeners that cannot both be bound.
fn overlaps(one: SocketAddr, other: SocketAddr) -> bool {
    let same_family = one.is_ipv4() == other.is_ipv4();
    let same_ip = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && same_family && same_ip
}

fn range(key: &str, value: u64, allowed: RangeInclusive<u64>) -> Result<(), Problem> {
    check(allowed.contains(&value), || key.to_owned(), Invalid::Range(*allowed.start(), *allowed.end()))
}

fn check(holds: bool, key: impl FnOnce() -> String, invalid: Invalid) -> Result<(), Problem> {
    if holds { Ok(()) } else { Err(Problem { key: key(), invalid }) }
}

fn problem(key: &str, invalid: Invalid) -> Problem {
    Problem { key: key.to_owned(), invalid }
}
